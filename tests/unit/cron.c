/* SPDX-License-Identifier: MIT */
/*
 * Tests of cloudosd/service/cron.h and zone.h.  HOST.  Schedules are compared with a slow
 * reference that looks at every second; zones with glibc's.
 */
#include "cloudosd/service/cron.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/time.h"
#include "tests/run.h"
#include "tests/unit/tzif.h"

static struct cron must_parse(const char *text)
{
	struct co_err err = { 0 };
	struct cron cron;

	ck_assert_msg(cron_parse(&cron, co_span(text), &err) == 0, "%s", err.message);
	return cron;
}

static void refused(const char *text, const char *sentence)
{
	struct co_err err = { 0 };
	struct cron cron;

	ck_assert_msg(cron_parse(&cron, co_span(text), &err) == CO_INVALID,
		      "\"%s\" is taken", text);
	ck_assert_msg(strstr(err.message, sentence), "\"%s\": %s", text, err.message);
}

static int64_t moment(const char *text)
{
	uint64_t ms;

	ck_assert_msg(co_time_parse(co_span(text), &ms), "%s", text);
	return (int64_t) (ms / 1000);
}

/* What is due after `from`: "30T01:00 31T00:30", days and times in UTC. */
static const char *due(const struct zone *zone, const char *schedule, const char *from,
		       int n)
{
	static char out[512];
	struct cron cron = must_parse(schedule);
	int64_t at = moment(from);
	size_t size = 0;

	out[0] = '\0';
	for (int i = 0; i < n; i++) {
		struct co_date date;

		at = cron_next(&cron, zone, at);
		if (at == CRON_NEVER) {
			(void) snprintf(out + size, sizeof(out) - size, "%snever",
					i ? " " : "");
			break;
		}
		date = co_date_of_days(at / 86400);
		size += (size_t) snprintf(out + size, sizeof(out) - size,
					  "%s%02uT%02d:%02d", i ? " " : "", date.day,
					  (int) (at / 3600 % 24), (int) (at / 60 % 60));
	}
	return out;
}

START_TEST(a_schedule_that_cannot_be_read_is_refused_with_a_sentence)
{
	refused("", "five fields");
	refused("* * * *", "five fields");
	refused("* * * * * * *", "five fields");
	refused("60 * * * *", "from 0 to 59");
	refused("* 24 * * *", "from 0 to 23");
	refused("* * 0 * *", "from 1 to 31");
	refused("* * * 13 *", "from 1 to 12");
	refused("* * * * 8", "from 0 to 7");
	refused("5-1 * * * *", "smaller one up");
	refused("*/0 * * * *", "from 1 to 60");
	refused("*/61 * * * *", "from 1 to 60");
	refused("5/5 * * * *", "needs a range");
	refused("1,,2 * * * *", "number is missing");
	refused("1- * * * *", "number is missing");
	refused("*/ * * * *", "number is missing");
	refused("-5 * * * *", "number is missing");
	refused("1-2-3 * * * *", "numbers, ranges");
	refused("*/2/3 * * * *", "numbers, ranges");
	refused("99999999999 * * * *", "numbers, ranges");
	refused("* * L * *", "numbers, ranges");
	refused("* * * JAN,FOO *", "numbers, ranges");
	refused("@reboot", "@daily");
	refused("CRON_TZ=../etc/passwd * * * * *", "time zone");
	refused("CRON_TZ= * * * * *", "time zone");
	refused("* * * *\n*", "plain");
	refused("\xc3\xa4 * * * *", "plain");
}
END_TEST

START_TEST(a_schedule_that_is_never_due_is_refused)
{
	refused("0 0 30 2 *", "never due");
	refused("0 0 31 2,4,6,9,11 *", "never due");
	(void) must_parse("0 0 29 2 *");
	(void) must_parse("0 0 30 2 MON"); /* on Mondays in February */
	(void) must_parse("0 0 31 2,3 *");
}
END_TEST

START_TEST(a_schedule_may_have_256_bytes)
{
	char text[300];

	memset(text, ' ', sizeof(text));
	memcpy(text, "* * * * *", 9);
	text[256] = '\0';
	(void) must_parse(text);
	text[256] = ' ';
	text[257] = '\0';
	refused(text, "257 bytes");
}
END_TEST

static void same(const char *a, const char *b)
{
	struct cron x = must_parse(a), y = must_parse(b);

	ck_assert_msg(memcmp(&x, &y, sizeof(x)) == 0, "%s is not %s", a, b);
}

START_TEST(names_nicknames_and_blanks_mean_what_they_say)
{
	same("0 0 * jan-Mar mon,WED", "0 0 * 1-3 1,3");
	same("0 0 * * fri-SUN", "0 0 * * 5-7");
	same("0 0 * * 7", "0 0 * * 0");
	same("\t 5  4\t* * * ", "5 4 * * *");
	same("0 5 4 * * *", "5 4 * * *");
	same("? ? ? ? ?", "* * * * *");
	same("@daily", "0 0 * * *");
	same("@Midnight", "0 0 * * *");
	same("@hourly", "0 * * * *");
	same("@weekly", "0 0 * * SUN");
	same("@monthly", "0 0 1 * *");
	same("@yearly", "0 0 1 JAN *");
	same("@annually", "@yearly");
	ck_assert_str_eq(must_parse("CRON_TZ=Europe/Berlin @daily").zone,
			 "Europe/Berlin");
	ck_assert_str_eq(must_parse("TZ=UTC 1 2 * * *").zone, "UTC");
}
END_TEST

static struct zone *utc(void)
{
	struct zone *zone;

	ck_assert_int_eq(zone_read(&zone, "UTC", NULL), 0);
	return zone;
}

START_TEST(either_day_is_enough_when_both_are_restricted)
{
	struct zone *zone = utc();

	/* November 2026 begins on a Sunday */
	ck_assert_str_eq(due(zone, "0 0 13 * MON", "2026-11-01", 4),
			 "02T00:00 09T00:00 13T00:00 16T00:00");
	ck_assert_str_eq(due(zone, "0 0 * * MON", "2026-11-01", 2),
			 "02T00:00 09T00:00");
	ck_assert_str_eq(due(zone, "0 0 13 * *", "2026-11-01", 2), "13T00:00 13T00:00");
	zone_free(zone);
}
END_TEST

START_TEST(a_leap_day_is_found_over_eight_years)
{
	struct zone *zone = utc();
	struct cron cron = must_parse("0 12 29 2 *");

	ck_assert_int_eq(cron_next(&cron, zone, moment("2096-03-01")),
			 moment("2104-02-29T12:00:00Z"));
	cron = must_parse("59 59 23 31 12 *");
	ck_assert_int_eq(cron_next(&cron, zone, moment("9999-01-01")),
			 moment("9999-12-31T23:59:59Z"));
	ck_assert_int_eq(cron_next(&cron, zone, moment("9999-12-31T23:59:59Z")),
			 CRON_NEVER);
	zone_free(zone);
}
END_TEST

START_TEST(what_is_due_now_is_not_due_again)
{
	struct zone *zone = utc();

	ck_assert_str_eq(due(zone, "* * * * *", "2026-11-01T10:00:00Z", 2),
			 "01T10:01 01T10:02");
	ck_assert_str_eq(due(zone, "* * * * *", "2026-11-01T09:59:59Z", 1), "01T10:00");
	zone_free(zone);
}
END_TEST

/* ---- clocks that are changed ---- */

static struct zone *berlin(void)
{
	return tzif_zone("CET-1CEST,M3.5.0,M10.5.0/3");
}

START_TEST(a_time_in_a_gap_is_due_right_after_it)
{
	struct zone *zone = berlin();

	/* 30 March 2025: 02:00 is 03:00, which is 01:00 UTC */
	ck_assert_str_eq(due(zone, "30 2 * * *", "2025-03-29T12:00:00Z", 2),
			 "30T01:00 31T00:30");
	ck_assert_str_eq(due(zone, "0,30 2,3 * * *", "2025-03-29T12:00:00Z", 3),
			 "30T01:00 30T01:30 31T00:00");
	zone_free(zone);
}
END_TEST

START_TEST(a_time_that_comes_twice_is_due_at_the_first)
{
	struct zone *zone = berlin();

	/* 26 October 2025: 03:00 is 02:00, at 01:00 UTC */
	ck_assert_str_eq(due(zone, "30 2 * * *", "2025-10-25T12:00:00Z", 2),
			 "26T00:30 27T01:30");
	ck_assert_str_eq(due(zone, "30 2 * * *", "2025-10-26T00:45:00Z", 1),
			 "27T01:30");
	ck_assert_str_eq(due(zone, "30 2 * * *", "2025-10-26T01:15:00Z", 1),
			 "27T01:30");
	zone_free(zone);
}
END_TEST

START_TEST(every_half_hour_is_every_real_half_hour)
{
	struct zone *zone = berlin();

	ck_assert_str_eq(due(zone, "*/30 * * * *", "2025-03-30T00:00:00Z", 4),
			 "30T00:30 30T01:00 30T01:30 30T02:00");
	ck_assert_str_eq(due(zone, "*/30 * * * *", "2025-10-26T00:00:00Z", 4),
			 "26T00:30 26T01:00 26T01:30 26T02:00");
	ck_assert_str_eq(due(zone, "30 * * * *", "2025-10-26T00:00:00Z", 3),
			 "26T00:30 26T01:30 26T02:30");
	zone_free(zone);
}
END_TEST

START_TEST(southern_summers_and_half_hours_are_right)
{
	struct zone *zone = tzif_zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0");

	/* Lord Howe, 5 October 2025: 02:00 is 02:30, at 15:30 UTC the day before */
	ck_assert_str_eq(due(zone, "15 2 * * *", "2025-10-04T12:00:00Z", 2),
			 "04T15:30 05T15:15");
	/* 6 April 2025: 02:00 is 01:30, at 15:00 UTC the day before */
	ck_assert_str_eq(due(zone, "45 1 * * *", "2025-04-05T12:00:00Z", 2),
			 "05T14:45 06T15:15");
	zone_free(zone);
}
END_TEST

START_TEST(the_last_one_before_a_moment_is_found)
{
	struct zone *zone = utc();
	struct cron cron = must_parse("*/7 3 * * *");
	int64_t from = moment("2026-11-01"), until = moment("2026-11-15T12:00:00Z");

	ck_assert_int_eq(cron_last(&cron, zone, from, until),
			 moment("2026-11-15T03:56:00Z"));
	ck_assert_int_eq(cron_last(&cron, zone, moment("2026-11-15T03:56:00Z"), until),
			 CRON_NEVER);
	ck_assert_int_eq(cron_last(&cron, zone, moment("2026-11-15T03:55:59Z"),
				   moment("2026-11-15T03:56:00Z")),
			 moment("2026-11-15T03:56:00Z"));
	zone_free(zone);
}
END_TEST

/* ---- against every second ---- */

static uint64_t seed = 1;

static unsigned draw(unsigned n)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (unsigned) (seed >> 33) % n;
}

/* One field at random, and which values it means, told without any parser. */
struct reference {
	bool matches[6][64];
	bool any_day, any_weekday, names_times;
};

static void random_field(struct reference *ref, int field, unsigned min, unsigned max,
			 char *text)
{
	unsigned kind = draw(6), a = min + draw(max - min + 1),
		 b = a + draw(max - a + 1);
	unsigned step = 1 + draw(max - min + 1);

	memset(ref->matches[field], 0, sizeof(ref->matches[field]));
	for (unsigned v = min; v <= max; v++)
		ref->matches[field][v] = kind < 2    ? true
					 : kind == 2 ? (v - min) % step == 0
					 : kind == 3 ? v == a
					 : kind == 4 ? v >= a && v <= b
						     : v == a || v == b;
	if (field < 3 && kind < 3)
		ref->names_times = false;
	if (kind < 2)
		(void) snprintf(text, 16, "*");
	else if (kind == 2)
		(void) snprintf(text, 16, "*/%u", step);
	else if (kind == 3)
		(void) snprintf(text, 16, "%u", a);
	else
		(void) snprintf(text, 16, kind == 4 ? "%u-%u" : "%u,%u", a, b);
	if (field == 3)
		ref->any_day = kind < 2;
	if (field == 5)
		ref->any_weekday = kind < 2;
}

static bool shows(const struct reference *ref, int64_t local)
{
	struct co_date date = co_date_of_days(local / 86400);
	bool day = ref->matches[3][date.day];
	bool weekday = ref->matches[5][co_weekday_of_days(local / 86400)];

	return ref->matches[0][local % 60] && ref->matches[1][local / 60 % 60] &&
	       ref->matches[2][local / 3600 % 24] && ref->matches[4][date.month] &&
	       (ref->any_day || ref->any_weekday ? day && weekday : day || weekday);
}

/*
 * By the words of the rule: a named time is due when the clock has for the first time come
 * as far as it or further; any other whenever the clock shows it.
 */
static int64_t slow_next(const struct reference *ref, const struct zone *zone,
			 int64_t after, int64_t until)
{
	struct zone_period p = { .until = INT64_MIN };
	int64_t furthest = INT64_MIN;

	for (int64_t t = after - 27 * 3600; t <= until; t++) {
		int64_t local;

		if (t >= p.until)
			p = zone_period(zone, t);
		local = t + p.offset;
		if (!ref->names_times && t > after && shows(ref, local))
			return t;
		if (ref->names_times && t > after)
			for (int64_t c = furthest + 1; c <= local; c++)
				if (shows(ref, c))
					return t;
		if (local > furthest)
			furthest = local;
	}
	return CRON_NEVER;
}

static void compare_once(const struct zone *zone, int64_t change)
{
	static const unsigned mins[] = { 0, 0, 0, 1, 1, 0 };
	static const unsigned maxs[] = { 59, 59, 23, 31, 12, 6 };
	struct reference ref = { .names_times = true };
	char words[6][16], text[128];
	struct cron cron;
	int64_t after = change - 6 * 3600 + draw(8 * 3600), fast, slow;

	for (int f = 0; f < 6; f++)
		random_field(&ref, f, mins[f], maxs[f], words[f]);
	if (draw(3)) { /* most of them near the change */
		unsigned hour = draw(4);

		memset(ref.matches[2], 0, sizeof(ref.matches[2]));
		ref.matches[2][hour] = true;
		(void) snprintf(words[2], sizeof(words[2]), "%u", hour);
		ref.names_times = !strchr(words[0], '*') && !strchr(words[1], '*');
	}
	(void) snprintf(text, sizeof(text), "%s %s %s %s %s %s", words[0], words[1],
			words[2], words[3], words[4], words[5]);
	if (cron_parse(&cron, co_span(text), NULL) < 0)
		return; /* never due: not what is asked here */
	fast = cron_next(&cron, zone, after);
	slow = slow_next(&ref, zone, after, after + 36 * 3600);
	if (slow == CRON_NEVER)
		ck_assert_msg(fast > after + 36 * 3600, "%s after %lld is %lld", text,
			      (long long) after, (long long) fast);
	else
		ck_assert_msg(fast == slow, "%s after %lld: %lld, but slowly %lld",
			      text, (long long) after, (long long) fast,
			      (long long) slow);
}

START_TEST(a_reference_that_looks_at_every_second_agrees)
{
	static const struct {
		const char *rule, *change;
	} zones[] = {
		{ "CET-1CEST,M3.5.0,M10.5.0/3", "2025-03-30T01:00:00Z" },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", "2025-10-26T01:00:00Z" },
		{ "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2025-10-04T15:30:00Z" },
		{ "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2025-04-05T15:00:00Z" },
		/* at midnight, and a rule of more than a day */
		{ "<-03>3<-02>,M3.5.0/0,M10.5.0/0", "2025-03-30T03:00:00Z" },
		{ "<-02>2<-01>,M3.4.4/50,M10.4.4/50", "2025-03-29T04:00:00Z" },
	};
	const char *count = getenv("CO_CRON_COUNT");
	long n = count ? strtol(count, NULL, 10) : 60;

	for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
		struct zone *zone = tzif_zone(zones[z].rule);

		for (long i = 0; i < n; i++)
			compare_once(zone, moment(zones[z].change));
		zone_free(zone);
	}
}
END_TEST

/* A day that is left out (Samoa, 30 December 2011) and one that comes twice. */
START_TEST(whole_days_are_left_out_and_come_twice)
{
	static const struct tzif_change samoa[] = { { 1325239200, 50400 } };
	static const struct tzif_change kwajalein[] = { { 1325239200, -36000 } };
	struct zone *zone = tzif_changes(-36000, samoa, 1);

	ck_assert_str_eq(due(zone, "0 8,20 * * *", "2011-12-29T12:00:00Z", 4),
			 "29T18:00 30T06:00 30T10:00 30T18:00");
	for (int i = 0; i < 40; i++)
		compare_once(zone, samoa[0].at);
	zone_free(zone);
	zone = tzif_changes(50400, kwajalein, 1);
	for (int i = 0; i < 40; i++)
		compare_once(zone, kwajalein[0].at);
	zone_free(zone);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cron");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, a_schedule_that_cannot_be_read_is_refused_with_a_sentence);
	tcase_add_test(tc, a_schedule_that_is_never_due_is_refused);
	tcase_add_test(tc, a_schedule_may_have_256_bytes);
	tcase_add_test(tc, names_nicknames_and_blanks_mean_what_they_say);
	tcase_add_test(tc, either_day_is_enough_when_both_are_restricted);
	tcase_add_test(tc, a_leap_day_is_found_over_eight_years);
	tcase_add_test(tc, what_is_due_now_is_not_due_again);
	tcase_add_test(tc, a_time_in_a_gap_is_due_right_after_it);
	tcase_add_test(tc, a_time_that_comes_twice_is_due_at_the_first);
	tcase_add_test(tc, every_half_hour_is_every_real_half_hour);
	tcase_add_test(tc, southern_summers_and_half_hours_are_right);
	tcase_add_test(tc, the_last_one_before_a_moment_is_found);
	tcase_add_test(tc, a_reference_that_looks_at_every_second_agrees);
	tcase_add_test(tc, whole_days_are_left_out_and_come_twice);
	return run_tests(tc);
}
