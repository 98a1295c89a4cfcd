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

enum { STRING_MAX = 64 };

struct line {
	char *at, *end;
};

static void add(struct line *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *format, ...)
{
	size_t room = (size_t) (l->end - l->at);
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(l->at, room, format, ap);
	va_end(ap);
	if (n > 0)
		l->at += (size_t) n < room ? (size_t) n : room - 1;
}

/* A guest's bytes as a C string literal, cut at STRING_MAX. */
static void add_string(struct line *l, const char *text, size_t max)
{
	size_t n = strnlen(text, max);

	add(l, "\"");
	for (size_t i = 0; i < n && i < STRING_MAX; i++) {
		unsigned char c = (unsigned char) text[i];

		if (c == '"' || c == '\\')
			add(l, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			add(l, "\\x%02x", c);
		else
			add(l, "%c", c);
	}
	add(l, n > STRING_MAX ? "\"..." : "\"");
}

static void add_argument(struct line *l, const struct co_call *call, uint32_t i)
{
	const struct co_arg *arg = &call->op->args[i];
	uint64_t word = call->slot->notif.data.args[i];
	const char *data = call->buffers[i].data;

	add(l, "%s%s=", i ? ", " : "", arg->name);
	switch (arg->kind) {
	case CO_ARG_CSTR:
		if (data)
			add_string(l, data, arg->size);
		else
			add(l, "%#llx", (unsigned long long) word);
		break;
	case CO_ARG_IN:
		/* structs of CloudOS begin with their name or their size */
		add(l, "{%s", arg->type);
		if (data && data[0] && arg->size > sizeof(uint64_t)) {
			add(l, " ");
			add_string(l, data, arg->size);
		}
		add(l, "}");
		break;
	case CO_ARG_OUT:
		if (data && arg->size == 4)
			add(l, "[%u]", *(const uint32_t *) (const void *) data);
		else if (data && arg->size == 1)
			add(l, "[%s]", data[0] ? "true" : "false");
		else
			add(l, "%#llx", (unsigned long long) word);
		break;
	case CO_ARG_INOUT:
		if (data && arg->size == 8)
			add(l, "[%llu]",
			    (unsigned long long) *(
				    const uint64_t *) (const void *) data);
		else
			add(l, "%#llx", (unsigned long long) word);
		break;
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
	default:
		add(l, "%#llx", (unsigned long long) word);
	}
}

void trace_format(struct co_call *call, int64_t raw, uint64_t took_ns, char *out,
		  size_t n)
{
	struct line l = { out, out + n };
	const char *error = call->session->host->error_name(raw);

	add(&l, "%d %s(", call->tid, call->op->name);
	if (!call->op->number)
		add(&l, "number=%d", call->slot->notif.data.nr);
	for (uint32_t i = 0; i < call->op->nargs; i++)
		add_argument(&l, call, i);
	add(&l, ") = %lld", (long long) raw);
	if (error)
		add(&l, " %s (%s)", error, call->reason);
	else if (raw == -EINTR)
		add(&l, " EINTR (interrupted by a signal)");
	add(&l, " <%llu.%06llu>", (unsigned long long) (took_ns / 1000000000),
	    (unsigned long long) (took_ns / 1000 % 1000000));
}

void trace_call(struct co_call *call, int64_t raw, uint64_t took_ns)
{
	struct session *s = call->session;
	bool launcher = s->traced;
	char line[CO_LIMIT_TRACE_LINE];

	if (!launcher && !atomic_load(&s->tracers))
		return;
	trace_format(call, raw, took_ns, line, sizeof(line));
	if (launcher)
		link_trace(s->link, line);
	if (atomic_load(&s->tracers)) {
		core_lock();
		control_trace(s->daemon->control, call, raw, took_ns, line);
		core_unlock();
	}
}
