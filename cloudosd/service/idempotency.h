/* SPDX-License-Identifier: MIT */
/*
 * Requests that are carried out once, however often they are made: Idempotency-Key.  HOST.
 *
 * A key belongs to a scope (whose endpoint).  The answer of the first request is kept for
 * IDEMPOTENCY_HOURS in the store, so that the next daemon knows it, too; requests that come
 * while the first one runs wait for it.  The answer is kept after the effect: should the
 * daemon die between both, a repetition has the effect a second time.
 */
#ifndef CO_SERVICE_IDEMPOTENCY_H
#define CO_SERVICE_IDEMPOTENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/host.h"
#include "lib/span.h"

#define IDEMPOTENCY_HOURS 24

struct expiry;
struct idempotency;
struct idempotency_run;
struct store;

enum idempotency_kind {
	IDEMPOTENCY_FIRST, /* carry it out, then idempotency_end(run, ...) */
	IDEMPOTENCY_KNOWN, /* it was: answer so */
	IDEMPOTENCY_OTHER, /* that key was used for something else */
	IDEMPOTENCY_FAILED /* status, reason */
};

struct idempotency_result {
	enum idempotency_kind kind;
	struct idempotency_run *run;
	int answer; /* KNOWN: the status and body of the answer */
	struct co_span body;
	int status; /* FAILED: CO_TABLE_FULL, CO_BUSY, CO_NO_MEMORY ... */
	const char *reason;
};

typedef void idempotency_done(void *arg, const struct idempotency_result *result);

/*
 * May that request be carried out?  key: 1 to CO_LIMIT_IDEMPOTENCY_KEY visible ASCII
 * characters.  `request` is all that must be the same.  done() runs once, perhaps before
 * this returns.  CO_INVALID: the key is none, and it does not run.
 */
int idempotency_begin(struct idempotency *i, const char *scope, struct co_span key,
		      struct co_span request, idempotency_done *done, void *arg);

/* What the first request was answered with; 0: it failed, and may be tried again. */
void idempotency_end(struct idempotency_run *run, int answer, struct co_span body);

/* NULL: no memory.  All are borrowed. */
struct idempotency *idempotency_new(const struct co_host *host, struct store *store,
				    struct expiry *expiry);

/* The store must be closed, and no run be under way.  Returns NULL. */
struct idempotency *idempotency_free(struct idempotency *i);

#endif
