/* SPDX-License-Identifier: MIT */
/* The frames of processes that answer calls.  HOST. */
#include "cloudosd/service/attached.h"

#include <co/limits.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum {
	HELLO_MS = 10000, /* to say who it is */
	BEAT_MS = 15000,
	BEATS = 4,        /* without a word: it hangs */
	KEEP = 64 * 1024, /* memory of one frame that is kept for the next */
	SLACK = 4096,     /* of a CALL around its params and names */
	CONTROL = 65536,  /* the longest HELLO, REGISTER or UNREGISTER */
	WHY = 256
};

struct attached {
	struct handlers *handlers;
	const struct co_host *host;
	struct attached_io io;
	struct handler_provider *provider; /* NULL: no HELLO yet, or it was refused */
	struct co_timer *timer;
	struct co_buf in, out;
	char *service;
	bool contained;
	int32_t pid;
	size_t room;
	uint64_t last_id; /* the latest that it was given */
	uint64_t skip;    /* bytes of a frame that is too long */
	unsigned silent;  /* heartbeats since it was heard */
	bool ended;       /* what still comes in is not looked at */
};

struct frame {
	uint8_t type;
	uint64_t id;
	struct co_span payload;
};

/* ---- out ---- */

static void put_u32(uint8_t *to, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		to[i] = (uint8_t) v;
}

static uint32_t get_u32(const uint8_t *from)
{
	return (uint32_t) from[0] << 24 | (uint32_t) from[1] << 16 |
	       (uint32_t) from[2] << 8 | from[3];
}

static struct co_buf *frame_begin(struct attached *a)
{
	static const uint8_t head[ATTACHED_HEAD] = { 0 };

	if (a->out.failed || a->out.room > KEEP)
		co_buf_done(&a->out);
	a->out.size = 0;
	co_buf_add(&a->out, head, sizeof(head));
	return &a->out;
}

/* False: there was no memory for all of it, and nothing has gone out. */
static bool frame_end(struct attached *a, enum attached_frame type, uint64_t id)
{
	uint8_t head[ATTACHED_HEAD] = { 0 };

	if (a->out.failed)
		return false;
	put_u32(head, (uint32_t) (a->out.size - 4));
	head[4] = (uint8_t) type;
	put_u32(head + 8, (uint32_t) (id >> 32));
	put_u32(head + 12, (uint32_t) id);
	memcpy(a->out.data, head, sizeof(head));
	a->io.write(a->io.ctx, a->out.data, a->out.size);
	return true;
}

static void say_error(struct attached *a, uint64_t id, const char *code,
		      const char *reason)
{
	struct co_buf *out = frame_begin(a);

	co_buf_text(out, "{\"code\":");
	co_buf_json_text(out, co_span(code));
	co_buf_text(out, ",\"message\":");
	co_buf_json_text(out, co_span(reason));
	co_buf_char(out, '}');
	(void) frame_end(a, ATTACHED_ERROR,
			 id); /* it is told as far as there is memory */
}

static void label_of(const struct attached *a, char *out, size_t size)
{
	if (a->pid)
		(void) snprintf(out, size, "process %" PRId32, a->pid);
	else
		(void) snprintf(out, size, "a handler over TCP");
}

/* It is not listened to any more; reason goes to it and to whoever has called it. */
static void hang_up(struct attached *a, const char *code, const char *reason)
{
	struct handler_provider *p = take(a->provider);
	char whole[2 * WHY], label[64];

	if (a->ended)
		return;
	a->ended = true;
	label_of(a, label, sizeof(label));
	(void) snprintf(whole, sizeof(whole), "%s has been disconnected: %s", label,
			reason);
	say_error(a, 0, code, reason);
	a->io.end(a->io.ctx);
	if (p)
		handlers_remove(p, 500, "HANDLER_CRASHED", whole);
}

static void protocol(struct attached *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void protocol(struct attached *a, const char *format, ...)
{
	char reason[WHY];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	hang_up(a, "PROTOCOL", reason);
}

/* ---- as a provider ---- */

static void member_text(struct co_buf *out, const char *name, struct co_span text)
{
	if (!text.size)
		return;
	co_buf_format(out, ",\"%s\":", name);
	co_buf_json_text(out, text);
}

static void write_caller(struct co_buf *out, const struct handler_caller *caller)
{
	co_buf_text(out, ",\"caller\":{\"service\":");
	co_buf_json_text(out, caller->service.data ? caller->service : co_span(""));
	member_text(out, "role", caller->role);
	if (caller->pid)
		co_buf_format(out, ",\"pid\":%" PRId32 ",\"uid\":%" PRIu32, caller->pid,
			      caller->uid);
	co_buf_char(out, '}');
}

static void write_call(struct attached *a, const struct handler_task *task,
		       struct co_buf *out)
{
	const struct handler_request *r = task->request;
	uint64_t now = a->host->now_ms(a->host->ctx);

	co_buf_text(out, r->subject == HANDLER_METHOD ? "{\"kind\":\"method\",\"name\":"
						      : "{\"kind\":\"job\",\"name\":");
	co_buf_json_text(out, r->name);
	if (task->deadline_ms)
		co_buf_format(out, ",\"timeoutMs\":%" PRIu64,
			      task->deadline_ms > now ? task->deadline_ms - now : 0);
	write_caller(out, &r->caller);
	member_text(out, "requestId", r->request_id);
	member_text(out, "run", r->run);
	member_text(out, "token", r->token);
	if (r->attempt)
		co_buf_format(out, ",\"attempt\":%" PRIu32, r->attempt);
	co_buf_text(out, ",\"params\":");
	co_buf_span(out, r->params);
	co_buf_char(out, '}');
}

static int begin(void *ctx, const struct handler_task *task)
{
	struct attached *a = ctx;
	size_t queued = a->io.queued(a->io.ctx);

	if (queued && queued + task->request->params.size + SLACK > a->room)
		return CO_BUSY; /* it reads slowly */
	write_call(a, task, frame_begin(a));
	if (!frame_end(a, ATTACHED_CALL, task->id))
		return CO_NO_MEMORY;
	a->last_id = task->id;
	return 0;
}

static void cancel(void *ctx, uint64_t id)
{
	struct attached *a = ctx;

	(void) frame_begin(a);
	(void) frame_end(a, ATTACHED_CANCEL, id); /* it is allowed not to come */
}

static const struct handler_provider_ops attached_ops = { .kind = HANDLER_ATTACHED,
							  .begin = begin,
							  .cancel = cancel };

/* ---- HELLO ---- */

static void resume_one(struct attached *a, struct co_span run, struct co_buf *out)
{
	autobuf struct co_buf name = { 0 }, token = { 0 };
	struct co_span value;
	uint64_t id = 0;

	if (co_json_member(run, "run", &value) && !co_json_unescape(value, &name) &&
	    co_json_member(run, "token", &value) && !co_json_unescape(value, &token))
		id = handlers_resume(a->provider,
				     (struct co_span){ name.data, name.size },
				     (struct co_span){ token.data, token.size });
	if (id > a->last_id)
		a->last_id = id;
	co_buf_text(out, "{\"run\":");
	co_buf_json_text(out,
			 (struct co_span){ name.data ? name.data : "", name.size });
	co_buf_format(out, ",\"id\":%" PRIu64 "}", id);
}

/* The answer, with what has become of the runs that it still works on. */
static void welcome(struct attached *a, struct co_span hello)
{
	autobuf struct co_buf runs = { 0 };
	struct co_span list, name, value;
	struct co_buf *out;

	if (co_json_member(hello, "runs", &list) &&
	    co_json_kind(list) == CO_JSON_ARRAY) {
		struct co_json_walk walk = co_json_walk(list);

		while (co_json_next(&walk, &name, &value)) {
			if (runs.size)
				co_buf_char(&runs, ',');
			resume_one(a, value, &runs);
		}
	}
	out = frame_begin(a);
	co_buf_text(out, "{\"protocol\":\"cloudos-handlers/1\",\"service\":");
	co_buf_json_text(out, co_span(a->service));
	co_buf_format(out, ",\"maxResult\":%d,\"heartbeatMs\":%d,\"runs\":[",
		      CO_LIMIT_RPC_RESULT, BEAT_MS);
	if (runs.size)
		co_buf_add(out, runs.data, runs.size);
	co_buf_text(out, "]}");
	if (runs.failed || !frame_end(a, ATTACHED_WELCOME, 0))
		hang_up(a, "NO_MEMORY", "cloudosd has no memory left");
}

/* A member that is a whole number of at least 1; 0: there is none, or another. */
static uint32_t count_of(struct co_span object, const char *name)
{
	struct co_span value;
	int64_t n;

	if (!co_json_member(object, name, &value) || !co_json_whole(value, &n) || n < 1)
		return 0;
	return n < CO_LIMIT_RPC_PROVIDER_CALLS ? (uint32_t) n
					       : CO_LIMIT_RPC_PROVIDER_CALLS;
}

/* The service that it says it is of; false: that is no name. */
static bool take_service(struct attached *a, struct co_span hello)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;
	size_t size;

	if (!co_json_member(hello, "service", &value))
		return true;
	if (co_json_unescape(value, &text) || !text.size ||
	    text.size > CO_LIMIT_RPC_NAME)
		return false;
	if (a->contained)
		return !strcmp(text.data, a->service);
	free(a->service);
	a->service = co_buf_take(&text, &size);
	return a->service != NULL;
}

static void on_hello(struct attached *a, const struct frame *f)
{
	struct handler_provider_spec spec = { .ops = &attached_ops, .ctx = a };
	struct co_err err = { 0 };
	char label[64];

	if (a->provider) {
		protocol(a, "HELLO is the first frame, and was said already");
		return;
	}
	if (!take_service(a, f->payload)) {
		protocol(a,
			 "the \"service\" of HELLO is a text of 1 to %d bytes, in a "
			 "container its own service",
			 CO_LIMIT_RPC_NAME);
		return;
	}
	label_of(a, label, sizeof(label));
	spec.service = a->service;
	spec.label = label;
	spec.max_calls = count_of(f->payload, "maxConcurrency");
	if (handlers_provide(a->handlers, &spec, &a->provider, &err)) {
		hang_up(a, "TABLE_FULL", err.message);
		return;
	}
	a->host->timer_start(a->timer, BEAT_MS);
	welcome(a, f->payload);
}

/* ---- REGISTER, UNREGISTER ---- */

/* Every text of a list; the number of them, or a negative status. */
static int each_name(struct attached *a, const struct frame *f, const char *member,
		     enum handler_subject subject, struct co_err *err)
{
	struct co_span list, none, value;
	struct co_json_walk walk;
	int n = 0;

	if (!co_json_member(f->payload, member, &list))
		return 0;
	if (co_json_kind(list) != CO_JSON_ARRAY)
		return co_fail(err, CO_INVALID, "\"%s\" is a list of names", member);
	walk = co_json_walk(list);
	for (; co_json_next(&walk, &none, &value); n++) {
		autobuf struct co_buf text = { 0 };
		struct co_span name;
		int r = co_json_unescape(value, &text);

		name = (struct co_span){ text.data ? text.data : "", text.size };
		if (r)
			return co_fail(err, r, "\"%s\" has something that is no name",
				       member);
		if (f->type == ATTACHED_UNREGISTER)
			handler_withdraw(a->provider, subject, name);
		else
			r = handler_offer(a->provider, subject, name, err);
		if (r)
			return r;
	}
	return n;
}

static void on_register(struct attached *a, const struct frame *f)
{
	uint32_t most = count_of(f->payload, "maxConcurrency");
	struct co_err err = { 0 };
	struct co_buf *out;
	int methods, jobs = 0;

	if (most && f->type == ATTACHED_REGISTER)
		handler_set_max_calls(a->provider, most);
	methods = each_name(a, f, "methods", HANDLER_METHOD, &err);
	if (methods >= 0)
		jobs = each_name(a, f, "jobs", HANDLER_JOB, &err);
	if (methods < 0 || jobs < 0) {
		say_error(a, f->id, co_status_name(err.code), err.message);
		return;
	}
	out = frame_begin(a);
	co_buf_format(out, "{\"methods\":%d,\"jobs\":%d}", methods, jobs);
	(void) frame_end(a, ATTACHED_REGISTERED, f->id); /* it works all the same */
}

/* ---- answers ---- */

/* Has a call of that id ever been given to it? */
static bool was_given(struct attached *a, const struct frame *f)
{
	if (f->id && f->id <= a->last_id)
		return true;
	protocol(a, "there was no call %" PRIu64, f->id);
	return false;
}

static void on_result(struct attached *a, const struct frame *f)
{
	struct handler_result result = { .status = 200, .result = f->payload };

	if (!f->payload.size)
		result.result = (struct co_span){ 0 };
	(void) handler_answer(a->provider, f->id, &result); /* or it comes too late */
}

static void text_member(struct co_span object, const char *name, struct co_buf *out,
			struct co_span *to)
{
	struct co_span value;

	if (co_json_member(object, name, &value) && !co_json_unescape(value, out))
		*to = (struct co_span){ out->data ? out->data : "", out->size };
}

static void on_error(struct attached *a, const struct frame *f)
{
	autobuf struct co_buf code = { 0 }, message = { 0 }, stack = { 0 };
	struct handler_result result = { .status = 500 };
	struct co_span text = { 0 };

	text_member(f->payload, "code", &code, &text);
	result.code = code.data;
	text_member(f->payload, "message", &message, &result.message);
	text_member(f->payload, "stack", &stack, &result.stack);
	if (!co_json_member(f->payload, "details", &result.details))
		result.details = (struct co_span){ 0 };
	(void) handler_answer(a->provider, f->id, &result); /* or it comes too late */
}

static void on_progress(struct attached *a, const struct frame *f)
{
	(void) handler_progress(a->provider, f->id,
				f->payload); /* of one that is over */
}

static void on_heartbeat(struct attached *a, const struct frame *f)
{
	(void) a; /* that something has come is all there is to it */
	(void) f;
}

/* ---- in ---- */

static const struct {
	void (*on)(struct attached *a, const struct frame *f);
	bool object; /* its payload is a JSON object */
	bool answer; /* its id is that of a call */
} frames[] = {
	[ATTACHED_HELLO] = { on_hello, true, false },
	[ATTACHED_REGISTER] = { on_register, true, false },
	[ATTACHED_UNREGISTER] = { on_register, true, false },
	[ATTACHED_RESULT] = { on_result, false, true },
	[ATTACHED_ERROR] = { on_error, true, true },
	[ATTACHED_PROGRESS] = { on_progress, false, true },
	[ATTACHED_HEARTBEAT] = { on_heartbeat, false, false },
};

static void dispatch(struct attached *a, struct frame *f)
{
	struct co_json_fault fault;

	a->silent = 0;
	if (frames[f->type].answer && !was_given(a, f))
		return;
	if (frames[f->type].object && (co_json_check(f->payload, &f->payload, &fault) ||
				       co_json_kind(f->payload) != CO_JSON_OBJECT)) {
		if (frames[f->type].answer) /* that call has failed, no other */
			(void) handler_fail(a->provider, f->id, 500, "INVALID_RESULT",
					    "the handler's error is not a JSON object");
		else
			protocol(a, "the payload of frame type %u is not a JSON object",
				 f->type);
		return;
	}
	frames[f->type].on(a, f);
}

/* Is that a frame that may come now?  Its length is that of the payload. */
static bool head_check(struct attached *a, const uint8_t *head, const struct frame *f,
		       uint32_t length)
{
	bool answer;

	if (f->type >= co_countof(frames) || !frames[f->type].on) {
		protocol(a, "frame type %u is not one that a process sends", f->type);
		return false;
	}
	answer = frames[f->type].answer;
	if (head[5] || head[6] || head[7])
		protocol(a, "the three bytes after the type have to be zero");
	else if (!a->provider && f->type != ATTACHED_HELLO)
		protocol(a, "the first frame has to be HELLO, and this is type %u",
			 f->type);
	else if (length > (answer ? CO_LIMIT_RPC_FRAME : CONTROL))
		protocol(a, "a frame of %" PRIu32 " bytes is too long for type %u",
			 length, f->type);
	return !a->ended;
}

/* A call that is answered with too much fails; the rest of the connection goes on. */
static void too_long(struct attached *a, const struct frame *f)
{
	a->silent = 0;
	if (was_given(a, f) && f->type != ATTACHED_PROGRESS)
		(void) handler_fail(a->provider, f->id, 500, "RESULT_TOO_LARGE",
				    "the handler's answer is larger than the limit of "
				    "%d bytes",
				    CO_LIMIT_RPC_RESULT);
}

/*
 * Looks at what is there and takes at most one frame.  How many bytes it was; 0: more are
 * needed, in all as many as *out_need.
 */
static size_t take_frame(struct attached *a, const char *bytes, size_t n,
			 size_t *out_need)
{
	const uint8_t *head = (const uint8_t *) bytes;
	struct frame f;
	uint32_t length;

	*out_need = ATTACHED_HEAD;
	if (n < ATTACHED_HEAD)
		return 0;
	length = get_u32(head);
	if (length < ATTACHED_HEAD - 4) {
		protocol(a, "a frame of %" PRIu32 " bytes has no room for its head",
			 length);
		return 0;
	}
	length -= ATTACHED_HEAD - 4;
	f.type = head[4];
	f.id = (uint64_t) get_u32(head + 8) << 32 | get_u32(head + 12);
	if (!head_check(a, head, &f, length))
		return 0;
	if (length > CO_LIMIT_RPC_RESULT) {
		too_long(a, &f);
		a->skip = length;
		return ATTACHED_HEAD;
	}
	*out_need = ATTACHED_HEAD + length;
	if (n < *out_need)
		return 0;
	f.payload = (struct co_span){ bytes + ATTACHED_HEAD, length };
	dispatch(a, &f);
	return *out_need;
}

/* Whole frames where they lie; how many bytes of it were taken. */
static size_t take_frames(struct attached *a, const char *bytes, size_t n,
			  size_t *out_need)
{
	size_t taken = 0;

	while (!a->ended) {
		size_t one = n - taken < a->skip ? n - taken : (size_t) a->skip;

		a->skip -= one;
		taken += one;
		one = take_frame(a, bytes + taken, n - taken, out_need);
		if (!one)
			break;
		taken += one;
	}
	return taken;
}

/* Goes on with a frame that has begun earlier; how many bytes were needed for it. */
static size_t finish_frame(struct attached *a, const char *bytes, size_t n)
{
	size_t used = 0, need;

	while (a->in.size && used < n && !a->ended) {
		size_t part;

		if (take_frame(a, a->in.data, a->in.size, &need)) {
			a->in.size =
				0; /* a head whose payload is skipped, or a whole */
			break;
		}
		part = need - a->in.size < n - used ? need - a->in.size : n - used;
		co_buf_add(&a->in, bytes + used, part);
		used += part;
		if (a->in.failed) {
			hang_up(a, "NO_MEMORY", "cloudosd has no memory left");
			break;
		}
		if (a->in.size == need && take_frame(a, a->in.data, a->in.size, &need))
			a->in.size = 0;
	}
	if (!a->in.size && a->in.room > KEEP)
		co_buf_done(&a->in);
	return used;
}

void attached_feed(struct attached *a, const char *bytes, size_t n)
{
	size_t need, used = finish_frame(a, bytes, n);

	if (a->ended || used == n)
		return;
	used += take_frames(a, bytes + used, n - used, &need);
	if (a->ended || used == n)
		return;
	co_buf_add(&a->in, bytes + used, n - used);
	if (a->in.failed)
		hang_up(a, "NO_MEMORY", "cloudosd has no memory left");
}

void attached_room(struct attached *a)
{
	if (a->provider)
		handler_ready(a->provider);
}

/* ---- life ---- */

static void beat(void *arg)
{
	struct attached *a = arg;

	if (a->ended)
		return;
	if (!a->provider) {
		protocol(a, "there was no HELLO within %d s", HELLO_MS / 1000);
		return;
	}
	if (a->silent >= BEATS) {
		hang_up(a, "SILENT", "it has not answered four heartbeats in a row");
		return;
	}
	a->silent++;
	(void) frame_begin(a);
	(void) frame_end(a, ATTACHED_HEARTBEAT, a->silent); /* the next one comes */
	a->host->timer_start(a->timer, BEAT_MS);
}

struct attached *attached_new(const struct attached_spec *spec)
{
	struct attached *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->handlers = spec->handlers;
	a->host = spec->host;
	a->io = spec->io;
	a->pid = spec->pid;
	a->room = spec->room;
	a->contained = spec->contained;
	a->service = strdup(spec->service);
	a->timer = a->host->timer_new(a->host->ctx, beat, a);
	if (!a->service || !a->timer) {
		a->host->timer_free(a->timer);
		free(a->service);
		free(a);
		return NULL;
	}
	a->host->timer_start(a->timer, HELLO_MS);
	return a;
}

void attached_closed(struct attached *a)
{
	struct handler_provider *p = take(a->provider);
	char reason[WHY], label[64];

	label_of(a, label, sizeof(label));
	(void) snprintf(
		reason, sizeof(reason),
		"%s has ended or closed its connection; the call may have had an "
		"effect all the same",
		label);
	a->ended = true;
	if (p)
		handlers_remove(p, 500, "HANDLER_CRASHED", reason);
	a->host->timer_free(a->timer);
	co_buf_done(&a->in);
	co_buf_done(&a->out);
	free(a->service);
	free(a);
}
