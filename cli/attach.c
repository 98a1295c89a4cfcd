/* SPDX-License-Identifier: MIT */
/* This terminal connected with a container.  HOST. */
#include "cli/attach.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { TAG_WATCH = 1, TAG_ATTACH, TAG_OTHER, PIECE = 16384 };

/* ---- the terminal, which has to come back whatever happens ---- */

static struct {
	struct termios before;
	volatile sig_atomic_t raw;
} terminal;

static void terminal_restore(void)
{
	if (terminal.raw)
		(void) tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
	terminal.raw = 0; /* it is gone if that failed */
}

/* A mistake of ours must not leave somebody with a terminal that shows nothing. */
static void on_crash(int number)
{
	terminal_restore();
	(void) signal(number, SIG_DFL);
	(void) raise(number);
}

static void terminal_raw(void)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct termios raw;

	if (terminal.raw || tcgetattr(STDIN_FILENO, &terminal.before) < 0)
		return; /* no terminal: nothing to prepare */
	raw = terminal.before;
	cfmakeraw(&raw);
	(void) atexit(terminal_restore);
	for (size_t i = 0; i < co_countof(crashes); i++)
		(void) signal(crashes[i], on_crash);
	terminal.raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

/* ---- to the monitor ---- */

/* Sends; waits where the monitor does not read for a moment. */
static int request(const struct attach *a, struct ctl *ctl, uint64_t tag,
		   const char *op, const char *members)
{
	struct pollfd p = { .fd = a->fd, .events = POLLOUT };
	int rc;

	while ((rc = ctr_control_send(a->fd, tag, op, members, &ctl->err)) == CO_BUSY)
		(void) poll(&p, 1, -1); /* tried again in any case */
	return rc;
}

static int send_size(const struct attach *a, struct ctl *ctl)
{
	struct winsize size;
	char members[64];

	if (!a->tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
		return 0;
	(void) snprintf(members, sizeof(members), "\"rows\":%u,\"columns\":%u",
			size.ws_row, size.ws_col);
	return request(a, ctl, TAG_OTHER, "resize", members);
}

static int send_input(const struct attach *a, struct ctl *ctl, const char *data,
		      size_t n)
{
	struct pollfd p = { .fd = a->fd, .events = POLLOUT };
	int rc;

	while ((rc = ctr_control_input(a->fd, data, n, &ctl->err)) == CO_BUSY)
		(void) poll(&p, 1, -1); /* tried again in any case */
	return rc == CO_GONE ? 0 : rc;  /* its end is told by what it sent last */
}

/* ---- begin and end ---- */

void attach_done(struct attach *a)
{
	terminal_restore();
	if (a->fd > 0)
		(void) close(a->fd); /* nothing is written behind it */
	a->fd = 0;
}

int attach_begin(struct attach *a, struct ctl *ctl)
{
	char members[128];
	int rc = ctr_control_connect(a->folder, &a->fd, &ctl->err);

	if (rc < 0)
		return rc;
	(void) snprintf(members, sizeof(members),
			"\"stdin\":%s,\"stdout\":true,\"stderr\":true,\"wait\":true,"
			"\"once\":%s",
			a->input ? "true" : "false", a->once ? "true" : "false");
	rc = request(a, ctl, TAG_WATCH, "watch", "");
	return rc < 0 ? rc : request(a, ctl, TAG_ATTACH, "attach", members);
}

/* ---- from the monitor ---- */

static int write_all(struct ctl *ctl, int fd, struct co_span data)
{
	while (data.size) {
		ssize_t n = write(fd, data.data, data.size);
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (n < 0 && errno == EAGAIN)
			(void) poll(&p, 1, -1); /* tried again in any case */
		else if (n < 0 && errno == EPIPE)
			return 0; /* who wants no output does not get any */
		else if (n < 0 && errno != EINTR)
			return co_fail_errno(&ctl->err, errno,
					     "cannot write the output");
		if (n > 0)
			data = (struct co_span){ data.data + n,
						 data.size - (size_t) n };
	}
	return 0;
}

/* 1: it has ended. */
static int on_event(struct attach *a, struct ctl *ctl, const struct ctr_message *m)
{
	struct co_span record;

	if (strcmp(m->event, "exited") != 0)
		return 0;
	if (!co_json_member(m->json, "exit", &record) ||
	    !ctr_exit_parse(record, &a->exit))
		return co_fail(&ctl->err, CO_PROTOCOL,
			       "the monitor of the container does not tell how it "
			       "ended");
	return 1;
}

/* 1: it has ended. */
static int on_message(struct attach *a, struct ctl *ctl, const struct ctr_message *m)
{
	switch (m->kind) {
	case CTR_OUTPUT:
		return write_all(ctl, STDOUT_FILENO, m->data);
	case CTR_ERROR_OUTPUT:
		return write_all(ctl, STDERR_FILENO, m->data);
	case CTR_EVENT:
		return on_event(a, ctl, m);
	case CTR_REPLY:
		if (m->tag != TAG_ATTACH || m->status == 0)
			return 0; /* a signal that came too late is no failure */
		return co_fail(&ctl->err, m->status, "%s", m->failed.message);
	}
	return 0;
}

/* The monitor is gone without a word: the record on disk may tell. */
static int without_a_word(struct attach *a, struct ctl *ctl)
{
	if (ctr_exit_load(a->bundle, &a->exit, &ctl->err) == 0)
		return 1;
	return co_fail(&ctl->err, CO_GONE,
		       "the monitor of the container was killed, and the container "
		       "with it");
}

/* Everything that has come.  1: it has ended. */
static int receive(struct attach *a, struct ctl *ctl, struct ctr_message *m)
{
	int rc;

	do {
		rc = ctr_control_receive(a->fd, m, &ctl->err);
		if (rc == 1)
			return 0;
		if (rc == CO_GONE)
			return without_a_word(a, ctl);
		if (rc == 0)
			rc = on_message(a, ctl, m);
	} while (rc == 0);
	return rc;
}

/* ---- from us ---- */

struct inputs {
	int signals;
	bool ended; /* our standard input */
	struct ctr_detach detach;
	struct co_buf typed;
};

static int on_signal(const struct attach *a, struct ctl *ctl, int fd)
{
	struct signalfd_siginfo info;
	char members[32];

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGWINCH)
		return send_size(a, ctl);
	(void) snprintf(members, sizeof(members), "\"signal\":%" PRIu32,
			info.ssi_signo);
	return request(a, ctl, TAG_OTHER, "signal", members);
}

/* ATTACH_LEFT: the keys were typed. */
static int on_input(const struct attach *a, struct ctl *ctl, struct inputs *in)
{
	char piece[PIECE];
	ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
	bool leaves;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		in->ended = true;
		return a->tty ? 0 : send_input(a, ctl, "", 0);
	}
	if (!a->tty)
		return send_input(a, ctl, piece, (size_t) n);
	in->typed.size = 0;
	leaves = ctr_detach_feed(&in->detach, piece, (size_t) n, &in->typed);
	if (in->typed.size) {
		int rc = send_input(a, ctl, in->typed.data, in->typed.size);

		if (rc < 0)
			return rc;
	}
	return leaves ? ATTACH_LEFT : 0;
}

static int open_signals(const struct attach *a, struct ctl *ctl)
{
	static const int forwarded[] = { SIGINT,  SIGTERM, SIGHUP,
					 SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t set;
	int fd;

	(void) sigemptyset(&set); /* these cannot fail */
	(void) sigaddset(&set, SIGWINCH);
	for (size_t i = 0; i < co_countof(forwarded) && !a->no_signals; i++)
		(void) sigaddset(&set, forwarded[i]);
	(void) sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? co_fail_errno(&ctl->err, errno, "cannot wait for signals") : fd;
}

/* ---- both ---- */

/* 1: it has ended; 2: ATTACH_LEFT. */
static int turn(struct attach *a, struct ctl *ctl, struct inputs *in,
		struct ctr_message *m)
{
	struct pollfd p[] = {
		{ .fd = a->fd, .events = POLLIN },
		{ .fd = in->signals, .events = POLLIN },
		{ .fd = a->input && !in->ended ? STDIN_FILENO : -1, .events = POLLIN },
	};
	int rc = 0;

	if (poll(p, co_countof(p), -1) < 0)
		return 0;
	if (p[1].revents)
		rc = on_signal(a, ctl, in->signals);
	if (rc == CO_GONE)
		rc = 0; /* the rest of what it sent says more */
	if (rc == 0 && p[2].revents && on_input(a, ctl, in) == ATTACH_LEFT)
		return 2;
	if (rc == 0 && p[0].revents)
		rc = receive(a, ctl, m);
	return rc;
}

int attach_run(struct attach *a, struct ctl *ctl)
{
	autofree struct ctr_message *m = malloc(sizeof(*m));
	struct inputs in = { .signals = -1 };
	int rc;

	if (!m)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	rc = ctr_detach_init(&in.detach,
			     a->detach_keys ? a->detach_keys : "ctrl-p,ctrl-q",
			     &ctl->err);
	if (rc < 0)
		return rc;
	in.signals = open_signals(a, ctl);
	rc = in.signals < 0 ? in.signals : send_size(a, ctl);
	if (rc == 0 && a->tty && a->input)
		terminal_raw();
	while (rc == 0)
		rc = turn(a, ctl, &in, m);
	terminal_restore();
	co_buf_done(&in.typed);
	if (in.signals >= 0)
		(void) close(in.signals); /* only read from */
	if (rc < 0)
		return rc;
	return rc == 2 ? ATTACH_LEFT : 0;
}
