/* SPDX-License-Identifier: MIT */
/*
 * The main function of a libcheck program.  HOST.
 *
 *	START_TEST(put_with_stale_version_conflicts) { ... } END_TEST
 *
 *	int main(void)
 *	{
 *		TCase *tc = tcase_create("store");
 *
 *		tcase_add_test(tc, put_with_stale_version_conflicts);
 *		return run_tests(tc);
 *	}
 */
#ifndef CO_TESTS_RUN_H
#define CO_TESTS_RUN_H

#include <check.h>

/* Runs the case (taken); returns the exit status of the program. */
static inline int run_tests(TCase *tc)
{
	Suite *suite = suite_create("");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#endif
