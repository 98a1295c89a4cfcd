/* SPDX-License-Identifier: MIT */
/* Time zones that have been read.  HOST. */
#include "cloudosd/service/zones.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct entry {
	struct zone *zone;
	UT_hash_handle hh; /* by the zone's name */
};

struct reading {
	struct zones *zones; /* NULL: it is gone */
	char name[ZONE_NAME_SIZE];
	zones_done *done;
	void *arg;
	struct zone *zone; /* of the worker thread, until it has ended */
	struct co_err err;
	struct reading *prev, *next;
};

struct zones {
	const struct co_host *host;
	struct entry *entries;
	struct reading *readings;
};

struct zones *zones_new(const struct co_host *host)
{
	struct zones *zones = calloc(1, sizeof(*zones));

	if (zones)
		zones->host = host;
	return zones;
}

struct zones *zones_free(struct zones *zones)
{
	struct entry *entry, *next;
	struct reading *reading, *next_reading;

	if (!zones)
		return NULL;
	DL_FOREACH_SAFE (zones->readings, reading, next_reading) {
		reading->zones = NULL; /* freed when its thread has ended */
		reading->done(reading->arg, NULL, CO_GONE, "cloudosd is stopping");
	}
	HASH_ITER (hh, zones->entries, entry, next) {
		HASH_DEL(zones->entries, entry);
		(void) zone_free(entry->zone); /* is NULL */
		free(entry);
	}
	free(zones);
	return NULL;
}

/* Takes the zone; what is there already stays, somebody may have it. */
static const struct zone *keep(struct zones *zones, struct zone *zone)
{
	const char *name = zone_name(zone);
	struct entry *entry;

	HASH_FIND_STR(zones->entries, name, entry);
	if (entry) {
		(void) zone_free(zone); /* is NULL */
		return entry->zone;
	}
	entry = HASH_COUNT(zones->entries) < CO_LIMIT_ZONES ? calloc(1, sizeof(*entry))
							    : NULL;
	if (!entry) {
		(void) zone_free(zone); /* is NULL */
		return NULL;
	}
	entry->zone = zone;
	HASH_ADD_KEYPTR(hh, zones->entries, name, strlen(name), entry);
	return zone;
}

static void read_it(void *arg)
{
	struct reading *reading = arg;

	(void) zone_read(&reading->zone, reading->name, &reading->err); /* err tells */
}

static void has_read(void *arg)
{
	struct reading *reading = arg;
	struct zones *zones = reading->zones;
	const struct zone *zone = NULL;

	if (!zones) {
		(void) zone_free(reading->zone); /* is NULL */
		free(reading);
		return;
	}
	DL_DELETE(zones->readings, reading);
	if (reading->zone) {
		zone = keep(zones, reading->zone);
		if (!zone)
			(void) co_fail(
				&reading->err, CO_TABLE_FULL,
				"there is no room for the time zone %s: %d are in "
				"use",
				reading->name, CO_LIMIT_ZONES);
	}
	reading->done(reading->arg, zone, reading->err.code, reading->err.message);
	free(reading);
}

void zones_get(struct zones *zones, const char *name, zones_done *done, void *arg)
{
	struct reading *reading;
	struct entry *entry;
	int r = CO_NO_MEMORY;

	HASH_FIND_STR(zones->entries, name, entry);
	if (entry) {
		done(arg, entry->zone, 0, "");
		return;
	}
	reading = calloc(1, sizeof(*reading));
	if (reading) {
		reading->zones = zones;
		reading->done = done;
		reading->arg = arg;
		(void) snprintf(reading->name, sizeof(reading->name), "%s", name);
		DL_APPEND(zones->readings, reading);
		r = zones->host->offload(zones->host->ctx, read_it, has_read, reading);
		if (r == 0)
			return;
		DL_DELETE(zones->readings, reading);
		free(reading);
	}
	done(arg, NULL, r, "cloudosd is too busy to read a time zone; try again");
}
