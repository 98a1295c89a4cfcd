/* SPDX-License-Identifier: MIT */
/* cli/probe.c and cli/probe_engine.c: what the launcher relies on.  HOST, tests only. */
#include "cli/probe.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

static struct co_probe probe;

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	(void) closedir(dir);
	return n;
}

START_TEST(probes_leave_nothing_behind)
{
	int before = descriptors();

	co_probe(&probe);
	ck_assert_int_eq(descriptors(), before);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(what_does_not_work_says_why)
{
	co_probe(&probe);
	ck_assert(probe.notify.works || probe.notify.why[0]);
	ck_assert(probe.ptrace.works || probe.ptrace.why[0]);
	ck_assert(probe.trap.filter == !probe.trap.filter_why[0]);
	ck_assert(probe.trap.dispatch == !probe.trap.dispatch_why[0]);
	ck_assert(probe.trap.addresses == !probe.trap.addresses_why[0]);
	ck_assert(probe.trap.int80 == !probe.trap.code32_why[0]);
	ck_assert(probe.trap.mm_map == !probe.trap.mm_map_why[0]);
	ck_assert((probe.trap.filter_ns > 0) == probe.trap.filter);
	ck_assert((probe.trap.dispatch_ns > 0) == probe.trap.dispatch);
	ck_assert(probe.box.userns || probe.box.userns_why[0]);
	ck_assert(probe.box.cgroup_delegated || probe.box.cgroup_why[0]);
	ck_assert(probe.notify.works || (!probe.notify.addfd));
	ck_assert(
		!(probe.notify.works && (probe.notify.hidden || probe.notify.nested)));
	ck_assert_str_ne(probe.box.release, "");
}
END_TEST

START_TEST(a_newer_kernel_has_what_it_brought)
{
	co_probe(&probe);
	ck_assert_uint_gt(probe.box.major, 0);
	if (!probe.notify.works || probe.box.major < 6)
		return;
	ck_assert(probe.notify.killable);
	ck_assert(probe.notify.addfd);
	if (probe.box.major > 6 || probe.box.minor >= 6)
		ck_assert(probe.notify.sync_wake);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tc = tcase_create("probe");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, probes_leave_nothing_behind);
	tcase_add_test(tc, what_does_not_work_says_why);
	tcase_add_test(tc, a_newer_kernel_has_what_it_brought);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
