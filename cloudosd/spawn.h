/* SPDX-License-Identifier: MIT */
/* Starts the processes of service/spawn.h.  HOST.  Who calls it: main.c. */
#ifndef CO_SPAWN_H
#define CO_SPAWN_H

#include "cloudosd/service/host.h"
#include "cloudosd/service/spawn.h"

struct spawner;

/* NULL: no memory. */
struct spawner *spawner_new(const struct co_host *host);

const struct co_spawner *spawner_table(const struct spawner *s);

#endif
