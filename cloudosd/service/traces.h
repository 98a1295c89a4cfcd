/* SPDX-License-Identifier: MIT */
/*
 * What guests ask of the daemon, and what they say to each other, told to whoever follows:
 * one entry a call or message.  HOST.  Nothing
 * is kept.  As long as nobody follows it costs one relaxed load a call.
 */
#ifndef CO_SERVICE_TRACES_H
#define CO_SERVICE_TRACES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

struct traces;
struct trace_reader;

struct trace_entry {
	uint64_t at_ms, session, took_ns; /* took_ns 0: not known */
	int32_t tid;
	const char *program, *personality, *call;
	struct co_span arguments, result; /* as in a line of the trace */
	bool failed;
};

/* {"timestamp","session","pid","program","personality","call","arguments","result",
 * "failed","microseconds"}, on one line. */
typedef void trace_told(void *arg, struct co_span json);

/* May end readers. */
void traces_tell(struct traces *traces, const struct trace_entry *entry);

/* begun(arg) when somebody follows and nobody did; one for the daemon. */
void traces_on_begin(struct traces *traces, void (*begun)(void *arg), void *arg);

/* Any thread, without the core lock. */
bool traces_wanted(const struct traces *traces);

/* CO_NO_MEMORY. */
int traces_begin(struct trace_reader **out, struct traces *traces, trace_told *told,
		 void *arg);
struct trace_reader *traces_end(struct trace_reader *reader); /* returns NULL */

struct traces *traces_new(void);
/* Readers must have ended.  Returns NULL. */
struct traces *traces_free(struct traces *traces);

#endif
