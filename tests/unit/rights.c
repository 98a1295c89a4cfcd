/* SPDX-License-Identifier: MIT */
/* Descriptors beside the bytes of a local socket. */
#include "lib/rights.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/run.h"

static int ends[2], fds[CO_RIGHTS_MAX + 1];

static void setup(void)
{
	int yes = 1;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends),
			 0);
	ck_assert_int_eq(
		setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)), 0);
	for (size_t i = 0; i < CO_RIGHTS_MAX + 1; i++)
		ck_assert_int_ge(fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

static void teardown(void)
{
	for (size_t i = 0; i < CO_RIGHTS_MAX + 1; i++)
		ck_assert_int_eq(close(fds[i]), 0);
	ck_assert_int_eq(close(ends[0]), 0);
	ck_assert_int_eq(close(ends[1]), 0);
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	ck_assert_int_eq(closedir(d), 0);
	return n;
}

static size_t receive(int *out, size_t room, pid_t *sender)
{
	union co_rights_room beside;
	char data[8] = "";
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &beside,
			    .msg_controllen = sizeof(beside) };

	ck_assert_int_eq(recvmsg(ends[1], &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT), 4);
	ck_assert_str_eq(data, "data");
	ck_assert_int_eq(m.msg_flags & MSG_CTRUNC, 0);
	return co_rights_take(&m, out, room, sender);
}

static const size_t counts[] = { 0, 1, 2, CO_RIGHTS_MAX };

START_TEST(descriptors_arrive_with_who_sent_them)
{
	size_t n = counts[_i];
	int got[CO_RIGHTS_MAX];
	pid_t sender = 0;

	ck_assert_int_eq(co_rights_send(ends[0], "data", 4, fds, n), 4);
	ck_assert_uint_eq(receive(got, CO_RIGHTS_MAX, &sender), n);
	ck_assert_int_eq(sender, getpid());
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		ck_assert_int_eq(close(got[i]), 0);
	}
}
END_TEST

START_TEST(those_without_room_are_closed_and_counted)
{
	unsigned before = open_descriptors();
	int got[3] = { -1, -1, -1 };

	ck_assert_int_eq(co_rights_send(ends[0], "data", 4, fds, 5), 4);
	ck_assert_uint_eq(receive(got, 2, NULL), 5);
	ck_assert_int_eq(got[2], -1);
	ck_assert_uint_eq(open_descriptors(), before + 2);
	ck_assert_int_eq(close(got[0]), 0);
	ck_assert_int_eq(close(got[1]), 0);
	ck_assert_int_eq(co_rights_send(ends[0], "data", 4, fds, 5), 4);
	ck_assert_uint_eq(receive(NULL, 0, NULL), 5);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(more_than_the_kernel_takes_are_refused)
{
	ck_assert_int_eq(co_rights_send(ends[0], "data", 4, fds, CO_RIGHTS_MAX + 1),
			 -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_an_error_and_no_signal)
{
	ck_assert_int_eq(close(ends[1]), 0);
	ck_assert_int_eq(co_rights_send(ends[0], "data", 4, fds, 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_ge(ends[1] = open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rights");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, descriptors_arrive_with_who_sent_them, 0,
			    sizeof(counts) / sizeof(*counts));
	tcase_add_test(tc, those_without_room_are_closed_and_counted);
	tcase_add_test(tc, more_than_the_kernel_takes_are_refused);
	tcase_add_test(tc, a_peer_that_is_gone_is_an_error_and_no_signal);
	return run_tests(tc);
}
