/* SPDX-License-Identifier: MIT */
/* What the files of calls.h share.  HOST. */
#ifndef CTR_CALLS_INSIDE_H
#define CTR_CALLS_INSIDE_H

#include "cloudosd/ctr/config.h"
#include "lib/span.h"
#include "lib/wire.h"

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

/* ---- calls_output.c ---- */

enum { CALLS_STREAMS = 2, CALLS_LINE = 16384 };

struct calls_stream {
	char line[CALLS_LINE]; /* not sent yet */
	size_t size;
	bool escape; /* inside a sequence for the terminal */
};

struct calls_output {
	struct calls_stream streams[CALLS_STREAMS];
	unsigned patience; /* so often the daemon is waited for */
};

struct calls_channel {
	int fd; /* -1: nobody hears it */
	struct co_msg *out;
};

void calls_output_add(struct calls_output *o, unsigned stream,
		      const struct calls_channel *to, struct co_span bytes);

/* All is written; status is that of wait. */
void calls_output_end(struct calls_output *o, const struct calls_channel *to,
		      int status);

/* Inside: cloudos-exec becomes the program, which is at that path.  Returns when it failed. */
int calls_become_other(const char *path, const struct ctr_process_spec *p,
		       struct co_err *err);

#endif
