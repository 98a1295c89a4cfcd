/* SPDX-License-Identifier: MIT */
/*
 * HOST.  Children that share memory with their parent, while signals come: what a child
 * after vfork says of signals counts for the child alone, and nobody is lost.
 * Usage: signals_vfork ROUNDS; prints a line per part.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static volatile unsigned alarms, users;

static _Noreturn void wrong(const char *what, long number)
{
	printf("wrong: %s (%ld): %m\n", what, number);
	fflush(stdout);
	_exit(1);
}

static void on_alarm(int number)
{
	(void) number;
	alarms++;
}

static void on_user(int number)
{
	(void) number;
	users++;
}

static void handle(int number, void (*f)(int), int flags)
{
	struct sigaction sa = { .sa_handler = f, .sa_flags = flags };

	sigaddset(&sa.sa_mask, SIGSYS);
	if (sigaction(number, &sa, NULL))
		wrong("sigaction", number);
}

static void still(int number, void (*f)(int))
{
	struct sigaction sa;

	if (sigaction(number, NULL, &sa) || sa.sa_handler != f ||
	    !sigismember(&sa.sa_mask, SIGSYS) || sa.sa_flags & SA_SIGINFO)
		wrong("a child has changed its parent's handler", number);
}

static bool blocked(int number)
{
	sigset_t set;

	if (sigprocmask(SIG_BLOCK, NULL, &set))
		wrong("sigprocmask", 0);
	return sigismember(&set, number);
}

static int status_of(pid_t child)
{
	int status;
	pid_t got;

	while ((got = waitpid(child, &status, 0)) == -1 && errno == EINTR)
		;
	if (got != child)
		wrong("waitpid", child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void timer(int usec)
{
	struct itimerval to = { { 0, usec }, { 0, usec } };

	setitimer(ITIMER_REAL, &to, NULL);
}

/* ---- one child at a time ---- */

static void in_child(int round)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t full;

	sigfillset(&full);
	sigprocmask(SIG_SETMASK, &full, NULL);
	if (!blocked(SIGSYS))
		_exit(200);
	for (int n = 1; n < 32; n++)
		(void) sigaction(n, &sa, NULL);
	if (sigaction(SIGSYS, NULL, &sa) || sa.sa_handler != SIG_DFL ||
	    sigaction(SIGUSR1, NULL, &sa) || sa.sa_handler != SIG_DFL)
		_exit(201);
	sigemptyset(&full);
	sigprocmask(SIG_SETMASK, &full, NULL);
	if (blocked(SIGSYS))
		_exit(202);
	if (round % 4 == 0)
		execl("/bin/true", "true", NULL);
	if (round % 4 == 1)
		execl("/none/such", "such", NULL);
	if (round % 4 == 2)
		kill(getpid(), SIGUSR1); /* by default, it kills */
	_exit(round % 100);
}

static int expected(int round)
{
	return round % 4 == 0 ? 0 : round % 4 == 2 ? 1000 + SIGUSR1 : round % 100;
}

static void children(int rounds)
{
	sigset_t set;

	for (volatile int i = 0; i < rounds; i++) {
		bool block = i % 3 == 0;
		pid_t child;
		int status;

		sigemptyset(&set);
		sigaddset(&set, SIGSYS);
		sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
		child = vfork();
		if (child == 0)
			in_child(i);
		if (child < 0)
			wrong("vfork", i);
		status = status_of(child);
		if (status != expected(i))
			wrong("a child's status", status);
		still(SIGALRM, on_alarm);
		still(SIGUSR1, on_user);
		still(SIGSYS, on_user);
		if (blocked(SIGSYS) != block)
			wrong("a child has changed its parent's mask", i);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- chains ---- */

static volatile int reached;

/* Each child is the parent of the next, all in one memory, all on one stack. */
static _Noreturn void chain(int length)
{
	for (volatile int i = 0; i < length; i++) {
		pid_t child = vfork();

		if (child > 0)
			_exit(status_of(child));
		if (child < 0)
			_exit(98);
	}
	reached++;
	_exit(0);
}

static void chains(int rounds)
{
	reached = 0;
	for (volatile int i = 0; i < rounds; i++) {
		pid_t child = vfork();
		int status;

		if (child == 0)
			chain(40);
		status = child < 0 ? -1 : status_of(child);
		if (status != 0)
			wrong("a chain's status", status);
	}
	if (reached != rounds)
		wrong("chains that reached their end", reached);
}

/* ---- posix_spawn ---- */

static void spawns(int rounds)
{
	char *args[] = { "false", NULL };
	posix_spawnattr_t attributes;
	sigset_t full;
	pid_t child;

	sigfillset(&full);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &full);
	posix_spawnattr_setsigmask(&attributes, &full);
	posix_spawnattr_setflags(&attributes,
				 POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	for (int i = 0; i < rounds; i++) {
		if (posix_spawn(&child, "/bin/false", NULL, i % 2 ? &attributes : NULL,
				args, environ))
			wrong("posix_spawn", i);
		if (status_of(child) != 1)
			wrong("a spawned child's status", i);
		still(SIGUSR1, on_user);
		if (blocked(SIGSYS) || blocked(SIGUSR1))
			wrong("posix_spawn has left signals blocked", i);
	}
	posix_spawnattr_destroy(&attributes);
}

static void *spawning(void *rounds)
{
	spawns((int) (long) rounds);
	return NULL;
}

/* ---- a child of a child sends to all of us ---- */

static pid_t shooter(void)
{
	pid_t parent = getpid(), child = fork();

	if (child == 0) {
		handle(SIGUSR1, SIG_IGN, 0);
		while (getppid() == parent) {
			kill(parent, SIGUSR1);
			usleep(100);
		}
		_exit(0);
	}
	return child;
}

/*
 * Under the engine: how many of its slots are claimed while nobody is inside?  Read as
 * another process would, so natively there are none either.
 */
static int claimed(void)
{
	const uint64_t slots = 0x700120000000UL, size = 32768, call = 0x7e00;
	int n = 0;

	for (uint64_t i = 0; i < 1024; i++) {
		uint32_t busy = 0;
		struct iovec to = { &busy, sizeof(busy) };
		struct iovec from = { (void *) (slots + i * size + call),
				      sizeof(busy) };

		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof(busy))
			n += busy != 0;
	}
	return n;
}

/* Each of them leaves by exec what its parent and it have shared until then. */
static void execs(int rounds)
{
	static char *const words[] = { "/bin/true", NULL };

	for (int i = 0; i < rounds; i++) {
		pid_t child = vfork();

		if (child == 0) {
			(void) execv(words[0], words);
			_exit(1);
		}
		if (status_of(child) != 0)
			wrong("exec after vfork", i);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;
	pthread_t threads[4];
	pid_t child;
	int left;

	handle(SIGALRM, on_alarm, SA_RESTART);
	handle(SIGUSR1, on_user, SA_RESTART);
	handle(SIGSYS, on_user, SA_RESTART);
	timer(100);
	children(rounds);
	printf("children after vfork\n");
	chains(rounds / 10);
	printf("chains of children\n");
	spawns(rounds / 2);
	printf("posix_spawn\n");
	child = shooter();
	while (!users)
		usleep(1000);
	children(rounds);
	chains(rounds / 10);
	printf("all of it, shot at\n");
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, spawning,
			       (void *) (long) (rounds / 8));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("posix_spawn from threads\n");
	timer(0);
	kill(child, SIGKILL);
	(void) status_of(child);
	left = claimed(); /* by children that were shot */
	execs(rounds);
	printf("exec after vfork leaves slots claimed: %d\n", claimed() > left);
	printf("signals came: %d\n", alarms > 0 && users > 0);
	return 0;
}
