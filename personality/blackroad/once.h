/* SPDX-License-Identifier: MIT */
/* Requests with an Idempotency-Key, for the router.  HOST. */
#ifndef CO_BLACKROAD_ONCE_H
#define CO_BLACKROAD_ONCE_H

#include "personality/http.h"

/* Is that endpoint (by its name in ops.def) one whose repetition would do harm? */
bool blackroad_is_repeatable(const char *name);

/* Runs go(call, arg), now or later, or answers the call with what was answered before. */
void blackroad_once(struct http_call *call, const char *name,
		    void (*go)(struct http_call *call, void *arg), void *arg);

#endif
