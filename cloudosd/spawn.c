/* SPDX-License-Identifier: MIT */
/*
 * Processes of services.  HOST.
 *
 * fork and exec run on a worker thread, which takes half a millisecond that the loop does not
 * have; that thread lives as long as the daemon, so that PR_SET_PDEATHSIG means the daemon's
 * death.  From then on everything is watched from the loop: the three pipes and a pidfd.
 */
#include "cloudosd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <co/limits.h>

#include "lib/buf.h"
#include "lib/cleanup.h"

enum { GRACE_MS = 1000, CHUNK = 16384, NSIGNALS = 65 };
enum { IN, OUT, ERR, PIPES };

struct spawner {
	struct co_spawner table;
	const struct co_host *host;
	unsigned running;
};

struct pipe_end {
	struct spawned *owner;
	int fd; /* -1: closed */
	struct co_watch *watch;
};

struct spawned {
	struct spawner *spawner;
	struct spawn_listener listener;
	char **argv, **environment;
	char *directory;
	uint32_t cpu_s, memory_mib, files;
	size_t max_output;
	struct co_buf input, output;
	size_t written;
	char words[CO_LIMIT_COMMAND_STDERR]; /* the last of them, in order */
	size_t nwords;
	struct pipe_end pipes[PIPES];
	int theirs[PIPES]; /* until it has begun */
	int pidfd;
	struct co_watch *ended;
	struct co_timer *timer;
	pid_t pid, parent;
	int failed; /* errno of what kept it from starting */
	bool too_much, stopping;
};

/* ---- the child: only what is safe after fork in a program with threads ---- */

static void child_limit(int which, uint64_t value)
{
	struct rlimit limit = { value, value };

	if (value)
		(void) setrlimit(which, &limit); /* the daemon's own is lower */
}

static void child_signals(void)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIGNALS; i++)
		(void) sigaction(i, &normal, NULL); /* not of SIGKILL and the like */
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
}

static void child(const struct spawned *s, int report)
{
	int error;

	(void) setpgid(0, 0); /* it is a fresh process: it can */
	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != s->parent)
		_exit(127); /* it has died before that */
	child_signals();
	child_limit(RLIMIT_CPU, s->cpu_s);
	child_limit(RLIMIT_AS, (uint64_t) s->memory_mib << 20);
	child_limit(RLIMIT_NOFILE, s->files);
	for (int i = 0; i < PIPES; i++)
		if (dup2(s->theirs[i], i) < 0)
			goto out;
	if (chdir(s->directory) == 0)
		(void) execve(s->argv[0], s->argv, s->environment);
out:
	error = errno;
	(void) !write(report, &error, sizeof(error)); /* else it has just ended */
	_exit(127);
}

/* ---- on a worker thread ---- */

/* Above 2, so that dup2 to 0, 1 and 2 never meets one of them. */
static int pipe_above(int out[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		out[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 3);
		(void) close(low[i]); /* a pipe */
	}
	if (out[0] >= 0 && out[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (out[i] >= 0)
			(void) close(out[i]); /* a pipe */
	return -1;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd); /* a pipe or a pidfd: nothing can be lost */
	*fd = -1;
}

static int make_pipes(struct spawned *s)
{
	for (int i = 0; i < PIPES; i++) {
		int ends[2];

		if (pipe_above(ends))
			return errno;
		s->theirs[i] = ends[i == IN ? 0 : 1];
		s->pipes[i].fd = ends[i == IN ? 1 : 0];
		if (fcntl(s->pipes[i].fd, F_SETFL, O_NONBLOCK) < 0)
			return errno;
	}
	return 0;
}

static int start(struct spawned *s)
{
	int report[2], error = 0;
	ssize_t n;

	if (pipe_above(report))
		return errno;
	s->parent = getpid();
	s->pid = fork();
	if (s->pid == 0)
		child(s, report[1]);
	if (s->pid < 0) {
		error = errno;
		s->pid = 0;
	} else {
		s->pidfd = (int) syscall(SYS_pidfd_open, s->pid, 0);
		if (s->pidfd < 0)
			error = errno;
	}
	(void) close(report[1]); /* a pipe */
	/* ends when it has begun another program or itself */
	while ((n = read(report[0], &error, sizeof(error))) < 0 && errno == EINTR)
		;
	(void) close(report[0]); /* a pipe */
	return error;
}

static void work(void *arg)
{
	struct spawned *s = arg;

	s->failed = make_pipes(s);
	if (!s->failed)
		s->failed = start(s);
	for (int i = 0; i < PIPES; i++)
		close_end(&s->theirs[i]);
	if (s->failed && s->pid > 0) {
		(void) kill(s->pid, SIGKILL); /* it may have ended */
		(void) waitpid(s->pid, NULL, 0);
		s->pid = 0;
	}
}

/* ---- from the loop ---- */

static char **texts_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
	return NULL;
}

static void pipe_close(struct pipe_end *p)
{
	if (p->watch)
		p->owner->spawner->host->watch_free(p->watch);
	p->watch = NULL;
	close_end(&p->fd);
}

static void spawned_free(struct spawned *s)
{
	const struct co_host *host = s->spawner->host;

	for (int i = 0; i < PIPES; i++)
		pipe_close(&s->pipes[i]);
	if (s->ended)
		host->watch_free(s->ended);
	host->timer_free(s->timer);
	close_end(&s->pidfd);
	co_buf_done(&s->input);
	co_buf_done(&s->output);
	(void) texts_free(s->argv);
	(void) texts_free(s->environment);
	free(s->directory);
	free(s);
}

static void over(struct spawned *s, struct spawn_end *end)
{
	end->too_much = s->too_much;
	end->output = (struct co_span){ s->output.data ? s->output.data : "",
					s->output.size };
	end->last_words = (struct co_span){ s->words, s->nwords };
	s->spawner->running--;
	s->listener.done(s->listener.arg, end);
	spawned_free(s);
}

static void kill_group(const struct spawned *s, int signal)
{
	if (s->pid > 0)
		(void) kill(-s->pid, signal); /* it may have ended */
}

static void grace_over(void *arg)
{
	kill_group(arg, SIGKILL);
}

static void stop(struct spawned *s)
{
	kill_group(s, SIGTERM);
	s->spawner->host->timer_start(s->timer, GRACE_MS);
}

static void take_output(struct spawned *s, const char *data, size_t n)
{
	if (s->too_much)
		return;
	if (s->listener.printed) {
		s->listener.printed(s->listener.arg, (struct co_span){ data, n });
		return;
	}
	if (s->output.size + n <= s->max_output) {
		co_buf_add(&s->output, data, n);
		if (!s->output.failed)
			return;
	}
	s->too_much = true;
	kill_group(s, SIGKILL);
}

static void take_words(struct spawned *s, const char *data, size_t n)
{
	size_t gone;

	if (s->listener.complaint)
		s->listener.complaint(s->listener.arg, s->pid,
				      (struct co_span){ data, n });
	if (n > sizeof(s->words)) {
		data += n - sizeof(s->words);
		n = sizeof(s->words);
	}
	gone = s->nwords + n > sizeof(s->words) ? s->nwords + n - sizeof(s->words) : 0;
	memmove(s->words, s->words + gone, s->nwords - gone);
	memcpy(s->words + s->nwords - gone, data, n);
	s->nwords += n - gone;
}

/* All that is there, but not for ever: it comes again. */
static void readable(void *arg)
{
	struct pipe_end *p = arg;
	struct spawned *s = p->owner;
	char chunk[CHUNK];

	for (int round = 0; round < 16; round++) {
		ssize_t n = read(p->fd, chunk, sizeof(chunk));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			pipe_close(p);
			return;
		}
		if (p == &s->pipes[OUT])
			take_output(s, chunk, (size_t) n);
		else
			take_words(s, chunk, (size_t) n);
	}
}

static void writable(void *arg)
{
	struct pipe_end *p = arg;
	struct spawned *s = p->owner;
	ssize_t n = 0;

	if (s->written < s->input.size)
		n = write(p->fd, s->input.data + s->written,
			  s->input.size - s->written);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		s->written += (size_t) n;
	if (n < 0 || s->written == s->input.size)
		pipe_close(p); /* it has all, or does not want it */
}

/* Its group goes before it does: until it is waited for, the number is its own. */
static void ended(void *arg)
{
	struct spawned *s = arg;
	struct spawn_end end = { 0 };
	int status = 0;

	kill_group(s, SIGKILL);
	for (int i = OUT; i <= ERR; i++)
		if (s->pipes[i].fd >= 0)
			readable(&s->pipes[i]);
	(void) waitpid(s->pid, &status, 0); /* it has ended: this does not wait */
	s->pid = 0;
	if (WIFSIGNALED(status))
		end.signal = WTERMSIG(status);
	else
		end.exit = WEXITSTATUS(status);
	over(s, &end);
}

static bool watch(struct spawned *s)
{
	const struct co_host *host = s->spawner->host;

	for (int i = 0; i < PIPES; i++) {
		struct pipe_end *p = &s->pipes[i];

		p->watch = host->watch_new(host->ctx, p->fd, i == IN,
					   i == IN ? writable : readable, p);
		if (!p->watch)
			return false;
	}
	s->ended = host->watch_new(host->ctx, s->pidfd, false, ended, s);
	return s->ended != NULL;
}

static void begun(void *arg)
{
	struct spawned *s = arg;
	struct spawn_end end = { 0 };
	char reason[PATH_MAX + 128];

	if (!s->failed && watch(s)) {
		if (s->stopping)
			stop(s); /* nobody waited for its beginning */
		return;
	}
	if (s->pid > 0) {
		kill_group(s, SIGKILL);
		(void) waitpid(s->pid, NULL, 0); /* it was killed */
		s->pid = 0;
	}
	(void) snprintf(reason, sizeof(reason), "cannot start %s: %s", s->argv[0],
			s->failed ? strerror(s->failed) : "no memory");
	end.error = s->failed ? co_status_from_errno(s->failed) : CO_NO_MEMORY;
	end.reason = reason;
	over(s, &end);
}

/* ---- beginning ---- */

static char **texts_copy(const char *const *from, const char *const *more)
{
	size_t n = 0;
	char **list;

	for (const char *const *p = from; p && *p; p++)
		n++;
	for (const char *const *p = more; p && *p; p++)
		n++;
	list = calloc(n + 1, sizeof(char *));
	n = 0;
	for (const char *const *p = from; list && p && *p; p++)
		if (!(list[n++] = strdup(*p)))
			return texts_free(list);
	for (const char *const *p = more; list && p && *p; p++)
		if (!(list[n++] = strdup(*p)))
			return texts_free(list);
	return list;
}

/* What of the daemon's environment is any program's business. */
static char **environment_of(const char *const *more)
{
	static const char *const names[] = { "PATH", "HOME", "LANG",  "LC_ALL",
					     "TZ",   "USER", "TMPDIR" };
	const char *list[co_countof(names) + 1] = { NULL };
	char **whole;
	size_t n = 0;

	for (size_t i = 0; i < co_countof(names); i++) {
		const char *value = getenv(names[i]);
		char *text = NULL;

		if (value && asprintf(&text, "%s=%s", names[i], value) >= 0)
			list[n++] = text;
	}
	whole = texts_copy(list, more);
	while (n)
		free((char *) list[--n]);
	return whole;
}

static int begin(void *ctx, const struct spawn_spec *spec,
		 const struct spawn_listener *listener, struct spawned **out)
{
	struct spawner *spawner = ctx;
	const struct co_host *host = spawner->host;
	struct spawned *s;

	if (spawner->running >= CO_LIMIT_COMMANDS)
		return CO_BUSY;
	s = calloc(1, sizeof(*s));
	if (!s)
		return CO_NO_MEMORY;
	s->spawner = spawner;
	s->listener = *listener;
	s->max_output = spec->max_output;
	s->cpu_s = spec->cpu_s;
	s->memory_mib = spec->memory_mib;
	s->files = spec->files;
	s->pidfd = -1;
	for (int i = 0; i < PIPES; i++) {
		s->theirs[i] = s->pipes[i].fd = -1;
		s->pipes[i].owner = s;
	}
	s->argv = texts_copy(spec->argv, NULL);
	s->environment = environment_of(spec->environment);
	s->directory = strdup(spec->directory ? spec->directory : "/");
	if (spec->input.size)
		co_buf_span(&s->input, spec->input);
	s->timer = host->timer_new(host->ctx, grace_over, s);
	if (!s->argv || !s->environment || !s->directory || s->input.failed ||
	    !s->timer || host->offload(host->ctx, work, begun, s)) {
		spawned_free(s);
		return CO_NO_MEMORY;
	}
	spawner->running++;
	*out = s;
	return 0;
}

static int32_t pid_of(const struct spawned *s)
{
	return s->ended ? s->pid : 0; /* until then the worker has it */
}

static void stop_it(struct spawned *s)
{
	if (s->ended && !s->stopping)
		stop(s);
	s->stopping = true; /* begun looks */
}

struct spawner *spawner_new(const struct co_host *host)
{
	struct spawner *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->host = host;
	s->table = (struct co_spawner){
		.ctx = s, .begin = begin, .stop = stop_it, .pid = pid_of
	};
	return s;
}

const struct co_spawner *spawner_table(const struct spawner *s)
{
	return &s->table;
}
