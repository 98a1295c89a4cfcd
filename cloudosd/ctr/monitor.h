/* SPDX-License-Identifier: MIT */
/*
 * The monitor of one container of the daemon, and what is done when it was killed.  HOST.
 * Who calls it: cloudos-ctr's commands `monitor` and `reap`.
 */
#ifndef CTR_MONITOR_H
#define CTR_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct ctr_monitor_options {
	const char *root, *id, *bundle;
	const char *runtime; /* that makes it; NULL: we do */
	int control;         /* the creator's connection (control.h) */
	bool stdin_open, calls, log_non_blocking;
	uint64_t log_bytes;
	unsigned log_files;
};

/* In the process that is to be the monitor.  Returns when the container has ended and
 * nothing of it is left. */
int ctr_monitor_run(const struct ctr_monitor_options *options);

/*
 * Removes what is left of a container whose monitor was killed: processes, groups,
 * network, and the folder ROOT/ID; an exit record is written if there is none.  0; 1: its
 * monitor lives, nothing was done; 2: it has none (made by `create`), nothing was done.
 */
int ctr_reap_one(const char *root, const char *id, struct co_err *err);

/* The same when its monitor lives: that is asked to end and takes the container along. */
int ctr_reap_force(const char *root, const char *id, struct co_err *err);

/* As that for each in root. */
int ctr_reap(const char *root, size_t *out_reaped, struct co_err *err);

#endif
