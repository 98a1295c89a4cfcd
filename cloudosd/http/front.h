/* SPDX-License-Identifier: MIT */
/*
 * The front of services: their addresses, at which the gateway listens.  HOST.  Who calls
 * it: main.c.
 *
 * A name of the registry (service/names.h) has a front address, where everybody finds it,
 * and a back address, where its program listens.  What comes to the front goes to the
 * program; what the program lacks of BlackRoad's endpoints, and everything while there is no
 * program, the gateway answers for it.  On the loop thread under the core lock.
 */
#ifndef CO_HTTP_FRONT_H
#define CO_HTTP_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct daemon;
struct front;

/* After the HTTP server; follows the registry of names from then on. */
int front_new(struct front **out, struct daemon *d, struct co_err *err);

/* On any thread: no more connections; those that are idle end.  What is under way goes on. */
void front_stop(struct front *f);

struct netns;
struct front_room;

/*
 * The front in the network of a container whose program is that service: the same addresses
 * there, and the gateway at 127.0.0.1:FRONT_GATEWAY.  Whoever connects there needs no token,
 * and may not do with the daemon what no program in a container may.  NULL: no memory.  What
 * cannot listen has been logged.
 */
enum { FRONT_GATEWAY = 8787 };
struct front_room *front_room_new(struct front *f, const struct netns *where,
				  const char *owner);
struct front_room *front_room_free(struct front_room *room); /* NULL is nothing */

struct front_numbers {
	uint64_t requests, filled_in, failed;
	unsigned connections, listeners, contained;
};
struct front_numbers front_numbers(const struct front *f);

/* Is a program of that service being given requests, or are answers under way? */
bool front_busy(const struct front *f);

#endif
