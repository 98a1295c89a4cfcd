/* SPDX-License-Identifier: MIT */
/*
 * Days and moments as people write them.  HOST.  No time zones and no clock:
 * cloudosd/service/zone.h knows the former, struct co_host the latter.
 */
#ifndef CO_TIME_H
#define CO_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

struct co_date {
	int64_t year;
	unsigned month, day; /* from 1 */
};

bool co_is_leap_year(int64_t year);
unsigned co_month_days(int64_t year, unsigned month);

/* Days since 1970-01-01 in the Gregorian calendar, and back. */
int64_t co_days_of_date(struct co_date date);
struct co_date co_date_of_days(int64_t days);

/* 0 is Sunday. */
unsigned co_weekday_of_days(int64_t days);

/*
 * A moment of RFC 3339: "2026-11-20T12:00:00Z", "2026-11-20T12:00:00.123+01:00"; also a
 * date alone, which is its first moment in UTC.  Milliseconds since the epoch, cut, not
 * rounded; a second 60 is the last millisecond of its minute.  false: anything else, no
 * such day, or before 1970.
 */
bool co_time_parse(struct co_span text, uint64_t *out_ms);

#endif
