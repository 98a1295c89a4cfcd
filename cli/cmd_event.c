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

struct tail {
	struct co_print *rows;
	unsigned tries;
	char last[64]; /* id of the last event */
};

static int show(struct gateway *g, struct co_span event, void *arg)
{
	struct tail *t = arg;
	struct co_span id;

	if (co_json_member(event, "id", &id) && id.size < sizeof(t->last) + 2)
		(void) snprintf(t->last, sizeof(t->last), "%.*s", (int) id.size - 2,
				id.data + 1);
	t->tries = 0;
	return gateway_row(g, t->rows, event, COLUMNS);
}

static int follow(struct ctl *ctl, struct tail *t)
{
	autogateway struct gateway g;

	gateway_init(&g, ctl, "GET", "/v1/sys/events");
	gateway_query(&g, "event", ctl->operands[0]);
	gateway_query_option(&g, "since", "since");
	if (*t->last)
		gateway_header(&g, "Last-Event-ID", t->last);
	return gateway_stream(&g, show, t);
}

int cmd_event_tail(struct ctl *ctl)
{
	autogateway struct gateway g;
	struct tail t = { 0 };
	int rc;

	gateway_init(&g, ctl, "GET", "/v1/sys/events"); /* for its rows */
	if (ctl_option(ctl, "after"))
		(void) snprintf(t.last, sizeof(t.last), "%s", ctl_option(ctl, "after"));
	ctl->style.stream = true;
	t.rows = gateway_rows(&g, COLUMNS);
	if (!t.rows)
		return ctl->err.code;
	/* across daemons: the next one has what came meanwhile */
	do
		rc = follow(ctl, &t);
	while (gateway_again(ctl, rc, &t.tries));
	(void) co_print_end(t.rows); /* a stream ends with a failure, which is told */
	return rc;
}
