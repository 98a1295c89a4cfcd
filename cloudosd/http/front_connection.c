/* SPDX-License-Identifier: MIT */
/*
 * A client's connection to the front of a service.  HOST.
 *
 *	client ═ wire ═ request parser ─▶ exchange ═ program, or the gateway itself
 *	client ═ wire ◀─ head written anew ─ body as it comes ─ exchange
 *
 * One request at a time; what comes behind it waits.  Bodies are passed on in pieces; who is
 * slow holds up the other side by not being read.  A program's answer that says that it has
 * no such endpoint is held back until the gateway has been asked.
 */
#include <arpa/inet.h>
#include <co/limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/daemon.h"
#include "cloudosd/housed.h"
#include "cloudosd/http/front_inside.h"
#include "cloudosd/http/peer_holder.h"
#include "cloudosd/http/server.h"
#include "lib/cleanup.h"

enum { HELD = 65536, LINGER_MS = 2000, KEEP = 16384 };

static void work(struct front_connection *c);

/* ---- the end of a connection ---- */

static void on_closed(struct http_wire *w)
{
	struct front_connection *c = container_of(w, struct front_connection, wire);

	c->message = co_http_free(c->message);
	co_buf_done(&c->unread);
	co_buf_done(&c->body);
	co_buf_done(&c->held);
	free(c);
}

void front_close(struct front_connection *c)
{
	if (c->wire.closing)
		return;
	c->ask = peer_ask_drop(c->ask);
	c->x = http_exchange_cancel(c->x);
	DL_DELETE(c->front->all, c);
	c->front->numbers.connections--;
	c->front->numbers.contained -= *c->owner != 0;
	http_wire_close(&c->wire);
}

/* So that the client cannot take a part for the whole. */
static void cut(struct front_connection *c)
{
	if (c->wire.closing)
		return;
	c->ask = peer_ask_drop(c->ask);
	c->x = http_exchange_cancel(c->x);
	DL_DELETE(c->front->all, c);
	c->front->numbers.connections--;
	c->front->numbers.contained -= *c->owner != 0;
	http_wire_reset(&c->wire);
}

/* What the client still sends is thrown away until it has seen the answer. */
static void linger(struct front_connection *c)
{
	c->lingering = true;
	c->moved_at = uv_now(&c->front->daemon->uv);
	co_buf_done(&c->unread);
	http_wire_finish(&c->wire);
	http_wire_read(&c->wire, true);
	if (c->wire.has_ended && !http_wire_queued(&c->wire))
		front_close(c);
}

bool front_is_idle(const struct front_connection *c)
{
	return !c->busy && !c->tunnel && !c->unread.size && !http_wire_queued(&c->wire);
}

/* ---- the end of a request ---- */

static void trim(struct co_buf *b)
{
	if (b->room > KEEP)
		co_buf_done(b);
	b->size = 0;
	b->failed = false;
}

static void finish(struct front_connection *c)
{
	bool keep = c->keep && c->complete && !c->front->stopping;

	c->busy = c->answered = c->holding = c->paused = c->continued = false;
	c->complete = c->is_head = c->held_json = c->kept_body = false;
	c->asked = ASKED_NOBODY;
	trim(&c->body);
	trim(&c->held);
	c->moved_at = uv_now(&c->front->daemon->uv);
	if (keep)
		co_http_reset(c->message, NULL);
	else
		linger(c);
}

/* An answer of the front's own. */
static void answer(struct front_connection *c, int status, const char *code,
		   const char *what)
{
	autobuf struct co_buf body = { 0 };
	struct co_buf *out = &c->wire.out;

	c->keep = c->keep && c->complete;
	co_buf_text(&body, "{\"error\":{\"code\":");
	co_buf_json_text(&body, co_span(code));
	co_buf_text(&body, ",\"message\":");
	co_buf_json_text(&body, co_span(what));
	co_buf_text(&body, "}}");
	co_buf_format(out,
		      "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
		      "Content-Length: %zu\r\n%s%s\r\n",
		      status, co_http_reason(status), body.size,
		      status == 503 ? "Retry-After: 1\r\n" : "",
		      c->keep ? c->old ? "Connection: keep-alive\r\n" : ""
			      : "Connection: close\r\n");
	if (!c->is_head)
		co_buf_add(out, body.data, body.size);
	finish(c);
}

/* ---- asking ---- */

static const struct http_exchange_events events;

static bool is_safe(const struct front_connection *c)
{
	const struct co_http_head *head = co_http_head(c->message);

	return !head->has_body && !head->upgrade &&
	       (c->is_head || co_span_is(head->method, "GET") ||
		co_span_is(head->method, "OPTIONS"));
}

static int begin(struct front_connection *c, const char *backend, struct co_err *err)
{
	const struct co_http_head *head = co_http_head(c->message);
	const struct config *config = &c->front->daemon->config;
	autobuf struct co_buf text = { 0 };
	struct front_request request = { .head = head,
					 .client = c->client,
					 .host = c->place,
					 .no_expect = c->continued || c->complete };
	struct http_exchange_spec spec = { .backend = backend,
					   .is_head = c->is_head,
					   .again = is_safe(c),
					   .peek = !is_safe(c),
					   .chunked = head->chunked,
					   .connect_ms = CO_LIMIT_HTTP_CONNECT_MS,
					   .begin_ms = config->http_answer,
					   .max_body = UINT64_MAX,
					   .events = &events,
					   .arg = c };
	int r;

	front_request_head(&text, &request);
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "there is no memory for the request");
	spec.head = (struct co_span){ text.data, text.size };
	r = http_exchange_begin(c->front->daemon->client, &spec, &c->x, err);
	if (r)
		return r;
	http_exchange_write(c->x, c->body.data, c->body.size);
	if (c->complete || !head->has_body)
		http_exchange_end(c->x);
	http_exchange_flush(c->x);
	return 0;
}

static void ask_gateway(struct front_connection *c)
{
	char backend[2 * NAME_WORD + 16];
	struct co_err err = { 0 };

	(void) snprintf(backend, sizeof(backend), "inside:%s%s%s",
			*c->service ? c->service : c->owner, *c->owner ? "@" : "",
			c->owner);
	c->asked = ASKED_GATEWAY;
	if (begin(c, backend, &err))
		answer(c, 503, "UNAVAILABLE", err.message);
}

static void ask_program(struct front_connection *c, const struct names *names,
			const struct name *name)
{
	char backend[FRONT_PLACE], text[INET_ADDRSTRLEN];
	struct in_addr back = names_back(names, name);
	struct co_err err = { 0 };

	(void) inet_ntop(AF_INET, &back, text, sizeof(text));
	(void) snprintf(backend, sizeof(backend), "%s:%u", text, (unsigned) name->port);
	c->asked = ASKED_PROGRAM;
	if (begin(c, backend, &err))
		answer(c, 503, "UNAVAILABLE", err.message);
}

/* ---- a request ---- */

/* Who may use the front: the daemon's own user, or whoever shows the token. */
static bool is_allowed(struct front_connection *c, const struct co_http_head *head)
{
	const struct http_server *server = c->front->daemon->http;

	if (c->stranger && !http_server_token_shown(server, head)) {
		answer(c, 403, "FORBIDDEN",
		       "this service answers its own user; others show the token of "
		       "the daemon as Authorization: Bearer or X-API-Key");
		return false;
	}
	if (!http_server_host_allowed(server, head->host)) {
		answer(c, 403, "FORBIDDEN",
		       "this host name is not one of this daemon (http.hosts in "
		       "cloudosd.yaml lists more of them)");
		return false;
	}
	return true;
}

static void on_head(struct front_connection *c)
{
	const struct co_http_head *head = co_http_head(c->message);
	const struct names *names = c->front->daemon->services.names;
	const struct name *name;
	const char *what;
	int status = front_check(head, &what);

	c->busy = true;
	c->complete = !head->has_body || (head->has_length && !head->length);
	c->old = !head->minor;
	c->is_head = co_span_is(head->method, "HEAD");
	c->upgrade = head->upgrade;
	c->keep = head->keep_alive;
	c->front->numbers.requests++;
	if (status) {
		c->keep = false;
		answer(c, status, status == 405 ? "METHOD_NOT_ALLOWED" : "BAD_REQUEST",
		       what);
		return;
	}
	if (!is_allowed(c, head))
		return;
	name = *c->service ? names_find(names, co_span(c->service)) : NULL;
	c->kept_body = front_is_endpoint(head->target);
	if (name && names_serving(names, name)) {
		ask_program(c, names, name);
	} else {
		c->kept_body = false;
		ask_gateway(c);
	}
}

static void on_request_body(void *arg, const char *data, size_t n)
{
	struct front_connection *c = arg;

	if (c->kept_body && c->body.size + n > c->front->daemon->config.http_body) {
		c->kept_body = false;
		co_buf_done(&c->body);
	}
	if (c->kept_body)
		co_buf_add(&c->body, data, n);
	if (c->body.failed)
		c->kept_body = false;
	if (c->x)
		http_exchange_write(c->x, data, n);
}

static void refuse(struct front_connection *c)
{
	struct co_http_fault fault = co_http_fault(c->message);

	c->x = http_exchange_cancel(c->x);
	c->keep = false;
	c->busy = true;
	if (c->answered)
		cut(c);
	else
		answer(c, fault.status, fault.code, fault.what);
}

/* Is what has come to wait? */
static bool is_blocked(const struct front_connection *c)
{
	if (c->wire.closing || c->lingering)
		return true;
	if (c->busy && c->complete)
		return true;
	if (c->busy && c->x && http_exchange_queued(c->x) > CO_LIMIT_HTTP_UNSENT)
		return true;
	return !c->busy && http_wire_queued(&c->wire) > CO_LIMIT_HTTP_UNSENT;
}

static void feed(struct front_connection *c, const char **data, size_t *n)
{
	size_t used;
	enum co_http_progress progress = co_http_feed(c->message, *data, *n, &used);

	*data += used;
	*n -= used;
	switch (progress) {
	case CO_HTTP_MORE:
		return;
	case CO_HTTP_HEAD:
		on_head(c);
		return;
	case CO_HTTP_DONE:
		c->complete = true;
		if (c->x)
			http_exchange_end(c->x);
		return;
	case CO_HTTP_BAD:
		refuse(c);
		return;
	}
}

/* As far as one may go with it now; the rest is kept. */
static void input(struct front_connection *c, const char *data, size_t n)
{
	if (!c->busy && !co_http_begun(c->message))
		c->began_at = uv_now(&c->front->daemon->uv);
	c->working = true;
	while (n && !is_blocked(c) && !c->tunnel)
		feed(c, &data, &n);
	c->working = false;
	if (c->wire.closing || c->lingering)
		return;
	if (c->tunnel && c->x)
		http_exchange_write(c->x, data, n);
	else
		co_buf_add(&c->unread, data, n);
	if (c->x)
		http_exchange_flush(c->x);
	if (c->unread.failed)
		front_close(c);
}

static void read_or_wait(struct front_connection *c)
{
	bool full = c->x && http_exchange_queued(c->x) > CO_LIMIT_HTTP_UNSENT &&
		    (c->tunnel || !c->complete);

	http_wire_read(&c->wire,
		       c->lingering ||
			       (!full && c->unread.size < CO_LIMIT_HTTP_UNREAD));
}

/* Goes on with what had to wait. */
static void work(struct front_connection *c)
{
	if (c->working || c->wire.closing)
		return;
	while (c->unread.size && (c->tunnel || !is_blocked(c))) {
		struct co_buf bytes = c->unread;

		c->unread = (struct co_buf){ 0 };
		input(c, bytes.data, bytes.size);
		co_buf_done(&bytes);
	}
	http_wire_flush(&c->wire);
	if (c->wire.broken && !c->wire.closing)
		front_close(c); /* nobody reads the answer */
	read_or_wait(c);
}

/* ---- what the client does ---- */

static void on_input(struct http_wire *w, const char *data, size_t n)
{
	struct front_connection *c = container_of(w, struct front_connection, wire);

	if (c->lingering)
		return;
	c->moved_at = uv_now(&c->front->daemon->uv);
	if (c->unread.size) {
		co_buf_add(&c->unread, data, n);
		if (c->unread.failed) {
			front_close(c);
			return;
		}
	} else {
		input(c, data, n);
	}
	work(c);
}

static void on_ended(struct http_wire *w, int error)
{
	struct front_connection *c = container_of(w, struct front_connection, wire);

	if (c->tunnel && c->x && !error) {
		http_exchange_end(c->x);
		http_exchange_flush(c->x);
	} else if (!error && !c->busy && http_wire_queued(w)) {
		linger(c); /* answers that are there still go out */
	} else {
		front_close(c);
	}
}

static void on_sent(struct http_wire *w)
{
	struct front_connection *c = container_of(w, struct front_connection, wire);

	c->moved_at = uv_now(&c->front->daemon->uv);
	if (c->lingering && w->has_ended) {
		front_close(c);
		return;
	}
	if (c->x && c->paused) {
		c->paused = false;
		http_exchange_pause(c->x, false);
	}
	work(c);
}

static const struct http_wire_ops wire_ops = {
	.input = on_input, .ended = on_ended, .sent = on_sent, .closed = on_closed
};

/* ---- what the other side says ---- */

static void hold_up(struct front_connection *c)
{
	if (http_wire_queued(&c->wire) < CO_LIMIT_HTTP_UNSENT)
		return;
	http_wire_flush(&c->wire);
	if (c->x && http_wire_queued(&c->wire) >= CO_LIMIT_HTTP_UNSENT) {
		c->paused = true;
		http_exchange_pause(c->x, true);
	}
}

/* The program's answer is the answer, after all. */
static void let_out(struct front_connection *c)
{
	c->holding = false;
	c->answered = true;
	co_buf_add(&c->wire.out, c->held.data, c->held.size);
	co_buf_done(&c->held);
	co_buf_done(&c->body);
	c->kept_body = false;
}

static bool is_json(const struct co_http_head *head)
{
	struct co_span type;

	return co_http_field(head, "content-type", &type) &&
	       memmem(type.data, type.size, "json", 4) != NULL;
}

/* The answer's body, or the end of it, in the framing that the client was told of. */
static void put(struct front_connection *c, const char *data, size_t n)
{
	struct co_buf *to = c->holding ? &c->held : &c->wire.out;

	if (c->out_chunked && n)
		co_buf_format(to, "%zx\r\n", n);
	co_buf_add(to, data, n);
	if (c->out_chunked)
		co_buf_text(to, n ? "\r\n" : "0\r\n\r\n");
}

static void on_interim(struct front_connection *c, const struct co_http_head *head)
{
	struct front_answer a = { .head = head, .keep = true };

	if (c->old || (head->status == 100 && c->continued))
		return;
	c->continued = c->continued || head->status == 100;
	front_answer_head(&c->wire.out, &a);
}

static void on_switch(struct front_connection *c, const struct co_http_head *head)
{
	struct front_answer a = { .head = head, .keep = true };

	if (!c->upgrade || c->old) {
		c->x = http_exchange_cancel(c->x);
		answer(c, 502, "BAD_GATEWAY",
		       "the service changed to another protocol, which nobody had "
		       "asked for");
		work(c);
		return;
	}
	c->tunnel = c->answered = true;
	front_answer_head(&c->wire.out, &a);
}

static void answer_begins(struct front_connection *c, const struct co_http_head *head)
{
	bool unknown = head->has_body && !head->has_length;
	struct front_answer a = { .head = head, .old = c->old };

	c->out_chunked = unknown && !c->old;
	if (!c->complete || (unknown && c->old))
		c->keep = false;
	a.keep = c->keep;
	a.chunked = c->out_chunked;
	front_answer_head(c->holding ? &c->held : &c->wire.out, &a);
	c->answered = !c->holding;
}

/* Both have said that there is nothing: whose words does the client get? */
static bool held_stands(struct front_connection *c, int status)
{
	if (!c->held.size || !c->held_json || !front_is_lacking(status))
		return false;
	c->x = http_exchange_cancel(c->x);
	let_out(c);
	finish(c);
	return true;
}

static void on_answer(void *arg, const struct co_http_head *head)
{
	struct front_connection *c = arg;

	if (head->status == 101) {
		on_switch(c, head);
	} else if (head->status < 200) {
		on_interim(c, head);
	} else if (c->asked == ASKED_GATEWAY && held_stands(c, head->status)) {
		work(c);
	} else {
		c->holding = c->asked == ASKED_PROGRAM && c->kept_body &&
			     front_is_lacking(head->status) &&
			     !(head->has_length && head->length > HELD);
		c->held_json = c->holding ? is_json(head) : c->held_json;
		answer_begins(c, head);
	}
}

static void on_answer_body(void *arg, const char *data, size_t n)
{
	struct front_connection *c = arg;

	c->moved_at = uv_now(&c->front->daemon->uv);
	if (c->tunnel)
		co_buf_add(&c->wire.out, data, n);
	else
		put(c, data, n);
	if (c->holding && c->held.size > HELD + KEEP)
		let_out(c);
	hold_up(c);
}

static void on_told(void *arg)
{
	work(arg);
}

static void on_room(void *arg)
{
	work(arg);
}

static void fill_in(struct front_connection *c)
{
	c->holding = false;
	c->keep = co_http_head(c->message)->keep_alive;
	c->front->numbers.filled_in++;
	ask_gateway(c);
}

static void on_done(void *arg)
{
	struct front_connection *c = arg;

	c->x = NULL;
	if (c->tunnel) {
		linger(c);
	} else if (c->holding) {
		if (c->out_chunked)
			put(c, NULL, 0);
		fill_in(c);
	} else {
		if (c->out_chunked)
			put(c, NULL, 0);
		finish(c);
	}
	work(c);
}

static int status_of(const struct http_failure *failure)
{
	if (!failure->connected)
		return 503;
	if (failure->error == CO_NO_MEMORY)
		return 503;
	return failure->error == CO_TIMED_OUT ? 504 : 502;
}

static void on_failed(void *arg, const struct http_failure *failure)
{
	struct front_connection *c = arg;
	char sentence[480];
	int status = status_of(failure);

	c->x = NULL;
	c->front->numbers.failed++;
	if (c->answered) {
		cut(c);
		return;
	}
	if (c->holding) {
		co_buf_done(&c->held); /* half of it */
		fill_in(c);
		work(c);
		return;
	}
	if (c->asked == ASKED_GATEWAY && c->held.size) {
		let_out(c);
		finish(c);
		work(c);
		return;
	}
	(void) snprintf(sentence, sizeof(sentence), "%s%s at %s",
			c->asked == ASKED_PROGRAM ? "the program of "
						  : "the gateway for ",
			c->service, failure->reason);
	answer(c, status,
	       status == 503   ? "UNAVAILABLE"
	       : status == 504 ? "TIMEOUT"
			       : "BAD_GATEWAY",
	       sentence);
	work(c);
}

static const struct http_exchange_events events = { .head = on_answer,
						    .body = on_answer_body,
						    .told = on_told,
						    .room = on_room,
						    .done = on_done,
						    .failed = on_failed };

/* ---- deadlines ---- */

static void too_slow(struct front_connection *c, const char *what)
{
	c->x = http_exchange_cancel(c->x);
	c->keep = false;
	c->busy = true;
	answer(c, 408, "REQUEST_TIMEOUT", what);
	work(c);
}

void front_look_at(struct front_connection *c, uint64_t now)
{
	const struct config *config = &c->front->daemon->config;
	size_t queued = http_wire_queued(&c->wire);
	uint64_t waited = now > c->moved_at ? now - c->moved_at : 0;
	bool begun = !c->busy && co_http_begun(c->message);

	if (queued != c->queued) {
		c->queued = queued;
		c->moved_at = now;
		return;
	}
	if (c->lingering ? waited >= LINGER_MS && !queued : false)
		front_close(c);
	else if (queued && waited >= config->http_idle)
		cut(c); /* it does not read */
	else if (c->tunnel || queued)
		return;
	else if (begun && now - c->began_at >= config->http_head_deadline)
		too_slow(c, "the head of the request took too long");
	else if (c->busy && !c->complete && c->wire.reading && !c->answered &&
		 waited >= config->http_body_deadline)
		too_slow(c, "the body of the request took too long");
	else if (!c->busy && !begun && waited >= config->http_idle)
		front_close(c);
}

/* ---- accepting ---- */

/* Makes room by ending a connection that is idle.  Containers have a part of it only. */
static bool make_room(struct front *f, bool contained)
{
	struct front_connection *c;

	if (f->numbers.connections < CO_LIMIT_HTTP_FRONT &&
	    (!contained || f->numbers.contained < CO_LIMIT_HTTP_FRONT_CONTAINED))
		return true;
	DL_FOREACH (f->all, c)
		if (front_is_idle(c) && (!contained || *c->owner)) {
			front_close(c);
			return true;
		}
	return false;
}

/* It comes from the container of that service; NULL: from none. */
static void take_owner(struct front_connection *c, const char *service)
{
	if (!service)
		return;
	(void) snprintf(c->owner, sizeof(c->owner), "%s", service);
	c->front->numbers.contained++;
}

static void who(struct front_connection *c, const struct front_listener *l)
{
	struct sockaddr_in peer = { 0 };
	int size = sizeof(peer), fd = -1;
	char text[INET_ADDRSTRLEN];
	uid_t uid;

	(void) inet_ntop(AF_INET, &l->address.sin_addr, text, sizeof(text));
	(void) snprintf(c->place, sizeof(c->place), "%s:%u", text,
			(unsigned) ntohs(l->address.sin_port));
	(void) snprintf(c->service, sizeof(c->service), "%s", l->service);
	/* of a connection that is over already there is none */
	(void) uv_tcp_getpeername(&c->wire.uv.tcp, (struct sockaddr *) &peer, &size);
	(void) inet_ntop(AF_INET, &peer.sin_addr, c->client, sizeof(c->client));
	if (l->room) /* whose only programs have been let in by who made it */
		take_owner(c, l->room->owner);
	else if (uv_fileno(&c->wire.uv.handle, &fd) == 0 &&
		 housed_by_users(c->front->daemon) && peer_uid(fd, &uid) == 0)
		take_owner(c, housed_owner(c->front->daemon, uid));
}

static struct front_connection *connection_new(struct front_listener *l)
{
	struct front *f = l->front;
	struct co_http_limits limits = { .head = CO_LIMIT_HTTP_HEAD,
					 .target = CO_LIMIT_HTTP_TARGET,
					 .body = UINT64_MAX,
					 .written = true };
	struct front_connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->front = f;
	c->message = co_http_new(CO_HTTP_REQUEST, &limits, on_request_body, c);
	if (!c->message ||
	    http_wire_init_tcp(&c->wire, &f->daemon->uv, &wire_ops) < 0) {
		c->message = co_http_free(c->message);
		free(c);
		return NULL;
	}
	DL_APPEND(f->all, c);
	f->numbers.connections++;
	return c;
}

static void on_peer(void *arg, bool own)
{
	struct front_connection *c = arg;

	c->ask = NULL;
	c->stranger = !own;
	http_wire_open(&c->wire);
}

void front_accept(struct front_listener *l)
{
	bool room = make_room(l->front, l->room);
	struct front_connection *c = connection_new(l);
	bool own = false;
	int fd;

	if (!c)
		return; /* the kernel keeps it until there is memory */
	if (uv_accept((uv_stream_t *) &l->tcp, &c->wire.uv.stream) < 0) {
		front_close(c);
		return;
	}
	(void) uv_tcp_nodelay(&c->wire.uv.tcp, 1); /* a matter of speed only */
	who(c, l);
	c->moved_at = uv_now(&c->front->daemon->uv);
	own = *c->owner; /* who comes from a service's container is let in */
	if (!own && room && uv_fileno(&c->wire.uv.handle, &fd) == 0)
		c->ask = peer_own_ask(c->front->daemon->host, fd, &own, on_peer, c);
	c->stranger = !own;
	if (!c->ask)
		http_wire_open(&c->wire);
	if (!room) {
		answer(c, 503, "TOO_MANY_CONNECTIONS", "no connection is free here");
		work(c);
	}
}
