/* SPDX-License-Identifier: MIT */
/* HOST test of lib/fault.h. */
#include "lib/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "tests/run.h"

static void arm(const char *spec)
{
	struct co_err err = { 0 };

	ck_assert_msg(co_fault_arm(spec, &err) == 0, "%s", err.message);
}

START_TEST(nothing_fails_when_nothing_is_armed)
{
	arm(NULL);
	ck_assert(!co_fault_armed);
	for (int i = 0; i < 10; i++)
		ck_assert(!co_fault("store.commit"));
	arm("");
	ck_assert(!co_fault("store.commit"));
}
END_TEST

START_TEST(only_the_nth_visit_fails)
{
	arm("store.commit:3");
	for (int i = 1; i < 10; i++)
		ck_assert_int_eq(co_fault("store.commit"), i == 3);
}
END_TEST

START_TEST(from_the_nth_visit_on_all_fail)
{
	arm("store.commit:3+");
	for (int i = 1; i < 10; i++)
		ck_assert_int_eq(co_fault("store.commit"), i >= 3);
}
END_TEST

START_TEST(places_count_apart)
{
	arm("store.commit:1,call.answered:2");
	ck_assert(!co_fault("call.answered"));
	ck_assert(!co_fault("notify.received"));
	ck_assert(co_fault("store.commit"));
	ck_assert(co_fault("call.answered"));
}
END_TEST

START_TEST(the_nth_visit_kills)
{
	arm("call.journalled:kill:2");
	ck_assert(!co_fault("call.journalled"));
	(void) co_fault("call.journalled"); /* ends here: tcase_add_test_raise_signal */
}
END_TEST

START_TEST(arming_again_counts_from_the_start)
{
	arm("store.commit:1");
	ck_assert(co_fault("store.commit"));
	arm("store.commit:1");
	ck_assert(co_fault("store.commit"));
	arm(NULL);
	ck_assert(!co_fault("store.commit"));
}
END_TEST

static const char *const wrong[] = {
	"store.commit",
	"store.commit:",
	"store.commit:0",
	"store.commit:-1",
	"store.commit:x",
	"store.commit:1++",
	"store.commit:+",
	"store.commit:kill",
	"store.commit:kill:",
	"store.commit:kill:0",
	"store.commit:die:1",
	"store.commits:1",
	"store:1",
	":1",
	"store.commit:9999999999",
	"store.commit:1,nope:1",
	",",
	"store.commit:1 ",
};

START_TEST(a_wrong_specification_is_refused_and_arms_nothing)
{
	struct co_err err = { 0 };

	ck_assert_int_eq(co_fault_arm(wrong[_i], &err), CO_INVALID);
	ck_assert(strncmp(err.message, "CO_FAULT: ", 10) == 0);
	ck_assert(!co_fault("store.commit"));
}
END_TEST

START_TEST(a_refusal_disarms_what_was_armed)
{
	arm("store.commit:1");
	ck_assert_int_eq(co_fault_arm("store.commit:1,nope:1", NULL), CO_INVALID);
	ck_assert(!co_fault_armed);
	ck_assert(!co_fault("store.commit"));
}
END_TEST

START_TEST(too_many_places_are_refused)
{
	char spec[17 * 16 + 1] = "";
	struct co_err err = { 0 };

	for (int i = 0; i < 17; i++)
		memcpy(spec + 16 * i, "store.commit:01,", 17);
	ck_assert_int_eq(co_fault_arm(spec, &err), CO_INVALID);
}
END_TEST

START_TEST(the_environment_arms)
{
	ck_assert_int_eq(setenv("CO_FAULT", "control.received:1", 1), 0);
	ck_assert_int_eq(co_fault_arm_from_environment(NULL), 0);
	ck_assert(co_fault("control.received"));
	ck_assert_int_eq(unsetenv("CO_FAULT"), 0);
	ck_assert_int_eq(co_fault_arm_from_environment(NULL), 0);
	ck_assert(!co_fault_armed);
}
END_TEST

/* What fault-setuid.sh asks a set-uid copy of this program: 0 armed, 3 refused, 4 the
 * kernel did not take it for set-uid. */
static int arm_as_set_uid(void)
{
	if (!getauxval(AT_SECURE))
		return 4;
	return co_fault_arm_from_environment(NULL) == CO_ACCESS && !co_fault_armed ? 3
										   : 0;
}

int main(int argc, char **argv)
{
	TCase *tc;

	if (argc > 1 && strcmp(argv[1], "set-uid") == 0)
		return arm_as_set_uid();
	tc = tcase_create("fault");
	tcase_add_test(tc, nothing_fails_when_nothing_is_armed);
	tcase_add_test(tc, only_the_nth_visit_fails);
	tcase_add_test(tc, from_the_nth_visit_on_all_fail);
	tcase_add_test(tc, places_count_apart);
	tcase_add_test_raise_signal(tc, the_nth_visit_kills, SIGKILL);
	tcase_add_test(tc, arming_again_counts_from_the_start);
	tcase_add_loop_test(tc, a_wrong_specification_is_refused_and_arms_nothing, 0,
			    (int) (sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(tc, a_refusal_disarms_what_was_armed);
	tcase_add_test(tc, too_many_places_are_refused);
	tcase_add_test(tc, the_environment_arms);
	return run_tests(tc);
}
