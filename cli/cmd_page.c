/* SPDX-License-Identifier: MIT */
/* cloudosctl page: where the daemon can be looked at.  HOST. */
#include "cli/gateway.h"

int cmd_page(struct ctl *ctl)
{
	autogateway struct gateway g;
	struct co_span dns, url;
	int rc;

	gateway_init(&g, ctl, "GET", "/v1/sys/identity");
	rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	if (!co_json_member(g.value, "dns", &dns) ||
	    !co_json_member(dns, "internal", &url) || url.size <= 2)
		return co_fail(&ctl->err, CO_NOT_FOUND,
			       "the gateway listens on no address: set http.address in "
			       "cloudosd.yaml");
	return gateway_text(&g, url);
}
