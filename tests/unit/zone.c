/* SPDX-License-Identifier: MIT */
/*
 * Tests of cloudosd/service/zone.h and lib/time.h.  HOST.  glibc, which has one zone for a
 * whole process, is the reference for both.
 */
#include "cloudosd/service/zone.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/time.h"
#include "tests/run.h"
#include "tests/unit/tzif.h"

static uint64_t seed = 7;

static uint64_t draw(uint64_t n)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (seed >> 20) % n;
}

/* ---- names and files ---- */

START_TEST(names_do_not_lead_out_of_the_folder)
{
	static const char *const good[] = { "UTC", "Europe/Berlin", "Etc/GMT+5",
					    "America/Argentina/Buenos_Aires",
					    "America/Port-au-Prince" };
	static const char *const bad[] = { "",     "/etc/passwd", "../x",   "a/../b",
					   "a//b", "a/",          ".x",     "a b",
					   "a\nb", "a/./b",       "1",      "-x",
					   "a\\b", "a:b",         "caf\xe9" };
	struct zone *zone;
	struct co_err err;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(zone_name_is_valid(good[i], strlen(good[i])), "%s",
			      good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(!zone_name_is_valid(bad[i], strlen(bad[i])), "%s",
			      bad[i]);
		ck_assert_int_eq(zone_read(&zone, bad[i], &err), CO_INVALID);
	}
	ck_assert(!zone_name_is_valid("a\0b", 3));
}
END_TEST

START_TEST(without_tzdata_there_is_utc_only_and_a_sentence)
{
	struct zone *zone;
	struct co_err err = { 0 };

	ck_assert_int_eq(setenv("TZDIR", "/nowhere/at/all", 1), 0);
	ck_assert_int_eq(zone_read(&zone, "UTC", &err), 0);
	ck_assert_int_eq(zone_period(zone, 1700000000).offset, 0);
	ck_assert_str_eq(zone_name(zone), "UTC");
	zone_free(zone);
	ck_assert_int_eq(zone_read(&zone, "Europe/Berlin", &err), CO_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "install the package tzdata"));
}
END_TEST

static char folder[] = "/tmp/zone-XXXXXX";

static void write_zone(const char *name, const void *data, size_t size)
{
	char path[128];
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

static int read_back(const char *name, struct co_err *err)
{
	struct zone *zone = NULL;
	int r = zone_read(&zone, name, err);

	zone_free(zone);
	return r;
}

START_TEST(a_folder_a_pipe_and_too_large_a_file_are_no_zones)
{
	static uint8_t data[70000];
	size_t size = tzif_file(data, 3600, NULL, 0, "CET-1");
	struct co_err err;
	char path[128];

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(setenv("TZDIR", folder, 1), 0);
	write_zone("Good", data, size);
	ck_assert_int_eq(read_back("Good", &err), 0);
	ck_assert_int_eq(read_back("Missing", &err), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "no time zone \"Missing\""));
	(void) snprintf(path, sizeof(path), "%s/Folder", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(read_back("Folder", &err), CO_INVALID);
	ck_assert_int_eq(rmdir(path), 0);
	(void) snprintf(path, sizeof(path), "%s/Pipe", folder);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(read_back("Pipe", &err), CO_INVALID);
	ck_assert_int_eq(unlink(path), 0);
	write_zone("Large", data, sizeof(data));
	ck_assert_int_eq(read_back("Large", &err), CO_CORRUPT);
	for (const char *const *name = (const char *const[]){ "Good", "Large", NULL };
	     *name; name++) {
		(void) snprintf(path, sizeof(path), "%s/%s", folder, *name);
		ck_assert_int_eq(unlink(path), 0);
	}
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

static const struct tzif_change changes[] = { { -1000000000, 3600 },
					      { 500000000, 7200 },
					      { 900000000, 3600 } };

static int parse(const void *data, size_t size, struct co_err *err)
{
	uint8_t *copy = malloc(size ? size : 1); /* ends where the file does */
	struct zone *zone = NULL;
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, data, size);
	r = zone_parse(&zone, "Test/Zone", copy, size, err);
	free(copy);
	for (int i = 0; r == 0 && i < 200; i++) {
		int64_t utc = i < 4 ? changes[i % 3].at
				    : (int64_t) draw(1ULL << (3 + i % 60)) -
					      (i % 2 ? 0 : 1LL << 40);
		struct zone_period p = zone_period(zone, utc);

		ck_assert_msg(p.from <= utc && utc < p.until,
			      "%lld is not in its period", (long long) utc);
		ck_assert_int_le(abs(p.offset), 26 * 3600);
	}
	zone_free(zone);
	return r;
}

START_TEST(a_file_that_is_cut_off_anywhere_is_damaged)
{
	uint8_t data[TZIF_SIZE];
	size_t size = tzif_file(data, 0, changes, 3, "CET-1CEST,M3.5.0,M10.5.0/3");

	ck_assert_int_eq(parse(data, size, NULL), 0);
	for (size_t n = 0; n < size; n++) {
		struct co_err err = { 0 };

		ck_assert_int_eq(parse(data, n, &err), CO_CORRUPT);
		ck_assert_ptr_nonnull(strstr(err.message, "Test/Zone"));
	}
}
END_TEST

START_TEST(a_file_with_any_bytes_changed_is_read_within_bounds)
{
	uint8_t data[TZIF_SIZE], copy[TZIF_SIZE];
	size_t size = tzif_file(data, 0, changes, 3, "CET-1CEST,M3.5.0,M10.5.0/3");

	for (int i = 0; i < 20000; i++) {
		int r;

		memcpy(copy, data, size);
		for (uint64_t n = 1 + draw(4); n; n--)
			copy[draw(size)] = (uint8_t) draw(256);
		r = parse(copy, size, NULL);
		ck_assert_msg(r == 0 || r == CO_CORRUPT, "%d", r);
	}
}
END_TEST

START_TEST(footers_that_are_none_are_refused)
{
	static const char *const bad[] = {
		"C",
		"CET",
		"CET-25",
		"CET-1CEST",
		"CET-1CEST,M3.5.0",
		"CET-1CEST,M13.5.0,M10.5.0",
		"<CET-1",
		"CET-1CEST,M3.0.0,M10.5.0",
		"CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,J0,J365",
		"CET-1CEST,M3.5.0/168,M10.5.0",
		"CET-1x",
		"CET-1CEST,366,5",
		"CET-1CEST,M3.5.0,M10.5.0 ",
	};
	uint8_t data[TZIF_SIZE];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parse(data, tzif_file(data, 0, NULL, 0, bad[i]), NULL) ==
				      CO_CORRUPT,
			      "%s", bad[i]);
}
END_TEST

/* ---- against glibc ---- */

static void compare_with_glibc(const struct zone *zone, const char *name, int64_t utc)
{
	time_t t = (time_t) utc;
	struct tm tm;

	ck_assert_ptr_nonnull(localtime_r(&t, &tm));
	ck_assert_msg(zone_period(zone, utc).offset == tm.tm_gmtoff,
		      "%s at %lld: %d, glibc has %ld", name, (long long) utc,
		      zone_period(zone, utc).offset, tm.tm_gmtoff);
}

/* Walks from change to change, looking at both sides of each. */
static void walk(const struct zone *zone, const char *name, int64_t from, int64_t until)
{
	for (int64_t utc = from; utc < until;) {
		struct zone_period p = zone_period(zone, utc);

		ck_assert(p.from <= utc && utc < p.until);
		if (p.until > until)
			break;
		compare_with_glibc(zone, name, p.until - 1);
		compare_with_glibc(zone, name, p.until);
		utc = p.until;
	}
}

START_TEST(rules_at_the_end_of_files_are_those_of_glibc)
{
	static const char *const rules[] = {
		"UTC0",
		"CET-1CEST,M3.5.0,M10.5.0/3",
		"EST5EDT,M3.2.0,M11.1.0",
		"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
		"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
		"IST-1GMT0,M10.5.0,M3.5.0/1",
		"XXX3YYY,J60/2,J300/2",
		"XXX3YYY,59,300",
		"AEST-10AEDT,M10.1.0,M4.1.0/3",
		"<+0330>-3:30<+0430>,J79/24,J263/24",
		"EET-2EEST,M3.4.4/50,M10.4.4/50",
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct zone *zone = tzif_zone(rules[i]);

		ck_assert_int_eq(setenv("TZ", rules[i], 1), 0);
		tzset();
		walk(zone, rules[i], 0, 4102444800);
		for (int k = 0; k < 2000; k++)
			compare_with_glibc(zone, rules[i], (int64_t) draw(8000000000));
		zone_free(zone);
	}
}
END_TEST

static const char *const places[] = {
	"Africa/Cairo",      "Africa/Casablanca",   "America/Argentina/San_Luis",
	"America/Asuncion",  "America/Caracas",     "America/Havana",
	"America/New_York",  "America/Nuuk",        "America/Sao_Paulo",
	"America/St_Johns",  "Antarctica/Troll",    "Asia/Dhaka",
	"Asia/Gaza",         "Asia/Kathmandu",      "Asia/Manila",
	"Asia/Pyongyang",    "Asia/Tehran",         "Asia/Tokyo",
	"Atlantic/Azores",   "Australia/Lord_Howe", "Etc/GMT+12",
	"Europe/Berlin",     "Europe/Dublin",       "Europe/Istanbul",
	"Europe/London",     "Europe/Moscow",       "Pacific/Apia",
	"Pacific/Auckland",  "Pacific/Chatham",     "Pacific/Kiritimati",
	"Pacific/Kwajalein",
};

START_TEST(zones_of_the_world_are_those_of_glibc)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct zone *zone;
		struct co_err err = { 0 };

		ck_assert_msg(zone_read(&zone, places[i], &err) == 0, "%s",
			      err.message);
		ck_assert_int_eq(setenv("TZ", places[i], 1), 0);
		tzset();
		walk(zone, places[i], -2500000000, 4102444800);
		for (int k = 0; k < 2000; k++)
			compare_with_glibc(zone, places[i],
					   (int64_t) draw(10000000000) - 2500000000);
		zone_free(zone);
	}
}
END_TEST

/* ---- days and moments ---- */

START_TEST(days_are_those_of_glibc)
{
	for (int i = 0; i < 200000; i++) {
		int64_t days = (int64_t) draw(3000000) - 700000;
		time_t t = (time_t) days * 86400;
		struct co_date date = co_date_of_days(days);
		struct tm tm;

		ck_assert_ptr_nonnull(gmtime_r(&t, &tm));
		ck_assert_int_eq(date.year, tm.tm_year + 1900);
		ck_assert_uint_eq(date.month, (unsigned) tm.tm_mon + 1);
		ck_assert_uint_eq(date.day, (unsigned) tm.tm_mday);
		ck_assert_uint_eq(co_weekday_of_days(days), (unsigned) tm.tm_wday);
		ck_assert_int_eq(co_days_of_date(date), days);
	}
}
END_TEST

START_TEST(moments_are_read_and_others_refused)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2025-11-20T12:00:00Z", 1763640000000 },
		{ "2025-11-20T12:00:00.123Z", 1763640000123 },
		{ "2025-11-20T12:00:00.1Z", 1763640000100 },
		{ "2025-11-20T12:00:00.123999999999999999999Z", 1763640000123 },
		{ "2025-11-20t13:30:00+01:30", 1763640000000 },
		{ "2025-11-20 07:00:00-05:00", 1763640000000 },
		{ "2025-11-20", 1763596800000 },
		{ "2024-02-29T00:00:00z", 1709164800000 },
		{ "2016-12-31T23:59:60Z", 1483228799999 },
		{ "9999-12-31T23:59:59.999Z", 253402300799999 },
		{ "1970-01-01T00:00:00+00:01", -1 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "2025-02-29", -1 },
		{ "2025-11-31T00:00:00Z", -1 },
		{ "2025-13-01", -1 },
		{ "2025-00-01", -1 },
		{ "2025-11-20T24:00:00Z", -1 },
		{ "2025-11-20T12:60:00Z", -1 },
		{ "2025-11-20T12:00:61Z", -1 },
		{ "2025-11-20T12:00:00", -1 },
		{ "2025-11-20T12:00Z", -1 },
		{ "2025-11-20T12:00:00.Z", -1 },
		{ "2025-11-20T12:00:00+0100", -1 },
		{ "2025-11-20T12:00:00+24:00", -1 },
		{ "2025-11-20T12:00:00Z ", -1 },
		{ "2025-11-20T", -1 },
		{ "+2025-11-20", -1 },
		{ "25-11-20", -1 },
		{ "", -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 42;
		bool good = co_time_parse(co_span(cases[i].text), &ms);

		ck_assert_msg(good == (cases[i].ms >= 0), "\"%s\"", cases[i].text);
		ck_assert_msg(ms == (good ? (uint64_t) cases[i].ms : 42),
			      "\"%s\" is %llu", cases[i].text, (unsigned long long) ms);
	}
}
END_TEST

/* Every moment that strftime writes is read back, and no cut or damaged one is taken for
 * another than timegm and strptime have. */
START_TEST(moments_are_those_of_glibc)
{
	for (int i = 0; i < 50000; i++) {
		uint64_t at = draw(253402300800), ms, thousandth = draw(1000);
		int zone = (int) draw(1439) - 719;
		time_t t = (time_t) at + zone * 60;
		char text[64];
		struct tm tm;
		size_t n;

		if (t < 0 || t >= 253402300800)
			continue;
		ck_assert_ptr_nonnull(gmtime_r(&t, &tm));
		n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
		if (tm.tm_year + 1900 < 1970 || n != 19)
			continue;
		(void) snprintf(text + n, sizeof(text) - n, ".%03u%c%02d:%02d",
				(unsigned) thousandth, zone < 0 ? '-' : '+',
				abs(zone) / 60, abs(zone) % 60);
		ck_assert_msg(co_time_parse(co_span(text), &ms), "%s", text);
		ck_assert_msg(ms == at * 1000 + thousandth, "%s", text);
		text[draw(strlen(text))] = (char) (1 + draw(126));
		if (co_time_parse(co_span(text), &ms))
			ck_assert_uint_le(ms, 253402300799999 + 86400000);
	}
}
END_TEST

/* Is the test of the world to run? */
static bool has_tzdata(void)
{
	struct stat st;
	const char *strict = getenv("CO_STRICT");

	if (stat("/usr/share/zoneinfo/Europe/Berlin", &st) == 0 ||
	    (strict && strcmp(strict, "1") == 0))
		return true;
	(void) printf("SKIP: zones of the world: apt-get install tzdata\n");
	return false;
}

int main(void)
{
	TCase *tc = tcase_create("zone");

	tcase_add_test(tc, names_do_not_lead_out_of_the_folder);
	tcase_add_test(tc, without_tzdata_there_is_utc_only_and_a_sentence);
	tcase_add_test(tc, a_folder_a_pipe_and_too_large_a_file_are_no_zones);
	tcase_add_test(tc, a_file_that_is_cut_off_anywhere_is_damaged);
	tcase_add_test(tc, a_file_with_any_bytes_changed_is_read_within_bounds);
	tcase_add_test(tc, footers_that_are_none_are_refused);
	tcase_add_test(tc, rules_at_the_end_of_files_are_those_of_glibc);
	if (has_tzdata())
		tcase_add_test(tc, zones_of_the_world_are_those_of_glibc);
	tcase_add_test(tc, days_are_those_of_glibc);
	tcase_add_test(tc, moments_are_read_and_others_refused);
	tcase_add_test(tc, moments_are_those_of_glibc);
	return run_tests(tc);
}
