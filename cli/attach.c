/* SPDX-License-Identifier: MIT */
/* This terminal connected with a container.  HOST. */
#include "cli/attach.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
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

/* ---- what is to be passed on ---- */

struct inputs {
	int signals;
	int control;  /* a connection for signals and sizes alone, or -1: none yet */
	bool ended;   /* our standard input */
	bool no_more; /* the monitor has not been told yet that it has ended */
	bool unread;  /* nobody reads our standard output any more */
	struct ctr_detach detach;
	struct co_buf waits; /* was read and not taken by the monitor yet */
};

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

/*
 * Signals and sizes go over a connection of their own: on the other one they would stand
 * behind input that the program may never read.  One that cannot be sent is no failure;
 * that the container has ended is told by what it sent last.
 */
static void tell(const struct attach *a, struct inputs *in, const char *op,
		 const char *members)
{
	struct co_err ignored = { 0 };
	char answers[64];

	if (in->control < 0 &&
	    ctr_control_connect(a->folder, &in->control, &ignored) < 0)
		return;
	while (recv(in->control, answers, sizeof(answers), MSG_DONTWAIT) > 0)
		continue; /* to earlier ones */
	(void) ctr_control_send(in->control, TAG_OTHER, op, members, &ignored);
}

static void tell_size(const struct attach *a, struct inputs *in)
{
	struct winsize size;
	char members[64];

	if (!a->tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
		return;
	(void) snprintf(members, sizeof(members), "\"rows\":%u,\"columns\":%u",
			size.ws_row, size.ws_col);
	tell(a, in, "resize", members);
}

static void tell_signal(const struct attach *a, struct inputs *in, int number)
{
	char members[32];

	(void) snprintf(members, sizeof(members), "\"signal\":%d", number);
	tell(a, in, "signal", members);
}

/* As much of what waits as the monitor takes now.  It takes none while the program does
 * not read, and then we go on reading what the program writes. */
static int send_waiting(const struct attach *a, struct ctl *ctl, struct inputs *in)
{
	int rc = 0;

	if (in->waits.size)
		rc = ctr_control_input(a->fd, in->waits.data, in->waits.size,
				       &ctl->err);
	if (rc == 0)
		in->waits.size = 0;
	if (rc == 0 && in->no_more) {
		rc = ctr_control_input(a->fd, "", 0, &ctl->err);
		in->no_more = rc != 0;
	}
	if (rc == CO_GONE) { /* its end is told by what it sent last */
		in->ended = true;
		in->no_more = false;
		in->waits.size = 0;
	}
	return rc == CO_BUSY || rc == CO_GONE ? 0 : rc;
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

static void on_signal(const struct attach *a, struct inputs *in)
{
	struct signalfd_siginfo info;

	if (read(in->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH)
		tell_size(a, in);
	else
		tell_signal(a, in, (int) info.ssi_signo);
}

/* Nobody reads our output: what we run is told as it would be without us. */
static void now_unread(const struct attach *a, struct inputs *in)
{
	if (a->once && !in->unread)
		tell_signal(a, in, SIGPIPE);
	in->unread = true;
}

/* Waits for its reader, and goes on passing signals meanwhile. */
static int write_output(const struct attach *a, struct ctl *ctl, struct inputs *in,
			int fd, struct co_span data)
{
	while (data.size && !(in->unread && fd == STDOUT_FILENO)) {
		size_t part = data.size < PIPE_BUF ? data.size : PIPE_BUF;
		struct pollfd p[] = {
			{ .fd = fd, .events = POLLOUT },
			{ .fd = in->signals, .events = POLLIN },
		};
		ssize_t n;

		if (poll(p, co_countof(p), -1) > 0 && p[1].revents)
			on_signal(a, in);
		if (!p[0].revents)
			continue;
		n = write(fd, data.data, part); /* does not block behind poll() */
		if (n < 0 && errno == EPIPE) {
			if (fd == STDOUT_FILENO)
				now_unread(a, in);
			return 0; /* who wants no output does not get any */
		}
		if (n < 0 && errno != EINTR && errno != EAGAIN)
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
static int on_message(struct attach *a, struct ctl *ctl, struct inputs *in,
		      const struct ctr_message *m)
{
	switch (m->kind) {
	case CTR_OUTPUT:
		return write_output(a, ctl, in, STDOUT_FILENO, m->data);
	case CTR_ERROR_OUTPUT:
		return write_output(a, ctl, in, STDERR_FILENO, m->data);
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
static int receive(struct attach *a, struct ctl *ctl, struct inputs *in,
		   struct ctr_message *m)
{
	int rc;

	do {
		rc = ctr_control_receive(a->fd, m, &ctl->err);
		if (rc == 1)
			return 0;
		if (rc == CO_GONE)
			return without_a_word(a, ctl);
		if (rc == 0)
			rc = on_message(a, ctl, in, m);
	} while (rc == 0);
	return rc;
}

/* ---- from us ---- */

/* ATTACH_LEFT: the keys were typed. */
static int on_input(const struct attach *a, struct ctl *ctl, struct inputs *in)
{
	char piece[PIECE];
	ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
	bool leaves = false;
	int rc;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		in->ended = true;
		in->no_more = !a->tty;
	} else if (a->tty) {
		leaves = ctr_detach_feed(&in->detach, piece, (size_t) n, &in->waits);
	} else {
		co_buf_add(&in->waits, piece, (size_t) n);
	}
	if (in->waits.failed)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	rc = send_waiting(a, ctl, in);
	return rc == 0 && leaves ? ATTACH_LEFT : rc;
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
	bool waits = in->waits.size || in->no_more;
	bool reads = a->input && !in->ended && !waits;
	struct pollfd p[] = {
		{ .fd = a->fd, .events = (short) (POLLIN | (waits ? POLLOUT : 0)) },
		{ .fd = in->signals, .events = POLLIN },
		{ .fd = reads ? STDIN_FILENO : -1, .events = POLLIN },
	};
	int rc = 0;

	if (poll(p, co_countof(p), -1) < 0)
		return 0;
	if (p[1].revents)
		on_signal(a, in);
	if (p[0].revents & POLLOUT)
		rc = send_waiting(a, ctl, in);
	if (rc == 0 && p[2].revents)
		rc = on_input(a, ctl, in);
	if (rc == ATTACH_LEFT)
		return 2;
	if (rc == 0 && p[0].revents & ~POLLOUT)
		rc = receive(a, ctl, in, m);
	return rc == 0 && in->unread && !a->once ? 2 : rc;
}

int attach_run(struct attach *a, struct ctl *ctl)
{
	autofree struct ctr_message *m = malloc(sizeof(*m));
	struct inputs in = { .signals = -1, .control = -1 };
	int rc;

	if (!m)
		return co_fail(&ctl->err, CO_NO_MEMORY, "out of memory");
	rc = ctr_detach_init(&in.detach,
			     a->detach_keys ? a->detach_keys : "ctrl-p,ctrl-q",
			     &ctl->err);
	if (rc < 0)
		return rc;
	in.signals = open_signals(a, ctl);
	rc = in.signals < 0 ? in.signals : 0;
	tell_size(a, &in);
	if (rc == 0 && a->tty && a->input)
		terminal_raw();
	while (rc == 0)
		rc = turn(a, ctl, &in, m);
	terminal_restore();
	co_buf_done(&in.waits);
	if (in.signals >= 0)
		(void) close(in.signals); /* only read from */
	if (in.control >= 0)
		(void) close(in.control); /* what it was for has arrived, or is over */
	if (rc < 0)
		return rc;
	return rc == 2 ? ATTACH_LEFT : 0;
}
