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

struct front_numbers {
	uint64_t requests, filled_in, failed;
	unsigned connections, listeners;
};
struct front_numbers front_numbers(const struct front *f);

/* Is a program of that service being given requests, or are answers under way? */
bool front_busy(const struct front *f);

#endif
