/* SPDX-License-Identifier: MIT */
/* What the files of calls.h share.  HOST. */
#ifndef CTR_CALLS_INSIDE_H
#define CTR_CALLS_INSIDE_H

#include "cloudosd/ctr/config.h"

/* Mounts that a configuration has gained. */
struct calls_view {
	struct ctr_config *config;
	struct ctr_mount *mounts; /* its own and ours; NULL: none were added */
	size_t mount_count;       /* its own */
};

/* socket: the daemon's; that for containers is beside it. */
int calls_view_add(struct calls_view *v, struct ctr_config *config, const char *socket,
		   struct co_err *err);
void calls_view_drop(struct calls_view *v);

/* Inside: cloudos-exec becomes the program, which is at that path.  Returns when it failed. */
int calls_become_other(const char *path, const struct ctr_process_spec *p,
		       struct co_err *err);

#endif
