/* SPDX-License-Identifier: MIT */
/* cloudosctl state ...: the values that services keep in the daemon.  HOST. */
#include <inttypes.h>

#include "cli/gateway.h"

#define STATE "/v1/sys/state"
#define ENTRY "key value version updated=updatedAt expires=expiresAt"

int cmd_state_get(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", STATE);
	gateway_query(&g, "key", ctl->operands[0]);
	rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_record(&g, g.value, ENTRY);
}

/* A number among the members of the body, if its option was given. */
static int add_number(struct gateway *g, const char *option, const char *member)
{
	uint64_t number = 0;
	int rc = ctl_option_number(g->ctl, option, 0, INT64_MAX, &number);

	if (rc == 0 && ctl_option(g->ctl, option))
		co_buf_format(&g->body, ",\"%s\":%" PRIu64, member, number);
	return rc;
}

int cmd_state_set(struct ctl *ctl)
{
	autogateway struct gateway g;
	bool create = ctl_option(ctl, "create") != NULL;
	int rc;

	gateway_init(&g, ctl, "PUT", STATE);
	if (create && ctl_option(ctl, "if-version"))
		return ctl_usage(ctl, "--create is --if-version 0; give one of them");
	co_buf_text(&g.body, "{\"key\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	co_buf_text(&g.body, ",\"value\":");
	rc = gateway_typed(&g, "VALUE", ctl->operands[1],
			   ctl_option(ctl, "text") != NULL, &g.body);
	if (rc == 0)
		rc = add_number(&g, "if-version", "expectedVersion");
	if (rc == 0)
		rc = add_number(&g, "ttl", "ttl");
	if (rc < 0)
		return rc;
	co_buf_text(&g.body, create ? ",\"expectedVersion\":0}" : "}");
	rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_record(&g, g.value, ENTRY);
}

int cmd_state_delete(struct ctl *ctl)
{
	autogateway struct gateway g;
	uint64_t version = 0;
	char tag[32];
	int rc = ctl_option_number(ctl, "if-version", 1, INT64_MAX, &version);

	gateway_init(&g, ctl, "DELETE", STATE);
	gateway_query(&g, "key", ctl->operands[0]);
	(void) snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"", version); /* fits */
	if (version)
		gateway_header(&g, "If-Match", tag);
	if (rc == 0)
		rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_record(&g, g.value, "key deleted version");
}

int cmd_state_list(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", STATE);
	gateway_query(&g, "prefix", ctl->operands[0]);
	gateway_query_option(&g, "limit", "limit");
	gateway_query_option(&g, "after", "after");
	rc = gateway_call(&g);
	return rc < 0 ? rc
		      : gateway_table(&g, "state",
				      "key version updated=updatedAt value");
}

int cmd_state_tx(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "POST", STATE "/tx");
	co_buf_text(&g.body, "{\"ops\":");
	rc = gateway_typed(&g, "OPERATIONS", ctl->operands[0], false, &g.body);
	co_buf_text(&g.body, "}");
	if (rc == 0)
		rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_table(&g, "results", "op key version");
}
