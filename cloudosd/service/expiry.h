/* SPDX-License-Identifier: MIT */
/*
 * Removes keys of the store that have expired, soon after they did, in small steps.  HOST.
 *
 * Nobody sees an expired key, swept or not; sweeping gives its room back and tells whose it
 * was.  Wall clock time: after a restart it goes on with what has expired meanwhile, and it
 * looks at least every EXPIRY_LOOK_MS in case the clock was set.
 */
#ifndef CO_SERVICE_EXPIRY_H
#define CO_SERVICE_EXPIRY_H

#include <stdint.h>

#include "cloudosd/service/host.h"

struct store;
struct expiry;

#define EXPIRY_LOOK_MS 30000

/* Begins to sweep.  NULL: no memory. */
struct expiry *expiry_new(const struct co_host *host, struct store *store);

/* Nothing of it may be under way in the store.  Returns NULL. */
struct expiry *expiry_free(struct expiry *e);

/* gone(arg, key behind the prefix, its last version) for each key with that prefix. */
void expiry_watch(struct expiry *e, const char *prefix,
		  void (*gone)(void *arg, const char *key, uint64_t version),
		  void *arg);

/* A key expires then (milliseconds since the epoch). */
void expiry_note(struct expiry *e, uint64_t at_ms);

#endif
