/* SPDX-License-Identifier: MIT */
/*
 * The channel between a session's launcher and the daemon, or a guest and the daemon.
 * HOST.
 *
 * Carries trace lines to the launcher, memory copies by the launcher on the daemon's
 * behalf, and under ptrace the calls themselves; under trap the calls of one guest and
 * copies of its own memory by itself (member.h).  The other end is as untrusted as any
 * peer: what it sends is checked, what a launcher owes is waited for with a limit.
 */
#ifndef CO_LINK_H
#define CO_LINK_H

#include <co/guest.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct co_msg;
struct link;
struct member;
struct session;

/* fd is taken, also on failure.  Under the core lock. */
int link_new(struct link **out, struct session *s, int fd, struct co_err *err);

/* To a guest; messages are received into that one, which is the loop thread's. */
int link_new_member(struct link **out, struct member *m, struct session *s, int fd,
		    struct co_msg *received_in, struct co_err *err);

/* The last of the program has ended: the launcher need not be told more.  Core lock. */
void link_say_ended(struct link *l);

/* Nothing is received or sent any more, waiters get CO_GONE.  Under the core lock. */
void link_close(struct link *l);

/* Takes what has come, without waiting.  Under the core lock. */
void link_read(struct link *l);

/* Threads that are inside hold a reference; the last one goes after link_close.  unref
 * returns NULL. */
struct link *link_ref(struct link *l);
struct link *link_unref(struct link *l);

/*
 * Notify threads, no lock held; waits at most five seconds for the launcher.  Not more
 * than link_chunk() bytes at once.
 */
size_t link_chunk(const struct link *l);
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

/* Under ptrace and trap: the answer to a call; CO_GONE if nobody is there.  Any thread. */
int link_result(struct link *l, uint64_t call, int64_t result);

/* Under ptrace and trap: the guest is to perform that Linux call instead.  Any thread. */
void link_perform(struct link *l, uint64_t call, int32_t number,
		  const uint64_t words[6]);

/* Under ptrace and trap: the guest is to take a descriptor (borrowed) as one of its own,
 * and says it as what it has performed.  Any thread. */
void link_give(struct link *l, uint64_t call, int fd);

/* Under ptrace, after a restart: asks the launcher for what it still waits for. */
void link_resend(struct link *l, uint32_t round);

int link_fd(const struct link *l);

#endif
