/* SPDX-License-Identifier: MIT */
/* The event bus.  HOST. */
#include "cloudosd/service/events.h"

#include <co/limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/service/feed_add.h"
#include "lib/err.h"

struct events {
	struct feed_adder adder;
	struct feed *feed;
};

void events_json(struct co_buf *out, const struct store_row *row)
{
	char id[FEED_ID_MAX];

	feed_id(id, row->at_ms, row->number);
	co_buf_text(out, "{\"id\":\"");
	co_buf_text(out, id);
	co_buf_text(out, "\",\"event\":");
	co_buf_json_text(out, row->name);
	co_buf_text(out, ",\"timestamp\":");
	co_buf_json_time(out, row->at_ms);
	co_buf_text(out, ",\"source\":");
	co_buf_json_text(out, row->source.data ? row->source : row->service);
	if (row->json.data) {
		co_buf_text(out, ",\"data\":");
		co_buf_span(out, row->json);
	}
	co_buf_char(out, '}');
}

int events_emit(struct events *bus, const struct event *event, events_done *done,
		void *arg)
{
	struct store_row row = { .service = co_span(event->service),
				 .source = event->source,
				 .name = event->name,
				 .json = event->data };
	int status = feed_check_name(&bus->adder, "event", event->name);

	if (status == 0)
		status = feed_check_label(&bus->adder, "source", event->source);
	if (status == 0)
		status = feed_add(&bus->adder, &row, done, arg);
	return status;
}

const char *events_reason(const struct events *bus)
{
	return bus->adder.reason;
}

struct feed *events_feed(struct events *bus)
{
	return bus->feed;
}

struct events *events_new(const struct co_host *host, struct store *store)
{
	struct events *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	bus->adder = (struct feed_adder){ .host = host,
					  .store = store,
					  .table = STORE_EVENTS };
	bus->feed = feed_new(
		host, store,
		&(struct feed_options){ .table = STORE_EVENTS, .json = events_json });
	return bus->feed ? bus : events_free(bus);
}

struct events *events_free(struct events *bus)
{
	if (!bus)
		return NULL;
	(void) feed_free(bus->feed); /* NULL */
	free(bus);
	return NULL;
}
