/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  A 32-bit program that does what 32-bit programs do, and prints what it sees.
 * i386.sh runs it natively and under the trap engine: the outputs have to be equal, so
 * nothing is printed that differs from run to run.  `i386_guest CASE`; no case lists them.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
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

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

extern char **environ;

static long int80(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return result;
}

/* As the kernel's vdso does it; the kernel returns behind the same instructions there. */
long by_sysenter(long number, long a, long b, long c);
__asm__(".text\n.globl by_sysenter\nby_sysenter:\n\t"
	"pushl %ebx\n\t"
	"movl 8(%esp), %eax\n\tmovl 12(%esp), %ebx\n\t"
	"movl 16(%esp), %ecx\n\tmovl 20(%esp), %edx\n\t"
	"call 1f\n\tpopl %ebx\n\tret\n"
	"1:\tpushl %ecx\n\tpushl %edx\n\tpushl %ebp\n\tmovl %esp, %ebp\n\tsysenter\n");

/* AMD's have it not in 32-bit code under a 64-bit kernel. */
static int has_sysenter(void)
{
	unsigned a = 0, b, c, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return b == 0x756e6547;
}

static void check(int good, const char *what)
{
	printf("%s: %s\n", what, good ? "yes" : "NO");
}

/* ---- memory ---- */

static void memory(void)
{
	char *first = sbrk(0), *now;
	void *p[64];
	size_t sum = 0;

	check(sbrk(0x100000) == first, "brk grows where it was");
	memset(first, 7, 0x100000);
	check(sbrk(-0x80000) == first + 0x100000, "brk shrinks");
	now = sbrk(0);
	check(now == first + 0x80000, "brk is where it should be");
	check(sbrk(0x80000) == now && now[0] == 0 && now[0x7ffff] == 0,
	      "brk gives cleared pages");
	check(int80(SYS_brk, 0x1000, 0, 0) == (long) sbrk(0),
	      "brk stays above the program");
	for (int i = 0; i < 64; i++) {
		p[i] = malloc(1000u << (i % 10));
		memset(p[i], i, 1000u << (i % 10));
	}
	for (int i = 0; i < 64; i++) {
		sum += ((unsigned char *) p[i])[i];
		free(p[i]);
	}
	printf("sum %zu\n", sum);
	now = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	check(now != MAP_FAILED, "mmap");
	now[0xffff] = 1;
	check((now = mremap(now, 0x10000, 0x400000, MREMAP_MAYMOVE)) != MAP_FAILED &&
		      now[0xffff] == 1,
	      "mremap moves it");
	check(munmap(now, 0x400000) == 0, "munmap");
	check(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			      MAP_FAILED &&
		      errno == EINVAL,
	      "mmap of nothing");
}

/* ---- what the program is told ---- */

static void told(void)
{
	char exe[PATH_MAX] = "";
	struct timespec t;
	Elf32_Ehdr *vdso = (Elf32_Ehdr *) getauxval(AT_SYSINFO_EHDR);

	printf("platform %s, secure %lu, pagesize %lu, clktck %lu\n",
	       (char *) getauxval(AT_PLATFORM), getauxval(AT_SECURE),
	       getauxval(AT_PAGESZ), getauxval(AT_CLKTCK));
	check(getauxval(AT_SYSINFO) != 0, "AT_SYSINFO");
	check(vdso && memcmp(vdso->e_ident, ELFMAG, SELFMAG) == 0 &&
		      vdso->e_machine == EM_386,
	      "a 32-bit vdso");
	check(strcmp((char *) getauxval(AT_EXECFN), program_invocation_name) == 0,
	      "AT_EXECFN");
	check(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0, "/proc/self/exe");
	printf("%s\n", strrchr(exe, '/') + 1);
	check(clock_gettime(CLOCK_MONOTONIC, &t) == 0 && t.tv_sec > 0, "clock_gettime");
	check(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == 0, "and as a call");
	check(time(NULL) > 1000000000, "time");
	check(int80(SYS_getpid, 0, 0, 0) == getpid(), "int 0x80");
	check(!has_sysenter() || by_sysenter(SYS_getpid, 0, 0, 0) == getpid(),
	      "sysenter");
	fflush(stdout);
	check(!has_sysenter() ||
		      by_sysenter(SYS_write, 1, (long) "by sysenter\n", 12) == 12,
	      "sysenter with arguments");
	check(int80(99999, 0, 0, 0) == -ENOSYS, "a number that is none");
	check(int80(SYS_write, 1, 0x10, 5) == -EFAULT, "a pointer that is none");
}

/* ---- signals ---- */

static volatile sig_atomic_t seen;
static volatile int value;
static siginfo_t info;

static void plain(int sig)
{
	seen = seen * 100 + sig;
}

static void with_info(int sig, siginfo_t *i, void *context)
{
	ucontext_t *u = context;

	info = *i;
	value = i->si_value.sival_int;
	seen = seen * 100 + sig;
	if (u->uc_mcontext.gregs[REG_CS] != 0x23 || u->uc_mcontext.fpregs == NULL)
		seen = -1;
}

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = flags };

	if (sigaction(sig, &a, NULL))
		perror("sigaction");
}

static void handle_info(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction a = { .sa_sigaction = handler,
			       .sa_flags = SA_SIGINFO | flags };

	if (sigaction(sig, &a, NULL))
		perror("sigaction");
}

static void actions(void)
{
	struct sigaction a, old;

	memset(&a, 0, sizeof(a));
	a.sa_handler = plain;
	a.sa_flags = SA_RESTART | SA_NODEFER;
	sigaddset(&a.sa_mask, SIGUSR2);
	sigaddset(&a.sa_mask, SIGSYS);
	sigaction(SIGUSR1, &a, &old);
	check(old.sa_handler == SIG_DFL && old.sa_flags == 0, "at first it is default");
	sigaction(SIGUSR1, NULL, &old);
	check(old.sa_handler == plain, "the handler reads back");
	printf("flags %x, USR2 %d, SYS %d, TERM %d\n", old.sa_flags & ~0x04000000,
	       sigismember(&old.sa_mask, SIGUSR2), sigismember(&old.sa_mask, SIGSYS),
	       sigismember(&old.sa_mask, SIGTERM));
	handle_info(SIGUSR1, with_info, SA_RESETHAND);
	sigaction(SIGUSR1, NULL, &old);
	check(old.sa_sigaction == with_info && old.sa_flags & SA_SIGINFO,
	      "and the other");
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &old);
	check(seen == SIGUSR1 && old.sa_handler == SIG_DFL, "once, with SA_RESETHAND");
	handle(SIGUSR1, SIG_IGN, 0);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &old);
	check(seen == SIGUSR1 && old.sa_handler == SIG_IGN, "ignored");
	check(sigaction(SIGKILL, &a, NULL) == -1 && errno == EINVAL, "not SIGKILL");
	handle_info(SIGSYS, with_info, 0);
	seen = 0;
	kill(getpid(), SIGSYS);
	check(seen == SIGSYS && info.si_code == SI_USER, "a SIGSYS that was sent");
	sigaction(SIGSYS, NULL, &old);
	check(old.sa_sigaction == with_info, "its handler reads back");
	handle(SIGSYS, SIG_IGN, 0);
	raise(SIGSYS);
	check(seen == SIGSYS, "ignored");
	check(int80(SYS_sigaction, SIGUSR1, 0x10, 0) == -EFAULT, "a bad pointer");
	check(int80(SYS_rt_sigaction, SIGUSR1, 0x10, 0) == -EINVAL, "a bad size");
	check(int80(SYS_signal, SIGUSR2, (long) plain, 0) == 0, "the old signal()");
	seen = 0;
	raise(SIGUSR2);
	check(seen == SIGUSR2, "works as well");
	check(int80(SYS_signal, SIGUSR2, (long) SIG_DFL, 0) == 0, "and only once");
}

static void masks(void)
{
	sigset_t set, old;
	struct timespec no_time = { 0, 0 }, some = { 60, 0 };
	union sigval v = { .sival_int = 4711 };
	struct signalfd_siginfo got;
	int fd, epoll = epoll_create1(0);
	struct epoll_event event;

	handle_info(SIGUSR1, with_info, 0);
	handle(SIGUSR2, plain, 0);
	sigfillset(&set);
	check(sigprocmask(SIG_SETMASK, &set, &old) == 0 && !sigismember(&old, SIGUSR1),
	      "all are blocked");
	sigprocmask(SIG_BLOCK, NULL, &old);
	printf("SYS %d, USR1 %d, KILL %d, RTMAX %d\n", sigismember(&old, SIGSYS),
	       sigismember(&old, SIGUSR1), sigismember(&old, SIGKILL),
	       sigismember(&old, SIGRTMAX));
	seen = 0;
	raise(SIGUSR2);
	sigqueue(getpid(), SIGUSR1, v);
	check(seen == 0, "nothing comes");
	sigpending(&old);
	check(sigismember(&old, SIGUSR1) && sigismember(&old, SIGUSR2), "both wait");
	sigfillset(&set);
	sigdelset(&set, SIGUSR1);
	check(sigsuspend(&set) == -1 && errno == EINTR, "sigsuspend");
	printf("seen %d, value %d, code %d\n", seen, value, info.si_code);
	check(info.si_pid == getpid() && info.si_uid == getuid(), "from us");
	seen = 0;
	sigfillset(&set);
	sigdelset(&set, SIGUSR2);
	check(ppoll(NULL, 0, &some, &set) == -1 && errno == EINTR && seen == SIGUSR2,
	      "ppoll with a mask");
	raise(SIGUSR2);
	seen = 0;
	check(pselect(0, NULL, NULL, NULL, &some, &set) == -1 && errno == EINTR &&
		      seen == SIGUSR2,
	      "pselect with a mask");
	raise(SIGUSR2);
	seen = 0;
	check(epoll_pwait(epoll, &event, 1, 60000, &set) == -1 && errno == EINTR &&
		      seen == SIGUSR2,
	      "epoll_pwait with a mask");
	check(ppoll(NULL, 0, &no_time, &set) == 0, "ppoll in peace");
	raise(SIGUSR1);
	sigfillset(&set);
	check(sigtimedwait(&set, &info, &some) == SIGUSR1, "sigtimedwait");
	printf("code %d\n", info.si_code);
	fd = signalfd(-1, &set, 0);
	raise(SIGUSR1);
	check(read(fd, &got, sizeof(got)) == sizeof(got) && got.ssi_signo == SIGUSR1,
	      "signalfd");
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigprocmask(SIG_SETMASK, NULL, &old);
	printf("SYS %d, RTMIN+3 %d, USR1 %d\n", sigismember(&old, SIGSYS),
	       sigismember(&old, SIGRTMIN + 3), sigismember(&old, SIGUSR1));
	check(int80(SYS_sigprocmask, 77, (long) &set, 0) == -EINVAL, "no such way");
	check(int80(SYS_sigprocmask, SIG_BLOCK, 0x10, 0) == -EFAULT, "a bad pointer");
	check(int80(SYS_rt_sigprocmask, 0, 0, 0) == -EINVAL, "a bad size");
}

static stack_t own_stack;
static int on_own_stack;

static void on_stack(int sig)
{
	char here;

	on_own_stack = &here >= (char *) own_stack.ss_sp &&
		       &here < (char *) own_stack.ss_sp + own_stack.ss_size;
	plain(sig);
	if (sig == SIGUSR1)
		raise(SIGUSR2);
}

static void disarmed(int sig)
{
	stack_t now;
	char here;

	(void) sig;
	on_own_stack = &here >= (char *) own_stack.ss_sp &&
		       &here < (char *) own_stack.ss_sp + own_stack.ss_size &&
		       sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE;
}

static sigjmp_buf jump;

static void jumping(int sig, siginfo_t *i, void *context)
{
	(void) context;
	info = *i;
	siglongjmp(jump, sig);
}

static void stacks(void)
{
	stack_t old;
	sigset_t mask;

	own_stack.ss_size = 65536;
	own_stack.ss_sp = malloc(own_stack.ss_size);
	check(sigaltstack(&own_stack, NULL) == 0, "sigaltstack");
	handle(SIGUSR1, on_stack, SA_ONSTACK);
	handle(SIGUSR2, on_stack, SA_ONSTACK);
	seen = 0;
	raise(SIGUSR1);
	check(on_own_stack && seen == 1012, "a handler in a handler, on that stack");
	handle(SIGUSR2, on_stack, 0);
	seen = 0;
	raise(SIGUSR2);
	check(!on_own_stack && seen == SIGUSR2, "and without SA_ONSTACK on the other");
	check(sigaltstack(NULL, &old) == 0 && old.ss_sp == own_stack.ss_sp &&
		      old.ss_flags == 0 && old.ss_size == own_stack.ss_size,
	      "it reads back");
	own_stack.ss_flags = (int) SS_AUTODISARM;
	check(sigaltstack(&own_stack, NULL) == 0, "one that is used once at a time");
	handle(SIGUSR1, disarmed, SA_ONSTACK);
	raise(SIGUSR1);
	check(on_own_stack, "is off in its handler");
	sigaltstack(NULL, &old);
	printf("and then its flags are %x\n", old.ss_flags);
	own_stack.ss_flags = 0;
	sigaltstack(&own_stack, NULL);
	handle_info(SIGSEGV, jumping, SA_ONSTACK);
	for (int i = 0; i < 3; i++)
		if (sigsetjmp(jump, 1) == 0)
			*(volatile int *) (0x1000 + i) = 1;
		else
			printf("fault %d, code %d, at %lx\n", info.si_signo,
			       info.si_code, (long) info.si_addr);
	handle_info(SIGFPE, jumping, 0);
	if (sigsetjmp(jump, 1) == 0)
		__asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
	else
		printf("fault %d, code %d\n", info.si_signo, info.si_code);
	handle_info(SIGILL, jumping, 0);
	if (sigsetjmp(jump, 1) == 0)
		__asm__ volatile("ud2");
	else
		printf("fault %d, code %d\n", info.si_signo, info.si_code);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	check(!sigismember(&mask, SIGSEGV), "the mask is back");
}

static volatile double product = 1;

static void calculating(int sig)
{
	double a = 1.5;

	for (int i = 0; i < 10; i++)
		a = a * 1.25 - 0.5;
	__asm__ volatile("fnclex");
	__asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm7, %%xmm7\n\tfninit"
			 :
			 :
			 : "xmm0", "xmm7");
	product = a;
	plain(sig);
}

/* x87 and SSE registers, rounding and flags are the interrupted program's again. */
static void numbers(void)
{
	uint32_t in[4] = { 1, 2, 3, 4 }, out[4];
	unsigned pid = (unsigned) getpid();
	unsigned short control, word = 0x0f7f;
	long double kept;
	int result, carry;

	handle(SIGUSR1, calculating, 0);
	seen = 0;
	__asm__ volatile("fldcw %5\n\t"
			 "fldpi\n\t"
			 "movdqu %4, %%xmm7\n\t"
			 "movl $37, %%eax\n\t" /* kill(pid, SIGUSR1) */
			 "movl $10, %%ecx\n\t"
			 "stc\n\t"
			 "int $0x80\n\t"
			 "sbbl %2, %2\n\t"
			 "movdqu %%xmm7, %1\n\t"
			 "fstpt %0\n\t"
			 : "=m"(kept), "=m"(out), "=&r"(carry), "=&a"(result)
			 : "m"(in), "m"(word), "b"(pid)
			 : "ecx", "xmm7", "memory", "cc");
	__asm__ volatile("fnstcw %0\n\tfninit" : "=m"(control));
	printf("kept %.15Lf, control %x, xmm %u %u, result %d, carry %d, seen %d\n",
	       kept, control, out[0], out[3], result, carry, seen);
}

/* Two that are let in at once: the second interrupts the first before it has begun. */
static void at_once(void)
{
	sigset_t set, old;

	handle(SIGUSR1, plain, 0);
	handle_info(SIGUSR2, with_info, 0);
	handle(SIGRTMIN, plain, 0);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	seen = 0;
	raise(SIGUSR1);
	raise(SIGUSR2);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("seen %d\n", seen);
	seen = 0;
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGRTMIN);
	raise(SIGUSR2);
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("seen %d\n", seen);
}

/* ---- under fire ---- */

static volatile unsigned shots;

static void shot(int sig, siginfo_t *i, void *context)
{
	(void) sig;
	(void) i;
	(void) context;
	shots++;
}

static void under_fire(void)
{
	struct itimerval often = { { 0, 50 }, { 0, 50 } },
			 never = { { 0, 0 }, { 0, 0 } };
	sigset_t set, old;
	unsigned wrong = 0, pid = (unsigned) getpid();
	struct sigaction a;
	int fds[2];
	char byte;

	handle_info(SIGALRM, shot, SA_RESTART);
	if (pipe(fds))
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; i < 20000 || shots <= 20; i++) {
		wrong += (unsigned) int80(SYS_getpid, 0, 0, 0) != pid;
		wrong += (unsigned) syscall(SYS_getpid) != pid;
		wrong += write(fds[1], "x", 1) != 1;
		wrong += read(fds[0], &byte, 1) != 1 || byte != 'x';
		wrong += sigprocmask(SIG_BLOCK, &set, &old) != 0;
		wrong += (unsigned) sigismember(&old, SIGUSR1);
		wrong += sigprocmask(SIG_SETMASK, &old, NULL) != 0;
		wrong += sigaction(SIGALRM, NULL, &a) != 0 || a.sa_sigaction != shot;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	sigprocmask(SIG_SETMASK, NULL, &old);
	check(wrong == 0 && !sigismember(&old, SIGALRM),
	      "160 000 calls under fire, none wrong");
}

/* Children by fork, vfork and posix_spawn that run a program at once, under fire. */
static void children_under_fire(void)
{
	struct itimerval often = { { 0, 300 }, { 0, 300 } },
			 never = { { 0, 0 }, { 0, 0 } };
	char *child[] = { program_invocation_name, "silent", NULL };
	sigset_t all, old;
	int wrong = 0, status;
	pid_t pid;

	handle_info(SIGALRM, shot, SA_RESTART);
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 60; i++) {
		pid = i % 2 ? fork() : vfork();
		if (pid == 0) {
			execv(child[0], child);
			_exit(1);
		}
		wrong += waitpid(pid, &status, 0) != pid || status != 0x500;
		wrong += posix_spawn(&pid, child[0], NULL, NULL, child, environ) != 0;
		wrong += waitpid(pid, &status, 0) != pid || status != 0x500;
		sigprocmask(SIG_BLOCK, &all, &old);
		wrong += sigismember(&old, SIGALRM) || sigismember(&old, SIGSYS);
		wrong += sigsuspend(&all) != -1 || errno != EINTR;
		sigprocmask(SIG_SETMASK, &old, NULL);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	check(wrong == 0, "120 children, none wrong");
}

/* ---- threads ---- */

static __thread int mine = 5;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int total;

static void *count(void *id)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		total++;
		pthread_mutex_unlock(&lock);
		mine += (int) (intptr_t) id;
		if (int80(SYS_getpid, 0, 0, 0) != getpid())
			mine = -1000000000;
	}
	return (void *) (intptr_t) mine;
}

static int cleaned;
static volatile pid_t waiting;

static void clean(void *arg)
{
	cleaned += (int) (intptr_t) arg;
}

static void *blocked(void *fd)
{
	char byte;

	pthread_cleanup_push(clean, (void *) 3);
	waiting = gettid();
	if (read((int) (intptr_t) fd, &byte, 1) != 1)
		puts("read");
	pthread_cleanup_pop(0);
	return NULL;
}

static void threads(void)
{
	pthread_t t[8];
	void *result;
	int fds[2];

	handle_info(SIGALRM, shot, SA_RESTART);
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, count, (void *) (intptr_t) i);
	for (int i = 0; i < 200; i++)
		pthread_kill(t[i % 8], SIGALRM);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &result);
		printf("thread %d: %d\n", i, (int) (intptr_t) result);
	}
	printf("total %d, mine %d\n", total, mine);
	if (pipe(fds))
		return;
	pthread_create(&t[0], NULL, blocked, (void *) (intptr_t) fds[0]);
	for (int n = 0; n == 0;) { /* until it waits in read */
		char path[64], state[256] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", waiting);
		f = fopen(path, "r");
		n = f && fgets(state, sizeof(state), f) &&
		    strstr(state, ") S ") != NULL;
		if (f)
			fclose(f);
	}
	pthread_cancel(t[0]);
	pthread_join(t[0], &result);
	check(result == PTHREAD_CANCELED && cleaned == 3, "cancelled in read");
}

/* ---- processes ---- */

static void *forking(void *arg)
{
	pid_t child = fork();
	int status;

	(void) arg;
	if (child == 0)
		_exit(int80(SYS_getpid, 0, 0, 0) == getpid() ? 9 : 8);
	waitpid(child, &status, 0);
	return (void *) (intptr_t) WEXITSTATUS(status);
}

static int run(char **argv, char **envp)
{
	pid_t child;
	int status;

	fflush(stdout);
	if (posix_spawn(&child, argv[0], NULL, NULL, argv, envp))
		return -1;
	waitpid(child, &status, 0);
	return status;
}

static void processes(const char *self)
{
	char *child[] = { (char *) self, "child", "one", "two", NULL };
	char *other[] = { "/bin/sh", "-c", "echo $0 from $WHERE; exit 4", "shell",
			  NULL };
	char *envp[] = { "WHERE=here", NULL };
	char *many[3000];
	char **kept = environ;
	pthread_t t;
	void *result;
	pid_t pid;
	int status;

	printf("status %x\n", run(child, environ));
	printf("status %x\n", run(other, envp));
	many[0] = "/bin/echo";
	for (int i = 1; i < 2999; i++)
		many[i] = i < 2998 ? "-n" : "many";
	many[2999] = NULL;
	printf("status %x\n", run(many, envp));
	errno = 0;
	check(execl("/nonexistent", "x", (char *) NULL) == -1 && errno == ENOENT,
	      "no such program");
	check(execl("/etc/passwd", "x", (char *) NULL) == -1 && errno == EACCES,
	      "not to be executed");
	check(int80(SYS_execve, 0x10, 0, 0) == -EFAULT, "a bad path");
	check(int80(SYS_execve, (long) "/bin/true", 0x10, 0) == -EFAULT, "bad words");
	fflush(stdout);
	pid = vfork();
	if (pid == 0) {
		execv("/nonexistent", child);
		_exit(errno == ENOENT ? 11 : 12);
	}
	waitpid(pid, &status, 0);
	printf("vfork %x\n", status);
	pthread_create(&t, NULL, forking, NULL);
	pthread_join(t, &result);
	printf("fork in a thread %d\n", (int) (intptr_t) result);
	environ = kept;
	for (int i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0)
			raise(i ? SIGSYS : SIGTERM);
		waitpid(pid, &status, 0);
		printf("killed %x\n", status & 0x7f);
	}
	fflush(stdout);
	execl("/proc/self/exe", self, "child", "last", (char *) NULL);
}

static void child(char **argv)
{
	printf("child");
	for (; *argv; argv++)
		printf(" %s", *argv);
	printf(", %s\n", getenv("HOME") ? "with environment" : "without");
}

/* ---- */

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "memory", memory },
	{ "told", told },
	{ "actions", actions },
	{ "masks", masks },
	{ "stacks", stacks },
	{ "numbers", numbers },
	{ "children_under_fire", children_under_fire },
	{ "at_once", at_once },
	{ "threads", threads },
	{ "under_fire", under_fire },
};

int main(int argc, char **argv)
{
	static char buffer[BUFSIZ]; /* so that stdio takes nothing from the heap */
	const char *name = argc > 1 ? argv[1] : "";

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));

	if (strcmp(name, "child") == 0) {
		child(argv + 2);
		return 3;
	}
	if (strcmp(name, "silent") == 0)
		return 5;
	if (strcmp(name, "processes") == 0)
		processes(argv[0]);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc == 1)
			puts(cases[i].name);
		if (strcmp(name, cases[i].name) != 0)
			continue;
		cases[i].run();
		return 0;
	}
	if (argc == 1)
		puts("processes");
	return argc == 1 ? 0 : 1;
}
