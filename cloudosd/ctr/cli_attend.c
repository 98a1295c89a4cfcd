/* SPDX-License-Identifier: MIT */
/* cloudos-ctr run and exec in the foreground: signals, terminal, end.  HOST. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "cloudosd/ctr/cli.h"
#include "lib/cleanup.h"

/* Bytes on their way in one direction. */
struct passage {
	int from, to;
	char bytes[8192];
	size_t at, count;
};

struct attending {
	struct ctr_container *c;
	struct ctr_calls *calls; /* NULL: none */
	struct termios before;
	bool raw;
	int signals;
	struct passage in, out;
	int status; /* -1: it runs */
};

static void take_size(const struct attending *a)
{
	struct winsize size;

	if (a->c->console >= 0 && ioctl(0, TIOCGWINSZ, &size) == 0)
		(void) ioctl(a->c->console, TIOCSWINSZ, &size); /* a wish */
}

static void make_raw(struct attending *a)
{
	struct termios raw;

	if (a->c->console < 0 || tcgetattr(0, &a->before) < 0)
		return; /* our own input is no terminal */
	raw = a->before;
	cfmakeraw(&raw);
	a->raw = tcsetattr(0, TCSANOW, &raw) == 0;
}

static void reap(struct attending *a)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == a->c->pid)
			a->status = WIFEXITED(status) ? WEXITSTATUS(status)
						      : 128 + WTERMSIG(status);
	if (pid < 0 && errno == ECHILD && a->status < 0)
		a->status = 1; /* somebody else took it */
}

static void take_signal(struct attending *a)
{
	struct signalfd_siginfo info;

	if (read(a->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(a);
	else if (info.ssi_signo == SIGWINCH)
		take_size(a);
	else if (info.ssi_signo != SIGTTIN && info.ssi_signo != SIGTTOU)
		(void) kill(a->c->pid,
			    (int) info.ssi_signo); /* our child: still there */
}

/* False: nothing more will come. */
static bool pass(struct passage *p, short readable, short writable)
{
	ssize_t n;

	if (p->count == 0 && (readable & (POLLIN | POLLHUP | POLLERR))) {
		n = read(p->from, p->bytes, sizeof(p->bytes));
		if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR)))
			return false;
		p->at = 0;
		p->count = n > 0 ? (size_t) n : 0;
	}
	if (p->count && (writable & (POLLOUT | POLLHUP | POLLERR))) {
		n = write(p->to, p->bytes + p->at, p->count);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		p->at += n > 0 ? (size_t) n : 0;
		p->count -= n > 0 ? (size_t) n : 0;
	}
	return true;
}

static int wish(const struct passage *p, bool reading)
{
	return p->from >= 0 && (p->count == 0) == reading;
}

static void turn(struct attending *a, int timeout)
{
	struct pollfd p[5 + CTR_CALLS_FDS] = {
		{ .fd = a->signals, .events = POLLIN },
		{ .fd = wish(&a->in, true) ? a->in.from : -1, .events = POLLIN },
		{ .fd = wish(&a->in, false) ? a->in.to : -1, .events = POLLOUT },
		{ .fd = wish(&a->out, true) ? a->out.from : -1, .events = POLLIN },
		{ .fd = wish(&a->out, false) ? a->out.to : -1, .events = POLLOUT },
	};

	size_t n = 5;
	bool draining = timeout == 0;

	if (a->calls && !draining) {
		n += ctr_calls_poll(a->calls, p + 5);
		timeout = ctr_calls_timeout(a->calls);
	}
	if (poll(p, n, timeout) <= 0) {
		if (draining)
			a->out.from = -1;
		else if (a->calls)
			ctr_calls_run(a->calls);
		return;
	}
	if (a->calls)
		ctr_calls_run(a->calls);
	if (p[0].revents)
		take_signal(a);
	if (a->in.from >= 0 && !pass(&a->in, p[1].revents, p[2].revents))
		a->in.from = -1;
	if (a->out.from >= 0 && !pass(&a->out, p[3].revents, p[4].revents))
		a->out.from = -1;
}

int cli_calls(struct cli *cli, const struct ctr_calls_spec *spec,
	      struct ctr_calls **out)
{
	*out = NULL;
	return spec->config->cloudos.calls ? ctr_calls_new(spec, out, &cli->err) : 0;
}

int cli_attend(struct cli *cli, struct ctr_container *c, struct ctr_calls *calls)
{
	struct attending *a = calloc(1, sizeof(*a));
	sigset_t all;
	int status;

	if (!a)
		return co_fail(&cli->err, CO_NO_MEMORY, "out of memory");
	a->c = c;
	a->calls = calls;
	if (calls)
		ctr_calls_begin(calls, c->pid);
	a->status = -1;
	a->in = (struct passage){ .from = c->console >= 0 ? 0 : -1, .to = c->console };
	a->out = (struct passage){ .from = c->console, .to = 1 };
	(void) sigfillset(&all);
	(void) sigdelset(&all, SIGTSTP);
	(void) sigprocmask(SIG_BLOCK, &all, NULL);
	a->signals = signalfd(-1, &all, SFD_CLOEXEC);
	make_raw(a);
	take_size(a);
	reap(a); /* it may have ended before the signals were ours */
	while (a->status < 0)
		turn(a, -1);
	while (a->out.from >= 0) /* what it wrote last */
		turn(a, 0);
	if (a->raw)
		(void) tcsetattr(0, TCSANOW, &a->before); /* nothing else can be done */
	status = a->status;
	(void) close(a->signals);
	free(a);
	return status;
}
