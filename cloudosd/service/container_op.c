/* SPDX-License-Identifier: MIT */
/* What is asked of containers: queues, answers, and the simple ones of them.  HOST. */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_inside.h"
#include "lib/cleanup.h"

/* ---- answers ---- */

void container_answer(const struct container_asker *asker, int status,
		      const char *reason, struct co_span json, uint32_t id)
{
	struct container_answer answer = {
		.status = status, .reason = reason, .json = json, .id = id
	};

	if (asker->done)
		asker->done(asker->arg, &answer);
}

void container_refuse(const struct container_asker *asker, int status,
		      const char *format, ...)
{
	char reason[768];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(reason, sizeof(reason), format, args); /* cut */
	va_end(args);
	container_answer(asker, status, reason, (struct co_span){ 0 }, 0);
}

static void answer_with(const struct container_asker *asker, const struct container *c)
{
	autobuf struct co_buf json = { 0 };

	if (!asker->done)
		return;
	container_json(&json, c);
	if (json.failed)
		container_refuse(asker, CO_NO_MEMORY, "no memory for the answer");
	else
		container_answer(asker, 0, "", (struct co_span){ json.data, json.size },
				 c->id);
}

/* ---- queues ---- */

struct container_op *container_op_new(int verb, const struct container_asker *asker)
{
	struct container_op *op = calloc(1, sizeof(*op));

	if (!op) {
		if (asker)
			container_refuse(asker, CO_NO_MEMORY,
					 "no memory for a request");
		return NULL;
	}
	op->verb = verb;
	if (!asker)
		return op;
	op->asker = *asker;
	if (asker->journal) {
		op->journal = *asker->journal;
		op->has_journal = true;
	}
	return op;
}

void container_op_free(struct container_op *op)
{
	(void) container_config_free(op->config); /* NULL */
	free(op->part);
	free(op);
}

void container_op_queue(struct container *c, struct container_op *op)
{
	op->container = c;
	c->nqueued++;
	DL_APPEND(c->queue, op);
	container_op_next(c);
}

void container_op_first(struct container *c, struct container_op *op)
{
	op->container = c;
	c->nqueued++;
	DL_PREPEND(c->queue, op);
	container_op_next(c);
}

/* The container may be gone when this returns. */
void container_op_done(struct container_op *op, int status, const char *reason)
{
	struct container *c = op->container;
	struct container_answer failed = { .status = status,
					   .reason = reason,
					   .program = op->program };

	c->op = NULL;
	if (!status)
		answer_with(&op->asker, c);
	else if (op->asker.done)
		op->asker.done(op->asker.arg, &failed);
	container_op_free(op);
	container_op_next(c);
}

/* ---- acting ---- */

void container_act(struct container *c, enum container_act_kind kind, int signal,
		   container_reported *done)
{
	const struct container_runtime *runtime = c->all->options.runtime;
	struct container_act act = { .kind = kind, .signal = signal };

	runtime->act(runtime->ctx, c->id, &act, done, c);
}

static const char *state_of(const struct container *c)
{
	return container_state_name(c->state);
}

static void wrong_state(struct container_op *op, const char *what)
{
	const struct container *c = op->container;
	char reason[512];

	(void) snprintf(reason, sizeof(reason), "container %s is %s: %s", c->name,
			state_of(c), what);
	container_op_done(op, CO_BUSY, reason);
}

/* ---- pause, unpause ---- */

static void on_paused(void *arg, const struct container_report *report)
{
	struct container *c = arg;
	struct container_op *op = c->op;

	if (report->status) {
		container_op_done(op, report->status, report->reason);
		return;
	}
	if (!container_lives(c)) {
		wrong_state(op, "it has ended meanwhile");
		return;
	}
	c->state = op->verb == CONTAINER_PAUSE ? CONTAINER_IS_PAUSED
					       : CONTAINER_IS_RUNNING;
	if (op->verb == CONTAINER_PAUSE)
		container_pulse_stop(c);
	else
		container_pulse_start(c);
	container_save(c, op, op->verb == CONTAINER_PAUSE ? "paused" : "unpaused");
}

static void pause_begin(struct container *c)
{
	bool pause = c->op->verb == CONTAINER_PAUSE;

	if (c->state != (pause ? CONTAINER_IS_RUNNING : CONTAINER_IS_PAUSED)) {
		wrong_state(c->op, pause ? "only one that runs can be paused"
					 : "only one that is paused can go on");
		return;
	}
	container_act(c, pause ? CONTAINER_ACT_PAUSE : CONTAINER_ACT_RESUME, 0,
		      on_paused);
}

/* ---- stop, restart ---- */

static void no_matter(void *arg, const struct container_report *report)
{
	(void) arg; /* it has ended meanwhile, or will be killed */
	(void) report;
}

static int stop_signal(const struct container *c)
{
	if (c->config->stop_signal)
		return c->config->stop_signal;
	return c->defaults.stop_signal ? c->defaults.stop_signal : SIGTERM;
}

static void ask_to_end(struct container *c)
{
	const struct co_host *host = c->all->host;
	struct container_op *op = c->op;
	uint64_t s = op->has_timeout ? op->timeout_s : c->config->stop_timeout_s;

	container_act(c, CONTAINER_ACT_KILL, s ? stop_signal(c) : SIGKILL, no_matter);
	host->timer_start(c->timer, s * 1000);
}

static void on_thawed(void *arg, const struct container_report *report)
{
	struct container *c = arg;

	(void) report; /* one that has ended is told of anyway */
	if (c->op && container_lives(c))
		ask_to_end(c);
}

static void stop_begin(struct container *c)
{
	struct container_op *op = c->op;

	if (op->verb == CONTAINER_STOP)
		c->wanted = false;
	if (c->state == CONTAINER_IS_RUNNING) {
		ask_to_end(c);
		return;
	}
	if (c->state == CONTAINER_IS_PAUSED) {
		container_act(c, CONTAINER_ACT_RESUME, 0, on_thawed);
		return;
	}
	c->all->host->timer_stop(c->timer);
	if (op->verb == CONTAINER_RESTART) {
		container_start_begin(c);
		return;
	}
	if (c->state == CONTAINER_IS_RESTARTING) {
		c->state = CONTAINER_IS_EXITED;
		container_save(c, op, "stopped");
		return;
	}
	container_save(c, op, "");
}

void container_stop_ended(struct container *c)
{
	c->all->host->timer_stop(c->timer);
	if (c->op->verb == CONTAINER_RESTART)
		container_start_begin(c);
	else
		container_save(c, c->op, "stopped");
}

/* ---- remove ---- */

static void remove_end(struct container_op *op, int status, const char *reason)
{
	struct container *c = op->container;
	struct containers *all = c->all;

	if (status) {
		container_op_done(op, status, reason);
		return;
	}
	c->op = NULL;
	answer_with(&op->asker, c);
	container_op_free(op);
	while (c->queue) {
		op = c->queue;
		DL_DELETE(c->queue, op);
		container_refuse(&op->asker, CO_NOT_FOUND,
				 "container %s has been removed meanwhile", c->name);
		container_op_free(op);
	}
	container_free(c);
	containers_changed(all);
}

static void remove_record(struct container *c)
{
	c->op->saved = remove_end;
	container_erase(c, c->op, c->making ? "" : "removed");
}

static void on_unmade(void *arg, const struct container_report *report)
{
	struct container *c = arg;
	struct container_op *op = c->op;

	c->made = false;
	c->pid = 0;
	container_waits_answer(c);
	if (report->status == 0) {
		container_volumes_drop(c, remove_record);
		return;
	}
	c->state = CONTAINER_IS_DEAD;
	(void) snprintf(c->error, sizeof(c->error), "cannot be removed: %s",
			report->reason);
	op->saved = NULL;
	container_log(c->all, "container %s %s", c->name, c->error);
	container_save(c, NULL, "");
	container_op_done(op, report->status, c->error);
}

static void removing(struct container_op *op, int status, const char *reason)
{
	struct container *c = op->container;
	const struct container_runtime *runtime = c->all->options.runtime;

	if (status) {
		container_op_done(op, status, reason);
		return;
	}
	runtime->unmake(runtime->ctx, c->id, true, on_unmade, c);
}

static void remove_begin(struct container *c)
{
	struct container_op *op = c->op;

	if (!op->force && (container_lives(c) || c->state == CONTAINER_IS_RESTARTING)) {
		wrong_state(op, "stop it first, or remove it by force (-f)");
		return;
	}
	c->wanted = false;
	c->all->host->timer_stop(c->timer);
	container_pulse_stop(c);
	c->state = CONTAINER_IS_REMOVING;
	c->volumes_too |= op->volumes;
	op->saved = removing;
	container_save(c, op, "");
}

/* ---- update ---- */

static void update_take(struct container *c)
{
	struct container_op *op = c->op;

	(void) container_config_free(c->config); /* NULL */
	c->config = take(op->config);
	if (c->config->name && strcmp(c->config->name, c->name) != 0)
		container_named(c, c->config->name);
	if (c->state == CONTAINER_IS_RUNNING) {
		container_pulse_stop(c);
		container_pulse_start(c);
	}
	container_save(c, op, "updated");
}

static void on_limits(void *arg, const struct container_report *report)
{
	struct container *c = arg;

	if (report->status && report->status != CO_GONE) {
		container_op_done(c->op, report->status, report->reason);
		return;
	}
	if (report->facts.data)
		container_take_facts(c, report->facts);
	update_take(c);
}

static void on_unmade_for_update(void *arg, const struct container_report *report)
{
	struct container *c = arg;

	c->made = false;
	if (report->status)
		container_op_done(c->op, report->status, report->reason);
	else
		update_take(c);
}

static bool same_limits(const struct container_settings *a,
			const struct container_settings *b)
{
	return a->memory_mib == b->memory_mib && a->cpu_percent == b->cpu_percent &&
	       a->pids == b->pids;
}

static bool same_ports(const struct container_settings *a,
		       const struct container_settings *b)
{
	if (a->nports != b->nports)
		return false;
	for (size_t i = 0; i < a->nports; i++) {
		const struct container_port *p = &a->ports[i], *q = &b->ports[i];

		if (strcmp(p->ip, q->ip) != 0 || p->host != q->host ||
		    p->inside != q->inside || p->udp != q->udp)
			return false;
	}
	return true;
}

static void update_begin(struct container *c)
{
	const struct container_runtime *runtime = c->all->options.runtime;
	struct container_op *op = c->op;
	autobuf struct co_buf text = { 0 };
	struct container *other = NULL;
	struct container_settings *config;
	struct container_act act;
	struct co_err err = { 0 };
	bool live_only;

	if (container_config_merge(c->config, co_span(op->part), &text, &live_only,
				   &err) ||
	    container_config_parse((struct co_span){ text.data, text.size }, &config,
				   &err)) {
		container_op_done(op, err.code, err.message);
		return;
	}
	op->config = config;
	if (config->name)
		other = container_find(c->all, co_span(config->name));
	if (other && other != c) {
		container_op_done(op, CO_EXISTS,
				  "there is another container of that name");
		return;
	}
	if (!live_only && (container_lives(c) || c->state == CONTAINER_IS_REMOVING)) {
		wrong_state(
			op,
			"only limits, ports, restart, health, stopSignal, stopTimeout, "
			"labels, rm and name can be changed while it runs");
		return;
	}
	if (!live_only && c->made) {
		runtime->unmake(runtime->ctx, c->id, false, on_unmade_for_update, c);
		return;
	}
	if (!c->made ||
	    (same_limits(c->config, config) && same_ports(c->config, config))) {
		update_take(c);
		return;
	}
	act = (struct container_act){ .kind = CONTAINER_ACT_UPDATE,
				      .config = config->json };
	runtime->act(runtime->ctx, c->id, &act, on_limits, c);
}

/* ---- the next one ---- */

void container_op_next(struct container *c)
{
	struct container_op *op = c->queue;

	if (c->op || !op) {
		containers_changed(c->all);
		return;
	}
	DL_DELETE(c->queue, op);
	c->nqueued--;
	c->op = op;
	if ((c->state == CONTAINER_IS_DEAD || c->state == CONTAINER_IS_REMOVING) &&
	    op->verb != CONTAINER_REMOVE && op->verb != CONTAINER_INSPECT) {
		wrong_state(op, "it can only be removed");
		return;
	}
	switch (op->verb) {
	case CONTAINER_START:
	case CONTAINER_AGAIN:
		container_start_begin(c);
		break;
	case CONTAINER_STOP:
	case CONTAINER_RESTART:
		stop_begin(c);
		break;
	case CONTAINER_PAUSE:
	case CONTAINER_UNPAUSE:
		pause_begin(c);
		break;
	case CONTAINER_UPDATE:
		update_begin(c);
		break;
	case CONTAINER_REMOVE:
		remove_begin(c);
		break;
	case CONTAINER_CREATE:
		container_create_begin(c);
		break;
	case CONTAINER_INSPECT:
		container_op_done(op, 0, "");
		break;
	case CONTAINER_KILL:
	case CONTAINER_STATS:
		container_now_do(c, op->verb, op->signal, &op->asker);
		op->asker.done = NULL; /* it is answered by that */
		container_op_done(op, 0, "");
		break;
	default:
		break; /* ADOPT is begun by itself */
	}
}
