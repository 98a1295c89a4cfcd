/* SPDX-License-Identifier: MIT */
/* An event stream to one client.  HOST. */
#include "personality/blackroad/sse.h"

#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/sse.h"

struct sse {
	struct http_stream *stream;
	const struct co_host *host;
	struct co_timer *beat;
	uint32_t beat_ms;
	const struct sse_events *events;
	void *arg;
	bool full;
};

static void closed(void *arg)
{
	struct sse *sse = arg;

	sse->events->closed(sse->arg);
	sse->host->timer_free(sse->beat);
	free(sse);
}

static void room(void *arg)
{
	struct sse *sse = arg;

	if (!sse->full)
		return;
	sse->full = false;
	sse->events->room(sse->arg);
}

/* Who has not read the last one yet needs no other to know that we are here. */
static void beat(void *arg)
{
	static const char frame[] = ": beat\n\n";
	struct sse *sse = arg;

	if (!http_stream_queued(sse->stream))
		http_stream_write(sse->stream, frame, sizeof(frame) - 1);
	sse->host->timer_start(sse->beat, sse->beat_ms);
}

struct sse *sse_begin(struct http_call *call, const struct sse_events *events,
		      void *arg)
{
	static const char hello[] = "retry: 2000\n\n: ok\n\n";
	const struct co_services *services = http_services(call);
	struct sse *sse = calloc(1, sizeof(*sse));

	if (sse) {
		*sse = (struct sse){ .host = services->host,
				     .beat_ms = services->heartbeat_ms,
				     .events = events,
				     .arg = arg };
		sse->beat = sse->host->timer_new(sse->host->ctx, beat, sse);
	}
	if (!sse || !sse->beat) {
		free(sse);
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return NULL;
	}
	http_set_header(call, "Cache-Control", "no-cache");
	http_set_header(call, "X-Accel-Buffering", "no");
	sse->stream = http_stream_begin(call, 200, "text/event-stream", closed, sse);
	if (!sse->stream) {
		sse->host->timer_free(sse->beat);
		free(sse);
		return NULL;
	}
	http_stream_on_room(sse->stream, room);
	http_stream_write(sse->stream, hello, sizeof(hello) - 1);
	sse->host->timer_start(sse->beat, sse->beat_ms);
	return sse;
}

bool sse_write(struct sse *sse, struct co_span frame)
{
	http_stream_write(sse->stream, frame.data, frame.size);
	sse->full = http_stream_queued(sse->stream) >= SSE_ROOM;
	return !sse->full;
}

bool sse_try(struct sse *sse, struct co_span frame)
{
	if (http_stream_queued(sse->stream) >= SSE_ROOM)
		return false;
	http_stream_write(sse->stream, frame.data, frame.size);
	return true;
}

void sse_end(struct sse *sse)
{
	http_stream_end(sse->stream);
	sse->host->timer_free(sse->beat);
	free(sse);
}
