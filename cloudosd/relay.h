/* SPDX-License-Identifier: MIT */
/*
 * Ports of this host that lead to containers: those of its loopback, and all of containers
 * that have nothing but a loopback of their own.  HOST.
 *
 * nf_tables cannot translate 127.0.0.1 without opening it to the network (route_localnet), so
 * these connections are carried by a thread of the daemon: TCP byte by byte with both ends
 * closed as the other closes, UDP by a socket for each client.  The thread begins with the
 * first relay and ends with the last.  Everything may be called from any thread and returns
 * at once.
 */
#ifndef CO_RELAY_H
#define CO_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>

#include "lib/err.h"

struct netns;
struct relays;
struct relay;

/*
 * Where sockets in another network name space come from: a process there that answers each
 * "t" or "u" that is written to fd with one (cloudos-ctr door).  Some are had in advance, so
 * that nobody waits for it; until it is there, clients do.
 */
struct relay_door;

struct relay_spec {
	bool udp;
	struct sockaddr_in from, to;
	struct relay_door *door; /* NULL: `to` is reached from here */
	const struct netns *through; /* TCP: where `to` is; copied; NULL: here */
};

/* NULL: no memory. */
struct relays *relays_new(void);
void relays_free(struct relays *r); /* and every relay; NULL is allowed */

/* NULL: no memory. */
struct relay_door *relay_door_new(struct relays *r);

/* Its descriptor, which is taken: once.  -1: there will be none, nobody waits any more. */
void relay_door_open(struct relays *r, struct relay_door *door, int fd);

/* Its relays are closed.  NULL is allowed. */
void relay_door_free(struct relays *r, struct relay_door *door);

/* CO_EXISTS: somebody listens there already. */
int relay_open(struct relays *r, const struct relay_spec *spec, struct relay **out,
	       struct co_err *err);

/* The port is free when this returns; its connections end.  NULL is allowed. */
void relay_close(struct relays *r, struct relay *relay);

#endif
