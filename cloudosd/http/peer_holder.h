/* SPDX-License-Identifier: MIT */
/* Who is at the other end of a TCP connection within this machine?  HOST. */
#ifndef CO_HTTP_PEER_HOLDER_H
#define CO_HTTP_PEER_HOLDER_H

#include <stdbool.h>
#include <sys/types.h>

struct co_host;
struct peer_ask;

/*
 * Is it a process of our user, and in no container?  Under the core lock.  NULL: *out_own is
 * the answer.  Otherwise `told` is called with it, once, from the loop, unless it is dropped.
 */
struct peer_ask *peer_own_ask(const struct co_host *host, int fd, bool *out_own,
			      void (*told)(void *arg, bool own), void *arg);

/* The user whose socket is at the other end of that TCP connection within this machine.
 * 0, CO_NOT_FOUND: there is none (any more), or it cannot be found out. */
int peer_uid(int fd, uid_t *out_uid);

/* Before it is told; NULL is allowed.  Returns NULL. */
struct peer_ask *peer_ask_drop(struct peer_ask *a);

/* As peer_own_ask, of a socket of our user: is it ours? */
struct peer_ask *peer_holder_ask(const struct co_host *host, unsigned long inode,
				 bool *out_own, void (*told)(void *arg, bool own),
				 void *arg);

#endif
