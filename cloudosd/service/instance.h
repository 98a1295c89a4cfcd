/* SPDX-License-Identifier: MIT */
/*
 * The insides of the registry.  HOST.  Only for registry.c, instance.c and query.c.
 *
 * registry.c   what goes through the store: register, deregister, load
 * instance.c   an instance's life: owner, ttl, health, removal, the delete that follows
 * query.c      what is asked: discover, count, health, watches
 */
#ifndef CO_SERVICE_INSTANCE_H
#define CO_SERVICE_INSTANCE_H

#include "cloudosd/service/registry.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct owner { /* a process that has instances, or registrations in flight */
	struct registry *reg;
	struct process_id id;
	uint64_t key[3]; /* pid, start time, boot */
	int pidfd;
	struct co_watch *watch; /* NULL: the process has ended */
	struct instance *instances;
	size_t ninstances, in_flight;
	UT_hash_handle hh;
};

struct group { /* all instances of one name */
	char name[SERVICE_NAME_SIZE];
	struct instance *instances; /* oldest first */
	size_t ninstances;
	struct registry_wait *waits;
	UT_hash_handle hh;
};

struct instance {
	struct service_instance view;
	struct registry *reg;
	struct group *group; /* NULL: not listed */
	struct owner *owner; /* NULL: nobody */
	char key[SERVICE_KEY_SIZE];
	uint64_t rev; /* of its key in the store */
	struct health_check *check;
	enum health_state checked;
	char check_reason[256];
	bool has_lapsed;
	struct co_timer *ttl;
	struct instance *prev, *next;             /* in the group */
	struct instance *owner_prev, *owner_next; /* in the owner */
	UT_hash_handle hh, hh_id;
};

struct tomb {                 /* a key that the store still has to delete */
	struct registry *reg; /* NULL: nobody waits any more */
	char key[SERVICE_KEY_SIZE];
	uint64_t rev;
	uint32_t delay_ms;
	bool is_in_flight;
	struct co_timer *timer;
	struct tomb *prev, *next;
};

struct registry_wait {
	struct registry *reg;
	struct group *group;
	registry_health_done *done;
	void *arg;
	struct registry_wait *prev, *next;
};

struct registry_watch {
	struct registry *reg;
	void (*event)(void *arg, const struct registry_event *event); /* NULL: ended */
	void *arg;
	struct registry_watch *prev, *next;
};

struct registry {
	const struct co_host *host;
	struct store *store;
	struct health *health;
	struct group *groups;
	struct instance *by_key, *by_id;
	struct owner *owners;
	struct tomb *tombs;
	struct operation *operations; /* in flight, of registry.c */
	struct load *load;
	struct registry_watch *watches;
	unsigned int emitting;
	size_t reserved; /* registrations in flight that may add an instance */
	uint32_t last_id;
};

/* ---- instance.c ---- */

/* The owner of that identity, found or made; out is NULL for pid 0. */
int owner_get(struct registry *reg, const struct process_id *id, struct owner **out,
	      struct co_err *err);
bool owner_is_alive(const struct owner *owner);
/* Frees it when nothing holds it. */
void owner_release(struct owner *owner);

/* An instance that is not listed yet, with all that could fail later. */
int instance_new(struct registry *reg, const struct service_record *record,
		 struct owner *owner, struct instance **out, struct co_err *err);
struct instance *instance_free(struct instance *instance);

/* Lists it.  Takes it; CO_NO_MEMORY: it is freed. */
int instance_list(struct instance *instance, uint64_t rev, const char *reason);
/* Gives a listed instance the content of an unlisted one, and frees that. */
void instance_replace(struct instance *old, struct instance *with, uint64_t rev);
/* Unlists and frees. */
void instance_remove(struct instance *instance, const char *reason);
struct instance *instance_by_key(struct registry *reg, const char *key);

/* Deletes the key, unless it has been changed since rev, as soon as the store can. */
void bury(struct registry *reg, const char *key, uint64_t rev);
struct tomb *tomb_free(struct tomb *tomb);

/* ---- query.c ---- */

void registry_emit(struct registry *reg, enum registry_event_kind kind,
		   const struct service_instance *instance, const char *reason);
/* Answers the waits that can be answered by now. */
void waits_settle(struct group *group);
/* Answers all, for a service that is not there any more. */
void waits_end(struct group *group, int status, const char *reason);
struct group *group_find(struct registry *reg, const char *name);

#endif
