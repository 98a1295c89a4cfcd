/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets that outlive a daemon.  HOST.  Who calls it: http/listen.c and
 * http/front.c; keeper_link.c restores.
 *
 * The keeper has a copy of each, so that while there is no daemon whoever connects waits
 * instead of being refused.  A copy listens as long as it is there: what is not wanted any
 * more has to be dropped.  On the loop thread under the core lock.
 */
#ifndef CO_SOCKETS_H
#define CO_SOCKETS_H

#include <stdint.h>
#include <sys/socket.h>

struct daemon;
struct sockets;

struct sockets *sockets_new(struct daemon *d);

/* From the keeper: a predecessor's, under that number; fd is taken. */
void sockets_restore(struct sockets *s, uint32_t slot, int fd);

/*
 * The predecessor's socket at that address (of AF_UNIX the last part of its name counts; a
 * whole struct sockaddr_un), which is the caller's now, as is a new one: sockets_drop when it is closed.  -1: there is none.
 */
int sockets_take(struct sockets *s, const struct sockaddr *address);

/* A new one is to outlive this daemon.  fd is borrowed. */
void sockets_hold(struct sockets *s, int fd);
void sockets_drop(struct sockets *s, int fd);

/* What nobody has taken is closed. */
void sockets_settle(struct sockets *s);

/* Nothing is to listen any more. */
void sockets_drop_all(struct sockets *s);

/* For a daemon that becomes a keeper: our descriptor of that number; -1: none. */
int sockets_fd(const struct sockets *s, uint32_t slot);

#endif
