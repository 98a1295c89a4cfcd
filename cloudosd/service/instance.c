/* SPDX-License-Identifier: MIT */
/* An instance's life: owner, ttl, health, removal, the delete that follows.  HOST. */
#include "cloudosd/service/instance.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* ---- owners ---- */

bool owner_is_alive(const struct owner *owner)
{
	struct pollfd ended = { .fd = owner->pidfd, .events = POLLIN };

	return poll(&ended, 1, 0) == 0;
}

void owner_release(struct owner *owner)
{
	if (!owner || owner->ninstances || owner->in_flight)
		return;
	if (owner->watch) {
		owner->reg->host->watch_free(owner->watch);
		HASH_DEL(owner->reg->owners, owner);
	}
	(void) close(owner->pidfd); /* a pidfd has nothing to flush */
	free(owner);
}

/* Its instances go now.  Registrations in flight see at their commit that it is dead. */
static void on_owner_end(void *arg)
{
	struct owner *owner = arg;
	struct registry *reg = owner->reg;
	char reason[64];

	if (owner_is_alive(owner))
		return;
	(void) snprintf(reason, sizeof(reason), "its process %" PRId32 " has ended",
			owner->id.pid);
	reg->host->watch_free(owner->watch);
	owner->watch = NULL;
	HASH_DEL(reg->owners, owner);
	owner->in_flight++; /* until the loop is over */
	while (owner->instances) {
		struct instance *instance = owner->instances;

		bury(reg, instance->key, instance->rev);
		instance_remove(instance, reason);
	}
	owner->in_flight--;
	owner_release(owner);
}

static int owner_new(struct registry *reg, const struct process_id *id,
		     struct owner **out, struct co_err *err)
{
	autoclose int pidfd = -1;
	autofree struct owner *owner = calloc(1, sizeof(*owner));
	int r = process_open(id, &pidfd, err);

	if (r < 0)
		return r;
	if (!owner)
		return co_fail(err, CO_NO_MEMORY, "out of memory for a service");
	owner->reg = reg;
	owner->id = *id;
	owner->key[0] = (uint64_t) id->pid;
	owner->key[1] = id->start_time;
	owner->key[2] = id->boot;
	HASH_ADD(hh, reg->owners, key, sizeof(owner->key), owner);
	if (!owner->hh.tbl)
		return co_fail(err, CO_NO_MEMORY, "out of memory for a service");
	owner->watch =
		reg->host->watch_new(reg->host->ctx, pidfd, false, on_owner_end, owner);
	if (!owner->watch) {
		HASH_DEL(reg->owners, owner);
		return co_fail(err, CO_NO_MEMORY,
			       "process %" PRId32 " cannot be watched", id->pid);
	}
	owner->pidfd = take_fd(pidfd);
	*out = take(owner);
	return 0;
}

int owner_get(struct registry *reg, const struct process_id *id, struct owner **out,
	      struct co_err *err)
{
	uint64_t key[3];
	struct owner *owner;

	*out = NULL;
	if (id->pid == 0)
		return 0;
	key[0] = (uint64_t) id->pid;
	key[1] = id->start_time;
	key[2] = id->boot;
	HASH_FIND(hh, reg->owners, key, sizeof(key), owner);
	if (!owner)
		return owner_new(reg, id, out, err);
	if (!owner_is_alive(owner))
		return co_fail(err, CO_GONE, "process %" PRId32 " has ended", id->pid);
	*out = owner;
	return 0;
}

/* ---- state ---- */

static void state_update(struct instance *instance)
{
	struct service_instance *view = &instance->view;
	enum health_state before = view->health;

	if (instance->has_lapsed) {
		view->health = HEALTH_CRITICAL;
		(void) snprintf(view->reason, sizeof(view->reason),
				"it was not renewed within its ttl of %" PRIu32
				" seconds",
				view->spec.ttl);
	} else {
		view->health = instance->checked;
		memcpy(view->reason, instance->check_reason, sizeof(view->reason));
	}
	if (!instance->group)
		return;
	if (view->health != before && view->health != HEALTH_CHECKING)
		registry_emit(instance->reg,
			      view->health == HEALTH_HEALTHY ? REGISTRY_HEALTHY
							     : REGISTRY_CRITICAL,
			      view, view->reason);
	waits_settle(instance->group);
}

static void set_checked(struct instance *instance, enum health_state state,
			const char *reason)
{
	instance->checked = state;
	(void) snprintf(instance->check_reason, sizeof(instance->check_reason), "%s",
			reason);
	state_update(instance);
}

static void on_health(void *arg, enum health_state state, const char *reason)
{
	set_checked(arg, state, reason);
}

static void ttl_start(struct instance *instance)
{
	const struct co_host *host = instance->reg->host;

	if (instance->view.spec.ttl)
		host->timer_start(instance->ttl,
				  (uint64_t) instance->view.spec.ttl * 1000);
	else
		host->timer_stop(instance->ttl);
}

static void on_ttl(void *arg)
{
	struct instance *instance = arg;
	char reason[96];

	if (!instance->has_lapsed) {
		instance->has_lapsed = true;
		ttl_start(instance);
		state_update(instance);
		return;
	}
	(void) snprintf(reason, sizeof(reason),
			"it was not renewed for twice its ttl of %" PRIu32 " seconds",
			instance->view.spec.ttl);
	bury(instance->reg, instance->key, instance->rev);
	instance_remove(instance, reason);
}

/* ---- instances ---- */

struct instance *instance_free(struct instance *instance)
{
	if (!instance)
		return NULL;
	(void) health_check_free(instance->check); /* is NULL */
	if (instance->ttl)
		instance->reg->host->timer_free(instance->ttl);
	free(instance);
	return NULL;
}

static const char *unchecked_reason(const struct service_record *record)
{
	return record->owner.pid ? "its process is alive" : "it is renewed in time";
}

int instance_new(struct registry *reg, const struct service_record *record,
		 struct owner *owner, struct instance **out, struct co_err *err)
{
	const struct service_spec *spec = &record->spec;
	struct instance *instance = calloc(1, sizeof(*instance));
	int r = 0;

	if (!instance)
		return co_fail(err, CO_NO_MEMORY, "out of memory for service \"%s\"",
			       spec->name);
	instance->reg = reg;
	instance->owner = owner;
	instance->view.spec = *spec;
	instance->view.owner = record->owner;
	instance->view.session = record->session;
	instance->view.registered_ns = record->registered_ns;
	service_key(instance->key, spec->name, &record->owner);
	instance->ttl = reg->host->timer_new(reg->host->ctx, on_ttl, instance);
	if (!instance->ttl)
		r = co_fail(err, CO_NO_MEMORY, "out of memory for service \"%s\"",
			    spec->name);
	if (*spec->health_check && r == 0) {
		r = health_check_new(reg->health, spec->health_check, on_health,
				     instance, &instance->check, err);
		set_checked(instance, HEALTH_CHECKING,
			    "its first check is not finished");
	} else {
		set_checked(instance, HEALTH_HEALTHY, unchecked_reason(record));
	}
	if (r < 0) {
		(void) instance_free(instance); /* is NULL */
		return r;
	}
	*out = instance;
	return 0;
}

struct instance *instance_by_key(struct registry *reg, const char *key)
{
	struct instance *instance;

	HASH_FIND_STR(reg->by_key, key, instance);
	return instance;
}

static struct group *group_get(struct registry *reg, const char *name)
{
	struct group *group = group_find(reg, name);

	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	(void) snprintf(group->name, sizeof(group->name), "%s", name);
	HASH_ADD_STR(reg->groups, name, group);
	if (!group->hh.tbl) {
		free(group);
		return NULL;
	}
	return group;
}

static void group_release(struct registry *reg, struct group *group)
{
	if (group->ninstances)
		return;
	HASH_DEL(reg->groups, group);
	waits_end(group, CO_NOT_FOUND, "the service has been removed");
	free(group);
}

static void new_id(struct registry *reg, struct instance *instance)
{
	struct instance *other;

	do {
		reg->last_id = reg->last_id % (SERVICE_IDS - 1) + 1;
		HASH_FIND(hh_id, reg->by_id, &reg->last_id, sizeof(reg->last_id),
			  other);
	} while (other);
	instance->view.id = reg->last_id;
}

/* Into both tables or none. */
static bool index_add(struct registry *reg, struct instance *instance)
{
	new_id(reg, instance);
	HASH_ADD(hh_id, reg->by_id, view.id, sizeof(instance->view.id), instance);
	if (!instance->hh_id.tbl)
		return false;
	HASH_ADD_STR(reg->by_key, key, instance);
	if (instance->hh.tbl)
		return true;
	HASH_DELETE(hh_id, reg->by_id, instance);
	return false;
}

int instance_list(struct instance *instance, uint64_t rev, const char *reason)
{
	struct registry *reg = instance->reg;
	struct group *group = group_get(reg, instance->view.spec.name);

	if (!group || !index_add(reg, instance)) {
		if (group)
			group_release(reg, group);
		(void) instance_free(instance); /* is NULL */
		return CO_NO_MEMORY;
	}
	instance->group = group;
	instance->rev = rev;
	instance->view.renewed_ms = reg->host->now_ms(reg->host->ctx);
	DL_APPEND(group->instances, instance);
	group->ninstances++;
	if (instance->owner) {
		DL_APPEND2(instance->owner->instances, instance, owner_prev,
			   owner_next);
		instance->owner->ninstances++;
	}
	ttl_start(instance);
	registry_emit(reg, REGISTRY_REGISTERED, &instance->view, reason);
	if (instance->check)
		health_check_start(instance->check);
	waits_settle(group);
	return 0;
}

/* The old check goes on if it is the same, with what it has found out. */
static void replace_check(struct instance *old, struct instance *with)
{
	if (strcmp(old->view.spec.health_check, with->view.spec.health_check) == 0 &&
	    !old->check == !with->check)
		return;
	(void) health_check_free(old->check); /* is replaced next */
	old->check = take(with->check);
	if (old->check) {
		health_check_aim(old->check, old);
		health_check_start(old->check);
	}
	old->checked = with->checked;
	memcpy(old->check_reason, with->check_reason, sizeof(old->check_reason));
}

void instance_replace(struct instance *old, struct instance *with, uint64_t rev)
{
	struct registry *reg = old->reg;
	bool is_same = service_spec_same(&old->view.spec, &with->view.spec);

	replace_check(old, with);
	old->has_lapsed = false;
	old->view.spec = with->view.spec;
	old->view.session = with->view.session;
	old->view.renewed_ms = reg->host->now_ms(reg->host->ctx);
	old->rev = rev;
	ttl_start(old);
	if (!is_same)
		registry_emit(reg, REGISTRY_UPDATED, &old->view,
			      "it was registered again");
	(void) instance_free(with); /* is NULL */
	state_update(old);
}

void instance_remove(struct instance *instance, const char *reason)
{
	struct registry *reg = instance->reg;
	struct group *group = instance->group;
	struct owner *owner = instance->owner;

	DL_DELETE(group->instances, instance);
	group->ninstances--;
	HASH_DEL(reg->by_key, instance);
	HASH_DELETE(hh_id, reg->by_id, instance);
	if (owner) {
		DL_DELETE2(owner->instances, instance, owner_prev, owner_next);
		owner->ninstances--;
	}
	instance->group = NULL;
	registry_emit(reg, REGISTRY_REMOVED, &instance->view, reason);
	(void) instance_free(instance); /* is NULL */
	if (group->ninstances)
		waits_settle(group);
	group_release(reg, group);
	owner_release(owner);
}

/* ---- deleting what is gone ---- */

#define BURY_FIRST_MS 100
#define BURY_MOST_MS  30000

struct tomb *tomb_free(struct tomb *tomb)
{
	if (tomb->reg) {
		DL_DELETE(tomb->reg->tombs, tomb);
		tomb->reg->host->timer_free(tomb->timer);
	}
	free(tomb);
	return NULL;
}

static void tomb_retry(struct tomb *tomb, const char *reason)
{
	char sentence[512];

	if (tomb->delay_ms == BURY_FIRST_MS) {
		(void) snprintf(
			sentence, sizeof(sentence),
			"the store does not delete %s and is asked again until it "
			"does: %s",
			tomb->key, reason);
		registry_emit(tomb->reg, REGISTRY_TROUBLE, NULL, sentence);
	}
	tomb->reg->host->timer_start(tomb->timer, tomb->delay_ms);
	tomb->delay_ms =
		tomb->delay_ms * 2 > BURY_MOST_MS ? BURY_MOST_MS : tomb->delay_ms * 2;
}

static void on_deleted(void *arg, const struct store_result *result)
{
	struct tomb *tomb = arg;

	tomb->is_in_flight = false;
	if (!tomb->reg || result->status == 0 || result->status == CO_GONE)
		(void) tomb_free(tomb); /* is NULL */
	else
		tomb_retry(tomb, result->reason);
}

static void on_tomb(void *arg)
{
	struct tomb *tomb = arg;
	struct store_cmp unchanged = { .key = tomb->key,
				       .target = STORE_CMP_MOD,
				       .relation = STORE_EQUAL,
				       .number = tomb->rev };
	struct store_op op = { .kind = STORE_DELETE, .key = tomb->key };
	struct store_txn txn = {
		.cmps = &unchanged, .ncmps = 1, .then = &op, .nthen = 1
	};
	int r;

	tomb->is_in_flight = true;
	r = store_txn(tomb->reg->store, &txn, on_deleted, tomb);
	if (r == 0)
		return;
	tomb->is_in_flight = false;
	if (r == CO_GONE) /* the store is closing; the next start deletes it */
		(void) tomb_free(tomb); /* is NULL */
	else
		tomb_retry(tomb, co_status_text(r));
}

/* Without memory the key stays behind; the next start deletes it. */
void bury(struct registry *reg, const char *key, uint64_t rev)
{
	struct tomb *tomb = calloc(1, sizeof(*tomb));

	if (!tomb)
		return;
	tomb->timer = reg->host->timer_new(reg->host->ctx, on_tomb, tomb);
	if (!tomb->timer) {
		free(tomb);
		return;
	}
	tomb->reg = reg;
	(void) snprintf(tomb->key, sizeof(tomb->key), "%s", key);
	tomb->rev = rev;
	tomb->delay_ms = BURY_FIRST_MS;
	DL_APPEND(reg->tombs, tomb);
	on_tomb(tomb);
}
