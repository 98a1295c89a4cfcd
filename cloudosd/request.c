/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of clients' requests share.  HOST.  They are in request_session.c,
 * request_service.c and request_store.c; each answers rows and then its reply, and
 * control.c has checked the message before.
 */
#include "cloudosd/request.h"

#include <stdlib.h>
#include <unistd.h>

uint64_t request_tag(struct client *client)
{
	return control_in(client->control)->header->tag;
}

const char *request_text(struct client *client, struct wire_span span)
{
	return co_msg_get(control_in(client->control), span);
}

struct later *later_new(struct client *client, uint32_t type)
{
	struct later *l = malloc(sizeof(*l));

	if (l)
		*l = (struct later){ client->control, client->id, request_tag(client),
				     type, -1 };
	else
		client_reply(client, type, request_tag(client), CO_NO_MEMORY,
			     "out of memory");
	return l;
}

void later_free(struct later *l)
{
	if (l->fd >= 0)
		(void) close(l->fd);
	free(l);
}

struct session *request_session(struct client *client, uint32_t type, uint64_t id,
				const char *name)
{
	struct session *s = session_find(client->daemon, id, name);
	char reason[160];

	if (s)
		return s;
	if (id)
		(void) snprintf(reason, sizeof(reason),
				"no session %llu is running (cloudosctl ps lists them)",
				(unsigned long long) id);
	else
		(void) snprintf(
			reason, sizeof(reason),
			"no program named \"%.64s\" is running (cloudosctl ps lists "
			"them)",
			name);
	client_reply(client, type, request_tag(client), CO_NOT_FOUND, reason);
	return NULL;
}

bool request_streaming(struct client *client, uint32_t type)
{
	if (!client->stream_tag)
		return false;
	client_reply(client, type, request_tag(client), CO_BUSY,
		     "this connection has a stream already; open another");
	return true;
}
