/* SPDX-License-Identifier: MIT */
/* cloudosctl rpc ...: methods of services.  HOST. */
#include <co/limits.h>
#include <inttypes.h>

#include "cli/gateway.h"

enum { MORE_MS = 10000 }; /* than the call may take */

int cmd_rpc_call(struct ctl *ctl)
{
	autogateway struct gateway g;
	bool json = ctl->style.format == CO_FORMAT_JSON;
	struct co_span result;
	uint64_t timeout = 10000;
	int rc =
		ctl_option_number(ctl, "timeout", 1, CO_LIMIT_RPC_TIMEOUT_MS, &timeout);

	gateway_init(&g, ctl, "POST", "/v1/sys/rpc");
	co_buf_text(&g.body, "{\"method\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	if (ctl->operands[1]) {
		co_buf_text(&g.body, ",\"params\":");
		if (rc == 0)
			rc = gateway_typed(&g, "PARAMS", ctl->operands[1],
					   ctl_option(ctl, "text") != NULL, &g.body);
	}
	co_buf_format(&g.body, ",\"timeout\":%" PRIu64 "}", timeout);
	g.timeout_ms = (int) timeout + MORE_MS;
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	if (json || !co_json_member(g.value, "result", &result))
		return gateway_json(&g, g.value);
	return gateway_text(&g, result);
}

int cmd_rpc_methods(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", "/v1/sys/methods");
	rc = gateway_call(&g);
	return rc < 0 ? rc
		      : gateway_table(
				&g, "methods",
				"name kind handlers in-flight=inFlight queued calls "
				"failed");
}
