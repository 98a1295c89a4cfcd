/* SPDX-License-Identifier: MIT */
/*
 * A connection: from bytes to requests, one at a time.  HOST.
 *
 * While a request is being answered what comes behind it is kept, up to a bound, and then
 * not read any more.  Reading goes on meanwhile because only so is it seen that the client
 * has gone, which cancels the call.  An idle connection has no buffers.
 */
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/http/inside.h"
#include "cloudosd/http/peer_holder.h"
#include "lib/cleanup.h"

enum { POOL = 64, KEEP_BODY = 16384 };

/* ---- calls ---- */

static void on_body(void *arg, const char *data, size_t n)
{
	struct http_call *call = arg;

	co_buf_add(&call->body, data, n);
}

static struct http_call *call_new(struct connection *c)
{
	struct http_server *s = c->server;
	struct http_call *call = s->pool;

	if (call) {
		s->pool = call->next;
		s->pooled--;
		co_http_reset(call->message, &s->limits);
	} else {
		call = calloc(1, sizeof(*call));
		if (!call)
			return NULL;
		call->message = co_http_new(CO_HTTP_REQUEST, &s->limits, on_body, call);
		if (!call->message) {
			free(call);
			return NULL;
		}
	}
	call->connection = c;
	c->call = call;
	return call;
}

/* Without what belonged to its request. */
static void call_clear(struct http_call *call)
{
	struct scratch *scratch = call->scratch;

	while (scratch) {
		struct scratch *next = scratch->next;

		free(scratch);
		scratch = next;
	}
	call->scratch = NULL;
	if (call->body.room > KEEP_BODY)
		co_buf_done(&call->body);
	call->body.size = 0;
	call->body.failed = false;
	co_buf_done(&call->fields);
	call->path = (struct co_span){ 0 };
	call->uri = (struct co_uri){ 0 };
	call->cancel = NULL;
	call->head = call->dispatched = call->pending = false;
}

static void call_free(struct http_call *call)
{
	struct http_server *s = call->connection->server;

	call->connection->call = NULL;
	call_clear(call);
	if (s->pooled < POOL) {
		call->connection = NULL;
		call->next = s->pool;
		s->pool = call;
		s->pooled++;
		return;
	}
	co_buf_done(&call->body);
	call->message = co_http_free(call->message);
	free(call);
}

void call_over(struct http_call *call)
{
	struct connection *c = call->connection;
	struct http_server *s = c->server;

	call_answered(call, 0, (struct co_span){ NULL, 0 });
	if (call->pending)
		s->calls_pending--;
	call_free(call);
	if (c->last)
		c->finishing = !c->stream;
	output_later(c);
	http_drained(s);
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	core_lock();
	co_buf_done(&c->unread);
	DL_DELETE2(c->server->all, c, all_prev, all_next);
	c->server->numbers.connections--;
	http_drained(c->server);
	core_unlock();
	free(c);
}

void connection_close(struct connection *c)
{
	struct http_call *call = c->call;

	if (c->closing)
		return;
	c->closing = true;
	http_wait(c, WAIT_NONE);
	c->ask = peer_ask_drop(c->ask);
	if (call) {
		bool pending = call->pending;
		void (*cancel)(struct http_call * call, void *arg) = call->cancel;
		void *arg = call->cancel_arg;

		if (pending) {
			c->server->calls_pending--;
			if (cancel)
				cancel(call, arg);
		}
		call_answered(call, 0, (struct co_span){ NULL, 0 });
		call_free(call);
	}
	stream_closed(c);
	output_drop(c);
	uv_close(&c->uv.handle, on_closed);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct connection *c = handle->data;

	/* read and looked at in one callback: one buffer serves all connections */
	(void) suggested;
	*out = uv_buf_init(c->server->input, sizeof(c->server->input));
}

static bool blocked(const struct connection *c)
{
	return c->stream || (c->call && c->call->dispatched) ||
	       output_size(c) > CO_LIMIT_HTTP_UNSENT;
}

/* Refuses and ends: what follows cannot be told from the rest of the request. */
static void refuse(struct http_call *call, const struct co_http_fault *fault)
{
	struct connection *c = call->connection;

	c->server->numbers.refused++;
	c->last = true;
	answer_fault(call, fault->status, fault->code, fault->what);
}

static void dispatch(struct http_call *call)
{
	struct connection *c = call->connection;
	struct http_server *s = c->server;

	http_wait(c, WAIT_NONE);
	call->dispatched = true;
	s->numbers.requests++;
	s->used_ms = http_now(s);
	if (call->body.failed) {
		refuse(call,
		       &(struct co_http_fault){ 503, "NO_MEMORY",
						"there is no memory for the body" });
		return;
	}
	s->handler(call);
}

/* The head is there: may it be answered, is the body wanted? */
static bool begin(struct http_call *call)
{
	struct connection *c = call->connection;
	const struct co_http_head *head = co_http_head(call->message);
	struct co_http_fault fault;

	c->last = !head->keep_alive || c->server->stopping;
	call->head = co_span_is(head->method, "HEAD");
	if (access_check(call, &fault) < 0) {
		c->last = c->last || head->has_body;
		c->server->numbers.refused++;
		answer_fault(call, fault.status, fault.code, fault.what);
		return false;
	}
	if (c->server->stopping && !c->early) {
		refuse(call, &(struct co_http_fault){ 503, "STOPPING",
						      "this daemon is stopping" });
		return false;
	}
	if (head->expects_continue && head->has_body)
		co_buf_text(output(c), "HTTP/1.1 100 Continue\r\n\r\n");
	return true;
}

/* One step; false: nothing more is to be done with these bytes. */
static bool advance(struct connection *c, const char **data, size_t *n)
{
	struct http_call *call = c->call ? c->call : call_new(c);
	const struct co_http_head *head;
	struct co_http_fault fault;
	enum co_http_progress progress;
	size_t used;

	if (!call) {
		connection_close(c);
		return false;
	}
	progress = co_http_feed(call->message, *data, *n, &used);
	*data += used;
	*n -= used;
	switch (progress) {
	case CO_HTTP_MORE:
		if (c->wait == WAIT_IDLE && co_http_begun(call->message))
			http_wait(c, WAIT_HEAD);
		return true;
	case CO_HTTP_HEAD:
		if (!begin(call))
			return true;
		head = co_http_head(call->message);
		if (!head->has_body || (head->has_length && !head->length))
			dispatch(call);
		else
			http_wait(c, WAIT_BODY);
		return true;
	case CO_HTTP_DONE:
		dispatch(call);
		return true;
	case CO_HTTP_BAD:
		fault = co_http_fault(call->message);
		refuse(call, &fault);
		return true;
	}
	return false;
}

static void keep(struct connection *c, const char *data, size_t n)
{
	if (!n)
		return;
	co_buf_add(&c->unread, data, n);
	if (c->unread.failed) {
		connection_close(c);
		return;
	}
	if (c->unread.size >= CO_LIMIT_HTTP_UNREAD && c->reading) {
		c->reading = false;
		(void) uv_read_stop(&c->uv.stream); /* always 0 */
	}
}

static void input(struct connection *c, const char *data, size_t n)
{
	while (n && !c->closing && !blocked(c) && !c->finishing)
		if (!advance(c, &data, &n))
			return;
	if (c->closing || c->finishing)
		return;
	if (c->stream && c->stream->data && !c->unread.size) {
		if (n)
			stream_input(c->stream, data, n);
		return;
	}
	keep(c, data, n);
	if (c->closing || c->call == NULL || c->call->dispatched)
		return;
	if (co_http_begun(c->call->message))
		return;
	call_free(c->call);
	if (c->wait != WAIT_IDLE) /* line ends alone do not make it last longer */
		http_wait(c, WAIT_IDLE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer);

void connection_resume(struct connection *c)
{
	struct co_buf bytes = c->unread;

	if (blocked(c) && !(c->stream && c->stream->data))
		return;
	if (bytes.size) {
		c->unread = (struct co_buf){ 0 };
		input(c, bytes.data, bytes.size);
		co_buf_done(&bytes);
	}
	if (c->closing || c->finishing || c->lingering)
		return;
	if (!c->reading && c->unread.size < CO_LIMIT_HTTP_UNREAD) {
		c->reading = true;
		if (uv_read_start(&c->uv.stream, on_alloc, on_read) < 0)
			connection_close(c);
	}
	if (!c->closing && !c->call && !c->stream && c->wait == WAIT_NONE)
		http_wait(c, WAIT_IDLE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct connection *c = stream->data;
	struct http_server *s = c->server;

	if (!n)
		return;
	core_lock();
	if (c->closing || (c->lingering && n > 0)) {
		core_unlock();
		return;
	}
	if (n < 0) {
		/* answers that are there still go out */
		if (c->out && !c->writing && !c->stream)
			output_flush(s);
		if (!c->closing && c->writing && n == UV_EOF && !c->call &&
		    !c->stream) {
			c->finishing = c->ended = true;
			c->reading = false;
			(void) uv_read_stop(stream); /* always 0 */
		} else if (c->call && c->call->answered) {
			c->last = c->ended = true; /* ends when that is answered */
			c->reading = false;
			(void) uv_read_stop(stream); /* always 0 */
		} else {
			connection_close(c);
		}
	} else {
		s->busy_flushing = true;
		if (c->unread.size)
			keep(c, buffer->base, (size_t) n);
		else
			input(c, buffer->base, (size_t) n);
		c->early = false;
		s->busy_flushing = false;
		if (c->out && !c->closing)
			output_later(c);
		output_flush(s);
	}
	core_unlock();
}

/* ---- accepting ---- */

static void peer_of(struct connection *c)
{
	struct ucred who;
	socklen_t size = sizeof(who);
	int fd;

	if (!c->unix_ || uv_fileno(&c->uv.handle, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return;
	c->peer_pid = who.pid;
	c->peer_uid = who.uid;
	c->trusted = who.uid == geteuid();
}

/* Makes room by ending the connection that has been idle for longest. */
static bool make_room(struct http_server *s)
{
	if (s->numbers.connections < s->daemon->config.http_connections)
		return true;
	if (!s->waiting[WAIT_IDLE])
		return false;
	connection_close(s->waiting[WAIT_IDLE]);
	return true;
}

static struct connection *connection_new(struct http_server *s, bool unix_, bool local)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return NULL;
	c->server = s;
	c->unix_ = unix_;
	c->local = local;
	c->wait = WAIT_NONE;
	r = c->unix_ ? uv_pipe_init(&s->daemon->uv, &c->uv.pipe, 0)
		     : uv_tcp_init(&s->daemon->uv, &c->uv.tcp);
	if (r < 0) {
		free(c);
		return NULL;
	}
	c->uv.handle.data = c;
	DL_APPEND2(s->all, c, all_prev, all_next);
	s->numbers.connections++;
	return c;
}

static void connection_start(struct connection *c)
{
	c->reading = true;
	if (uv_read_start(&c->uv.stream, on_alloc, on_read) < 0)
		connection_close(c);
	else
		http_wait(c, WAIT_IDLE);
}

static bool has_asked(const struct connection *c)
{
	char byte;
	int fd;

	return uv_fileno(&c->uv.handle, &fd) == 0 &&
	       recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void on_told(void *arg, bool own)
{
	struct connection *c = arg;

	c->ask = NULL;
	c->trusted = own;
	if (c->server->stopping && !has_asked(c)) {
		connection_close(c);
		return;
	}
	c->early = c->server->stopping;
	connection_start(c);
}

/* When it is known whose it is. */
static void start_tcp(struct connection *c)
{
	const struct co_host *host = c->server->services->host;
	bool always = c->server->daemon->config.http_token == CONFIG_http_token_always;
	int fd;

	(void) uv_tcp_nodelay(&c->uv.tcp, 1); /* a matter of speed only */
	if (c->local && !always && uv_fileno(&c->uv.handle, &fd) == 0)
		c->ask = peer_own_ask(host, fd, &c->trusted, on_told, c);
	if (!c->ask)
		connection_start(c);
}

void connection_accept(struct http_listener *l)
{
	static const char full[] =
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
		"Content-Length: 80\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
		"{\"error\":{\"code\":\"TOO_MANY_CONNECTIONS\",\"message\":\"no connection "
		"is free here\"}}";
	struct http_server *s = l->server;
	bool room = make_room(s);
	struct connection *c = connection_new(s, l->unix_, l->local);

	if (!c)
		return; /* the kernel keeps it until there is memory */
	if (uv_accept(&l->uv.stream, &c->uv.stream) < 0) {
		connection_close(c);
		return;
	}
	s->numbers.accepted++;
	if (!room || s->stopping) {
		uv_buf_t answer = uv_buf_init((char *) full, sizeof(full) - 1);

		/* told if it fits into an empty socket, which it does */
		(void) uv_try_write(&c->uv.stream, &answer, 1);
		connection_close(c);
		return;
	}
	peer_of(c);
	if (c->unix_)
		connection_start(c);
	else
		start_tcp(c);
}

int http_server_adopt(struct http_server *s, int fd, const char *service,
		      const char *owner, struct co_err *err)
{
	struct connection *c =
		make_room(s) && !s->stopping ? connection_new(s, true, true) : NULL;

	if (!c || uv_pipe_open(&c->uv.pipe, fd) < 0) {
		(void) close(fd); /* nobody has used it */
		if (c)
			connection_close(c);
		return co_fail(err, CO_BUSY, "the gateway has no free connection");
	}
	(void) snprintf(c->passed_for, sizeof(c->passed_for), "%s", service);
	c->service = c->passed_for;
	c->passed = c->trusted = true;
	(void) snprintf(c->owner, sizeof(c->owner), "%s", owner ? owner : "");
	connection_start(c);
	return 0;
}
