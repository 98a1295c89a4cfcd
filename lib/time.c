/* SPDX-License-Identifier: MIT */
/*
 * Days and moments.  HOST.  Years begin in March here, so that a leap day is the last of
 * its year; 400 years have 146097 days.
 */
#include "lib/time.h"

#include <stddef.h>

bool co_is_leap_year(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

unsigned co_month_days(int64_t year, unsigned month)
{
	static const uint8_t days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};

	return days[month - 1] + (month == 2 && co_is_leap_year(year) ? 1U : 0U);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t co_days_of_date(struct co_date date)
{
	int64_t year = date.month > 2 ? date.year : date.year - 1;
	int64_t era = floor_div(year, 400);
	int64_t in_era = year - era * 400;
	int64_t month = (date.month + 9) % 12; /* 0 is March */
	int64_t day = (153 * month + 2) / 5 + date.day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + day - 719468;
}

struct co_date co_date_of_days(int64_t days)
{
	int64_t era = floor_div(days + 719468, 146097);
	int64_t in_era = days + 719468 - era * 146097;
	int64_t year =
		(in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t day = in_era - (365 * year + year / 4 - year / 100);
	unsigned month = (unsigned) ((5 * day + 2) / 153);
	struct co_date date = { .day = (unsigned) (day - (153 * month + 2) / 5 + 1),
				.month = month < 10 ? month + 3 : month - 9 };

	date.year = era * 400 + year + (date.month <= 2);
	return date;
}

unsigned co_weekday_of_days(int64_t days)
{
	return (unsigned) ((days % 7 + 11) % 7);
}

/* ---- RFC 3339 ---- */

struct reader {
	struct co_span rest;
	bool failed;
};

static bool at(const struct reader *r, char c)
{
	return r->rest.size && r->rest.data[0] == c;
}

static void skip(struct reader *r)
{
	r->rest.data++;
	r->rest.size--;
}

static void expect(struct reader *r, char c)
{
	if (at(r, c))
		skip(r);
	else
		r->failed = true;
}

static bool at_digit(const struct reader *r)
{
	return r->rest.size && r->rest.data[0] >= '0' && r->rest.data[0] <= '9';
}

/* Exactly `digits` of them, a value between the two. */
static unsigned number(struct reader *r, unsigned digits, unsigned from, unsigned to)
{
	unsigned value = 0;

	for (; digits && at_digit(r); digits--, skip(r))
		value = value * 10 + (unsigned) (r->rest.data[0] - '0');
	if (digits || value < from || value > to)
		r->failed = true;
	return value;
}

static struct co_date read_date(struct reader *r)
{
	struct co_date date;

	date.year = number(r, 4, 0, 9999);
	expect(r, '-');
	date.month = number(r, 2, 1, 12);
	expect(r, '-');
	date.day = number(r, 2, 1, 31);
	if (!r->failed && date.day > co_month_days(date.year, date.month))
		r->failed = true;
	return date;
}

static unsigned read_fraction(struct reader *r)
{
	unsigned ms = 0, weight = 100;

	if (!at(r, '.'))
		return 0;
	skip(r);
	r->failed |= !at_digit(r);
	for (; at_digit(r); skip(r), weight /= 10)
		ms += weight * (unsigned) (r->rest.data[0] - '0');
	return ms;
}

/* Milliseconds since midnight. */
static int64_t read_clock(struct reader *r)
{
	unsigned hour = number(r, 2, 0, 23), minute, second, ms;

	expect(r, ':');
	minute = number(r, 2, 0, 59);
	expect(r, ':');
	second = number(r, 2, 0, 60);
	ms = read_fraction(r);
	if (second == 60) {
		second = 59;
		ms = 999;
	}
	return ((hour * 60LL + minute) * 60 + second) * 1000 + ms;
}

/* Milliseconds east of UTC. */
static int64_t read_offset(struct reader *r)
{
	bool west = at(r, '-');
	unsigned hour, minute;

	if (at(r, 'Z') || at(r, 'z')) {
		skip(r);
		return 0;
	}
	if (!west)
		expect(r, '+');
	else
		skip(r);
	hour = number(r, 2, 0, 23);
	expect(r, ':');
	minute = number(r, 2, 0, 59);
	return (west ? -60000LL : 60000LL) * (hour * 60 + minute);
}

bool co_time_parse(struct co_span text, uint64_t *out_ms)
{
	struct reader r = { .rest = text };
	struct co_date date = read_date(&r);
	int64_t ms = 0;

	if (!r.failed && r.rest.size) {
		if (at(&r, 'T') || at(&r, 't') || at(&r, ' '))
			skip(&r);
		else
			r.failed = true;
		ms = read_clock(&r);
		ms -= read_offset(&r);
	}
	if (r.failed || r.rest.size)
		return false;
	ms += co_days_of_date(date) * 86400000;
	if (ms < 0)
		return false;
	*out_ms = (uint64_t) ms;
	return true;
}
