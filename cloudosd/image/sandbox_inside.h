/* SPDX-License-Identifier: MIT */
/* How a process of sandbox.h walls itself in.  HOST. */
#ifndef IMAGE_SANDBOX_INSIDE_H
#define IMAGE_SANDBOX_INSIDE_H

#include <sys/types.h>

#include "cloudosd/image/sandbox.h"

/* Tried in this order; what is behind the second is for root only. */
enum walls { WALLS_USER, WALLS_MOUNT, WALLS_NONE };

/* Exit code (and result) of a process that could not make these walls. */
enum { SANDBOX_NO_WALLS = 77 };

/*
 * In the process: makes them and forgets all descriptors but s->fds, lines and out_root.
 * A failure is SANDBOX_NO_WALLS for the caller.
 */
struct sandbox_way {
	enum walls walls;
	int link, lines;
	pid_t parent; /* when it dies, so does the process */
};
int sandbox_enter(const struct sandbox *s, const struct sandbox_way *way, int *out_root,
		  struct co_err *err);

/* Outside: the owners that exist in its user name space.  0 or a negative errno. */
int sandbox_map(pid_t pid);

#endif
