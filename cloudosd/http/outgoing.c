/* SPDX-License-Identifier: MIT */
/* Requests of services: a whole request, a whole answer.  HOST. */
#include "cloudosd/http/outgoing.h"

#include <co/limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"

enum { NAME = 160, FIELDS = CO_LIMIT_HTTP_FIELDS };

struct outgoing_context {
	struct co_outgoing table;
	struct http_client *client;
	const struct co_host *host;
	pthread_t loop;
};

struct outgoing {
	struct outgoing_context *context;
	struct http_exchange *exchange; /* NULL: not begun, or over */
	struct http_exchange_spec spec; /* until it is begun */
	char backend[NAME];
	struct co_buf head, sent; /* until it is begun */
	bool posted, cancelled;
	uint64_t started;
	void (*done)(void *arg, const struct outgoing_reply *reply);
	void *arg;
	int status;
	struct co_buf text; /* names and values of the fields */
	struct place {
		size_t name, name_size, value, value_size;
	} places[FIELDS];
	size_t nfields;
	struct co_buf body;
};

/* ---- the backend's address ---- */

struct target {
	char backend[NAME];
	char host[96]; /* of the Host field */
	const char *base;
};

static int bad(const char *backend, struct co_err *err)
{
	return co_fail(
		err, CO_INVALID,
		"\"%.100s\" is no HTTP backend; http://ADDRESS[:PORT][/BASE] and "
		"unix:/PATH are, with an address or localhost",
		backend);
}

static int parse(const char *backend, struct target *out, struct co_err *err)
{
	static const char http[] = "http://";
	const char *host, *port;
	struct co_err ignored = { 0 };
	size_t n;

	out->base = "";
	if (strncmp(backend, "unix:", 5) == 0) {
		(void) snprintf(out->host, sizeof(out->host), "localhost");
		if (strlen(backend) >= sizeof(out->backend))
			return bad(backend, err);
		(void) snprintf(out->backend, sizeof(out->backend), "%s", backend);
		return http_client_address(out->backend, err);
	}
	if (strncmp(backend, http, strlen(http)) != 0)
		return bad(backend, err);
	host = backend + strlen(http);
	n = strcspn(host, "/?#");
	out->base = host + n;
	if (n == 0 || n >= 80 || strpbrk(out->base, "?# \r\n"))
		return bad(backend, err);
	(void) snprintf(out->host, sizeof(out->host), "%.*s", (int) n, host);
	port = strrchr(out->host, ']');
	port = strchr(port ? port : out->host, ':');
	if (strncmp(out->host, "localhost", 9) == 0 &&
	    (out->host[9] == ':' || !out->host[9]))
		(void) snprintf(out->backend, sizeof(out->backend), "127.0.0.1%s%s",
				port ? "" : ":80", port ? port : "");
	else
		(void) snprintf(out->backend, sizeof(out->backend), "%s%s", out->host,
				port ? "" : ":80");
	return http_client_address(out->backend, &ignored) ? bad(backend, err) : 0;
}

int outgoing_backend_check(const char *backend, struct co_err *err)
{
	struct target target;

	return parse(backend, &target, err);
}

/* ---- the request ---- */

static bool is_token(struct co_span s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.size; i++) {
		char c = s.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		      (c >= 'a' && c <= 'z') || (c && strchr(others, c))))
			return false;
	}
	return s.size > 0;
}

static bool is_value(struct co_span s)
{
	for (size_t i = 0; i < s.size; i++)
		if (((unsigned char) s.data[i] < 0x20 && s.data[i] != '\t') ||
		    s.data[i] == 0x7f)
			return false;
	return true;
}

static bool is_target(const char *target)
{
	for (const char *p = target; *p; p++)
		if ((unsigned char) *p <= 0x20 || (unsigned char) *p >= 0x7f ||
		    *p == '#')
			return false;
	return *target == '/';
}

static void add_field(struct co_buf *b, struct co_span name, struct co_span value)
{
	co_buf_span(b, name);
	co_buf_text(b, ": ");
	co_buf_span(b, value);
	co_buf_text(b, "\r\n");
}

static int compose(struct co_buf *b, const struct outgoing_request *q,
		   const struct target *target, struct co_err *err)
{
	const char *base = target->base;
	size_t nbase = strlen(base);

	if (!is_token(co_span(q->method)) || !is_target(q->target))
		return co_fail(err, CO_INVALID, "%s %.100s is no request", q->method,
			       q->target);
	if (nbase && base[nbase - 1] == '/')
		nbase--; /* the target begins with one */
	co_buf_format(b, "%s %.*s%s HTTP/1.1\r\nHost: %s\r\n", q->method, (int) nbase,
		      base, q->target, target->host);
	for (size_t i = 0; i < q->nfields; i++) {
		if (!is_token(q->fields[i].name) || !is_value(q->fields[i].value))
			return co_fail(err, CO_INVALID,
				       "a header field has a character that none may "
				       "have");
		add_field(b, q->fields[i].name, q->fields[i].value);
	}
	if (q->body.data || strcmp(q->method, "POST") == 0 ||
	    strcmp(q->method, "PUT") == 0)
		co_buf_format(b, "Content-Length: %zu\r\n", q->body.size);
	co_buf_text(b, "\r\n");
	return b->failed ? co_fail(err, CO_NO_MEMORY, "no memory for a request") : 0;
}

/* ---- the answer ---- */

static void release(struct outgoing *o)
{
	co_buf_done(&o->head);
	co_buf_done(&o->sent);
	co_buf_done(&o->text);
	co_buf_done(&o->body);
	free(o);
}

static uint64_t now(const struct outgoing *o)
{
	return o->context->host->now_ms(o->context->host->ctx);
}

static void finish(struct outgoing *o, struct outgoing_reply *reply)
{
	o->exchange = NULL;
	if (o->cancelled)
		return; /* cancel_soon releases it */
	reply->elapsed_ms = (uint32_t) (now(o) - o->started);
	o->done(o->arg, reply);
	release(o);
}

static void on_head(void *arg, const struct co_http_head *head)
{
	struct outgoing *o = arg;

	if (head->status < 200)
		return;
	o->status = head->status;
	for (uint32_t i = 0; i < head->nfields && i < FIELDS; i++) {
		const struct co_http_field *f = &head->fields[i];
		struct place *p = &o->places[o->nfields++];

		p->name = o->text.size;
		p->name_size = f->name.size;
		co_buf_span(&o->text, f->name);
		p->value = o->text.size;
		p->value_size = f->value.size;
		co_buf_span(&o->text, f->value);
	}
}

static void on_body(void *arg, const char *data, size_t n)
{
	struct outgoing *o = arg;

	co_buf_add(&o->body, data, n);
}

static void on_room(void *arg)
{
	(void) arg; /* the request has been written as a whole */
}

static void on_done(void *arg)
{
	struct outgoing *o = arg;
	struct outgoing_field fields[FIELDS];
	struct outgoing_reply reply = { .status = o->status,
					.fields = fields,
					.nfields = o->nfields,
					.body = { o->body.data, o->body.size },
					.reason = "" };

	if (o->text.failed || o->body.failed || o->status == 101) {
		reply = (struct outgoing_reply){
			.error = o->status == 101 ? CO_PROTOCOL : CO_NO_MEMORY,
			.reason = o->status == 101
					  ? "the backend changed to another protocol"
					  : "there is no memory for the answer",
			.maybe = true
		};
	}
	for (size_t i = 0; i < reply.nfields; i++) {
		const struct place *p = &o->places[i];

		fields[i].name =
			(struct co_span){ o->text.data + p->name, p->name_size };
		fields[i].value =
			(struct co_span){ o->text.data + p->value, p->value_size };
	}
	finish(o, &reply);
}

static void on_failed(void *arg, const struct http_failure *failure)
{
	struct outgoing_reply reply = { .error = failure->error,
					.reason = failure->reason,
					.maybe = failure->maybe };

	finish(arg, &reply);
}

static const struct http_exchange_events events = { .head = on_head,
						    .body = on_body,
						    .room = on_room,
						    .done = on_done,
						    .failed = on_failed };

static bool is_safe(const struct outgoing_request *q)
{
	return !q->body.data &&
	       (strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0 ||
		strcmp(q->method, "OPTIONS") == 0);
}

static int start(struct outgoing *o, struct co_err *err)
{
	int r;

	o->spec.backend = o->backend;
	o->spec.head = (struct co_span){ o->head.data, o->head.size };
	r = http_exchange_begin(o->context->client, &o->spec, &o->exchange, err);
	if (r)
		return r;
	http_exchange_write(o->exchange, o->sent.data, o->sent.size);
	http_exchange_end(o->exchange);
	http_exchange_flush(o->exchange);
	co_buf_done(&o->head);
	co_buf_done(&o->sent);
	return 0;
}

static void start_soon(void *arg)
{
	struct outgoing *o = arg;
	struct co_err err = { 0 };
	int r;

	o->posted = false;
	if (o->cancelled) {
		release(o);
		return;
	}
	r = start(o, &err);
	if (r)
		finish(o,
		       &(struct outgoing_reply){ .error = r, .reason = err.message });
}

static bool on_loop(const struct outgoing_context *c)
{
	return pthread_equal(c->loop, pthread_self());
}

static struct outgoing *make(struct outgoing_context *c,
			     const struct outgoing_request *q)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->context = c;
	o->started = now(o);
	o->spec = (struct http_exchange_spec){
		.is_head = strcmp(q->method, "HEAD") == 0,
		.again = is_safe(q),
		.peek = !is_safe(q),
		.connect_ms = q->connect_ms ? q->connect_ms : CO_LIMIT_HTTP_CONNECT_MS,
		.total_ms = q->answer_ms,
		.max_body = q->max_body ? q->max_body : CO_LIMIT_HTTP_ANSWER_BODY,
		.events = &events,
		.arg = o
	};
	return o;
}

static int begin(void *ctx, const struct outgoing_request *q,
		 void (*done)(void *arg, const struct outgoing_reply *reply), void *arg,
		 struct outgoing **out, struct co_err *err)
{
	struct outgoing_context *c = ctx;
	struct outgoing *o = make(c, q);
	struct target target;
	int r;

	if (!o)
		return co_fail(err, CO_NO_MEMORY, "no memory for a request");
	o->done = done;
	o->arg = arg;
	r = parse(q->backend, &target, err);
	if (!r)
		r = compose(&o->head, q, &target, err);
	co_buf_span(&o->sent, q->body);
	if (!r && o->sent.failed)
		r = co_fail(err, CO_NO_MEMORY, "no memory for a request");
	if (!r) {
		(void) snprintf(o->backend, sizeof(o->backend), "%s", target.backend);
		o->posted = !on_loop(c);
		if (o->posted)
			c->host->post(c->host->ctx, start_soon, o);
		else
			r = start(o, err);
	}
	if (r) {
		release(o);
		return r;
	}
	*out = o;
	return 0;
}

static void cancel_soon(void *arg)
{
	struct outgoing *o = arg;

	o->exchange = http_exchange_cancel(o->exchange);
	release(o);
}

static struct outgoing *cancel(struct outgoing *o)
{
	if (!o)
		return NULL;
	o->cancelled = true;
	if (o->posted)
		return NULL; /* start_soon releases it */
	if (on_loop(o->context))
		cancel_soon(o);
	else
		o->context->host->post(o->context->host->ctx, cancel_soon, o);
	return NULL;
}

const struct co_outgoing *outgoing_new(struct http_client *client,
				       const struct co_host *host)
{
	struct outgoing_context *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->table = (struct co_outgoing){ .ctx = c, .begin = begin, .cancel = cancel };
	c->client = client;
	c->host = host;
	c->loop = pthread_self();
	return &c->table;
}

const struct co_outgoing *outgoing_free(const struct co_outgoing *table)
{
	if (table)
		free(table->ctx);
	return NULL;
}
