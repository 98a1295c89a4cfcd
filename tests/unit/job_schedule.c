/* SPDX-License-Identifier: MIT */
/* Jobs with schedules: ticks, zones, missed ones, clocks that jump, overlaps.  HOST. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/job_fixture.h"
#include "tests/unit/tzif.h"

#define NOW "2026-11-20T12:00:00Z"

/* ---- schedules ---- */

START_TEST(a_schedule_makes_a_run_each_time)
{
	const char *id;

	world_begin("2026-11-20T12:00:30Z");
	world.answer_at_once = true;
	id = keep(world_create("{\"schedule\":\"*/10 * * * *\",\"params\":{\"a\":1}}"));
	is(id, "status", "\"queued\"");
	is(id, "schedule", "\"*/10 * * * *\"");
	is(id, "timezone", "\"UTC\"");
	is(id, "nextRunAt", "\"2026-11-20T12:10:00.000Z\"");
	is(id, "lastRunAt", "");
	world_advance_to("2026-11-20T12:35:00Z");
	ck_assert_uint_eq(world.ntasks, 3);
	ck_assert_str_eq(world.tasks[2].params, "{\"a\":1}");
	is(id, "nextRunAt", "\"2026-11-20T12:40:00.000Z\"");
	is(id, "lastRunAt", "\"2026-11-20T12:30:00.000Z\"");
	is(id, "lastStatus", "\"completed\"");
	is(id, "runCount", "3");
	ck_assert_ptr_nonnull(strstr(world_member_of(task_run(1), "parent"), id));
	is(task_run(1), "scheduledFor", "\"2026-11-20T12:20:00.000Z\"");
	(void) world_list(id);
	ck_assert_str_eq(world_member("total"), "3");
	world_end();
}
END_TEST

START_TEST(a_cancelled_schedule_takes_its_runs_with_it)
{
	const char *id;

	world_begin("2026-11-20T12:00:30Z");
	id = keep(world_create("{\"schedule\":\"* * * * *\"}"));
	world_advance_to("2026-11-20T12:01:00Z");
	ck_assert_uint_eq(world.ntasks, 1);
	is(id, "status", "\"running\"");
	ck_assert_int_eq(world_cancel(id), 0);
	is(id, "status", "\"cancelled\"");
	is(id, "nextRunAt", "");
	is(task_run(0), "status", "\"cancelled\"");
	ck_assert_uint_eq(world.ncancelled, 1);
	world_advance_to("2026-11-20T12:30:00Z");
	ck_assert_uint_eq(world.ntasks, 1);
	ck_assert(!jobs_keep_alive(world.jobs));
	world_end();
}
END_TEST

static char folder[] = "/tmp/job-zones-XXXXXX";

static void make_zone(const char *name, const char *rule)
{
	uint8_t data[TZIF_SIZE];
	char path[128];
	size_t size = tzif_file(data, 0, NULL, 0, rule);
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(schedules_follow_the_clocks_of_their_zones)
{
	const char *berlin, *sydney, *often;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	make_zone("Berlin", "CET-1CEST,M3.5.0,M10.5.0/3");
	make_zone("Sydney", "AEST-10AEDT,M10.1.0,M4.1.0/3");
	ck_assert_int_eq(setenv("TZDIR", folder, 1), 0);
	world_begin("2025-03-29T20:00:00Z");
	world.answer_at_once = true;
	berlin = keep(world_create("{\"schedule\":\"CRON_TZ=Berlin 30 2 * * *\"}"));
	is(berlin, "timezone", "\"Berlin\"");
	is(berlin, "nextRunAt", "\"2025-03-30T01:00:00.000Z\""); /* 02:30 is left out */
	sydney = keep(
		world_create("{\"schedule\":\"30 2 * * *\",\"timezone\":\"Sydney\"}"));
	is(sydney, "nextRunAt", "\"2025-03-30T15:30:00.000Z\"");
	world_advance_to("2025-03-30T02:00:00Z");
	ck_assert_uint_eq(world.ntasks, 1);
	is(berlin, "nextRunAt", "\"2025-03-31T00:30:00.000Z\"");
	world_kill();
	world_set("2025-10-25T23:50:00Z"); /* 26 October, 02:00 to 03:00 comes twice */
	world_start();
	world_attach();
	world.ntasks = 0;
	fake_settle(&world.fake);
	often = keep(world_create(
		"{\"schedule\":\"*/30 * * * *\",\"timezone\":\"Berlin\"}"));
	ck_assert_str_ne(often, "");
	world_advance_to("2025-10-26T02:10:00Z");
	is(often, "runCount", "5"); /* 00:00, 00:30, 01:00, 01:30, 02:00 of UTC */
	is(berlin, "runCount",
	   "3"); /* the first, the one made up for, the first 02:30 */
	is(berlin, "nextRunAt", "\"2025-10-27T01:30:00.000Z\"");
	world_end();
	(void) unlink("Berlin");
}
END_TEST

/* Two weeks off with a schedule of every hour. */
static const char *after_two_weeks(const char *misfire)
{
	char spec[96];
	const char *id;

	world_begin("2026-11-01T12:30:00Z");
	(void) snprintf(spec, sizeof(spec),
			"{\"schedule\":\"@hourly\",\"misfire\":\"%s\"}", misfire);
	id = keep(world_create(spec));
	world_kill();
	world_set("2026-11-15T12:30:00Z");
	world_start();
	world.answer_at_once = true;
	world_attach();
	fake_settle(&world.fake);
	return id;
}

START_TEST(the_newest_missed_tick_is_made_up_for)
{
	const char *id = after_two_weeks("once");

	ck_assert_uint_eq(world.ntasks, 1);
	is(task_run(0), "scheduledFor", "\"2026-11-15T12:00:00.000Z\"");
	is(id, "missed", "335");
	is(id, "runCount", "1");
	is(id, "nextRunAt", "\"2026-11-15T13:00:00.000Z\"");
	world_end();
}
END_TEST

START_TEST(missed_ticks_are_skipped_if_asked)
{
	const char *id = after_two_weeks("skip");

	ck_assert_uint_eq(world.ntasks, 0);
	is(id, "missed", "336");
	is(id, "nextRunAt", "\"2026-11-15T13:00:00.000Z\"");
	world_advance_to("2026-11-15T13:00:00Z");
	ck_assert_uint_eq(world.ntasks, 1);
	world_end();
}
END_TEST

START_TEST(a_hundred_missed_ticks_are_made_up_for_if_asked)
{
	const char *id = after_two_weeks("all");

	ck_assert_uint_eq(world.ntasks, 100);
	is(task_run(0), "scheduledFor", "\"2026-11-11T09:00:00.000Z\"");
	is(task_run(99), "scheduledFor", "\"2026-11-15T12:00:00.000Z\"");
	is(id, "missed", "236");
	is(id, "runCount", "100");
	world_end();
}
END_TEST

START_TEST(a_tick_of_more_than_a_day_ago_is_not_made_up_for)
{
	const char *id;

	world_begin("2026-11-01T12:30:00Z");
	id = keep(world_create("{\"schedule\":\"0 0 2 11 *\"}"));
	world_kill();
	world_set("2026-11-03T00:00:01Z");
	world_start();
	world_attach();
	ck_assert_uint_eq(world.ntasks, 0);
	is(id, "missed", "1");
	is(id, "nextRunAt", "\"2027-11-02T00:00:00.000Z\"");
	world_end();
}
END_TEST

START_TEST(two_years_of_missed_seconds_are_counted_up_to_a_bound)
{
	const char *id;

	world_begin("2026-11-01T12:30:00Z");
	id = keep(world_create("{\"schedule\":\"* * * * * *\",\"misfire\":\"all\"}"));
	world_kill();
	world_set("2028-11-01T12:30:00Z");
	world_start();
	world_attach();
	is(id, "nextRunAt", "\"2028-11-01T12:30:01.000Z\"");
	is(id, "missed", "9901");
	world_end();
}
END_TEST

/* ---- clocks that jump ---- */

START_TEST(a_clock_set_forward_misses_ticks_as_a_sleep_does)
{
	const char *id;

	world_begin("2026-11-20T12:00:30Z");
	world.answer_at_once = true;
	id = keep(world_create("{\"schedule\":\"*/10 * * * *\"}"));
	world_advance_to("2026-11-20T12:11:00Z");
	ck_assert_uint_eq(world.ntasks, 1);
	world_set("2026-11-20T18:05:00Z");
	fake_advance(&world.fake, 30000); /* it is seen within half a minute */
	ck_assert_uint_eq(world.ntasks, 2);
	is(task_run(1), "scheduledFor", "\"2026-11-20T18:00:00.000Z\"");
	is(id, "missed", "34");
	is(id, "nextRunAt", "\"2026-11-20T18:10:00.000Z\"");
	world_end();
}
END_TEST

START_TEST(a_clock_set_back_by_an_hour_repeats_no_tick)
{
	const char *id;

	world_begin("2026-11-20T12:00:30Z");
	world.answer_at_once = true;
	id = keep(world_create("{\"schedule\":\"*/10 * * * *\"}"));
	world_advance_to("2026-11-20T12:31:00Z");
	ck_assert_uint_eq(world.ntasks, 3);
	world_set("2026-11-20T11:31:00Z");
	world_advance_to("2026-11-20T12:39:00Z");
	ck_assert_uint_eq(world.ntasks, 3);
	world_advance_to("2026-11-20T12:40:00Z");
	ck_assert_uint_eq(world.ntasks, 4);
	is(id, "runCount", "4");
	world_end();
}
END_TEST

START_TEST(a_clock_that_was_years_ahead_is_forgotten)
{
	const char *id;

	world_begin("2030-01-01T12:00:30Z");
	world.answer_at_once = true;
	id = keep(world_create("{\"schedule\":\"*/10 * * * *\"}"));
	world_advance_to("2030-01-01T12:11:00Z");
	ck_assert_uint_eq(world.ntasks, 1);
	world_set("2026-11-20T12:01:00Z");
	world_advance_to("2026-11-20T12:11:00Z");
	ck_assert_uint_eq(world.ntasks, 2);
	is(id, "nextRunAt", "\"2026-11-20T12:20:00.000Z\"");
	world_advance_to("2026-11-20T12:31:00Z");
	ck_assert_uint_eq(world.ntasks, 4);
	world_end();
}
END_TEST

START_TEST(a_pause_between_attempts_does_not_grow_with_the_clock)
{
	world_begin(NOW);
	(void) world_create("{\"maxAttempts\":2}");
	world_fail(0, "X");
	world_set("2020-01-01T00:00:00Z");
	fake_advance(&world.fake, 1000);
	ck_assert_uint_eq(world.ntasks, 2);
	world_fail(1, "X");
	(void) world_create("{\"maxAttempts\":2}");
	world_fail(2, "X");
	world_kill();
	world_set("2010-01-01T00:00:00Z");
	world_start();
	world_attach();
	fake_advance(&world.fake, 300000);
	ck_assert_uint_eq(world.ntasks, 4);
	world_end();
}
END_TEST

/* ---- overlaps ---- */

static const char *every_minute(const char *overlap)
{
	char spec[96];

	world_begin("2026-11-20T12:00:30Z");
	(void) snprintf(spec, sizeof(spec),
			"{\"schedule\":\"* * * * *\",\"overlap\":\"%s\"}", overlap);
	return keep(world_create(spec));
}

START_TEST(a_tick_is_skipped_while_a_run_goes_on)
{
	const char *id = every_minute("skip");

	world_advance_to("2026-11-20T12:05:30Z");
	ck_assert_uint_eq(world.ntasks, 1);
	is(id, "skipped", "4");
	is(id, "status", "\"running\"");
	world_complete(0, "0");
	ck_assert_uint_eq(world.ntasks, 1);
	world_advance_to("2026-11-20T12:06:00Z");
	ck_assert_uint_eq(world.ntasks, 2);
	world_end();
}
END_TEST

START_TEST(one_tick_waits_for_the_run_that_goes_on_if_asked)
{
	const char *id = every_minute("queue");

	world_advance_to("2026-11-20T12:05:30Z");
	ck_assert_uint_eq(world.ntasks, 1);
	is(id, "skipped", "3");
	world_complete(0, "0");
	ck_assert_uint_eq(world.ntasks, 2);
	is(task_run(1), "scheduledFor", "\"2026-11-20T12:02:00.000Z\"");
	world_end();
}
END_TEST

START_TEST(runs_go_on_side_by_side_if_asked)
{
	const char *id = every_minute("allow");

	world_advance_to("2026-11-20T12:05:30Z");
	ck_assert_uint_eq(world.ntasks, 5);
	is(id, "skipped", "0");
	world_end();
}
END_TEST

START_TEST(a_run_is_replaced_by_the_next_if_asked)
{
	const char *id = every_minute("replace");

	world_advance_to("2026-11-20T12:03:30Z");
	ck_assert_uint_eq(world.ntasks, 3);
	ck_assert_uint_eq(world.ncancelled, 2);
	is(task_run(0), "status", "\"cancelled\"");
	is(task_run(1), "status", "\"cancelled\"");
	is(task_run(2), "status", "\"running\"");
	is(id, "skipped", "0");
	world_end();
}
END_TEST

void job_schedule_tests(TCase *tc);
void job_schedule_tests(TCase *tc)
{
	tcase_add_test(tc, a_schedule_makes_a_run_each_time);
	tcase_add_test(tc, a_cancelled_schedule_takes_its_runs_with_it);
	tcase_add_test(tc, schedules_follow_the_clocks_of_their_zones);
	tcase_add_test(tc, the_newest_missed_tick_is_made_up_for);
	tcase_add_test(tc, missed_ticks_are_skipped_if_asked);
	tcase_add_test(tc, a_hundred_missed_ticks_are_made_up_for_if_asked);
	tcase_add_test(tc, a_tick_of_more_than_a_day_ago_is_not_made_up_for);
	tcase_add_test(tc, two_years_of_missed_seconds_are_counted_up_to_a_bound);
	tcase_add_test(tc, a_clock_set_forward_misses_ticks_as_a_sleep_does);
	tcase_add_test(tc, a_clock_set_back_by_an_hour_repeats_no_tick);
	tcase_add_test(tc, a_clock_that_was_years_ahead_is_forgotten);
	tcase_add_test(tc, a_pause_between_attempts_does_not_grow_with_the_clock);
	tcase_add_test(tc, a_tick_is_skipped_while_a_run_goes_on);
	tcase_add_test(tc, one_tick_waits_for_the_run_that_goes_on_if_asked);
	tcase_add_test(tc, runs_go_on_side_by_side_if_asked);
	tcase_add_test(tc, a_run_is_replaced_by_the_next_if_asked);
}
