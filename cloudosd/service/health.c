/* SPDX-License-Identifier: MIT */
/*
 * Health checks: when they run and what their results mean.  HOST.
 *
 * A check is idle (its timer runs), queued (due, behind CO_LIMIT_HEALTH_CHECKS others) or
 * running (it has a probe).  A probe counts as running until nothing of it is left, so
 * slow workers hold back new checks instead of piling up.
 */
#include "cloudosd/service/health.h"

#include <co/limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/service/https.h"
#include "cloudosd/service/probe.h"
#include "cloudosd/service/target.h"

#define RETRY_MS 1000 /* when a check could not be started at all */

struct health {
	const struct co_host *host;
	struct health_options options;
	struct health_check *queue; /* due, oldest first */
	size_t running;
	bool is_closed;
};

struct health_check {
	struct health *health;
	struct target target;
	void (*changed)(void *arg, enum health_state state, const char *reason);
	void *arg;
	struct co_timer *timer;
	struct probe *probe;
	bool is_queued;
	enum health_state state;
	uint32_t opposite; /* results in a row that speak against the state */
	struct health_check *prev, *next;
};

const char *health_state_name(enum health_state state)
{
	static const char *const names[] = { [HEALTH_CHECKING] = "checking",
					     [HEALTH_HEALTHY] = "healthy",
					     [HEALTH_CRITICAL] = "critical" };

	return names[state];
}

void health_options_default(struct health_options *out)
{
	*out = (struct health_options){ .interval_ms = 10000,
					.timeout_ms = 2000,
					.jitter_percent = 10,
					.rise = 2,
					.fall = 3 };
}

int health_options_check(const struct health_options *options, struct co_err *err)
{
	const struct {
		const char *name;
		uint32_t value, least, most;
	} members[] = {
		{ "interval", options->interval_ms, 100, 86400000 },
		{ "timeout", options->timeout_ms, 10, 60000 },
		{ "jitter", options->jitter_percent, 0, 50 },
		{ "rise", options->rise, 1, 100 },
		{ "fall", options->fall, 1, 100 },
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (members[i].value < members[i].least ||
		    members[i].value > members[i].most)
			return co_fail(
				err, CO_INVALID,
				"the %s of health checks is %u, it must be between "
				"%u and %u",
				members[i].name, members[i].value, members[i].least,
				members[i].most);
	if (!memchr(options->ca_file, 0, sizeof(options->ca_file)))
		return co_fail(err, CO_INVALID,
			       "the name of the certificate file of health checks is "
			       "longer than %zu bytes",
			       sizeof(options->ca_file) - 1);
	return 0;
}

void health_check_prepare(const char *check)
{
	if (strncmp(check, "https://", 8) == 0)
		(void) https_load(
			NULL); /* tried again, with a sentence, where it counts */
}

int health_check_parse(const char *check, struct co_err *err)
{
	struct target target;

	return target_parse(check, &target, err);
}

struct health *health_new(const struct co_host *host,
			  const struct health_options *options)
{
	struct health *health = calloc(1, sizeof(*health));

	if (!health)
		return NULL;
	health->host = host;
	health_options_default(&health->options);
	if (options)
		health->options = *options;
	return health;
}

struct health *health_free(struct health *health)
{
	if (!health)
		return NULL;
	health->is_closed = true;
	if (health->running == 0)
		free(health);
	return NULL;
}

void health_configure(struct health *health, const struct health_options *options)
{
	health->options = *options;
}

/* ---- running ---- */

static void pump(struct health *health);

static void on_released(void *owner)
{
	struct health *health = owner;

	health->running--;
	if (health->is_closed && health->running == 0)
		free(health);
	else
		pump(health);
}

static void schedule(struct health_check *check)
{
	const struct health_options *options = &check->health->options;
	const struct co_host *host = check->health->host;
	uint64_t swing =
		(uint64_t) options->interval_ms * options->jitter_percent / 100;
	uint64_t delay = options->interval_ms - swing;

	delay += host->random(host->ctx) % (2 * swing + 1);
	host->timer_start(check->timer, delay);
}

static void on_result(void *arg, bool is_healthy, const char *reason)
{
	struct health_check *check = arg;
	const struct health_options *options = &check->health->options;
	enum health_state state = is_healthy ? HEALTH_HEALTHY : HEALTH_CRITICAL;
	uint32_t needed = is_healthy ? options->rise : options->fall;

	check->probe = NULL;
	schedule(check);
	if (state == check->state) {
		check->opposite = 0;
		return;
	}
	check->opposite++;
	if (check->state != HEALTH_CHECKING && check->opposite < needed)
		return;
	check->state = state;
	check->opposite = 0;
	check->changed(check->arg, state, reason); /* may free the check */
}

static void run(struct health_check *check)
{
	struct health *health = check->health;
	struct probe_request request = {
		.host = health->host,
		.target = &check->target,
		.timeout_ms = health->options.timeout_ms,
		.ca_file = health->options.ca_file,
		.result = on_result,
		.arg = check,
		.released = on_released,
		.owner = health,
	};

	check->probe = probe_start(&request);
	if (check->probe)
		health->running++;
	else
		health->host->timer_start(check->timer, RETRY_MS);
}

static void pump(struct health *health)
{
	while (health->queue && health->running < CO_LIMIT_HEALTH_CHECKS) {
		struct health_check *check = health->queue;

		DL_DELETE(health->queue, check);
		check->is_queued = false;
		run(check);
	}
}

static void on_due(void *arg)
{
	struct health_check *check = arg;

	check->is_queued = true;
	DL_APPEND(check->health->queue, check);
	pump(check->health);
}

/* ---- checks ---- */

int health_check_new(struct health *health, const char *check_text,
		     void (*changed)(void *arg, enum health_state state,
				     const char *reason),
		     void *arg, struct health_check **out, struct co_err *err)
{
	const struct co_host *host = health->host;
	struct health_check *check;
	struct target target;
	int r = target_parse(check_text, &target, err);

	if (r == 0 && target.kind == TARGET_NONE)
		r = co_fail(err, CO_INVALID, "there is nothing to check");
	if (r == 0 && target.kind == TARGET_HTTPS)
		r = https_load(err);
	if (r < 0)
		return r;
	check = calloc(1, sizeof(*check));
	if (!check)
		return co_fail(err, CO_NO_MEMORY, "out of memory for a health check");
	check->health = health;
	check->target = target;
	check->changed = changed;
	check->arg = arg;
	check->timer = host->timer_new(host->ctx, on_due, check);
	if (!check->timer) {
		free(check);
		return co_fail(err, CO_NO_MEMORY, "out of memory for a health check");
	}
	*out = check;
	return 0;
}

void health_check_aim(struct health_check *check, void *arg)
{
	check->arg = arg;
}

void health_check_start(struct health_check *check)
{
	check->health->host->timer_start(check->timer, 0);
}

struct health_check *health_check_free(struct health_check *check)
{
	if (!check)
		return NULL;
	if (check->is_queued)
		DL_DELETE(check->health->queue, check);
	check->health->host->timer_free(check->timer);
	(void) probe_cancel(check->probe); /* is NULL */
	free(check);
	return NULL;
}
