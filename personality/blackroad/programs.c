/* SPDX-License-Identifier: MIT */
/* The programs of all systems beside the services, and their ports.  HOST. */
#include "cloudosd/service/guests.h"
#include "personality/blackroad/blackroad.h"

static void text(struct co_buf *b, const char *name, const char *value)
{
	co_buf_format(b, ",\"%s\":", name);
	co_buf_json_text(b, co_span(value));
}

static void number(struct co_buf *b, const char *name, uint64_t value)
{
	co_buf_format(b, ",\"%s\":", name);
	co_buf_u64(b, value);
}

/* A comma before all but the first. */
static void begin(struct co_buf *b, uint64_t id)
{
	if (b->size && b->data[b->size - 1] == '}')
		co_buf_char(b, ',');
	co_buf_text(b, "{\"id\":");
	co_buf_u64(b, id);
}

static void session(void *arg, const struct guest_row *row)
{
	struct co_buf *b = arg;

	begin(b, row->session);
	text(b, "name", row->name);
	text(b, "personality", row->personality);
	text(b, "engine", row->engine);
	text(b, "command", row->command);
	if (*row->container)
		text(b, "container", row->container);
	co_buf_text(b, ",\"pid\":");
	co_buf_i64(b, row->pid);
	number(b, "calls", row->calls);
	number(b, "failed", row->failed);
	co_buf_text(b, ",\"startedAt\":");
	co_buf_json_time(b, row->started_ms);
	if (row->has_usage) {
		number(b, "rss", row->usage.rss);
		co_buf_format(b, ",\"cpuSeconds\":%.2f",
			      (double) row->usage.cpu_ms / 1000);
	}
	co_buf_char(b, '}');
}

void blackroad_on_sessions(struct http_call *call,
			   const struct blackroad_sessions_args *with)
{
	const struct co_guests *guests = http_services(call)->guests;
	struct co_buf body = { 0 };

	(void) with; /* has no members */
	co_buf_text(&body, "{\"sessions\":[");
	guests->each(guests->ctx, session, &body);
	co_buf_text(&body, "]}");
	http_answer(call, 200, &body);
}

static void channel(void *arg, const struct guest_port *port)
{
	struct co_buf *b = arg;

	begin(b, port->id);
	text(b, "name", port->name);
	text(b, "personality", port->personality);
	text(b, "owner", port->owner);
	co_buf_text(b, ",\"pid\":");
	co_buf_i64(b, port->pid);
	if (port->session)
		number(b, "session", port->session);
	number(b, "receivers", port->receivers);
	number(b, "connections", port->connections);
	number(b, "queued", port->queued);
	number(b, "peak", port->peak);
	number(b, "ageSeconds", port->age_ms / 1000);
	number(b, "opens", port->opens);
	number(b, "messages", port->messages);
	number(b, "answers", port->answers);
	number(b, "bytes", port->bytes);
	number(b, "errors", port->errors);
	co_buf_format(b, ",\"latencyMicroseconds\":{\"p50\":%.1f,\"p99\":%.1f}}",
		      (double) port->took_p50_ns / 1000,
		      (double) port->took_p99_ns / 1000);
}

void blackroad_on_channels(struct http_call *call,
			   const struct blackroad_channels_args *with)
{
	const struct co_guests *guests = http_services(call)->guests;
	struct co_buf body = { 0 };

	(void) with; /* has no members */
	co_buf_text(&body, "{\"channels\":[");
	guests->each_port(guests->ctx, channel, &body);
	co_buf_text(&body, "]}");
	http_answer(call, 200, &body);
}
