/* SPDX-License-Identifier: MIT */
/* What the tests of containers' networks share.  HOST. */
#ifndef TESTS_UNIT_NETWORK_H
#define TESTS_UNIT_NETWORK_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "cloudosd/ctr/network.h"
#include "tests/run.h"

enum { WAIT_MS = 30000 };

static inline void check(int rc, const struct co_err *err)
{
	ck_assert_msg(rc == 0, "%s", err->message);
}

static inline void end(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* ---- answers on port 80 with its name, or asks somebody ---- */

static inline int listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(80) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *) &a, sizeof(a)) < 0 || listen(fd, 16) < 0)
		_exit(90);
	return fd;
}

static inline _Noreturn void serve(char name)
{
	int fd = listener();

	for (;;) {
		struct sockaddr_in from = { 0 };
		socklen_t n = sizeof(from);
		int c = accept(fd, (void *) &from, &n);
		char text[64] = { name };

		(void) inet_ntop(AF_INET, &from.sin_addr, text + 1, sizeof(text) - 1);
		if (c < 0 || write(c, text, strlen(text)) < 0)
			_exit(91);
		(void) close(c);
	}
}

/* What is answered there, seen from this name space, "" nothing. */
static inline void ask(const char *address, unsigned port, int wait_ms, char *out,
		       size_t n)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t) port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    error = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(error);
	ssize_t got = 0;

	out[0] = 0;
	ck_assert_int_eq(inet_pton(AF_INET, address, &a.sin_addr), 1);
	if (connect(fd, (void *) &a, sizeof(a)) < 0 && errno != EINPROGRESS) {
		(void) close(fd);
		return;
	}
	if (poll(&p, 1, wait_ms) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && !error) {
		p.events = POLLIN;
		if (poll(&p, 1, wait_ms) == 1)
			got = read(fd, out, n - 1);
	}
	out[got > 0 ? got : 0] = 0;
	(void) close(fd);
}

#endif
