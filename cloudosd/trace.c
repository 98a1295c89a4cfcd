/* SPDX-License-Identifier: MIT */
/* Lines of a trace.  HOST. */
#include "cloudosd/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cloudosd/call.h"
#include "cloudosd/control.h"
#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/link.h"
#include "lib/escape.h"

enum {
	STRING_MAX = 64,  /* bytes of a text that are shown */
	REASON_MAX = 512, /* of a sentence, escaped */
	TAIL = 768,       /* kept free for the result behind the arguments */
	ELEMENTS_MAX = 8  /* of an array that are shown */
};

/* Items are whole or not there: a line that becomes too long has "..." in their place. */
struct line {
	char *at, *end;
	bool full;
};

static void vadd(struct line *l, const char *format, va_list ap)
{
	size_t room = l->at < l->end ? (size_t) (l->end - l->at) : 0;
	int n = vsnprintf(l->at, room, format, ap);

	if (n >= 0 && (size_t) n < room) {
		l->at += n;
		return;
	}
	*l->at = 0; /* behind the end there is still the tail */
	l->full = true;
}

__attribute__((format(printf, 2, 3))) static void add(struct line *l,
						      const char *format, ...)
{
	va_list ap;

	if (l->full)
		return;
	va_start(ap, format);
	vadd(l, format, ap);
	va_end(ap);
}

/* What closes an item that was begun: there is always room for it. */
static void add_close(struct line *l, const char *text)
{
	size_t n = strlen(text);

	memcpy(l->at, text, n + 1);
	l->at += n;
}

/* ---- values ---- */

/* A guest's bytes between quotes, cut at STRING_MAX and never inside a character. */
static void add_string(struct line *l, const char *name, const char *text, size_t n)
{
	char escaped[STRING_MAX * 4 + 4];
	size_t shown = n;

	if (shown > STRING_MAX)
		for (shown = STRING_MAX; shown && (text[shown] & 0xc0) == 0x80;)
			shown--;
	(void) co_escape(escaped, sizeof(escaped), text, shown);
	add(l, "%s\"%s\"%s", name, escaped, shown < n ? "..." : "");
}

static void add_address(struct line *l, uint64_t word)
{
	if (word)
		add(l, "%#llx", (unsigned long long) word);
	else
		add(l, "NULL");
}

static uint64_t number_at(const char *data, size_t size, bool is_signed)
{
	uint64_t value = 0;

	memcpy(&value, data, size <= sizeof(value) ? size : sizeof(value));
	if (is_signed && size < sizeof(value) && value >> (size * 8 - 1))
		value |= ~0ULL << (size * 8);
	return value;
}

static void add_scalar(struct line *l, const struct co_arg *arg, const char *data)
{
	uint64_t value = number_at(data, arg->size, false);

	if (!strcmp(arg->type, "bool"))
		add(l, "[%s]", value ? "true" : "false");
	else
		add(l, "[%llu]", (unsigned long long) value);
}

static const struct co_struct *struct_find(const struct co_personality_host *host,
					   const char *type, const char *id)
{
	for (const struct co_struct *s = host->structs; s && s->type; s++)
		if (type ? !strcmp(s->type, type) : !strcmp(s->id, id))
			return s;
	return NULL;
}

static void add_struct(struct line *l, const struct co_personality_host *host,
		       const struct co_struct *s, const char *data, size_t size);

/* The part of an array that is filled. */
static void add_list(struct line *l, const struct co_personality_host *host,
		     const struct co_struct *of, const char *data, size_t count)
{
	if (l->full)
		return;
	add(l, "[");
	if (l->full)
		return;
	for (size_t i = 0; i < count; i++) {
		if (l->full || i == ELEMENTS_MAX) {
			add_close(l, ", ...");
			break;
		}
		if (i)
			add(l, ", ");
		add_struct(l, host, of, data + i * of->size, of->size);
	}
	add_close(l, "]");
}

/* One member; nothing for an empty one. */
static void add_field(struct line *l, const struct co_personality_host *host,
		      const struct co_member *f, const char *data, const char *comma)
{
	const char *at = data + f->offset;
	char name[80];
	uint64_t value;

	(void) snprintf(name, sizeof(name), "%s%s=", comma, f->name);
	switch (f->kind) {
	case CO_MEMBER_SIZE:
		break;
	case CO_MEMBER_TEXT:
		if (*at)
			add_string(l, name, at, strnlen(at, f->size));
		break;
	case CO_MEMBER_SIGNED:
	case CO_MEMBER_UNSIGNED:
		value = number_at(at, f->size, f->kind == CO_MEMBER_SIGNED);
		if (value && f->kind == CO_MEMBER_SIGNED)
			add(l, "%s%lld", name, (long long) value);
		else if (value)
			add(l, "%s%llu", name, (unsigned long long) value);
		break;
	case CO_MEMBER_LIST: {
		const struct co_struct *of = struct_find(host, NULL, f->element);

		value = number_at(data + f->count, sizeof(uint32_t), false);
		if (!value || !of)
			break;
		add(l, "%s", name);
		add_list(l, host, of, at,
			 value < f->size / of->size ? value : f->size / of->size);
		break;
	}
	}
}

/* size: what there is of it; callers of another version have less. */
static void add_struct(struct line *l, const struct co_personality_host *host,
		       const struct co_struct *s, const char *data, size_t size)
{
	const char *first;

	add(l, "{");
	if (l->full)
		return;
	first = l->at;
	for (uint32_t i = 0; i < s->nmembers && !l->full; i++)
		if ((size_t) s->members[i].offset + s->members[i].size <= size)
			add_field(l, host, &s->members[i], data,
				  l->at == first ? "" : ", ");
	if (l->full)
		add_close(l, l->at == first ? "..." : ", ...");
	add_close(l, "}");
}

/* ---- arguments ---- */

static void add_pointed(struct line *l, const struct co_call *call, uint32_t i,
			size_t size)
{
	const struct co_arg *arg = &call->op->args[i];
	const struct co_personality_host *host = call->session->host;
	const struct co_struct *s = struct_find(host, arg->type, NULL);

	if (s)
		add_struct(l, host, s, call->buffers[i].data, size);
	else if (arg->size <= sizeof(uint64_t))
		add_scalar(l, arg, call->buffers[i].data);
	else
		add_address(l, call->slot->notif.data.args[i]);
}

static void add_out_array(struct line *l, const struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	const struct co_personality_host *host = call->session->host;
	const struct co_struct *s = struct_find(host, arg->type, NULL);
	uint64_t room = call->buffers[i].size / arg->size;
	uint64_t count = *(const uint64_t *) call->buffers[i + 1].data;

	if (s && call->slot->notif.data.args[i])
		add_list(l, host, s, call->buffers[i].data,
			 count < room ? count : room);
	else
		add_address(l, call->slot->notif.data.args[i]);
}

/* Something in the guest's memory: what was read there, or what has been written; the
 * address where neither happened. */
static void add_memory(struct line *l, const struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	const struct call_buffer *b = &call->buffers[i];
	bool written = b->copied && call->result >= 0 && !call->interrupted;

	if (arg->kind == CO_ARG_CSTR && b->copied)
		add_string(l, "", b->data, strnlen(b->data, arg->size));
	else if (arg->kind == CO_ARG_BUF_IN && b->copied)
		add_string(l, "", b->data, call->slot->notif.data.args[i + 1]);
	else if ((arg->kind == CO_ARG_IN || arg->kind == CO_ARG_SIZED_IN ||
		  arg->kind == CO_ARG_INOUT || arg->kind == CO_ARG_TAILED_IN) &&
		 b->copied)
		add_pointed(l, call, i, arg->size);
	else if ((arg->kind == CO_ARG_OUT || arg->kind == CO_ARG_SIZED_OUT) && written)
		add_pointed(l, call, i, b->size);
	else if (arg->kind == CO_ARG_TAILED_OUT && b->data && call->result >= 0 &&
		 !call->interrupted)
		add_pointed(l, call, i, b->size);
	else if (arg->kind == CO_ARG_OUT_ARRAY && written)
		add_out_array(l, call, i);
	else
		add_address(l, call->slot->notif.data.args[i]);
}

static void add_argument(struct line *l, const struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	uint64_t word = call->slot->notif.data.args[i];

	add(l, "%s%s=", i ? ", " : "", arg->name);
	switch (arg->kind) {
	case CO_ARG_I32:
	case CO_ARG_FD:
	case CO_ARG_PID:
		add(l, "%d", (int32_t) word);
		break;
	case CO_ARG_U32:
		add(l, "%u", (uint32_t) word);
		break;
	case CO_ARG_I64:
		add(l, "%lld", (long long) word);
		break;
	case CO_ARG_U64:
	case CO_ARG_SIZE:
		add(l, "%llu", (unsigned long long) word);
		break;
	case CO_ARG_FLAGS:
		add(l, "%#llx", (unsigned long long) word);
		break;
	default:
		add_memory(l, call, i);
	}
}

/* ---- the line ---- */

/* Escaped, because it can quote what the guest wrote; but it stands in no quotes. */
static void add_reason(struct line *l, const char *name, const char *reason)
{
	char escaped[REASON_MAX], *to = escaped;

	(void) co_escape(escaped, sizeof(escaped), reason, strlen(reason));
	for (const char *from = escaped; *from; from++)
		if (from[0] != '\\' || from[1] != '"')
			*to++ = *from;
	*to = 0;
	add(l, " %s (%s)", name, escaped);
}

void trace_format(struct co_call *call, int64_t raw, uint64_t took_ns,
		  struct trace_line *out)
{
	struct line l = { .at = out->text,
			  .end = out->text + sizeof(out->text) - TAIL };
	const char *error = call->session->host->error_name(raw);

	add(&l, "%d %s(", call->tid, call->op->name);
	out->arguments.data = l.at;
	if (!call->op->number)
		add(&l, "number=%d", call->slot->notif.data.nr);
	for (uint32_t i = 0; i < call->op->nargs; i++)
		add_argument(&l, call, i);
	l.end = out->text + sizeof(out->text);
	if (l.full)
		add_close(&l, ", ...");
	out->arguments.size = (size_t) (l.at - out->arguments.data);
	add_close(&l, ")");
	l.full = false;
	add(&l, " = ");
	out->result.data = l.at;
	add(&l, "%lld", (long long) raw);
	if (error)
		add_reason(&l, error, call->reason);
	else if (raw == -EINTR)
		add(&l, " EINTR (interrupted by a signal)");
	out->result.size = (size_t) (l.at - out->result.data);
	add(&l, " <%llu.%06llu>", (unsigned long long) (took_ns / 1000000000),
	    (unsigned long long) (took_ns / 1000 % 1000000));
}

bool trace_on(const struct session *s)
{
	return s->traced || atomic_load(&s->tracers) ||
	       traces_wanted(s->daemon->services.traces);
}

static void tell_followers(struct co_call *call, int64_t raw, uint64_t took_ns,
			   const struct trace_line *line)
{
	struct session *s = call->session;
	const struct co_host *host = s->daemon->host;
	const struct trace_entry entry = {
		.at_ms = host->wall_ns(host->ctx) / 1000000,
		.session = s->id,
		.took_ns = took_ns,
		.tid = call->tid,
		.program = session_row(s)->name,
		.personality = s->personality->name,
		.call = call->op->name,
		.arguments = line->arguments,
		.result = line->result,
		.failed = s->host->error_name(raw) != NULL || raw == -EINTR,
	};

	traces_tell(s->daemon->services.traces, &entry);
}

void trace_call(struct co_call *call, int64_t raw)
{
	struct session *s = call->session;
	bool launcher = s->traced;
	struct trace_line line;
	uint64_t took_ns;

	if (!trace_on(s))
		return;
	/* a call that began before somebody listened has no time */
	took_ns = call->begun_ns ? call_clock_ns() - call->begun_ns : 0;
	trace_format(call, raw, took_ns, &line);
	if (launcher)
		link_trace(s->link, line.text);
	if (atomic_load(&s->tracers)) {
		core_lock();
		control_trace(s->daemon->control, call, raw, took_ns, line.text);
		core_unlock();
	}
	if (traces_wanted(s->daemon->services.traces)) {
		core_lock();
		tell_followers(call, raw, took_ns, &line);
		core_unlock();
	}
}
