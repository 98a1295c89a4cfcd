/* SPDX-License-Identifier: MIT */
/*
 * Time zones: what is the clock of Europe/Berlin ahead of UTC, and until when?  HOST.
 *
 * Reads the compiled files of the tz database (TZif, RFC 8536, version 2 or later), with
 * the rule in their footer for the time after their last entry.  glibc has one zone for a
 * whole process; jobs have one each.  Pure but for zone_read, which reads a file.
 */
#ifndef CO_SERVICE_ZONE_H
#define CO_SERVICE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define ZONE_NAME_SIZE 65 /* with the NUL */

struct zone;

/* May that name be looked for?  "Europe/Berlin", "Etc/GMT+5", "UTC"; not "../x". */
bool zone_name_is_valid(const char *name, size_t size);

/* The compiled zone; CO_CORRUPT with a sentence for whatever is no such file. */
int zone_parse(struct zone **out, const char *name, const void *data, size_t size,
	       struct co_err *err);

/*
 * Reads it from $TZDIR or /usr/share/zoneinfo: blocking, without the core lock.  UTC
 * needs no file.  CO_INVALID: no such name; CO_NOT_FOUND: no zones are installed here;
 * CO_CORRUPT, CO_ACCESS, CO_IO, CO_NO_MEMORY; each with a sentence.
 */
int zone_read(struct zone **out, const char *name, struct co_err *err);

/* Returns NULL; NULL is allowed. */
struct zone *zone_free(struct zone *zone);

const char *zone_name(const struct zone *zone);

/* A time during which the clocks were not changed; in seconds since the epoch. */
struct zone_period {
	int64_t from, until; /* INT64_MIN, INT64_MAX: for ever */
	int32_t offset; /* local time is UTC plus this; a day and some hours at most */
};

/* The one that `utc` is in. */
struct zone_period zone_period(const struct zone *zone, int64_t utc);

#endif
