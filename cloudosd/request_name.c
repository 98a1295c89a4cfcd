/* SPDX-License-Identifier: MIT */
/* Requests about the registry of names.  HOST. */
#include <arpa/inet.h>
#include <string.h>

#include "cloudosd/request.h"
#include "cloudosd/service/names.h"

/* "" without an address. */
static void dotted(struct in_addr address, char out[INET_ADDRSTRLEN])
{
	out[0] = 0;
	if (address.s_addr)
		(void) inet_ntop(AF_INET, &address, out, INET_ADDRSTRLEN);
}

static void name_row_send(struct client *client, uint64_t tag, const struct name *name)
{
	const struct names *names = client->daemon->names;
	struct co_msg *out = control_out(client->control);
	struct wire_name_row *row = co_msg_start(out, WIRE_name_row, tag);
	char front[INET_ADDRSTRLEN], back[INET_ADDRSTRLEN];

	dotted(names_front(names, name), front);
	dotted(names_back(names, name), back);
	co_msg_text(out, &row->word, name->word);
	co_msg_text(out, &row->name, name->name);
	co_msg_text(out, &row->role, name->role);
	row->port = name->port;
	row->serving = names_serving(names, name);
	co_msg_text(out, &row->front, front);
	co_msg_text(out, &row->back, back);
	co_msg_text(out, &row->internal, name->internal);
	co_msg_text(out, &row->cloudflare, name->cloudflare);
	co_msg_text(out, &row->railway, name->railway);
	co_msg_text(out, &row->railway_development, name->railway_development);
	co_msg_text(out, &row->health, name->health);
	co_msg_text(out, &row->stderr_level, name->stderr_level);
	client_send(client);
}

/* All of them, or the one that goes by that name. */
void request_name_list(struct client *client)
{
	const struct wire_name_list_req *req =
		(const void *) control_in(client->control)->bytes;
	const char *text = request_text(client, req->name);
	const struct names *names = client->daemon->names;
	uint64_t tag = req->h.tag;
	const struct name *one = *text ? names_find(names, co_span(text)) : NULL;
	char reason[192];

	if (*text && !one) {
		(void) snprintf(reason, sizeof(reason),
				"no service of the registry of names is called "
				"\"%.64s\"; `cloudosctl service names` lists them, "
				"services.yaml adds one",
				text);
		client_reply(client, WIRE_name_list_rep, tag, CO_NOT_FOUND, reason);
		return;
	}
	for (size_t i = 0; i < names_count(names); i++)
		if (!one || one == names_at(names, i))
			name_row_send(client, tag, names_at(names, i));
	client_reply(client, WIRE_name_list_rep, tag, 0, NULL);
}
