/* SPDX-License-Identifier: MIT */
/* POST /v1/sys/event and GET /v1/sys/events, which streams them.  HOST. */
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/sse.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/rows.h"
#include "personality/blackroad/sse.h"

void blackroad_on_event(struct http_call *call, const struct blackroad_event_args *args)
{
	struct events *events = http_services(call)->events;
	struct event event = { .service = http_service(call),
			       .source = row_source(call),
			       .name = args->event,
			       .data = args->data };
	struct row_call *rc;
	int status;

	if (args->event.size >= 4 && memcmp(args->event.data, "sys:", 4) == 0) {
		blackroad_invalid(call, "events whose names begin with sys: are the "
					"daemon's own");
		return;
	}
	rc = row_call_new(call);
	if (!rc)
		return;
	status = events_emit(events, &event, row_call_done, rc);
	row_call_wait(rc, status, events_reason(events));
}

/* ---- following ---- */

struct follower {
	struct sse *sse;
	struct feed_reader *reader;
	char last[FEED_ID_MAX]; /* what the client has; "" */
};

static bool told_gap(struct follower *f, const struct feed_item *item)
{
	autobuf struct co_buf json = { 0 };
	autobuf struct co_buf frame = { 0 };
	char id[FEED_ID_MAX];

	feed_id(id, item->row->at_ms, item->row->number);
	co_buf_format(&json, "{\"id\":\"%s\",\"event\":\"sys:gap\",\"timestamp\":", id);
	co_buf_json_time(&json, item->row->at_ms);
	co_buf_text(&json, ",\"source\":\"cloudosd\",\"data\":{\"from\":");
	if (*f->last)
		co_buf_json_text(&json, co_span(f->last));
	else
		co_buf_text(&json, "null");
	co_buf_format(&json, ",\"to\":\"%s\",\"lost\":%llu}}", id,
		      (unsigned long long) item->lost);
	co_sse_frame(&frame, co_span(id), (struct co_span){ json.data, json.size });
	return sse_write(f->sse, (struct co_span){ frame.data, frame.size });
}

static bool told(void *arg, const struct feed_item *item)
{
	struct follower *f = arg;

	if (item->lost)
		return told_gap(f, item);
	*f->last = '\0'; /* only the first gap can be told with both ends */
	return sse_write(f->sse, item->frame);
}

static void room(void *arg)
{
	struct follower *f = arg;

	feed_resume(f->reader);
}

static void closed(void *arg)
{
	struct follower *f = arg;

	(void) feed_end(f->reader); /* NULL */
	free(f);
}

/* Behind the Last-Event-ID, else later than `since`, else from now on.  An id that is none,
 * or is of a history that is gone, says no more than its time. */
static bool find_start(struct http_call *call, struct co_span since, struct feed *feed,
		       struct feed_want *want, struct follower *f)
{
	uint64_t at_ms, number;
	struct co_span id;

	if (http_header(call, "last-event-id", &id) &&
	    feed_id_parse(id, &at_ms, &number)) {
		memcpy(f->last, id.data, id.size);
		want->from = number <= feed_newest(feed) ? FEED_AFTER : FEED_SINCE;
		want->value = want->from == FEED_AFTER ? number : at_ms;
		return true;
	}
	want->from = since.data ? FEED_SINCE : FEED_NOW;
	return row_time(call, "since", since, 0, &want->value);
}

void blackroad_on_events(struct http_call *call,
			 const struct blackroad_events_args *args)
{
	static const struct sse_events events = { room, closed };
	struct feed *feed = events_feed(http_services(call)->events);
	struct feed_want want = { .service = row_service(call).data,
				  .pattern = args->event };
	struct follower *f = calloc(1, sizeof(*f));
	int status = CO_NO_MEMORY;

	if (f && !find_start(call, args->since, feed, &want, f)) {
		free(f);
		return;
	}
	if (f)
		status = feed_begin(&f->reader, feed, &want, told, f);
	if (status < 0) {
		free(f);
		http_fail_status(call, status, NULL);
		return;
	}
	f->sse = sse_begin(call, &events, f);
	if (!f->sse) {
		(void) feed_end(f->reader); /* NULL */
		free(f);
	}
}
