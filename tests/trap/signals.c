/* SPDX-License-Identifier: MIT */
/*
 * HOST.  What a program sees of signals: it prints what the kernel answers and what its
 * handlers find.  tests/trap/signals.test compares natively with under the trap engine.
 * Nothing here depends on time, addresses or process numbers.
 */
#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(number) (1UL << ((number) -1))
#define FULL        (~0UL)
#define ONCE        ((int) SA_RESETHAND)

struct action { /* the kernel's */
	uint64_t handler, flags, restorer, mask;
};

enum { RESTORER = 0x4000000 };

static void say(const char *what, long result)
{
	if (result == -1)
		printf("%-44s %s\n", what, strerrorname_np(errno));
	else
		printf("%-44s %ld\n", what, result);
	fflush(stdout);
}

static void say_mask(const char *what, uint64_t mask)
{
	/* 32 and 33 are libc's */
	printf("%-44s %016lx\n", what, mask & ~(BIT(32) | BIT(33)));
	fflush(stdout);
}

static long raw_mask(int how, const void *set, void *old, size_t size)
{
	return syscall(SYS_rt_sigprocmask, how, set, old, size);
}

static uint64_t mask_now(void)
{
	uint64_t mask = 0x5555;

	if (raw_mask(SIG_BLOCK, NULL, &mask, 8))
		abort();
	return mask;
}

static void mask_set(uint64_t mask)
{
	if (raw_mask(SIG_SETMASK, &mask, NULL, 8))
		abort();
}

static long raw_action(int number, const void *new, void *old, size_t size)
{
	return syscall(SYS_rt_sigaction, number, new, old, size);
}

/* ---- handlers ---- */

static volatile int count, last_value, last_code, depth, deepest;
static volatile uint64_t mask_inside, mask_frame;
static int order[64];

static void plain(int number)
{
	count++;
	last_value = number;
}

static void with_info(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if (count < 64)
		order[count] = number * 1000 + info->si_value.sival_int;
	count++;
	last_value = info->si_value.sival_int;
	last_code = info->si_code;
	memcpy((void *) &mask_frame, &uc->uc_sigmask, 8);
	mask_inside = mask_now();
}

static void handle(int number, void (*f)(int, siginfo_t *, void *), int flags,
		   uint64_t mask)
{
	struct sigaction sa = { .sa_sigaction = f, .sa_flags = flags | SA_SIGINFO };

	memcpy(&sa.sa_mask, &mask, 8);
	if (sigaction(number, &sa, NULL))
		abort();
	count = 0;
}

static void default_action(int number)
{
	signal(number, SIG_DFL);
}

/* Sends a value to this process, or this thread. */
static void queue(int number, int value)
{
	if (sigqueue(getpid(), number, (union sigval){ .sival_int = value }))
		abort();
}

static void queue_thread(int number, int value)
{
	if (pthread_sigqueue(pthread_self(), number,
			     (union sigval){ .sival_int = value }))
		abort();
}

static int status_of(pid_t child)
{
	int status = -1;

	if (waitpid(child, &status, 0) != child)
		abort();
	return status;
}

/* ---- actions ---- */

static void say_action(const char *what, int number)
{
	struct action a;

	memset(&a, 0x55, sizeof(a));
	if (raw_action(number, NULL, &a, 8))
		abort();
	printf("%-44s %s flags %08lx mask %016lx\n", what,
	       a.handler == 0                      ? "default"
	       : a.handler == 1                    ? "ignored"
	       : a.handler == (uint64_t) plain     ? "plain"
	       : a.handler == (uint64_t) with_info ? "with_info"
						   : "?",
	       a.flags & ~(uint64_t) RESTORER, a.mask);
}

static void read_back(int number, void *handler, uint64_t flags, uint64_t mask)
{
	struct action a = { (uint64_t) handler, flags, 0, mask };
	char what[64];

	say("sigaction", raw_action(number, &a, NULL, 8));
	snprintf(what, sizeof(what), "read back %d", number);
	say_action(what, number);
}

static void actions(void)
{
	static const int numbers[] = { SIGUSR1, SIGCHLD, SIGSEGV, SIGSYS, 34, 64 };
	struct action a = { .handler = (uint64_t) plain }, b;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int n = numbers[i];

		read_back(n, plain, 0, 0);
		read_back(n, plain, SA_RESTART, BIT(SIGSYS) | BIT(SIGKILL));
		read_back(n, plain, SA_NODEFER | SA_RESETHAND, FULL);
		read_back(n, with_info, SA_SIGINFO | SA_ONSTACK, BIT(SIGUSR2));
		read_back(n, with_info, 0x7fffffff & ~(uint64_t) RESTORER, 1);
		read_back(n, SIG_IGN, 0, BIT(SIGSYS));
		read_back(n, SIG_DFL, SA_SIGINFO, BIT(SIGSYS) | 2);
		read_back(n, SIG_DFL, 0, 0);
		read_back(n, SIG_DFL, SA_RESETHAND | SA_SIGINFO, 4);
		read_back(n, SIG_DFL, 0, 0);
	}
	for (int n = -1; n <= 66; n += n == 2 ? 60 : 1) {
		printf("number %d\n", n);
		say("sigaction asks", raw_action(n, NULL, &b, 8));
		say("sigaction sets nothing", raw_action(n, NULL, NULL, 8));
	}
	say("sets SIGKILL", raw_action(SIGKILL, &a, NULL, 8));
	say("sets SIGSTOP", raw_action(SIGSTOP, &a, NULL, 8));
	say("asks SIGKILL", raw_action(SIGKILL, NULL, &b, 8));
	say("sets 65", raw_action(65, &a, NULL, 8));
	for (int n = SIGUSR1; n <= SIGSYS; n += SIGSYS - SIGUSR1) {
		say("size 4", raw_action(n, &a, NULL, 4));
		say("size 16, bad pointers", raw_action(n, (void *) 8, (void *) 8, 16));
		say("bad new", raw_action(n, (void *) 8, NULL, 8));
		say("bad old", raw_action(n, NULL, (void *) 8, 8));
		say("bad old, but set", raw_action(n, &a, (void *) 8, 8));
		say_action("is", n);
		memset(&b, 0, sizeof(b));
		a.handler = 1;
		say("bad number, bad new", raw_action(77, (void *) 8, NULL, 8));
		say("exchange", raw_action(n, &a, &b, 8));
		say("was plain", b.handler == (uint64_t) plain);
		default_action(n);
		a.handler = (uint64_t) plain;
	}
}

/* More handlers than anybody has. */
static void many_actions(void)
{
	struct action a = { .flags = 0 }, b = { 0 };
	int wrong = 0;

	for (uint64_t i = 0; i < 2000; i++) {
		a.handler = 0x10000 + i;
		a.mask = i % 3 ? 0 : BIT(SIGSYS);
		a.flags = i % 2 ? SA_SIGINFO : SA_NODEFER;
		if (raw_action(SIGUSR2, &a, NULL, 8) ||
		    raw_action(SIGUSR2, NULL, &b, 8) || memcmp(&a, &b, sizeof(a)) != 0)
			wrong++;
	}
	say("wrong of 2000 handlers", wrong);
	handle(SIGUSR2, with_info, 0, FULL);
	queue(SIGUSR2, 5);
	say("and one more is called with", last_value);
	say_mask("mask inside", mask_inside);
	default_action(SIGUSR2);
}

/* ---- masks ---- */

static void *thread_masks(void *unused)
{
	(void) unused;
	say_mask("a thread has its creator's mask", mask_now());
	mask_set(BIT(SIGUSR2));
	say_mask("and its own", mask_now());
	return NULL;
}

static void one_mask(const char *name, int how, uint64_t set)
{
	uint64_t old = 0x5555;

	say(name, raw_mask(how, &set, &old, 8));
	say_mask("  was", old);
	say_mask("  is", mask_now());
}

static void masks(void)
{
	uint64_t old = 7, some = BIT(SIGSYS) | BIT(SIGUSR1), page_end;
	pthread_t thread;
	pid_t child;
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	one_mask("set nothing", SIG_SETMASK, 0);
	one_mask("block SIGSYS", SIG_BLOCK, BIT(SIGSYS));
	one_mask("block SIGUSR1", SIG_BLOCK, BIT(SIGUSR1));
	one_mask("unblock SIGUSR2", SIG_UNBLOCK, BIT(SIGUSR2));
	one_mask("unblock SIGSYS", SIG_UNBLOCK, BIT(SIGSYS));
	one_mask("unblock it again", SIG_UNBLOCK, BIT(SIGSYS));
	one_mask("block all", SIG_BLOCK, FULL);
	one_mask("set all", SIG_SETMASK, FULL);
	one_mask("unblock all", SIG_UNBLOCK, FULL);
	one_mask("set SIGSYS", SIG_SETMASK, BIT(SIGSYS));
	one_mask("set SIGUSR1", SIG_SETMASK, BIT(SIGUSR1));
	one_mask("set both", SIG_SETMASK, some);

	say("neither", raw_mask(SIG_SETMASK, NULL, NULL, 8));
	say("bad how, no set", raw_mask(77, NULL, &old, 8));
	say_mask("  is", old);
	say("bad how", raw_mask(77, &some, NULL, 8));
	say("negative how", raw_mask(-1, &some, NULL, 8));
	say("size 4", raw_mask(SIG_SETMASK, &some, NULL, 4));
	say("size 16", raw_mask(SIG_SETMASK, (void *) 8, NULL, 16));
	say("bad set", raw_mask(SIG_SETMASK, (void *) 8, NULL, 8));
	say("bad old", raw_mask(SIG_SETMASK, NULL, (void *) 8, 8));
	some = BIT(SIGUSR2);
	say("bad old, but set", raw_mask(SIG_SETMASK, &some, (void *) 8, 8));
	say_mask("  is", mask_now());
	some = BIT(SIGSYS) | BIT(SIGHUP);
	say("bad old, with SIGSYS", raw_mask(SIG_SETMASK, &some, (void *) 8, 8));
	say_mask("  is", mask_now());
	some = 0;
	say("bad old, without SIGSYS", raw_mask(SIG_SETMASK, &some, (void *) 8, 8));
	say_mask("  is", mask_now());

	/* at the very end of what is readable, and over it */
	mprotect(page + 4096, 4096, PROT_NONE);
	page_end = BIT(SIGSYS) | BIT(SIGINT);
	memcpy(page + 4096 - 8, &page_end, 8);
	say("last eight bytes", raw_mask(SIG_SETMASK, page + 4096 - 8, page, 8));
	say("over the end", raw_mask(SIG_SETMASK, page + 4096 - 7, NULL, 8));
	say("old is set", raw_mask(SIG_SETMASK, page + 4096 - 8, page + 4096 - 8, 8));
	memcpy(&page_end, page + 4096 - 8, 8);
	say_mask("  was", page_end);
	munmap(page, 8192);

	mask_set(BIT(SIGSYS) | BIT(SIGUSR1));
	child = fork();
	if (child == 0) {
		say_mask("a child has its parent's mask", mask_now());
		one_mask("and its own", SIG_SETMASK, BIT(SIGUSR2));
		child = fork();
		if (child == 0) {
			say_mask("its child, too", mask_now());
			_exit(0);
		}
		(void) status_of(child);
		_exit(0);
	}
	(void) status_of(child);
	say_mask("which is not its parent's", mask_now());
	pthread_create(&thread, NULL, thread_masks, NULL);
	pthread_join(thread, NULL);
	say_mask("nor the thread's its creator's", mask_now());
	mask_set(0);
}

/* ---- masks in handlers ---- */

static sigjmp_buf jump;

static void jumps(int number, siginfo_t *info, void *context)
{
	with_info(number, info, context);
	siglongjmp(jump, 1);
}

static void changes_frame(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	with_info(number, info, context);
	sigfillset(&uc->uc_sigmask);
}

static void handler_masks(void)
{
	volatile int i;

	handle(SIGUSR1, with_info, 0, 0);
	queue(SIGUSR1, 1);
	say_mask("inside a handler", mask_inside);
	say_mask("in its frame", mask_frame);
	handle(SIGUSR1, with_info, SA_NODEFER, BIT(SIGSYS) | BIT(SIGHUP));
	queue(SIGUSR1, 2);
	say_mask("inside, with SIGSYS blocked, and itself not", mask_inside);
	say_mask("in its frame", mask_frame);
	say_mask("afterwards", mask_now());
	mask_set(BIT(SIGSYS) | BIT(SIGUSR2));
	handle(SIGUSR1, with_info, 0, BIT(SIGHUP));
	queue(SIGUSR1, 3);
	say_mask("inside, with SIGSYS blocked before", mask_inside);
	say_mask("in its frame", mask_frame);
	say_mask("afterwards", mask_now());
	mask_set(0);
	handle(SIGUSR1, changes_frame, 0, 0);
	queue(SIGUSR1, 4);
	say_mask("after a handler that changed its frame", mask_now());
	mask_set(0);
	handle(SIGUSR1, jumps, 0, FULL);
	for (i = 0; i < 1000; i++) {
		if (sigsetjmp(jump, 1) == 0)
			queue(SIGUSR1, i);
		if (mask_now() != 0)
			break;
	}
	say("jumps out of a handler", i);
	say("calls", count);
	handle(SIGUSR1, jumps, 0, BIT(SIGSYS));
	if (sigsetjmp(jump, 0) == 0)
		queue(SIGUSR1, 5);
	say_mask("after a jump that leaves the mask", mask_now());
	mask_set(0);
	default_action(SIGUSR1);
}

/* ---- faults ---- */

static void faults(int number, siginfo_t *info, void *context)
{
	(void) context;
	count++;
	last_value = number;
	last_code = info->si_code;
	siglongjmp(jump, 1);
}

static void skips(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void) info;
	count++;
	last_value = number;
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
}

static int *volatile nowhere = (int *) 8;

static void synchronous(void)
{
	volatile int i;

	handle(SIGSEGV, faults, 0, 0);
	for (i = 0; i < 300; i++)
		if (sigsetjmp(jump, 1) == 0)
			*nowhere = 1;
	say("jumps out of SIGSEGV", count);
	say("code", last_code);
	handle(SIGILL, skips, 0, FULL);
	for (i = 0; i < 300; i++)
		__asm__ volatile("ud2");
	say("stepped over ud2", count);
	default_action(SIGSEGV);
	default_action(SIGILL);
}

/* ---- a program that steps through itself ---- */

static volatile int foreign_steps;

static void steps(int number, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	uint64_t rip = (uint64_t) uc->uc_mcontext.gregs[REG_RIP];

	(void) number, (void) info;
	count++;
	foreign_steps += (rip >> 32 & CO_TRAP_HIGH_MASK) == CO_TRAP_HIGH_VALUE;
}

static void stepping(void)
{
	uint64_t mask = BIT(SIGSYS) | BIT(SIGHUP);
	long got[3];

	handle(SIGTRAP, steps, 0, 0);
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	got[0] = getppid();
	got[1] = raw_mask(SIG_SETMASK, &mask, NULL, 8);
	got[2] = open("/none/such", O_RDONLY);
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
	say("stepped through getppid", got[0] == getppid());
	say("stepped through rt_sigprocmask", got[1]);
	say("stepped through open", got[2]);
	say_mask("  mask", mask_now());
	say("  steps", count > 30);
	say("  steps that are not the program's", foreign_steps);
	mask_set(0);
	default_action(SIGTRAP);
}

/* ---- alternate stacks ---- */

static char stack[65536] __attribute__((aligned(16)));
static volatile int on_stack, denied, nested_on_stack;

static void where(int number, siginfo_t *info, void *context)
{
	char here;
	stack_t now;

	(void) info, (void) context;
	sigaltstack(NULL, &now);
	if (number == SIGUSR1) {
		on_stack = &here > stack && &here < stack + sizeof(stack) &&
			   now.ss_flags == SS_ONSTACK;
		denied = sigaltstack(&now, NULL) == -1 ? errno : 0;
		raise(SIGUSR2);
	} else {
		nested_on_stack = &here > stack && &here < stack + sizeof(stack);
	}
}

static void alternate(void)
{
	stack_t to = { .ss_sp = stack, .ss_size = sizeof(stack) }, from;

	say("sigaltstack", sigaltstack(&to, NULL));
	say("read back", sigaltstack(NULL, &from));
	say("same",
	    from.ss_sp == stack && from.ss_size == sizeof(stack) && !from.ss_flags);
	handle(SIGUSR1, where, SA_ONSTACK, 0);
	handle(SIGUSR2, where, 0, 0);
	raise(SIGUSR1);
	say("handler on the stack", on_stack);
	say("change refused with EPERM", denied == EPERM);
	say("a nested handler stays there", nested_on_stack);
	handle(SIGUSR1, where, 0, 0);
	raise(SIGUSR1);
	say("without SA_ONSTACK", on_stack);
	to.ss_flags = SS_DISABLE;
	say("off", sigaltstack(&to, NULL));
	to = (stack_t){ .ss_sp = stack, .ss_size = 512 };
	say("too small", sigaltstack(&to, NULL));
	default_action(SIGUSR1);
	default_action(SIGUSR2);
}

/* ---- nesting ---- */

static void nests(int number, siginfo_t *info, void *context)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (info->si_value.sival_int > 0)
		queue(number, info->si_value.sival_int - 1);
	count++;
	depth--;
	(void) context;
}

static void nesting(void)
{
	pid_t child;

	handle(SIGUSR1, nests, SA_NODEFER, 0);
	deepest = 0;
	queue(SIGUSR1, 9);
	say("handlers within handlers", count);
	say("deep", deepest);
	handle(SIGUSR1, nests, 0, 0);
	deepest = 0;
	queue(SIGUSR1, 9);
	say("handlers after handlers", count);
	say("deep", deepest);
	handle(SIGUSR1, with_info, ONCE, BIT(SIGSYS));
	say_action("to be used once", SIGUSR1);
	queue(SIGUSR1, 11);
	say("was used with", last_value);
	say_action("is", SIGUSR1);
	child = fork();
	if (child == 0) {
		queue(SIGUSR1, 12);
		_exit(0);
	}
	say("the second time kills by", WTERMSIG(status_of(child)));
	default_action(SIGUSR1);
}

/* ---- waits ---- */

static void arm(int usec)
{
	struct itimerval timer = { .it_value = { .tv_usec = usec } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

static void say_wait(const char *what, long result)
{
	say(what, result);
	say("  handlers", count);
	say_mask("  inside", mask_inside);
	say_mask("  in its frame", mask_frame);
	say_mask("  afterwards", mask_now());
	count = 0;
	mask_inside = mask_frame = 0;
}

static struct timespec ms(long n)
{
	return (struct timespec){ .tv_nsec = n * 1000000 };
}

static void waits(uint64_t mask)
{
	int fds[2], ep = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	struct timespec t = ms(20);
	struct {
		const void *mask;
		size_t size;
	} pair = { &mask, 8 }, none = { NULL, 8 };
	struct pollfd p;

	say_mask("---- waits with", mask);
	if (pipe(fds) || epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event))
		abort();
	p = (struct pollfd){ fds[0], POLLIN, 0 };
	handle(SIGALRM, with_info, SA_RESTART, 0);
	mask_set(BIT(SIGALRM) | BIT(SIGUSR2) | BIT(SIGSYS));
	if (!(mask & BIT(SIGALRM))) {
		arm(5000);
		say_wait("rt_sigsuspend", syscall(SYS_rt_sigsuspend, &mask, 8));
		arm(5000);
		say_wait("ppoll", syscall(SYS_ppoll, &p, 1, NULL, &mask, 8));
		arm(5000);
		say_wait("pselect6",
			 syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, &pair));
		arm(5000);
		say_wait("epoll_pwait",
			 syscall(SYS_epoll_pwait, ep, &event, 1, -1, &mask, 8));
		arm(5000);
		say_wait("epoll_pwait2",
			 syscall(SYS_epoll_pwait2, ep, &event, 1, NULL, &mask, 8));
	}
	say_wait("ppoll, time over", syscall(SYS_ppoll, &p, 1, &t, &mask, 8));
	t = ms(20);
	say_wait("pselect6, time over",
		 syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, &pair));
	t = ms(5);
	say_wait("pselect6, no mask",
		 syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, &none));
	say_wait("epoll_pwait, time over",
		 syscall(SYS_epoll_pwait, ep, &event, 1, 20, &mask, 8));
	t = ms(20);
	say_wait("epoll_pwait2, time over",
		 syscall(SYS_epoll_pwait2, ep, &event, 1, &t, &mask, 8));
	if (write(fds[1], "x", 1) != 1)
		abort();
	say_wait("ppoll, something there", syscall(SYS_ppoll, &p, 1, NULL, &mask, 8));
	say_wait("epoll_pwait, something there",
		 syscall(SYS_epoll_pwait, ep, &event, 1, -1, &mask, 8));
	say_wait("rt_sigsuspend, size 4", syscall(SYS_rt_sigsuspend, &mask, 4));
	say_wait("rt_sigsuspend, bad mask", syscall(SYS_rt_sigsuspend, (void *) 8, 8));
	say_wait("ppoll, size 4", syscall(SYS_ppoll, &p, 1, &t, &mask, 4));
	say_wait("ppoll, bad mask", syscall(SYS_ppoll, &p, 1, &t, (void *) 8, 8));
	say_wait("ppoll, no mask", syscall(SYS_ppoll, &p, 1, &t, NULL, 8));
	say_wait("pselect6, bad pair",
		 syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, (void *) 8));
	pair.size = 4;
	say_wait("pselect6, size 4",
		 syscall(SYS_pselect6, 0, NULL, NULL, NULL, &t, &pair));
	say_wait("epoll_pwait, bad mask",
		 syscall(SYS_epoll_pwait, ep, &event, 1, 20, (void *) 8, 8));
	/* two at once: the one that comes first begins with the mask of the wait */
	handle(SIGUSR2, with_info, 0, 0);
	if (!(mask & (BIT(SIGALRM) | BIT(SIGUSR2)))) {
		queue(SIGUSR2, 1);
		queue(SIGALRM, 2);
		say_wait("rt_sigsuspend, two signals",
			 syscall(SYS_rt_sigsuspend, &mask, 8));
		say("  first", order[0] / 1000);
		say("  second", order[1] / 1000);
	}
	mask_set(0);
	default_action(SIGALRM);
	default_action(SIGUSR2);
	close(fds[0]);
	close(fds[1]);
	close(ep);
}

static void wanted(void)
{
	uint64_t set = BIT(SIGUSR1) | BIT(SIGSYS), full = FULL;
	struct timespec t = ms(5);
	struct signalfd_siginfo got;
	siginfo_t info;
	int fd;

	mask_set(set | BIT(SIGUSR2));
	queue(SIGUSR1, 21);
	say("rt_sigtimedwait", syscall(SYS_rt_sigtimedwait, &set, &info, &t, 8));
	say("  value", info.si_value.sival_int);
	say("nothing comes", syscall(SYS_rt_sigtimedwait, &set, &info, &t, 8));
	say("bad set", syscall(SYS_rt_sigtimedwait, (void *) 8, &info, &t, 8));
	say("size 4", syscall(SYS_rt_sigtimedwait, &set, &info, &t, 4));
	queue(SIGUSR2, 22);
	say("of all", syscall(SYS_rt_sigtimedwait, &full, &info, NULL, 8));
	say("  value", info.si_value.sival_int);
	queue(SIGUSR1, 23);
	say("bad info", syscall(SYS_rt_sigtimedwait, &set, (void *) 8, &t, 8));

	fd = (int) syscall(SYS_signalfd4, -1, &full, 8, SFD_NONBLOCK | SFD_CLOEXEC);
	say("signalfd4", fd >= 0);
	say("nothing there", read(fd, &got, sizeof(got)));
	queue(SIGUSR1, 24);
	say("read", read(fd, &got, sizeof(got)));
	say("  signal", got.ssi_signo);
	say("  value", got.ssi_int);
	set = BIT(SIGSYS) | BIT(SIGUSR2);
	say("changed", syscall(SYS_signalfd, fd, &set, 8) == fd);
	queue(SIGUSR1, 25);
	say("not this one", read(fd, &got, sizeof(got)));
	queue(SIGUSR2, 26);
	say("but this", read(fd, &got, sizeof(got)));
	say("  value", got.ssi_int);
	say("signalfd4, bad set", syscall(SYS_signalfd4, -1, (void *) 8, 8, 0));
	say("signalfd4, size 4", syscall(SYS_signalfd4, -1, &set, 4, 0));
	say("signalfd4, bad flags", syscall(SYS_signalfd4, -1, &set, 8, 1));
	close(fd);
	set = BIT(SIGUSR1);
	say("takes what is left", syscall(SYS_rt_sigtimedwait, &set, &info, &t, 8));
	mask_set(0);
}

/* ---- restarts ---- */

static int refill[2];
static volatile int interruptions;
static bool restarting, refilled;

/* At the third time or later it does what the interrupted call waits for: when that has
 * been interrupted twice, which it does not show where it is restarted. */
static void refills(int number, siginfo_t *info, void *context)
{
	(void) info, (void) context;
	last_value = number;
	if (++count < 3 || refilled || !(restarting || interruptions > 1))
		return;
	refilled = true;
	if (write(refill[1], "x", 1) != 1)
		abort();
}

static void refill_again(void)
{
	count = interruptions = 0;
	refilled = false;
}

static void every(int usec)
{
	struct itimerval timer = { { 0, usec }, { 0, usec } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* A call of which the shim looks at each: the pipe's other end is opened by a child. */
static void restarted_open(void)
{
	pid_t child;
	char byte;
	int fd;

	(void) unlink("signals.fifo");
	if (mkfifo("signals.fifo", 0600))
		abort();
	child = fork();
	if (child == 0) {
		(void) !read(refill[0], &byte, 1);
		fd = open("signals.fifo", O_WRONLY);
		_exit(fd < 0);
	}
	refill_again();
	every(3000);
	while ((fd = open("signals.fifo", O_RDONLY)) == -1 && errno == EINTR)
		interruptions++;
	every(0);
	say("open", fd >= 0);
	say("  was interrupted more than once", interruptions > 1);
	say("  its writer", status_of(child));
	close(fd);
	(void) unlink("signals.fifo");
}

static void restarts(int flags)
{
	uint32_t word = 1;
	struct timespec t;
	char byte[8];
	int status;
	pid_t child;

	say("---- handlers with flags", flags);
	if (pipe(refill))
		abort();
	restarting = flags & SA_RESTART;
	handle(SIGALRM, refills, flags, 0);
	refill_again();
	every(3000);
	while (read(refill[0], byte, 1) == -1 && errno == EINTR)
		interruptions++;
	every(0);
	say("read was interrupted more than once", interruptions > 1);

	handle(SIGALRM, with_info, flags, 0);
	every(3000);
	t = (struct timespec){ .tv_sec = 100 };
	say("futex with a time limit",
	    syscall(SYS_futex, &word, FUTEX_WAIT, 1, &t, NULL, 0));
	say("nanosleep", syscall(SYS_nanosleep, &t, &t));
	say("  most is left", t.tv_sec > 50);
	say("poll", poll(NULL, 0, 100000));
	say("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL));
	say("pause", pause());
	every(0);
	say("  handlers", count >= 5);

	handle(SIGALRM, refills, flags, 0);
	restarted_open();

	child = fork();
	if (child == 0) {
		(void) !read(refill[0], byte, 1);
		_exit(3);
	}
	refill_again();
	every(3000);
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		interruptions++;
	every(0);
	say("waitpid was interrupted more than once", interruptions > 1);
	say("  status", WEXITSTATUS(status));
	close(refill[0]);
	close(refill[1]);
	default_action(SIGALRM);
}

/* ---- SIGSYS that somebody sends ---- */

static int sigsys_child(int stage)
{
	pid_t child = fork();

	if (child == 0) {
		if (stage == 1)
			signal(SIGSYS, SIG_IGN);
		if (stage == 2)
			mask_set(BIT(SIGSYS));
		kill(getpid(), SIGSYS);
		if (stage == 3)
			pause();
		if (stage == 2)
			mask_set(0);
		_exit(7);
	}
	return status_of(child);
}

static void sent(void)
{
	uint64_t set = BIT(SIGSYS), pending;
	struct timespec t = ms(5);
	siginfo_t info;
	int status;

	status = sigsys_child(0);
	say("SIGSYS kills by", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	status = sigsys_child(1);
	say("ignored, exit status", WEXITSTATUS(status));
	status = sigsys_child(2);
	say("unblocked, it kills by", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	handle(SIGSYS, with_info, 0, 0);
	queue(SIGSYS, 31);
	say("handled", count);
	say("  value", last_value);
	say("  code", last_code);
	say_mask("  inside", mask_inside);
	say_mask("  in its frame", mask_frame);
	say_mask("  afterwards", mask_now());
	handle(SIGSYS, with_info, SA_NODEFER, BIT(SIGUSR1));
	queue(SIGSYS, 32);
	say_mask("nodefer, inside", mask_inside);
	count = 0;
	mask_set(BIT(SIGSYS));
	queue(SIGSYS, 33);
	say("blocked", count);
	say("pending", syscall(SYS_rt_sigpending, &pending, 8));
	say_mask("  are", pending);
	mask_set(0);
	say("unblocked", count);
	say("  value", last_value);
	say("pending", syscall(SYS_rt_sigpending, &pending, 8));
	say_mask("  are", pending);
	mask_set(BIT(SIGSYS));
	queue(SIGSYS, 34);
	say("taken", syscall(SYS_rt_sigtimedwait, &set, &info, &t, 8));
	say("  value", info.si_value.sival_int);
	say("not again", syscall(SYS_rt_sigtimedwait, &set, &info, &t, 8));
	mask_set(0);
	say("handled", count);
	handle(SIGSYS, with_info, ONCE, 0);
	queue_thread(SIGSYS, 35);
	say("once", last_value);
	say_action("is", SIGSYS);
	handle(SIGSYS, jumps, 0, 0);
	for (volatile int i = 0; i < 100; i++)
		if (sigsetjmp(jump, 1) == 0)
			queue(SIGSYS, i);
	say("jumps out of SIGSYS", count);
	say_mask("  afterwards", mask_now());
	default_action(SIGSYS);
}

/* ---- order ---- */

static void say_order(const char *what)
{
	printf("%-44s", what);
	for (int i = 0; i < count && i < 64; i++)
		printf(" %d", order[i]);
	printf("\n");
	count = 0;
}

static void real_time(void)
{
	mask_set(FULL);
	for (int n = 40; n >= 34; n--)
		handle(n, with_info, 0, FULL);
	for (int i = 0; i < 4; i++)
		for (int n = 40; n >= 34; n--)
			queue(n, i);
	mask_set(0);
	say_order("of the process");
	mask_set(FULL);
	for (int i = 0; i < 4; i++)
		for (int n = 40; n >= 34; n--)
			queue_thread(n, i);
	mask_set(0);
	say_order("of the thread");
	for (int n = 34; n <= 40; n++)
		handle(n, with_info, 0, 0);
	mask_set(FULL);
	for (int i = 0; i < 4; i++)
		for (int n = 40; n >= 34; n--)
			queue(n, i);
	mask_set(0);
	say_order("one within the other");
	/* as many as there are, all at once */
	for (int n = 35; n <= 64; n++)
		handle(n, with_info, 0, 0);
	mask_set(FULL);
	for (int n = 64; n >= 35; n--)
		queue(n, 1);
	mask_set(0);
	say_order("thirty at once");
	for (int n = 34; n <= 64; n++)
		default_action(n);
}

int main(void)
{
	mask_set(0);
	actions();
	many_actions();
	masks();
	handler_masks();
	synchronous();
	stepping();
	alternate();
	nesting();
	waits(0);
	waits(BIT(SIGSYS));
	waits(FULL & ~BIT(SIGALRM));
	waits(FULL);
	wanted();
	restarts(0);
	restarts(SA_RESTART);
	sent();
	real_time();
	return 0;
}
