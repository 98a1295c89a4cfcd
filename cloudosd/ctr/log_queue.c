/* SPDX-License-Identifier: MIT */
/*
 * A process that writes a container's log, so that a slow disk holds up nobody else.  HOST.
 *
 * Between it and the monitor is a socket; what the kernel lets wait there is the bound.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/ctr/log_inside.h"
#include "lib/cleanup.h"

enum { CHUNK = 32768, REOPEN = 2 };

struct ctr_log_queue {
	int fd;
	uint64_t unsaid; /* lost and not yet told to the process */
};

struct head {
	uint32_t stream; /* or REOPEN */
	uint64_t lost;   /* before this */
	struct timespec at;
};

/* ---- the process ---- */

static void take_chunk(struct ctr_log *l, const struct head *head, const char *data,
		       size_t size)
{
	if (head->lost)
		ctr_log_lost(l, head->lost);
	if (head->stream == REOPEN)
		(void) ctr_log_reopen(l, NULL); /* the old file stays then */
	else if (size)
		ctr_log_lines(l, (enum ctr_stream) head->stream, &head->at, data, size);
}

_Noreturn static void run(struct ctr_log *l, int fd)
{
	static char data[CHUNK];
	struct head head;
	struct iovec parts[2] = { { &head, sizeof(head) }, { data, sizeof(data) } };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		ssize_t n;

		if (poll(&p, 1, ctr_log_due(l)) == 0) {
			ctr_log_tick(l);
			continue;
		}
		n = readv(fd, parts, 2);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < (ssize_t) sizeof(head))
			break; /* the monitor has ended */
		take_chunk(l, &head, data, (size_t) n - sizeof(head));
	}
	ctr_log_close(l);
	_exit(0);
}

/* ---- the monitor's side ---- */

int ctr_log_queue_open(struct ctr_log *l, struct ctr_log_queue **out,
		       struct co_err *err)
{
	struct ctr_log_queue *q = calloc(1, sizeof(*q));
	int pair[2];
	pid_t pid;

	if (!q || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(q);
		return co_fail_errno(err, errno, "cannot make the queue of a log");
	}
	pid = fork();
	if (pid == 0) {
		sigset_t all;

		/* it outlives the monitor by what is in the queue */
		(void) sigfillset(&all);
		(void) sigprocmask(SIG_SETMASK, &all, NULL);
		(void) setsid();
		for (int fd = 3; fd < 1024; fd++)
			if (fd != pair[1] && !ctr_log_owns(l, fd))
				(void) close(fd);
		run(l, pair[1]);
	}
	(void) close(pair[1]);
	q->fd = pair[0];
	if (pid < 0) {
		int code = errno;

		ctr_log_queue_close(q);
		return co_fail_errno(err, code, "cannot start the writer of a log");
	}
	*out = q;
	return 0;
}

static bool put(struct ctr_log_queue *q, const struct head *head, const char *data,
		size_t size)
{
	struct iovec parts[2] = { { (void *) (uintptr_t) head, sizeof(*head) },
				  { (void *) (uintptr_t) data, size } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n;

	do {
		n = sendmsg(q->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n >= 0;
}

uint64_t ctr_log_queue_put(struct ctr_log_queue *q, enum ctr_stream stream,
			   const struct timespec *at, const char *data, size_t size)
{
	uint64_t lost = 0;

	while (size) {
		size_t n = size < CHUNK ? size : CHUNK;
		struct head head = { .stream = stream, .lost = q->unsaid, .at = *at };

		if (put(q, &head, data, n)) {
			q->unsaid = 0;
		} else {
			q->unsaid += n;
			lost += n;
		}
		data += n;
		size -= n;
	}
	return lost;
}

int ctr_log_queue_reopen(struct ctr_log_queue *q, struct co_err *err)
{
	struct head head = { .stream = REOPEN };

	if (put(q, &head, NULL, 0))
		return 0;
	return co_fail(err, CO_BUSY, "the log's writer is behind; try again");
}

void ctr_log_queue_close(struct ctr_log_queue *q)
{
	struct head head = { .stream = CTR_STDERR };

	if (!q)
		return;
	if (q->unsaid) {
		head.lost = q->unsaid;
		(void) put(q, &head, NULL, 0); /* the queue may be full still */
	}
	(void) close(q->fd);
	free(q);
}
