/* SPDX-License-Identifier: MIT */
/*
 * When a recurring job is due.  HOST.  Pure: no clock, no files.
 *
 *	[CRON_TZ=Europe/Berlin] [second] minute hour day month weekday
 *
 * or @hourly, @daily (@midnight), @weekly, @monthly, @yearly (@annually).  A field is a
 * list of *, n, n-m, each range with /step if wanted; months and weekdays have names; 7 is
 * a Sunday, too; ? is *.  If both day and weekday are restricted, either is enough.
 *
 * Where clocks are changed: a schedule that names its times (no * and no step in second,
 * minute and hour) is due once for each of them: at the first moment after a gap that
 * swallows it, at the first of two moments that look alike.  Any other one goes by what the
 * clock shows: nothing in a gap, twice in an hour that comes twice; so that "every half
 * hour" is.
 */
#ifndef CO_SERVICE_CRON_H
#define CO_SERVICE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/zone.h"
#include "lib/err.h"
#include "lib/span.h"

struct cron {
	uint64_t seconds, minutes; /* a bit for each value that matches */
	uint32_t hours, days;      /* days from bit 1 */
	uint16_t months;           /* from bit 1 */
	uint8_t weekdays;          /* bit 0 is Sunday */
	bool any_day, any_weekday; /* the field is * */
	bool names_times;
	char zone[ZONE_NAME_SIZE]; /* of CRON_TZ=; "" without */
};

/*
 * CO_INVALID with a sentence, also for what is never due ("0 0 30 2 *").  The zone's name
 * is checked, but not whether there is such a zone.
 */
int cron_parse(struct cron *out, struct co_span text, struct co_err *err);

#define CRON_NEVER INT64_MAX

/* The first moment after `after` at which it is due, in seconds since the epoch. */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after);

/* The last one after `after` and not after `until`; CRON_NEVER: none. */
int64_t cron_last(const struct cron *cron, const struct zone *zone, int64_t after,
		  int64_t until);

#endif
