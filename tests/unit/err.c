/* SPDX-License-Identifier: MIT */
/* HOST test of lib/err.h. */
#include "lib/err.h"

#include <errno.h>
#include <string.h>

#include "tests/run.h"

START_TEST(failure_keeps_code_and_sentence)
{
	struct co_err err = { 0 };

	ck_assert_int_eq(co_fail(&err, CO_NOT_FOUND, "no %s of %d", "file", 3),
			 CO_NOT_FOUND);
	ck_assert_int_eq(err.code, CO_NOT_FOUND);
	ck_assert_str_eq(err.message, "no file of 3");
}
END_TEST

START_TEST(failure_without_err_returns_the_code)
{
	ck_assert_int_eq(co_fail(NULL, CO_BUSY, "x"), CO_BUSY);
	ck_assert_int_eq(co_fail_errno(NULL, ENOENT, "x"), CO_NOT_FOUND);
}
END_TEST

START_TEST(errno_becomes_status_and_reason)
{
	struct co_err err = { 0 };

	ck_assert_int_eq(co_fail_errno(&err, EACCES, "cannot open %s", "a"), CO_ACCESS);
	ck_assert_str_eq(err.message, "cannot open a: Permission denied");
}
END_TEST

START_TEST(context_goes_in_front)
{
	struct co_err err = { 0 };

	(void) co_fail(&err, CO_IO,
		       "the disk is gone"); /* only its sentence is wanted */
	ck_assert_int_eq(co_context(&err, "cannot start %s", "d"), CO_IO);
	ck_assert_str_eq(err.message, "cannot start d: the disk is gone");
}
END_TEST

START_TEST(long_sentences_are_cut_inside_the_buffer)
{
	struct co_err err = { 0 };
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	(void) co_fail(&err, CO_IO, "%s", text); /* looked at below */
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
	(void) co_context(&err, "%.*s", 505, text); /* looked at below */
	ck_assert_uint_lt(strlen(err.message), sizeof(err.message));
	(void) co_context(&err, "%s", text); /* looked at below */
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
	(void) co_fail_errno(&err, EIO, "%s", text); /* looked at below */
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
}
END_TEST

START_TEST(every_errno_has_a_status)
{
	for (int e = 0; e < 4096; e++) {
		int status = co_status_from_errno(e);

		ck_assert_int_lt(status, 0);
		ck_assert_str_ne(co_status_name(status), "unknown");
	}
}
END_TEST

START_TEST(every_status_has_name_and_sentence)
{
	ck_assert_str_eq(co_status_name(0), "ok");
	ck_assert_str_eq(co_status_name(CO_CORRUPT), "CORRUPT");
#define STATUS(name, number, sentence)                                                 \
	ck_assert_str_eq(co_status_name(-(number)), #name);                            \
	ck_assert_str_eq(co_status_text(-(number)), sentence);
#include <co/status.def>
#undef STATUS
	ck_assert_str_eq(co_status_name(-999), "unknown");
	ck_assert_str_eq(co_status_text(1), "unknown failure");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("err");

	tcase_add_test(tc, failure_keeps_code_and_sentence);
	tcase_add_test(tc, failure_without_err_returns_the_code);
	tcase_add_test(tc, errno_becomes_status_and_reason);
	tcase_add_test(tc, context_goes_in_front);
	tcase_add_test(tc, long_sentences_are_cut_inside_the_buffer);
	tcase_add_test(tc, every_errno_has_a_status);
	tcase_add_test(tc, every_status_has_name_and_sentence);
	return run_tests(tc);
}
