/* SPDX-License-Identifier: MIT */
/* SIGSYS belongs to the engine, but a program must not find out.  HOST. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/trap/hostile.h"

static volatile sig_atomic_t handled, code_seen;

static void on_signal(int signal_number, siginfo_t *info, void *context)
{
	(void) context;
	handled++;
	code_seen = info->si_code;
	if (signal_number == SIGSYS && getppid() < 0) /* a call from in here, too */
		_exit(98);
}

static void handle(int signal_number, int flags)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | flags };

	(void) sigfillset(&action.sa_mask);
	if (sigaction(signal_number, &action, NULL) < 0)
		say("sigaction: error %", errno);
}

static void say_mask(const char *what)
{
	uint64_t mask = 0;

	(void) syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
	say(what, (long) mask);
}

/* ---- every signal blocked ---- */

static void *thread(void *argument)
{
	(void) argument;
	say_mask("mask of a thread: %");
	return argument;
}

static void many_calls(void)
{
	for (int i = 0; i < 100; i++)
		if (getppid() < 0 || getuid() == (uid_t) -1 || getpgrp() < 0)
			_exit(97);
}

void block_every_signal(void)
{
	uint64_t all = UINT64_MAX, old;
	pthread_t id;
	int status;

	say("blocked: %", syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8));
	say_mask("mask: %");
	many_calls();
	if (pthread_create(&id, NULL, thread, NULL) == 0)
		(void) pthread_join(id, NULL);
	if (fork() == 0) {
		say_mask("mask of a child: %");
		(void) execl("/bin/true", "true", NULL);
		_exit(1);
	}
	(void) wait(&status);
	say("a child that was started so: %", status);
	say("SIGSYS to oneself: %", kill(getpid(), SIGSYS));
	many_calls();
	(void) sigpending((sigset_t *) &old);
	say("SIGSYS waits: %", (long) (old >> (SIGSYS - 1) & 1));
	handle(SIGSYS, 0);
	all = 0;
	(void) syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	say("SIGSYS handled when let in: %", handled);
	say_mask("mask: %");
}

/* ---- handlers of its own ---- */

void own_sigsys_handler(void)
{
	struct sigaction old;

	handle(SIGSYS, 0);
	(void) sigaction(SIGSYS, NULL, &old);
	say("our handler is seen: %", old.sa_sigaction == on_signal);
	say("flags: %", old.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_RESTART));
	say("SIGSYS in its mask: %", sigismember(&old.sa_mask, SIGSYS));
	many_calls();
	say("handled: %", handled);
	(void) raise(SIGSYS);
	say("handled: %", handled);
	say("code: %", code_seen);
	(void) kill(getpid(), SIGSYS);
	say("handled: %", handled);
	say("code: %", code_seen);
	(void) sigqueue(getpid(), SIGSYS, (union sigval){ .sival_int = 7 });
	say("code: %", code_seen);
	many_calls();
	handle(SIGSYS, (int) (SA_RESETHAND | SA_NODEFER));
	(void) raise(SIGSYS);
	(void) sigaction(SIGSYS, NULL, &old);
	say("reset: %", old.sa_handler == SIG_DFL);
	say("handled: %", handled);
}

static void die_of_sigsys(void)
{
	(void) signal(SIGSYS, SIG_DFL);
	(void) kill(getpid(), SIGSYS);
	say("survived", 0);
}

static void ignore_sigsys(void)
{
	(void) signal(SIGSYS, SIG_IGN);
	(void) raise(SIGSYS);
	many_calls();
}

/* Whether it comes before or after the child waits. */
static void kill_a_child(bool ready)
{
	sigset_t all, none;
	int ends[2], status;
	pid_t pid;
	char byte;

	(void) sigfillset(&all);
	(void) sigemptyset(&none);
	if (pipe(ends) < 0)
		cannot("no pipe");
	pid = fork();
	if (pid == 0) {
		if (ready)
			handle(SIGSYS, SA_RESTART);
		(void) sigprocmask(SIG_SETMASK, &all, NULL);
		if (write(ends[1], "x", 1) == 1)
			(void) sigsuspend(&none);
		_exit(5 + handled);
	}
	if (read(ends[0], &byte, 1) == 1)
		(void) kill(pid, SIGSYS);
	(void) waitpid(pid, &status, 0);
	say("a child that got SIGSYS: %", status & 0xff7f); /* core dumps may be off */
}

void sigsys_from_others(void)
{
	in_child("to itself", die_of_sigsys);
	in_child("to itself, ignored", ignore_sigsys);
	kill_a_child(false);
	kill_a_child(true);
}

void sigsys_ignored(void)
{
	struct sigaction old;

	say("was default: %", signal(SIGSYS, SIG_IGN) == SIG_DFL);
	many_calls();
	(void) raise(SIGSYS);
	(void) sigaction(SIGSYS, NULL, &old);
	say("is ignored: %", old.sa_handler == SIG_IGN);
	/* what is ignored stays so over exec */
	if (fork() == 0) {
		(void) execl("/bin/sh", "sh", "-c", "kill -SYS $$; echo lives", NULL);
		_exit(1);
	}
	(void) wait(NULL);
}

/* ---- masks on all the ways into the kernel ---- */

void sigsys_in_every_mask(void)
{
	struct timespec soon = { 0, 1000000 };
	sigset_t all, pending;
	siginfo_t info;

	(void) sigfillset(&all);
	handle(SIGUSR1, 0);
	say("ppoll: %", ppoll(NULL, 0, &soon, &all));
	say("pselect: %", pselect(0, NULL, NULL, NULL, &soon, &all));
	many_calls();
	(void) pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void) raise(SIGUSR1);
	(void) sigpending(&pending);
	say("SIGUSR1 waits: %", sigismember(&pending, SIGUSR1));
	(void) sigdelset(&all, SIGUSR1);
	say("sigsuspend: %", sigsuspend(&all));
	say("handled: %", handled);
	(void) raise(SIGSYS);
	(void) sigaddset(&all, SIGSYS);
	say("sigtimedwait: %", sigtimedwait(&all, &info, &soon));
	say("code: %", info.si_code);
	(void) raise(SIGUSR1);
	(void) sigfillset(&all);
	say("ppoll: %", ppoll(NULL, 0, &soon, &all));
	(void) sigemptyset(&all);
	say("ppoll: %", ppoll(NULL, 0, NULL, &all));
	say("handled: %", handled);
	say_mask("mask: %");
}

/* ---- a frame that no signal has made ---- */

static void sigreturn_to_nowhere(void)
{
	__asm__ volatile("mov $0x10000, %%esp; mov $15, %%eax; syscall" ::: "memory");
}

static ucontext_t *frame;

static void block_all_in_frame(int signal_number, siginfo_t *info, void *context)
{
	(void) signal_number;
	(void) info;
	frame = context;
	memset(&frame->uc_sigmask, 0xff, 8);
}

void forged_sigreturn(void)
{
	struct sigaction action = { .sa_sigaction = block_all_in_frame,
				    .sa_flags = SA_SIGINFO };

	in_child("a frame that is not there", sigreturn_to_nowhere);
	(void) sigaction(SIGUSR1, &action, NULL);
	(void) raise(SIGUSR1);
	many_calls();
	say_mask("mask after a frame that blocks all: %");
}

/* ---- stacks that just suffice ---- */

static void deep(int signal_number)
{
	(void) signal_number;
	many_calls();
	handled++;
}

void handler_on_small_stack(void)
{
	size_t size = getauxval(AT_MINSIGSTKSZ) + 4096;
	char *memory = mmap(NULL, size + 8192, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = memory, .ss_size = size };
	struct sigaction action = { .sa_handler = deep, .sa_flags = SA_ONSTACK };

	if (memory == MAP_FAILED || size < 4096)
		cannot("no memory");
	say("sigaltstack: %", sigaltstack(&stack, NULL));
	(void) sigaction(SIGUSR1, &action, NULL);
	(void) raise(SIGUSR1);
	say("handled: %", handled);
	(void) sigaltstack(NULL, &stack);
	say("flags: %", stack.ss_flags);
	say("own stack: %", stack.ss_sp == memory && stack.ss_size == size);
}
