/* SPDX-License-Identifier: MIT */
/* The RPC endpoints: calling, listing, and attaching to answer.  HOST. */
#include <inttypes.h>
#include <stdlib.h>

#include <co/limits.h>

#include "cloudosd/service/attached.h"
#include "cloudosd/service/handler.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "personality/blackroad/blackroad.h"

enum { DEFAULT_MS = 10000 };

/* ---- POST /v1/sys/rpc ---- */

/* A call that its client waits for. */
struct waiting {
	struct http_call *call;
	struct handler_call *handle;
	bool ended; /* before handlers_call returned */
};

static void answer_error(struct http_call *call, const struct handler_result *r)
{
	struct co_buf body = { 0 };

	if (r->retry_after)
		http_set_header(call, "Retry-After", "%" PRIu32, r->retry_after);
	if (r->body.data) {
		co_buf_span(&body, r->body);
		http_answer(call, r->status, &body);
		return;
	}
	co_buf_text(&body, "{\"error\":{\"code\":");
	co_buf_json_text(&body, co_span(r->code));
	co_buf_text(&body, ",\"message\":");
	co_buf_json_text(&body, r->message);
	if (r->details.data) {
		co_buf_text(&body, ",\"details\":");
		co_buf_span(&body, r->details);
	}
	if (r->stack.size) {
		co_buf_text(&body, ",\"stack\":");
		co_buf_json_text(&body, r->stack);
	}
	co_buf_text(&body, "}}");
	http_answer(call, r->status, &body);
}

static void answer(struct http_call *call, const struct handler_result *r)
{
	struct co_buf body = { 0 };

	if (r->status != 200) {
		answer_error(call, r);
		return;
	}
	co_buf_text(&body, "{\"result\":");
	co_buf_span(&body, r->result);
	co_buf_char(&body, '}');
	http_answer(call, 200, &body);
}

static void done(void *arg, const struct handler_result *result)
{
	struct waiting *w = arg;

	answer(w->call, result);
	if (w->handle)
		free(w);
	else
		w->ended = true; /* whoever calls frees it */
}

static void client_gone(struct http_call *call, void *arg)
{
	struct waiting *w = arg;

	(void) call;
	handlers_cancel(w->handle);
	free(w);
}

static void header(struct http_call *call, const char *name, struct co_span *out)
{
	if (!http_header(call, name, out))
		*out = (struct co_span){ 0 };
}

void blackroad_on_rpc(struct http_call *call, const struct blackroad_rpc_args *with)
{
	struct handler_request request = { .service = http_service(call),
					   .name = with->method,
					   .params = with->params };
	struct handler_listener listener = { .done = done };
	struct waiting *w;
	int64_t timeout;

	if (!with->method.size || with->method.size > CO_LIMIT_RPC_NAME) {
		blackroad_invalid(call, "method must have 1 to %d bytes",
				  CO_LIMIT_RPC_NAME);
		return;
	}
	if (!blackroad_json_number(call, "timeout", with->timeout, DEFAULT_MS, 1,
				   INT64_MAX, &timeout))
		return;
	request.timeout_ms = timeout < CO_LIMIT_RPC_TIMEOUT_MS
				     ? (uint64_t) timeout
				     : CO_LIMIT_RPC_TIMEOUT_MS;
	header(call, "x-service-name", &request.caller.service);
	header(call, "x-service-role", &request.caller.role);
	header(call, "x-request-id", &request.request_id);
	(void) http_peer(call, &request.caller.pid, &request.caller.uid); /* or 0 */
	w = calloc(1, sizeof(*w));
	if (!w) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	w->call = call;
	listener.arg = w;
	w->handle = handlers_call(http_services(call)->handlers, &request, &listener);
	if (w->ended)
		free(w);
	else
		http_pend(call, client_gone, w);
}

/* ---- GET /v1/sys/methods ---- */

struct listing {
	struct co_buf *buf;
	enum handler_subject subject;
	bool more;
};

static void list_one(void *arg, const struct handler_name *name)
{
	struct listing *l = arg;
	struct co_buf *b = l->buf;

	if (name->subject != l->subject)
		return;
	co_buf_text(b, l->more ? ",{\"name\":" : "{\"name\":");
	l->more = true;
	co_buf_json_text(b, co_span(name->name));
	co_buf_text(b, ",\"kind\":");
	co_buf_json_text(b, co_span(handler_kind_name(name->kind)));
	co_buf_format(b,
		      ",\"handlers\":%" PRIu32 ",\"inFlight\":%" PRIu32
		      ",\"queued\":%" PRIu32 ",\"calls\":%" PRIu64
		      ",\"failed\":%" PRIu64 "}",
		      name->providers, name->in_flight, name->queued, name->calls,
		      name->failed);
}

static void list(struct http_call *call, struct co_buf *body, enum handler_subject what)
{
	struct listing l = { .buf = body, .subject = what };

	handlers_list(http_services(call)->handlers, http_service(call), list_one, &l);
}

void blackroad_on_methods(struct http_call *call,
			  const struct blackroad_methods_args *with)
{
	struct co_buf body = { 0 };

	(void) with;
	co_buf_text(&body, "{\"methods\":[");
	list(call, &body, HANDLER_METHOD);
	co_buf_text(&body, "],\"jobs\":[");
	list(call, &body, HANDLER_JOB);
	co_buf_text(&body, "]}");
	http_answer(call, 200, &body);
}

/* ---- POST /v1/sys/handlers ---- */

/* A connection that belongs to an attached process. */
struct connected {
	const struct co_host *host;
	struct http_stream *stream; /* NULL: it has been ended from here */
	struct attached *attached;
};

static void io_write(void *ctx, const void *data, size_t n)
{
	struct connected *c = ctx;

	if (c->stream)
		http_stream_write(c->stream, data, n);
}

static size_t io_queued(void *ctx)
{
	const struct connected *c = ctx;

	return c->stream ? http_stream_queued(c->stream) : 0;
}

static void over(void *arg)
{
	struct connected *c = arg;

	attached_closed(c->attached);
	free(c);
}

/* Inside of attached_feed or of a call: the rest follows from the loop. */
static void io_end(void *ctx)
{
	struct connected *c = ctx;

	if (!c->stream)
		return;
	http_stream_end(take(c->stream));
	c->host->post(c->host->ctx, over, c);
}

static void on_data(void *arg, const char *bytes, size_t n)
{
	struct connected *c = arg;

	attached_feed(c->attached, bytes, n);
}

static void on_room(void *arg)
{
	struct connected *c = arg;

	attached_room(c->attached);
}

void blackroad_on_handlers(struct http_call *call,
			   const struct blackroad_handlers_args *with)
{
	struct attached_spec spec = { .service = http_service(call),
				      .contained = *http_container(call) != 0,
				      .room = CO_LIMIT_HTTP_STREAM_QUEUE };
	struct connected *c = calloc(1, sizeof(*c));
	uint32_t uid;

	(void) with;
	if (c) {
		(void) http_peer(call, &spec.pid, &uid); /* or 0 */
		spec.handlers = http_services(call)->handlers;
		spec.host = c->host = http_services(call)->host;
		spec.io = (struct attached_io){ io_write, io_queued, io_end, c };
		c->attached = attached_new(&spec);
	}
	if (!c || !c->attached) {
		free(c);
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	c->stream = http_upgrade(call, "cloudos-handlers/1", on_data, over, c);
	if (c->stream)
		http_stream_on_room(c->stream, on_room);
	else
		over(c);
}
