/* SPDX-License-Identifier: MIT */
/*
 * Volumes: folders of the domain that containers mount and that outlive them.  HOST.
 *
 * A volume is a record in the store, /volume/NAME, and a folder.  The record comes first and
 * goes last, a folder without one is given one when the daemon starts: nothing that a
 * container wrote is lost to a crash, and nothing stays that nobody knows of.  It is made
 * by name, when a container first names it, or for a VOLUME of an image: then it belongs to
 * that container ("anon-7-0" to container 7) and can go with it.
 *
 * A volume that a container has, whether that runs or not, is not removed.
 */
#ifndef CO_SERVICE_VOLUME_H
#define CO_SERVICE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/container.h"

struct volumes;

#define VOLUME_ANONYMOUS "anon-" /* how the names of those begin that images ask for */
enum { VOLUME_NAME = CONTAINER_NAME };

struct volumes_options {
	const struct container_runtime *runtime;
	const char *folder; /* where they are; outlives this */
	/* Adds the names of the containers that have it, as JSON texts with commas between.
	 * owner: the container it was made for, or 0. */
	void (*users)(void *arg, const char *name, uint32_t owner, struct co_buf *out);
	/* "volume:created", "volume:removed", after the commit. */
	void (*emit)(void *arg, const char *event, struct co_span data);
	void (*log)(void *arg, const char *sentence);
	void *arg;
};

/* Nothing is done before volumes_load.  NULL: no memory. */
struct volumes *volumes_new(const struct co_host *host, struct store *store,
			    const struct volumes_options *options);

/* The store must be closed.  Returns NULL. */
struct volumes *volumes_free(struct volumes *all);

/* Once. */
int volumes_load(struct volumes *all,
		 void (*done)(void *arg, int status, const char *reason), void *arg);

/* ---- requests; the answer's json is the volume ---- */

void volumes_list(const struct volumes *all, struct co_buf *out); /* {"volumes":[]} */
void volumes_create(struct volumes *all, struct co_span name,
		    const struct container_asker *asker);
void volumes_inspect(const struct volumes *all, struct co_span name,
		     const struct container_asker *asker);
void volumes_remove(struct volumes *all, struct co_span name,
		    const struct container_asker *asker);
/* Those that no container has, and with `named` not only images'; {"removed":[]}. */
void volumes_prune(struct volumes *all, bool named,
		   const struct container_asker *asker);

/* ---- for containers ---- */

struct volume_need {
	char name[VOLUME_NAME];
	const char *inside;
	bool anonymous;
};

typedef void volumes_done(void *arg, int status, const char *reason);

/* Makes the records that are missing.  0: they are there; 1: done tells; or a sentence. */
int volumes_need(struct volumes *all, uint32_t container,
		 const struct volume_need *needs, size_t n, volumes_done *done,
		 void *arg, struct co_err *err);

/* Removes those that were made for the container and that no other has.  0: there are none;
 * 1: done tells. */
int volumes_remove_of(struct volumes *all, uint32_t container, volumes_done *done,
		      void *arg);

#endif
