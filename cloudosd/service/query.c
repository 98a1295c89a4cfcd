/* SPDX-License-Identifier: MIT */
/* What the registry is asked: discover, count, health, watches.  HOST. */
#include "cloudosd/service/instance.h"

#include <co/limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- who is there ---- */

struct group *group_find(struct registry *reg, const char *name)
{
	struct group *group;

	HASH_FIND_STR(reg->groups, name, group);
	return group;
}

size_t registry_count(struct registry *reg, const char *name)
{
	struct group *group;

	if (!name)
		return HASH_COUNT(reg->by_key);
	group = group_find(reg, name);
	return group ? group->ninstances : 0;
}

static const enum health_state order[] = { HEALTH_HEALTHY, HEALTH_CHECKING,
					   HEALTH_CRITICAL };

#define ORDERS (sizeof(order) / sizeof(order[0]))

size_t registry_discover(struct registry *reg, const char *name,
			 const struct service_instance **out, size_t capacity)
{
	struct group *group = group_find(reg, name);
	struct instance *instance;
	size_t n = 0;

	if (capacity > CO_LIMIT_DISCOVER)
		capacity = CO_LIMIT_DISCOVER;
	for (size_t i = 0; group && i < ORDERS && n < capacity; i++)
		DL_FOREACH (group->instances, instance)
			if (instance->view.health == order[i] && n < capacity)
				out[n++] = &instance->view;
	return n;
}

const struct service_instance *registry_find(struct registry *reg, const char *name,
					     const struct process_id *owner)
{
	char key[SERVICE_KEY_SIZE];
	struct process_id nobody = { 0 };
	struct instance *instance;

	if (strlen(name) >= SERVICE_NAME_SIZE)
		return NULL;
	service_key(key, name, owner ? owner : &nobody);
	instance = instance_by_key(reg, key);
	return instance ? &instance->view : NULL;
}

const struct service_instance *registry_find_id(struct registry *reg, uint32_t id)
{
	struct instance *instance;

	HASH_FIND(hh_id, reg->by_id, &id, sizeof(id), instance);
	return instance ? &instance->view : NULL;
}

static int by_name(const struct group *a, const struct group *b)
{
	return strcmp(a->name, b->name);
}

static void
group_each(struct group *group,
	   void (*visit)(void *arg, const struct service_instance *instance), void *arg)
{
	struct instance *instance;

	for (size_t i = 0; i < ORDERS; i++)
		DL_FOREACH (group->instances, instance)
			if (instance->view.health == order[i])
				visit(arg, &instance->view);
}

void registry_each(struct registry *reg, const char *name,
		   void (*visit)(void *arg, const struct service_instance *instance),
		   void *arg)
{
	struct group *group, *next;

	if (name) {
		group = group_find(reg, name);
		if (group)
			group_each(group, visit, arg);
		return;
	}
	HASH_SORT(reg->groups, by_name);
	HASH_ITER (hh, reg->groups, group, next)
		group_each(group, visit, arg);
}

/* ---- is it well? ---- */

/* The answer if there is one by now. */
static bool group_verdict(const struct group *group, bool *out_healthy,
			  const char **out_reason)
{
	const struct instance *instance;
	bool is_known = true;

	*out_healthy = false;
	*out_reason = "";
	DL_FOREACH (group->instances, instance) {
		if (instance->view.health == HEALTH_CHECKING)
			is_known = false;
		if (instance->view.health == HEALTH_CRITICAL)
			*out_reason = instance->view.reason;
		if (instance->view.health == HEALTH_HEALTHY) {
			*out_healthy = true;
			*out_reason = instance->view.reason;
			return true;
		}
	}
	return is_known;
}

static void wait_answer(struct group *group, int status, bool is_healthy,
			const char *reason)
{
	struct registry_wait *wait = group->waits;

	DL_DELETE(group->waits, wait);
	wait->done(wait->arg, status, is_healthy, reason);
	free(wait);
}

void waits_settle(struct group *group)
{
	const char *reason;
	bool is_healthy;

	/* Asked again each time: `done` may do much, but not take instances away. */
	while (group->waits && group_verdict(group, &is_healthy, &reason))
		wait_answer(group, 0, is_healthy, reason);
}

void waits_end(struct group *group, int status, const char *reason)
{
	while (group->waits)
		wait_answer(group, status, false, reason);
}

int registry_health(struct registry *reg, const char *name, bool *out_healthy,
		    struct registry_wait **out_wait, registry_health_done *done,
		    void *arg, struct co_err *err)
{
	struct group *group = group_find(reg, name);
	struct registry_wait *wait;
	const char *reason;
	bool is_healthy;

	if (!group && service_name_check(name, err) < 0)
		return CO_INVALID;
	if (!group)
		return co_fail(err, CO_NOT_FOUND,
			       "no service is registered as \"%.63s\"", name);
	if (group_verdict(group, &is_healthy, &reason)) {
		*out_healthy = is_healthy;
		return 0;
	}
	wait = calloc(1, sizeof(*wait));
	if (!wait)
		return co_fail(err, CO_NO_MEMORY,
			       "out of memory to wait for a check of \"%.63s\"", name);
	wait->reg = reg;
	wait->group = group;
	wait->done = done;
	wait->arg = arg;
	DL_APPEND(group->waits, wait);
	*out_wait = wait;
	return REGISTRY_WAITING;
}

struct registry_wait *registry_health_cancel(struct registry_wait *wait)
{
	if (wait) {
		DL_DELETE(wait->group->waits, wait);
		free(wait);
	}
	return NULL;
}

/* ---- what happens ---- */

const char *registry_event_name(enum registry_event_kind kind)
{
	static const char *const names[] = {
		[REGISTRY_REGISTERED] = "registered", [REGISTRY_UPDATED] = "updated",
		[REGISTRY_HEALTHY] = "healthy",       [REGISTRY_CRITICAL] = "critical",
		[REGISTRY_REMOVED] = "removed",       [REGISTRY_TROUBLE] = "trouble",
	};

	return names[kind];
}

struct registry_watch *
registry_watch(struct registry *reg,
	       void (*event)(void *arg, const struct registry_event *event), void *arg)
{
	struct registry_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->reg = reg;
	watch->event = event;
	watch->arg = arg;
	DL_APPEND(reg->watches, watch);
	return watch;
}

static void watches_sweep(struct registry *reg)
{
	struct registry_watch *watch, *next;

	DL_FOREACH_SAFE (reg->watches, watch, next) {
		if (!watch->event) {
			DL_DELETE(reg->watches, watch);
			free(watch);
		}
	}
}

struct registry_watch *registry_unwatch(struct registry_watch *watch)
{
	if (watch) {
		watch->event = NULL;
		if (watch->reg->emitting == 0)
			watches_sweep(watch->reg);
	}
	return NULL;
}

void registry_emit(struct registry *reg, enum registry_event_kind kind,
		   const struct service_instance *instance, const char *reason)
{
	struct registry_event event = { .kind = kind,
					.at_ns = reg->host->wall_ns(reg->host->ctx),
					.instance = instance,
					.reason = reason };
	struct registry_watch *watch;

	reg->emitting++;
	DL_FOREACH (reg->watches, watch)
		if (watch->event)
			watch->event(watch->arg, &event);
	reg->emitting--;
	if (reg->emitting == 0)
		watches_sweep(reg);
}
