/* SPDX-License-Identifier: MIT */
/*
 * An event stream to one client: its head, heartbeats, what it costs at most.  HOST.
 *
 * Owners write frames as long as sse_write says that there is room, and get `room` when
 * there is again.  So a slow reader is waited for: never more than SSE_ROOM and one frame
 * lie in memory for it.  One that reads nothing at all is cut by the server.
 */
#ifndef CO_BLACKROAD_SSE_H
#define CO_BLACKROAD_SSE_H

#include "personality/http.h"

#define SSE_ROOM 32768

struct sse;

struct sse_events {
	void (*room)(void *arg); /* there was none, now there is */
	void (*closed)(
		void *arg); /* once, the client has gone; the sse is gone behind it */
};

/* NULL: it has been answered, with a failure or (HEAD) without a body. */
struct sse *sse_begin(struct http_call *call, const struct sse_events *events,
		      void *arg);

/* False: no more before `room`. */
bool sse_write(struct sse *sse, struct co_span frame);

/* Of frames that may be left out: false and nothing is written if there is no room. */
bool sse_try(struct sse *sse, struct co_span frame);

/* The end of it; what was written still goes out. */
void sse_end(struct sse *sse);

#endif
