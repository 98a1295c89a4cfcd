/* SPDX-License-Identifier: MIT */
/*
 * A process that answers calls over a connection of its own: cloudos-handlers/1 as
 * docs/handlers.md specifies it.  HOST.
 *
 * Owns the frames: what comes in is hostile, what goes out is bounded.  Knows no sockets; a
 * personality connects it with a stream.  Under the core lock.  Who calls it: the personality
 * that upgraded the connection, tests.
 */
#ifndef CO_SERVICE_ATTACHED_H
#define CO_SERVICE_ATTACHED_H

#include "cloudosd/service/handler.h"

struct attached;

enum attached_frame {
#define FRAME(name, number, direction, what) ATTACHED_##name = number,
#include "cloudosd/service/attached.def"
#undef FRAME
};

#define ATTACHED_HEAD 16 /* u32 length of the rest, u8 type, u8[3] zero, u64 id */

/* The connection, as it is needed here. */
struct attached_io {
	void (*write)(void *ctx, const void *data, size_t n); /* copies */
	size_t (*queued)(void *ctx);
	/* Closes when all is written; attached_closed follows, later. */
	void (*end)(void *ctx);
	void *ctx;
};

struct attached_spec {
	struct handlers *handlers;
	const struct co_host *host;
	struct attached_io io;
	const char *service; /* unless it says another */
	bool contained;      /* which it may not then */
	int32_t pid;         /* 0: it is not known */
	size_t room;         /* bytes that may be queued */
};

/* NULL: no memory. */
struct attached *attached_new(const struct attached_spec *spec);

/* Bytes as they come in. */
void attached_feed(struct attached *a, const char *bytes, size_t n);

/* All that was queued has been written. */
void attached_room(struct attached *a);

/* The connection is gone: its calls fail with HANDLER_CRASHED.  Frees it. */
void attached_closed(struct attached *a);

#endif
