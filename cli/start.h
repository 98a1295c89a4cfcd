/* SPDX-License-Identifier: MIT */
/*
 * Starting a daemon and waiting until it answers.  HOST.  Who calls it: cloudosctl,
 * cloudos-exec.
 */
#ifndef CO_START_H
#define CO_START_H

#include "cli/client.h"

#define CO_START_TIMEOUT_MS 10000

/*
 * Starts cloudos-keeper for these folders and waits until its daemon says hello.
 * `arguments` (NULL, or ended by NULL) are given to the keeper behind its own.  The
 * keeper gets no descriptor and no signal disposition of the caller; it detaches itself,
 * and the process that the caller would have to wait for is waited for here.
 * 0 with an open connection; on failure the sentence holds what the keeper said.
 * If two start one at the same time both get the one that won.
 */
int co_start_daemon(const struct co_paths *paths, const char *const *arguments,
		    const char *program, struct co_client **out, struct co_err *err);

/* As co_client_open, but starts a daemon when none is running. */
int co_start_or_open(const struct co_paths *paths, const char *program,
		     struct co_client **out, struct co_err *err);

/*
 * Does anybody hold the lock of the folder?  Asked of /proc/locks, because trying to
 * take it could make a keeper fail that is just starting.
 */
bool co_start_lock_held(const struct co_paths *paths);

#endif
