/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: schedules, time zone files and moments.  HOST.  The first byte says which:
 * 'z' a TZif file, 't' a moment of RFC 3339, anything else a schedule.  Schedules and moments
 * are compared with slow references that read the text anew for each question.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cloudosd/service/cron.h"
#include "lib/time.h"
#include "tests/fuzz/target.h"

#define RULE "CET-1CEST,M3.5.0,M10.5.0/3"

static struct zone *berlin(void)
{
	static struct zone *zone;
	uint8_t data[256] = { 0 };
	uint8_t *second = data + 44 + 6 + 1, *end;

	if (zone)
		return zone;
	memcpy(data, "TZif2", 5);
	data[39] = data[43] = 1; /* a type, a byte of names */
	memcpy(second, data, 44);
	end = second + 44 + 6 + 1;
	end += snprintf((char *) end, 64, "\n%s\n", RULE);
	if (zone_parse(&zone, "Europe/Berlin", data, (size_t) (end - data), NULL) < 0)
		abort();
	return zone;
}

/* ---- moments ---- */

static bool digits(const char *s, int from, int to)
{
	for (int i = from; i < to; i++)
		if (!isdigit((unsigned char) s[i]))
			return false;
	return true;
}

static int two(const char *s)
{
	return (s[0] - '0') * 10 + s[1] - '0';
}

/* -1: it is none. */
static int64_t slow_moment(const char *s)
{
	struct tm tm = { 0 }, back;
	int64_t ms = 0, offset;
	time_t at;
	size_t n = strlen(s);
	bool leap;

	if (n < 10 || !digits(s, 0, 4) || s[4] != '-' || !digits(s, 5, 7) ||
	    s[7] != '-' || !digits(s, 8, 10))
		return -1;
	tm.tm_year = two(s) * 100 + two(s + 2) - 1900;
	tm.tm_mon = two(s + 5) - 1;
	tm.tm_mday = two(s + 8);
	back = tm;
	at = timegm(&back);
	if (back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday || tm.tm_mon < 0 ||
	    !tm.tm_mday)
		return -1;
	if (n == 10)
		return at < 0 ? -1 : at * 1000;
	if (n < 20 || !strchr("Tt ", s[10]) || !digits(s, 11, 13) || s[13] != ':' ||
	    !digits(s, 14, 16) || s[16] != ':' || !digits(s, 17, 19) ||
	    two(s + 11) > 23 || two(s + 14) > 59 || two(s + 17) > 60)
		return -1;
	leap = two(s + 17) == 60;
	at += two(s + 11) * 3600 + two(s + 14) * 60 + (leap ? 59 : two(s + 17));
	s += 19;
	if (*s == '.') {
		if (!isdigit((unsigned char) *++s))
			return -1;
		for (int weight = 100; isdigit((unsigned char) *s); s++, weight /= 10)
			ms += (*s - '0') * weight;
	}
	if (leap)
		ms = 999;
	if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0) {
		offset = 0;
	} else {
		if (strlen(s) != 6 || (*s != '+' && *s != '-') || !digits(s, 1, 3) ||
		    s[3] != ':' || !digits(s, 4, 6) || two(s + 1) > 23 ||
		    two(s + 4) > 59)
			return -1;
		offset = (two(s + 1) * 60 + two(s + 4)) * (*s == '-' ? -60 : 60);
	}
	ms += (at - offset) * 1000;
	return ms < 0 ? -1 : ms;
}

static void moment(const char *text, size_t size)
{
	uint64_t ms = 0;
	bool good = co_time_parse((struct co_span){ text, size }, &ms);
	int64_t slow = strlen(text) == size ? slow_moment(text) : -1;

	if (good != (slow >= 0) || (good && ms != (uint64_t) slow))
		abort();
}

/* ---- zones ---- */

static void zone_file(const char *data, size_t size)
{
	struct co_err err = { 0 };
	struct zone *zone = NULL;
	struct cron cron;
	int64_t at = 0;
	int r = zone_parse(&zone, "Fuzz", data, size, &err);

	if (r < 0 && (r != CO_CORRUPT || !*err.message))
		abort();
	if (r < 0)
		return;
	for (int i = 0; i < 64; i++) {
		int64_t utc = (int64_t) ((uint64_t) (i + 1) * 0x9e3779b97f4a7c15U) >>
			      (8 + i % 40);
		struct zone_period p = zone_period(zone, utc);

		if (p.from > utc || utc >= p.until || p.offset < -93600 ||
		    p.offset > 93600)
			abort();
	}
	if (cron_parse(&cron, co_span("30 2 * * 1-5"), NULL) < 0)
		abort();
	for (int i = 0; i < 20; i++) {
		int64_t next = cron_next(&cron, zone, at);

		if (next <= at)
			abort();
		at = next;
	}
	(void) zone_free(zone); /* is NULL */
}

/* ---- schedules ---- */

static int value_of(const char *text, size_t n)
{
	static const char *const names[] = { "JAN", "FEB", "MAR", "APR", "MAY",
					     "JUN", "JUL", "AUG", "SEP", "OCT",
					     "NOV", "DEC", "SUN", "MON", "TUE",
					     "WED", "THU", "FRI", "SAT" };

	for (int i = 0; n == 3 && i < 19; i++)
		if (strncasecmp(text, names[i], 3) == 0)
			return i < 12 ? i + 1 : i - 12;
	return (int) strtol(text, NULL, 10);
}

/* One part of a list: does it hold the value?  The text is known to be right. */
static bool part_holds(const char *part, size_t n, int value, int min)
{
	const char *slash = memchr(part, '/', n);
	int step = slash ? (int) strtol(slash + 1, NULL, 10) : 1, from = min, to = 59;
	size_t range = slash ? (size_t) (slash - part) : n;
	const char *dash = memchr(part, '-', range);

	if (*part != '*' && *part != '?') {
		from = value_of(part, dash ? (size_t) (dash - part) : range);
		to = dash ? value_of(dash + 1, (size_t) (part + range - dash - 1))
			  : from;
		if (dash && to == 0 && from > 0)
			to = 7;
	}
	return value >= from && value <= to && (value - from) % step == 0;
}

static bool field_holds(const char *field, int value, int min)
{
	for (;;) {
		size_t n = strcspn(field, ",");

		if (part_holds(field, n, value, min))
			return true;
		if (!field[n])
			return false;
		field += n + 1;
	}
}

static bool weekday_holds(const char *field, int weekday)
{
	return field_holds(field, weekday, 0) ||
	       (weekday == 0 && *field != '*' && *field != '?' &&
		field_holds(field, 7, 0));
}

static bool is_any(const char *field)
{
	return strcmp(field, "*") == 0 || strcmp(field, "?") == 0;
}

static bool slow_shows(char *const words[6], int64_t local)
{
	time_t t = (time_t) local;
	struct tm tm;
	bool day, weekday;

	if (!gmtime_r(&t, &tm))
		abort();
	day = field_holds(words[3], tm.tm_mday, 1);
	weekday = weekday_holds(words[5], tm.tm_wday);
	return field_holds(words[0], tm.tm_sec, 0) &&
	       field_holds(words[1], tm.tm_min, 0) &&
	       field_holds(words[2], tm.tm_hour, 0) &&
	       field_holds(words[4], tm.tm_mon + 1, 1) &&
	       (is_any(words[3]) || is_any(words[5]) ? day && weekday : day || weekday);
}

/* The six fields of a text that was taken; false: a nickname. */
static bool split(char *text, char *words[6])
{
	char *rest = NULL, *word;
	int n = 0;

	for (word = strtok_r(text, " \t", &rest); word;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (n == 0 &&
		    (strncmp(word, "CRON_TZ=", 8) == 0 || strncmp(word, "TZ=", 3) == 0))
			continue;
		if (*word == '@')
			return false;
		if (n == 6)
			abort();
		words[n++] = word;
	}
	if (n == 5) {
		static char zero[] = "0";

		memmove(words + 1, words, 5 * sizeof(*words));
		words[0] = zero;
	} else if (n != 6) {
		abort();
	}
	return true;
}

/* In UTC: what is due is shown, and nothing between is. */
static void check_due(const struct cron *cron, char *const words[6], int64_t after)
{
	struct zone *utc;
	int64_t next;

	if (zone_read(&utc, "UTC", NULL) < 0)
		abort();
	next = cron_next(cron, utc, after);
	if (next <= after || (next != CRON_NEVER && !slow_shows(words, next)))
		abort();
	for (int64_t t = after + 1; t < next && t < after + 120; t++)
		if (slow_shows(words, t))
			abort();
	for (int64_t i = 1; i <= 60; i++) {
		int64_t t = after + (next - after) / 61 * i;

		if (next != CRON_NEVER && t > after && t < next && slow_shows(words, t))
			abort();
	}
	if (next != CRON_NEVER && cron_last(cron, utc, after, next) != next)
		abort();
	(void) zone_free(utc); /* is NULL */
}

static void schedule(char *text, size_t size)
{
	struct co_err err = { 0 };
	struct cron cron;
	char *words[6];
	int64_t after = 1700000000 + (int64_t) (size * 86413) % 100000000, at = after;

	if (cron_parse(&cron, (struct co_span){ text, size }, &err) < 0) {
		if (err.code != CO_INVALID || !*err.message)
			abort();
		return;
	}
	if (!cron.days || !cron.months || !cron.weekdays || !cron.hours ||
	    !cron.minutes || !cron.seconds || cron.days & 1 || cron.months & 1)
		abort();
	if (split(text, words))
		check_due(&cron, words, after);
	for (int i = 0; i < 5; i++) {
		int64_t next = cron_next(&cron, berlin(), at);

		if (next <= at)
			abort();
		at = next;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = malloc(size); /* one more than what is left, for a NUL */
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (*data == 'z')
		zone_file(text, size - 1);
	else if (*data == 't')
		moment(text, size - 1);
	else
		schedule(text, size - 1);
	free(text);
	return 0;
}
