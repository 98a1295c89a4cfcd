/* SPDX-License-Identifier: MIT */
/* What the two sides of a start tell each other.  HOST. */
#include "cloudosd/ctr/note.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/cleanup.h"

enum { NOTE_FDS = 250 }; /* the kernel sends at most 253 at once */

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * NOTE_FDS)];
};

int ctr_note_send(int link, const struct ctr_note *n, const int *fds, size_t count)
{
	struct iovec part = { .iov_base = (void *) (uintptr_t) n,
			      .iov_len = sizeof(*n) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control;
	ssize_t sent;

	if (count > NOTE_FDS)
		return CO_TOO_BIG;
	if (count) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	do
		sent = sendmsg(link, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EPIPE || errno == ECONNRESET
			       ? CO_GONE
			       : co_status_from_errno(errno);
	return 0;
}

int ctr_say(int link, int what, int64_t number)
{
	struct ctr_note n = { .what = what, .number = number };

	return ctr_note_send(link, &n, NULL, 0);
}

int ctr_say_with(int link, int what, int fd)
{
	struct ctr_note n = { .what = what };

	return ctr_note_send(link, &n, &fd, 1);
}

void ctr_say_failed(int link, const struct co_err *err)
{
	struct ctr_note n = { .what = CTR_SAID_FAILED, .code = err->code };

	(void) snprintf(n.text, sizeof(n.text), "%s", err->message);
	(void) ctr_note_send(link, &n, NULL, 0); /* nobody there: nobody to tell */
}

static void keep_fds(struct msghdr *m, int *fds, size_t *count)
{
	size_t room = count ? *count : 0, n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < came; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < room)
				fds[n++] = fd;
			else
				(void) close(fd); /* nobody asked for it */
		}
	}
	if (count)
		*count = n;
}

int ctr_note_receive(int link, struct ctr_note *out, int *fds, size_t *count,
		     struct co_err *err)
{
	union control control;
	struct iovec part = { .iov_base = out, .iov_len = sizeof(*out) };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int resets =
		0; /* told once of who left something unread, before what he said */
	ssize_t got;

	do
		got = recvmsg(link, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && (errno == EINTR || (errno == ECONNRESET && !resets++)));
	if (got < 0 && errno == EAGAIN) /* who asks has set a limit */
		return co_fail(err, CO_TIMED_OUT, "the other side does not go on");
	if (got < 0 && errno != ECONNRESET)
		return co_fail_errno(err, errno, "the other side cannot be heard");
	if (got <= 0)
		return co_fail(err, CO_GONE, "the other side is gone");
	keep_fds(&m, fds, count);
	if (got != sizeof(*out))
		return co_fail(err, CO_PROTOCOL, "half a note came");
	out->text[sizeof(out->text) - 1] = '\0';
	if (out->what == CTR_SAID_FAILED)
		return co_fail(err, out->code < 0 ? out->code : CO_IO, "%s", out->text);
	return 0;
}

int ctr_await(int link, int what, struct ctr_note *out, struct co_err *err)
{
	struct ctr_note n;
	int rc = ctr_note_receive(link, &n, NULL, NULL, err);

	if (rc < 0)
		return rc;
	if (n.what != what)
		return co_fail(err, CO_PROTOCOL, "note %d came instead of %d", n.what,
			       what);
	if (out)
		*out = n;
	return 0;
}
