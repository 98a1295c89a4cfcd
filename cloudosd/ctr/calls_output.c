/* SPDX-License-Identifier: MIT */
/*
 * What the program of a service writes, for the service's log, and how it has ended.  HOST.
 *
 * As cloudos-exec says it (cli/relay.c): whole lines, without what is meant for a terminal.
 * The container's own log has every byte; here the daemon is waited for a little, and what it
 * does not take then is not said.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cloudosd/ctr/calls_inside.h"

enum { PATIENCE = 20, PATIENCE_MS = 5 };

/* A daemon that is merely slower than the program is waited for; one that does not read at
 * all soon is not any more, until it does. */
static bool send_note(struct calls_output *o, int fd, const struct co_msg *out)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	for (;;) {
		if (send(fd, out->bytes, out->header->size,
			 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !o->patience)
			return false;
		o->patience--;
		(void) poll(&p, 1, PATIENCE_MS);
	}
}

static void send_lines(struct calls_output *o, unsigned stream,
		       const struct calls_channel *to, size_t n)
{
	struct wire_service_output_note *note;

	if (!n || to->fd < 0)
		return;
	note = co_msg_start(to->out, WIRE_service_output_note, 0);
	note->stream = stream;
	(void) co_msg_bytes(to->out, &note->text, o->streams[stream - 1].line,
			    n); /* it has room for a line */
	if (send_note(o, to->fd, to->out))
		o->patience = PATIENCE;
}

static void drop(struct calls_stream *s, size_t n)
{
	memmove(s->line, s->line + n, s->size - n);
	s->size -= n;
}

/* All lines that have ended; what is full without an end of line goes as it is. */
static void send_whole(struct calls_output *o, unsigned stream,
		       const struct calls_channel *to)
{
	struct calls_stream *s = &o->streams[stream - 1];
	const char *last = memrchr(s->line, '\n', s->size);
	size_t n = last                         ? (size_t) (last + 1 - s->line)
		   : s->size == sizeof(s->line) ? s->size
						: 0;

	send_lines(o, stream, to, n);
	drop(s, n);
}

/* Colours and the like are for the terminal alone: "ESC [ 3 1 m" ends with a letter. */
static bool is_shown(struct calls_stream *s, char c)
{
	bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

	if (c == '\033')
		s->escape = true;
	else if (!s->escape)
		return c != '\r';
	else if (letter)
		s->escape = false;
	return false;
}

void calls_output_add(struct calls_output *o, unsigned stream,
		      const struct calls_channel *to, struct co_span bytes)
{
	struct calls_stream *s = &o->streams[stream - 1];

	for (size_t i = 0; i < bytes.size; i++) {
		if (!is_shown(s, bytes.data[i]))
			continue;
		s->line[s->size++] = bytes.data[i];
		if (s->size == sizeof(s->line))
			send_whole(o, stream, to);
	}
	send_whole(o, stream, to);
}

void calls_output_end(struct calls_output *o, const struct calls_channel *to,
		      int status)
{
	struct wire_service_exit_note *note;

	for (unsigned i = 1; i <= CALLS_STREAMS; i++) {
		send_lines(o, i, to, o->streams[i - 1].size);
		o->streams[i - 1].size = 0;
	}
	if (to->fd < 0)
		return;
	note = co_msg_start(to->out, WIRE_service_exit_note, 0);
	note->status = status;
	(void) send_note(o, to->fd, to->out); /* else its end is seen by ours */
}
