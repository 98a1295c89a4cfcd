/* SPDX-License-Identifier: MIT */
/* Messages between a container's monitor and those who ask it.  HOST. */
#include "cloudosd/ctr/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/ctr/control_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define SOCKET_NAME "ctl.sock"

/* ---- connections ---- */

/* A path below the folder's descriptor: any depth fits into sun_path. */
static int socket_address(const char *folder, int dir, struct sockaddr_un *out,
			  struct co_err *err)
{
	int n;

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/" SOCKET_NAME, folder);
	if (n > 0 && (size_t) n < sizeof(out->sun_path))
		return 0;
	n = snprintf(out->sun_path, sizeof(out->sun_path),
		     "/proc/self/fd/%d/" SOCKET_NAME, dir);
	if (n > 0 && (size_t) n < sizeof(out->sun_path))
		return 0;
	return co_fail(err, CO_NAME_TOO_LONG,
		       "the path of the socket in %s is too long", folder);
}

static int open_socket(const char *folder, struct sockaddr_un *address, int *out_dir,
		       int *out_fd, struct co_err *err)
{
	autoclose int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, rc;

	if (dir < 0) {
		int code = errno;

		(void) co_fail_errno(err, code, "cannot open the folder %s", folder);
		return code == ENOENT
			       ? co_fail(err, CO_GONE, "no monitor is at %s", folder)
			       : co_status_from_errno(code);
	}
	rc = socket_address(folder, dir, address, err);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return co_fail_errno(err, errno, "cannot make a socket");
	*out_fd = fd;
	*out_dir = take_fd(dir);
	return 0;
}

int ctr_control_connect(const char *folder, int *out_fd, struct co_err *err)
{
	struct sockaddr_un address;
	autoclose int fd = -1;
	autoclose int dir = -1;
	int rc = open_socket(folder, &address, &dir, &fd, err);

	if (rc < 0)
		return rc;
	if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
		int code = errno;

		if (code == ENOENT || code == ECONNREFUSED)
			return co_fail(err, CO_GONE,
				       "no monitor listens at %s/" SOCKET_NAME, folder);
		if (code == EAGAIN)
			return co_fail(err, CO_BUSY,
				       "too many want to talk to the monitor at %s",
				       folder);
		return co_fail_errno(err, code,
				     "cannot connect to the monitor at %s/" SOCKET_NAME,
				     folder);
	}
	*out_fd = take_fd(fd);
	return 0;
}

int ctr_control_listen(const char *folder, int *out_fd, struct co_err *err)
{
	struct sockaddr_un address;
	autoclose int fd = -1;
	autoclose int dir = -1;
	mode_t old;
	int rc = open_socket(folder, &address, &dir, &fd, err);

	if (rc < 0)
		return rc;
	(void) unlinkat(dir, SOCKET_NAME,
			0); /* of a monitor that was killed; or nothing */
	old = umask(0177);
	rc = bind(fd, (struct sockaddr *) &address, sizeof(address));
	(void) umask(old);
	if (rc < 0 || listen(fd, 64) < 0)
		return co_fail_errno(err, errno, "cannot listen at %s/" SOCKET_NAME,
				     folder);
	*out_fd = take_fd(fd);
	return 0;
}

int ctr_control_pair(int *out_mine, int *out_monitors, struct co_err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       pair) < 0)
		return co_fail_errno(err, errno, "cannot make a pair of sockets");
	*out_mine = pair[0];
	*out_monitors = pair[1];
	return 0;
}

/* ---- sending ---- */

static int sent(ssize_t n, struct co_err *err)
{
	if (n >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return co_fail(err, CO_BUSY, "the other side does not read");
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
		return co_fail(err, CO_GONE, "the other side is gone");
	if (errno == EMSGSIZE)
		return co_fail(err, CO_TOO_BIG, "the message is too long");
	return co_fail_errno(err, errno, "cannot send a message");
}

int ctr_control_packet(int fd, int type, const void *data, size_t size,
		       struct co_err *err)
{
	unsigned char head = (unsigned char) type;
	struct iovec parts[2] = { { .iov_base = &head, .iov_len = 1 },
				  { .iov_base = (void *) (uintptr_t) data,
				    .iov_len = size } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;

	if (type < 0) { /* JSON has no byte in front */
		message.msg_iov = &parts[1];
		message.msg_iovlen = 1;
	}
	if (size + (type >= 0) > CO_LIMIT_CTR_MESSAGE)
		return co_fail(err, CO_TOO_BIG,
			       "a message has %zu bytes; at most %d are allowed", size,
			       CO_LIMIT_CTR_MESSAGE);
	do {
		n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return sent(n, err);
}

int ctr_control_send(int fd, uint64_t tag, const char *op, const char *members,
		     struct co_err *err)
{
	autobuf struct co_buf text = { 0 };

	co_buf_format(&text, "{\"op\":\"%s\",\"tag\":%llu%s%s}", op,
		      (unsigned long long) tag, members && members[0] ? "," : "",
		      members ? members : "");
	if (text.failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for a message");
	return ctr_control_packet(fd, -1, text.data, text.size, err);
}

int ctr_control_input(int fd, const void *data, size_t size, struct co_err *err)
{
	return ctr_control_packet(fd, 0, data, size, err);
}

/* ---- receiving ---- */

static int damaged(struct co_err *err, const char *what)
{
	return co_fail(err, CO_PROTOCOL, "the monitor sent a message that %s", what);
}

int ctr_status_of_name(struct co_span string)
{
#define STATUS(name, number, sentence)                                                 \
	if (co_json_string_is(string, #name))                                          \
		return CO_##name;
#include <co/status.def>
#undef STATUS
	return CO_IO;
}

/* A string's text, cut to fit. */
static void copy_text(struct co_span object, const char *name, char *out, size_t room)
{
	autobuf struct co_buf text = { 0 };
	struct co_span value;

	out[0] = 0;
	if (co_json_member(object, name, &value) &&
	    co_json_unescape(value, &text) == 0 && text.data)
		(void) snprintf(out, room, "%s", text.data);
}

static int read_reply(struct ctr_message *m, struct co_err *err)
{
	struct co_span ok, code, tag;
	int64_t number;

	if (!co_json_member(m->json, "tag", &tag) || !co_json_whole(tag, &number))
		return damaged(err, "is neither reply nor event");
	m->kind = CTR_REPLY;
	m->tag = (uint64_t) number;
	if (co_json_member(m->json, "ok", &ok) && co_span_is(ok, "true"))
		return 0;
	m->status = co_json_member(m->json, "code", &code) ? ctr_status_of_name(code)
							   : CO_IO;
	m->failed.code = m->status;
	copy_text(m->json, "message", m->failed.message, sizeof(m->failed.message));
	return 0;
}

static int read_json(struct ctr_message *m, size_t size, struct co_err *err)
{
	struct co_span text = { m->bytes, size }, name;
	struct co_json_fault fault;

	if (co_json_check(text, &m->json, &fault) < 0 ||
	    co_json_kind(m->json) != CO_JSON_OBJECT)
		return damaged(err, "is not a JSON object");
	if (!co_json_member(m->json, "event", &name))
		return read_reply(m, err);
	m->kind = CTR_EVENT;
	copy_text(m->json, "event", m->event, sizeof(m->event));
	return 0;
}

int ctr_control_receive(int fd, struct ctr_message *out, struct co_err *err)
{
	ssize_t n;

	memset(out, 0, offsetof(struct ctr_message, bytes));
	/* a reset tells that it ended with requests unread; what it said comes after that */
	do {
		n = recv(fd, out->bytes, sizeof(out->bytes), MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0 && errno == EAGAIN)
		return 1;
	if (n == 0)
		return co_fail(err, CO_GONE, "the monitor ended the connection");
	if (n < 0)
		return co_fail_errno(err, errno, "cannot receive from the monitor");
	if ((size_t) n > sizeof(out->bytes))
		return damaged(err, "is too long");
	if (out->bytes[0] == '{')
		return read_json(out, (size_t) n, err);
	if (out->bytes[0] != 1 && out->bytes[0] != 2)
		return damaged(err, "is of no known type");
	out->kind = out->bytes[0] == 1 ? CTR_OUTPUT : CTR_ERROR_OUTPUT;
	out->data = (struct co_span){ out->bytes + 1, (size_t) n - 1 };
	return 0;
}

/* ---- asking and waiting ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with that clock */
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t end, struct co_err *err)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = end < 0 ? -1 : end - now_ms();
		int n;

		if (end >= 0 && left < 0)
			left = 0;
		n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int) left);
		if (n > 0)
			return 0;
		if (n == 0)
			return co_fail(err, CO_TIMED_OUT,
				       "the monitor did not answer in time");
		if (errno != EINTR)
			return co_fail_errno(err, errno, "cannot wait for the monitor");
	}
}

static int take_reply(const struct ctr_message *m, struct co_buf *out,
		      struct co_err *err)
{
	if (m->status < 0)
		return co_fail(err, m->status, "%s", m->failed.message);
	if (out) {
		co_buf_span(out, m->json);
		if (out->failed)
			return co_fail(err, CO_NO_MEMORY, "no memory for the answer");
	}
	return 0;
}

int ctr_control_call(int fd, const char *op, const char *members, int timeout_ms,
		     struct co_buf *out, struct co_err *err)
{
	static uint64_t last_tag = UINT64_C(1) << 32; /* apart from the caller's own */
	uint64_t tag = ++last_tag;
	int64_t end = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	autofree struct ctr_message *m = malloc(sizeof(*m));
	int rc;

	if (!m)
		return co_fail(err, CO_NO_MEMORY, "no memory for a message");
	while ((rc = ctr_control_send(fd, tag, op, members, err)) == CO_BUSY) {
		rc = wait_for(fd, POLLOUT, end, err);
		if (rc < 0)
			return rc;
	}
	while (rc >= 0) {
		rc = ctr_control_receive(fd, m, err);
		if (rc == 1)
			rc = wait_for(fd, POLLIN, end, err);
		else if (rc == 0 && m->kind == CTR_REPLY && m->tag == tag)
			return take_reply(m, out, err);
	}
	return rc;
}
