/* SPDX-License-Identifier: MIT */
/*
 * The service registry: who offers what, and whether it works.  HOST.
 *
 * Owns the instances in memory, their keys under /svc/ in the store, the watches on their
 * processes, their ttl and their health.  Plain C: knows no personality and no wire.  Runs
 * under the core lock, on struct co_host and an asynchronous store whose callbacks arrive
 * under that lock (store_options.deliver).  Who calls it: personalities, the daemon.
 *
 * An instance is one (name, owner).  It is discoverable after its commit and before its
 * `done`; it is gone at the moment its process dies, whatever the store says.  ttl 0 lives
 * as long as the process; with a ttl one missed renewal makes it critical, two remove it;
 * registering again renews.  Without an owner (pid 0) a ttl or a health check is required,
 * and with a health check alone it lives until it is deregistered.
 */
#ifndef CO_SERVICE_REGISTRY_H
#define CO_SERVICE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/health.h"
#include "cloudosd/service/host.h"
#include "cloudosd/service/process.h"
#include "cloudosd/service/spec.h"
#include "lib/err.h"
#include "store/store.h"

/* How an instance is called where its pid is not visible: this | instance->id. */
#define SERVICE_OPAQUE_PID 0x80000000U
#define SERVICE_IDS        0x20000000U /* above them are ports: ipc.h */

struct service_instance { /* read-only for callers, valid until the core lock is released */
	uint32_t id;      /* 1 to SERVICE_IDS - 1, of this run of the daemon */
	struct service_spec spec;
	struct process_id owner; /* pid 0: nobody */
	uint64_t session;        /* 0: from outside */
	uint64_t registered_ns;  /* CLOCK_REALTIME of the first registration */
	uint64_t renewed_ms;     /* host->now_ms of the last one */
	enum health_state health;
	char reason[256]; /* why it is in that state, a sentence */
};

struct registry;

/* NULL: no memory.  host and store are borrowed; options NULL: the defaults. */
struct registry *registry_new(const struct co_host *host, struct store *store,
			      const struct health_options *options);

/*
 * Frees at once.  What is in flight is answered with CO_GONE now, and what the store
 * answers later is ignored: the store may be closed before or after.  NULL is allowed;
 * returns NULL.
 */
struct registry *registry_free(struct registry *reg);

/* New health options after a reload. */
void registry_configure(struct registry *reg, const struct health_options *options);

/* status 0, or a co_status with a sentence. */
typedef void registry_done(void *arg, int status, const char *reason);

/*
 * Start-up: takes over what is stored under /svc/ as far as its process still lives,
 * deletes the rest, and damaged values too (each with a REGISTRY_TROUBLE event).  What
 * cannot be looked at for want of memory or descriptors is left alone and reported.  Health
 * starts as checking, ttls start anew.  Before `done` nobody may register or discover.
 * Returns 0 or what store_list answers; then done is not called.
 */
int registry_load(struct registry *reg, registry_done *done, void *arg);

/*
 * Registers or replaces the instance (spec->name, owner).  journal (or NULL) is committed
 * with it.  owner must be alive; NULL or pid 0: nobody.  Returns 0: `done` runs exactly
 * once; otherwise it does not run and err has the sentence: CO_INVALID, CO_UNSUPPORTED
 * (https without libcurl), CO_GONE (owner is dead), CO_TABLE_FULL (CO_LIMIT_SERVICES),
 * CO_BUSY (CO_LIMIT_SERVICES_PER_PROCESS, or the store's queue), CO_NO_MEMORY.
 */
int registry_register(struct registry *reg, const struct service_spec *spec,
		      const struct process_id *owner, uint64_t session,
		      const struct store_journal *journal, registry_done *done,
		      void *arg, struct co_err *err);

/* Removes the instance (name, owner) after the commit; if that fails it stays.  Returns
 * as registry_register; CO_NOT_FOUND, CO_INVALID. */
int registry_deregister(struct registry *reg, const char *name,
			const struct process_id *owner,
			const struct store_journal *journal, registry_done *done,
			void *arg, struct co_err *err);

/* How many instances there are; name NULL: of all services. */
size_t registry_count(struct registry *reg, const char *name);

/*
 * The instances of a service: healthy, then checking, then critical, and within each the
 * oldest first.  Fills at most capacity and at most CO_LIMIT_DISCOVER; returns how many
 * were filled.  registry_count says how many there are.
 */
size_t registry_discover(struct registry *reg, const char *name,
			 const struct service_instance **out, size_t capacity);

/* The instance (name, owner), or of that id; NULL if there is none. */
const struct service_instance *registry_find(struct registry *reg, const char *name,
					     const struct process_id *owner);
const struct service_instance *registry_find_id(struct registry *reg, uint32_t id);

/* Every instance, sorted by name and in the order of registry_discover; name NULL: all
 * services.  `visit` must not change the registry. */
void registry_each(struct registry *reg, const char *name,
		   void (*visit)(void *arg, const struct service_instance *instance),
		   void *arg);

/* ---- is it well? ---- */

struct registry_wait;

#define REGISTRY_WAITING 1

/* status 0 and the answer, or CO_NOT_FOUND, CO_GONE with a sentence. */
typedef void registry_health_done(void *arg, int status, bool healthy,
				  const char *reason);

/*
 * A service is healthy when one instance is.  Returns 0: *out_healthy is the answer.
 * REGISTRY_WAITING: no instance is healthy and at least one is still being checked for the
 * first time; `done` runs once, when one is healthy or none is checking any more.
 * CO_NOT_FOUND, CO_INVALID, CO_NO_MEMORY with a sentence.
 */
int registry_health(struct registry *reg, const char *name, bool *out_healthy,
		    struct registry_wait **out_wait, registry_health_done *done,
		    void *arg, struct co_err *err);

/* `done` does not run any more.  Only before it ran.  Returns NULL. */
struct registry_wait *registry_health_cancel(struct registry_wait *wait);

/* ---- what happens ---- */

enum registry_event_kind {
	REGISTRY_REGISTERED,
	REGISTRY_UPDATED, /* registered again with something changed */
	REGISTRY_HEALTHY,
	REGISTRY_CRITICAL,
	REGISTRY_REMOVED,
	REGISTRY_TROUBLE /* for the log: a damaged value, a store that does not delete */
};

/* "registered", "updated", "healthy", "critical", "removed", "trouble" */
const char *registry_event_name(enum registry_event_kind kind);

struct registry_event {
	enum registry_event_kind kind;
	uint64_t at_ns;                          /* CLOCK_REALTIME */
	const struct service_instance *instance; /* NULL for TROUBLE */
	const char *reason;                      /* a sentence */
};

struct registry_watch;

/* `event` runs inside the function that causes it, must not change the registry, and may
 * unwatch.  NULL: no memory. */
struct registry_watch *
registry_watch(struct registry *reg,
	       void (*event)(void *arg, const struct registry_event *event), void *arg);
struct registry_watch *registry_unwatch(struct registry_watch *watch);

#endif
