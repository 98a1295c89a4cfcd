/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what an attached process says (cloudos-handlers/1).  HOST.
 *
 * Input: the size of pieces, then the bytes of the connection.  Before these come a HELLO, a
 * REGISTER and three calls, ids 1 to 3.
 */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/attached.h"
#include "lib/cleanup.h"
#include "tests/fuzz/target.h"

enum { CALLS = 3 };

/* ---- a host whose time stands still ---- */

struct co_timer {
	int unused;
};

static uint64_t now_ms(void *ctx)
{
	(void) ctx;
	return 1;
}

static struct co_timer *timer_new(void *ctx, void (*fire)(void *arg), void *arg)
{
	(void) ctx;
	(void) fire;
	(void) arg;
	return calloc(1, sizeof(struct co_timer));
}

static void timer_start(struct co_timer *timer, uint64_t delay_ms)
{
	(void) timer;
	(void) delay_ms;
}

static void timer_stop(struct co_timer *timer)
{
	(void) timer;
}

static void timer_free(struct co_timer *timer)
{
	free(timer);
}

static const struct co_host host = { .now_ms = now_ms,
				     .wall_ns = now_ms,
				     .timer_new = timer_new,
				     .timer_start = timer_start,
				     .timer_stop = timer_stop,
				     .timer_free = timer_free };

/* ---- the connection ---- */

static bool ended;

/* Whole frames of the length they say go out. */
static void io_write(void *ctx, const void *data, size_t n)
{
	const uint8_t *b = data;

	(void) ctx;
	if (n < ATTACHED_HEAD || ended ||
	    ((size_t) b[0] << 24 | (size_t) b[1] << 16 | (size_t) b[2] << 8 | b[3]) !=
		    n - 4)
		abort();
}

static size_t io_queued(void *ctx)
{
	(void) ctx;
	return 0;
}

static void io_end(void *ctx)
{
	(void) ctx;
	if (ended)
		abort();
	ended = true;
}

static void done(void *arg, const struct handler_result *result)
{
	unsigned *count = arg;

	if ((result->status == 200) != (result->result.data != NULL) ||
	    (result->status != 200 && (!result->code || !result->message.data)))
		abort();
	++*count;
}

static void say(struct attached *a, unsigned type, const char *json)
{
	uint8_t frame[128] = { 0 };
	size_t n = strlen(json);

	frame[3] = (uint8_t) (n + ATTACHED_HEAD - 4);
	frame[4] = (uint8_t) type;
	memcpy(frame + ATTACHED_HEAD, json, n);
	attached_feed(a, (const char *) frame, n + ATTACHED_HEAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handlers *h = handlers_new(&host);
	struct attached_spec spec = { .handlers = h,
				      .host = &host,
				      .io = { io_write, io_queued, io_end, NULL },
				      .service = "core",
				      .room = 1 << 20 };
	struct handler_request request = { .service = "core", .name = co_span("m") };
	struct attached *a = h ? attached_new(&spec) : NULL;
	unsigned counts[CALLS] = { 0 };
	size_t piece = size ? (size_t) data[0] + 1 : 1;

	if (!a) {
		(void) handlers_free(h);
		return 0;
	}
	ended = false;
	say(a, ATTACHED_HELLO, "{}");
	say(a, ATTACHED_REGISTER, "{\"methods\":[\"m\"]}");
	for (unsigned i = 0; i < CALLS; i++) {
		struct handler_listener listener = { .done = done, .arg = &counts[i] };

		(void) handlers_call(h, &request,
				     &listener); /* is answered in the end */
	}
	for (size_t at = 1; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		autofree char *part = malloc(n); /* ends where the input ends */

		if (!part)
			break;
		memcpy(part, data + at, n);
		attached_feed(a, part, n);
	}
	attached_closed(a);
	(void) handlers_free(h);
	for (unsigned i = 0; i < CALLS; i++)
		if (counts[i] != 1)
			abort();
	return 0;
}
