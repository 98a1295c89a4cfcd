/* SPDX-License-Identifier: MIT */
/* cloudosctl event ...: what happens, said and followed.  HOST. */
#include "cli/gateway.h"

#define COLUMNS "timestamp event source data"

int cmd_event_emit(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc = 0;

	gateway_init(&g, ctl, "POST", "/v1/sys/event");
	co_buf_text(&g.body, "{\"event\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	if (ctl->operands[1]) {
		co_buf_text(&g.body, ",\"data\":");
		rc = gateway_typed(&g, "DATA", ctl->operands[1],
				   ctl_option(ctl, "text") != NULL, &g.body);
	}
	co_buf_char(&g.body, '}');
	if (rc == 0)
		rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_record(&g, g.value, "id timestamp");
}

static int show(struct gateway *g, struct co_span event, void *arg)
{
	return gateway_row(g, arg, event, COLUMNS);
}

int cmd_event_tail(struct ctl *ctl)
{
	autogateway struct gateway g;
	struct co_print *rows;
	int rc;

	gateway_init(&g, ctl, "GET", "/v1/sys/events");
	gateway_query(&g, "event", ctl->operands[0]);
	gateway_query_option(&g, "since", "since");
	if (ctl_option(ctl, "after"))
		gateway_header(&g, "Last-Event-ID", ctl_option(ctl, "after"));
	ctl->style.stream = true;
	rows = gateway_rows(&g, COLUMNS);
	if (!rows)
		return ctl->err.code;
	rc = gateway_stream(&g, show, rows);
	(void) co_print_end(rows); /* a stream ends with a failure, which is told */
	return rc;
}
