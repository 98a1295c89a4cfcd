/* SPDX-License-Identifier: MIT */
/*
 * One end of a byte stream in the loop: what is to be sent, and whether to read.  HOST.
 * Who calls it: client.c and front_*.c, from callbacks under the core lock.
 *
 * The object that embeds it is freed in `closed`.  Nothing here calls back from inside: a
 * write that fails is told by reading, behind what the other side had said before.
 */
#ifndef CO_HTTP_WIRE_H
#define CO_HTTP_WIRE_H

#include <uv.h>

#include "lib/buf.h"

struct http_wire;

struct http_wire_ops {
	void (*input)(struct http_wire *w, const char *data, size_t n);
	/* The other side has ended (0) or broken (an error of libuv) the stream; once. */
	void (*ended)(struct http_wire *w, int error);
	/* All is sent, after it had to wait. */
	void (*sent)(struct http_wire *w);
	void (*closed)(struct http_wire *w);
};

struct http_wire {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	const struct http_wire_ops *ops;
	struct co_buf out;     /* not given to libuv yet */
	struct co_buf sending; /* while writing */
	uv_write_t write;
	uv_shutdown_t shutdown;
	size_t left; /* of sending, when last looked at */
	bool open;   /* connected */
	bool writing, reading, broken, finish, is_shut, has_ended, closing;
};

/* Not open yet; uv_tcp_connect, uv_accept and uv_pipe_open follow, then http_wire_open. */
int http_wire_init_tcp(struct http_wire *w, uv_loop_t *loop,
		       const struct http_wire_ops *ops);
int http_wire_init_pipe(struct http_wire *w, uv_loop_t *loop,
			const struct http_wire_ops *ops);
void http_wire_open(struct http_wire *w);

void http_wire_read(struct http_wire *w, bool wanted);

/* Appends to w->out, or through co_buf_* directly; sent with the next flush. */
void http_wire_add(struct http_wire *w, const void *data, size_t n);
void http_wire_flush(struct http_wire *w);

/* Bytes that the kernel has not taken yet. */
size_t http_wire_queued(const struct http_wire *w);

/* Shuts the sending side down when all is sent. */
void http_wire_finish(struct http_wire *w);

/* At once.  `closed` comes later, from the loop. */
void http_wire_close(struct http_wire *w);

/* The same, and the other side sees that it was broken off. */
void http_wire_reset(struct http_wire *w);

#endif
