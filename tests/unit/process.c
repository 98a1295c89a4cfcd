/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/process.h, with real processes.  HOST. */
#include "cloudosd/service/process.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that waits to be killed. */
static pid_t child_start(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* tidy if the test dies */
		for (;;)
			(void) pause(); /* only a signal ends it */
	}
	return pid;
}

static void child_stop(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(the_boot_is_known_and_stays_the_same)
{
	ck_assert_uint_ne(process_boot(), 0);
	ck_assert_uint_ne(process_boot(), 1); /* stands for "unknown" */
	ck_assert_uint_eq(process_boot(), process_boot());
}
END_TEST

START_TEST(a_process_is_read_and_is_alive)
{
	struct process_id id, again;

	ck_assert_int_eq(process_read(getpid(), &id, NULL), 0);
	ck_assert_int_eq(id.pid, getpid());
	ck_assert_uint_ne(id.start_time, 0);
	ck_assert_uint_eq(id.boot, process_boot());
	ck_assert_int_eq(process_read(getpid(), &again, NULL), 0);
	ck_assert(process_same(&id, &again));
	ck_assert(process_is_alive(&id));
}
END_TEST

START_TEST(a_name_with_brackets_and_spaces_does_not_hide_the_start_time)
{
	struct process_id before, after;

	ck_assert_int_eq(process_read(getpid(), &before, NULL), 0);
	ck_assert_int_eq(prctl(PR_SET_NAME, ") S 1 (\nNSpid:\t9"), 0);
	ck_assert_int_eq(process_read(getpid(), &after, NULL), 0);
	ck_assert(process_same(&before, &after));
}
END_TEST

START_TEST(a_pid_that_is_nobody_is_not_found)
{
	struct process_id id;
	struct co_err err = { 0 };
	pid_t pid = child_start();

	child_stop(pid);
	ck_assert_int_eq(process_read(pid, &id, &err), CO_NOT_FOUND);
	ck_assert_str_ne(err.message, "");
	ck_assert_int_eq(process_read(0, &id, NULL), CO_NOT_FOUND);
	ck_assert_int_eq(process_read(-1, &id, NULL), CO_NOT_FOUND);
}
END_TEST

START_TEST(another_start_time_or_boot_is_another_process)
{
	struct process_id id, other;
	struct co_err err = { 0 };
	int fd = -1;

	ck_assert_int_eq(process_read(getpid(), &id, NULL), 0);
	other = id;
	other.start_time++;
	ck_assert(!process_same(&id, &other));
	ck_assert_int_eq(process_open(&other, &fd, &err), CO_GONE);
	ck_assert_ptr_nonnull(strstr(err.message, "in use again"));
	other = id;
	other.boot++;
	ck_assert(!process_same(&id, &other));
	ck_assert_int_eq(process_open(&other, &fd, &err), CO_GONE);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(a_pidfd_tells_the_end_and_a_zombie_is_dead)
{
	pid_t pid = child_start();
	struct process_id id;
	struct pollfd end = { .events = POLLIN };

	ck_assert_int_eq(process_read(pid, &id, NULL), 0);
	ck_assert_int_eq(process_open(&id, &end.fd, NULL), 0);
	ck_assert_int_eq(poll(&end, 1, 0), 0);
	ck_assert(process_thread_is_alive(pid));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(poll(&end, 1, 60000), 1);
	ck_assert(!process_is_alive(&id)); /* nobody has waited for it yet */
	ck_assert(!process_thread_is_alive(pid));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!process_is_alive(&id));
	ck_assert(!process_thread_is_alive(pid));
	ck_assert_int_eq(close(end.fd), 0);
}
END_TEST

struct thread {
	int to_test[2], to_thread[2];
};

static void *thread_main(void *arg)
{
	struct thread *thread = arg;
	int32_t tid = (int32_t) syscall(SYS_gettid);
	char byte;

	ck_assert_int_eq(write(thread->to_test[1], &tid, sizeof(tid)), sizeof(tid));
	ck_assert_int_eq(read(thread->to_thread[0], &byte, 1), 0);
	return NULL;
}

START_TEST(a_thread_belongs_to_its_process_and_has_its_own_start)
{
	struct thread thread;
	struct process_id id;
	pthread_t handle;
	int32_t tid = 0, pid = 0;
	uint64_t start = 0;

	ck_assert_int_eq(pipe(thread.to_test), 0);
	ck_assert_int_eq(pipe(thread.to_thread), 0);
	ck_assert_int_eq(pthread_create(&handle, NULL, thread_main, &thread), 0);
	ck_assert_int_eq(read(thread.to_test[0], &tid, sizeof(tid)), sizeof(tid));
	ck_assert_int_ne(tid, getpid());
	ck_assert_int_eq(process_of_thread(tid, &pid), 0);
	ck_assert_int_eq(pid, getpid());
	ck_assert_int_eq(process_read(tid, &id, NULL), 0);
	ck_assert_int_eq(id.pid, getpid());
	ck_assert_int_eq(process_thread_start(tid, &start), 0);
	ck_assert_uint_ge(start, id.start_time);
	ck_assert(process_thread_is_alive(tid));
	ck_assert(!process_thread_is_alive(0));
	ck_assert_int_eq(close(thread.to_thread[1]), 0);
	ck_assert_int_eq(pthread_join(handle, NULL), 0);
	ck_assert_int_eq(process_thread_start(0, &start), CO_NOT_FOUND);
	ck_assert_int_eq(process_of_thread(0, &pid), CO_NOT_FOUND);
}
END_TEST

START_TEST(in_the_same_name_space_pids_are_the_same)
{
	pid_t pid = child_start();
	uint32_t seen = 0;
	int32_t host = 0;

	ck_assert_int_eq(process_pid_seen_by(pid, getpid(), &seen), 0);
	ck_assert_uint_eq(seen, (uint32_t) pid);
	ck_assert_int_eq(process_pid_from(getpid(), pid, &host), 0);
	ck_assert_int_eq(host, pid);
	child_stop(pid);
	ck_assert_int_eq(process_pid_seen_by(pid, getpid(), &seen), CO_NOT_FOUND);
	ck_assert_int_eq(process_pid_seen_by(getpid(), pid, &seen), CO_NOT_FOUND);
	ck_assert_int_eq(process_pid_from(getpid(), pid, &host), PROCESS_NOT_VISIBLE);
	ck_assert_int_eq(process_pid_from(getpid(), 0, &host), PROCESS_NOT_VISIBLE);
	ck_assert_int_eq(process_pid_from(pid, 1, &host), CO_NOT_FOUND);
}
END_TEST

/* ---- in a pid name space of their own ---- */

struct space {
	pid_t helper;                /* unshared, parent of pid 1 */
	int32_t init, second, third; /* as this test sees them */
	struct inner {
		int32_t second, third; /* as pid 1 sees them: mostly 2 and 3 */
	} inner;                       /* the third is 1 in a name space within */
	int stop;
};

static void wait_for_end(int stop)
{
	char byte;

	while (read(stop, &byte, 1) < 0 && errno == EINTR)
		continue;
	_exit(0);
}

/* pid 1, its child, and that one's child in a name space within; all end when the pipe
 * of the test closes. */
static void inside(int tell, int stop)
{
	pid_t second = fork();
	struct inner inner = { .second = getpid() };

	if (second < 0)
		_exit(1);
	if (second > 0)
		wait_for_end(stop);
	if (unshare(CLONE_NEWPID) < 0)
		_exit(1);
	inner.third = fork();
	if (inner.third < 0 ||
	    (inner.third > 0 && write(tell, &inner, sizeof(inner)) != sizeof(inner)))
		_exit(1);
	wait_for_end(stop);
}

/* The children of a process, from /proc; one each here. */
static int32_t only_child(int32_t pid)
{
	char path[64];
	FILE *f;
	int32_t child = 0;

	(void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%d", &child), 1);
	ck_assert_int_eq(fclose(f), 0);
	return child;
}

static void space_start(struct space *space)
{
	int tell[2], stop[2];

	ck_assert_int_eq(pipe(tell), 0);
	ck_assert_int_eq(pipe(stop), 0);
	space->helper = fork();
	ck_assert_int_ge(space->helper, 0);
	if (space->helper == 0) {
		pid_t init;

		(void) close(stop[1]); /* so that the end of the test is seen */
		if (unshare(CLONE_NEWPID) < 0 &&
		    unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
			_exit(77);
		init = fork();
		if (init == 0)
			inside(tell[1], stop[0]);
		_exit(init < 0 || waitpid(init, NULL, 0) != init);
	}
	ck_assert_int_eq(close(tell[1]), 0);
	ck_assert_int_eq(close(stop[0]), 0);
	space->stop = stop[1];
	ck_assert_int_eq(read(tell[0], &space->inner, sizeof(space->inner)),
			 sizeof(space->inner));
	ck_assert_int_eq(close(tell[0]), 0);
	space->init = only_child(space->helper);
	space->second = only_child(space->init);
	space->third = only_child(space->second);
}

static void space_stop(struct space *space)
{
	int status = 0;

	ck_assert_int_eq(close(space->stop), 0);
	ck_assert_int_eq(waitpid(space->helper, &status, 0), space->helper);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_process_in_a_name_space_is_called_by_its_inner_pid)
{
	struct space space;
	uint32_t seen = 0;
	int32_t host = 0;

	space_start(&space);
	ck_assert_int_eq(process_pid_seen_by(space.init, space.second, &seen), 0);
	ck_assert_uint_eq(seen, 1);
	ck_assert_int_eq(process_pid_seen_by(space.second, space.init, &seen), 0);
	ck_assert_int_eq(seen, space.inner.second);
	ck_assert_int_eq(process_pid_seen_by(space.second, space.second, &seen), 0);
	ck_assert_int_eq(seen, space.inner.second);
	ck_assert_int_eq(process_pid_from(space.second, 1, &host), 0);
	ck_assert_int_eq(host, space.init);
	ck_assert_int_eq(process_pid_from(space.init, space.inner.second, &host), 0);
	ck_assert_int_eq(host, space.second);
	ck_assert_int_eq(process_pid_from(space.init, 1, &host), 0);
	ck_assert_int_eq(host, space.init);
	ck_assert_int_eq(process_pid_from(space.init, 30000, &host),
			 PROCESS_NOT_VISIBLE);
	space_stop(&space);
}
END_TEST

START_TEST(a_thread_is_found_by_what_its_process_calls_it)
{
	struct space space;
	int32_t tid = 0;

	ck_assert(!process_is_nested(getpid()));
	space_start(&space);
	ck_assert(process_is_nested(space.second));
	ck_assert_int_eq(process_thread_from(space.second, space.inner.second, &tid),
			 0);
	ck_assert_int_eq(tid, space.second);
	ck_assert_int_eq(process_thread_from(space.third, 1, &tid), 0);
	ck_assert_int_eq(tid, space.third);
	/* threads of others are not its own, by no name */
	ck_assert_int_eq(process_thread_from(space.second, 1, &tid), CO_NOT_FOUND);
	ck_assert_int_eq(process_thread_from(space.second, space.second, &tid),
			 CO_NOT_FOUND);
	space_stop(&space);
}
END_TEST

START_TEST(from_outside_it_is_called_by_its_outer_pid)
{
	struct space space;
	uint32_t seen = 0;

	space_start(&space);
	ck_assert_int_eq(process_pid_seen_by(space.second, getpid(), &seen), 0);
	ck_assert_uint_eq(seen, (uint32_t) space.second);
	space_stop(&space);
}
END_TEST

START_TEST(what_is_outside_is_not_visible_inside)
{
	struct space space;
	uint32_t seen = 0;

	space_start(&space);
	ck_assert_int_eq(process_pid_seen_by(getpid(), space.second, &seen),
			 PROCESS_NOT_VISIBLE);
	space_stop(&space);
}
END_TEST

START_TEST(a_name_space_within_is_seen_from_its_parent_and_not_the_other_way)
{
	struct space space;
	uint32_t seen = 0;
	int32_t host = 0;

	space_start(&space);
	ck_assert_int_eq(process_pid_seen_by(space.third, space.init, &seen), 0);
	ck_assert_int_eq(seen, space.inner.third);
	ck_assert_int_eq(process_pid_seen_by(space.third, space.third, &seen), 0);
	ck_assert_uint_eq(seen, 1);
	ck_assert_int_eq(process_pid_seen_by(space.second, space.third, &seen),
			 PROCESS_NOT_VISIBLE);
	ck_assert_int_eq(process_pid_from(space.init, space.inner.third, &host), 0);
	ck_assert_int_eq(host, space.third);
	ck_assert_int_eq(process_pid_from(space.third, space.inner.third, &host),
			 PROCESS_NOT_VISIBLE);
	space_stop(&space);
}
END_TEST

START_TEST(neighbouring_name_spaces_do_not_see_each_other)
{
	struct space a, b;
	uint32_t seen = 0;
	int32_t host = 0;

	space_start(&a);
	space_start(&b);
	ck_assert_int_eq(process_pid_seen_by(a.second, b.second, &seen),
			 PROCESS_NOT_VISIBLE);
	ck_assert_int_eq(process_pid_from(b.second, 1, &host), 0);
	ck_assert_int_eq(host, b.init);
	ck_assert_int_eq(process_pid_from(a.second, 1, &host), 0);
	ck_assert_int_eq(host, a.init);
	space_stop(&b);
	space_stop(&a);
}
END_TEST

static bool may_unshare(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWPID) < 0 &&
		      unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static TCase *space_tests(void)
{
	TCase *tests = tcase_create("name spaces");

	tcase_add_test(tests, a_process_in_a_name_space_is_called_by_its_inner_pid);
	tcase_add_test(tests, a_thread_is_found_by_what_its_process_calls_it);
	tcase_add_test(tests, from_outside_it_is_called_by_its_outer_pid);
	tcase_add_test(tests, what_is_outside_is_not_visible_inside);
	tcase_add_test(
		tests,
		a_name_space_within_is_seen_from_its_parent_and_not_the_other_way);
	tcase_add_test(tests, neighbouring_name_spaces_do_not_see_each_other);
	return tests;
}

/* ---- users ---- */

/* A child that has become that user, made a user name space, been mapped to what 0 of it
 * is outside, and is root in it.  -1: not to be had here. */
static pid_t child_in_user_space(uid_t as, uid_t outside)
{
	int made[2], mapped[2];
	char path[64], line[64], byte = 0;
	FILE *map;
	pid_t pid;
	bool done;

	ck_assert_int_eq(pipe(made), 0);
	ck_assert_int_eq(pipe(mapped), 0);
	pid = fork();
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void) close(made[0]);
		(void) close(mapped[1]);
		if ((as && setresuid(as, as, as) < 0) || unshare(CLONE_NEWUSER) < 0)
			_exit(1);
		(void) !write(made[1], &byte, 1);
		if (read(mapped[0], &byte, 1) != 1 || setresuid(0, 0, 0) < 0)
			_exit(2);
		(void) !write(made[1], &byte, 1);
		for (;;)
			(void) pause(); /* only a signal ends it */
	}
	(void) close(made[1]);
	(void) close(mapped[0]);
	done = read(made[0], &byte, 1) == 1;
	if (done) {
		(void) snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		(void) snprintf(line, sizeof(line), "0 %u 1", outside);
		map = fopen(path, "we");
		done = map && fputs(line, map) >= 0;
		done = map && fclose(map) == 0 && done;
	}
	(void) !write(mapped[1], &byte, 1);
	done = done && read(made[0], &byte, 1) == 1;
	(void) close(made[0]);
	(void) close(mapped[1]);
	if (done)
		return pid;
	child_stop(pid);
	return -1;
}

START_TEST(who_lives_in_a_user_space_of_mine_is_me_and_in_anothers_is_not)
{
	struct process_look look;
	struct process_credentials who;
	pid_t pid = child_in_user_space(0, geteuid() ? geteuid() : 100000);
	uint32_t uid;

	if (pid < 0) {
		(void) fprintf(stderr, "SKIP: no user name spaces on this box\n");
		return;
	}
	ck_assert_int_eq(process_user(pid, &uid), 0);
	ck_assert_uint_eq(uid, geteuid());
	ck_assert_int_eq(process_look(pid, &look), 0);
	ck_assert_uint_eq(look.uid, geteuid());
	ck_assert_int_eq(process_credentials(pid, &who), 0);
	ck_assert_uint_eq(who.gid, getegid());
	child_stop(pid);
	pid = geteuid() ? -1 : child_in_user_space(65534, 100001);
	if (pid < 0)
		return;
	ck_assert_int_eq(process_user(pid, &uid), 0);
	ck_assert_uint_eq(uid, 100001);
	child_stop(pid);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process");
	TCase *tests = tcase_create("process");
	SRunner *runner = srunner_create(suite);
	bool has_spaces = may_unshare();
	int failed;

	tcase_add_test(tests, the_boot_is_known_and_stays_the_same);
	tcase_add_test(tests, a_process_is_read_and_is_alive);
	tcase_add_test(tests,
		       a_name_with_brackets_and_spaces_does_not_hide_the_start_time);
	tcase_add_test(tests, a_pid_that_is_nobody_is_not_found);
	tcase_add_test(tests, another_start_time_or_boot_is_another_process);
	tcase_add_test(tests, a_pidfd_tells_the_end_and_a_zombie_is_dead);
	tcase_add_test(tests, a_thread_belongs_to_its_process_and_has_its_own_start);
	tcase_add_test(tests, in_the_same_name_space_pids_are_the_same);
	tcase_add_test(tests,
		       who_lives_in_a_user_space_of_mine_is_me_and_in_anothers_is_not);
	suite_add_tcase(suite, tests);
	if (has_spaces)
		suite_add_tcase(suite, space_tests());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (!has_spaces)
		(void) fprintf(stderr,
			       "SKIP: 6 tests of pid name spaces: this box does "
			       "not allow unshare(CLONE_NEWPID)\n");
	return failed ? EXIT_FAILURE : has_spaces ? EXIT_SUCCESS : 77;
}
