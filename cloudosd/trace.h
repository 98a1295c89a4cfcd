/* SPDX-License-Identifier: MIT */
/*
 * What --trace and `cloudosctl trace` show: one line per call, from the table.  HOST.
 *
 *	4711 service_register(registration={name="web", port=80}) = 0 <0.000182>
 */
#ifndef CO_TRACE_H
#define CO_TRACE_H

#include <co/limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/span.h"

struct co_call;
struct session;

/* Does anybody listen to this session?  Then its calls are timed. */
bool trace_on(const struct session *s);

/* Tells everybody who listens; costs two loads when nobody does.  Notify threads. */
void trace_call(struct co_call *call, int64_t raw);

/* The line itself, and two parts of it: between the parentheses, and behind the =. */
struct trace_line {
	char text[CO_LIMIT_TRACE_LINE];
	struct co_span arguments, result;
};

void trace_format(struct co_call *call, int64_t raw, uint64_t took_ns,
		  struct trace_line *out);

#endif
