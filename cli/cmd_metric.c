/* SPDX-License-Identifier: MIT */
/* cloudosctl metric ...: samples of metrics.  HOST. */
#include "cli/gateway.h"

/* "method=GET,status=200" as an object of strings. */
static int add_tags(struct gateway *g, const char *tags)
{
	co_buf_text(&g->body, ",\"tags\":{");
	for (const char *end; *tags; tags = *end ? end + 1 : end) {
		const char *equals = strchr(tags, '=');

		end = strchrnul(tags, ',');
		if (!equals || equals > end || equals == tags)
			return ctl_usage(g->ctl,
					 "--tags is like method=GET,status=200");
		co_buf_json_text(&g->body,
				 (struct co_span){ tags, (size_t) (equals - tags) });
		co_buf_char(&g->body, ':');
		co_buf_json_text(
			&g->body,
			(struct co_span){ equals + 1, (size_t) (end - equals - 1) });
		if (*end)
			co_buf_char(&g->body, ',');
	}
	co_buf_char(&g->body, '}');
	return 0;
}

int cmd_metric_add(struct ctl *ctl)
{
	autogateway struct gateway g;
	const char *unit = ctl_option(ctl, "unit"), *tags = ctl_option(ctl, "tags");
	int rc;

	gateway_init(&g, ctl, "POST", "/v1/sys/metric");
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	co_buf_text(&g.body, ",\"value\":");
	rc = gateway_typed(&g, "VALUE", ctl->operands[1], false, &g.body);
	if (unit) {
		co_buf_text(&g.body, ",\"unit\":");
		co_buf_json_text(&g.body, co_span(unit));
	}
	if (rc == 0 && tags)
		rc = add_tags(&g, tags);
	co_buf_char(&g.body, '}');
	if (rc == 0)
		rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_record(&g, g.value, "id timestamp");
}

int cmd_metric_ls(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, "GET", "/v1/sys/metrics");
	gateway_query(&g, "name", ctl->operands[0]);
	gateway_query_option(&g, "from", "from");
	gateway_query_option(&g, "to", "to");
	gateway_query_option(&g, "lines", "limit");
	gateway_query(&g, "order", ctl_option(ctl, "newest") ? "desc" : "asc");
	rc = gateway_call(&g);
	return rc < 0 ? rc
		      : gateway_table(&g, "metrics", "timestamp name value unit tags");
}
