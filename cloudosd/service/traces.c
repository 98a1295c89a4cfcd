/* SPDX-License-Identifier: MIT */
/* What guests ask of the daemon.  HOST. */
#include "cloudosd/service/traces.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/buf.h"
#include "lib/err.h"

struct trace_reader {
	struct trace_reader *prev, *next;
	struct traces *traces;
	trace_told *told;
	void *arg;
};

struct traces {
	struct trace_reader *readers;
	struct trace_reader *following; /* who is told behind the one being told */
	atomic_uint count;
	void (*begun)(void *arg);
	void *begun_arg;
};

static void entry_json(struct co_buf *out, const struct trace_entry *e)
{
	co_buf_text(out, "{\"timestamp\":");
	co_buf_json_time(out, e->at_ms);
	co_buf_format(out, ",\"session\":%llu,\"pid\":%d,\"program\":",
		      (unsigned long long) e->session, e->tid);
	co_buf_json_text(out, co_span(e->program));
	co_buf_text(out, ",\"personality\":");
	co_buf_json_text(out, co_span(e->personality));
	co_buf_text(out, ",\"call\":");
	co_buf_json_text(out, co_span(e->call));
	co_buf_text(out, ",\"arguments\":");
	co_buf_json_text(out, e->arguments);
	co_buf_text(out, ",\"result\":");
	co_buf_json_text(out, e->result);
	co_buf_format(out,
		      ",\"failed\":%s,\"microseconds\":", e->failed ? "true" : "false");
	if (e->took_ns)
		co_buf_u64(out, e->took_ns / 1000);
	else
		co_buf_text(out, "null");
	co_buf_char(out, '}');
}

void traces_tell(struct traces *traces, const struct trace_entry *entry)
{
	autobuf struct co_buf json = { 0 };
	struct trace_reader *r;

	entry_json(&json, entry);
	if (json.failed)
		return;
	for (r = traces->readers; r; r = traces->following) {
		traces->following = r->next;
		r->told(r->arg, (struct co_span){ json.data, json.size });
	}
}

void traces_on_begin(struct traces *traces, void (*begun)(void *arg), void *arg)
{
	traces->begun = begun;
	traces->begun_arg = arg;
}

bool traces_wanted(const struct traces *traces)
{
	return atomic_load_explicit(&traces->count, memory_order_relaxed) > 0;
}

int traces_begin(struct trace_reader **out, struct traces *traces, trace_told *told,
		 void *arg)
{
	struct trace_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return CO_NO_MEMORY;
	*r = (struct trace_reader){ .traces = traces, .told = told, .arg = arg };
	DL_APPEND(traces->readers, r);
	if (!atomic_fetch_add(&traces->count, 1) && traces->begun)
		traces->begun(traces->begun_arg);
	*out = r;
	return 0;
}

struct trace_reader *traces_end(struct trace_reader *reader)
{
	struct traces *traces;

	if (!reader)
		return NULL;
	traces = reader->traces;
	if (traces->following == reader)
		traces->following = reader->next;
	DL_DELETE(traces->readers, reader);
	atomic_fetch_sub(&traces->count, 1);
	free(reader);
	return NULL;
}

struct traces *traces_new(void)
{
	return calloc(1, sizeof(struct traces));
}

struct traces *traces_free(struct traces *traces)
{
	free(traces);
	return NULL;
}
