/* SPDX-License-Identifier: MIT */
/*
 * The event bus: what happens in a domain, kept, numbered and told to whoever asked.
 * HOST.
 *
 *	events_emit(services->events, &(struct event){ .service = "cloudosd",
 *		    .name = co_span("job:completed"), .data = data }, NULL, NULL);
 *
 * Names that begin with "sys:" are ours; programs cannot emit them.
 */
#ifndef CO_SERVICE_EVENTS_H
#define CO_SERVICE_EVENTS_H

#include "cloudosd/service/feed.h"

struct events;

struct event {
	const char *service;   /* whose bus: the addressed service */
	struct co_span source; /* who says it; {NULL, 0}: the service itself */
	struct co_span
		name; /* 1 to CO_LIMIT_TELEMETRY_NAME bytes, no control characters */
	struct co_span data; /* checked JSON, kept byte by byte; {NULL, 0}: none */
};

/* After the commit: status 0 and the id as feed_id makes it; or a failure with its
 * sentence.  Once. */
typedef void events_done(void *arg, int status, const char *reason, const char *id,
			 uint64_t at_ms);

/*
 * Copies the event; subscribers are told after the commit, then `done` (may be NULL: then
 * what cannot be kept is counted and logged).  0, or done does not run: CO_INVALID,
 * CO_TOO_BIG, CO_BUSY, CO_NO_MEMORY; events_reason() says why.
 */
int events_emit(struct events *bus, const struct event *event, events_done *done,
		void *arg);

/* The sentence of the last call that returned a failure. */
const char *events_reason(const struct events *bus);

/* For feed_begin; row->name is the event, row->json its data. */
struct feed *events_feed(struct events *bus);

/* {"id","event","timestamp","source","data"} */
void events_json(struct co_buf *out, const struct store_row *row);

struct events *events_new(const struct co_host *host, struct store *store);
struct events *events_free(struct events *bus); /* returns NULL */

#endif
