/* SPDX-License-Identifier: MIT */
/* Answers without an end: event streams, other protocols.  HOST. */
#include <stdlib.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/http/inside.h"

static struct http_stream *stream_new(struct http_call *call, void (*closed)(void *arg),
				      void *arg)
{
	struct connection *c = call->connection;
	struct http_server *s = c->server;
	struct http_stream *stream = NULL;

	core_assert_locked();
	if (s->numbers.streams < s->daemon->config.http_streams && !s->stopping)
		stream = calloc(1, sizeof(*stream));
	if (!stream) {
		http_set_header(call, "Retry-After", "5");
		answer_fault(call, 503, "OVERLOADED",
			     "as many streams as this daemon has are open");
		return NULL;
	}
	stream->connection = c;
	stream->closed = closed;
	stream->arg = arg;
	s->numbers.streams++;
	c->stream = stream;
	return stream;
}

static void stream_free(struct http_stream *stream)
{
	struct connection *c = stream->connection;

	c->stream = NULL;
	c->server->numbers.streams--;
	free(stream);
}

struct http_stream *http_stream_begin(struct http_call *call, int status,
				      const char *type, void (*closed)(void *arg),
				      void *arg)
{
	struct connection *c = call->connection;
	bool chunked = co_http_head(call->message)->minor > 0;
	struct http_stream *stream;

	if (call->head) {
		struct co_buf nothing = { 0 };

		http_answer_as(call, status, type, &nothing);
		return NULL;
	}
	stream = stream_new(call, closed, arg);
	if (!stream)
		return NULL;
	stream->chunked = chunked;
	if (!chunked)
		c->last = true; /* the end of the connection is that of the body */
	answer_head(call, status, type);
	co_buf_text(output(c), chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
	call_over(call);
	return stream;
}

struct http_stream *http_upgrade(struct http_call *call, const char *protocol,
				 void (*data)(void *arg, const char *bytes, size_t n),
				 void (*closed)(void *arg), void *arg)
{
	struct connection *c = call->connection;
	struct http_stream *stream;
	struct co_span asked;
	struct co_buf *out;

	if (!co_http_head(call->message)->upgrade ||
	    !http_header(call, "upgrade", &asked) ||
	    !co_http_list_has(asked, protocol)) {
		http_set_header(call, "Upgrade", "%s", protocol);
		http_set_header(call, "Connection", "Upgrade");
		http_fail(call, 426, "UPGRADE_REQUIRED",
			  "this endpoint speaks %s: ask for it with Upgrade", protocol);
		return NULL;
	}
	stream = stream_new(call, closed, arg);
	if (!stream)
		return NULL;
	stream->data = data;
	out = output(c);
	co_buf_text(out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			 "Upgrade: ");
	co_buf_text(out, protocol);
	co_buf_text(out, "\r\n");
	co_buf_span(out, (struct co_span){ call->fields.data, call->fields.size });
	co_buf_text(out, "\r\n");
	c->last = true;
	call_over(call);
	return stream;
}

void http_stream_write(struct http_stream *stream, const void *data, size_t n)
{
	struct connection *c = stream->connection;
	struct co_buf *out;

	core_assert_locked();
	if (!n || stream->ended || stream->full)
		return;
	if (output_size(c) + n > CO_LIMIT_HTTP_STREAM_QUEUE) {
		stream->full = true;
		output_later(c);
		return;
	}
	out = output(c);
	if (stream->chunked)
		co_buf_format(out, "%zx\r\n", n);
	co_buf_add(out, data, n);
	if (stream->chunked)
		co_buf_text(out, "\r\n");
	output_later(c);
}

size_t http_stream_queued(const struct http_stream *stream)
{
	return output_size(stream->connection);
}

void http_stream_on_room(struct http_stream *stream, void (*room)(void *arg))
{
	stream->room = room;
}

void http_stream_end(struct http_stream *stream)
{
	struct connection *c = stream->connection;

	core_assert_locked();
	if (stream->ended)
		return;
	if (stream->chunked)
		co_buf_text(output(c), "0\r\n\r\n");
	c->finishing = c->last || !stream->chunked;
	stream_free(stream);
	output_later(c);
}

int32_t http_stream_peer_pid(const struct http_stream *stream)
{
	return stream->connection->peer_pid;
}

void stream_input(struct http_stream *stream, const char *data, size_t n)
{
	stream->data(stream->arg, data, n);
}

void stream_emptied(struct connection *c)
{
	if (c->stream->room)
		c->stream->room(c->stream->arg);
}

void stream_closed(struct connection *c)
{
	struct http_stream *stream = c->stream;
	void (*closed)(void *arg) = stream ? stream->closed : NULL;
	void *arg = stream ? stream->arg : NULL;

	if (!stream)
		return;
	stream->ended = true;
	if (closed)
		closed(arg);
	stream_free(stream);
}
