/* SPDX-License-Identifier: MIT */
/* Logs of services.  HOST. */
#include "cloudosd/service/logs.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/service/feed_add.h"
#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/json_scan.h"
#include "lib/log.h"
#include "store/store.h"

struct logs {
	struct feed_adder adder;
	struct feed *feed;
};

static const char *const levels[] = { "debug", "info", "warn", "error", "fatal" };

bool log_level_known(struct co_span level)
{
	for (size_t i = 0; i < co_countof(levels); i++)
		if (co_span_is(level, levels[i]))
			return true;
	return false;
}

void logs_json(struct co_buf *out, const struct store_row *row)
{
	char id[FEED_ID_MAX];

	feed_id(id, row->at_ms, row->number);
	co_buf_text(out, "{\"id\":\"");
	co_buf_text(out, id);
	co_buf_text(out, "\",\"timestamp\":");
	co_buf_json_time(out, row->at_ms);
	co_buf_text(out, ",\"level\":");
	co_buf_json_text(out, row->name);
	co_buf_text(out, ",\"message\":");
	co_buf_json_text(out, row->text);
	co_buf_text(out, ",\"service\":");
	co_buf_json_text(out, row->source.data ? row->source : row->service);
	if (row->json.data) {
		co_buf_text(out, ",\"meta\":");
		co_buf_span(out, row->json);
	}
	co_buf_char(out, '}');
}

int logs_add(struct logs *logs, const struct log_entry *entry, logs_done *done,
	     void *arg)
{
	struct store_row row = { .service = co_span(entry->service),
				 .source = entry->source,
				 .name = entry->level,
				 .text = entry->message,
				 .json = entry->meta };
	int status = 0;

	if (!log_level_known(entry->level))
		status = feed_refuse(&logs->adder, CO_INVALID,
				     "there is no such level; levels are debug, info, "
				     "warn, error and fatal");
	if (status == 0)
		status = feed_check_label(&logs->adder, "service", entry->source);
	if (status == 0)
		status = feed_add(&logs->adder, &row, done, arg);
	return status;
}

const char *logs_reason(const struct logs *logs)
{
	return logs->adder.reason;
}

/* ---- what programs print ---- */

struct printing {
	struct logs *logs;
	const struct log_output *output;
	struct co_buf plain; /* meta of lines that say nothing else */
};

/* A line that is an object with a level and a message speaks for itself. */
static bool read_object(struct co_span line, struct log_entry *entry,
			struct co_buf *message, struct co_buf *level)
{
	struct co_json_fault fault;
	struct co_span object, value;

	if (!line.size || line.data[0] != '{' ||
	    co_json_check(line, &object, &fault) < 0 ||
	    !co_json_member(object, "level", &value) ||
	    co_json_unescape(value, level) < 0 ||
	    !co_json_member(object, "message", &value) ||
	    co_json_unescape(value, message) < 0)
		return false;
	entry->level = (struct co_span){ level->data, level->size };
	if (!log_level_known(entry->level))
		return false;
	entry->message =
		(struct co_span){ message->data ? message->data : "", message->size };
	if (co_json_member(object, "meta", &value) &&
	    co_json_kind(value) == CO_JSON_OBJECT)
		entry->meta = value;
	return true;
}

static int print_line(struct printing *p, struct co_span line, logs_done *done,
		      void *arg)
{
	autobuf struct co_buf message = { 0 };
	autobuf struct co_buf level = { 0 };
	struct log_entry entry = { .service = p->output->service,
				   .meta = { p->plain.data, p->plain.size } };

	if (!read_object(line, &entry, &message, &level)) {
		entry.level = co_span(!p->output->standard_error ? "info"
				      : p->output->error_level ? p->output->error_level
							       : "warn");
		entry.message = line;
	}
	return logs_add(p->logs, &entry, done, arg);
}

/* Takes the first line, without its end; a long one in parts, between characters. */
static struct co_span first_line(struct co_span *rest)
{
	const char *end = memchr(rest->data, '\n', rest->size);
	struct co_span line = { rest->data,
				end ? (size_t) (end - rest->data) : rest->size };
	size_t taken = line.size + (end != NULL);

	if (line.size > CO_LIMIT_TELEMETRY_LINE) {
		line.size = CO_LIMIT_TELEMETRY_LINE;
		while (line.size > CO_LIMIT_TELEMETRY_LINE - 4 &&
		       ((unsigned char) line.data[line.size] & 0xc0) == 0x80)
			line.size--;
		taken = line.size;
	} else if (end && line.size && line.data[line.size - 1] == '\r') {
		line.size--;
	}
	*rest = (struct co_span){ rest->data + taken, rest->size - taken };
	return line;
}

int logs_add_output(struct logs *logs, const struct log_output *output, logs_done *done,
		    void *arg)
{
	autobuf struct co_buf last = { 0 };
	struct printing p = { .logs = logs, .output = output };
	struct co_span rest = output->text;
	size_t taken = 0;
	int status = 0;

	co_buf_format(&p.plain, "{\"stream\":\"%s\",\"pid\":%d}",
		      output->standard_error ? "stderr" : "stdout", output->pid);
	if (p.plain.failed || !rest.size)
		status = rest.size ? CO_NO_MEMORY : CO_INVALID;
	while (status == 0 && rest.size) {
		struct co_span line = first_line(&rest);

		status = print_line(&p, line, rest.size ? NULL : done, arg);
		taken += status == 0;
	}
	co_buf_done(&p.plain);
	if (status == 0 || taken == 0)
		return status;
	/* in the middle: what is left is lost, and counted; the answer comes at once */
	for (; rest.size; (void) first_line(&rest))
		logs->adder.lost++;
	if (done)
		done(arg, status, logs->adder.reason, "", 0);
	return 0;
}

/* ---- the daemon's own ---- */

void logs_add_own(struct logs *logs, const struct co_log_line *line)
{
	char meta[96];
	int n = snprintf(meta, sizeof(meta), "{\"subsystem\":\"%s\"",
			 co_log_subsystem_name(line->subsystem));
	struct store_row row = { .at_ms = line->at_us / 1000,
				 .service = co_span("cloudosd"),
				 .name = co_span(co_log_level_name(line->level)),
				 .text = co_span(line->message) };

	if (line->session)
		n += snprintf(meta + n, sizeof(meta) - (size_t) n, ",\"session\":%llu",
			      (unsigned long long) line->session);
	if (line->tid)
		n += snprintf(meta + n, sizeof(meta) - (size_t) n, ",\"tid\":%d",
			      line->tid);
	(void) snprintf(meta + n, sizeof(meta) - (size_t) n, "}");
	row.json = co_span(meta);
	/* counted by the store when there is no room */
	(void) store_row_add(logs->adder.store, STORE_LOGS, &row, NULL, NULL);
}

/* ---- the life of it ---- */

struct feed *logs_feed(struct logs *logs)
{
	return logs->feed;
}

struct logs *logs_new(const struct co_host *host, struct store *store)
{
	struct logs *logs = calloc(1, sizeof(*logs));

	if (!logs)
		return NULL;
	logs->adder = (struct feed_adder){ .host = host,
					   .store = store,
					   .table = STORE_LOGS };
	logs->feed = feed_new(
		host, store,
		&(struct feed_options){ .table = STORE_LOGS, .json = logs_json });
	return logs->feed ? logs : logs_free(logs);
}

struct logs *logs_free(struct logs *logs)
{
	if (!logs)
		return NULL;
	(void) feed_free(logs->feed); /* NULL */
	free(logs);
	return NULL;
}
