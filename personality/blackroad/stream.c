/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/sys/stream: logs, metrics, events and the trace of guests' calls in one event
 * stream, so that a page needs one connection; and GET /v1/sys/trace, that one alone.  HOST.
 *
 * Frames are {"topic","service","entry"}, or {"topic","gap":{"lost"}}; their id says where
 * each of the three numbered topics stands: LOGS.METRICS.EVENTS in base 36.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/pattern.h"
#include "lib/sse.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/rows.h"
#include "personality/blackroad/sse.h"

enum { POSITION = 3 * 16 };

struct topic {
	const char *name, *also;
	enum store_table table;
	const char *pattern; /* of events */
};

static const struct topic topics[] = { { "log", "logs", STORE_LOGS, NULL },
				       { "metric", "metrics", STORE_METRICS, NULL },
				       { "event", "events", STORE_EVENTS, NULL },
				       { "job", "jobs", STORE_EVENTS, "job:*" },
				       { "service", "services", STORE_EVENTS,
					 "service:*" } };

struct stream;

/* One reader for all topics of a table, so that there is one place where it stands. */
struct follow {
	struct stream *stream;
	enum store_table table;
	struct feed_reader *reader;
	bool paused;
};

struct stream {
	struct sse *sse;
	const struct co_host *host;
	struct follow follows[STORE_TABLES];
	bool wanted[co_countof(topics)];
	struct trace_reader *trace;
	bool bare; /* entries without a topic around them */
	uint64_t at[STORE_TABLES];
	uint64_t dropped; /* calls since the last one that was told */
};

/* ---- positions ---- */

static void write_base36(char **at, uint64_t number)
{
	char id[FEED_ID_MAX];
	const char *digits;

	feed_id(id, 0, number);
	digits = strchr(id, '-') + 1;
	memcpy(*at, digits, strlen(digits));
	*at += strlen(digits);
}

static void position(const struct stream *s, char out[POSITION])
{
	char *at = out;

	for (size_t i = 0; i < STORE_TABLES; i++) {
		if (i)
			*at++ = '.';
		write_base36(&at, s->at[i]);
	}
	*at = '\0';
}

/* False: there is none, or it is not one of ours. */
static bool position_parse(struct co_span text, uint64_t out[STORE_TABLES])
{
	for (size_t i = 0; i < STORE_TABLES; i++) {
		const char *dot = memchr(text.data, '.', text.size);
		size_t n = dot ? (size_t) (dot - text.data) : text.size;
		char id[FEED_ID_MAX];
		uint64_t at_ms;
		int size;

		if ((dot == NULL) != (i == STORE_TABLES - 1) || n > 13)
			return false;
		size = snprintf(id, sizeof(id), "0000000000000-%.*s", (int) n,
				text.data);
		if (!feed_id_parse((struct co_span){ id, (size_t) size }, &at_ms,
				   &out[i]))
			return false;
		text.data += n + (dot != NULL);
		text.size -= n + (dot != NULL);
	}
	return true;
}

/* ---- frames ---- */

static void frame(const struct stream *s, struct co_buf *out, const struct co_buf *json)
{
	char id[POSITION];

	position(s, id);
	co_sse_frame(out, s->bare ? (struct co_span){ 0 } : co_span(id),
		     (struct co_span){ json->data, json->size });
}

static void write_item(struct stream *s, const struct topic *topic,
		       const struct feed_item *item, struct co_buf *out)
{
	autobuf struct co_buf json = { 0 };

	co_buf_format(&json, "{\"topic\":\"%s\",", topic->name);
	if (item->lost) {
		co_buf_format(&json, "\"gap\":{\"lost\":%llu}}",
			      (unsigned long long) item->lost);
	} else {
		co_buf_text(&json, "\"service\":");
		co_buf_json_text(&json, item->row->service);
		co_buf_text(&json, ",\"entry\":");
		co_buf_span(&json, item->json);
		co_buf_char(&json, '}');
	}
	frame(s, out, &json);
}

static bool told(void *arg, const struct feed_item *item)
{
	struct follow *f = arg;
	struct stream *s = f->stream;
	autobuf struct co_buf out = { 0 };

	s->at[f->table] = item->row->number;
	for (size_t i = 0; i < co_countof(topics); i++)
		if (s->wanted[i] && topics[i].table == f->table &&
		    (item->lost ||
		     co_pattern_match(co_span(topics[i].pattern), item->row->name)))
			write_item(s, &topics[i], item, &out);
	f->paused = !sse_write(s->sse, (struct co_span){ out.data, out.size });
	return !f->paused;
}

static void told_call(void *arg, struct co_span call)
{
	struct stream *s = arg;
	autobuf struct co_buf json = { 0 };
	autobuf struct co_buf out = { 0 };

	if (s->bare) {
		co_buf_span(&json, call);
	} else {
		co_buf_text(&json, "{\"topic\":\"trace\",");
		if (s->dropped)
			co_buf_format(&json, "\"dropped\":%llu,",
				      (unsigned long long) s->dropped);
		co_buf_text(&json, "\"entry\":");
		co_buf_span(&json, call);
		co_buf_char(&json, '}');
	}
	frame(s, &out, &json);
	/* calls come by the hundred thousand: those without room are counted */
	if (!out.failed && sse_try(s->sse, (struct co_span){ out.data, out.size }))
		s->dropped = 0;
	else
		s->dropped++;
}

/* ---- the life of a stream ---- */

static void room(void *arg)
{
	struct stream *s = arg;

	for (size_t i = 0; i < STORE_TABLES; i++)
		if (s->follows[i].reader && s->follows[i].paused) {
			s->follows[i].paused = false;
			feed_resume(s->follows[i].reader);
		}
}

static void stream_end(struct stream *s)
{
	for (size_t i = 0; i < STORE_TABLES; i++)
		(void) feed_end(s->follows[i].reader); /* NULL */
	(void) traces_end(s->trace);                   /* NULL */
	free(s);
}

static void closed(void *arg)
{
	stream_end(arg);
}

static const struct sse_events stream_events = { room, closed };

static struct feed *feed_of(const struct co_services *services, enum store_table table)
{
	switch (table) {
	case STORE_LOGS:
		return logs_feed(services->logs);
	case STORE_METRICS:
		return metrics_feed(services->metrics);
	default:
		return events_feed(services->events);
	}
}

/* The rows that any wanted topic of a table is about; false: there is none. */
static bool pattern_of(const struct stream *s, enum store_table table,
		       struct co_buf *out)
{
	bool any = false, all = false;

	for (size_t i = 0; i < co_countof(topics); i++) {
		if (!s->wanted[i] || topics[i].table != table)
			continue;
		any = true;
		all = all || !topics[i].pattern;
		co_buf_format(out, "%s%s", out->size ? "," : "",
			      topics[i].pattern ? topics[i].pattern : "");
	}
	if (all)
		out->size = 0;
	return any;
}

static int follow(struct stream *s, struct http_call *call, enum store_table table,
		  const uint64_t *resume)
{
	struct feed *feed = feed_of(http_services(call), table);
	autobuf struct co_buf pattern = { 0 };
	struct feed_want want = { .service = row_service(call).data };

	s->at[table] = feed_newest(feed);
	if (!pattern_of(s, table, &pattern))
		return 0;
	want.pattern = (struct co_span){ pattern.data, pattern.size };
	if (resume && resume[table] <= s->at[table]) {
		want.from = FEED_AFTER;
		want.value = s->at[table] = resume[table];
	}
	s->follows[table] = (struct follow){ .stream = s, .table = table };
	return pattern.failed ? CO_NO_MEMORY
			      : feed_begin(&s->follows[table].reader, feed, &want, told,
					   &s->follows[table]);
}

/* Is that one of the topics asked for?  All but the trace without being asked. */
static bool wanted(struct co_span asked, const char *name, const char *also)
{
	if (!asked.data)
		return strcmp(name, "log") == 0 || strcmp(name, "metric") == 0 ||
		       strcmp(name, "event") == 0;
	return co_pattern_match(asked, co_span(name)) ||
	       co_pattern_match(asked, co_span(also));
}

static int begin(struct stream *s, struct http_call *call, struct co_span asked)
{
	const struct co_services *services = http_services(call);
	uint64_t resume[STORE_TABLES];
	struct co_span last;
	bool resumed = http_header(call, "last-event-id", &last) &&
		       position_parse(last, resume);
	size_t found = 0;
	int status = 0;

	for (size_t i = 0; i < co_countof(topics); i++) {
		s->wanted[i] = wanted(asked, topics[i].name, topics[i].also);
		found += s->wanted[i];
	}
	for (size_t i = 0; status == 0 && i < STORE_TABLES; i++)
		status = follow(s, call, (enum store_table) i, resumed ? resume : NULL);
	if (status == 0 && asked.data && wanted(asked, "trace", "traces")) {
		status = traces_begin(&s->trace, services->traces, told_call, s);
		found++;
	}
	if (status == 0 && !found)
		status = CO_INVALID;
	return status;
}

static void serve(struct http_call *call, struct co_span asked, bool bare)
{
	struct stream *s = calloc(1, sizeof(*s));
	int status = CO_NO_MEMORY;

	if (s) {
		s->bare = bare;
		status = begin(s, call, asked);
	}
	if (status == 0) {
		s->sse = sse_begin(call, &stream_events, s);
		if (!s->sse)
			stream_end(s);
		return;
	}
	if (s)
		stream_end(s);
	http_fail_status(call, status,
			 status == CO_INVALID
				 ? "there is none of these topics; topics are log, "
				   "metric, event, job, service and trace, with commas "
				   "between them"
				 : NULL);
}

void blackroad_on_stream(struct http_call *call,
			 const struct blackroad_stream_args *args)
{
	serve(call, args->topics, false);
}

void blackroad_on_trace(struct http_call *call, const struct blackroad_trace_args *args)
{
	(void) args;
	serve(call, co_span("trace"), true);
}
