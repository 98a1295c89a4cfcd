/* SPDX-License-Identifier: MIT */
/*
 * HOST test of sending and receiving over a real SOCK_SEQPACKET socket: what comes in is
 * what went out, every hostile datagram is refused, and no descriptor is ever left behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/run.h"
#include "tests/wire/describe.h"

static struct co_msg *out, *in;
static int ends[2]; /* [0] sends, [1] receives and does not block */

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

static void set_up(void)
{
	out = co_msg_new();
	in = co_msg_new();
	ck_assert(out && in);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends),
			 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
}

static void tear_down(void)
{
	out = co_msg_free(out);
	in = co_msg_free(in);
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			ck_assert_int_eq(close(ends[i]), 0);
}

static int null_device(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	ck_assert_int_eq(fstat(a, &x), 0);
	ck_assert_int_eq(fstat(b, &y), 0);
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Sends raw bytes with n descriptors, which co_msg_send would refuse to build. */
static void send_raw(const void *bytes, size_t size, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *) (uintptr_t) bytes, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(ends[0], &msg, MSG_NOSIGNAL), (int) size);
}

static int receive(void)
{
	struct co_err err = { 0 };

	return co_msg_receive(in, ends[1], &err);
}

START_TEST(every_message_arrives)
{
	size_t n;
	const struct co_layout *l = &co_wire_layouts(&n)[_i];
	int fds[CO_WIRE_FDS_MAX];
	unsigned before;

	for (uint32_t i = 0; i < l->fds; i++)
		fds[i] = null_device();
	before = open_descriptors();
	describe_fill(out, l, 3, 5);
	ck_assert_int_eq(co_msg_send(out, ends[0], fds, l->fds), 0);
	ck_assert_int_eq(receive(), 0);
	ck_assert_uint_eq(in->header->size, out->header->size);
	ck_assert_mem_eq(in->bytes, out->bytes, out->header->size);
	ck_assert_uint_eq(in->nfds, l->fds);
	for (uint32_t i = 0; i < l->fds; i++) {
		ck_assert(same_file(in->fds[i], fds[i]));
		ck_assert_int_eq(fcntl(in->fds[i], F_GETFD), FD_CLOEXEC);
	}
	ck_assert_int_eq(receive(), CO_BUSY); /* closes what came with the last one */
	ck_assert_uint_eq(open_descriptors(), before);
	for (uint32_t i = 0; i < l->fds; i++)
		ck_assert_int_eq(close(fds[i]), 0);
}
END_TEST

START_TEST(a_descriptor_can_be_taken_once)
{
	int fds[2] = { null_device(), ends[0] };
	unsigned before = open_descriptors();
	int taken;

	co_msg_start(out, WIRE_attach_req, 1);
	ck_assert_int_eq(co_msg_send(out, ends[0], fds, 2), 0);
	ck_assert_int_eq(receive(), 0);
	taken = co_msg_take_fd(in, 0);
	ck_assert(same_file(taken, fds[0]));
	ck_assert_int_eq(co_msg_take_fd(in, 0), -1);
	ck_assert_int_eq(co_msg_take_fd(in, 2), -1);
	in = co_msg_free(in); /* closes the second one, not the taken one */
	ck_assert_uint_eq(open_descriptors(), before + 1);
	ck_assert_int_eq(close(taken), 0);
	ck_assert_int_eq(close(fds[0]), 0);
}
END_TEST

START_TEST(messages_keep_their_order_and_their_borders)
{
	for (uint64_t tag = 1; tag <= 20; tag++) {
		describe_fill(out, co_wire_layout(WIRE_service_row), tag, 1);
		ck_assert_int_eq(co_msg_send(out, ends[0], NULL, 0), 0);
	}
	for (uint64_t tag = 1; tag <= 20; tag++) {
		ck_assert_int_eq(receive(), 0);
		ck_assert_uint_eq(in->header->tag, tag);
	}
	ck_assert_int_eq(receive(), CO_BUSY);
}
END_TEST

START_TEST(the_largest_message_travels)
{
	struct wire_memory_read_rep *rep = co_msg_start(out, WIRE_memory_read_rep, 1);

	ck_assert_ptr_nonnull(
		co_msg_bytes(out, &rep->data, NULL, CO_WIRE_MAX - sizeof(*rep)));
	ck_assert_int_eq(co_msg_send(out, ends[0], NULL, 0), 0);
	ck_assert_int_eq(receive(), 0);
	ck_assert_uint_eq(in->header->size, CO_WIRE_MAX);
}
END_TEST

START_TEST(an_overflown_message_is_not_sent)
{
	struct wire_memory_read_rep *rep = co_msg_start(out, WIRE_memory_read_rep, 1);

	ck_assert_ptr_null(co_msg_bytes(out, &rep->data, NULL, CO_WIRE_MAX));
	ck_assert_int_eq(co_msg_send(out, ends[0], NULL, 0), CO_TOO_BIG);
	ck_assert_int_eq(receive(), CO_BUSY);
}
END_TEST

START_TEST(a_full_socket_is_busy)
{
	int rc;

	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	co_msg_start(out, WIRE_resend_calls_note, 0);
	do
		rc = co_msg_send(out, ends[0], NULL, 0);
	while (rc == 0);
	ck_assert_int_eq(rc, CO_BUSY);
	ck_assert_int_eq(receive(), 0);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_told)
{
	co_msg_start(out, WIRE_resend_calls_note, 0);
	ck_assert_int_eq(co_msg_send(out, ends[0], NULL, 0), 0);
	ck_assert_int_eq(close(ends[0]), 0);
	ends[0] = -1;
	ck_assert_int_eq(receive(), 0); /* what was on its way still comes */
	ck_assert_int_eq(receive(), CO_GONE);
	ck_assert_int_eq(co_msg_send(out, ends[1], NULL, 0), CO_GONE);
}
END_TEST

static void ignore(int signal)
{
	(void) signal; /* it only has to interrupt */
}

START_TEST(a_peer_that_goes_without_having_read_is_heard)
{
	co_msg_start(out, WIRE_resend_calls_note, 0);
	ck_assert_int_eq(co_msg_send(out, ends[1], NULL, 0), 0);
	ck_assert_int_eq(co_msg_send(out, ends[0], NULL, 0), 0);
	ck_assert_int_eq(close(ends[0]), 0);
	ends[0] = -1;
	ck_assert_int_eq(receive(), 0);
	ck_assert_uint_eq(in->header->type, WIRE_resend_calls_note);
	ck_assert_int_eq(receive(), CO_GONE);
}
END_TEST

START_TEST(an_interrupted_receive_says_so)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };

	ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	ck_assert_int_eq(receive(), CO_INTERRUPTED);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
}
END_TEST

/* ---- hostile ---- */

START_TEST(every_truncated_datagram_is_refused)
{
	describe_fill(out, co_wire_layout(WIRE_service_register_req), 1, 1);
	for (uint32_t n = 1; n < out->header->size; n++) {
		send_raw(out->bytes, n, NULL, 0);
		ck_assert_int_eq(receive(), CO_PROTOCOL);
	}
	/* the channel is none the worse for it */
	ck_assert_int_eq(co_msg_send(out, ends[0], NULL, 0), 0);
	ck_assert_int_eq(receive(), 0);
}
END_TEST

START_TEST(a_datagram_beyond_the_limit_is_refused)
{
	size_t n = CO_WIRE_MAX + 1;
	autofree unsigned char *big = calloc(1, n);
	struct wire_header header = { WIRE_trace_line_note, (uint32_t) n, 0 };
	int fd = null_device();
	unsigned before = open_descriptors();

	ck_assert_ptr_nonnull(big);
	memcpy(big, &header, sizeof(header));
	send_raw(big, n, &fd, 1);
	ck_assert_int_eq(receive(), CO_PROTOCOL);
	header.size = CO_WIRE_MAX; /* cut by the kernel, it would look proper */
	memcpy(big, &header, sizeof(header));
	send_raw(big, n, NULL, 0);
	ck_assert_int_eq(receive(), CO_PROTOCOL);
	ck_assert_int_eq(receive(), CO_BUSY);
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(an_empty_datagram_ends_the_conversation)
{
	int fd = null_device();
	unsigned before = open_descriptors();

	send_raw("", 0, NULL, 0);
	ck_assert_int_eq(receive(), CO_GONE);
	send_raw("", 0, &fd, 1); /* with a descriptor that nobody asked for */
	ck_assert_int_eq(receive(), CO_GONE);
	in = co_msg_free(in);
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* _i descriptors beside a message to which two belong. */
START_TEST(descriptors_too_many_are_refused_and_closed)
{
	int fds[20], null = null_device();
	unsigned before = open_descriptors();

	for (int i = 0; i < _i; i++)
		fds[i] = null;
	co_msg_start(out, WIRE_keeper_hold_note, 0);
	send_raw(out->bytes, out->header->size, fds, (size_t) _i);
	ck_assert_int_eq(receive(), _i <= 2 ? 0 : CO_PROTOCOL);
	ck_assert_uint_le(in->nfds, CO_WIRE_FDS_MAX);
	in = co_msg_free(in);
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_int_eq(close(null), 0);
}
END_TEST

START_TEST(descriptors_beside_rubbish_are_closed)
{
	int fds[2] = { null_device(), null_device() };
	unsigned before = open_descriptors();

	for (unsigned i = 0; i < 100; i++) {
		unsigned char rubbish[64];

		memset(rubbish, (int) i, sizeof(rubbish));
		send_raw(rubbish, sizeof(rubbish), fds, 2);
		ck_assert_int_eq(receive(), CO_PROTOCOL);
	}
	in = co_msg_free(in);
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_int_eq(close(fds[0]), 0);
	ck_assert_int_eq(close(fds[1]), 0);
}
END_TEST

START_TEST(the_sender_is_told_beside_all_descriptors)
{
	int one = 1, null = null_device(), fds[CO_WIRE_FDS_MAX + 1];
	unsigned before = open_descriptors();

	for (size_t i = 0; i < co_countof(fds); i++)
		fds[i] = null;
	co_msg_start(out, WIRE_keeper_hold_note, 0);
	send_raw(out->bytes, out->header->size, fds, 2);
	ck_assert_int_eq(receive(), 0);
	ck_assert_int_eq(in->sender, 0); /* nobody has asked the kernel */
	ck_assert_int_eq(
		setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
	send_raw(out->bytes, out->header->size, fds, 2);
	ck_assert_int_eq(receive(), 0);
	ck_assert_int_eq(in->sender, getpid());
	ck_assert_uint_eq(in->nfds, 2);
	for (int i = 3; i <= (int) co_countof(fds); i++) {
		send_raw(out->bytes, out->header->size, fds, (size_t) i);
		ck_assert_int_eq(receive(), CO_PROTOCOL);
	}
	in = co_msg_free(in);
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_int_eq(close(null), 0);
}
END_TEST

static void add_hostile(TCase *tc)
{
	tcase_add_test(tc, every_truncated_datagram_is_refused);
	tcase_add_test(tc, a_datagram_beyond_the_limit_is_refused);
	tcase_add_test(tc, an_empty_datagram_ends_the_conversation);
	tcase_add_loop_test(tc, descriptors_too_many_are_refused_and_closed, 0, 20);
	tcase_add_test(tc, descriptors_beside_rubbish_are_closed);
	tcase_add_test(tc, the_sender_is_told_beside_all_descriptors);
}

int main(void)
{
	TCase *tc = tcase_create("transport");
	size_t n;

	(void) co_wire_layouts(&n); /* only how many there are */
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, every_message_arrives, 0, (int) n);
	tcase_add_test(tc, a_descriptor_can_be_taken_once);
	tcase_add_test(tc, messages_keep_their_order_and_their_borders);
	tcase_add_test(tc, the_largest_message_travels);
	tcase_add_test(tc, an_overflown_message_is_not_sent);
	tcase_add_test(tc, a_full_socket_is_busy);
	tcase_add_test(tc, a_peer_that_is_gone_is_told);
	tcase_add_test(tc, a_peer_that_goes_without_having_read_is_heard);
	tcase_add_test(tc, an_interrupted_receive_says_so);
	add_hostile(tc);
	return run_tests(tc);
}
