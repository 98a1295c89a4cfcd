/* SPDX-License-Identifier: MIT */
/*
 * trap-behaviour-signals: delivery, masks, actions and alternate stacks, where SIGSYS, which
 * an engine needs for itself, is as good as any other.  GUEST.
 */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static volatile siginfo_t seen_info;
static sigset_t seen_mask;
static volatile uintptr_t seen_stack, seen_rip;

static void note(int sig)
{
	seen = seen + sig;
}

static void note_info(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char here;

	seen = seen + sig;
	seen_info = *info;
	seen_stack = (uintptr_t) &here;
	seen_rip = (uintptr_t) uc->uc_mcontext.gregs[REG_RIP];
	(void) sigprocmask(SIG_BLOCK, NULL, &seen_mask); /* cannot fail */
}

static int on(int sig, void (*handler)(int), int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = flags;
	return sigaction(sig, &action, NULL);
}

static int on_info(int sig, int flags, int masked)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = note_info;
	action.sa_flags = flags | SA_SIGINFO;
	if (masked)
		(void) sigaddset(&action.sa_mask, masked); /* a signal that exists */
	return sigaction(sig, &action, NULL);
}

static sigset_t only(int sig)
{
	sigset_t set;

	(void) sigemptyset(&set);
	if (sig)
		(void) sigaddset(&set, sig); /* a signal that exists */
	return set;
}

static int blocked(int sig)
{
	sigset_t set;

	return sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, sig);
}

/* ---- SIGSYS that is sent ---- */

static int sent_sigsys_is_ignored(void)
{
	EXPECT(on(SIGSYS, SIG_IGN, 0) == 0);
	EXPECT(kill(getpid(), SIGSYS) == 0);
	EXPECT(raise(SIGSYS) == 0);
	return 0;
}

static int sent_sigsys_reaches_the_handler(void)
{
	union sigval value = { .sival_int = 4711 };

	EXPECT(on_info(SIGSYS, 0, 0) == 0);
	EXPECT(kill(getpid(), SIGSYS) == 0);
	EXPECT(seen == SIGSYS && seen_info.si_code == SI_USER);
	EXPECT(seen_info.si_pid == getpid());
	EXPECT(sigqueue(getpid(), SIGSYS, value) == 0);
	EXPECT(seen == 2 * SIGSYS && seen_info.si_code == SI_QUEUE);
	EXPECT(seen_info.si_value.sival_int == 4711);
	EXPECT(raise(SIGSYS) == 0 && seen == 3 * SIGSYS);
	EXPECT(getppid() > 0 && access("/", F_OK) == 0);
	return 0;
}

static int kill_self(void *sig)
{
	(void) on(*(int *) sig, SIG_DFL, 0); /* SIGKILL has nothing else */
	(void) kill(getpid(), *(int *) sig);
	return 0;
}

static int every_signal_ends_a_child(void)
{
	for (int sig = 1; sig < 32; sig++) {
		int status;

		if (sig == SIGCHLD || sig == SIGCONT || sig == SIGURG ||
		    sig == SIGWINCH || sig == SIGSTOP || sig == SIGTSTP ||
		    sig == SIGTTIN || sig == SIGTTOU)
			continue;
		status = behaviour_child(kill_self, &sig);
		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == sig);
	}
	return 0;
}

static int blocked_sigsys_stays_pending(void)
{
	sigset_t set = only(SIGSYS), pending;

	EXPECT(on_info(SIGSYS, 0, 0) == 0);
	EXPECT(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && blocked(SIGSYS));
	EXPECT(kill(getpid(), SIGSYS) == 0);
	EXPECT(getppid() > 0 && access("/", F_OK) == 0 && seen == 0);
	EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGSYS) == 1);
	EXPECT(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
	EXPECT(seen == SIGSYS && !blocked(SIGSYS));
	EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGSYS) == 0);
	return 0;
}

static int sigtimedwait_takes_a_blocked_sigsys(void)
{
	sigset_t set = only(SIGSYS);
	struct timespec soon = { 5, 0 };
	siginfo_t info;

	EXPECT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	EXPECT(kill(getpid(), SIGSYS) == 0);
	EXPECT(sigtimedwait(&set, &info, &soon) == SIGSYS);
	EXPECT(info.si_code == SI_USER && info.si_pid == getpid());
	return 0;
}

static int signalfd_takes_a_blocked_sigsys(void)
{
	sigset_t set = only(SIGSYS);
	struct signalfd_siginfo told;
	int fd;

	EXPECT(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	fd = signalfd(-1, &set, SFD_NONBLOCK);
	EXPECT(fd >= 0 && kill(getpid(), SIGSYS) == 0);
	EXPECT(read(fd, &told, sizeof(told)) == sizeof(told));
	EXPECT(told.ssi_signo == SIGSYS && told.ssi_pid == (uint32_t) getpid());
	EXPECT(read(fd, &told, sizeof(told)) < 0 && errno == EAGAIN);
	return 0;
}

/* ---- actions ---- */

static int actions_read_back(void)
{
	for (int sig = 1; sig < 65; sig++) {
		struct sigaction action, old;

		if (sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33 ||
		    sig == SIGALRM)
			continue;
		memset(&action, 0, sizeof(action));
		action.sa_sigaction = note_info;
		action.sa_flags = SA_SIGINFO | SA_NODEFER | (sig % 2 ? SA_RESTART : 0);
		action.sa_mask = only(sig % 3 ? SIGSYS : SIGUSR2);
		EXPECT(sigaction(sig, &action, NULL) == 0);
		EXPECT(sigaction(sig, NULL, &old) == 0);
		EXPECT(old.sa_sigaction == note_info);
		/* the C library adds SA_RESTORER */
		EXPECT((old.sa_flags & ~0x04000000) == action.sa_flags);
		EXPECT(memcmp(&old.sa_mask, &action.sa_mask, 8) == 0);
		EXPECT(on(sig, SIG_IGN, 0) == 0);
		EXPECT(sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN);
		EXPECT(on(sig, SIG_DFL, 0) == 0);
		EXPECT(sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	}
	return 0;
}

static int bad_actions_are_refused(void)
{
	char kernel_action[32] = { 0 };
	long to = (long) BAD_POINTER;

	for (int sig = 10; sig <= SIGSYS; sig += SIGSYS - 10) {
		EXPECT(syscall(SYS_rt_sigaction, sig, to, 0L, 8L) < 0 &&
		       errno == EFAULT);
		EXPECT(syscall(SYS_rt_sigaction, sig, 0L, to, 8L) < 0 &&
		       errno == EFAULT);
		EXPECT(syscall(SYS_rt_sigaction, sig, kernel_action, to, 8L) < 0 &&
		       errno == EFAULT);
		EXPECT(syscall(SYS_rt_sigaction, sig, 0L, 0L, 7L) < 0 &&
		       errno == EINVAL);
	}
	EXPECT(syscall(SYS_rt_sigaction, 0L, 0L, 0L, 8L) < 0 && errno == EINVAL);
	EXPECT(syscall(SYS_rt_sigaction, 65L, 0L, 0L, 8L) < 0 && errno == EINVAL);
	EXPECT(syscall(SYS_rt_sigaction, SIGKILL, kernel_action, 0L, 8L) < 0 &&
	       errno == EINVAL);
	return 0;
}

static int handlers_run_with_their_mask(void)
{
	EXPECT(on_info(SIGUSR1, 0, SIGSYS) == 0 && raise(SIGUSR1) == 0);
	EXPECT(sigismember(&seen_mask, SIGUSR1) && sigismember(&seen_mask, SIGSYS));
	EXPECT(!sigismember(&seen_mask, SIGUSR2));
	EXPECT(!blocked(SIGUSR1) && !blocked(SIGSYS));
	EXPECT(on_info(SIGUSR1, SA_NODEFER, SIGUSR2) == 0 && raise(SIGUSR1) == 0);
	EXPECT(!sigismember(&seen_mask, SIGUSR1) && sigismember(&seen_mask, SIGUSR2));
	EXPECT(!sigismember(&seen_mask, SIGSYS));
	return 0;
}

static int reset_hand_resets(void)
{
	struct sigaction old;

	EXPECT(on(SIGUSR1, note, (int) SA_RESETHAND) == 0 && raise(SIGUSR1) == 0);
	EXPECT(seen == SIGUSR1);
	EXPECT(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	return 0;
}

/* ---- masks ---- */

static int masks_read_back(void)
{
	for (int sig = 1; sig < 65; sig++) {
		sigset_t set = only(sig), old;
		int can = sig != SIGKILL && sig != SIGSTOP && sig != 32 && sig != 33;

		EXPECT(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
		EXPECT(sigprocmask(SIG_BLOCK, NULL, &old) == 0);
		for (int other = 1; can && other < 65; other++)
			EXPECT(sigismember(&old, other) == (other == sig));
	}
	return 0;
}

static int bad_masks_are_refused(void)
{
	uint64_t mask = 0;
	long to = (long) BAD_POINTER;

	EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, to, 0L, 8L) < 0 &&
	       errno == EFAULT);
	EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0L, to, 8L) < 0 &&
	       errno == EFAULT);
	EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, to, 8L) < 0 &&
	       errno == EFAULT);
	EXPECT(syscall(SYS_rt_sigprocmask, 77L, &mask, 0L, 8L) < 0 && errno == EINVAL);
	EXPECT(syscall(SYS_rt_sigprocmask, 77L, 0L, &mask, 8L) == 0);
	EXPECT(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, 0L, 9L) < 0 &&
	       errno == EINVAL);
	return 0;
}

static int bad_pointers_in_waits_are_refused(void)
{
	long to = (long) BAD_POINTER;
	struct timespec now = { 0, 0 };
	struct epoll_event event;
	struct {
		long set, size;
	} sixth = { to, 8 };
	int epoll = epoll_create1(0);

	EXPECT(epoll >= 0);
	EXPECT(syscall(SYS_rt_sigsuspend, to, 8L) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_rt_sigsuspend, to, 7L) < 0 && errno == EINVAL);
	EXPECT(syscall(SYS_rt_sigtimedwait, to, 0L, &now, 8L) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_rt_sigpending, to, 8L) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_signalfd4, -1L, to, 8L, 0L) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_signalfd, -1L, to, 8L) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_ppoll, 0L, 0L, &now, to, 8L) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_pselect6, 0L, 0L, 0L, 0L, &now, &sixth) < 0 &&
	       errno == EFAULT);
	EXPECT(syscall(SYS_pselect6, 0L, 0L, 0L, 0L, &now, to) < 0 && errno == EFAULT);
	EXPECT(syscall(SYS_epoll_pwait, epoll, &event, 1L, 0L, to, 8L) < 0 &&
	       errno == EFAULT);
	EXPECT(syscall(SYS_sigaltstack, to, 0L) < 0 && errno == EFAULT);
	return 0;
}

/* A pending blocked signal ends each waiting call that unblocks it, and only it. */
static int waits_unblock_for_their_time(void)
{
	sigset_t block = only(SIGUSR1), none = only(0), all;
	struct timespec soon = { 5, 0 };
	struct epoll_event event;
	int epoll = epoll_create1(0);

	EXPECT(epoll >= 0 && on_info(SIGUSR1, SA_RESTART, 0) == 0);
	EXPECT(sigprocmask(SIG_BLOCK, &block, NULL) == 0);
	EXPECT(raise(SIGUSR1) == 0 && seen == 0);
	EXPECT(sigsuspend(&none) < 0 && errno == EINTR && seen == SIGUSR1);
	EXPECT(blocked(SIGUSR1) && raise(SIGUSR1) == 0);
	EXPECT(ppoll(NULL, 0, &soon, &none) < 0 && errno == EINTR);
	EXPECT(seen == 2 * SIGUSR1 && blocked(SIGUSR1) && raise(SIGUSR1) == 0);
	EXPECT(pselect(0, NULL, NULL, NULL, &soon, &none) < 0 && errno == EINTR);
	EXPECT(seen == 3 * SIGUSR1 && blocked(SIGUSR1) && raise(SIGUSR1) == 0);
	EXPECT(epoll_pwait(epoll, &event, 1, 5000, &none) < 0 && errno == EINTR);
	EXPECT(seen == 4 * SIGUSR1 && blocked(SIGUSR1) && !blocked(SIGSYS));
	/* all blocked while waiting, SIGSYS too, and calls go on as before */
	EXPECT(sigfillset(&all) == 0);
	soon.tv_sec = 0;
	soon.tv_nsec = 1000000;
	EXPECT(ppoll(NULL, 0, &soon, &all) == 0 && !blocked(SIGSYS));
	EXPECT(pselect(0, NULL, NULL, NULL, &soon, &all) == 0 && !blocked(SIGSYS));
	EXPECT(epoll_pwait(epoll, &event, 1, 1, &all) == 0 && !blocked(SIGSYS));
	return 0;
}

static int everything_blocked_still_calls(void)
{
	sigset_t all;

	EXPECT(sigfillset(&all) == 0 && sigprocmask(SIG_SETMASK, &all, NULL) == 0);
	for (int i = 0; i < 10; i++) {
		EXPECT(getppid() > 0 && access("/", F_OK) == 0);
		EXPECT(open("/nowhere/at/all", O_RDONLY) < 0 && errno == ENOENT);
	}
	EXPECT(blocked(SIGSYS) && blocked(SIGUSR1));
	return 0;
}

/* ---- interrupted calls ---- */

static atomic_int read_is_over;

/* Signals before and in the read: until one has ended it, or so many have come. */
static void *during_a_read(pthread_t reader, int most)
{
	for (int i = 0; i < most && !atomic_load(&read_is_over); i++) {
		struct timespec pause = { 0, 1000000 };

		(void) nanosleep(&pause, NULL); /* shorter is as good */
		(void) pthread_kill(reader, SIGUSR1);
	}
	return NULL;
}

static void *signals_until_it_is_over(void *main_thread)
{
	return during_a_read(*(pthread_t *) main_thread, 100000);
}

static int reads_end_with_eintr(void)
{
	pthread_t self = pthread_self(), thread;
	int ends[2];
	char byte;

	EXPECT(on(SIGUSR1, note, 0) == 0 && pipe(ends) == 0);
	EXPECT(pthread_create(&thread, NULL, signals_until_it_is_over, &self) == 0);
	EXPECT(read(ends[0], &byte, 1) < 0 && errno == EINTR && seen);
	atomic_store(&read_is_over, 1);
	EXPECT(pthread_join(thread, NULL) == 0);
	return 0;
}

static int pipe_to_fill[2];

static void *signals_then_fills(void *main_thread)
{
	(void) during_a_read(*(pthread_t *) main_thread, 20);
	return write(pipe_to_fill[1], "x", 1) == 1 ? NULL : main_thread;
}

static int reads_restart(void)
{
	pthread_t self = pthread_self(), thread;
	void *failed = NULL;
	char byte = 0;

	EXPECT(on(SIGUSR1, note, SA_RESTART) == 0 && pipe(pipe_to_fill) == 0);
	EXPECT(pthread_create(&thread, NULL, signals_then_fills, &self) == 0);
	EXPECT(read(pipe_to_fill[0], &byte, 1) == 1 && byte == 'x' && seen);
	EXPECT(pthread_join(thread, &failed) == 0 && failed == NULL);
	return 0;
}

/* A stop and a continue restart nanosleep by restart_syscall, without a handler. */
static int sleeps(void *unused)
{
	struct timespec pause = { 0, 300000000 }, rest;

	(void) unused;
	return nanosleep(&pause, &rest) == 0 ? 0 : 1;
}

static int sleep_goes_on_after_stops(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(sleeps(NULL));
	for (int i = 0; i < 5; i++) {
		EXPECT(kill(pid, SIGSTOP) == 0);
		EXPECT(waitpid(pid, &status, WUNTRACED) == pid);
		if (!WIFSTOPPED(status))
			break;
		EXPECT(kill(pid, SIGCONT) == 0);
	}
	if (WIFSTOPPED(status))
		EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

static sigjmp_buf back;

static void leave(int sig)
{
	siglongjmp(back, sig);
}

/* A function of its own, because a jump may come between any two of its instructions. */
static __attribute__((noinline)) int jumps_out_of_read(int fd)
{
	const struct itimerval soon = { { 0, 0 }, { 0, 2000 } };
	char byte;

	if (sigsetjmp(back, 1) != 0)
		return 1;
	(void) setitimer(ITIMER_REAL, &soon, NULL); /* else read never ends */
	(void) read(fd, &byte, 1);                  /* the handler leaves it */
	return 0;
}

static int handlers_may_jump_out(void)
{
	int ends[2];

	EXPECT(pipe(ends) == 0 && on(SIGALRM, leave, 0) == 0);
	for (int jumps = 0; jumps < 100; jumps++)
		EXPECT(jumps_out_of_read(ends[0]));
	EXPECT(!blocked(SIGALRM) && !blocked(SIGSYS) && !blocked(SIGUSR1));
	EXPECT(getppid() > 0);
	return 0;
}

/* ticks while calls of both kinds are made: nothing is lost, nothing answers wrongly */
static int calls_are_right_under_a_timer(void)
{
	struct itimerval often = { { 0, 100 }, { 0, 100 } };
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	pid_t parent = getppid();
	sigset_t none = only(0), old;

	EXPECT(on(SIGALRM, note, SA_RESTART) == 0);
	EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int i = 0; i < 200000 || seen <= 100 * SIGALRM; i++) {
		EXPECT(syscall(SYS_getppid) == parent);
		if (i % 16 == 0) {
			EXPECT(sigprocmask(SIG_SETMASK, &none, &old) == 0);
			EXPECT(!sigismember(&old, SIGALRM));
			EXPECT(access("/nowhere/at/all", F_OK) < 0 && errno == ENOENT);
		}
	}
	EXPECT(setitimer(ITIMER_REAL, &never, NULL) == 0);
	return 0;
}

extern char __executable_start, etext;

static int context_is_in_the_program(void)
{
	struct itimerval often = { { 0, 300 }, { 0, 300 } };

	EXPECT(on_info(SIGALRM, SA_RESTART, 0) == 0);
	EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int i = 0; i < 3000; i++) {
		for (int k = 0; k < 100; k++) {
			long result;

			__asm__ volatile("mov %1, %%eax\n\tsyscall"
					 : "=a"(result)
					 : "i"(SYS_getppid)
					 : "rcx", "r11", "memory");
			EXPECT(result > 0);
		}
		if (seen) {
			/* here, in libc or in the vdso, but never in an engine's pool */
			EXPECT((seen_rip >> 32 & 0xffffff81) != 0x7001);
			seen = 0;
		}
	}
	return 0;
}

/* ---- stacks ---- */

static int alternate_stacks_are_used(void)
{
	static char stack[65536];
	stack_t ours = { .ss_sp = stack, .ss_size = sizeof(stack) }, old;

	EXPECT(sigaltstack(&ours, NULL) == 0);
	EXPECT(on_info(SIGUSR1, SA_ONSTACK, 0) == 0 && raise(SIGUSR1) == 0);
	EXPECT(seen_stack >= (uintptr_t) stack &&
	       seen_stack < (uintptr_t) stack + sizeof(stack));
	EXPECT(on_info(SIGUSR1, 0, 0) == 0 && raise(SIGUSR1) == 0);
	EXPECT(seen_stack < (uintptr_t) stack ||
	       seen_stack >= (uintptr_t) stack + sizeof(stack));
	EXPECT(sigaltstack(NULL, &old) == 0 && old.ss_sp == stack && old.ss_flags == 0);
	EXPECT(old.ss_size == sizeof(stack));
	return 0;
}

/* Nothing may be put on it, as long as no handler of the program's own needs it. */
static int alternate_stack_is_left_alone(void)
{
	char *stack = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ours = { .ss_sp = stack, .ss_size = 65536 };

	EXPECT(stack != MAP_FAILED && sigaltstack(&ours, NULL) == 0);
	for (int i = 0; i < 100; i++) {
		EXPECT(getppid() > 0 && access("/", F_OK) == 0);
		EXPECT(open("/nowhere/at/all", O_RDONLY) < 0 && errno == ENOENT);
	}
	EXPECT(on_info(SIGUSR1, 0, 0) == 0 && raise(SIGUSR1) == 0 && seen == SIGUSR1);
	return 0;
}

/* getpid with rsp at `stack`, from one site, which is not the case if it is inlined */
static __attribute__((noinline)) long call_on(uint64_t stack, uint64_t *out_kept)
{
	long result;
	uint64_t kept;

	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %[stack], %%rsp\n\t"
			 "mov $39, %%eax\n\t"
			 "syscall\n\t"
			 "mov %%rsp, %[kept]\n\t"
			 "mov %%rbx, %%rsp"
			 : "=&a"(result), [kept] "=&r"(kept)
			 : [stack] "r"(stack)
			 : "rbx", "rcx", "r11", "memory");
	*out_kept = kept;
	return result;
}

static int calls_need_no_stack(void)
{
	static const uint64_t stacks[] = { 0, 8, 0xdeadbeef, 0xffffffffffffffff };
	static char ours[16384];
	uint64_t kept, usual = (uint64_t) ours + sizeof(ours);

	for (int i = 0; i < 100; i++) /* a fine stack first, as in real programs */
		EXPECT(call_on(usual, &kept) == getpid() && kept == usual);
	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++)
		EXPECT(call_on(stacks[i], &kept) == getpid() && kept == stacks[i]);
	return 0;
}

static int red_zone_and_registers_survive(void)
{
	for (uint64_t i = 1; i <= 200; i++) {
		uint64_t result, below, rdx = i, r8 = ~i, r9 = i << 40, flags, kept;
		register uint64_t r12 __asm__("r12") = i * 3;
		register uint64_t r10 __asm__("r10") = i * 5;
		register uint64_t r8r __asm__("r8") = r8;
		register uint64_t r9r __asm__("r9") = r9;

		__asm__ volatile(
			"mov %[i], -8(%%rsp)\n\t"
			"mov %[i], -120(%%rsp)\n\t"
			"stc\n\t"
			"mov $39, %%eax\n\t"
			"syscall\n\t"
			"setc %b[flags]\n\t"
			"movzbl %b[flags], %k[flags]\n\t"
			"mov -8(%%rsp), %[below]\n\t"
			"cmp -120(%%rsp), %[below]\n\t"
			"je 1f\n\t"
			"mov $0, %[below]\n\t"
			"1:"
			: "=&a"(result), [below] "=&r"(below), [flags] "=&b"(flags),
			  "+d"(rdx), "+r"(r8r), "+r"(r9r), "+r"(r10), "+r"(r12)
			: [i] "r"(i)
			: "rcx", "r11", "memory", "cc");
		/* before a call of the compiler's own changes them */
		kept = rdx == i && r8r == r8 && r9r == r9 && r10 == i * 5 &&
		       r12 == i * 3;
		EXPECT(kept && below == i && flags == 1);
		EXPECT(result == (uint64_t) getpid());
	}
	return 0;
}

/* This program, started again, looks at what has come through. */
static int through_exec(const char *word, int sig)
{
	sigset_t set = only(sig);

	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || raise(sig) != 0 ||
	    on(SIGUSR1, SIG_IGN, 0) < 0 || on(SIGHUP, note, 0) < 0)
		return 9;
	execl("/proc/self/exe", behaviour_self, word, (char *) NULL);
	return 8;
}

static int exec_with_usr2(void *unused)
{
	(void) unused;
	return through_exec("--after-exec-usr2", SIGUSR2);
}

static int exec_with_sigsys(void *unused)
{
	(void) unused;
	return through_exec("--after-exec-sigsys", SIGSYS);
}

static int signals_survive_exec(void)
{
	EXPECT(behaviour_child(exec_with_usr2, NULL) == 0);
	return 0;
}

static int blocked_sigsys_survives_exec(void)
{
	EXPECT(behaviour_child(exec_with_sigsys, NULL) == 0);
	return 0;
}

static int after_exec(int sig)
{
	struct sigaction action;
	sigset_t pending;

	EXPECT(blocked(sig) && !blocked(SIGUSR1));
	EXPECT(sigpending(&pending) == 0 && sigismember(&pending, sig) == 1);
	EXPECT(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	EXPECT(sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	EXPECT(sigaction(SIGSYS, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	return 0;
}

static int ignored_sigsys_survives_exec(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (on(SIGSYS, SIG_IGN, 0) < 0)
			_exit(9);
		execl("/proc/self/exe", behaviour_self, "--ignores", (char *) NULL);
		_exit(8);
	}
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

static int ignores(void)
{
	struct sigaction action;

	EXPECT(sigaction(SIGSYS, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	EXPECT(raise(SIGSYS) == 0 && getppid() > 0);
	return 0;
}

static void *waits_in_read(void *fd)
{
	char byte;

	(void) read(*(int *) fd, &byte, 1); /* cancelled in it */
	return NULL;
}

static int threads_are_cancelled_in_calls(void)
{
	int ends[2];

	EXPECT(pipe(ends) == 0);
	for (int i = 0; i < 100; i++) {
		pthread_t thread;
		void *result;

		EXPECT(pthread_create(&thread, NULL, waits_in_read, &ends[0]) == 0);
		if (i % 2)
			(void) usleep(500); /* before or in the call: both must end */
		EXPECT(pthread_cancel(thread) == 0);
		EXPECT(pthread_join(thread, &result) == 0);
		EXPECT(result == PTHREAD_CANCELED);
	}
	return 0;
}

static const struct behaviour cases[] = {
	{ "a sent SIGSYS is ignored where it is ignored", sent_sigsys_is_ignored },
	{ "a sent SIGSYS reaches its handler with who sent it",
	  sent_sigsys_reaches_the_handler },
	{ "every signal ends a child and is told by waitpid",
	  every_signal_ends_a_child },
	{ "a blocked SIGSYS stays pending until it is let in",
	  blocked_sigsys_stays_pending },
	{ "sigtimedwait takes a blocked SIGSYS", sigtimedwait_takes_a_blocked_sigsys },
	{ "signalfd takes a blocked SIGSYS", signalfd_takes_a_blocked_sigsys },
	{ "the action of every signal reads back as it was set", actions_read_back },
	{ "actions with bad pointers, sizes and numbers are refused",
	  bad_actions_are_refused },
	{ "a handler runs with the mask of its action", handlers_run_with_their_mask },
	{ "SA_RESETHAND resets before the handler", reset_hand_resets },
	{ "the mask of every signal reads back as it was set", masks_read_back },
	{ "masks with bad pointers, sizes and words are refused",
	  bad_masks_are_refused },
	{ "waiting calls with bad pointers are refused",
	  bad_pointers_in_waits_are_refused },
	{ "waiting calls change the mask for their time only",
	  waits_unblock_for_their_time },
	{ "calls work with every signal blocked", everything_blocked_still_calls },
	{ "a handler without SA_RESTART ends read with EINTR", reads_end_with_eintr },
	{ "a handler with SA_RESTART lets read go on", reads_restart },
	{ "nanosleep goes on after stops", sleep_goes_on_after_stops },
	{ "a handler may jump out of a call", handlers_may_jump_out },
	{ "calls are right while a timer ticks", calls_are_right_under_a_timer },
	{ "a handler's context is never inside an engine", context_is_in_the_program },
	{ "a handler runs on the alternate stack if it asks for it",
	  alternate_stacks_are_used },
	{ "a read-only alternate stack does no harm to calls",
	  alternate_stack_is_left_alone },
	{ "a call needs no stack", calls_need_no_stack },
	{ "the red zone, registers and flags survive a call",
	  red_zone_and_registers_survive },
	{ "masks, pending and ignored signals survive exec", signals_survive_exec },
	{ "a blocked and pending SIGSYS survives exec", blocked_sigsys_survives_exec },
	{ "an ignored SIGSYS stays ignored after exec", ignored_sigsys_survives_exec },
	{ "threads are cancelled before and in a call",
	  threads_are_cancelled_in_calls },
};

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--after-exec-usr2") == 0)
		return after_exec(SIGUSR2) % 256;
	if (argc == 2 && strcmp(argv[1], "--after-exec-sigsys") == 0)
		return after_exec(SIGSYS) % 256;
	if (argc == 2 && strcmp(argv[1], "--ignores") == 0)
		return ignores() % 256;
	return behaviour_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
