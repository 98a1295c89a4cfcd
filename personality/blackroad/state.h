/* SPDX-License-Identifier: MIT */
/* What the endpoints of state share.  HOST. */
#ifndef CO_BLACKROAD_STATE_H
#define CO_BLACKROAD_STATE_H

#include "cloudosd/service/state.h"
#include "personality/blackroad/blackroad.h"

/* {"key","value","version","updatedAt","expiresAt"}, without its first bracket. */
void blackroad_state_entry(struct co_buf *out, const struct state_entry *e);

/* GET without a key: a list, answered at once or as a stream. */
void blackroad_state_list(struct http_call *call,
			  const struct blackroad_state_get_args *with);

#endif
