/* SPDX-License-Identifier: MIT */
/*
 * Services whose programs are in a container, mostly in a network of their own.  HOST.
 *
 * The program binds what it likes there.  What it listens on with its service's port is
 * carried from the back address here (relay.h); the front addresses of all services, and the
 * gateway, listen there (http/front.h).  Under the core lock.
 */
#ifndef CO_HOUSED_H
#define CO_HOUSED_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

struct daemon;
struct session;

/* A session of a service has begun; its name spaces are taken, -1: it has none of its own. */
void housed_begin(struct session *s, int user, int net);

/* One of before: its name spaces are found again, and what was carried is. */
void housed_restore(struct session *s);

/* The front is there: now it listens in them, too. */
void housed_front(struct daemon *d);

void housed_end(struct session *s);

/* Is there room for one more?  Each takes some descriptors. */
bool housed_room(struct daemon *d);

/* Has it a network of its own?  Only then what follows is of use. */
bool housed_by_itself(const struct session *s);

/* Is there a container that has our network and not our users? */
bool housed_by_users(struct daemon *d);

/* The service in whose container that user of this machine lives, where the container has
 * our network and not our users; NULL. */
const char *housed_owner(struct daemon *d, uid_t uid);

/* Does the front listen on that port (in host order) there? */
bool housed_shares(const struct session *s, uint16_t port);

/* A socket there may have such a port, too.  0, or a negative errno. */
int housed_share(const struct session *s, int fd);

/* Connections to `from` here go to `to` there, instead of where they went.  CO_EXISTS:
 * another program is that service. */
int housed_carry(struct session *s, const struct sockaddr_in *from,
		 const struct sockaddr_in *to, struct co_err *err);

#endif
