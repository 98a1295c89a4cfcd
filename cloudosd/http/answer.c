/* SPDX-License-Identifier: MIT */
/* A request and its answer, as handlers have them (personality/http.h).  HOST. */
#include <stdarg.h>
#include <stdlib.h>
#include <zlib.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/http/inside.h"
#include "lib/cleanup.h"

enum { SENTENCE = 1024, GZIP_FROM = 2048, GZIP_TO = 1 << 20, GZIP_BITS = 15 + 16 };

/* ---- the request ---- */

struct co_span http_method(const struct http_call *c)
{
	return c->head ? co_span("GET") : co_http_head(c->message)->method;
}

struct co_span http_path(const struct http_call *c)
{
	return c->path;
}

struct co_span http_path_encoded(const struct http_call *c)
{
	return c->uri.path;
}

struct co_span http_target(const struct http_call *c)
{
	return co_http_head(c->message)->target;
}

const struct co_http_head *http_head(const struct http_call *c)
{
	return co_http_head(c->message);
}

bool http_header(const struct http_call *c, const char *name, struct co_span *out)
{
	return co_http_field(co_http_head(c->message), name, out);
}

struct co_span http_body(const struct http_call *c)
{
	if (!c->body.size)
		return (struct co_span){ 0 };
	return (struct co_span){ c->body.data, c->body.size };
}

char *call_scratch(struct http_call *call, size_t n)
{
	struct scratch *scratch = malloc(sizeof(*scratch) + n);

	if (!scratch)
		return NULL;
	scratch->next = call->scratch;
	call->scratch = scratch;
	return scratch->bytes;
}

char *http_scratch(struct http_call *c, size_t n)
{
	return call_scratch(c, n);
}

static int parameter(struct http_call *c, const char *name, struct co_span *out)
{
	struct co_span query = c->uri.query, key, value;
	size_t length = strlen(name);
	char *room;
	long n;

	while (co_uri_query_next(&query, &key, &value)) {
		if (key.size != length || memcmp(key.data, name, length) != 0)
			continue;
		if (!value.size)
			return 0;
		*out = value;
		if (!co_uri_is_encoded(value))
			return 1;
		room = call_scratch(c, value.size);
		n = room ? co_uri_decode(value, true, room) : -1;
		if (n < 0)
			return CO_INVALID;
		*out = (struct co_span){ room, (size_t) n };
		return 1;
	}
	return 0;
}

bool http_query(const struct http_call *c, const char *name, struct co_span *out)
{
	/* what cannot be decoded has been refused before a handler saw it */
	return parameter((struct http_call *) c, name, out) == 1;
}

const char *http_service(const struct http_call *c)
{
	return c->service;
}

bool http_peer(const struct http_call *c, int32_t *out_pid, uint32_t *out_uid)
{
	*out_pid = c->connection->peer_pid;
	*out_uid = c->connection->peer_uid;
	return *out_pid != 0;
}

const char *http_container(const struct http_call *c)
{
	return c->connection->owner;
}

const char *http_caller(const struct http_call *c)
{
	return c->caller;
}

bool http_may_write(const struct http_call *c)
{
	return c->connection->server->daemon->config.http_read_only !=
	       CONFIG_http_read_only_yes;
}

const struct co_services *http_services(const struct http_call *c)
{
	return c->connection->server->services;
}

struct http_vitals http_vitals(const struct http_call *c)
{
	const struct http_server *s = c->connection->server;
	const struct daemon *d = s->daemon;

	return (struct http_vitals){ .up_ms = uv_now(&d->uv) - d->started_ms,
				     .port = s->numbers.port,
				     .connections = s->numbers.connections,
				     .streams = s->numbers.streams,
				     .requests = s->numbers.requests,
				     .url = s->url,
				     .state_folder = d->paths.state,
				     .environment = d->config.blackroad_environment,
				     .node_version = d->config.blackroad_node_version };
}

/* ---- the answer ---- */

void http_set_header(struct http_call *c, const char *name, const char *format, ...)
{
	char value[SENTENCE];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	for (char *p = value; *p; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			*p = ' '; /* no value ends a line of the answer */
	co_buf_text(&c->fields, name);
	co_buf_text(&c->fields, ": ");
	co_buf_text(&c->fields, value);
	co_buf_text(&c->fields, "\r\n");
}

void http_on_answer(struct http_call *c,
		    void (*answered)(void *arg, int status, struct co_span body),
		    void *arg)
{
	core_assert_locked();
	c->answered = answered;
	c->answered_arg = arg;
}

void call_answered(struct http_call *call, int status, struct co_span body)
{
	void (*answered)(void *arg, int status, struct co_span body) = call->answered;

	call->answered = NULL;
	if (answered)
		answered(call->answered_arg, status, body);
}

/* Everything but the length and the empty line. */
void answer_head(struct http_call *call, int status, const char *type)
{
	struct connection *c = call->connection;
	struct co_buf *out = output(c);

	co_buf_text(out, "HTTP/1.1 ");
	co_buf_u64(out, (uint64_t) status);
	co_buf_char(out, ' ');
	co_buf_text(out, co_http_reason(status));
	co_buf_text(out, "\r\nDate: ");
	co_buf_text(out, http_date(c->server));
	if (type) {
		co_buf_text(out, "\r\nContent-Type: ");
		co_buf_text(out, type);
	}
	co_buf_text(out, "\r\n");
	if (call->fields.size)
		co_buf_add(out, call->fields.data, call->fields.size);
	if (c->server->stopping)
		c->last = true;
	if (c->last)
		co_buf_text(out, "Connection: close\r\n");
	else if (!co_http_head(call->message)->minor)
		co_buf_text(out, "Connection: keep-alive\r\n");
}

/* The answer without an end of the connection: 204 and 304 have neither body nor length. */
static void answer(struct http_call *call, int status, const char *type,
		   struct co_buf *body)
{
	struct connection *c = call->connection;
	bool empty = status == 204 || status == 304;
	struct co_buf *out;

	core_assert_locked();
	answer_head(call, status, empty ? NULL : type);
	out = output(c);
	if (!empty &&
	    (body->size || !call->head)) { /* HEAD of a stream: nobody knows */
		co_buf_text(out, "Content-Length: ");
		co_buf_u64(out, body->size);
		co_buf_text(out, "\r\n");
	}
	co_buf_text(out, "\r\n");
	if (!empty && !call->head)
		output_body(c, body);
	co_buf_done(body);
	call_over(call);
}

static void fault_body(struct co_buf *b, const char *code, const char *what,
		       struct co_span details)
{
	co_buf_text(b, "{\"error\":{\"code\":");
	co_buf_json_text(b, co_span(code));
	co_buf_text(b, ",\"message\":");
	co_buf_json_text(b, co_span(what));
	if (details.data) {
		co_buf_text(b, ",\"details\":");
		co_buf_span(b, details);
	}
	co_buf_text(b, "}}");
}

void answer_fault(struct http_call *call, int status, const char *code,
		  const char *what)
{
	struct co_buf body = { 0 };

	fault_body(&body, code, what, (struct co_span){ 0 });
	if (body.failed)
		call->connection->broken = true;
	answer(call, status, "application/json", &body);
}

/* Takes the place of a body that is long enough, if the client reads that. */
static void compress_body(struct http_call *call, struct co_buf *body)
{
	struct co_span accepted, encoding;
	autobuf struct co_buf small = { 0 };
	z_stream z = { 0 };
	size_t bound;

	if (body->size < GZIP_FROM || body->size > GZIP_TO ||
	    !http_header(call, "accept-encoding", &accepted) ||
	    !co_http_list_has(accepted, "gzip") ||
	    memmem(accepted.data, accepted.size, "gzip;q=0", 8) ||
	    (call->fields.size &&
	     memmem(call->fields.data, call->fields.size, "Content-Encoding", 16)))
		return;
	(void) encoding;
	if (deflateInit2(&z, 1, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return; /* uncompressed then */
	bound = deflateBound(&z, (uLong) body->size);
	z.next_out = (Bytef *) co_buf_room(&small, bound);
	z.avail_out = (uInt) bound;
	z.next_in = (Bytef *) body->data;
	z.avail_in = (uInt) body->size;
	if (z.next_out && deflate(&z, Z_FINISH) == Z_STREAM_END &&
	    z.total_out < body->size) {
		co_buf_wrote(&small, (size_t) z.total_out);
		co_buf_done(body);
		*body = small;
		small = (struct co_buf){ 0 };
		http_set_header(call, "Content-Encoding", "gzip");
	}
	(void) deflateEnd(&z); /* complains about a stream that is not at its end */
	http_set_header(call, "Vary", "Accept-Encoding");
}

void http_answer_as(struct http_call *c, int status, const char *type,
		    struct co_buf *body)
{
	if (body->failed || c->fields.failed) {
		co_buf_done(body);
		co_buf_done(&c->fields);
		answer_fault(c, 500, "NO_MEMORY", "there is no memory for the answer");
		return;
	}
	call_answered(c, status, (struct co_span){ body->data, body->size });
	compress_body(c, body);
	answer(c, status, type, body);
}

void http_answer(struct http_call *c, int status, struct co_buf *body)
{
	http_answer_as(c, status, "application/json", body);
}

static void fail(struct http_call *c, int status, const char *code,
		 struct co_span details, const char *what)
{
	struct co_buf body = { 0 };

	fault_body(&body, code, what, details);
	http_answer(c, status, &body);
}

void http_fail(struct http_call *c, int status, const char *code, const char *format,
	       ...)
{
	char what[SENTENCE];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	fail(c, status, code, (struct co_span){ 0 }, what);
}

void http_fail_with(struct http_call *c, int status, const char *code,
		    struct co_span details, const char *format, ...)
{
	char what[SENTENCE];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	fail(c, status, code, details, what);
}

/* ---- statuses of the layers below ---- */

static const struct {
	int status, http;
	const char *code;
} statuses[] = {
	{ CO_INVALID, 400, "INVALID_REQUEST" },
	{ CO_NAME_TOO_LONG, 400, "INVALID_REQUEST" },
	{ CO_ACCESS, 403, "FORBIDDEN" },
	{ CO_NOT_FOUND, 404, "NOT_FOUND" },
	{ CO_GONE, 404, "NOT_FOUND" },
	{ CO_CONFLICT, 409, "CONFLICT" },
	{ CO_EXISTS, 409, "CONFLICT" },
	{ CO_TOO_BIG, 413, "TOO_LARGE" },
	{ CO_UNSUPPORTED, 501, "NOT_IMPLEMENTED" },
	{ CO_BUSY, 503, "OVERLOADED" },
	{ CO_TABLE_FULL, 503, "OVERLOADED" },
	{ CO_NO_FDS, 503, "OVERLOADED" },
	{ CO_NO_MEMORY, 503, "NO_MEMORY" },
	{ CO_TIMED_OUT, 504, "TIMEOUT" },
	{ CO_NO_SPACE, 507, "NO_SPACE" },
};

void http_fail_status(struct http_call *c, int status, const char *reason)
{
	if (!reason || !*reason)
		reason = co_status_text(status);
	for (size_t i = 0; i < co_countof(statuses); i++)
		if (statuses[i].status == status) {
			if (statuses[i].http == 503)
				http_set_header(c, "Retry-After", "1");
			fail(c, statuses[i].http, statuses[i].code,
			     (struct co_span){ 0 }, reason);
			return;
		}
	fail(c, 500, "INTERNAL_ERROR", (struct co_span){ 0 }, reason);
}

void http_pend(struct http_call *c, void (*cancel)(struct http_call *c, void *arg),
	       void *arg)
{
	core_assert_locked();
	if (!c->pending)
		c->connection->server->calls_pending++;
	c->pending = true;
	c->cancel = cancel;
	c->cancel_arg = arg;
}
