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

struct relay_spec {
	bool udp;
	struct sockaddr_in from, to;
	const struct netns *through; /* where `to` is; copied; NULL: here */
	bool inside; /* or where relay_enter will say: until then clients wait */
};

/* NULL: no memory. */
struct relays *relays_new(void);
void relays_free(struct relays *r); /* and every relay; NULL is allowed */

/* CO_EXISTS: somebody listens there already. */
int relay_open(struct relays *r, const struct relay_spec *spec, struct relay **out,
	       struct co_err *err);

/* Where `to` is, of one that is inside; copied.  NULL: nowhere, and nobody waits any more. */
void relay_enter(struct relays *r, struct relay *relay, const struct netns *through);

/* The port is free when this returns; its connections end.  NULL is allowed. */
void relay_close(struct relays *r, struct relay *relay);

#endif
