/* SPDX-License-Identifier: MIT */
/* What the handlers of clients' requests share.  HOST.  Private to cloudosd/request*.c. */
#ifndef CO_REQUEST_H
#define CO_REQUEST_H

#include "cloudosd/client.h"

uint64_t request_tag(struct client *client);

/* A text of the message being answered; valid until the next message. */
const char *request_text(struct client *client, struct wire_span span);

/* The session a request names; answers the client if there is none. */
struct session *request_session(struct client *client, uint32_t type, uint64_t id,
				const char *name);

/* Has this connection a stream already?  Then the client is told. */
bool request_streaming(struct client *client, uint32_t type);

/* What an answer of the store or the registry belongs to; the client may be gone. */
struct later {
	struct control *control;
	uint64_t client, tag;
	uint32_t type;
	int fd; /* owned; -1: none */
};

/* NULL when out of memory, and then the client has been told. */
struct later *later_new(struct client *client, uint32_t type);
void later_free(struct later *l);

#endif
