/* SPDX-License-Identifier: MIT */
/*
 * The launcher's end of a session channel: trace lines are printed, memory of the guest is
 * copied on the daemon's behalf.  HOST.  The launcher under notify, the tracer under
 * ptrace.
 */
#ifndef CO_LAUNCH_CHANNEL_H
#define CO_LAUNCH_CHANNEL_H

#include <stdbool.h>

#include "lib/wire.h"

struct channel {
	int fd;
	int trace_fd; /* where lines go; -1: nowhere */
	struct co_msg *in, *out;
	bool ended; /* the daemon has said that the session is over */
	/* Anything that is not about traces or memory; NULL ignores it. */
	void (*other)(void *ctx, const struct co_msg *in);
	void *ctx;
};

/* fd and trace_fd are borrowed.  0 or CO_NO_MEMORY. */
int channel_init(struct channel *c, int fd, int trace_fd);
void channel_done(struct channel *c);

/*
 * Takes what is there without waiting.  CO_GONE when the channel is closed: because the
 * session is over (c->ended), or because the daemon and its keeper are gone.
 */
int channel_serve(struct channel *c);

/* Closes every descriptor of this process but those; a number below 0 means none.  keep is
 * sorted on return. */
void channel_close_others(int *keep, size_t n);

#endif
