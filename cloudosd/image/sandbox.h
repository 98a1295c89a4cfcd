/* SPDX-License-Identifier: MIT */
/*
 * A process of its own for what reads foreign bytes.  HOST.
 *
 * The job sees one folder, which is its root, and the descriptors that it is given.  It is
 * root of a user name space with the owners that exist outside (one, for users), in mount,
 * network and ipc name spaces of its own, without capabilities beyond those that files need,
 * under a filter of system calls and limits, and dies with its parent.  What it has to say
 * are lines, and they are believed for nothing but their syntax.
 *
 * Where user name spaces are forbidden, root goes without one, and others see the whole file
 * system: then what is left is the filter, and that every path of the job is resolved below
 * its folder by the kernel (tree.h), which holds in all three cases.
 */
#ifndef IMAGE_SANDBOX_H
#define IMAGE_SANDBOX_H

#include <stdbool.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/span.h"

enum { SANDBOX_FDS = 4 };

struct sandbox {
	const char *folder; /* path from the root: what the job sees as "/" */

	/* Instead of its content: these laid upon each other, uppermost first, mounted on
	 * folder for the job alone.  upper and work NULL: read-only.  */
	const char *const *layers;
	size_t layer_count;
	const char *upper, *work;

	/* Instead of a folder: a pidfd of a process of a container that runs.  The job joins
	 * its user and mount name spaces, so its "/" is the container's.  0: none. */
	int live;

	int fds[SANDBOX_FDS]; /* borrowed, stay open in the job; -1 ends */

	/* In the process.  root: the folder, O_PATH; lines go to `out`. */
	int (*job)(void *arg, int root, FILE *out, struct co_err *err);
	/* In the caller, for each line (may be NULL).  Not 0: the process is killed. */
	int (*line)(void *arg, struct co_span line, struct co_err *err);
	void *arg; /* of both; the process has a copy */
};

/* What the job returned, with its sentence; CO_CORRUPT if it was ended by a signal. */
int sandbox_run(const struct sandbox *s, struct co_err *err);

/* The filter alone, for tests.  0 or a negative errno. */
int sandbox_filter(void);

/* "user", "mount", "none": which walls the last sandbox_run had. */
const char *sandbox_walls(void);

#endif
