/* SPDX-License-Identifier: MIT */
/* The life of a container: begun, healthy, ended, begun again, found again.  HOST. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container_inside.h"
#include "lib/cleanup.h"

static uint64_t now_ms(const struct container *c)
{
	return c->all->host->now_ms(c->all->host->ctx);
}

/* ---- health ---- */

const struct container_health_spec *container_check(const struct container *c)
{
	const struct container_health_spec *own = &c->config->health;

	if (own->command.count)
		return own;
	return c->config->health_none || !c->defaults.health.command.count
		       ? NULL
		       : &c->defaults.health;
}

void container_pulse_stop(struct container *c)
{
	c->all->host->timer_stop(c->pulse);
}

void container_pulse_start(struct container *c)
{
	const struct container_health_spec *check = container_check(c);

	if (!check) {
		c->health = CONTAINER_HEALTH_NONE;
		return;
	}
	if (c->health == CONTAINER_HEALTH_NONE)
		c->health = CONTAINER_HEALTH_STARTING;
	c->all->host->timer_start(c->pulse, check->interval_ms);
}

static void health_is(struct container *c, enum container_health health)
{
	autobuf struct co_buf data = { 0 };

	if (c->health == health)
		return;
	c->health = health;
	container_event_begin(&data, c);
	co_buf_format(&data, ",\"health\":\"%s\"}",
		      health == CONTAINER_HEALTH_HEALTHY ? "healthy" : "unhealthy");
	if (!data.failed)
		c->all->options.emit(c->all->options.arg, "container:health",
				     (struct co_span){ data.data, data.size });
}

static void on_probed(void *arg, const struct container_report *report)
{
	struct container *c = arg;
	const struct container_health_spec *check = container_check(c);
	bool good = report->status == 0 && report->exit_code == 0 && !report->timed_out;

	c->probing = false;
	if (c->state != CONTAINER_IS_RUNNING || !check || report->status == CO_GONE)
		return;
	if (good) {
		c->failing = 0;
		health_is(c, CONTAINER_HEALTH_HEALTHY);
	} else if (c->health != CONTAINER_HEALTH_STARTING ||
		   now_ms(c) - c->begun_ms >= check->start_ms) {
		if (++c->failing >= check->retries)
			health_is(c, CONTAINER_HEALTH_UNHEALTHY);
	}
	c->all->host->timer_start(c->pulse, check->interval_ms);
}

void container_pulse(void *arg)
{
	struct container *c = arg;
	const struct container_health_spec *check = container_check(c);
	const struct container_runtime *runtime = c->all->options.runtime;
	const char *shell[] = { "/bin/sh", "-c", NULL, NULL };
	struct container_act act = { .kind = CONTAINER_ACT_EXEC };

	if (c->probing || !check || c->state != CONTAINER_IS_RUNNING)
		return;
	shell[2] = check->command.at[0];
	act.argv = check->shell ? shell : (const char *const *) check->command.at;
	act.timeout_ms = check->timeout_ms;
	c->probing = true;
	runtime->act(runtime->ctx, c->id, &act, on_probed, c);
}

/* ---- begun ---- */

void container_begun(struct container *c, const struct container_report *report)
{
	c->state = report->seen == CONTAINER_SEEN_PAUSED ? CONTAINER_IS_PAUSED
							 : CONTAINER_IS_RUNNING;
	c->made = true;
	if (report->pid)
		c->pid = report->pid;
	c->started_ns = report->started_ns ? report->started_ns : container_now(c->all);
	c->begun_ms = now_ms(c);
	c->exit_code = c->signal = 0;
	c->oom_killed = false;
	c->error[0] = '\0';
	c->health = CONTAINER_HEALTH_NONE;
	c->failing = 0;
	(void) snprintf(c->boot, sizeof(c->boot), "%s", c->all->options.boot);
	if (c->state == CONTAINER_IS_RUNNING)
		container_pulse_start(c);
}

/* ---- ended ---- */

void container_waits_answer(struct container *c)
{
	struct container_op *op, *next;
	char text[128];

	(void) snprintf(text, sizeof(text),
			"{\"id\":%" PRIu32 ",\"exitCode\":%d,\"oomKilled\":%s,"
			"\"signal\":%d}",
			c->id, c->exit_code, c->oom_killed ? "true" : "false",
			c->signal);
	DL_FOREACH_SAFE (c->waits, op, next) {
		DL_DELETE(c->waits, op);
		c->nwaits--;
		container_answer(&op->asker, 0, "", co_span(text), c->id);
		container_op_free(op);
	}
}

static bool goes_on(const struct container *c)
{
	const struct container_settings *k = c->config;

	if (!c->wanted || c->all->stopping)
		return c->wanted && k->restart != CONTAINER_RESTART_NO;
	switch (k->restart) {
	case CONTAINER_RESTART_ALWAYS:
	case CONTAINER_RESTART_UNLESS_STOPPED:
		return true;
	case CONTAINER_RESTART_ON_FAILURE:
		return c->exit_code != 0 &&
		       (!k->restart_max || c->restarts < k->restart_max);
	default:
		return false;
	}
}

static void begin_again_later(struct container *c, bool steady)
{
	c->state = CONTAINER_IS_RESTARTING;
	if (steady || !c->backoff_ms)
		c->backoff_ms = CONTAINER_BACKOFF_MS;
	else if (c->backoff_ms < CONTAINER_SLOWEST_MS)
		c->backoff_ms *= 2;
	if (c->backoff_ms > CONTAINER_SLOWEST_MS)
		c->backoff_ms = CONTAINER_SLOWEST_MS;
	c->all->host->timer_start(c->timer, c->backoff_ms);
}

static void note_end(struct container *c, const struct container_end *end)
{
	c->made = false;
	c->pid = 0;
	c->health = CONTAINER_HEALTH_NONE;
	c->failing = 0;
	container_pulse_stop(c);
	c->exit_code = end->exit_code;
	c->signal = end->signal;
	c->oom_killed |= end->oom_killed;
	c->finished_ns = end->finished_ns ? end->finished_ns : container_now(c->all);
	(void) snprintf(c->error, sizeof(c->error), "%s",
			end->error ? end->error : ""); /* cut */
}

static void remove_itself(struct container *c)
{
	struct container_op *op = container_op_new(CONTAINER_REMOVE, NULL);

	if (!op)
		return;
	op->force = true;
	container_op_queue(c, op);
}

void container_over(struct container *c, const struct container_end *end)
{
	bool steady =
		container_lives(c) && now_ms(c) - c->begun_ms >= CONTAINER_STEADY_MS;
	bool waited_for =
		c->op && container_lives(c) &&
		(c->op->verb == CONTAINER_STOP || c->op->verb == CONTAINER_RESTART);
	char members[96];

	note_end(c, end);
	c->state = CONTAINER_IS_EXITED;
	if (!waited_for && goes_on(c))
		begin_again_later(c, steady);
	(void) snprintf(members, sizeof(members),
			",\"exitCode\":%d,\"signal\":%d,\"oomKilled\":%s", c->exit_code,
			c->signal, c->oom_killed ? "true" : "false");
	container_save_with(c, NULL, "exited", members);
	if (waited_for)
		container_stop_ended(c);
	if (c->config->rm && c->state == CONTAINER_IS_EXITED)
		remove_itself(c);
}

void container_ended(struct container *c, const struct container_end *end)
{
	if (container_lives(c) && !c->starting) {
		container_over(c, end);
		return;
	}
	c->made = false; /* parked: it is made again; or who waits for it hears of it */
	c->pid = 0;
}

/* ---- the timer: a stop takes too long, or it is time to begin again ---- */

static void no_matter(void *arg, const struct container_report *report)
{
	(void) arg;
	(void) report;
}

static void adopt(struct container *c);

static void tell_again(const struct container *c)
{
	autobuf struct co_buf data = { 0 };

	container_event_begin(&data, c);
	co_buf_format(&data, ",\"restarts\":%" PRIu32 "}", c->restarts);
	if (!data.failed)
		c->all->options.emit(c->all->options.arg, "container:restarting",
				     (struct co_span){ data.data, data.size });
}

void container_timer(void *arg)
{
	struct container *c = arg;
	struct container_op *op = c->op;

	if (op && op->verb == CONTAINER_ADOPT) {
		adopt(c);
		return;
	}
	if (op && container_lives(c)) {
		container_act(c, CONTAINER_ACT_KILL, SIGKILL, no_matter);
		c->all->host->timer_start(c->timer, CONTAINER_STEADY_MS);
		return;
	}
	if (c->state != CONTAINER_IS_RESTARTING || c->all->stopping)
		return;
	op = container_op_new(CONTAINER_AGAIN, NULL);
	if (!op) {
		c->all->host->timer_start(c->timer, c->backoff_ms);
		return;
	}
	c->restarts++;
	tell_again(c);
	container_op_queue(c, op);
}

/* ---- found again by the next daemon ---- */

/* It ran when the last daemon looked, and nobody knows how it has ended. */
static void is_lost(struct container *c)
{
	bool reboot = strcmp(c->boot, c->all->options.boot) != 0;
	struct container_end end = {
		.exit_code = 255,
		.lost = true,
		.error =
			reboot ? "the machine was restarted while it ran"
			       : "its monitor was killed; nobody knows how it has ended"
	};

	container_over(c, &end);
}

static void begin_at_boot(struct container *c)
{
	bool reboot = *c->boot && strcmp(c->boot, c->all->options.boot) != 0;

	if (c->state == CONTAINER_IS_EXITED && reboot &&
	    c->config->restart == CONTAINER_RESTART_ALWAYS) {
		c->wanted = true;
		begin_again_later(c, true);
	} else if (c->state == CONTAINER_IS_RESTARTING) {
		begin_again_later(c, true);
	}
}

static bool is_news(const struct container *c, const struct container_end *end)
{
	return end->finished_ns > c->finished_ns && end->finished_ns > c->created_ns;
}

/* A beginning or an end that the last daemon did not live to write down. */
static void compare(struct container *c, const struct container_report *r)
{
	enum container_stage was = c->state;
	bool recorded = container_lives(c);

	switch (r->seen) {
	case CONTAINER_SEEN_RUNNING:
	case CONTAINER_SEEN_PAUSED:
		container_begun(c, r);
		if (!recorded)
			c->wanted = true;
		if (c->state != was)
			container_save(c, NULL, recorded ? "" : "started");
		return;
	case CONTAINER_SEEN_CREATED:
		c->made = true;
		c->pid = r->pid;
		if (recorded) { /* between its end and its next beginning */
			c->state = CONTAINER_IS_RESTARTING;
			c->wanted = true;
		}
		break;
	case CONTAINER_SEEN_ENDED:
		if (recorded || is_news(c, &r->end)) {
			c->state = CONTAINER_IS_RUNNING;
			c->wanted |= !recorded;
			container_over(c, &r->end);
			return;
		}
		break;
	default:
		if (recorded) {
			is_lost(c);
			return;
		}
	}
	begin_at_boot(c);
}

static void on_adopted(void *arg, const struct container_report *report)
{
	struct container *c = arg;
	struct container_op *op = c->op;
	struct container_image image;
	struct co_err err = { 0 };

	if (report->status && ++op->tries < CONTAINER_UNSEEN_TIMES) {
		c->all->host->timer_start(c->timer, CONTAINER_UNSEEN_MS);
		return;
	}
	if (container_defaults_of(c, &image, &err))
		container_log(c->all, "container %s: %s", c->name, err.message);
	if (report->status)
		container_log(c->all, "container %s: %s", c->name, report->reason);
	compare(c, report);
	container_op_done(op, 0, "");
}

static void adopt(struct container *c)
{
	const struct container_runtime *runtime = c->all->options.runtime;

	runtime->adopt(runtime->ctx, c->id, on_adopted, c);
}

void container_adopt_begin(struct container *c)
{
	struct container_op *op;

	char hidden[32];

	if (c->making) {
		/* nobody has heard of it: its name is free, for a call that is said again */
		(void) snprintf(hidden, sizeof(hidden), "#%" PRIu32, c->id); /* fits */
		container_named(c, hidden);
	}
	if (c->making || c->state == CONTAINER_IS_REMOVING) {
		remove_itself(c);
		return;
	}
	if (c->state == CONTAINER_IS_DEAD)
		return;
	op = container_op_new(CONTAINER_ADOPT, NULL);
	if (!op)
		return;
	op->container = c;
	c->op = op;
	adopt(c);
}
