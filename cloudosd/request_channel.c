/* SPDX-License-Identifier: MIT */
/* Requests about ports, messages and capabilities.  HOST. */
#include "cloudosd/peer.h"
#include "cloudosd/request.h"

void request_token_get(struct client *client)
{
	struct co_msg *out = control_out(client->control);
	struct wire_token_get_rep *rep =
		co_msg_reply(out, WIRE_token_get_rep, request_tag(client), 0, NULL);

	(void) co_msg_bytes(out, &rep->tokens, peers_tokens(client->daemon->peers),
			    PEERS_TOKENS * sizeof(uint64_t)); /* fits */
	client_send(client);
}
