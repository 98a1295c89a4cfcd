/* SPDX-License-Identifier: MIT */
/* The last lines of what a container printed, read on a worker thread.  HOST. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/containers_inside.h"
#include "cloudosd/ctr/log.h"
#include "lib/cleanup.h"

enum { AGAIN_MS = 20, MOST = 256 * 1024 }; /* bytes of an answer, about */

struct logs_work {
	struct runner *runner;
	uint32_t id, lines;
	container_reported *done;
	void *arg;
	struct co_timer *again;
	struct co_err err;
	struct co_buf text; /* elements of a list, "," before each */
};

static void add_line(struct co_buf *out, const struct ctr_log_line *line)
{
	co_buf_text(out, ",{\"time\":");
	co_buf_json_text(out, line->time);
	co_buf_format(out, ",\"stream\":\"%s\",\"partial\":%s,\"line\":",
		      line->stream == CTR_STDERR ? "stderr" : "stdout",
		      line->whole ? "false" : "true");
	co_buf_json_text(out, line->text);
	co_buf_char(out, '}');
}

/* The oldest go: elements begin with ",{" at the places that were kept. */
static void cut(struct co_buf *out, const size_t *begins, size_t n)
{
	size_t first = 0;

	while (first + 1 < n && out->size - begins[first] > MOST)
		first++;
	if (n && begins[first]) {
		memmove(out->data, out->data + begins[first],
			out->size - begins[first]);
		out->size -= begins[first];
	}
}

static void run(void *arg)
{
	struct logs_work *w = arg;
	autofree size_t *begins = calloc(w->lines, sizeof(*begins));
	char path[RUNNER_PATH];
	struct ctr_log_reader *reader = NULL;
	struct ctr_log_from from = { .path = path, .tail = w->lines };
	struct ctr_log_line line;
	size_t n = 0;

	(void) snprintf(path, sizeof(path), "%s/%" PRIu32 "/log",
			w->runner->place.state, w->id);
	if (!begins) {
		(void) co_fail(&w->err, CO_NO_MEMORY, "no memory for a log");
		return;
	}
	if (ctr_log_reader_open(&from, &reader, &w->err) < 0)
		return;
	while (n < w->lines && ctr_log_reader_next(reader, &line) == 0) {
		begins[n++] = w->text.size;
		add_line(&w->text, &line);
	}
	ctr_log_reader_close(reader);
	cut(&w->text, begins, n);
}

static void finish(void *arg)
{
	struct logs_work *w = arg;
	autobuf struct co_buf json = { 0 };
	struct container_report report = { .status = w->err.code,
					   .reason = w->err.message };

	co_buf_text(&json, "{\"lines\":[");
	if (w->text.size)
		co_buf_add(&json, w->text.data + 1, w->text.size - 1);
	co_buf_text(&json, "]}");
	if (!report.status && (w->text.failed || json.failed)) {
		report.status = CO_NO_MEMORY;
		report.reason = "no memory for a log";
	}
	report.text = (struct co_span){ json.data, json.size };
	w->done(w->arg, &report);
	w->runner->host->timer_free(w->again);
	co_buf_done(&w->text);
	free(w);
}

static void submit(void *arg)
{
	struct logs_work *w = arg;
	const struct co_host *host = w->runner->host;

	if (host->offload(host->ctx, run, finish, w))
		host->timer_start(w->again, AGAIN_MS); /* too much is queued: soon */
}

void work_logs(struct runner *r, uint32_t id, uint32_t lines, container_reported *done,
	       void *arg)
{
	struct logs_work *w = calloc(1, sizeof(*w));

	if (w)
		w->again = r->host->timer_new(r->host->ctx, submit, w);
	if (!w || !w->again) {
		free(w);
		runner_report(done, arg, CO_NO_MEMORY, "no memory for a log");
		return;
	}
	w->runner = r;
	w->id = id;
	w->lines = lines;
	w->done = done;
	w->arg = arg;
	submit(w);
}
