/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/errors.h.  HOST. */
#include "cloudosd/service/errors.h"

#include <check.h>
#include <co/limits.h>
#include <co/status.h>
#include <stdlib.h>
#include <string.h>

static struct errors *errors;

static void set_up(void)
{
	errors = errors_new(NULL, 0);
	ck_assert_ptr_nonnull(errors);
}

static void tear_down(void)
{
	errors = errors_free(errors);
}

static void set(uint64_t session, int32_t tid, uint64_t start, int32_t code)
{
	struct error_record record = { .code = code,
				       .pid = 100,
				       .tid = tid,
				       .at_ns = 5,
				       .message = "it broke",
				       .component = "ipc" };

	ck_assert_int_eq(errors_set(errors, session, start, &record), 0);
}

static int code_of(uint64_t session, int32_t tid, uint64_t start)
{
	struct error_record record;

	return errors_get(errors, session, tid, start, &record) == 0 ? record.code : 0;
}

START_TEST(a_thread_gets_what_was_recorded_for_it)
{
	struct error_record record = { 0 };

	set(1, 10, 7, -3);
	ck_assert_int_eq(errors_get(errors, 1, 10, 7, &record), 0);
	ck_assert_int_eq(record.code, -3);
	ck_assert_int_eq(record.pid, 100);
	ck_assert_int_eq(record.tid, 10);
	ck_assert_uint_eq(record.at_ns, 5);
	ck_assert_str_eq(record.message, "it broke");
	ck_assert_str_eq(record.component, "ipc");
}
END_TEST

START_TEST(a_later_error_replaces_the_earlier)
{
	set(1, 10, 7, -3);
	set(1, 10, 7, -4);
	ck_assert_int_eq(code_of(1, 10, 7), -4);
	ck_assert_uint_eq(errors_count(errors, 1), 1);
}
END_TEST

START_TEST(threads_and_sessions_do_not_see_each_other)
{
	set(1, 10, 7, -3);
	ck_assert_int_eq(code_of(1, 11, 7), 0);
	ck_assert_int_eq(code_of(2, 10, 7), 0);
}
END_TEST

START_TEST(a_reused_tid_does_not_see_the_old_error)
{
	set(1, 10, 7, -3);
	ck_assert_int_eq(code_of(1, 10, 8), 0);
	ck_assert_uint_eq(errors_count(errors, 1), 0);
	set(1, 10, 8, -5);
	set(1, 10, 9, -6);
	ck_assert_int_eq(code_of(1, 10, 9), -6);
	ck_assert_int_eq(code_of(1, 10, 8), 0);
}
END_TEST

START_TEST(clear_forgets_only_that_thread)
{
	set(1, 10, 7, -3);
	set(1, 11, 7, -4);
	errors_clear(errors, 1, 10, 7);
	errors_clear(errors, 1, 12, 7); /* none: nothing happens */
	errors_clear(errors, 9, 10, 7);
	ck_assert_int_eq(code_of(1, 10, 7), 0);
	ck_assert_int_eq(code_of(1, 11, 7), -4);
}
END_TEST

START_TEST(the_end_of_a_session_forgets_its_threads)
{
	set(1, 10, 7, -3);
	set(2, 10, 7, -4);
	errors_session_end(errors, 1);
	errors_session_end(errors, 3);
	ck_assert_int_eq(code_of(1, 10, 7), 0);
	ck_assert_uint_eq(errors_count(errors, 1), 0);
	ck_assert_int_eq(code_of(2, 10, 7), -4);
}
END_TEST

START_TEST(beyond_the_limit_the_least_recently_used_goes)
{
	for (int32_t tid = 1; tid <= CO_LIMIT_SESSION_ERRORS; tid++)
		set(1, tid, 7, -tid);
	set(2, 1, 7, -1);
	ck_assert_int_eq(code_of(1, 1, 7), -1); /* now the oldest is 2 */
	set(1, 2000, 7, -2000);
	ck_assert_uint_eq(errors_count(errors, 1), CO_LIMIT_SESSION_ERRORS);
	ck_assert_int_eq(code_of(1, 1, 7), -1);
	ck_assert_int_eq(code_of(1, 2, 7), 0);
	ck_assert_int_eq(code_of(1, 3, 7), -3);
	ck_assert_int_eq(code_of(1, 2000, 7), -2000);
	ck_assert_int_eq(code_of(2, 1, 7), -1);
}
END_TEST

START_TEST(a_text_is_cut_between_characters)
{
	char out[8];

	errors_text(out, sizeof(out), "short");
	ck_assert_str_eq(out, "short");
	errors_text(out, sizeof(out), "1234567");
	ck_assert_str_eq(out, "1234567");
	errors_text(out, sizeof(out), "12345678");
	ck_assert_str_eq(out, "1234567");
	errors_text(out, sizeof(out),
		    "123456\xc3\xa9"); /* e acute, half of it would fit */
	ck_assert_str_eq(out, "123456");
	errors_text(out, sizeof(out), "12345\xe2\x82\xac"); /* euro sign */
	ck_assert_str_eq(out, "12345");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("errors");
	TCase *tests = tcase_create("errors");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_thread_gets_what_was_recorded_for_it);
	tcase_add_test(tests, a_later_error_replaces_the_earlier);
	tcase_add_test(tests, threads_and_sessions_do_not_see_each_other);
	tcase_add_test(tests, a_reused_tid_does_not_see_the_old_error);
	tcase_add_test(tests, clear_forgets_only_that_thread);
	tcase_add_test(tests, the_end_of_a_session_forgets_its_threads);
	tcase_add_test(tests, beyond_the_limit_the_least_recently_used_goes);
	tcase_add_test(tests, a_text_is_cut_between_characters);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
