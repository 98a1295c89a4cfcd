/* SPDX-License-Identifier: MIT */
/*
 * Children of every kind: is each caught from its first call?  io_uring tells: under the
 * engine there is none, natively it looks at its arguments first.  HOST.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/trap/hostile.h"

enum { CAUGHT = ENOSYS };

/* 38 if the engine has caught it. */
static int caught(void)
{
	return syscall(SYS_io_uring_setup, 0, NULL) < 0 ? errno : 0;
}

static void say_end(const char *what, pid_t pid)
{
	int status = 0;

	if (pid < 0 || waitpid(pid, &status, __WALL) != pid)
		say("no child", errno);
	say(what, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

static int on_own_stack(void *argument)
{
	(void) argument;
	_exit(caught());
}

static void *thread(void *out)
{
	*(int *) out = caught();
	return NULL;
}

static pid_t by_clone3(uint64_t flags, char *stack)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };

	if (stack) {
		args.stack = (uint64_t) stack;
		args.stack_size = 65536;
	}
	return (pid_t) syscall(SYS_clone3, &args, sizeof(args));
}

void children_are_caught(void)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *const words[] = { (char *) "trap-hostile", (char *) "is_caught", NULL };
	pthread_t id;
	pid_t pid;
	int n = 0;

	if (stack == MAP_FAILED)
		cannot("no memory");
	say("itself %", caught());
	pid = fork();
	if (pid == 0)
		_exit(caught());
	say_end("fork %", pid);
	pid = (pid_t) syscall(SYS_fork);
	if (pid == 0)
		_exit(caught());
	say_end("fork, as a call %", pid);
	pid = vfork();
	if (pid == 0)
		_exit(caught());
	say_end("vfork %", pid);
	pid = by_clone3(0, NULL);
	if (pid == 0)
		_exit(caught());
	say_end("clone3 %", pid);
	say_end("clone with a stack %",
		clone(on_own_stack, stack + 65536, CLONE_VM | SIGCHLD, NULL));
	say_end("clone that stops us %", clone(on_own_stack, stack + 65536,
					       CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));
	if (pthread_create(&id, NULL, thread, &n) == 0)
		(void) pthread_join(id, NULL);
	say("thread %", n);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, words, environ) == 0)
		say_end("spawned %", pid);
	pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			(void) execv("/proc/self/exe", words);
		(void) waitpid(pid, &n, 0);
		_exit(WEXITSTATUS(n));
	}
	say_end("grandchild %", pid);
}

/* The other end of exec. */
void is_caught(void)
{
	_exit(caught());
}

/* ---- a signal that is there before a child is ---- */

static volatile sig_atomic_t seen;

static void on_alarm(int signal_number)
{
	(void) signal_number;
	if (caught() != CAUGHT)
		seen = 1;
}

/* A timer of the process fires all the time, in the child as soon as it has its own. */
void signals_at_birth(void)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	int bad = 0, status;

	(void) sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 300; i++) {
		pid_t pid = fork();

		if (pid < 0)
			cannot("no child");
		if (pid == 0) {
			for (int k = 0; k < 20; k++)
				if (caught() != CAUGHT)
					_exit(1);
			_exit(seen ? 2 : 0);
		}
		for (int k = 0; k < 10; k++)
			(void) kill(pid, SIGUSR1);
		(void) waitpid(pid, &status, 0);
		bad += status != 0;
	}
	say("wrong %", bad);
}

/* Children that share this memory, made by several threads, under fire. */
static void *maker(void *out)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	for (int i = 0; i < 100; i++) {
		pid_t pid = i & 1 ? clone(on_own_stack, stack + 65536,
					  CLONE_VM | SIGCHLD, NULL)
				  : fork();

		if (pid == 0)
			_exit(caught());
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != CAUGHT << 8)
			++*(int *) out;
	}
	return NULL;
}

void children_of_threads(void)
{
	enum { THREADS = 4 };
	pthread_t ids[THREADS];
	int bad[THREADS] = { 0 }, all = 0;
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	(void) sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&ids[i], NULL, maker, &bad[i]))
			cannot("no thread");
	for (int i = 0; i < 2000; i++)
		(void) kill(getpid(), SIGUSR1);
	for (int i = 0; i < THREADS; i++) {
		(void) pthread_join(ids[i], NULL);
		all += bad[i];
	}
	say("wrong %", all + seen);
}

/* ---- children that share this memory, killed wherever they are ---- */

static volatile pid_t victim;
static volatile bool done;

static int starts_a_program(void *argument)
{
	char *const words[] = { (char *) "true", NULL };

	(void) argument;
	victim = getpid();
	(void) execve("/bin/true", words, environ);
	_exit(1);
}

static void *killer(void *argument)
{
	unsigned random = 1;

	while (!done) {
		pid_t pid = victim;

		if (pid == 0)
			continue;
		victim = 0;
		random = random * 1103515245 + 12345;
		for (volatile unsigned i = 0; i < (random >> 16) % 30000; i++)
			;
		(void) kill(pid, SIGKILL);
	}
	return argument;
}

/* More than the engine has stacks, which the killed ones were on. */
void killed_children(void)
{
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t id;
	int bad = 0, status;

	if (stack == MAP_FAILED || pthread_create(&id, NULL, killer, NULL))
		cannot("no memory");
	for (int i = 0; i < 2000; i++) {
		pid_t pid = clone(starts_a_program, stack + 65536,
				  CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			bad++;
		victim = 0;
	}
	done = true;
	(void) pthread_join(id, NULL);
	say("wrong %", bad);
}
