/* SPDX-License-Identifier: MIT */
/*
 * exec-guest: what the tests of cloudos-exec run under it.  GUEST program of the tests.
 *
 *	call                    asks for the domain; prints the answer, or errno
 *	offer NAME              registers NAME, prints "ready PID", waits
 *	die SIGNAL              a call, and then that signal to itself
 *	count                   prints "ready PID", then every TERM, HUP, USR1, USR2 it gets
 *	deaf                    ignores SIGTERM, prints "ready PID", waits
 *	wait                    blocks in service_health_check and then prints "ready PID";
 *	                        prints "continued" when it is
 *	orphan FILE [below]     a grandchild whose parent is gone registers a service and
 *	                        writes FILE: the result, its parent; with "below" while the
 *	                        program still runs, otherwise afterwards
 *	undumpable              a pointer that nobody may follow, and what the error says
 *	vfork | spawn | thread  becomes `call` in that way
 *	storm N                 N children that all call at once, prints how many were answered
 *	close FILE              closes 0 and 1, waits for FILE
 *	open FILE               writes to FILE which of the descriptors 0 to 2 are open
 *	others                  prints the open descriptors above 2
 */
#include "tests/guest/cloudos/net.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>

extern char **environ;

static int call(void)
{
	long r = syscall(CLOUDOS_SYS_domain);

	if (r < 0)
		printf("errno %d\n", errno);
	else
		printf("domain %ld\n", r);
	return r < 0;
}

static void ready(void)
{
	printf("ready %d\n", (int) getpid());
	(void) fflush(stdout);
}

static int wait_for_ever(void)
{
	while (pause() < 0)
		continue; /* it returns after a handler */
	return 1;
}

static int offer(const char *name)
{
	service_registration_t r = a_service("x");

	(void) snprintf(r.name, sizeof(r.name), "%s", name);
	if (RAW(service_register, WORD(&r)) < 0)
		return 1;
	ready();
	return wait_for_ever();
}

static void counted(int signo)
{
	char line[] = "got 00\n";

	line[4] = (char) ('0' + signo / 10);
	line[5] = (char) ('0' + signo % 10);
	if (write(1, line, sizeof(line) - 1) < 0)
		_exit(98);
}

static int count(void)
{
	static const int all[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		(void) signal(all[i], counted);
	ready();
	return wait_for_ever();
}

/* Prints "ready PID" for its parent, when that one is in the call. */
static void announce(pid_t parent)
{
	if (fork() != 0)
		return;
	wait_until_in_call(parent, CLOUDOS_SYS_service_health_check);
	printf("ready %d\n", (int) parent);
	(void) fflush(stdout);
	_exit(0);
}

static void continued(int signo)
{
	(void) signo;
	if (write(1, "continued\n", 10) < 0)
		_exit(98);
}

static int wait_in_call(void)
{
	uint32_t port;
	service_registration_t r;
	bool healthy;
	int fd = listen_somewhere(&port);

	r = a_checked_service("exec.wait", "http://127.0.0.1:%u/never", port);
	if (fd < 0 || RAW(service_register, WORD(&r)) < 0)
		return 1;
	(void) signal(SIGCONT, continued);
	announce(getpid());
	for (;;) {
		long result =
			RAW(service_health_check, WORD("exec.wait"), WORD(&healthy));

		if (result == -EINTR)
			continue; /* a signal after the daemon had the call */
		printf("answer %ld\n", result);
		return 0;
	}
}

static void report(const char *path, long result, pid_t parent)
{
	char part[512];
	FILE *f;

	(void) snprintf(part, sizeof(part), "%s.part", path);
	f = fopen(part, "w");
	if (!f)
		_exit(97);
	fprintf(f, "%ld %d %d\n", result, (int) parent, (int) getppid());
	if (fclose(f) != 0 || rename(part, path) < 0)
		_exit(97);
}

/* hold: a pipe that ends when the parent is gone; launcher: 0, or to be outlived too. */
static void orphan_child(const char *path, int hold, pid_t parent, pid_t launcher)
{
	service_registration_t r = a_service("exec.orphan");
	char byte;

	while (read(hold, &byte, 1) < 0 && errno == EINTR)
		;
	while (getppid() == parent || (launcher && kill(launcher, 0) == 0))
		breathe();
	report(path, RAW(service_register, WORD(&r)), parent);
	_exit(0);
}

static int orphan(const char *path, bool below)
{
	int hold[2], life[2];
	char byte;
	pid_t middle, launcher = getppid();

	if (pipe(hold) < 0 || pipe(life) < 0)
		return 1;
	middle = below ? fork() : 0;
	if (middle == 0) {
		pid_t parent = getpid();
		pid_t child = fork();

		if (child == 0) {
			(void) close(hold[1]);
			(void) close(life[0]);
			orphan_child(path, hold[0], parent, below ? 0 : launcher);
		}
		_exit(child < 0);
	}
	(void) waitpid(middle, NULL, 0);
	(void) close(hold[1]);
	(void) close(life[1]);
	return read(life[0], &byte, 1) == 0 ? 0
					    : 1; /* until the grandchild has ended */
}

static int undumpable(void)
{
	error_info_t info;
	long result;

	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return 1;
	result = RAW(service_deregister, WORD("exec.undumpable"));
	if (prctl(PR_SET_DUMPABLE, 1) < 0)
		return 1;
	info = last_error();
	printf("%ld %s\n", result, info.message);
	return 0;
}

static char *again[] = { (char *) "exec-guest", (char *) "call", NULL };

static int status_of(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		(void) execv("/proc/self/exe", again);
		_exit(99);
	}
	return status_of(pid);
}

static int by_spawn(void)
{
	pid_t pid;

	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, again, environ))
		return 1;
	return status_of(pid);
}

static void *thread_becomes(void *arg)
{
	(void) arg;
	(void) execv("/proc/self/exe", again);
	return NULL;
}

static int by_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_becomes, NULL))
		return 1;
	return wait_for_ever();
}

static int storm(int n)
{
	int gate[2], good = 0, status;
	char byte;

	if (pipe(gate) < 0)
		return 1;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid)
			continue;
		(void) close(gate[1]);
		if (read(gate[0], &byte, 1) < 0)
			_exit(1);
		_exit(syscall(CLOUDOS_SYS_domain) < 0);
	}
	(void) close(gate[1]);
	while (wait(&status) > 0)
		good += status == 0;
	printf("%d answered\n", good);
	return 0;
}

static int close_and_wait(const char *path)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	(void) close(0);
	(void) close(1);
	while (access(path, F_OK) < 0 && now_ms() < until)
		breathe();
	return now_ms() < until ? 0 : 1;
}

static int tell_open(const char *path)
{
	bool is_open[3];
	FILE *f;

	for (int i = 0; i < 3; i++)
		is_open[i] = fcntl(i, F_GETFD) >= 0;
	f = fopen(path, "w");
	if (!f)
		return 1;
	fprintf(f, "%d%d%d %d\n", is_open[0], is_open[1], is_open[2],
		syscall(CLOUDOS_SYS_domain) >= 0);
	return fclose(f) != 0;
}

static int others(void)
{
	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *arg = argc > 2 ? argv[2] : "";

	if (!strcmp(what, "call"))
		return call();
	if (!strcmp(what, "offer"))
		return offer(arg);
	if (!strcmp(what, "die"))
		return (void) syscall(CLOUDOS_SYS_domain), raise(atoi(arg));
	if (!strcmp(what, "count"))
		return count();
	if (!strcmp(what, "deaf"))
		return (void) signal(SIGTERM, SIG_IGN), ready(), wait_for_ever();
	if (!strcmp(what, "wait"))
		return wait_in_call();
	if (!strcmp(what, "orphan"))
		return orphan(arg, argc > 3);
	if (!strcmp(what, "undumpable"))
		return undumpable();
	if (!strcmp(what, "vfork"))
		return by_vfork();
	if (!strcmp(what, "spawn"))
		return by_spawn();
	if (!strcmp(what, "thread"))
		return by_thread();
	if (!strcmp(what, "storm"))
		return storm(atoi(arg));
	if (!strcmp(what, "close"))
		return close_and_wait(arg);
	if (!strcmp(what, "open"))
		return tell_open(arg);
	if (!strcmp(what, "others"))
		return others();
	fprintf(stderr, "exec-guest: no such thing: %s\n", what);
	return 99;
}
