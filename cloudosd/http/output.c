/* SPDX-License-Identifier: MIT */
/*
 * What is sent: answers of one round of the loop in one write.  HOST.
 *
 * Answers are given on any thread under the core lock and collected at their connection;
 * only the loop thread writes, without the lock.  So others are not held up by the kernel,
 * and the answers of a whole batch of the store leave in one round.
 */
#include <stdlib.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/http/inside.h"
#include "lib/cleanup.h"

enum { SMALL = 16384, BUFFERS = 16 };

struct writing {
	uv_write_t request;
	struct connection *connection;
	struct segment *segments;
	size_t size;
};

/* ---- collecting ---- */

static struct segment *segment_new(struct http_server *s)
{
	struct segment *g = s->spare;

	if (g) {
		s->spare = NULL;
		g->next = NULL;
		return g;
	}
	return calloc(1, sizeof(*g));
}

static void segment_free(struct http_server *s, struct segment *g)
{
	if (!s->spare && g->bytes.room <= SMALL) {
		g->bytes.size = 0;
		g->sent = 0;
		s->spare = g;
		return;
	}
	co_buf_done(&g->bytes);
	free(g);
}

static void segments_free(struct http_server *s, struct segment *g)
{
	while (g) {
		struct segment *next = g->next;

		segment_free(s, g);
		g = next;
	}
}

static struct segment *append(struct connection *c)
{
	struct segment *g = segment_new(c->server);

	if (!g)
		return NULL;
	if (c->out_last)
		c->out_last->next = g;
	else
		c->out = g;
	c->out_last = g;
	return g;
}

struct co_buf *output(struct connection *c)
{
	struct segment *g = c->out_last;

	if (!g || g->bytes.size > SMALL)
		g = append(c);
	if (g)
		return &g->bytes;
	c->broken = true;
	c->server->sink = (struct co_buf){ .failed = true };
	return &c->server->sink;
}

void output_body(struct connection *c, struct co_buf *body)
{
	struct segment *g;

	if (body->size <= SMALL) {
		co_buf_add(output(c), body->data, body->size);
		co_buf_done(body);
		return;
	}
	g = append(c);
	if (!g) {
		c->broken = true;
		co_buf_done(body);
		return;
	}
	co_buf_done(&g->bytes);
	g->bytes = *body;
	*body = (struct co_buf){ 0 };
}

size_t output_size(const struct connection *c)
{
	size_t n = c->in_flight;

	for (const struct segment *g = c->out; g; g = g->next)
		n += g->bytes.size;
	return n;
}

void output_later(struct connection *c)
{
	struct http_server *s = c->server;

	if (c->dirty || c->closing)
		return;
	c->dirty = true;
	DL_APPEND2(s->dirty, c, dirty_prev, dirty_next);
	if (!s->busy_flushing)
		(void) uv_async_send(&s->wake); /* fails for a closed handle only */
}

void output_drop(struct connection *c)
{
	segments_free(c->server, c->out);
	c->out = c->out_last = NULL;
	if (c->dirty)
		DL_DELETE2(c->server->dirty, c, dirty_prev, dirty_next);
	c->dirty = false;
}

/* ---- writing ---- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
	(void) status; /* the deadline of lingering ends it either way */
	free(request);
}

/* All is sent, nothing more is read: the other side closes, or a deadline does.  Closing
 * at once would have the kernel throw away what is not read yet, the answer included. */
static void linger(struct connection *c)
{
	uv_shutdown_t *request = c->ended ? NULL : malloc(sizeof(*request));

	c->lingering = true;
	co_buf_done(&c->unread);
	if (!request || uv_shutdown(request, &c->uv.stream, on_shutdown) < 0) {
		free(request);
		connection_close(c);
		return;
	}
	http_wait(c, WAIT_LINGER);
}

static void all_sent(struct connection *c)
{
	if (c->closing || c->lingering)
		return;
	if (c->wait == WAIT_WRITE)
		http_wait(c, c->stream || (c->call && c->call->dispatched) ? WAIT_NONE
			     : c->call                                     ? WAIT_HEAD
									   : WAIT_IDLE);
	if (c->server->stopping)
		http_drained(c->server);
	if (c->finishing) {
		linger(c);
		return;
	}
	if (c->stream)
		stream_emptied(c);
}

static void on_written(uv_write_t *request, int status)
{
	struct writing *w = container_of(request, struct writing, request);
	struct connection *c = w->connection;
	struct http_server *s = c->server;

	core_lock();
	c->writing = false;
	segments_free(s, w->segments);
	if (!c->closing) {
		c->in_flight = 0;
		if (status < 0)
			connection_close(c);
		else
			output_later(c);
	}
	output_flush(s);
	core_unlock();
	free(w);
}

/* What the kernel did not take at once is written when it can be. */
static void write_rest(struct connection *c, struct segment *g)
{
	struct writing *w = malloc(sizeof(*w));
	uv_buf_t buffers[BUFFERS];
	unsigned n = 0;

	if (!w) {
		segments_free(c->server, g);
		connection_close(c);
		return;
	}
	*w = (struct writing){ .connection = c, .segments = g };
	for (; g && n < BUFFERS; g = g->next, n++) {
		buffers[n] = uv_buf_init(g->bytes.data + g->sent,
					 (unsigned) (g->bytes.size - g->sent));
		w->size += g->bytes.size - g->sent;
	}
	if (g) { /* more than fits into one request stays in the queue */
		struct segment *last = w->segments;

		while (last->next != g)
			last = last->next;
		last->next = NULL;
		last = g;
		while (last->next)
			last = last->next;
		last->next = c->out;
		if (!c->out_last)
			c->out_last = last;
		c->out = g;
	}
	c->writing = true;
	c->in_flight = w->size;
	http_wait(c, WAIT_WRITE);
	if (uv_write(&w->request, &c->uv.stream, buffers, n, on_written) < 0) {
		c->writing = false;
		segments_free(c->server, w->segments);
		free(w);
		connection_close(c);
	}
}

/* Takes off what has been sent; what is left, or NULL. */
static struct segment *sent(struct http_server *s, struct segment *g, size_t n)
{
	while (g && n >= g->bytes.size - g->sent) {
		struct segment *next = g->next;

		n -= g->bytes.size - g->sent;
		segment_free(s, g);
		g = next;
	}
	if (g)
		g->sent += n;
	return g;
}

/* Leaves the core lock while the kernel copies. */
static void write_now(struct connection *c)
{
	struct segment *g = c->out;
	uv_buf_t buffers[BUFFERS];
	unsigned n = 0;
	int r;

	c->out = c->out_last = NULL;
	for (struct segment *p = g; p && n < BUFFERS; p = p->next)
		buffers[n++] = uv_buf_init(p->bytes.data, (unsigned) p->bytes.size);
	for (const struct segment *p = g; p; p = p->next)
		c->broken = c->broken || p->bytes.failed;
	if (c->broken) { /* cut short rather than wrong */
		segments_free(c->server, g);
		connection_close(c);
		return;
	}
	core_unlock();
	r = uv_try_write(&c->uv.stream, buffers, n);
	core_lock();
	if (r < 0 && r != UV_EAGAIN) {
		segments_free(c->server, g);
		connection_close(c);
		return;
	}
	g = sent(c->server, g, r > 0 ? (size_t) r : 0);
	if (g)
		write_rest(c, g);
}

static void flush_one(struct connection *c)
{
	if (c->broken || (c->stream && c->stream->full)) {
		connection_close(c);
		return;
	}
	while (c->out && !c->writing && !c->closing)
		write_now(c);
	if (c->closing || c->writing)
		return;
	all_sent(c);
	if (!c->closing && !c->lingering)
		connection_resume(c);
}

void output_flush(struct http_server *s)
{
	bool before = s->busy_flushing;

	if (before)
		return;
	s->busy_flushing = true;
	while (s->dirty) {
		struct connection *c = s->dirty;

		DL_DELETE2(s->dirty, c, dirty_prev, dirty_next);
		c->dirty = false;
		flush_one(c);
	}
	s->busy_flushing = false;
}
