/* SPDX-License-Identifier: MIT */
/* struct co_outgoing on the client.  HOST.  Who calls it: main.c. */
#ifndef CO_HTTP_OUTGOING_H
#define CO_HTTP_OUTGOING_H

#include "cloudosd/http/client.h"
#include "cloudosd/service/outgoing.h"

/* ctx of the table is the client. */
void outgoing_table(struct co_outgoing *out, struct http_client *client);

#endif
