/* SPDX-License-Identifier: MIT */
/*
 * The channel between a session's launcher and the daemon.  HOST.
 *
 * Carries trace lines to the launcher, memory copies by the launcher on the daemon's
 * behalf, and under ptrace the calls themselves.  The launcher is as untrusted as any
 * peer: what it sends is checked, what it owes is waited for with a limit.
 */
#ifndef CO_LINK_H
#define CO_LINK_H

#include <co/guest.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct link;
struct session;

/* fd is taken, also on failure.  Under the core lock. */
int link_new(struct link **out, struct session *s, int fd, struct co_err *err);

/* The last of the program has ended: the launcher need not be told more.  Core lock. */
void link_say_ended(struct link *l);

/* Nothing is received or sent any more, waiters get CO_GONE.  Under the core lock. */
void link_close(struct link *l);

/* After link_close, when no thread can be inside any more.  Returns NULL. */
struct link *link_free(struct link *l);

/* Notify threads, no lock held; waits at most five seconds for the launcher. */
int link_memory_read(struct link *l, int32_t tid, struct co_guest_ptr from, void *out,
		     size_t n);
int link_memory_write(struct link *l, int32_t tid, struct co_guest_ptr to,
		      const void *data, size_t n);
int link_descriptor_get(struct link *l, int32_t tid, int fd, int *out_fd);

/*
 * One line for the launcher's --trace.  Waits for room up to a second, then drops it and
 * counts.  Notify threads only.
 */
void link_trace(struct link *l, const char *line);

/* Under ptrace: the answer to a call.  Any thread. */
void link_result(struct link *l, uint64_t call, int64_t result);

/* Under ptrace: the guest is to perform that Linux call instead.  Any thread. */
void link_perform(struct link *l, uint64_t call, int32_t number,
		  const uint64_t words[6]);

/* Under ptrace, after a restart: asks the launcher for what it still waits for. */
void link_resend(struct link *l, uint32_t round);

int link_fd(const struct link *l);

#endif
