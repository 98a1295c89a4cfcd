/* SPDX-License-Identifier: MIT */
/* What a service writes.  HOST. */
#include "cli/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { DESCRIPTORS_FROM = 600, PATIENCE = 5, PATIENCE_MS = 20 };

/* ---- opening ---- */

/* High up, where no program expects anything of its own. */
static int away(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTORS_FROM);

	if (high < 0)
		high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void) close(fd);
	return high;
}

static int open_terminal(struct relay_stream *s)
{
	struct termios raw;
	struct winsize size;
	int outer, inner;

	/* without what a terminal does to output: the real one does it once more */
	if (tcgetattr(s->to, &raw) < 0)
		return -1;
	cfmakeraw(&raw);
	if (openpty(&outer, &inner, NULL, &raw, NULL) < 0)
		return -1;
	if (ioctl(s->to, TIOCGWINSZ, &size) == 0)
		(void) ioctl(outer, TIOCSWINSZ, &size);
	s->from = away(outer);
	s->inside = away(inner);
	return 0;
}

static int open_stream(struct relay_stream *s, int to)
{
	int pair[2];

	s->from = s->inside = -1;
	s->to = fcntl(to, F_GETFD) < 0 ? -1 : to;
	if (s->to < 0)
		return 0; /* closed, and the program finds it closed */
	s->terminal = isatty(to);
	if (s->terminal && open_terminal(s) == 0)
		return 0;
	s->terminal = false;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -1;
	s->from = away(pair[0]);
	s->inside = away(pair[1]);
	return s->from < 0 || s->inside < 0 ? -1 : 0;
}

int relay_open(struct relay *r, int log, struct co_err *err)
{
	r->log = log;
	r->patience = PATIENCE;
	r->out = co_msg_new();
	if (!r->out)
		return co_fail(err, CO_NO_MEMORY, "no memory");
	for (int i = 0; i < RELAY_STREAMS; i++)
		if (open_stream(&r->streams[i], i + 1) < 0)
			return co_fail_errno(err, errno,
					     "cannot take what the program writes");
	return 0;
}

void relay_ends(const struct relay *r, int stdio[3])
{
	for (int i = 0; i < RELAY_STREAMS; i++)
		stdio[i + 1] = r->streams[i].inside > 0 ? r->streams[i].inside : -1;
}

void relay_enter(const struct relay *r)
{
	for (int i = 0; i < RELAY_STREAMS; i++)
		if (r->streams[i].inside >= 0)
			(void) dup2(r->streams[i].inside, i + 1);
}

void relay_begin(struct relay *r)
{
	for (int i = 0; i < RELAY_STREAMS; i++) {
		struct relay_stream *s = &r->streams[i];

		if (s->inside < 0)
			continue;
		(void) close(s->inside);
		s->inside = -1;
		(void) fcntl(s->from, F_SETFL, fcntl(s->from, F_GETFL) | O_NONBLOCK);
	}
}

size_t relay_descriptors(const struct relay *r, int *out)
{
	size_t n = 0;

	for (int i = 0; i < RELAY_STREAMS; i++) {
		out[n++] = r->streams[i].from;
		out[n++] = r->streams[i].from >= 0 ? r->streams[i].to : -1;
	}
	out[n++] = r->log;
	return n;
}

/* ---- logging ---- */

/*
 * A daemon that is merely slower than the program is waited for, a little; one that does
 * not read at all soon is not any more, until it does.
 */
static bool send_note(struct relay *r)
{
	struct pollfd p = { .fd = r->log, .events = POLLOUT };

	for (;;) {
		if (send(r->log, r->out->bytes, r->out->header->size,
			 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !r->patience)
			return false;
		r->patience--;
		(void) poll(&p, 1, PATIENCE_MS);
	}
}

static void send_lines(struct relay *r, const struct relay_stream *s, const char *text,
		       size_t n)
{
	struct wire_service_output_note *note;

	if (r->log < 0 || !n)
		return;
	note = co_msg_start(r->out, WIRE_service_output_note, 0);
	note->stream = (uint32_t) (s - r->streams) + 1;
	(void) co_msg_bytes(r->out, &note->text, text, n); /* it has room for a line */
	if (send_note(r))
		r->patience = PATIENCE;
	else
		r->lost += n;
}

static void flush_line(struct relay *r, struct relay_stream *s)
{
	send_lines(r, s, s->line, s->nline);
	s->nline = 0;
}

/* How much of n bytes of UTF-8 does not end inside of a character. */
static size_t whole_characters(const char *text, size_t n)
{
	for (size_t back = 1; back <= 3 && back < n; back++) {
		unsigned char c = (unsigned char) text[n - back];

		if (c >= 0xc0)
			return n - back;
		if (c < 0x80)
			return n;
	}
	return n;
}

/* All lines that have ended; what is full without an end of line goes as it is. */
static void flush_lines(struct relay *r, struct relay_stream *s)
{
	const char *last = memrchr(s->line, '\n', s->nline);
	size_t n = last ? (size_t) (last + 1 - s->line) : 0;

	if (!n && s->nline < sizeof(s->line))
		return;
	n = n ? n : whole_characters(s->line, s->nline);
	send_lines(r, s, s->line, n);
	memmove(s->line, s->line + n, s->nline - n);
	s->nline -= n;
}

/* Colours and the like are for the terminal alone. */
static bool is_shown(struct relay_stream *s, char c)
{
	if (c == '\033') {
		s->escape = true;
		return false;
	}
	if (!s->escape)
		return c != '\r';
	/* "ESC [ 3 1 m": it ends with a letter */
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		s->escape = false;
	return false;
}

static void log_bytes(struct relay *r, struct relay_stream *s, const char *bytes,
		      size_t n)
{
	for (size_t i = 0; r->log >= 0 && i < n; i++) {
		if (s->terminal && !is_shown(s, bytes[i]))
			continue;
		s->line[s->nline++] = bytes[i];
		if (s->nline == sizeof(s->line))
			flush_lines(r, s);
	}
	flush_lines(r, s);
}

bool relay_unsent(const struct relay *r)
{
	return r->log >= 0 && (r->streams[0].nline || r->streams[1].nline);
}

void relay_flush(struct relay *r)
{
	for (int i = 0; i < RELAY_STREAMS; i++)
		flush_line(r, &r->streams[i]);
}

/* ---- moving ---- */

static void close_from(struct relay *r, struct relay_stream *s)
{
	(void) close(s->from);
	s->from = -1;
	flush_line(r, s);
	if (s->to == 1) /* whoever reads us sees the end when the program says so */
		(void) close(s->to);
	s->to = -1;
}

/* poll has said that there is room; of a pipe that is PIPE_BUF bytes. */
static bool write_some(struct relay *r, struct relay_stream *s)
{
	struct pollfd p = { .fd = s->to, .events = POLLOUT };
	size_t n = s->end - s->begin;
	ssize_t put;

	if (poll(&p, 1, 0) <= 0)
		return false;
	put = write(s->to, s->buffer + s->begin, n < 4096 ? n : 4096);
	if (put < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (put < 0) { /* nobody reads: the program is to know it, as natively */
		s->begin = s->end = 0;
		close_from(r, s);
		return false;
	}
	s->begin += (size_t) put;
	if (s->begin == s->end)
		s->begin = s->end = 0;
	return true;
}

static bool read_some(struct relay *r, struct relay_stream *s)
{
	ssize_t got = read(s->from, s->buffer, sizeof(s->buffer));

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) { /* EIO: the other end of a terminal is closed */
		close_from(r, s);
		return false;
	}
	s->end = (size_t) got;
	log_bytes(r, s, s->buffer, s->end);
	return true;
}

void relay_run(struct relay *r)
{
	for (int i = 0; i < RELAY_STREAMS; i++) {
		struct relay_stream *s = &r->streams[i];

		for (int turn = 0; s->from >= 0 && turn < 64; turn++)
			if (s->begin < s->end ? !write_some(r, s) : !read_some(r, s))
				break;
	}
}

size_t relay_wants(const struct relay *r, struct pollfd *out)
{
	size_t n = 0;

	for (int i = 0; i < RELAY_STREAMS; i++) {
		const struct relay_stream *s = &r->streams[i];

		if (s->from < 0)
			continue;
		if (s->begin < s->end)
			out[n++] = (struct pollfd){ .fd = s->to, .events = POLLOUT };
		else
			out[n++] = (struct pollfd){ .fd = s->from, .events = POLLIN };
	}
	return n;
}

void relay_resize(const struct relay *r)
{
	for (int i = 0; i < RELAY_STREAMS; i++) {
		const struct relay_stream *s = &r->streams[i];
		struct winsize size;

		if (s->terminal && s->from >= 0 && ioctl(s->to, TIOCGWINSZ, &size) == 0)
			(void) ioctl(s->from, TIOCSWINSZ, &size);
	}
}

/* ---- the end ---- */

static bool is_open(const struct relay *r)
{
	return r->streams[0].from >= 0 || r->streams[1].from >= 0;
}

static void run_to_the_end(struct relay *r)
{
	while (is_open(r)) {
		struct pollfd p[RELAY_STREAMS];
		size_t n = relay_wants(r, p);

		if (poll(p, n, relay_unsent(r) ? 500 : -1) == 0)
			relay_flush(r);
		relay_run(r);
	}
}

/* What was written before the end is there by now: reading it does not wait, writing it
 * may, as it would for the program. */
static void drain(struct relay *r)
{
	for (;;) {
		struct pollfd p[RELAY_STREAMS];
		size_t n = relay_wants(r, p);
		bool waiting = false;

		for (int i = 0; i < RELAY_STREAMS; i++)
			waiting |= r->streams[i].begin < r->streams[i].end;
		if (!n || poll(p, n, waiting ? -1 : 0) <= 0)
			return;
		relay_run(r);
	}
}

void relay_end(struct relay *r)
{
	drain(r);
	relay_flush(r);
	if (!is_open(r))
		return;
	if (fork() == 0) {
		run_to_the_end(r);
		_exit(0);
	}
}
