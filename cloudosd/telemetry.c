/* SPDX-License-Identifier: MIT */
/* Logs, metrics and events of this daemon.  HOST. */
#include "cloudosd/telemetry.h"

#include "cloudosd/daemon.h"
#include "cloudosd/http/server.h"
#include "cloudosd/peer.h"
#include "cloudosd/service/handler.h"
#include "cloudosd/service/job.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* ---- what happens to services ---- */

static void registry_event(void *arg, const struct registry_event *event)
{
	struct daemon *d = arg;
	autobuf struct co_buf name = { 0 };
	autobuf struct co_buf data = { 0 };
	const struct service_instance *instance = event->instance;

	if (!instance)
		return;
	co_buf_format(&name, "service:%s", registry_event_name(event->kind));
	co_buf_text(&data, "{\"name\":");
	co_buf_json_text(&data, co_span(instance->spec.name));
	co_buf_format(&data, ",\"pid\":%d,\"port\":%u,\"reason\":", instance->owner.pid,
		      (unsigned) instance->spec.port);
	co_buf_json_text(&data, co_span(event->reason));
	co_buf_char(&data, '}');
	if (name.failed || data.failed)
		return;
	/* counted when it cannot be kept */
	(void) events_emit(d->services.events,
			   &(struct event){ .service = "cloudosd",
					    .name = { name.data, name.size },
					    .data = { data.data, data.size } },
			   NULL, NULL);
}

/* ---- numbers for GET /metrics ---- */

static void one(struct co_buf *out, const char *name, const char *type,
		const char *help, double value)
{
	metrics_family(out, name, type, help);
	metrics_sample(out, name, "", value);
}

static void write_daemon(void *arg, struct co_buf *out)
{
	struct daemon *d = arg;
	struct session *s;
	uint64_t now = d->host->now_ms(d->host->ctx);
	unsigned sessions = 0;

	for (s = d->sessions; s; s = s->hh.next)
		sessions++;
	one(out, "cloudos_uptime_seconds", "gauge", "Since this daemon was started.",
	    (double) (now - d->started_ms) / 1000);
	one(out, "cloudos_sessions", "gauge", "Programs under this daemon.", sessions);
	one(out, "cloudos_calls_total", "counter",
	    "System calls of programs that were answered.",
	    (double) atomic_load(&d->calls));
	one(out, "cloudos_calls_failed_total", "counter", "Of them, with a failure.",
	    (double) atomic_load(&d->calls_failed));
}

static void write_http(void *arg, struct co_buf *out)
{
	struct daemon *d = arg;
	struct http_numbers n;

	if (!d->http)
		return;
	n = http_server_numbers(d->http);
	one(out, "cloudos_http_requests_total", "counter", "Requests to the gateway.",
	    (double) n.requests);
	one(out, "cloudos_http_refused_total", "counter",
	    "Of them, those that were none or not allowed.", (double) n.refused);
	one(out, "cloudos_http_connections_accepted_total", "counter",
	    "Connections to the gateway.", (double) n.accepted);
	one(out, "cloudos_http_connections", "gauge", "Of them, those open now.",
	    n.connections);
	one(out, "cloudos_http_streams", "gauge", "Streams open now.", n.streams);
}

static void write_handlers(void *arg, struct co_buf *out)
{
	struct daemon *d = arg;
	struct handlers_numbers n;

	if (!d->services.handlers)
		return;
	n = handlers_numbers(d->services.handlers);
	one(out, "cloudos_handlers", "gauge", "Who answers calls.", n.providers);
	one(out, "cloudos_handler_calls_in_flight", "gauge", "Calls being answered.",
	    n.in_flight);
	one(out, "cloudos_handler_calls_queued", "gauge",
	    "Calls waiting for a handler.", n.queued);
	one(out, "cloudos_handler_calls_total", "counter", "Calls to handlers.",
	    (double) n.calls);
	one(out, "cloudos_handler_calls_failed_total", "counter",
	    "Of them, with a failure.", (double) n.failed);
	one(out, "cloudos_handler_calls_timed_out_total", "counter",
	    "Of them, not answered in time.", (double) n.timed_out);
}

static void write_jobs(void *arg, struct co_buf *out)
{
	struct daemon *d = arg;
	struct jobs_numbers n;

	if (!d->services.jobs)
		return;
	n = jobs_numbers(d->services.jobs);
	one(out, "cloudos_jobs_open", "gauge", "Jobs that are not over.", n.open);
	one(out, "cloudos_jobs_running", "gauge", "Jobs running now.", n.running);
	one(out, "cloudos_jobs_started_total", "counter", "Runs of jobs.",
	    (double) n.started);
	one(out, "cloudos_jobs_completed_total", "counter", "Of them, completed.",
	    (double) n.completed);
	one(out, "cloudos_jobs_failed_total", "counter", "Of them, failed.",
	    (double) n.failed);
	one(out, "cloudos_jobs_missed_total", "counter",
	    "Times of schedules that passed while nobody was there.",
	    (double) n.missed);
}

static void write_store(void *arg, struct co_buf *out)
{
	struct daemon *d = arg;
	struct store_status s;

	store_status(d->store, &s);
	one(out, "cloudos_store_revision", "gauge", "Revision of the store.",
	    (double) s.revision);
	one(out, "cloudos_store_keys", "gauge", "Keys in the store.", (double) s.keys);
	one(out, "cloudos_store_bytes", "gauge", "Size of state.db.", (double) s.bytes);
	one(out, "cloudos_store_commits_total", "counter",
	    "Transactions of state.db that changed something.", (double) s.commits);
	one(out, "cloudos_store_requests_total", "counter",
	    "Requests that those transactions were made of.", (double) s.requests);
	metrics_family(out, "cloudos_store_commit_seconds", "summary",
		       "Those transactions' commits, and how long they took.");
	metrics_sample(out, "cloudos_store_commit_seconds_sum", "",
		       (double) s.commit_ns / 1e9);
	metrics_sample(out, "cloudos_store_commit_seconds_count", "",
		       (double) s.commits);
	one(out, "cloudos_store_queue", "gauge", "Requests waiting for their commit.",
	    (double) s.queued);
	one(out, "cloudos_telemetry_db_bytes", "gauge", "Size of telemetry.db.",
	    (double) s.telemetry_bytes);
	one(out, "cloudos_telemetry_dropped_total", "counter",
	    "Lines of the daemon's log and errors without room.",
	    (double) s.telemetry_dropped);
}

static void write_rows(struct daemon *d, struct co_buf *out)
{
	static const char *const labels[STORE_TABLES] = { "table=\"logs\"",
							  "table=\"metrics\"",
							  "table=\"events\"" };
	struct store_rows_status s;

	store_rows_status(d->store, &s);
	metrics_family(out, "cloudos_telemetry_rows", "gauge", "Rows kept.");
	for (size_t i = 0; i < STORE_TABLES; i++)
		metrics_sample(out, "cloudos_telemetry_rows", labels[i],
			       (double) s.kept[i]);
	metrics_family(out, "cloudos_telemetry_rows_added_total", "counter",
		       "Rows ever added by this daemon.");
	for (size_t i = 0; i < STORE_TABLES; i++)
		metrics_sample(out, "cloudos_telemetry_rows_added_total", labels[i],
			       (double) s.added[i]);
	one(out, "cloudos_telemetry_refused_total", "counter",
	    "Rows that queue or disk had no room for.", (double) s.refused);
	one(out, "cloudos_telemetry_queue", "gauge", "Rows waiting for their commit.",
	    (double) s.queued);
	metrics_family(out, "cloudos_telemetry_commit_seconds", "summary",
		       "Commits of telemetry.db and how long they took.");
	metrics_sample(out, "cloudos_telemetry_commit_seconds_sum", "",
		       (double) s.commit_ns / 1e9);
	metrics_sample(out, "cloudos_telemetry_commit_seconds_count", "",
		       (double) s.commits);
}

static void write_feeds(void *arg, struct co_buf *out)
{
	struct daemon *d = arg;
	static const char *const labels[STORE_TABLES] = { "table=\"logs\"",
							  "table=\"metrics\"",
							  "table=\"events\"" };
	struct feed_numbers n[STORE_TABLES];

	write_rows(d, out);
	feed_numbers(logs_feed(d->services.logs), &n[STORE_LOGS]);
	feed_numbers(metrics_feed(d->services.metrics), &n[STORE_METRICS]);
	feed_numbers(events_feed(d->services.events), &n[STORE_EVENTS]);
	metrics_family(out, "cloudos_feed_readers", "gauge", "Who follows.");
	for (size_t i = 0; i < STORE_TABLES; i++)
		metrics_sample(out, "cloudos_feed_readers", labels[i],
			       (double) n[i].readers);
	metrics_family(out, "cloudos_feed_readers_behind", "gauge",
		       "Of them, those that are served from the disk.");
	for (size_t i = 0; i < STORE_TABLES; i++)
		metrics_sample(out, "cloudos_feed_readers_behind", labels[i],
			       (double) n[i].behind);
	metrics_family(out, "cloudos_feed_told_total", "counter",
		       "Rows told to those who follow.");
	for (size_t i = 0; i < STORE_TABLES; i++)
		metrics_sample(out, "cloudos_feed_told_total", labels[i],
			       (double) n[i].told);
	metrics_family(out, "cloudos_feed_gaps_total", "counter",
		       "Gaps told to those who were too slow or away for too long.");
	for (size_t i = 0; i < STORE_TABLES; i++)
		metrics_sample(out, "cloudos_feed_gaps_total", labels[i],
			       (double) n[i].gaps);
}

/* ---- starting ---- */

/* Who follows calls is told of messages, too. */
static void trace_messages(void *daemon)
{
	peers_trace(((struct daemon *) daemon)->peers);
}

int telemetry_start(struct daemon *d, struct co_err *err)
{
	struct co_services *s = &d->services;

	s->logs = logs_new(d->host, d->store);
	s->metrics = metrics_new(d->host, d->store);
	s->events = events_new(d->host, d->store);
	s->traces = traces_new();
	if (!s->logs || !s->metrics || !s->events || !s->traces ||
	    metrics_source(s->metrics, write_daemon, d) < 0 ||
	    metrics_source(s->metrics, write_http, d) < 0 ||
	    metrics_source(s->metrics, write_handlers, d) < 0 ||
	    metrics_source(s->metrics, write_jobs, d) < 0 ||
	    metrics_source(s->metrics, write_store, d) < 0 ||
	    metrics_source(s->metrics, write_feeds, d) < 0 ||
	    !registry_watch(s->registry, registry_event, d))
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for logs, metrics and events");
	traces_on_begin(s->traces, trace_messages, d);
	return 0;
}

void telemetry_configure(struct daemon *d)
{
	uint32_t rows = d->config.telemetry_rows;
	struct store_rows_keep keep = { .rows = { rows, rows, rows },
					.age_ms = d->config.telemetry_days *
						  86400000ULL };

	d->services.heartbeat_ms = d->config.http_heartbeat;
	if (d->store)
		store_rows_keep(d->store, &keep);
}

void telemetry_log(struct daemon *d, const struct co_log_line *line)
{
	if (d->services.logs)
		logs_add_own(d->services.logs, line);
}
