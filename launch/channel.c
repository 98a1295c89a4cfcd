/* SPDX-License-Identifier: MIT */
/* The launcher's end of a session channel.  HOST. */
#include "launch/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { COPY_MAX = 32768, CLOSED_BY_HAND = 65536 };

int channel_init(struct channel *c, int fd, int trace_fd)
{
	*c = (struct channel){ .fd = fd, .trace_fd = trace_fd };
	c->in = co_msg_new();
	c->out = co_msg_new();
	if (c->in && c->out)
		return 0;
	channel_done(c);
	return CO_NO_MEMORY;
}

void channel_done(struct channel *c)
{
	c->in = co_msg_free(c->in);
	c->out = co_msg_free(c->out);
}

static void print_line(struct channel *c)
{
	const struct wire_trace_line_note *note = (const void *) c->in->bytes;
	struct iovec line[2] = { { (void *) co_msg_get(c->in, note->line),
				   note->line.length },
				 { "\n", 1 } };

	if (c->trace_fd >= 0)
		(void) !writev(c->trace_fd, line,
			       2); /* a full disk must not stop a guest */
}

static void reply(struct channel *c, const int *fds, uint32_t n)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };

	/* the daemon waits for this one and reads; gone is noticed when reading */
	while (co_msg_send(c->out, c->fd, fds, n) == CO_BUSY)
		(void) poll(&p, 1, -1);
}

static void memory_read(struct channel *c)
{
	const struct wire_memory_read_req *req = (const void *) c->in->bytes;
	size_t n = req->length <= COPY_MAX ? req->length : 0;
	struct wire_memory_read_rep *rep =
		co_msg_reply(c->out, WIRE_memory_read_rep, req->h.tag, 0, NULL);
	void *to = co_msg_bytes(c->out, &rep->data, NULL, n);
	struct iovec local = { to, n }, remote = { (void *) req->address, n };
	ssize_t got = process_vm_readv(req->tid, &local, 1, &remote, 1, 0);

	if (got != (ssize_t) n)
		(void) co_msg_reply(c->out, WIRE_memory_read_rep, req->h.tag,
				    got >= 0 ? CO_FAULT : co_status_from_errno(errno),
				    "the launcher cannot read it either");
	reply(c, NULL, 0);
}

static void memory_write(struct channel *c)
{
	const struct wire_memory_write_req *req = (const void *) c->in->bytes;
	struct iovec local = { (void *) co_msg_get(c->in, req->data),
			       req->data.length };
	struct iovec remote = { (void *) req->address, req->data.length };
	ssize_t got = process_vm_writev(req->tid, &local, 1, &remote, 1, 0);
	struct wire_memory_write_rep *rep;

	if (got != (ssize_t) req->data.length) {
		(void) co_msg_reply(c->out, WIRE_memory_write_rep, req->h.tag,
				    got >= 0 ? CO_FAULT : co_status_from_errno(errno),
				    "the launcher cannot write it either");
	} else {
		rep = co_msg_reply(c->out, WIRE_memory_write_rep, req->h.tag, 0, NULL);
		rep->written = (uint64_t) got;
	}
	reply(c, NULL, 0);
}

static void descriptor_get(struct channel *c)
{
	const struct wire_descriptor_get_req *req = (const void *) c->in->bytes;
	autoclose int pidfd = (int) syscall(SYS_pidfd_open, req->tid, 0);
	autoclose int fd =
		pidfd < 0 ? -1 : (int) syscall(SYS_pidfd_getfd, pidfd, req->fd, 0);

	(void) co_msg_reply(c->out, WIRE_descriptor_get_rep, req->h.tag,
			    fd < 0 ? co_status_from_errno(errno) : 0,
			    fd < 0 ? "the launcher cannot reach it either" : NULL);
	reply(c, &fd, fd < 0 ? 0 : 1);
}

static int by_number(const void *a, const void *b)
{
	const int *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static void close_between(unsigned from, unsigned to)
{
	if (from > to || syscall(SYS_close_range, from, to, 0U) == 0)
		return;
	/* kernels before 5.9 */
	for (unsigned fd = from; fd <= to && fd < CLOSED_BY_HAND; fd++)
		(void) close((int) fd);
}

void channel_close_others(int *keep, size_t n)
{
	unsigned from = 0;

	qsort(keep, n, sizeof(*keep), by_number);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < 0)
			continue;
		if ((unsigned) keep[i] > from)
			close_between(from, (unsigned) keep[i] - 1);
		from = (unsigned) keep[i] + 1;
	}
	close_between(from, ~0U);
}

int channel_serve(struct channel *c)
{
	for (;;) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		int r;

		if (poll(&p, 1, 0) <= 0)
			return 0;
		r = co_msg_receive(c->in, c->fd, NULL);
		if (r == CO_INTERRUPTED || r == CO_BUSY)
			continue;
		if (r)
			return CO_GONE;
		switch (c->in->header->type) {
		case WIRE_trace_line_note:
			print_line(c);
			break;
		case WIRE_memory_read_req:
			memory_read(c);
			break;
		case WIRE_memory_write_req:
			memory_write(c);
			break;
		case WIRE_descriptor_get_req:
			descriptor_get(c);
			break;
		case WIRE_session_ended_note:
			c->ended = true;
			break;
		default:
			if (c->other)
				c->other(c->ctx, c->in);
		}
	}
}
