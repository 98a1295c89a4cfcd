/* SPDX-License-Identifier: MIT */
/* HTTP backends that answer calls at their own POST /v1/sys/rpc.  HOST. */
#include <inttypes.h>
#include <string.h>
#include <utlist.h>

#include <co/limits.h>

#include "cloudosd/service/configured_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { FIELDS = 4 };

/* ---- the answer ---- */

/* Code, message and details of an error as everybody writes it. */
static void take_error(struct co_span error, struct handler_result *r,
		       struct co_buf *code, struct co_buf *message)
{
	struct co_span value;

	if (co_json_kind(error) == CO_JSON_STRING &&
	    !co_json_unescape(error, message)) /* {"error":"a sentence"} */
		r->message = (struct co_span){ message->data, message->size };
	if (co_json_member(error, "code", &value) && !co_json_unescape(value, code))
		r->code = code->data;
	if (co_json_member(error, "message", &value) &&
	    !co_json_unescape(value, message))
		r->message = (struct co_span){ message->data, message->size };
	if (!co_json_member(error, "details", &r->details))
		r->details = (struct co_span){ 0 };
}

static void answered(struct configured_call *call, const struct outgoing_reply *reply)
{
	struct handler_result result = { .status = reply->status,
					 .code = "HANDLER_FAILED" };
	autobuf struct co_buf code = { 0 }, message = { 0 };
	struct handler_provider *p = call->one->provider;
	struct co_json_fault fault;
	struct co_span body, error;

	if (reply->status < 200 || (reply->status >= 300 && reply->status < 400)) {
		(void) handler_fail(p, call->id, 500, "INVALID_RESULT",
				    "%s has answered with status %d",
				    call->one->spec.backend, reply->status);
		return;
	}
	if (co_json_check(reply->body, &body, &fault)) {
		(void) handler_fail(p, call->id,
				    reply->status < 300 ? 500 : reply->status,
				    "INVALID_RESULT",
				    "%s has answered with status %d something that is "
				    "not JSON",
				    call->one->spec.backend, reply->status);
		return;
	}
	if (reply->status < 300 && co_json_member(body, "result", &result.result)) {
		result.status = 200;
	} else if (co_json_member(body, "error", &error)) {
		result.status = reply->status < 300 ? 500 : reply->status;
		result.body = body;
		take_error(error, &result, &code, &message);
	} else if (reply->status >= 300) {
		result.body = body;
	} else {
		result.status = 200; /* {}: a method that returned nothing */
		result.result = (struct co_span){ 0 };
	}
	(void) handler_answer(p, call->id, &result); /* or too late */
}

static void silent(struct configured_call *call, const struct outgoing_reply *reply)
{
	struct handler_provider *p = call->one->provider;
	int status = 500;
	const char *code = "HANDLER_CRASHED";

	if (reply->error == CO_TIMED_OUT) {
		code = "TIMEOUT";
	} else if (reply->error == CO_TOO_BIG) {
		code = "RESULT_TOO_LARGE";
	} else if (reply->error == CO_PROTOCOL) {
		code = "INVALID_RESULT";
	} else if (!reply->maybe) {
		status = 503;
		code = "UNAVAILABLE";
	}
	(void) handler_fail(p, call->id, status, code, "%s: %s",
			    call->one->spec.backend, reply->reason);
}

static void done(void *arg, const struct outgoing_reply *reply)
{
	struct configured_call *call = arg;

	call->request = NULL;
	if (call->one->provider && reply->status)
		answered(call, reply);
	else if (call->one->provider)
		silent(call, reply);
	configured_call_end(call);
}

/* ---- the request ---- */

static void write_body(struct co_buf *out, const struct handler_request *r,
		       uint64_t left_ms)
{
	co_buf_text(out, "{\"method\":");
	co_buf_json_text(out, r->name);
	co_buf_text(out, ",\"params\":");
	co_buf_span(out, r->params);
	if (left_ms)
		co_buf_format(out, ",\"timeout\":%" PRIu64, left_ms);
	co_buf_char(out, '}');
}

static size_t write_fields(struct outgoing_field fields[static FIELDS],
			   const struct handler_request *r)
{
	size_t n = 0;

	fields[n++] = (struct outgoing_field){ co_span("Content-Type"),
					       co_span("application/json") };
	if (r->caller.service.size)
		fields[n++] = (struct outgoing_field){ co_span("X-Service-Name"),
						       r->caller.service };
	if (r->caller.role.size)
		fields[n++] = (struct outgoing_field){ co_span("X-Service-Role"),
						       r->caller.role };
	if (r->request_id.size)
		fields[n++] = (struct outgoing_field){ co_span("X-Request-Id"),
						       r->request_id };
	return n;
}

static int begin(void *ctx, const struct handler_task *task)
{
	struct configured_one *one = ctx;
	const struct configured_means *means = &one->all->means;
	const struct co_outgoing *outgoing = *means->outgoing;
	uint64_t now = means->host->now_ms(means->host->ctx), left = 0;
	struct outgoing_field fields[FIELDS];
	struct outgoing_request request = { .backend = one->spec.backend,
					    .method = "POST",
					    .target = "/v1/sys/rpc",
					    .fields = fields };
	autobuf struct co_buf body = { 0 };
	struct configured_call *call;
	int r;

	if (!outgoing)
		return CO_UNSUPPORTED;
	if (task->deadline_ms)
		left = task->deadline_ms > now ? task->deadline_ms - now : 1;
	write_body(&body, task->request, left);
	call = body.failed ? NULL : configured_call_new(one, task->id);
	if (!call)
		return CO_NO_MEMORY;
	request.nfields = write_fields(fields, task->request);
	request.body = (struct co_span){ body.data, body.size };
	request.answer_ms = left < UINT32_MAX ? (uint32_t) left : UINT32_MAX;
	r = outgoing->begin(outgoing->ctx, &request, done, call, &call->request, NULL);
	if (r)
		configured_call_end(call);
	return r == CO_BUSY ? CO_TABLE_FULL
			    : r; /* nobody would say when there is room */
}

void configured_http_stop(struct configured_call *call)
{
	const struct co_outgoing *outgoing = *call->one->all->means.outgoing;

	if (call->request)
		call->request = outgoing->cancel(call->request);
	configured_call_end(call);
}

static void cancel(void *ctx, uint64_t id)
{
	const struct configured_one *one = ctx;
	struct handler_provider *p = one->provider;
	struct configured_call *call;

	DL_FOREACH (one->calls, call)
		if (call->id == id)
			break;
	if (!call)
		return;
	configured_http_stop(call);
	/* the connection is closed: there is nothing more to come */
	(void) handler_fail(p, id, 500, "CANCELLED", "the call was cancelled");
}

static bool knows(void *ctx, const char *service, enum handler_subject subject,
		  struct co_span name)
{
	const struct configured_one *one = ctx;

	(void) service;
	(void) name;
	return subject == HANDLER_METHOD && !one->spec.methods[0];
}

const struct handler_provider_ops configured_http_ops = {
	.kind = HANDLER_HTTP, .begin = begin, .cancel = cancel, .knows = knows
};
