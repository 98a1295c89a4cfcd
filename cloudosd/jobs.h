/* SPDX-License-Identifier: MIT */
/* Starts the jobs of services.  HOST. */
#ifndef CO_JOBS_H
#define CO_JOBS_H

#include "lib/err.h"

struct daemon;

/* After the handlers.  loaded(d, status, reason) when those of earlier daemons are there. */
int jobs_start(struct daemon *d,
	       void (*loaded)(void *arg, int status, const char *reason),
	       struct co_err *err);

#endif
