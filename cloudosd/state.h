/* SPDX-License-Identifier: MIT */
/* The state of services in this daemon: starting it, and the events of its changes. */
#ifndef CO_DAEMON_STATE_H
#define CO_DAEMON_STATE_H

#include "lib/err.h"

struct daemon;

/* When there is a store and an event bus; with the core lock. */
int state_start(struct daemon *d, struct co_err *err);

#endif
