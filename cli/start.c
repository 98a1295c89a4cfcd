/* SPDX-License-Identifier: MIT */
/* Starting a daemon and waiting until it answers.  HOST. */
#include "cli/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/cleanup.h"

#define KEEPER        "cloudos-keeper"
#define ARGUMENTS_MAX 16
#define EVERY_MS      10

struct start {
	const struct co_paths *paths;
	char *argv[ARGUMENTS_MAX + 1];
	char program[CO_PATH_SIZE];
	int said;   /* memfd: what the keeper wrote before it detached */
	pid_t pid;  /* 0 when waited for */
	int status; /* of wait, valid when pid is 0 */
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int build_arguments(struct start *s, const char *const *arguments,
			   struct co_err *err)
{
	size_t n = 0;

	s->argv[n++] = (char *) KEEPER;
	if (s->paths->system_)
		s->argv[n++] = (char *) "--system";
	for (; arguments && *arguments; arguments++) {
		if (n == ARGUMENTS_MAX)
			return co_fail(err, CO_TOO_BIG,
				       "too many arguments for " KEEPER);
		s->argv[n++] = (char *) *arguments;
	}
	s->argv[n] = NULL;
	return 0;
}

/* In the child.  Everything here is safe between fork and exec. */
__attribute__((noreturn)) static void become_keeper(const struct start *s, char **env)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };
	int null = fcntl(open("/dev/null", O_RDWR), F_DUPFD, 3);
	int said = fcntl(s->said, F_DUPFD, 3); /* both may stand where 0 to 2 go */
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void) sigaction(i, &normal, NULL); /* two of them cannot be set */
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
	if (null < 0 || dup2(null, 0) < 0 || dup2(said, 1) < 0 || dup2(said, 2) < 0)
		_exit(127);
	/* older kernels: the caller's descriptors are close-on-exec where they are ours */
	(void) syscall(SYS_close_range, 3U, ~0U, 0U);
	(void) execve(s->program, s->argv, env);
	dprintf(2, "%s: %s\n", s->program, strerror(errno));
	_exit(127);
}

extern char **environ;

/*
 * The environment of the keeper: CLOUDOS_DIR as the paths say, whatever the caller's is.
 * Built before fork: setenv is not safe behind it.
 */
static char **environment(const struct co_paths *paths, char *variable, size_t n)
{
	size_t count = 0, used = 0;
	char **env;

	while (environ[count])
		count++;
	env = calloc(count + 2, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "CLOUDOS_DIR=", 12) != 0)
			env[used++] = environ[i];
	if (paths->dir[0]) {
		(void) snprintf(variable, n, "CLOUDOS_DIR=%s", paths->dir); /* fits */
		env[used] = variable;
	}
	return env;
}

static int spawn(struct start *s, struct co_err *err)
{
	char variable[CO_PATH_SIZE + 16];
	autofree char **env = environment(s->paths, variable, sizeof(variable));

	if (!env)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	s->pid = fork();
	if (s->pid < 0) {
		s->pid = 0;
		return co_fail_errno(err, errno, "cannot start " KEEPER);
	}
	if (s->pid == 0)
		become_keeper(s, env);
	return 0;
}

/* Has the process that was started ended (not the daemon, which has detached)? */
static bool ended(struct start *s)
{
	if (s->pid && waitpid(s->pid, &s->status, WNOHANG) == s->pid)
		s->pid = 0;
	return s->pid == 0;
}

static bool failed(struct start *s)
{
	return ended(s) && !(WIFEXITED(s->status) && WEXITSTATUS(s->status) == 0);
}

bool co_start_lock_held(const struct co_paths *paths)
{
	autofclose FILE *f = NULL;
	char line[256], want[64];
	struct stat st;

	if (stat(paths->lock, &st) < 0)
		return false;
	f = fopen("/proc/locks", "re");
	if (!f)
		return false;
	(void) snprintf(want, sizeof(want), " %02x:%02x:%llu ", major(st.st_dev),
			minor(st.st_dev), (unsigned long long) st.st_ino);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, want))
			return true;
	return false;
}

/* The last line of a file, "" if there is none.  That the daemon has ended again tells
 * less than what it said before. */
static void last_line(int fd, char *out, size_t n)
{
	char tail[2048];
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from =
		size > (off_t) sizeof(tail) - 1 ? size - (off_t) sizeof(tail) + 1 : 0;
	ssize_t got = size > 0 ? pread(fd, tail, sizeof(tail) - 1, from) : 0;
	char *line = tail, *end;

	out[0] = 0;
	tail[got > 0 ? got : 0] = 0;
	for (; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = 0;
		if (*line && (!out[0] || !strstr(line, " error keeper ")))
			(void) snprintf(out, n, "%.*s", (int) n - 1, line);
	}
}

static int explain(struct start *s, struct co_err *err)
{
	char line[400] = "";
	autoclose int log = -1;

	last_line(s->said, line, sizeof(line));
	if (failed(s))
		return co_fail(err, CO_GONE, "the daemon did not start: %s",
			       line[0] ? line
				       : KEEPER " ended at once and said nothing");
	log = open(s->paths->log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (!line[0] && log >= 0)
		last_line(log, line, sizeof(line));
	return co_fail(err, CO_TIMED_OUT,
		       "the daemon did not answer within %d seconds%s%s; see %.200s",
		       CO_START_TIMEOUT_MS / 1000, line[0] ? ", its last words: " : "",
		       line, s->paths->log);
}

static int wait_hello(struct start *s, const char *program, struct co_client **out,
		      struct co_err *err)
{
	int64_t deadline = now_ms() + CO_START_TIMEOUT_MS;
	struct timespec pause = { .tv_nsec = EVERY_MS * 1000000L };
	int rc;

	for (;;) {
		/* in this order: a keeper that fails behind the look has not been asked */
		bool over = failed(s) && !co_start_lock_held(s->paths);

		rc = co_client_open(s->paths, program, out, err);
		if (rc != CO_GONE && rc != CO_TIMED_OUT)
			return rc;
		if (over || now_ms() >= deadline)
			return explain(s, err);
		(void) nanosleep(&pause, NULL); /* shorter when interrupted: harmless */
	}
}

/* A process that has detached its daemon ends soon; one that stays is left alone. */
static void reap(struct start *s)
{
	int64_t deadline = now_ms() + 1000;
	struct timespec pause = { .tv_nsec = 1000000L };

	while (!ended(s) && now_ms() < deadline)
		(void) nanosleep(&pause, NULL); /* see above */
}

int co_start_daemon(const struct co_paths *paths, const char *const *arguments,
		    const char *program, struct co_client **out, struct co_err *err)
{
	autofree struct start *s = calloc(1, sizeof(*s));
	autoclose int said = memfd_create("cloudos-keeper says", MFD_CLOEXEC);
	int rc;

	if (!s)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	if (said < 0)
		return co_fail_errno(err, errno, "cannot create a memory file");
	s->paths = paths;
	s->said = said;
	rc = co_program_path(KEEPER, s->program, sizeof(s->program), err);
	if (rc == 0)
		rc = build_arguments(s, arguments, err);
	if (rc == 0)
		rc = spawn(s, err);
	if (rc < 0)
		return rc;
	rc = wait_hello(s, program, out, err);
	reap(s);
	return rc;
}

int co_start_or_open(const struct co_paths *paths, const char *program,
		     struct co_client **out, struct co_err *err)
{
	int rc = co_client_open(paths, program, out, err);

	return rc == CO_GONE ? co_start_daemon(paths, NULL, program, out, err) : rc;
}
