/* SPDX-License-Identifier: MIT */
/* Starts containers of the daemon: the service, its events, what makes them.  HOST. */
#ifndef CO_CONTAINERS_H
#define CO_CONTAINERS_H

#include "lib/err.h"

struct daemon;

/* loaded(d, status, reason) when those of earlier daemons are known.  CONTAINERS_ABSENT:
 * cloudos-ctr is not installed, there are none, and `loaded` does not run. */
enum { CONTAINERS_ABSENT = 1 };
int containers_start(struct daemon *d,
		     void (*loaded)(void *arg, int status, const char *reason),
		     struct co_err *err);

#endif
