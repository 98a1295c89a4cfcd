/* SPDX-License-Identifier: MIT */
/* struct co_outgoing on the client.  HOST.  Who calls it: main.c. */
#ifndef CO_HTTP_OUTGOING_H
#define CO_HTTP_OUTGOING_H

#include "cloudosd/http/client.h"
#include "cloudosd/service/host.h"
#include "cloudosd/service/outgoing.h"

/*
 * The table, borrowed; NULL: no memory.  To be made on the loop thread.  Services may be
 * called on any thread, libuv may not: what does not come from the loop is posted to it.
 */
const struct co_outgoing *outgoing_new(struct http_client *client,
				       const struct co_host *host);

/* When nothing of it is under way any more.  Returns NULL. */
const struct co_outgoing *outgoing_free(const struct co_outgoing *table);

#endif
