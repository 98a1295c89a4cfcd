/* SPDX-License-Identifier: MIT */
/*
 * One run of a health check: its socket, its time limit, its worker.  HOST.
 * Runs under the core lock.  Who calls it: health.c.
 */
#ifndef CO_SERVICE_PROBE_H
#define CO_SERVICE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/host.h"
#include "cloudosd/service/target.h"

struct probe;

struct probe_request {
	const struct co_host *host;
	const struct target *target; /* copied */
	uint32_t timeout_ms;
	const char *ca_file; /* copied */

	/* Once, unless cancelled; never from inside probe_start.  reason: a sentence. */
	void (*result)(void *arg, bool is_healthy, const char *reason);
	void *arg;

	/* Always once, when nothing of the probe is left, not even on a worker thread:
	 * after result, or from inside probe_cancel, or later. */
	void (*released)(void *owner);
	void *owner;
};

/* NULL: no memory, no worker or no timer at the moment; then nothing is called. */
struct probe *probe_start(const struct probe_request *request);

/* `result` does not run any more.  NULL is allowed; returns NULL. */
struct probe *probe_cancel(struct probe *probe);

#endif
