/* SPDX-License-Identifier: MIT */
/* Calls of methods and jobs: given once, ended once.  HOST. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/service/handler_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

static uint64_t now(const struct handlers *h)
{
	return h->host->now_ms(h->host->ctx);
}

/* ---- the request, copied ---- */

static struct co_span keep(char **at, struct co_span from)
{
	char *to = *at;

	if (!from.data)
		return from;
	memcpy(to, from.data, from.size);
	to[from.size] = '\0';
	*at += from.size + 1;
	return (struct co_span){ .data = to, .size = from.size };
}

static struct co_span *const *spans_of(struct handler_request *r,
				       struct co_span *out[static 7])
{
	out[0] = &r->name;
	out[1] = &r->params;
	out[2] = &r->caller.service;
	out[3] = &r->caller.role;
	out[4] = &r->request_id;
	out[5] = &r->run;
	out[6] = &r->token;
	return out;
}

static struct handler_call *call_new(struct handlers *h,
				     const struct handler_request *request,
				     const struct handler_listener *listener)
{
	struct handler_request mine = *request;
	struct co_span *spans[7];
	struct handler_call *call;
	size_t n = strlen(request->service) + 1;
	char *at;

	if (!mine.params.data)
		mine.params = co_span("null");
	(void) spans_of(&mine, spans);
	for (size_t i = 0; i < co_countof(spans); i++)
		n += spans[i]->size + 1;
	call = calloc(1, sizeof(*call) + n);
	if (!call)
		return NULL;
	at = call->text;
	for (size_t i = 0; i < co_countof(spans); i++)
		*spans[i] = keep(&at, *spans[i]);
	mine.service = keep(&at, co_span(request->service)).data;
	call->request = mine;
	call->bytes = sizeof(*call) + n;
	call->h = h;
	call->listener = *listener;
	call->began_ms = now(h);
	call->task.id = ++h->next_id;
	call->task.request = &call->request;
	if (mine.timeout_ms)
		call->task.deadline_ms = call->began_ms + mine.timeout_ms;
	HASH_ADD(hh, h->calls, task.id, sizeof(call->task.id), call);
	h->bytes += call->bytes;
	return call;
}

static struct handler_call *call_find(const struct handlers *h, uint64_t id)
{
	struct handler_call *call;

	HASH_FIND(hh, h->calls, &id, sizeof(id), call);
	return call;
}

/* ---- deadlines: one timer for the earliest ---- */

static void arm(struct handlers *h)
{
	uint64_t due = h->due ? h->due->task.deadline_ms : 0, at = now(h);

	if (h->late && (!due || h->late->forget_ms < due))
		due = h->late->forget_ms;
	/* one that fires too early costs less than moving it with each call */
	if (!due || (h->armed_ms && h->armed_ms <= due))
		return;
	h->armed_ms = due;
	h->host->timer_start(h->timer, due > at ? due - at : 0);
}

/* Most calls have the same timeout: the place is near the end. */
static void due_insert(struct handlers *h, struct handler_call *call)
{
	struct handler_call *last = h->due ? h->due->due_prev : NULL;

	if (!call->task.deadline_ms)
		return;
	call->is_due = true;
	while (last && last->task.deadline_ms > call->task.deadline_ms)
		last = last == h->due ? NULL : last->due_prev;
	if (last) {
		DL_APPEND_ELEM2(h->due, last, call, due_prev, due_next);
	} else {
		DL_PREPEND2(h->due, call, due_prev, due_next);
	}
	arm(h);
}

static void due_remove(struct handler_call *call)
{
	if (call->is_due)
		DL_DELETE2(call->h->due, call, due_prev, due_next);
	call->is_due = false;
}

/* ---- the end of a call ---- */

static void queue_leave(struct handler_call *call)
{
	if (!call->queue)
		return;
	DL_DELETE2(call->queue->calls, call, q_prev, q_next);
	call->queue->count--;
	call->queue = NULL;
	call->h->numbers.queued--;
}

static void provider_leave(struct handler_call *call)
{
	struct handler_provider *p = call->provider;

	if (!p)
		return;
	DL_DELETE2(p->calls, call, p_prev, p_next);
	p->in_flight--;
	call->provider = NULL;
	call->h->numbers.in_flight--;
	if (call->name)
		call->name->in_flight--;
}

/* It is in no list any more, and nobody finds it; its memory is still there. */
static void call_take_out(struct handler_call *call)
{
	struct handlers *h = call->h;

	due_remove(call);
	if (call->state == HANDLER_LATE)
		DL_DELETE2(h->late, call, due_prev, due_next);
	queue_leave(call);
	provider_leave(call);
	HASH_DEL(h->calls, call);
	h->bytes -= call->bytes;
}

static void count_end(struct handler_call *call, const struct handler_result *result)
{
	struct handlers_numbers *n = &call->h->numbers;

	if (result->status == 200)
		return;
	n->failed++;
	if (call->name)
		call->name->failed++;
	if (!result->code)
		return;
	n->timed_out += strcmp(result->code, "TIMEOUT") == 0;
	n->crashed += strcmp(result->code, "HANDLER_CRASHED") == 0;
}

/* Ends a call that nobody has given up. */
static void call_end(struct handler_call *call, const struct handler_result *result)
{
	struct handler_result last = *result;

	last.elapsed_ms = now(call->h) - call->began_ms;
	count_end(call, result);
	call_take_out(call);
	call->listener.done(call->listener.arg, &last);
	free(call);
}

/* Nobody waits for it; its provider still has it, for a while. */
static void call_give_up(struct handler_call *call)
{
	struct handlers *h = call->h;
	struct handler_provider *p = call->provider;

	due_remove(call);
	if (!p) {
		call_take_out(call);
		free(call);
		return;
	}
	call->state = HANDLER_LATE;
	call->forget_ms = now(h) + CO_LIMIT_RPC_LATE_MS;
	DL_APPEND2(h->late, call, due_prev, due_next);
	arm(h);
	p->ops->cancel(p->ctx, call->task.id); /* it may answer: the call may be gone */
}

static const char *what(const struct handler_request *r)
{
	return r->subject == HANDLER_METHOD ? "method" : "job";
}

static void call_time_out(struct handler_call *call)
{
	struct handler_listener listener = call->listener;
	uint64_t elapsed = now(call->h) - call->began_ms;
	char message[CO_LIMIT_RPC_NAME + 160], details[96];
	struct handler_result result = { .status = 500,
					 .code = "TIMEOUT",
					 .elapsed_ms = elapsed };

	(void) snprintf(message, sizeof(message),
			"%s \"%.*s\" %s within %" PRIu64
			" ms; it may have had an effect all the same",
			what(&call->request), (int) call->request.name.size,
			call->request.name.data,
			call->provider ? "did not answer" : "found no free handler",
			call->request.timeout_ms);
	(void) snprintf(details, sizeof(details),
			"{\"elapsedMs\":%" PRIu64 ",\"begun\":%s}", elapsed,
			call->provider ? "true" : "false");
	result.message = co_span(message);
	result.details = co_span(details);
	count_end(call, &result);
	call_give_up(call);
	listener.done(listener.arg, &result);
}

static void fire(void *arg)
{
	struct handlers *h = arg;
	uint64_t at = now(h);

	h->armed_ms = 0;
	while (h->due && h->due->task.deadline_ms <= at)
		call_time_out(h->due);
	while (h->late && h->late->forget_ms <= at) {
		struct handler_call *call = h->late;
		struct handler_provider *p = call->provider;

		call_take_out(call);
		free(call);
		handler_pump(p);
	}
	arm(h);
}

/* ---- giving calls to providers ---- */

enum given { GIVEN, ENDED, BUSY };

static void fail_now(struct handler_call *call, int status, const char *code,
		     const char *reason)
{
	struct handler_result result = { .status = status,
					 .code = code,
					 .message = co_span(reason) };

	call_end(call, &result);
}

/* GIVEN: it may have been answered, too. */
static enum given give(struct handler_call *call, struct handler_provider *p)
{
	struct handlers *h = call->h;
	uint64_t id = call->task.id;
	int r;

	call->provider = p;
	call->state = HANDLER_RUNNING;
	DL_APPEND2(p->calls, call, p_prev, p_next);
	p->in_flight++;
	h->numbers.in_flight++;
	if (call->name)
		call->name->in_flight++;
	r = p->ops->begin(p->ctx, &call->task);
	if (r == 0) {
		call = call_find(h, id);
		if (call && call->listener.begun && call->state == HANDLER_RUNNING)
			call->listener.begun(call->listener.arg, p->label);
		return GIVEN;
	}
	provider_leave(call);
	call->state = HANDLER_QUEUED;
	if (r == CO_BUSY) {
		p->busy = true;
		return BUSY;
	}
	fail_now(call, 503, "UNAVAILABLE",
		 r == CO_NO_MEMORY ? "cloudosd has no memory left for the call"
				   : "the handler could not be given the call");
	return ENDED;
}

/* The one with the fewest calls, of these the one that has waited longest. */
static struct handler_provider *choose(struct handler_name_entry *name)
{
	struct handler_offer *offer, *best = NULL;

	DL_FOREACH (name->offers, offer)
		if (handler_has_room(offer->provider) &&
		    (!best || offer->provider->in_flight < best->provider->in_flight))
			best = offer;
	if (!best)
		return NULL;
	DL_DELETE(name->offers, best);
	DL_APPEND(name->offers, best);
	return best->provider;
}

/* Whoever of these has waited longest for the provider. */
static struct handler_call *next_for(const struct handler_provider *p)
{
	struct handler_call *oldest = p->queue.calls, *call;
	const struct handler_offer *offer;

	DL_FOREACH2(p->offers, offer, p_next)
	{
		call = offer->name->queue.calls;
		if (call && (!oldest || call->task.id < oldest->task.id))
			oldest = call;
	}
	return oldest;
}

void handler_pump(struct handler_provider *p)
{
	if (!p->h->numbers.queued || p->pumping)
		return;
	p->pumping = true; /* a provider that answers at once calls this again */
	p->held++;
	while (handler_has_room(p)) {
		struct handler_call *call = next_for(p);
		struct handler_queue *queue;

		if (!call)
			break;
		queue = call->queue;
		queue_leave(call);
		if (give(call, p) == BUSY) {
			call->queue = queue; /* first again */
			DL_PREPEND2(queue->calls, call, q_prev, q_next);
			queue->count++;
			p->h->numbers.queued++;
		}
	}
	p->pumping = false;
	handler_release(p);
}

static bool enqueue(struct handler_call *call, struct handler_queue *queue)
{
	if (queue->count >= CO_LIMIT_RPC_QUEUE)
		return false;
	call->queue = queue;
	DL_APPEND2(queue->calls, call, q_prev, q_next);
	queue->count++;
	call->h->numbers.queued++;
	return true;
}

static void overloaded(struct handler_call *call)
{
	struct handler_result result = { .status = 503,
					 .code = "OVERLOADED",
					 .retry_after = 1 };
	char message[CO_LIMIT_RPC_NAME + 128];

	(void) snprintf(message, sizeof(message),
			"%d calls wait for %s \"%.*s\" already; call again later",
			CO_LIMIT_RPC_QUEUE, what(&call->request),
			(int) call->request.name.size, call->request.name.data);
	result.message = co_span(message);
	call->h->numbers.refused++;
	call_end(call, &result);
}

static void place(struct handler_call *call, struct handler_name_entry *name,
		  struct handler_provider *knower)
{
	struct handler_queue *queue = name ? &name->queue : &knower->queue;
	struct handler_provider *p;

	call->name = name;
	if (name)
		name->calls++;
	/* nobody overtakes who waits already */
	while (!queue->calls && (p = name                       ? choose(name)
				     : handler_has_room(knower) ? knower
								: NULL))
		if (give(call, p) != BUSY)
			return;
	if (!enqueue(call, queue))
		overloaded(call);
}

/* ---- calling ---- */

static void refuse(const struct handler_listener *listener, int status,
		   const char *code, const char *reason)
{
	struct handler_result result = { .status = status,
					 .code = code,
					 .message = co_span(reason),
					 .retry_after = status == 503 };

	listener->done(listener->arg, &result);
}

static void not_found(const struct handler_request *r,
		      const struct handler_listener *listener)
{
	bool job = r->subject == HANDLER_JOB;
	char reason[2 * CO_LIMIT_RPC_NAME + 96];

	(void) snprintf(reason, sizeof(reason),
			"nobody offers the %s \"%.*s\" for service \"%s\"",
			job ? "job" : "method",
			(int) (r->name.size < CO_LIMIT_RPC_NAME ? r->name.size
								: CO_LIMIT_RPC_NAME),
			r->name.data, r->service);
	refuse(listener, 404, job ? "HANDLER_NOT_FOUND" : "METHOD_NOT_FOUND", reason);
}

/* False, and answered: there is no room for another. */
static bool admit(struct handlers *h, const struct handler_request *r,
		  const struct handler_listener *listener)
{
	h->numbers.calls++;
	if (h->closing) {
		refuse(listener, 503, "SHUTDOWN", "cloudosd is stopping");
		return false;
	}
	if (r->params.size > CO_LIMIT_RPC_PARAMS) {
		refuse(listener, 413, "TOO_LARGE",
		       "params are larger than the limit of 1016 KiB");
		return false;
	}
	if (HASH_COUNT(h->calls) >= CO_LIMIT_RPC_CALLS ||
	    h->bytes + r->params.size > CO_LIMIT_RPC_BYTES) {
		h->numbers.refused++;
		refuse(listener, 503, "OVERLOADED",
		       "too many calls wait in this domain; call again later");
		return false;
	}
	return true;
}

struct handler_call *handlers_call(struct handlers *h,
				   const struct handler_request *request,
				   const struct handler_listener *listener)
{
	struct handler_name_entry *name;
	struct handler_provider *knower = NULL;
	struct handler_call *call;
	uint64_t id;

	if (!admit(h, request, listener))
		return NULL;
	name = handler_name_find(h, request->service, request->subject, request->name);
	if (!name)
		knower = handler_knower(h, request->service, request->subject,
					request->name);
	if (!name && !knower) {
		not_found(request, listener);
		return NULL;
	}
	call = call_new(h, request, listener);
	if (!call) {
		refuse(listener, 500, "NO_MEMORY",
		       "cloudosd has no memory left for the call");
		return NULL;
	}
	id = call->task.id;
	place(call, name, knower);
	call = call_find(h, id);
	if (call)
		due_insert(h, call);
	return call;
}

struct handler_call *handlers_adopt(struct handler_provider *p,
				    const struct handler_request *request,
				    const struct handler_listener *listener)
{
	struct handlers *h = p->h;
	struct handler_call *call = call_new(h, request, listener);

	if (!call)
		return NULL;
	h->numbers.calls++;
	h->numbers.in_flight++;
	call->provider = p;
	call->state = HANDLER_RUNNING;
	DL_APPEND2(p->calls, call, p_prev, p_next);
	p->in_flight++;
	due_insert(h, call);
	return call;
}

void handlers_cancel(struct handler_call *call)
{
	call_give_up(call);
}

/* ---- what providers say ---- */

static struct handler_call *call_of(const struct handler_provider *p, uint64_t id)
{
	struct handler_call *call = call_find(p->h, id);

	return call && call->provider == p ? call : NULL;
}

static void check_result(struct handler_result *r)
{
	struct co_json_fault fault;
	struct co_span value;

	if (!r->result.data)
		r->result = co_span("null");
	if (r->result.size > CO_LIMIT_RPC_RESULT)
		*r = (struct handler_result){
			.status = 500,
			.code = "RESULT_TOO_LARGE",
			.message = co_span("the handler's result is larger than the "
					   "limit of 1 MiB")
		};
	else if (co_json_check(r->result, &value, &fault))
		*r = (struct handler_result){
			.status = 500,
			.code = "INVALID_RESULT",
			.message = co_span("the handler has answered something that is "
					   "not JSON")
		};
	else
		r->result = value;
}

static void check_error(struct handler_result *r)
{
	struct co_json_fault fault;
	struct co_span value;

	if (!r->code || !*r->code)
		r->code = "HANDLER_FAILED";
	if (!r->message.data)
		r->message = co_span("the handler has failed and did not say why");
	if (r->details.data && co_json_check(r->details, &value, &fault))
		r->details = (struct co_span){ 0 };
	if (r->body.data && (co_json_check(r->body, &value, &fault) ||
			     r->body.size > CO_LIMIT_RPC_RESULT))
		r->body = (struct co_span){ 0 };
}

bool handler_answer(struct handler_provider *p, uint64_t id,
		    const struct handler_result *result)
{
	struct handler_call *call = call_of(p, id);
	struct handler_result checked = *result;

	if (!call) {
		p->h->numbers.late++;
		return false;
	}
	if (call->state == HANDLER_LATE) {
		p->h->numbers.late++;
		call_take_out(call);
		free(call);
		handler_pump(p);
		return true;
	}
	if (checked.status == 200)
		check_result(&checked);
	if (checked.status != 200)
		check_error(&checked);
	p->held++; /* whoever hears of this may remove it */
	call_end(call, &checked);
	handler_pump(p);
	handler_release(p);
	return true;
}

bool handler_fail(struct handler_provider *p, uint64_t id, int status, const char *code,
		  const char *format, ...)
{
	char message[1024];
	struct handler_result result = { .status = status, .code = code };
	va_list args;

	va_start(args, format);
	(void) vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	result.message = co_span(message);
	return handler_answer(p, id, &result);
}

bool handler_progress(struct handler_provider *p, uint64_t id, struct co_span value)
{
	struct handler_call *call = call_of(p, id);
	struct co_json_fault fault;

	if (!call || call->state != HANDLER_RUNNING ||
	    value.size > CO_LIMIT_RPC_RESULT || co_json_check(value, &value, &fault))
		return false;
	if (call->listener.progress)
		call->listener.progress(call->listener.arg, value);
	return true;
}

/* ---- ends of many ---- */

void handler_queue_fail(struct handler_queue *queue, int status, const char *code,
			const char *reason)
{
	while (queue->calls)
		fail_now(queue->calls, status, code, reason);
}

void handler_calls_fail(struct handler_provider *p, int status, const char *code,
			const char *reason)
{
	while (p->calls) {
		struct handler_call *call = p->calls;

		if (call->state == HANDLER_LATE) {
			call_take_out(call);
			free(call);
		} else {
			fail_now(call, status, code, reason);
		}
	}
}

/* ---- the registry ---- */

static void nothing_done(void *arg, const struct handler_result *result)
{
	(void) arg;
	(void) result;
}

void handlers_close(struct handlers *h)
{
	struct handler_call *call, *next;
	uint64_t id = 0;

	h->closing = true;
	HASH_ITER (hh, h->calls, call, next)
		if (call->request.subject == HANDLER_JOB)
			call->listener =
				(struct handler_listener){ .done = nothing_done };
	do { /* whoever hears of one may end others */
		id = 0;
		HASH_ITER (hh, h->calls, call, next)
			if (call->request.subject == HANDLER_METHOD &&
			    call->state != HANDLER_LATE)
				id = call->task.id;
		call = id ? call_find(h, id) : NULL;
		if (call)
			fail_now(call, 500, "SHUTDOWN", "cloudosd is stopping");
	} while (id);
}

struct handlers *handlers_new(const struct co_host *host)
{
	struct handlers *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->host = host;
	h->timer = host->timer_new(host->ctx, fire, h);
	/* ids are never used twice, not even by the next daemon */
	h->next_id = host->wall_ns(host->ctx) / 1000000 << 12;
	if (!h->timer || handler_builtin(h, NULL)) {
		if (h->timer)
			return handlers_free(h);
		free(h);
		return NULL;
	}
	return h;
}
