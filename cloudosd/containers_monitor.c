/* SPDX-License-Identifier: MIT */
/*
 * One connection to the monitor of a container.  HOST.
 *
 * Its end is told once: by "exited", by "failed" before it was created, or by the end of the
 * connection, after which a worker looks for the record.  Until then what was asked is
 * answered or fails.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/containers_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/log.h"

enum { MAKE_MS = 120000, SEE_MS = 5000, END_MS = 30000 };

struct asked {
	uint64_t tag;
	enum container_act_kind kind;
	bool see; /* the status that adopting waits for */
	container_reported *done;
	void *arg;
	struct asked *prev, *next;
};

/* ---- its life ---- */

static void silent(void *arg);

struct monitor *monitor_new(struct runner *r, uint32_t id, int fd)
{
	struct monitor *m = calloc(1, sizeof(*m)), *old = NULL;

	HASH_FIND(hh, r->monitors, &id, sizeof(id), old);
	if (old)
		monitor_free(old); /* of an earlier life, which has ended */
	if (m)
		m->timer = r->host->timer_new(r->host->ctx, silent, m);
	if (!m || !m->timer) {
		free(m);
		(void) close(fd); /* a socket */
		return NULL;
	}
	m->runner = r;
	m->id = id;
	m->fd = fd;
	HASH_ADD(hh, r->monitors, id, sizeof(m->id), m);
	r->host->timer_start(m->timer, MAKE_MS);
	return m;
}

void monitor_asked_gone(struct monitor *m)
{
	struct container_report gone = { .status = CO_GONE,
					 .reason = "the container has ended" };
	struct asked *list = m->asked, *a, *next;

	m->asked = NULL;
	DL_FOREACH_SAFE (list, a, next) {
		if (a->done)
			a->done(a->arg, &gone);
		free(a);
	}
}

void monitor_free(struct monitor *m)
{
	const struct co_host *host = m->runner->host;

	HASH_DEL(m->runner->monitors, m);
	if (m->watch)
		host->watch_free(m->watch);
	host->timer_free(m->timer);
	(void) close(m->fd); /* a socket */
	monitor_asked_gone(m);
	free(m->facts);
	if (m->network.address[0])
		network_changed(m->runner);
	network_changed_to(m, false);
	network_done(m->runner->relays, &m->network);
	free(m);
}

/* ---- asking ---- */

void monitor_ask(struct monitor *m, const char *op, const char *members,
		 enum container_act_kind kind, container_reported *done, void *arg)
{
	struct asked *a = calloc(1, sizeof(*a));
	struct co_err err = { 0 };
	int r = CO_NO_MEMORY;

	if (a)
		r = ctr_control_send(m->fd, ++m->tag, op, members, &err);
	if (r) {
		free(a);
		if (done)
			runner_report(done, arg, r,
				      *err.message ? err.message : co_status_text(r));
		return;
	}
	a->tag = m->tag;
	a->kind = kind;
	a->done = done;
	a->arg = arg;
	DL_APPEND(m->asked, a);
}

void monitor_see(struct monitor *m)
{
	m->runner->host->timer_start(m->timer, SEE_MS);
	monitor_ask(m, "watch", "", CONTAINER_ACT_COMMIT, NULL, NULL);
	monitor_ask(m, "status", "", CONTAINER_ACT_COMMIT, NULL, NULL);
	if (m->asked)
		m->asked->prev->see = true;
}

/* ---- what it says ---- */

/* Tells who waits for the monitor itself, once. */
static void tell(struct monitor *m, const struct container_report *report)
{
	container_reported *done = m->done;

	m->done = NULL;
	m->runner->host->timer_stop(m->timer);
	if (done)
		done(m->arg, report);
}

/* Limits that nobody enforces, "memory, cpu", as one more fact: ,"unenforced":["memory"...] */
static void add_unenforced(struct monitor *m, struct co_span event)
{
	autobuf struct co_buf words = { 0 }, facts = { 0 };
	struct co_span value;
	char *rest, *word;

	if (!m->facts || !co_json_member(event, "unenforced", &value) ||
	    co_json_unescape(value, &words) < 0)
		return;
	co_buf_format(&facts, "%s,\"unenforced\":[", m->facts);
	for (word = words.data ? strtok_r(words.data, ", ", &rest) : NULL; word;
	     word = strtok_r(NULL, ", ", &rest)) {
		if (facts.size && facts.data[facts.size - 1] != '[')
			co_buf_char(&facts, ',');
		co_buf_json_text(&facts, co_span(word));
	}
	co_buf_char(&facts, ']');
	if (facts.failed)
		return;
	free(m->facts);
	m->facts = co_buf_take(&facts, &(size_t){ 0 });
}

static void was_born(struct monitor *m, struct co_span event)
{
	struct container_report report = { .reason = "",
					   .seen = CONTAINER_SEEN_CREATED };
	struct co_span value;
	int64_t pid;

	m->born = true;
	m->phase = MONITOR_LIVING;
	if (co_json_member(event, "pid", &value) && co_json_whole(value, &pid))
		report.pid = (int32_t) pid;
	add_unenforced(m, event);
	report.facts = co_span(m->facts);
	tell(m, &report);
}

static void was_not_born(struct monitor *m, struct co_span event)
{
	autobuf struct co_buf message = { 0 }, code = { 0 };
	struct co_span value;

	m->ended = true;
	m->failed.code = CO_IO;
	if (co_json_member(event, "code", &value) &&
	    co_json_unescape(value, &code) == 0 && code.data)
		for (int i = 1; i < 64; i++)
			if (strcmp(co_status_name(-i), code.data) == 0)
				m->failed.code = -i;
	if (co_json_member(event, "message", &value))
		(void) co_json_unescape(value, &message); /* or none */
	(void) snprintf(m->failed.message, sizeof(m->failed.message), "%s",
			message.size ? message.data : "the monitor does not say why");
}

static void on_event(struct monitor *m, const struct ctr_message *message)
{
	struct runner *r = m->runner;
	struct co_span value;

	if (strcmp(message->event, "created") == 0 && m->phase == MONITOR_MAKING) {
		was_born(m, message->json);
	} else if (strcmp(message->event, "failed") == 0 && !m->born) {
		was_not_born(m, message->json);
	} else if (strcmp(message->event, "oom") == 0 && r->oom) {
		r->oom(r->listener, m->id);
	} else if (strcmp(message->event, "exited") == 0) {
		m->ended = co_json_member(message->json, "exit", &value) &&
			   ctr_exit_parse(value, &m->exit);
	}
}

static void see(struct monitor *m, const struct ctr_status *s)
{
	static const enum container_seen seen[] = {
		[CTR_CREATED] = CONTAINER_SEEN_CREATED,
		[CTR_RUNNING] = CONTAINER_SEEN_RUNNING,
		[CTR_PAUSED] = CONTAINER_SEEN_PAUSED,
		[CTR_EXITED] = CONTAINER_SEEN_ENDED
	};
	struct container_report report = { .reason = "",
					   .seen = seen[s->state],
					   .pid = s->pid,
					   .started_ns = s->started * 1000000 };

	m->phase = MONITOR_LIVING;
	if (s->state == CTR_RUNNING || s->state == CTR_PAUSED)
		network_runs(m);
	if (s->state == CTR_EXITED)
		runner_end_of(&s->exit, &report.end);
	tell(m, &report);
}

static void read_exec(struct co_span json, struct container_report *report)
{
	struct co_span value;
	int64_t number;

	report->exit_code = 255;
	if (co_json_member(json, "exitCode", &value) && co_json_whole(value, &number))
		report->exit_code = (int) number;
	if (co_json_member(json, "timedOut", &value))
		report->timed_out = co_span_is(value, "true");
	(void) co_json_member(json, "output", &report->text);
}

/* Without what makes it a reply: {"tag":5,"ok":true,"cpu":... */
static void read_usage(struct co_span json, struct co_buf *out)
{
	struct co_json_walk w = co_json_walk(json);
	struct co_span name, value;

	co_buf_char(out, '{');
	while (co_json_next(&w, &name, &value)) {
		if (co_json_string_is(name, "tag") || co_json_string_is(name, "ok"))
			continue;
		if (out->size > 1)
			co_buf_char(out, ',');
		co_buf_span(out, name);
		co_buf_char(out, ':');
		co_buf_span(out, value);
	}
	co_buf_char(out, '}');
}

static void on_reply(struct monitor *m, const struct ctr_message *message)
{
	struct container_report report = { .status = message->status,
					   .reason = message->failed.message,
					   .text = message->json,
					   .seen = CONTAINER_SEEN_RUNNING };
	autobuf struct co_buf usage = { 0 };
	struct ctr_status status;
	struct co_span value;
	struct asked *a;
	int64_t pid;

	DL_SEARCH_SCALAR(m->asked, a, tag, message->tag);
	if (!a)
		return;
	DL_DELETE(m->asked, a);
	if (a->see && message->status == 0 &&
	    ctr_status_parse(message->json, &status) && m->phase == MONITOR_SEEING)
		see(m, &status);
	if (a->kind == CONTAINER_ACT_EXEC && !report.status)
		read_exec(message->json, &report);
	if (a->kind == CONTAINER_ACT_USAGE && !report.status) {
		read_usage(message->json, &usage);
		report.text = (struct co_span){ usage.data, usage.size };
	}
	if (a->kind == CONTAINER_ACT_START && !report.status &&
	    co_json_member(message->json, "pid", &value) && co_json_whole(value, &pid))
		report.pid = (int32_t) pid;
	if (a->kind == CONTAINER_ACT_START && !report.status)
		network_runs(m);
	if (a->kind == CONTAINER_ACT_UPDATE && m->change) {
		network_changed_to(m, report.status == 0);
		report.facts = co_span(m->facts);
	}
	if (a->done)
		a->done(a->arg, &report);
	free(a);
}

/* ---- its end ---- */

static void gone(struct monitor *m)
{
	struct runner *r = m->runner;
	struct co_err failed = m->failed;
	struct container_report report = { .status = failed.code,
					   .reason = failed.message };
	struct container_end end = { 0 };
	struct ctr_exit exit = m->exit;
	container_reported *done = m->done;
	bool ended = m->ended, born = m->born, files = m->files;
	int phase = m->phase;
	uint32_t id = m->id;
	void *arg = m->arg;

	if (!report.status) {
		report.status = CO_IO;
		report.reason = "its monitor ended before it was created; the file "
				"monitor.err of the bundle may say why";
	}
	m->done = NULL;
	monitor_free(m); /* answers what was asked; who is told may want another one */
	if (phase == MONITOR_MAKING) {
		done(arg, &report);
	} else if (phase == MONITOR_ENDING) {
		work_clear(r, id, files, done, arg);
	} else if (phase == MONITOR_SEEING) {
		work_adopt(r, id, done, arg); /* there is a record now */
	} else if (ended && born && r->ended) {
		runner_end_of(&exit, &end);
		r->ended(r->listener, id, &end);
	} else if (!ended) {
		work_lost(r, id);
	}
}

static void readable(void *arg)
{
	struct monitor *m = arg;
	struct runner *r = m->runner;
	uint32_t id = m->id;
	struct co_err err;

	for (int i = 0; i < 32; i++) {
		struct monitor *still = NULL;
		int status = ctr_control_receive(m->fd, r->message, &err);

		if (status == 1)
			return;
		if (status < 0) {
			gone(m);
			return;
		}
		if (r->message->kind == CTR_REPLY)
			on_reply(m, r->message);
		else if (r->message->kind == CTR_EVENT)
			on_event(m, r->message);
		HASH_FIND(hh, r->monitors, &id, sizeof(id), still);
		if (still != m)
			return; /* that has ended it */
	}
}

bool monitor_watch(struct monitor *m)
{
	const struct co_host *host = m->runner->host;

	m->watch = host->watch_new(host->ctx, m->fd, false, readable, m);
	return m->watch != NULL;
}

/* It has not been heard of for too long. */
static void silent(void *arg)
{
	struct monitor *m = arg;
	struct container_report report = { .status = CO_TIMED_OUT };
	container_reported *done;
	int phase = m->phase;

	report.reason = phase == MONITOR_MAKING
				? "its monitor takes too long to create it"
			: phase == MONITOR_SEEING
				? "its monitor does not answer; is it stopped?"
				: "its processes do not end, not even killed";
	if (phase == MONITOR_LIVING)
		return;
	if (phase == MONITOR_ENDING) {
		tell(m, &report); /* it may end later */
		return;
	}
	done = m->done;
	arg = m->arg;
	m->done = NULL;
	monitor_free(m); /* one that is being made is undone with its connection */
	if (done)
		done(arg, &report);
}
