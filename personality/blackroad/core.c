/* SPDX-License-Identifier: MIT */
/* The core endpoints: who answers, in which version, and how it is.  HOST. */
#include "personality/blackroad/blackroad.h"

void blackroad_on_health(struct http_call *call,
			 const struct blackroad_health_args *args)
{
	struct co_buf body = { 0 };

	(void) args;
	co_buf_text(&body, "{\"status\":\"healthy\"}");
	http_answer(call, 200, &body);
}
