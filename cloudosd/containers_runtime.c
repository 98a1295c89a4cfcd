/* SPDX-License-Identifier: MIT */
/* What makes containers, as the service sees it: one monitor each, found by id.  HOST. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/containers_inside.h"
#include "lib/cleanup.h"

enum { END_MS = 30000 };

/* ---- answers from the loop ---- */

struct saying {
	const struct co_host *host;
	container_reported *done;
	void *arg;
	int status;
	char reason[512];
};

static void say(void *arg)
{
	struct saying *s = arg;
	struct container_report report = { .status = s->status, .reason = s->reason };

	s->done(s->arg, &report);
	free(s);
}

static const struct co_host *the_host; /* one daemon, one host */

void runner_report(container_reported *done, void *arg, int status, const char *reason)
{
	struct saying *s = calloc(1, sizeof(*s));

	if (!s)
		abort(); /* nobody would ever hear of it */
	s->done = done;
	s->arg = arg;
	s->status = status;
	(void) snprintf(s->reason, sizeof(s->reason), "%s", reason); /* cut */
	the_host->post(the_host->ctx, say, s);
}

void runner_end_of(const struct ctr_exit *e, struct container_end *out)
{
	*out = (struct container_end){ .exit_code = e->code,
				       .signal = e->signal,
				       .oom_killed = e->oom_killed,
				       .finished_ns = e->finished * 1000000,
				       .error = e->error };
}

static struct monitor *find(const struct runner *r, uint32_t id)
{
	struct monitor *m = NULL;

	HASH_FIND(hh, r->monitors, &id, sizeof(id), m);
	return m;
}

/* ---- the table ---- */

static void make(void *ctx, const struct container_make *what, container_reported *done,
		 void *arg)
{
	work_make(ctx, what, done, arg);
}

static void adopt(void *ctx, uint32_t id, container_reported *done, void *arg)
{
	work_adopt(ctx, id, done, arg);
}

static void words(struct co_buf *out, const char *const *argv)
{
	co_buf_text(out, "\"args\":[");
	for (const char *const *word = argv; *word; word++) {
		if (word != argv)
			co_buf_char(out, ',');
		co_buf_json_text(out, co_span(*word));
	}
	co_buf_char(out, ']');
}

static int changes(struct monitor *m, struct co_buf *out, struct co_span text,
		   struct co_err *err)
{
	struct container_settings *config;
	int rc = container_config_parse(text, &config, err);

	if (rc < 0)
		return rc;
	co_buf_text(out, "\"resources\":");
	container_resources(config, out);
	rc = network_change(m, config, out, err);
	(void) container_config_free(config); /* NULL */
	return rc;
}

static void act(void *ctx, uint32_t id, const struct container_act *what,
		container_reported *done, void *arg)
{
	static const char *const ops[] = {
		[CONTAINER_ACT_START] = "start",   [CONTAINER_ACT_KILL] = "signal",
		[CONTAINER_ACT_PAUSE] = "pause",   [CONTAINER_ACT_RESUME] = "resume",
		[CONTAINER_ACT_UPDATE] = "update", [CONTAINER_ACT_USAGE] = "usage",
		[CONTAINER_ACT_EXEC] = "exec",     [CONTAINER_ACT_COMMIT] = "commit"
	};
	autobuf struct co_buf members = { 0 };
	struct monitor *m = find(ctx, id);
	struct co_err err = { 0 };

	if (!m) {
		runner_report(done, arg, CO_GONE, "the container does not run");
		return;
	}
	if (what->kind == CONTAINER_ACT_KILL)
		co_buf_format(&members, "\"signal\":%d,\"all\":%s", what->signal,
			      what->signal == SIGKILL ? "true" : "false");
	if (what->kind == CONTAINER_ACT_UPDATE &&
	    changes(m, &members, what->config, &err) < 0) {
		runner_report(done, arg, err.code, err.message);
		return;
	}
	if (what->kind == CONTAINER_ACT_EXEC) {
		words(&members, what->argv);
		co_buf_format(&members, ",\"timeoutMs\":%" PRIu32, what->timeout_ms);
	}
	if (members.failed)
		runner_report(done, arg, CO_NO_MEMORY, "no memory for a request");
	else
		monitor_ask(m, ops[what->kind], members.data ? members.data : "",
			    what->kind, done, arg);
}

/* Its connection ends when it has ended; then the rest is removed. */
static void unmake(void *ctx, uint32_t id, bool files, container_reported *done,
		   void *arg)
{
	struct runner *r = ctx;
	struct monitor *m = find(r, id);

	if (!m) {
		work_clear(r, id, files, done, arg);
		return;
	}
	monitor_asked_gone(m);
	m->phase = MONITOR_ENDING;
	m->files = files;
	m->done = done;
	m->arg = arg;
	r->host->timer_start(m->timer, END_MS);
	monitor_ask(m, "signal", "\"signal\":9,\"all\":true", CONTAINER_ACT_KILL, NULL,
		    NULL);
}

static void sweep(void *ctx, const uint32_t *ids, size_t n, uint32_t below)
{
	work_sweep(ctx, ids, n, below);
}

static void volume(void *ctx, enum container_volume_act what, const char *name,
		   container_reported *done, void *arg)
{
	work_volume(ctx, what, name, done, arg);
}

static void logs(void *ctx, uint32_t id, uint32_t lines, container_reported *done,
		 void *arg)
{
	work_logs(ctx, id, lines, done, arg);
}

static void describe(void *ctx, uint32_t id, struct co_buf *out)
{
	const struct runner_place *p = &((struct runner *) ctx)->place;
	char path[RUNNER_PATH];

	(void) snprintf(path, sizeof(path), "%s/%" PRIu32, p->state, id);
	co_buf_text(out, ",\"bundle\":");
	co_buf_json_text(out, co_span(path));
	(void) snprintf(path, sizeof(path), "%s/%" PRIu32, p->run, id);
	co_buf_text(out, ",\"runFolder\":");
	co_buf_json_text(out, co_span(path));
	(void) snprintf(path, sizeof(path), "%s/%" PRIu32 "/log", p->state, id);
	co_buf_text(out, ",\"log\":");
	co_buf_json_text(out, co_span(path));
}

static void listen_to(void *ctx,
		      void (*ended)(void *arg, uint32_t id,
				    const struct container_end *end),
		      void (*oom)(void *arg, uint32_t id), void *arg)
{
	struct runner *r = ctx;

	r->ended = ended;
	r->oom = oom;
	r->listener = arg;
}

int runner_new(struct runner **out, struct daemon *d, const struct runner_place *place,
	       struct co_err *err)
{
	struct runner *r = calloc(1, sizeof(*r));

	if (r)
		r->message = malloc(sizeof(*r->message));
	if (r)
		r->relays = relays_new();
	if (!r || !r->message || !r->relays) {
		if (r)
			free(r->message);
		free(r);
		return co_fail(err, CO_NO_MEMORY, "no memory for containers");
	}
	the_host = d->host;
	r->daemon = d;
	r->host = d->host;
	r->sealed = -1;
	(void) pthread_mutex_init(&r->sealing, NULL); /* cannot fail with Linux */
	r->place = *place;
	r->table = (struct container_runtime){ .ctx = r,
					       .make = make,
					       .act = act,
					       .adopt = adopt,
					       .unmake = unmake,
					       .sweep = sweep,
					       .volume = volume,
					       .logs = logs,
					       .describe = describe,
					       .listen = listen_to };
	*out = r;
	return 0;
}
