/* SPDX-License-Identifier: MIT */
/*
 * HOST.  Calls under fire: signals arrive between any two instructions, and every result,
 * every register and every signal is checked.  Prints a line per part; a wrong result is
 * printed and ends the program.  Usage: signals_storm CALLS
 */
#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/trap/registers.h"

#define BIT(number) (1UL << ((number) -1))

enum { THREADS = 8, SITES = 1500, PERIOD = 50 /* microseconds: 20 kHz */ };

static long calls;

static void done(const char *what)
{
	printf("%s\n", what);
	fflush(stdout);
}

static void handle(int number, void (*f)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = f, .sa_flags = flags | SA_SIGINFO };

	if (sigaction(number, &sa, NULL))
		wrong("sigaction: %m");
}

static void timer(int usec)
{
	struct itimerval to = { { 0, usec }, { 0, usec } };

	setitimer(ITIMER_REAL, &to, NULL);
}

/* ---- registers ---- */

static void check_registers(struct registers in, uint64_t result)
{
	struct registers out;

	registers_fill(&in);
	memset(&out, 0, sizeof(out));
	call_with(&in, &out);
	if (out.rax != result)
		wrong("call %ld gives %lx, not %lx", (long) in.rax, out.rax, result);
	registers_compare("a call", &in, &out);
}

static void registers_survive(void)
{
	static uint64_t mask, set;
	uint64_t old = (uint64_t) &mask, ours = (uint64_t) &set;
	uint64_t pid = (uint64_t) getpid();

	/* goes through; looked at and goes through; answered; on with another register */
	check_registers((struct registers){ .rax = SYS_getpid,
					    .rdi = registers_random(),
					    .rsi = registers_random(),
					    .rdx = registers_random(),
					    .r10 = registers_random(),
					    .r8 = registers_random(),
					    .r9 = registers_random() },
			pid);
	check_registers((struct registers){ .rax = SYS_rt_sigprocmask,
					    .rdi = registers_random(),
					    .rdx = old,
					    .r10 = 8,
					    .r8 = registers_random(),
					    .r9 = registers_random() },
			0);
	check_registers((struct registers){ .rax = SYS_rt_sigaction,
					    .rdi = SIGUSR2,
					    .r10 = 8,
					    .r8 = registers_random(),
					    .r9 = registers_random() },
			0);
	set = BIT(SIGSYS) | BIT(SIGUSR2);
	check_registers((struct registers){ .rax = SYS_rt_sigprocmask,
					    .rdi = SIG_BLOCK,
					    .rsi = ours,
					    .rdx = old,
					    .r10 = 8,
					    .r8 = registers_random(),
					    .r9 = registers_random() },
			0);
	if (mask != 0)
		wrong("mask before: %lx", mask);
	check_registers((struct registers){ .rax = SYS_rt_sigprocmask,
					    .rdi = SIG_UNBLOCK,
					    .rsi = ours,
					    .rdx = old,
					    .r10 = 8,
					    .r8 = registers_random(),
					    .r9 = registers_random() },
			0);
	if (mask != set)
		wrong("mask between: %lx", mask);
}

/* ---- results ---- */

static int pipe_ends[2], null;

static void results_are_right(void)
{
	struct sigaction act, old;
	sigset_t full, was, now;
	char byte = 'x';
	int fd;

	if (getppid() <= 0 || lseek(null, 0, SEEK_CUR) != 0)
		wrong("lseek: %m");
	fd = open("/dev/null", O_RDONLY);
	if (fd != null + 1)
		wrong("open gives %d: %m", fd);
	if (close(fd) || open("/none/such", O_RDONLY) != -1 || errno != ENOENT)
		wrong("open: %m");
	if (write(pipe_ends[1], &byte, 1) != 1 || read(pipe_ends[0], &byte, 1) != 1)
		wrong("pipe: %m");
	sigfillset(&full);
	if (sigprocmask(SIG_SETMASK, &full, &was) || sigprocmask(0, NULL, &now) ||
	    !sigismember(&now, SIGSYS) || !sigismember(&now, SIGALRM) ||
	    sigismember(&was, SIGSYS) || sigprocmask(SIG_SETMASK, &was, &now) ||
	    !sigismember(&now, SIGSYS) || sigprocmask(0, NULL, &now) ||
	    sigismember(&now, SIGSYS) || sigismember(&now, SIGALRM))
		wrong("masks: %lx %lx", now.__val[0], was.__val[0]);
	memset(&act, 0, sizeof(act));
	act.sa_handler = SIG_IGN;
	sigaddset(&act.sa_mask, SIGSYS);
	if (sigaction(SIGUSR2, &act, NULL) || sigaction(SIGUSR2, NULL, &old) ||
	    old.sa_handler != SIG_IGN || !sigismember(&old.sa_mask, SIGSYS))
		wrong("sigaction");
}

/* ---- a timer ---- */

static volatile unsigned fired;

/* A handler interrupts the program's own code, never what is in cloudos's pools. */
static void look(int number, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	uint64_t rip = (uint64_t) uc->uc_mcontext.gregs[REG_RIP];

	(void) info;
	if ((rip >> 32 & CO_TRAP_HIGH_MASK) == CO_TRAP_HIGH_VALUE)
		wrong("signal %d: the handler sees the address %lx", number, rip);
	fired++;
}

static void under_a_timer(void (*part)(void), const char *what, long n)
{
	handle(SIGALRM, look, SA_RESTART);
	fired = 0;
	timer(PERIOD);
	for (long i = 0; i < n || fired < 100; i++)
		part();
	timer(0);
	done(what);
}

/* ---- another process ---- */

enum { VALUES = 5000, AHEAD = 50 };
static volatile int *next; /* of three signals; the sender sees them, too */
static char stack[65536] __attribute__((aligned(16)));

static void in_order(int number, siginfo_t *info, void *context)
{
	int i = number - SIGRTMIN; /* the second's handler is on the alternate stack */

	look(number, info, context);
	if (i == 1 && (&i < (int *) stack || &i >= (int *) (stack + sizeof(stack))))
		wrong("signal %d is handled on the wrong stack", number);
	if (info->si_code != SI_QUEUE || info->si_value.sival_int != next[i])
		wrong("signal %d brings %d with code %d, expected was %d", number,
		      info->si_value.sival_int, info->si_code, next[i]);
	next[i]++;
}

/* To the process, or to its first thread, which is another queue. */
static int send_value(pid_t to, int number, int value, bool to_thread)
{
	siginfo_t info = { .si_signo = number, .si_code = SI_QUEUE };

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = value;
	return (int) (to_thread ? syscall(SYS_rt_tgsigqueueinfo, to, to, number, &info)
				: syscall(SYS_rt_sigqueueinfo, to, number, &info));
}

/*
 * Each value of each of three signals comes once, in order, whatever it interrupts.  Never
 * many at once: the places in queues are all that this user has, and others need some.
 */
static _Noreturn void sender(pid_t to)
{
	for (int value = 0; value < VALUES; value++)
		for (int i = 0; i < 3; i++) {
			while (value - next[i] > AHEAD && getppid() == to)
				sched_yield();
			while (send_value(to, SIGRTMIN + i, value, i == 2))
				if (errno != EAGAIN)
					_exit(1);
		}
	_exit(0);
}

static void some_calls(void)
{
	registers_survive();
	if (getppid() <= 0 || lseek(null, 0, SEEK_CUR) != 0)
		wrong("lseek: %m");
}

static void from_another_process(void)
{
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	pid_t to = getpid(), child;
	int status;

	next = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	if (sigaltstack(&alternate, NULL) || next == MAP_FAILED)
		wrong("sigaltstack: %m");
	for (int i = 0; i < 3; i++)
		handle(SIGRTMIN + i, in_order, i == 1 ? SA_ONSTACK : SA_RESTART);
	child = fork();
	if (child == 0)
		sender(to);
	while (next[0] < VALUES || next[1] < VALUES || next[2] < VALUES)
		some_calls();
	while (waitpid(child, &status, 0) == -1)
		;
	if (status)
		wrong("the sender ended with %x", status);
	done("each signal of another process came once, in order, with its value");
}

/* ---- handlers that are used once ---- */

static volatile int *used;

static void used_once(int number, siginfo_t *info, void *context)
{
	look(number, info, context);
	handle(number, used_once, SA_RESTART | (int) SA_RESETHAND);
	++*used; /* the next may come */
}

/* The second signal to find no handler would kill us. */
static void handlers_used_once(void)
{
	pid_t to = getpid(), child;
	int status;

	used = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	handle(SIGUSR1, used_once, SA_RESTART | (int) SA_RESETHAND);
	child = fork();
	if (child == 0) {
		for (int sent = 0; sent < VALUES; sent++) {
			kill(to, SIGUSR1);
			while (*used == sent && getppid() == to)
				sched_yield();
		}
		_exit(0);
	}
	while (*used < VALUES)
		some_calls();
	while (waitpid(child, &status, 0) == -1)
		;
	done("handlers that are used once");
}

/* ---- jumps ---- */

static sigjmp_buf jump;
static volatile bool armed;

static void leaps(int number, siginfo_t *info, void *context)
{
	look(number, info, context);
	if (armed)
		siglongjmp(jump, 1);
}

static void jumps_out_of_calls(void)
{
	volatile unsigned jumped = 0;
	sigset_t full, now;

	handle(SIGALRM, leaps, 0);
	timer(PERIOD * 4);
	sigfillset(&full);
	sigdelset(&full, SIGALRM);
	while (jumped < 3000) {
		if (sigsetjmp(jump, 1)) {
			jumped++;
			continue;
		}
		armed = true;
		for (int i = 0; i < 20; i++) {
			struct timespec t = { .tv_nsec = 100000 };

			(void) getppid();
			(void) open("/none/such", O_RDONLY);
			(void) sigprocmask(SIG_BLOCK, NULL, &now);
			(void) pselect(0, NULL, NULL, NULL, &t, &full);
			(void) sigsuspend(&full);
		}
		armed = false;
	}
	armed = false;
	timer(0);
	sigprocmask(SIG_SETMASK, NULL, &now);
	for (int n = 1; n < 32; n++)
		if (sigismember(&now, n))
			wrong("signal %d is left blocked", n);
	done("jumps out of handlers, in the middle of calls");
}

/* ---- threads, while code is being patched ---- */

long site_0(void), site_after(void);
__asm__(".text\n"
	".globl site_0\n"
	"site_0:\n"
	"	.rept 1500\n"
	"	movl $39, %eax\n" /* getpid */
	"	syscall\n"
	"	ret\n"
	"	.endr\n"
	".globl site_after\n"
	"site_after:\n");

static pthread_t threads[THREADS];
static volatile int ready;

static void *all_sites(void *from)
{
	long pid = getpid(), size = ((char *) site_after - (char *) site_0) / SITES;

	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (ready < THREADS)
		sched_yield();
	for (int round = 0; round < 8; round++)
		for (int i = 0; i < SITES; i++) {
			/* half of them upwards together, the others from elsewhere */
			long at = (i + ((long) from & 1) * (long) from * 97) % SITES;
			long (*site)(void) =
				(long (*)(void))((char *) site_0 + at * size);
			long got = site();

			if (got != pid)
				wrong("site %ld gives %ld", at, got);
			if (i % 64 == 0) {
				sigset_t set, old;

				sigfillset(&set);
				sigdelset(&set, SIGUSR1);
				if (pthread_sigmask(SIG_SETMASK, &set, &old) ||
				    sigismember(&old, SIGSYS) ||
				    pthread_sigmask(SIG_SETMASK, &old, &set) ||
				    !sigismember(&set, SIGSYS))
					wrong("masks of a thread");
			}
		}
	return NULL;
}

static void threads_while_patching(void)
{
	handle(SIGUSR1, look, SA_RESTART);
	handle(SIGALRM, look, SA_RESTART);
	timer(PERIOD);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, all_sites, (void *) i))
			wrong("pthread_create: %m");
	for (int i = 0; i < 20000; i++)
		if (ready == THREADS)
			(void) pthread_kill(threads[i % THREADS], SIGUSR1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	timer(0);
	done("eight threads at 1500 sites, under fire");
}

/* ---- bits that threads keep ---- */

static void *own_mask(void *n)
{
	sigset_t set, now;
	long own = (long) n;

	for (long i = 0; i < calls / 20; i++) {
		sigemptyset(&set);
		if ((i + own) % 2)
			sigaddset(&set, SIGSYS);
		if ((i + own) % 3)
			sigaddset(&set, SIGHUP);
		if (pthread_sigmask(SIG_SETMASK, &set, NULL) ||
		    pthread_sigmask(SIG_SETMASK, NULL, &now) ||
		    sigismember(&now, SIGSYS) != ((i + own) % 2 != 0) ||
		    sigismember(&now, SIGHUP) != ((i + own) % 3 != 0))
			wrong("the mask of thread %ld", own);
	}
	return NULL;
}

static void masks_of_threads(void)
{
	handle(SIGALRM, look, SA_RESTART);
	timer(PERIOD);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, own_mask, (void *) i))
			wrong("pthread_create: %m");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	timer(0);
	done("each thread reads back the mask it wrote");
}

int main(int argc, char **argv)
{
	calls = argc > 1 ? atol(argv[1]) : 10000;
	null = open("/dev/null", O_RDWR);
	if (null < 0 || pipe(pipe_ends))
		wrong("no files: %m");
	/* so that the lowest free descriptor is known */
	if (dup2(null, 50) != 50)
		wrong("dup2: %m");
	null = 50;
	for (int fd = 3; fd < 50; fd++)
		if (fd != pipe_ends[0] && fd != pipe_ends[1])
			(void) dup2(null, fd);
	under_a_timer(registers_survive, "registers, under a timer", calls);
	under_a_timer(results_are_right, "results, under a timer", calls);
	from_another_process();
	handlers_used_once();
	jumps_out_of_calls();
	threads_while_patching();
	masks_of_threads();
	return 0;
}
