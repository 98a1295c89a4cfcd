/* SPDX-License-Identifier: MIT */
/*
 * What goes through the store: register, deregister, load.  HOST.
 *
 * The store answers in the order in which it was asked, so the last of several answers for
 * one key is the state of that key.  Nothing is listed before its commit.  Deletes that
 * nobody waits for (a dead process, a lapsed ttl) compare the revision, so that they never
 * take away what was registered again meanwhile.
 */
#include "cloudosd/service/registry.h"

#include <co/limits.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/instance.h"

#define LOAD_PAGE 256

struct operation {            /* a registration or deregistration in flight */
	struct registry *reg; /* NULL: it has been answered already */
	bool is_reserving;
	struct instance *fresh; /* NULL: a deregistration */
	struct owner *owner;
	char key[SERVICE_KEY_SIZE];
	registry_done *done;
	void *arg;
	struct operation *prev, *next;
};

struct load {
	struct registry *reg; /* NULL: it has been answered already */
	registry_done *done;
	void *arg;
};

/* ---- begin and end ---- */

struct registry *registry_new(const struct co_host *host, struct store *store,
			      const struct health_options *options)
{
	struct registry *reg = calloc(1, sizeof(*reg));

	if (!reg)
		return NULL;
	reg->host = host;
	reg->store = store;
	reg->health = health_new(host, options);
	if (!reg->health) {
		free(reg);
		return NULL;
	}
	return reg;
}

void registry_configure(struct registry *reg, const struct health_options *options)
{
	health_configure(reg->health, options);
}

static void operation_end(struct operation *operation)
{
	struct registry *reg = operation->reg;

	DL_DELETE(reg->operations, operation);
	if (operation->is_reserving)
		reg->reserved--;
	if (operation->owner) {
		operation->owner->in_flight--;
		owner_release(operation->owner);
	}
	operation->reg = NULL;
}

/* The store still has them and frees them with its answer. */
static void answer_all(struct registry *reg)
{
	static const char reason[] = "the registry is closing";
	struct operation *operation, *next;

	DL_FOREACH_SAFE (reg->operations, operation, next) {
		operation->fresh = instance_free(operation->fresh);
		operation_end(operation);
		operation->done(operation->arg, CO_GONE, reason);
	}
	if (reg->load) {
		reg->load->reg = NULL;
		reg->load->done(reg->load->arg, CO_GONE, reason);
	}
}

static void tombs_leave(struct registry *reg)
{
	struct tomb *tomb, *next;

	DL_FOREACH_SAFE (reg->tombs, tomb, next) {
		if (!tomb->is_in_flight) {
			(void) tomb_free(tomb); /* is NULL */
			continue;
		}
		DL_DELETE(reg->tombs, tomb);
		reg->host->timer_free(tomb->timer);
		tomb->reg = NULL; /* its answer frees it */
	}
}

static void forget_all(struct registry *reg)
{
	struct group *group, *next_group;
	struct instance *instance, *next;

	HASH_CLEAR(hh_id, reg->by_id);
	HASH_ITER (hh, reg->by_key, instance, next) {
		HASH_DEL(reg->by_key, instance);
		if (instance->owner) {
			instance->owner->ninstances--;
			owner_release(instance->owner);
		}
		(void) instance_free(instance); /* is NULL */
	}
	HASH_ITER (hh, reg->groups, group, next_group) {
		HASH_DEL(reg->groups, group);
		free(group);
	}
}

struct registry *registry_free(struct registry *reg)
{
	struct group *group, *next;
	struct registry_watch *watch, *next_watch;

	if (!reg)
		return NULL;
	answer_all(reg);
	HASH_ITER (hh, reg->groups, group, next)
		waits_end(group, CO_GONE, "the registry is closing");
	tombs_leave(reg);
	forget_all(reg);
	DL_FOREACH_SAFE (reg->watches, watch, next_watch)
		(void) registry_unwatch(watch); /* is NULL */
	(void) health_free(reg->health);        /* is NULL */
	free(reg);
	return NULL;
}

/* ---- register ---- */

static void finish(struct operation *operation, int status, const char *reason)
{
	operation_end(operation);
	operation->done(operation->arg, status, reason);
	free(operation);
}

/* The store has it.  Lists it, unless its process has died meanwhile. */
static void on_registered(void *arg, const struct store_result *result)
{
	struct operation *operation = arg;
	struct instance *fresh = operation->fresh;
	struct instance *old;
	char reason[96];
	int r = 0;

	if (!operation->reg) {
		free(operation);
		return;
	}
	operation->fresh = NULL;
	if (result->status < 0) {
		(void) instance_free(fresh); /* is NULL */
		finish(operation, result->status, result->reason);
		return;
	}
	if (operation->owner && !owner_is_alive(operation->owner)) {
		(void) snprintf(reason, sizeof(reason),
				"process %" PRId32 " has ended meanwhile",
				operation->owner->id.pid);
		(void) instance_free(fresh); /* is NULL */
		bury(operation->reg, operation->key, result->rev);
		finish(operation, CO_GONE, reason);
		return;
	}
	old = instance_by_key(operation->reg, operation->key);
	if (old)
		instance_replace(old, fresh, result->rev);
	else
		r = instance_list(fresh, result->rev, "it has been registered");
	if (r < 0)
		bury(operation->reg, operation->key, result->rev);
	finish(operation, r, r < 0 ? "out of memory for the service" : "");
}

/* Whether one more would be too many. */
static int check_room(struct registry *reg, const struct service_spec *spec,
		      const struct owner *owner, struct co_err *err)
{
	if (HASH_COUNT(reg->by_key) + reg->reserved >= CO_LIMIT_SERVICES)
		return co_fail(
			err, CO_TABLE_FULL,
			"service \"%s\" cannot be registered: there are %d already, "
			"which is the limit",
			spec->name, CO_LIMIT_SERVICES);
	if (owner &&
	    owner->ninstances + owner->in_flight >= CO_LIMIT_SERVICES_PER_PROCESS)
		return co_fail(err, CO_BUSY,
			       "service \"%s\" cannot be registered: process %" PRId32
			       " has %d already, which is the limit",
			       spec->name, owner->id.pid,
			       CO_LIMIT_SERVICES_PER_PROCESS);
	return 0;
}

static int store_refuses(int status, const char *name, struct co_err *err)
{
	return co_fail(err, status, "the store does not take service \"%s\" now: %s",
		       name, co_status_text(status));
}

static struct operation *operation_new(struct registry *reg, const char *key,
				       struct owner *owner, registry_done *done,
				       void *arg)
{
	struct operation *operation = calloc(1, sizeof(*operation));

	if (!operation)
		return NULL;
	operation->reg = reg;
	operation->owner = owner;
	operation->done = done;
	operation->arg = arg;
	(void) snprintf(operation->key, sizeof(operation->key), "%s", key);
	DL_APPEND(reg->operations, operation);
	if (owner)
		owner->in_flight++;
	return operation;
}

/* Takes fresh. */
static int submit(struct registry *reg, const struct service_record *record,
		  struct instance *fresh, const struct store_journal *journal,
		  registry_done *done, void *arg, struct co_err *err)
{
	uint8_t value[SERVICE_RECORD_MAX];
	struct store_op op = { .kind = STORE_PUT, .key = fresh->key, .value = value };
	struct store_txn txn = { .then = &op, .nthen = 1, .journal = journal };
	struct operation *operation =
		operation_new(reg, fresh->key, fresh->owner, done, arg);
	int r;

	if (!operation) {
		(void) instance_free(fresh); /* is NULL */
		return co_fail(err, CO_NO_MEMORY, "out of memory for service \"%s\"",
			       record->spec.name);
	}
	operation->fresh = fresh;
	if (!instance_by_key(reg, fresh->key)) {
		operation->is_reserving = true;
		reg->reserved++;
	}
	op.size = service_record_encode(record, value);
	r = store_txn(reg->store, &txn, on_registered, operation);
	if (r < 0) {
		(void) instance_free(fresh); /* is NULL */
		operation_end(operation);
		free(operation);
		return store_refuses(r, record->spec.name, err);
	}
	return 0;
}

static int check_ownerless(const struct service_spec *spec, struct co_err *err)
{
	if (spec->ttl == 0 && !*spec->health_check)
		return co_fail(err, CO_INVALID,
			       "service \"%s\" has no process, so it needs a ttl or a "
			       "health check: nothing else would tell that it is gone",
			       spec->name);
	return 0;
}

/* A new instance keeps the time of the one it replaces. */
static uint64_t registered_at(struct registry *reg, const char *name,
			      const struct process_id *owner)
{
	const struct service_instance *old = registry_find(reg, name, owner);

	return old ? old->registered_ns : reg->host->wall_ns(reg->host->ctx);
}

int registry_register(struct registry *reg, const struct service_spec *spec,
		      const struct process_id *owner_id, uint64_t session,
		      const struct store_journal *journal, registry_done *done,
		      void *arg, struct co_err *err)
{
	struct service_record record = { .session = session };
	struct owner *owner = NULL;
	struct instance *fresh;
	int r = service_spec_check(spec, err);

	if (r < 0)
		return r;
	record.spec = *spec;
	if (owner_id && owner_id->pid != 0)
		record.owner = *owner_id;
	else
		r = check_ownerless(spec, err);
	if (r == 0)
		r = owner_get(reg, &record.owner, &owner, err);
	if (r < 0)
		return r;
	record.registered_ns = registered_at(reg, spec->name, &record.owner);
	if (!registry_find(reg, spec->name, &record.owner))
		r = check_room(reg, spec, owner, err);
	if (owner)
		owner->in_flight++; /* holds it here; the operation holds it itself */
	if (r == 0)
		r = instance_new(reg, &record, owner, &fresh, err);
	if (r == 0)
		r = submit(reg, &record, fresh, journal, done, arg, err);
	if (owner)
		owner->in_flight--;
	owner_release(owner);
	return r;
}

/* ---- deregister ---- */

static void on_deregistered(void *arg, const struct store_result *result)
{
	struct operation *operation = arg;
	struct instance *instance;

	if (!operation->reg) {
		free(operation);
		return;
	}
	instance = instance_by_key(operation->reg, operation->key);
	if (result->status == 0 && instance)
		instance_remove(instance, "it was deregistered");
	finish(operation, result->status, result->reason);
}

int registry_deregister(struct registry *reg, const char *name,
			const struct process_id *owner,
			const struct store_journal *journal, registry_done *done,
			void *arg, struct co_err *err)
{
	const struct service_instance *view = registry_find(reg, name, owner);
	struct operation *operation;
	struct store_op op = { .kind = STORE_DELETE };
	struct store_txn txn = { .then = &op, .nthen = 1, .journal = journal };
	char key[SERVICE_KEY_SIZE];
	int r = service_name_check(name, err);

	if (r < 0)
		return r;
	if (!view && owner && owner->pid)
		return co_fail(err, CO_NOT_FOUND,
			       "process %" PRId32
			       " has registered no service \"%.63s\"",
			       owner->pid, name);
	if (!view)
		return co_fail(err, CO_NOT_FOUND,
			       "no service \"%.63s\" is registered without a process",
			       name);
	service_key(key, name, &view->owner);
	op.key = key;
	operation = operation_new(reg, key, NULL, done, arg);
	if (!operation)
		return co_fail(err, CO_NO_MEMORY,
			       "out of memory to deregister \"%.63s\"", name);
	r = store_txn(reg->store, &txn, on_deregistered, operation);
	if (r < 0) {
		operation_end(operation);
		free(operation);
		return store_refuses(r, name, err);
	}
	return 0;
}

/* ---- load ---- */

/* A check that cannot run here (https without libcurl) keeps nobody from knowing the
 * service: it is critical, and says why. */
static int instance_adopt(struct registry *reg, const struct service_record *record,
			  struct owner *owner, struct instance **out,
			  struct co_err *err)
{
	struct service_record without = *record;
	int r = instance_new(reg, record, owner, out, err);

	if (r != CO_UNSUPPORTED)
		return r;
	without.spec.health_check[0] = 0;
	r = instance_new(reg, &without, owner, out, NULL);
	if (r < 0)
		return r;
	(*out)->view.spec = record->spec;
	(*out)->checked = (*out)->view.health = HEALTH_CRITICAL;
	(void) snprintf((*out)->check_reason, sizeof((*out)->check_reason), "%.255s",
			err->message);
	memcpy((*out)->view.reason, (*out)->check_reason, sizeof((*out)->view.reason));
	return 0;
}

static void load_dead(struct registry *reg, const struct service_record *record)
{
	struct service_instance gone = { .spec = record->spec,
					 .owner = record->owner,
					 .session = record->session,
					 .registered_ns = record->registered_ns,
					 .health = HEALTH_CRITICAL };

	registry_emit(reg, REGISTRY_REMOVED, &gone,
		      "its process has ended while no daemon was running");
}

static int load_item(struct registry *reg, const struct store_item *item,
		     struct co_err *err)
{
	struct service_record record;
	struct owner *owner = NULL;
	struct instance *instance;
	int r = service_record_decode(&record, item->key, item->value, item->size, err);

	if (r < 0)
		return r;
	r = owner_get(reg, &record.owner, &owner, err);
	if (r == CO_GONE) {
		load_dead(reg, &record);
		return r;
	}
	if (r == 0)
		r = check_room(reg, &record.spec, owner, err);
	if (r == 0)
		r = instance_adopt(reg, &record, owner, &instance, err);
	if (r == 0)
		r = instance_list(instance, item->mod_rev,
				  "it was registered before this daemon began");
	if (r < 0)
		owner_release(owner);
	return r;
}

static int by_age(const struct instance *a, const struct instance *b)
{
	return (a->view.registered_ns > b->view.registered_ns) -
	       (a->view.registered_ns < b->view.registered_ns);
}

static void load_end(struct load *load, int status, const char *reason)
{
	struct group *group, *next;

	HASH_ITER (hh, load->reg->groups, group, next)
		DL_SORT(group->instances, by_age);
	load->reg->load = NULL;
	load->done(load->arg, status, reason);
	free(load);
}

static void on_page(void *arg, const struct store_list *list)
{
	struct load *load = arg;
	struct registry *reg = load->reg;
	struct co_err err = { 0 };
	int r;

	if (!reg) {
		free(load);
		return;
	}
	for (size_t i = 0; list->status == 0 && i < list->nitems; i++) {
		const struct store_item *item = &list->items[i];

		r = load_item(reg, item, &err);
		if (r < 0 && r != CO_GONE)
			registry_emit(reg, REGISTRY_TROUBLE, NULL, err.message);
		if (r == CO_GONE || r == CO_CORRUPT || r == CO_TABLE_FULL ||
		    r == CO_BUSY)
			bury(reg, item->key, item->mod_rev);
	}
	if (list->status < 0 || !list->more || list->nitems == 0) {
		load_end(load, list->status, list->reason);
		return;
	}
	r = store_list(reg->store, SERVICE_PREFIX, list->items[list->nitems - 1].key,
		       LOAD_PAGE, list->rev, on_page, load);
	if (r < 0)
		load_end(load, r, co_status_text(r));
}

int registry_load(struct registry *reg, registry_done *done, void *arg)
{
	struct load *load = calloc(1, sizeof(*load));
	int r;

	if (!load)
		return CO_NO_MEMORY;
	load->reg = reg;
	load->done = done;
	load->arg = arg;
	r = store_list(reg->store, SERVICE_PREFIX, NULL, LOAD_PAGE, 0, on_page, load);
	if (r < 0) {
		free(load);
		return r;
	}
	reg->load = load;
	return 0;
}
