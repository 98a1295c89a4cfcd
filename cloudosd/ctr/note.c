/* SPDX-License-Identifier: MIT */
/* What the two sides of a start tell each other.  HOST. */
#include "cloudosd/ctr/note.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/rights.h"

int ctr_note_send(int link, const struct ctr_note *n, const int *fds, size_t count)
{
	if (count > CO_RIGHTS_MAX)
		return CO_TOO_BIG;
	if (co_rights_send(link, n, sizeof(*n), fds, count) < 0)
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

int ctr_note_receive(int link, struct ctr_note *out, int *fds, size_t *count,
		     struct co_err *err)
{
	union co_rights_room beside;
	size_t room = count ? *count : 0, came;
	struct iovec part = { .iov_base = out, .iov_len = sizeof(*out) };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &beside,
			    .msg_controllen = sizeof(beside) };
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
	came = co_rights_take(&m, fds, room, NULL);
	if (count)
		*count = came < room ? came : room;
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
