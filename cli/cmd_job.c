/* SPDX-License-Identifier: MIT */
/* cloudosctl job ...: work that the daemon keeps until it is done.  HOST. */
#include <inttypes.h>
#include <time.h>

#include "cli/gateway.h"
#include "lib/time.h"

#define JOB "/v1/sys/job/"
#define RECORD                                                                          \
	"id name status schedule timezone next-run=nextRunAt last-run=lastRunAt "       \
	"last-status=lastStatus runs=runCount missed skipped parent retry-of=retryOf "  \
	"scheduled-for=scheduledFor run-at=runAt created=createdAt started=startedAt "  \
	"completed=completedAt attempt max-attempts=maxAttempts timeout lease misfire " \
	"overlap handler progress params result error"

/* ---- times as the clock on the wall shows them ---- */

static bool is_time(struct co_span name)
{
	static const char suffix[] = "At\"";
	size_t n = sizeof(suffix) - 1;

	return co_json_string_is(name, "scheduledFor") ||
	       (name.size > n && memcmp(name.data + name.size - n, suffix, n) == 0);
}

/* "2026-11-20 13:00:00 CET" of the JSON string; false: it is none of a time. */
static bool add_local(struct co_buf *out, struct co_span value)
{
	struct co_span text = { value.data + 1, value.size - 2 };
	char local[64];
	uint64_t ms;
	struct tm tm;
	time_t at;

	if (co_json_kind(value) != CO_JSON_STRING || !co_time_parse(text, &ms))
		return false;
	at = (time_t) (ms / 1000);
	if (!localtime_r(&at, &tm) ||
	    !strftime(local, sizeof(local), "%Y-%m-%d %H:%M:%S %Z", &tm))
		return false;
	co_buf_json_text(out, co_span(local));
	return true;
}

static void add_job(struct co_buf *out, struct co_span job)
{
	struct co_json_walk walk = co_json_walk(job);
	struct co_span name, value;
	char before = '{';

	while (co_json_next(&walk, &name, &value)) {
		co_buf_char(out, before);
		before = ',';
		co_buf_span(out, name);
		co_buf_char(out, ':');
		if (!is_time(name) || !add_local(out, value))
			co_buf_span(out, value);
	}
	co_buf_text(out, before == '{' ? "{}" : "}");
}

/* For people only: programs get the reply as it is. */
static int checked(struct gateway *g, const struct co_buf *text, struct co_span *out)
{
	struct co_json_fault fault;

	if (!text->failed &&
	    co_json_check((struct co_span){ text->data, text->size }, out, &fault) == 0)
		return 0;
	return co_fail(&g->ctl->err, CO_NO_MEMORY, "out of memory");
}

/* Those of the columns that the job has. */
static void present(struct co_buf *out, struct co_span job, const char *columns)
{
	size_t n;

	for (const char *at = columns; *at; at += n + (at[n] == ' ')) {
		struct co_span value;
		const char *equals;
		char path[32];

		n = strcspn(at, " ");
		equals = memchr(at, '=', n);
		(void) snprintf(path, sizeof(path), "%.*s",
				(int) (equals ? (size_t) (at + n - equals - 1) : n),
				equals ? equals + 1 : at); /* ours: it fits */
		if (!co_json_member(job, path, &value))
			continue;
		if (out->size)
			co_buf_char(out, ' ');
		co_buf_add(out, at, n);
	}
}

static int show_job(struct gateway *g)
{
	autobuf struct co_buf text = { 0 }, columns = { 0 };
	struct co_span job = g->value;
	int rc = 0;

	if (g->ctl->style.format != CO_FORMAT_JSON) {
		add_job(&text, g->value);
		rc = checked(g, &text, &job);
	}
	present(&columns, job, RECORD);
	if (rc == 0 && columns.failed)
		rc = co_fail(&g->ctl->err, CO_NO_MEMORY, "out of memory");
	return rc < 0 ? rc : gateway_record(g, job, columns.data);
}

/* ---- commands ---- */

static void add_text(struct gateway *g, const char *option, const char *member)
{
	const char *text = ctl_option(g->ctl, option);

	if (!text)
		return;
	co_buf_format(&g->body, ",\"%s\":", member);
	co_buf_json_text(&g->body, co_span(text));
}

static int add_number(struct gateway *g, const char *option, const char *member,
		      uint64_t unit)
{
	uint64_t number = 0;
	int rc = ctl_option_number(g->ctl, option, 0, INT32_MAX, &number);

	if (rc == 0 && ctl_option(g->ctl, option))
		co_buf_format(&g->body, ",\"%s\":%" PRIu64, member, number * unit);
	return rc;
}

int cmd_job_create(struct ctl *ctl)
{
	autogateway struct gateway g;
	int rc = 0;

	gateway_init(&g, ctl, "POST", "/v1/sys/job");
	co_buf_text(&g.body, "{\"name\":");
	co_buf_json_text(&g.body, co_span(ctl->operands[0]));
	if (ctl->operands[1]) {
		co_buf_text(&g.body, ",\"params\":");
		rc = gateway_typed(&g, "PARAMS", ctl->operands[1], false, &g.body);
	}
	add_text(&g, "schedule", "schedule");
	add_text(&g, "timezone", "timezone");
	add_text(&g, "at", "runAt");
	add_text(&g, "misfire", "misfire");
	add_text(&g, "overlap", "overlap");
	if (rc == 0)
		rc = add_number(&g, "attempts", "maxAttempts", 1);
	if (rc == 0)
		rc = add_number(&g, "timeout", "timeout", 1000);
	if (rc == 0)
		rc = add_number(&g, "lease", "lease", 1000);
	co_buf_text(&g.body, "}");
	if (rc == 0)
		rc = gateway_call(&g);
	return rc < 0 ? rc : show_job(&g);
}

int cmd_job_ls(struct ctl *ctl)
{
	autogateway struct gateway g;
	autobuf struct co_buf text = { 0 };
	struct co_json_walk walk;
	struct co_span list, job;
	int rc;

	gateway_init(&g, ctl, "GET", "/v1/sys/jobs");
	gateway_query(&g, "parent", ctl->operands[0]);
	gateway_query_option(&g, "status", "status");
	gateway_query_option(&g, "name", "name");
	gateway_query_option(&g, "limit", "limit");
	gateway_query_option(&g, "after", "after");
	rc = gateway_call(&g);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc < 0 ? rc : gateway_table(&g, "jobs", "id");
	co_buf_text(&text, "{\"jobs\":[");
	if (co_json_member(g.value, "jobs", &list))
		for (walk = co_json_walk(list);
		     co_json_next(&walk, &(struct co_span){ 0 }, &job);) {
			if (text.data && text.data[text.size - 1] == '}')
				co_buf_char(&text, ',');
			add_job(&text, job);
		}
	co_buf_text(&text, "]}");
	rc = checked(&g, &text, &g.value);
	if (rc < 0)
		return rc;
	if (ctl->operands[0])
		return gateway_table(&g, "jobs",
				     "id status scheduled-for=scheduledFor "
				     "started=startedAt completed=completedAt result "
				     "error=error.message");
	return gateway_table(&g, "jobs",
			     "id name status schedule next-run=nextRunAt "
			     "last-run=lastRunAt last=lastStatus runs=runCount "
			     "completed=completedAt error=error.message");
}

static int ask(struct ctl *ctl, const char *method, const char *verb)
{
	autogateway struct gateway g;
	int rc;

	gateway_init(&g, ctl, method, JOB);
	gateway_path(&g, ctl->operands[0]);
	co_buf_text(&g.target, verb);
	rc = gateway_call(&g);
	return rc < 0 ? rc : show_job(&g);
}

int cmd_job_show(struct ctl *ctl)
{
	return ask(ctl, "GET", "");
}

int cmd_job_cancel(struct ctl *ctl)
{
	return ask(ctl, "POST", "/cancel");
}

int cmd_job_run(struct ctl *ctl)
{
	return ask(ctl, "POST", "/run");
}

int cmd_job_retry(struct ctl *ctl)
{
	return ask(ctl, "POST", "/retry");
}
