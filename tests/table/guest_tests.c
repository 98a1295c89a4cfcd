/* SPDX-License-Identifier: MIT */
/*
 * Every operation that is answered has a guest test: for a row that is not ABSENT and
 * not the kernel's there is tests/guest/PERSONALITY/NAME*.c.  HOST.
 */
#include <check.h>
#include <glob.h>
#include <personality/personality.h>
#include <stdio.h>
#include <stdlib.h>

static void demand_test(const char *personality, const struct co_op *op)
{
	const char *srcdir = getenv("srcdir");
	char pattern[4096];
	glob_t found;
	int result;

	(void) snprintf(pattern, sizeof(pattern), "%s/tests/guest/%s/%s*.c",
			srcdir ? srcdir : ".", personality, op->name);
	result = glob(pattern, 0, NULL, &found);
	ck_assert_msg(result == 0, "%s is %s and there is no %s", op->name,
		      co_support_name(op->support), pattern);
	globfree(&found);
}

START_TEST(every_answered_operation_has_a_guest_test)
{
	size_t n;
	const struct co_personality *p = &co_personalities(&n)[_i];

	for (size_t i = 0; i < p->nops; i++)
		if (p->ops[i].support != CO_SUPPORT_ABSENT &&
		    p->ops[i].plane != CO_PLANE_KERNEL)
			demand_test(p->name, &p->ops[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest tests");
	TCase *tests = tcase_create("operations");
	SRunner *runner = srunner_create(suite);
	size_t n;
	int failed;

	(void) co_personalities(&n); /* only how many */
	tcase_add_loop_test(tests, every_answered_operation_has_a_guest_test, 0,
			    (int) n);
	suite_add_tcase(suite, tests);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
