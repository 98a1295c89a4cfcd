/* SPDX-License-Identifier: MIT */
/* cloudosctl log ...: what services log.  HOST. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "cli/gateway.h"

#define COLUMNS "timestamp level service message meta"

enum { LINES = 20, LINES_MAX = 1000 };

int cmd_log_write(struct ctl *ctl)
{
	autogateway struct gateway g;
	const char *level = ctl_option(ctl, "level"), *meta = ctl_option(ctl, "meta");
	int rc = 0;

	gateway_init(&g, ctl, "POST", "/v1/sys/log");
	co_buf_text(&g.body, "{\"level\":");
	co_buf_json_text(&g.body, co_span(level ? level : "info"));
	co_buf_text(&g.body, ",\"message\":");
	rc = gateway_typed(&g, "MESSAGE", ctl->operands[0], true, &g.body);
	if (rc == 0 && meta) {
		co_buf_text(&g.body, ",\"meta\":");
		rc = gateway_typed(&g, "--meta", meta, false, &g.body);
	}
	co_buf_char(&g.body, '}');
	if (rc == 0)
		rc = gateway_call(&g);
	return rc < 0 ? rc : gateway_record(&g, g.value, "id timestamp");
}

/* ---- tail ---- */

struct tail {
	struct co_print *rows;
	const char *level, *contains;
	unsigned tries;
	char last[32]; /* where the stream goes on: the number of the last entry */
};

static void note_last(struct tail *t, struct co_span entry)
{
	struct co_span id;
	const char *dash;

	if (!co_json_member(entry, "id", &id))
		return;
	dash = memchr(id.data, '-', id.size);
	if (dash)
		(void) snprintf(t->last, sizeof(t->last), "%.*s",
				(int) (id.data + id.size - 1 - (dash + 1)), dash + 1);
}

/* The listing is newest first; people read from the top. */
static int show_before(struct gateway *g, struct tail *t)
{
	struct co_span entries[LINES_MAX], logs = { 0 }, name;
	struct co_json_walk walk;
	size_t n = 0;
	int rc = 0;

	if (!co_json_member(g->value, "logs", &logs))
		return 0;
	walk = co_json_walk(logs);
	while (n < LINES_MAX && co_json_next(&walk, &name, &entries[n]))
		n++;
	if (n)
		note_last(t, entries[0]);
	while (rc == 0 && n)
		rc = gateway_row(g, t->rows, entries[--n], COLUMNS);
	return rc;
}

static bool has_text(struct co_span text, const char *part)
{
	size_t n = strlen(part);

	for (size_t i = 0; i + n <= text.size; i++)
		if (strncasecmp(text.data + i, part, n) == 0)
			return true;
	return false;
}

static int show_next(struct gateway *g, struct co_span json, void *arg)
{
	struct tail *t = arg;
	struct co_span entry, level;

	if (!co_json_member(json, "entry", &entry) ||
	    !co_json_member(entry, "level", &level))
		return 0; /* a gap: what was forgotten cannot be shown */
	note_last(t, entry);
	t->tries = 0;
	if ((t->level && !co_json_string_is(level, t->level)) ||
	    (t->contains && !has_text(entry, t->contains)))
		return 0;
	return gateway_row(g, t->rows, entry, COLUMNS);
}

static int follow_once(struct ctl *ctl, struct tail *t)
{
	autogateway struct gateway g;
	char at[48];

	gateway_init(&g, ctl, "GET", "/v1/sys/stream");
	gateway_query(&g, "topics", "log");
	(void) snprintf(at, sizeof(at), "%s.0.0", t->last);
	if (*t->last)
		gateway_header(&g, "Last-Event-ID", at);
	return gateway_stream(&g, show_next, t);
}

/* Across daemons: the next one has what came meanwhile. */
static int follow(struct ctl *ctl, struct tail *t)
{
	int rc;

	do
		rc = follow_once(ctl, t);
	while (gateway_again(ctl, rc, &t->tries));
	return rc;
}

int cmd_log_tail(struct ctl *ctl)
{
	autogateway struct gateway g;
	struct tail t = { .level = ctl_option(ctl, "level"),
			  .contains = ctl_option(ctl, "contains") };
	uint64_t lines = LINES;
	char limit[24];
	int rc = ctl_option_number(ctl, "lines", 0, LINES_MAX, &lines);

	gateway_init(&g, ctl, "GET", "/v1/sys/logs");
	gateway_query(&g, "order", "desc");
	(void) snprintf(limit, sizeof(limit), "%" PRIu64, lines);
	gateway_query(&g, "limit", limit);
	gateway_query_option(&g, "level", "level");
	gateway_query_option(&g, "contains", "contains");
	if (rc == 0)
		rc = gateway_call(&g);
	if (rc < 0)
		return rc;
	ctl->style.stream = true;
	t.rows = gateway_rows(&g, COLUMNS);
	if (!t.rows)
		return ctl->err.code;
	rc = show_before(&g, &t);
	if (rc == 0 && ctl_option(ctl, "follow"))
		rc = follow(ctl, &t);
	if (rc < 0) {
		(void) co_print_end(t.rows); /* the first failure is the one to tell */
		return rc;
	}
	return ctl_printed(ctl, co_print_end(t.rows));
}
