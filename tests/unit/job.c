/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/job.h.  HOST. */
#include "cloudosd/service/job.h"

#include <check.h>
#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/run.h"
#include "tests/unit/job_fixture.h"
#include "tests/unit/tzif.h"

#define NOW "2026-11-20T12:00:00Z"

void job_chaos_tests(TCase *tc);
void job_schedule_tests(TCase *tc);

/* ---- one run ---- */

START_TEST(a_job_is_answered_queued_and_ends_with_its_result)
{
	const char *id;

	world_begin(NOW);
	world.store.hold = true;
	(void) world_create("{\"params\":{\"n\": 1e400 }}");
	ck_assert_uint_eq(world.ntasks, 0);
	memory_store_release(&world.store);
	fake_settle(&world.fake);
	id = keep(task_run(0));
	ck_assert_int_eq(strncmp(id, "job-1795176000000-", 18), 0);
	ck_assert_str_eq(world.tasks[0].params, "{\"n\": 1e400 }");
	is(id, "status", "\"running\"");
	is(id, "startedAt", "\"2026-11-20T12:00:00.000Z\"");
	is(id, "handler", "\"process 7\"");
	world_complete(0, " {\"sent\":true, \"x\":9007199254740993}");
	is(id, "status", "\"completed\"");
	is(id, "result", "{\"sent\":true, \"x\":9007199254740993}");
	is(id, "params", "{\"n\": 1e400 }");
	is(id, "completedAt", "\"2026-11-20T12:00:00.000Z\"");
	ck_assert_str_eq(world.events, "created started completed");
	world_end();
}
END_TEST

START_TEST(the_answer_to_its_creation_says_queued)
{
	world_begin(NOW);
	(void) world_create("{\"params\":[1,2]}");
	ck_assert_str_eq(world_member("status"), "\"queued\"");
	ck_assert_str_eq(world_member("name"), "\"work\"");
	ck_assert_str_eq(world_member("params"), "[1,2]");
	ck_assert_str_eq(world_member("createdAt"), "\"2026-11-20T12:00:00.000Z\"");
	world_end();
}
END_TEST

static void refused(const char *spec, int status, const char *code)
{
	(void) world_create(spec);
	ck_assert_msg(world_status == status && strcmp(world_code, code) == 0,
		      "%s: %d %s %s", spec, world_status, world_code, world_answer);
}

START_TEST(what_cannot_be_is_refused_with_code_and_sentence)
{
	world_begin(NOW);
	refused("{\"name\":\"other\"}", CO_NOT_FOUND, "HANDLER_NOT_FOUND");
	refused("{\"name\":\"\"}", CO_INVALID, "INVALID_REQUEST");
	refused("{\"schedule\":\"x\"}", CO_INVALID, "INVALID_SCHEDULE");
	refused("{\"schedule\":\"0 0 30 2 *\"}", CO_INVALID, "INVALID_SCHEDULE");
	refused("{\"schedule\":\"@daily\",\"timezone\":\"../x\"}", CO_INVALID,
		"INVALID_SCHEDULE");
	refused("{\"schedule\":\"@daily\",\"timezone\":\"No/Where\"}",
		access("/usr/share/zoneinfo", F_OK) ? CO_NOT_FOUND : CO_INVALID,
		"INVALID_SCHEDULE");
	refused("{\"schedule\":\"TZ=Etc/UTC @daily\",\"timezone\":\"UTC\"}", CO_INVALID,
		"INVALID_SCHEDULE");
	refused("{\"timezone\":\"UTC\"}", CO_INVALID, "INVALID_REQUEST");
	refused("{\"schedule\":\"@daily\",\"runAt\":\"2030-01-01\"}", CO_INVALID,
		"INVALID_REQUEST");
	refused("{\"maxAttempts\":101}", CO_INVALID, "INVALID_REQUEST");
	ck_assert_uint_eq(memory_store_count(&world.store, "/job/"), 0);
	(void) world_get("job-0");
	ck_assert_int_eq(world_status, CO_NOT_FOUND);
	ck_assert_str_eq(world_code, "JOB_NOT_FOUND");
	world_end();
}
END_TEST

START_TEST(a_job_with_the_same_key_is_the_same_job_also_after_a_restart)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"key\":\"k1\"}"));
	ck_assert_str_eq(world_create("{\"key\":\"k1\"}"), id);
	ck_assert_str_ne(world_create("{\"key\":\"k2\"}"), id);
	ck_assert_str_ne(world_create("{}"), id);
	world_complete(0, "7");
	world.store.mute = true;
	world_kill();
	world_start();
	ck_assert_str_eq(world_create("{\"key\":\"k1\"}"), id);
	ck_assert_str_eq(world_member("result"), "7");
	world_set("2026-11-21T12:00:00Z");
	world_attach();
	ck_assert_str_ne(world_create("{\"key\":\"k1\"}"), id);
	world_end();
}
END_TEST

START_TEST(a_job_that_fails_is_not_begun_again_unless_asked)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{}"));
	world_fail(0, "SMTP");
	is(id, "status", "\"failed\"");
	is(id, "error", "{\"code\":\"SMTP\",\"message\":\"it did not work\"}");
	fake_advance(&world.fake, 600000);
	ck_assert_uint_eq(world.ntasks, 1);
	world_end();
}
END_TEST

START_TEST(attempts_are_made_with_growing_pauses)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"maxAttempts\":12}"));
	for (unsigned n = 0; n < 11; n++) {
		uint64_t full = 1000ULL << n < 300000 ? 1000ULL << n : 300000, from;

		ck_assert_uint_eq(world.ntasks, n + 1);
		ck_assert_uint_eq(world.tasks[n].attempt, n + 1);
		world_fail(n, "X");
		is(id, "status", "\"pending\"");
		ck_assert_str_ne(world_member("nextRunAt"), "");
		ck_assert_str_ne(world_member("error"), "");
		from = world.fake.now_ms;
		fake_advance(&world.fake, full / 2 - 1);
		ck_assert_uint_eq(world.ntasks, n + 1);
		world.fake.random_next += 77777;
		fake_advance(&world.fake, from + full - world.fake.now_ms + 1);
	}
	ck_assert_uint_eq(world.ntasks, 12);
	world_fail(11, "X");
	is(id, "status", "\"failed\"");
	is(id, "attempt", "12");
	ck_assert_str_ne(world.tasks[0].token, world.tasks[1].token);
	world_end();
}
END_TEST

START_TEST(a_job_waits_for_its_handler_and_for_its_time)
{
	const char *id, *later;

	world_begin(NOW);
	later = keep(world_create("{\"runAt\":\"2026-11-20T15:30:00Z\"}"));
	is(later, "status", "\"pending\"");
	is(later, "nextRunAt", "\"2026-11-20T15:30:00.000Z\"");
	world.store.hold = true;
	(void) world_create("{}");
	world_detach();
	memory_store_release(&world.store);
	fake_advance(&world.fake, 60000);
	ck_assert_uint_eq(world.ntasks, 0);
	world_attach();
	ck_assert_uint_eq(world.ntasks, 1);
	id = keep(task_run(0));
	world_complete(0, "null");
	is(id, "result", "null");
	world_advance_to("2026-11-20T15:29:59Z");
	ck_assert_uint_eq(world.ntasks, 1);
	world_advance_to("2026-11-20T15:30:00Z");
	ck_assert_uint_eq(world.ntasks, 2);
	ck_assert_str_eq(task_run(1), later);
	world_end();
}
END_TEST

START_TEST(what_a_handler_has_not_begun_waits_and_costs_no_attempt)
{
	const char *id;

	world_begin(NOW);
	world.refuse = CO_IO;
	id = keep(world_create("{}"));
	fake_advance(&world.fake, 100000);
	is(id, "attempt", "0");
	is(id, "status", "\"pending\"");
	world.refuse = 0;
	fake_advance(&world.fake, 31000);
	ck_assert_uint_eq(world.ntasks, 1);
	ck_assert_uint_eq(world.tasks[0].attempt, 1);
	world_complete(0, "1");
	is(id, "status", "\"completed\"");
	world_end();
}
END_TEST

START_TEST(a_handler_that_dies_loses_the_run)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{}"));
	world_detach();
	is(id, "status", "\"failed\"");
	ck_assert_ptr_nonnull(strstr(world_member("error"), "\"HANDLER_LOST\""));
	world_attach();
	id = keep(world_create("{\"maxAttempts\":2}"));
	world_detach();
	world_attach();
	fake_advance(&world.fake, 1000);
	ck_assert_uint_eq(world.ntasks, 3);
	world_complete(2, "2");
	is(id, "status", "\"completed\"");
	world_end();
}
END_TEST

START_TEST(a_handler_that_hangs_runs_into_the_timeout_or_the_lease)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"timeout\":5000}"));
	fake_advance(&world.fake, 5000);
	is(id, "status", "\"failed\"");
	ck_assert_ptr_nonnull(strstr(world_member("error"), "\"TIMEOUT\""));
	ck_assert_uint_eq(world.ncancelled, 1);
	id = keep(world_create("{\"lease\":5000}"));
	for (int i = 0; i < 3; i++) {
		char percent[8];

		fake_advance(&world.fake, 4900);
		(void) snprintf(percent, sizeof(percent), "%d", i);
		ck_assert(handler_progress(world.worker, world.tasks[1].id,
					   co_span(percent)));
		is(id, "progress", percent);
	}
	fake_advance(&world.fake, 4900);
	is(id, "status", "\"running\"");
	fake_advance(&world.fake, 200);
	is(id, "status", "\"failed\"");
	ck_assert_ptr_nonnull(strstr(world_member("error"), "\"HANDLER_LOST\""));
	ck_assert_uint_eq(world.ncancelled, 2);
	world_complete(1, "\"late\"");
	is(id, "status", "\"failed\"");
	world_end();
}
END_TEST

/* ---- cancelling ---- */

START_TEST(a_waiting_job_that_is_cancelled_never_runs)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"runAt\":\"2026-11-20T12:00:05Z\"}"));
	ck_assert_int_eq(world_cancel(id), 0);
	ck_assert_str_eq(world_member("status"), "\"cancelled\"");
	ck_assert_str_eq(world_member("completedAt"), "\"2026-11-20T12:00:00.000Z\"");
	fake_advance(&world.fake, 60000);
	ck_assert_uint_eq(world.ntasks, 0);
	ck_assert_int_eq(world_cancel(id), CO_INVALID);
	ck_assert_str_eq(world_code, "JOB_FINAL");
	world_kill();
	world_start();
	is(id, "status", "\"cancelled\"");
	world_end();
}
END_TEST

START_TEST(a_running_job_that_is_cancelled_stays_so_whatever_comes_later)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{}"));
	ck_assert_int_eq(world_cancel(id), 0);
	ck_assert_uint_eq(world.ncancelled, 1);
	is(id, "status", "\"cancelled\"");
	world_complete(0, "\"late\"");
	is(id, "status", "\"cancelled\"");
	is(id, "result", "");
	ck_assert_str_eq(world.events, "created started cancelled");
	world_end();
}
END_TEST

START_TEST(the_first_on_the_disk_wins_between_cancel_and_result)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{}"));
	world.store.hold = true; /* the cancel waits, the result comes */
	(void) world_cancel(id);
	world_complete(0, "1");
	memory_store_release(&world.store);
	fake_settle(&world.fake);
	ck_assert_int_eq(world_status, 0);
	is(id, "status", "\"cancelled\"");
	is(id, "result", "");
	ck_assert_ptr_nonnull(strstr(world.logged, "dropped"));

	id = keep(world_create("{}"));
	world.store.hold = true; /* the result waits, the cancel comes */
	world_complete(1, "1");
	(void) world_cancel(id);
	memory_store_release(&world.store);
	fake_settle(&world.fake);
	ck_assert_int_eq(world_status, CO_INVALID);
	is(id, "status", "\"completed\"");
	is(id, "result", "1");
	world_end();
}
END_TEST

START_TEST(a_job_cancelled_while_it_is_being_begun_is_not_begun)
{
	const char *id;

	world_begin(NOW);
	world_detach();
	world_attach();
	world.store.hold = true;
	(void) world_create("{}");
	ck_assert_uint_eq(world.ntasks, 0);
	memory_store_release(&world.store);
	while (memory_store_count(&world.store, "/job/meta/") == 0)
		(void) fake_turn(&world.fake);
	(void) fake_turn(&world.fake); /* the timer: it is to be running */
	world.store.hold = true;
	id = keep(world_member("id"));
	id = keep(strtok((char *) (uintptr_t) id, "\""));
	(void) world_cancel(id);
	memory_store_release(&world.store);
	fake_settle(&world.fake);
	is(id, "status", "\"cancelled\"");
	ck_assert_uint_eq(world.ntasks, 0);
	world_end();
}
END_TEST

/* ---- restarts ---- */

static uint64_t resume(unsigned task, const char *token)
{
	uint64_t id = handlers_resume(world.worker, co_span(world.tasks[task].run),
				      co_span(token));

	if (id)
		world.tasks[task].id = id;
	return id;
}

START_TEST(a_handler_that_comes_back_with_its_token_goes_on)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"params\":1}"));
	world_kill();
	fake_advance(&world.fake, 60000);
	world_start();
	is(id, "status", "\"running\"");
	fake_advance(&world.fake, 14000);
	world_attach();
	ck_assert_uint_eq(resume(0, "ffffffffffffffffffffffffffffffff"), 0);
	ck_assert_uint_ne(resume(0, world.tasks[0].token), 0);
	ck_assert_uint_eq(resume(0, world.tasks[0].token), 0);
	fake_advance(&world.fake, 60000);
	world_complete(0, "\"after all\"");
	is(id, "result", "\"after all\"");
	ck_assert_uint_eq(world.ntasks, 1);
	world_end();
}
END_TEST

START_TEST(a_run_whose_handler_does_not_come_back_is_lost_and_says_so)
{
	const char *once, *twice;

	world_begin(NOW);
	once = keep(world_create("{}"));
	twice = keep(world_create("{\"maxAttempts\":2,\"params\":{\"a\":2}}"));
	world_kill();
	world_start();
	world_attach();
	fake_advance(&world.fake, 14900);
	is(once, "status", "\"running\"");
	fake_advance(&world.fake, 200);
	is(once, "status", "\"failed\"");
	ck_assert_ptr_nonnull(strstr(world_member("error"), "\"DAEMON_RESTART\""));
	fake_advance(&world.fake, 1000);
	ck_assert_uint_eq(world.ntasks, 3); /* the second one again, as it was asked */
	ck_assert_str_eq(task_run(2), twice);
	ck_assert_str_eq(world.tasks[2].params, "{\"a\":2}");
	world_complete(2, "0");
	is(twice, "status", "\"completed\"");
	ck_assert_uint_eq(resume(0, world.tasks[0].token), 0);
	world_end();
}
END_TEST

START_TEST(waiting_jobs_are_there_after_a_restart)
{
	const char *id, *other;

	world_begin(NOW);
	id = keep(
		world_create("{\"runAt\":\"2026-11-20T12:10:00Z\",\"params\":\"p\"}"));
	other = keep(world_create("{\"runAt\":\"2026-11-20T12:10:00Z\"}"));
	ck_assert_int_lt(strcmp(id, other), 0);
	world_kill();
	world_start();
	world_attach();
	world_advance_to("2026-11-20T12:10:00Z");
	ck_assert_uint_eq(world.ntasks, 2);
	ck_assert_str_eq(task_run(0), id);
	ck_assert_str_eq(world.tasks[0].params, "\"p\"");
	world_end();
}
END_TEST

static void ignore(void *arg, const struct store_result *result)
{
	(void) arg;
	ck_assert_int_eq(result->status, 0);
}

START_TEST(records_that_are_damaged_are_left_out)
{
	static const char *const bad[] = { "", "{}", "{\"layout\":2}",
					   "{\"layout\":1,\"service\":\"s\"}",
					   "not json" };
	const char *id;
	struct store_op op = { .kind = STORE_PUT };
	struct store_txn txn = { .then = &op, .nthen = 1 };

	world_begin(NOW);
	id = keep(world_create("{\"runAt\":\"2030-01-01\"}"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char key[64];

		(void) snprintf(key, sizeof(key), "/job/meta/bad-%u", i);
		op.key = key;
		op.value = bad[i];
		op.size = strlen(bad[i]);
		ck_assert_int_eq(store_txn(&world.store, &txn, ignore, NULL), 0);
	}
	fake_settle(&world.fake);
	world_kill();
	world_start();
	ck_assert_str_eq(world.logged, "5 jobs in the store cannot be read");
	is(id, "status", "\"pending\"");
	world_end();
}
END_TEST

static void put_record(const char *key, const void *value, size_t size)
{
	struct store_op op = {
		.kind = STORE_PUT, .key = key, .value = value, .size = size
	};
	struct store_txn txn = { .then = &op, .nthen = 1 };

	ck_assert_int_eq(store_txn(&world.store, &txn, ignore, NULL), 0);
	fake_settle(&world.fake);
}

START_TEST(records_with_any_bytes_changed_are_read_within_bounds)
{
	static const char *const specs[] = {
		"{\"schedule\":\"*/7 1-5 * * mon\",\"params\":1,\"overlap\":\"queue\"}",
		"{\"runAt\":\"2030-01-01\",\"maxAttempts\":3,\"key\":\"k\",\"timeout\":5}"
	};
	char keys[2][64], records[2][1024];
	unsigned random = 1;

	world_begin(NOW);
	for (int i = 0; i < 2; i++) {
		(void) snprintf(keys[i], sizeof(keys[i]), "/job/meta/%s",
				world_create(specs[i]));
		(void) snprintf(records[i], sizeof(records[i]), "%s",
				memory_store_find(&world.store, keys[i]));
	}
	for (int round = 0; round < 4000; round++) {
		char damaged[1024];
		size_t size = strlen(records[round % 2]);

		memcpy(damaged, records[round % 2], size);
		for (int n = 1 + round % 3; n; n--) {
			random = random * 1103515245 + 12345;
			damaged[(random >> 8) % size] =
				"0123456789\",:{}[]\\abcxyz \xff"[(random >> 20) % 26];
		}
		put_record(keys[round % 2], damaged, size);
		world_kill();
		world_start();
		(void) world_list(NULL);
	}
	world_end();
}
END_TEST

/* ---- a disk that is full ---- */

START_TEST(nothing_is_acknowledged_begun_or_forgotten_on_a_full_disk)
{
	const char *id;

	world_begin(NOW);
	world.store.fail = CO_NO_SPACE;
	(void) world_create("{}");
	ck_assert_int_eq(world_status, CO_NO_SPACE);
	world.store.fail = 0;
	ck_assert_uint_eq(memory_store_count(&world.store, "/job/"), 0);

	id = keep(world_create("{\"runAt\":\"2026-11-20T12:00:01Z\"}"));
	world.store.fail = CO_NO_SPACE;
	fake_advance(&world.fake, 100000); /* it is due, but cannot be running */
	ck_assert_uint_eq(world.ntasks, 0);
	world.store.fail = 0;
	fake_advance(&world.fake, 31000);
	ck_assert_uint_eq(world.ntasks, 1);

	world.store.fail = CO_NO_SPACE;
	world_complete(0, "\"kept\"");
	ck_assert_int_eq(world_cancel(id), CO_NO_SPACE);
	fake_advance(&world.fake, 100000);
	world.store.fail = 0;
	is(id, "status", "\"running\"");
	fake_advance(&world.fake, 31000);
	is(id, "result", "\"kept\"");
	ck_assert_uint_eq(world.ntasks, 1);
	world_end();
}
END_TEST

/* ---- by hand ---- */

START_TEST(a_schedule_can_be_run_now)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"schedule\":\"@yearly\",\"params\":5}"));
	ck_assert_int_eq(world_run(id), 0);
	ck_assert_uint_eq(world.ntasks, 1);
	ck_assert_str_eq(world.tasks[0].params, "5");
	is(task_run(0), "scheduledFor", "");
	is(id, "runCount", "1");
	is(id, "lastStatus", "\"running\"");
	world_complete(0, "1");
	is(id, "lastStatus", "\"completed\"");
	is(id, "nextRunAt", "\"2027-01-01T00:00:00.000Z\"");
	world_kill();
	world_start();
	is(id, "lastStatus", "\"completed\"");
	world_end();
}
END_TEST

START_TEST(a_pending_job_can_be_run_now)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"runAt\":\"2030-01-01\"}"));
	ck_assert_int_eq(world_run(id), 0);
	ck_assert_uint_eq(world.ntasks, 1);
	ck_assert_int_eq(world_run(id), CO_INVALID);
	ck_assert_str_eq(world_code, "JOB_RUNNING");
	world_end();
}
END_TEST

START_TEST(a_failed_job_can_be_tried_again_as_a_new_one)
{
	const char *id;

	world_begin(NOW);
	id = keep(world_create("{\"params\":{\"p\":7}}"));
	ck_assert_int_eq(world_retry(id), CO_INVALID);
	ck_assert_str_eq(world_code, "JOB_NOT_FAILED");
	world_fail(0, "X");
	ck_assert_int_eq(world_retry(id), 0);
	ck_assert_uint_eq(world.ntasks, 2);
	ck_assert_str_eq(world.tasks[1].params, "{\"p\":7}");
	ck_assert_str_ne(task_run(1), id);
	ck_assert_ptr_nonnull(strstr(world_member_of(task_run(1), "retryOf"), id));
	world_complete(1, "1");
	is(id, "status", "\"failed\"");
	world_end();
}
END_TEST

START_TEST(lists_are_of_the_newest_first_and_go_on_behind_a_job)
{
	char *ids[5];
	struct job_filter filter = { .service = "cloudosd", .limit = 2 };

	world_begin(NOW);
	for (int i = 0; i < 5; i++)
		ids[i] = keep(world_create("{}"));
	world_complete(1, "1");
	world_fail(2, "X");
	jobs_list(world.jobs, &filter, collect_answer, NULL);
	fake_settle(&world.fake);
	ck_assert_ptr_nonnull(strstr(world_answer, ids[4]));
	ck_assert_ptr_nonnull(strstr(world_answer, ids[3]));
	ck_assert(strstr(world_answer, ids[4]) < strstr(world_answer, ids[3]));
	ck_assert_ptr_null(strstr(world_answer, ids[2]));
	ck_assert_str_eq(world_member("more"), "true");
	ck_assert_str_eq(world_member("total"), "5");
	filter.after = co_span(ids[3]);
	filter.limit = 100;
	jobs_list(world.jobs, &filter, collect_answer, NULL);
	fake_settle(&world.fake);
	ck_assert_ptr_null(strstr(world_answer, ids[3]));
	ck_assert_ptr_nonnull(strstr(world_answer, ids[0]));
	ck_assert_str_eq(world_member("more"), "false");
	filter.after.data = NULL;
	filter.has_status = true;
	filter.status = JOB_FAILED;
	jobs_list(world.jobs, &filter, collect_answer, NULL);
	fake_settle(&world.fake);
	ck_assert_str_eq(world_member("total"), "1");
	ck_assert_ptr_nonnull(strstr(world_answer, ids[2]));
	filter.service = "other";
	jobs_list(world.jobs, &filter, collect_answer, NULL);
	fake_settle(&world.fake);
	ck_assert_str_eq(world_member("total"), "0");
	world_end();
}
END_TEST

START_TEST(a_page_is_full_when_its_bytes_are_many)
{
	static char big[300000];
	char id[64];
	struct job_filter filter = { .service = "cloudosd", .limit = 100 };

	world_begin(NOW);
	memset(big, '7', sizeof(big) - 1);
	for (unsigned i = 0; i < 6; i++) {
		(void) world_create("{}");
		world_complete(i, big);
	}
	(void) snprintf(id, sizeof(id), "%s", task_run(2));
	world_listed(&filter);
	ck_assert_uint_eq(world_count("\"id\":"), 4);
	ck_assert(world_has("\"total\":6,\"more\":true}"));
	ck_assert(world_has(id) && !world_has(task_run(1)));
	filter.after = co_span(id);
	world_listed(&filter);
	ck_assert_uint_eq(world_count("\"id\":"), 2);
	ck_assert(world_has("\"more\":false}"));
	world_end();
}
END_TEST

START_TEST(of_what_is_over_the_newest_are_kept)
{
	const char *id;

	world_begin("2026-11-20T12:00:30Z");
	world.answer_at_once = true;
	id = keep(world_create("{\"schedule\":\"* * * * *\"}"));
	world_advance_to("2026-11-20T14:30:30Z");
	is(id, "runCount", "150");
	(void) world_list(id);
	ck_assert_str_eq(world_member("total"), "100");
	ck_assert_uint_eq(memory_store_count(&world.store, "/job/meta/"), 101);
	ck_assert_uint_eq(memory_store_count(&world.store, "/job/outcome/"), 100);
	(void) world_create("{}");
	ck_assert_int_eq(world_cancel(id), 0);
	world_advance_to("2026-12-25T00:00:00Z"); /* a month later */
	for (int i = 0; i < 8; i++)
		(void) world_create("{}"); /* each takes some old ones with it */
	fake_settle(&world.fake);
	ck_assert_uint_eq(memory_store_count(&world.store, "/job/meta/"), 8);
	world_end();
}
END_TEST

START_TEST(a_daemon_that_stops_begins_nothing_and_takes_results)
{
	const char *id, *other;

	world_begin(NOW);
	id = keep(world_create("{}"));
	(void) world_create("{\"schedule\":\"* * * * *\"}");
	jobs_stop(world.jobs);
	other = keep(world_create("{}"));
	fake_advance(&world.fake, 100000);
	ck_assert_uint_eq(world.ntasks, 1);
	world_complete(0, "1");
	is(id, "status", "\"completed\"");
	is(other, "status", "\"queued\"");
	world_kill();
	world_start();
	world_attach();
	ck_assert_uint_eq(world.ntasks, 3);
	world_end();
}
END_TEST

START_TEST(jobs_keep_the_daemon_alive_until_they_are_over)
{
	world_begin(NOW);
	ck_assert(!jobs_keep_alive(world.jobs));
	(void) world_create("{}");
	ck_assert(jobs_keep_alive(world.jobs));
	world_complete(0, "1");
	ck_assert(!jobs_keep_alive(world.jobs));
	(void) world_create("{\"schedule\":\"@yearly\"}");
	ck_assert(jobs_keep_alive(world.jobs));
	world_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("job");

	tcase_add_test(tc, a_job_is_answered_queued_and_ends_with_its_result);
	tcase_add_test(tc, the_answer_to_its_creation_says_queued);
	tcase_add_test(tc, what_cannot_be_is_refused_with_code_and_sentence);
	tcase_add_test(tc,
		       a_job_with_the_same_key_is_the_same_job_also_after_a_restart);
	tcase_add_test(tc, a_job_that_fails_is_not_begun_again_unless_asked);
	tcase_add_test(tc, attempts_are_made_with_growing_pauses);
	tcase_add_test(tc, a_job_waits_for_its_handler_and_for_its_time);
	tcase_add_test(tc, what_a_handler_has_not_begun_waits_and_costs_no_attempt);
	tcase_add_test(tc, a_handler_that_dies_loses_the_run);
	tcase_add_test(tc, a_handler_that_hangs_runs_into_the_timeout_or_the_lease);
	tcase_add_test(tc, a_waiting_job_that_is_cancelled_never_runs);
	tcase_add_test(tc,
		       a_running_job_that_is_cancelled_stays_so_whatever_comes_later);
	tcase_add_test(tc, the_first_on_the_disk_wins_between_cancel_and_result);
	tcase_add_test(tc, a_job_cancelled_while_it_is_being_begun_is_not_begun);
	tcase_add_test(tc, a_handler_that_comes_back_with_its_token_goes_on);
	tcase_add_test(tc, a_run_whose_handler_does_not_come_back_is_lost_and_says_so);
	tcase_add_test(tc, waiting_jobs_are_there_after_a_restart);
	tcase_add_test(tc, records_that_are_damaged_are_left_out);
	tcase_add_test(tc, records_with_any_bytes_changed_are_read_within_bounds);
	tcase_add_test(tc, nothing_is_acknowledged_begun_or_forgotten_on_a_full_disk);
	tcase_add_test(tc, a_schedule_can_be_run_now);
	tcase_add_test(tc, a_pending_job_can_be_run_now);
	tcase_add_test(tc, a_failed_job_can_be_tried_again_as_a_new_one);
	tcase_add_test(tc, lists_are_of_the_newest_first_and_go_on_behind_a_job);
	tcase_add_test(tc, a_page_is_full_when_its_bytes_are_many);
	tcase_add_test(tc, of_what_is_over_the_newest_are_kept);
	tcase_add_test(tc, a_daemon_that_stops_begins_nothing_and_takes_results);
	tcase_add_test(tc, jobs_keep_the_daemon_alive_until_they_are_over);
	job_schedule_tests(tc);
	job_chaos_tests(tc);
	return run_tests(tc);
}
