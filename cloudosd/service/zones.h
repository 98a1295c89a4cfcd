/* SPDX-License-Identifier: MIT */
/* Time zones that have been read, each once.  HOST.  Files are read on worker threads. */
#ifndef CO_SERVICE_ZONES_H
#define CO_SERVICE_ZONES_H

#include "cloudosd/service/host.h"
#include "cloudosd/service/zone.h"

struct zones;

struct zones *zones_new(const struct co_host *host); /* NULL: no memory */
struct zones *zones_free(struct zones *zones);       /* CO_GONE for who waits */

/* zone, which lives as long as `zones`; or NULL, a status and a sentence. */
typedef void zones_done(void *arg, const struct zone *zone, int status,
			const char *reason);

/* Once, perhaps before it returns. */
void zones_get(struct zones *zones, const char *name, zones_done *done, void *arg);

#endif
