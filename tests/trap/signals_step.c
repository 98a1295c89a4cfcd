/* SPDX-License-Identifier: MIT */
/*
 * HOST.  A signal between any two instructions of a call: a child makes a call over and
 * over; its parent steps it through, one instruction further each time, and then sends the
 * signal.  The call has to give what it always gives, all registers have to be what they
 * were, the handler has to run once, in the program's own code.  What is stepped through
 * under the engine is everything that is in the way of a call.
 *
 * Usage: signals_step STRIDE; a stride of 1 leaves no instruction out, a longer one leaves
 * some out in the middle of the call.
 */
#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/trap/registers.h"

enum {
	NEAR = 50,
	WARM = 200,
	INT3 = 0x80 /* si_code of a breakpoint; TRAP_TRACE is a step */
};

struct shared {
	volatile bool end; /* of a call, with less steps than asked for */
	volatile long steps;
} * shared;

static volatile int calls_of_handler, sender;

enum { FRAMES = 65536 };
static char stack[FRAMES];
static const char *base; /* of the program's own stack: in main */
static bool alternate;

static bool on_its_stack(const void *object)
{
	const char *at = object, *end = alternate ? stack + FRAMES : base;

	return at >= end - FRAMES && at < end;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	uint64_t rip = (uint64_t) uc->uc_mcontext.gregs[REG_RIP];

	if ((rip >> 32 & CO_TRAP_HIGH_MASK) == CO_TRAP_HIGH_VALUE)
		wrong("after %ld steps the handler sees the address %lx", shared->steps,
		      rip);
	if (number != SIGUSR1 || info->si_pid != sender)
		wrong("after %ld steps: signal %d of %d", shared->steps, number,
		      info->si_pid);
	if (!on_its_stack(&rip))
		wrong("after %ld steps the handler is on the wrong stack",
		      shared->steps);
	calls_of_handler++;
}

/* Every other time on the alternate stack. */
static void handle(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal };

	alternate = shared->steps % 2;
	sa.sa_flags = SA_SIGINFO | SA_RESTART | (alternate ? SA_ONSTACK : 0);
	if (sigaction(SIGUSR1, &sa, NULL))
		wrong("sigaction: %m");
}

static uint64_t mask_now(void)
{
	uint64_t mask;

	if (syscall(SYS_rt_sigprocmask, 0, NULL, &mask, 8))
		wrong("rt_sigprocmask: %m");
	return mask;
}

/* ---- the calls ---- */

#define BIT(number) (1UL << ((number) -1))

struct call {
	const char *name;
	struct registers in;
	uint64_t results[2]; /* either of them */
	uint64_t mask_before, mask_after;
	uint64_t old; /* what is in `was` afterwards */
};

static uint64_t set = BIT(SIGSYS) | BIT(SIGUSR2), was, temporary = BIT(SIGSYS);
static struct {
	const void *mask;
	size_t size;
} pair = { &temporary, 8 };
static struct timespec nothing;
static struct kernel_action {
	uint64_t handler, flags, restorer, mask;
} action = { 1, 0, 0, BIT(SIGSYS) }, old_action;

#define ADDRESS(object) ((uint64_t) & (object))

static struct call *calls(size_t *count)
{
	static struct call list[16];
	struct call all[] = {
		{ "goes through", { .rax = SYS_getpid }, { 0, 0 }, 0, 0, 77 },
		{ "unknown number",
		  { .rax = 10000 },
		  { (uint64_t) -ENOSYS },
		  0,
		  0,
		  77 },
		{ "rt_sigprocmask, looked at only",
		  { .rax = SYS_rt_sigprocmask, .r10 = 8 },
		  { 0 },
		  0,
		  0,
		  77 },
		{ "rt_sigprocmask, blocks SIGSYS",
		  { .rax = SYS_rt_sigprocmask,
		    .rdi = SIG_BLOCK,
		    .rsi = ADDRESS(set),
		    .rdx = ADDRESS(was),
		    .r10 = 8 },
		  { 0 },
		  BIT(SIGHUP),
		  BIT(SIGHUP) | BIT(SIGSYS) | BIT(SIGUSR2),
		  BIT(SIGHUP) },
		{ "rt_sigprocmask, unblocks SIGSYS",
		  { .rax = SYS_rt_sigprocmask,
		    .rdi = SIG_UNBLOCK,
		    .rsi = ADDRESS(set),
		    .rdx = ADDRESS(was),
		    .r10 = 8 },
		  { 0 },
		  BIT(SIGHUP) | BIT(SIGSYS),
		  BIT(SIGHUP),
		  BIT(SIGHUP) | BIT(SIGSYS) },
		{ "rt_sigprocmask, reads SIGSYS",
		  { .rax = SYS_rt_sigprocmask, .rdx = ADDRESS(was), .r10 = 8 },
		  { 0 },
		  BIT(SIGSYS),
		  BIT(SIGSYS),
		  BIT(SIGSYS) },
		{ "rt_sigaction",
		  { .rax = SYS_rt_sigaction,
		    .rdi = SIGUSR2,
		    .rsi = ADDRESS(action),
		    .rdx = ADDRESS(old_action),
		    .r10 = 8 },
		  { 0 },
		  0,
		  0,
		  77 },
		{ "open",
		  { .rax = SYS_open, .rdi = (uint64_t) "/none/such" },
		  { (uint64_t) -ENOENT },
		  0,
		  0,
		  77 },
		{ "ppoll with a mask",
		  { .rax = SYS_ppoll,
		    .rdx = ADDRESS(nothing),
		    .r10 = ADDRESS(temporary),
		    .r8 = 8 },
		  { 0, (uint64_t) -EINTR },
		  BIT(SIGHUP),
		  BIT(SIGHUP),
		  77 },
		{ "pselect6 with a mask",
		  { .rax = SYS_pselect6, .r8 = ADDRESS(nothing), .r9 = ADDRESS(pair) },
		  { 0, (uint64_t) -EINTR },
		  BIT(SIGSYS),
		  BIT(SIGSYS),
		  77 },
	};

	all[0].results[0] = (uint64_t) getpid();
	memcpy(list, all, sizeof(all));
	*count = sizeof(all) / sizeof(all[0]);
	return list;
}

static void make(const struct call *call, bool stepped)
{
	struct registers in = call->in, out;

	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &call->mask_before, NULL, 8))
		wrong("rt_sigprocmask: %m");
	handle();
	was = 77;
	registers_fill(&in);
	memset(&out, 0, sizeof(out));
	if (stepped)
		__asm__ volatile("int3");
	call_with(&in, &out);
	if (stepped)
		__asm__ volatile("int3");
	out.flags &= ~0x100UL; /* pushf, stepped */
	if (out.rax != call->results[0] && out.rax != call->results[1])
		wrong("%s, after %ld steps: gives %ld", call->name, shared->steps,
		      (long) out.rax);
	registers_compare(call->name, &in, &out);
	if (mask_now() != call->mask_after)
		wrong("%s, after %ld steps: the mask is %lx", call->name, shared->steps,
		      mask_now());
	if (was != call->old)
		wrong("%s, after %ld steps: the mask was %lx", call->name,
		      shared->steps, was);
	if (stepped && calls_of_handler != 1)
		wrong("%s, after %ld steps: the handler ran %d times", call->name,
		      shared->steps, calls_of_handler);
	calls_of_handler = 0;
}

static _Noreturn void child(void)
{
	stack_t to = { .ss_sp = stack, .ss_size = sizeof(stack) };
	size_t count;
	struct call *list = calls(&count);

	if (sigaltstack(&to, NULL))
		wrong("sigaltstack: %m");
	sender = getppid();
	for (size_t i = 0; i < count; i++)
		for (int n = 0; n < WARM; n++) /* and patched */
			make(&list[i], false);
	raise(SIGSTOP);
	for (size_t i = 0; i < count; i++) {
		shared->end = false;
		while (!shared->end)
			make(&list[i], true);
		printf("%s: a signal at each instruction\n", list[i].name);
		fflush(stdout);
	}
	_exit(0);
}

/* ---- the parent ---- */

static int stopped(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		wrong("waitpid: %m");
	if (!WIFSTOPPED(status)) {
		if (WIFEXITED(status))
			_exit(WEXITSTATUS(status));
		wrong("the child was killed by %d, after %ld steps", WTERMSIG(status),
		      shared->steps);
	}
	return WSTOPSIG(status);
}

static bool at_breakpoint(pid_t pid)
{
	siginfo_t info;

	return ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0 && info.si_code == INT3;
}

static void go(enum __ptrace_request how, pid_t pid, int number)
{
	if (ptrace(how, pid, 0, number))
		wrong("ptrace: %m");
}

/* Lets it run to the next breakpoint, with all signals that come. */
static void run(pid_t pid, int number)
{
	for (;;) {
		go(PTRACE_CONT, pid, number);
		number = stopped(pid);
		if (number == SIGTRAP && at_breakpoint(pid))
			return;
		if (number == SIGTRAP)
			number = 0;
	}
}

/* How many instructions that call has, which is made once. */
static long steps_of(pid_t pid)
{
	long steps = 0;
	int number = 0;

	for (;; steps++) {
		go(PTRACE_SINGLESTEP, pid, number);
		number = stopped(pid);
		if (number == SIGTRAP) {
			if (at_breakpoint(pid))
				break;
			number = 0;
		}
	}
	kill(pid, SIGUSR1); /* as in all the others */
	run(pid, 0);
	return steps;
}

/* False if the next breakpoint came before that many steps.  *number is the signal that the
 * last of them has raised. */
static bool step(pid_t pid, long steps, int *out_number)
{
	int number = 0;

	*out_number = 0;
	for (long i = 0; i < steps; i++) {
		go(PTRACE_SINGLESTEP, pid, number);
		number = stopped(pid);
		if (number == SIGTRAP) {
			if (at_breakpoint(pid))
				return false;
			number = 0;
		}
	}
	*out_number = number;
	return true;
}

/* The call to be stepped through is at its first breakpoint; afterwards, the next one. */
static void step_through(pid_t pid, long stride)
{
	long all = steps_of(pid);
	int number;

	shared->steps = 0;
	while (step(pid, shared->steps, &number)) {
		kill(pid, SIGUSR1);
		run(pid, number);
		run(pid, 0);
		shared->steps +=
			shared->steps < NEAR || shared->steps > all - NEAR ? 1 : stride;
	}
	/* it is at the second breakpoint, and has had no signal */
	shared->end = true;
	kill(pid, SIGUSR1);
	run(pid, 0);
}

int main(int argc, char **argv)
{
	long stride = argc > 1 ? atol(argv[1]) : 1;
	char first;
	pid_t pid;

	base = &first + 1;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	pid = fork();
	if (pid == 0)
		child();
	if (waitpid(pid, NULL, WUNTRACED) != pid || ptrace(PTRACE_SEIZE, pid, 0, 0))
		wrong("ptrace: %m");
	kill(pid, SIGCONT);
	run(pid, 0);
	for (;;)
		step_through(pid, stride);
}
