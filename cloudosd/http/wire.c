/* SPDX-License-Identifier: MIT */
/* One end of a byte stream in the loop.  HOST. */
#include "cloudosd/http/wire.h"

#include "cloudosd/core.h"
#include "lib/cleanup.h"

enum { KEEP_OUT = 16384 };

/* Read and looked at in one callback: one buffer serves all. */
static struct {
	char bytes[65536];
} input;

static int init(struct http_wire *w, const struct http_wire_ops *ops, int r)
{
	if (r < 0)
		return r;
	w->uv.handle.data = w;
	w->ops = ops;
	return 0;
}

int http_wire_init_tcp(struct http_wire *w, uv_loop_t *loop,
		       const struct http_wire_ops *ops)
{
	return init(w, ops, uv_tcp_init(loop, &w->uv.tcp));
}

int http_wire_init_pipe(struct http_wire *w, uv_loop_t *loop,
			const struct http_wire_ops *ops)
{
	return init(w, ops, uv_pipe_init(loop, &w->uv.pipe, 0));
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void) handle;
	(void) suggested;
	*out = uv_buf_init(input.bytes, sizeof(input.bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct http_wire *w = stream->data;

	if (n == 0)
		return;
	core_lock();
	if (w->closing) {
		/* closed meanwhile, by what another callback did */
	} else if (n > 0) {
		w->ops->input(w, buffer->base, (size_t) n);
	} else if (!w->has_ended) {
		w->has_ended = true;
		http_wire_read(w, false);
		w->ops->ended(w, n == UV_EOF ? 0 : (int) n);
	}
	core_unlock();
}

void http_wire_read(struct http_wire *w, bool wanted)
{
	if (w->closing || !w->open || w->reading == wanted || (wanted && w->has_ended))
		return;
	w->reading = wanted;
	/* fail only for a stream that is closing or not connected */
	if (wanted)
		(void) uv_read_start(&w->uv.stream, on_alloc, on_read);
	else
		(void) uv_read_stop(&w->uv.stream);
}

/* ---- writing ---- */

static void on_shut(uv_shutdown_t *request, int status)
{
	(void) request;
	(void) status; /* the other side was faster */
}

static void finish(struct http_wire *w)
{
	if (!w->finish || w->is_shut || w->writing || w->out.size || w->closing)
		return;
	w->is_shut = true;
	(void) uv_shutdown(&w->shutdown, &w->uv.stream,
			   on_shut); /* fails if the other side was faster */
}

static void on_written(uv_write_t *request, int status)
{
	struct http_wire *w = container_of(request, struct http_wire, write);

	core_lock();
	co_buf_done(&w->sending);
	w->writing = false;
	if (!w->closing) {
		w->broken = w->broken || status < 0;
		http_wire_flush(w);
		if (!w->writing)
			w->ops->sent(w);
	}
	core_unlock();
}

/* Nobody takes it any more; what the other side has said is still read. */
static void give_up(struct http_wire *w)
{
	w->broken = true;
	co_buf_done(&w->out);
}

void http_wire_flush(struct http_wire *w)
{
	uv_buf_t bytes;
	int n;

	if (w->closing || w->writing || !w->open)
		return;
	if (w->broken || w->out.failed)
		give_up(w);
	if (!w->out.size) {
		finish(w);
		return;
	}
	bytes = uv_buf_init(w->out.data, (unsigned) w->out.size);
	n = uv_try_write(&w->uv.stream, &bytes, 1);
	if (n < 0 && n != UV_EAGAIN) {
		give_up(w);
		return;
	}
	n = n < 0 ? 0 : n;
	if ((size_t) n == w->out.size) {
		w->out.size = 0;
		if (w->out.room > KEEP_OUT)
			co_buf_done(&w->out);
		finish(w);
		return;
	}
	w->sending = w->out;
	w->out = (struct co_buf){ 0 };
	bytes = uv_buf_init(w->sending.data + n,
			    (unsigned) (w->sending.size - (size_t) n));
	w->writing = true;
	if (uv_write(&w->write, &w->uv.stream, &bytes, 1, on_written) < 0) {
		w->writing = false;
		co_buf_done(&w->sending);
		give_up(w);
	}
}

void http_wire_add(struct http_wire *w, const void *data, size_t n)
{
	if (!w->broken && !w->closing)
		co_buf_add(&w->out, data, n);
}

size_t http_wire_queued(const struct http_wire *w)
{
	return w->out.size +
	       (w->writing ? uv_stream_get_write_queue_size(&w->uv.stream) : 0);
}

void http_wire_finish(struct http_wire *w)
{
	w->finish = true;
	if (w->open)
		http_wire_flush(w);
}

/* ---- life ---- */

void http_wire_open(struct http_wire *w)
{
	w->open = true;
	http_wire_flush(w);
	http_wire_read(w, true);
}

static void on_closed(uv_handle_t *handle)
{
	struct http_wire *w = handle->data;

	core_lock();
	co_buf_done(&w->out);
	co_buf_done(&w->sending);
	w->ops->closed(w);
	core_unlock();
}

void http_wire_close(struct http_wire *w)
{
	if (w->closing)
		return;
	w->closing = true;
	uv_close(&w->uv.handle, on_closed);
}

void http_wire_reset(struct http_wire *w)
{
	if (w->closing)
		return;
	/* what waits in the kernel would look like the end of an answer */
	w->closing = w->uv.handle.type == UV_TCP &&
		     uv_tcp_close_reset(&w->uv.tcp, on_closed) == 0;
	if (!w->closing)
		http_wire_close(w);
}
