/* SPDX-License-Identifier: MIT */
/*
 * Processes that a program under trap has left behind.  HOST.
 *
 * Under trap nothing of ours is open in a guest that makes no call, so when the launcher
 * has gone only its address space tells whose it is: the loader keeps a page at an address
 * that says it (co_trap_mark).  /proc/PID/maps is read for that, which no guest can hold up.
 */
#ifndef CO_DAEMON_LEFTOVER_H
#define CO_DAEMON_LEFTOVER_H

struct daemon;
struct session;

/*
 * Looks for processes of that session, whose launcher is gone.  While there is one the
 * session lives; when there is none it ends.  Core lock.
 */
void leftover_look(struct session *s);

/* Calls `then` when no look is going on, which may be at once.  Core lock, both. */
void leftover_when_known(struct daemon *d, void (*then)(void *), void *arg);

/* The session has ended otherwise.  Core lock. */
void leftover_forget(struct session *s);

#endif
