/* SPDX-License-Identifier: MIT */
/* A container's input and output: to its log and to those who are attached.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cloudosd/ctr/monitor_inside.h"
#include "lib/cleanup.h"

enum { TERMINAL_AGAIN_MS = 100, DRAIN = 1024 };

/* ---- output ---- */

static void deliver(struct monitor *m, enum ctr_stream stream, size_t size)
{
	if (m->log)
		ctr_log_write(m->log, stream, m->buffer, size);
	if (m->calls)
		ctr_calls_output(m->calls, stream == CTR_STDOUT ? 1 : 2,
				 (struct co_span){ m->buffer, size });
	for (struct client *c = m->clients; c; c = c->next)
		if (stream == CTR_STDOUT ? c->output : c->error_output)
			monitor_send(m, c, stream == CTR_STDOUT ? 1 : 2, m->buffer,
				     size);
}

static void end_output(struct monitor *m, struct output *o)
{
	o->ended = true;
	monitor_close(m, &o->source);
	if (m->log)
		ctr_log_end(m->log, o->stream);
}

/* One piece.  false: there is none now. */
static bool read_output(struct monitor *m, struct output *o)
{
	ssize_t n;

	do {
		n = read(o->source.fd, m->buffer, MONITOR_CHUNK);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		deliver(m, o->stream, (size_t) n);
		return true;
	}
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0 && errno == EIO && m->terminal && m->state != CTR_EXITED) {
		/* nobody inside has the terminal open; that may change */
		monitor_look(m, &o->source, 0);
		m->terminal_again_ms = monitor_clock() + TERMINAL_AGAIN_MS;
		return false;
	}
	end_output(m, o);
	return false;
}

static void output_ready(struct monitor *m, struct source *s, uint32_t events)
{
	(void) events;
	(void) read_output(m, (struct output *) s); /* the loop comes again for more */
}

void monitor_stdio_arm(struct monitor *m)
{
	uint32_t events = m->stalled && m->state != CTR_EXITED ? 0 : EPOLLIN;

	for (int i = 0; i < 2; i++)
		if (!m->outputs[i].ended && m->outputs[i].source.fd >= 0)
			monitor_look(m, &m->outputs[i].source, events);
}

void monitor_stdio_drain(struct monitor *m)
{
	for (int i = 0; i < 2; i++) {
		struct output *o = &m->outputs[i];

		if (o->source.fd < 0 || o->ended)
			continue;
		/* more than any pipe holds; who was given the other end could write for ever */
		for (int n = 0; n < DRAIN && read_output(m, o); n++)
			continue;
		if (!o->ended) /* somebody outside of it holds the other end */
			end_output(m, o);
	}
}

/* ---- input ---- */

static void input_sent(struct monitor *m)
{
	if (m->input_waits.size == 0 && m->input_ends && !m->terminal)
		monitor_close(m, &m->input);
	monitor_look(m, &m->input, m->input_waits.size ? EPOLLOUT : 0);
	for (struct client *c = m->clients; c; c = c->next)
		if (c->input && !c->closing && m->input_waits.size == 0)
			monitor_look(m, &c->source,
				     EPOLLIN | (c->first ? EPOLLOUT : 0));
}

static void write_input(struct monitor *m)
{
	struct co_buf *b = &m->input_waits;
	ssize_t n;

	do {
		n = write(m->input.fd, b->data, b->size);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		m->input_ends = true; /* nobody reads it any more */
		n = (ssize_t) b->size;
	}
	if (n > 0) {
		memmove(b->data, b->data + n, b->size - (size_t) n);
		b->size -= (size_t) n;
	}
	if (b->size == 0)
		co_buf_done(b);
	input_sent(m);
}

static void input_ready(struct monitor *m, struct source *s, uint32_t events)
{
	(void) s;
	if (m->input_waits.size)
		write_input(m);
	else if (events & (EPOLLHUP | EPOLLERR))
		monitor_look(m, &m->input, 0);
}

void monitor_input(struct monitor *m, struct client *c, struct co_span data)
{
	if (!c->input || m->input.fd < 0 || m->input_ends)
		return; /* as a pipe whose reader has gone, without the signal */
	if (data.size == 0) {
		monitor_input_end(m);
		return;
	}
	co_buf_span(&m->input_waits, data);
	if (m->input_waits.failed) {
		co_buf_done(&m->input_waits);
		monitor_client_end(m, c);
		return;
	}
	write_input(m);
}

void monitor_input_end(struct monitor *m)
{
	if (m->input.fd < 0)
		return;
	if (m->terminal) {
		co_buf_char(&m->input_waits, 4); /* ctrl-D, as a person would */
		write_input(m);
		return;
	}
	m->input_ends = true;
	input_sent(m);
}

/* ---- making them ---- */

static int make_pipe(int *out_read, int *out_write, struct co_err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return co_fail_errno(err, errno, "cannot make a pipe");
	*out_read = ends[0];
	*out_write = ends[1];
	return 0;
}

static void unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void) fcntl(fd, F_SETFL,
			     flags | O_NONBLOCK); /* cannot fail on a pipe */
}

static int make_input(struct monitor *m, int *out_inside, struct co_err *err)
{
	int rc;

	if (!m->options->stdin_open && m->options->runtime) {
		/* crun gives it to the container's root, and /dev/null is the host's */
		rc = make_pipe(out_inside, &m->input.fd, err);
		co_cleanup_close(&m->input.fd);
		m->input.fd = -1;
		return rc;
	}
	if (!m->options->stdin_open) {
		*out_inside = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return *out_inside < 0
			       ? co_fail_errno(err, errno, "cannot open /dev/null")
			       : 0;
	}
	rc = make_pipe(out_inside, &m->input.fd, err);
	if (rc == 0)
		unblock(m->input.fd);
	return rc;
}

int monitor_stdio_make(struct monitor *m, int inside[3], struct co_err *err)
{
	int rc;

	inside[0] = inside[1] = inside[2] = -1;
	m->terminal = m->config->process.terminal;
	if (m->terminal)
		return 0;
	rc = make_input(m, &inside[0], err);
	for (int i = 0; rc == 0 && i < 2; i++) {
		rc = make_pipe(&m->outputs[i].source.fd, &inside[1 + i], err);
		if (rc == 0)
			unblock(m->outputs[i].source.fd);
	}
	return rc;
}

/* Two descriptors of the master: the loop looks at each for one thing. */
void monitor_stdio_console(struct monitor *m, int master)
{
	if (master < 0)
		return;
	unblock(master);
	m->outputs[0].source.fd = master;
	m->input.fd = fcntl(master, F_DUPFD_CLOEXEC, 3); /* -1: no input then */
}

void monitor_stdio_init(struct monitor *m)
{
	for (int i = 0; i < 2; i++) {
		m->outputs[i].source =
			(struct source){ .fd = -1, .ready = output_ready };
		m->outputs[i].stream = i ? CTR_STDERR : CTR_STDOUT;
	}
	m->input = (struct source){ .fd = -1, .ready = input_ready };
	m->terminal_again_ms = -1;
}

int monitor_resize(struct monitor *m, unsigned rows, unsigned columns,
		   struct co_err *err)
{
	struct winsize size = { .ws_row = (unsigned short) rows,
				.ws_col = (unsigned short) columns };

	if (!m->terminal || m->outputs[0].source.fd < 0)
		return co_fail(err, CO_NOT_TTY, "the container has no terminal");
	if (rows > UINT16_MAX || columns > UINT16_MAX)
		return co_fail(err, CO_INVALID, "no terminal is that large");
	if (ioctl(m->outputs[0].source.fd, TIOCSWINSZ, &size) < 0)
		return co_fail_errno(err, errno, "cannot resize the terminal");
	return 0;
}

/* ---- time ---- */

int monitor_stdio_due(const struct monitor *m)
{
	int due = m->log ? ctr_log_due(m->log) : -1;

	if (m->terminal_again_ms >= 0) {
		int64_t left = m->terminal_again_ms - monitor_clock();

		if (left < 0)
			left = 0;
		if (due < 0 || left < due)
			due = (int) left;
	}
	return due;
}

void monitor_stdio_tick(struct monitor *m)
{
	if (m->log)
		ctr_log_tick(m->log);
	if (m->terminal_again_ms >= 0 && monitor_clock() >= m->terminal_again_ms) {
		m->terminal_again_ms = -1;
		monitor_stdio_arm(m);
	}
}
