/* SPDX-License-Identifier: MIT */
/*
 * Probes of engine trap: what it does to a program, done once to a child.  HOST.
 */
#include "cli/probe.h"

#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define PROBE_NUMBER 20999 /* private, no operation has it */
#define PROBE_ANSWER 4242
#define PROBE_PAGE   4096UL
#define ROUNDS       20
#define CALLS        50 /* in a round */

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code; the headers of Debian 12 keep it to the kernel */
#endif
#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif

/* ---- a child and what it tells ---- */

enum { TOLD_BEGUN, TOLD_FAILED, TOLD_DONE };
struct told {
	int stage; /* TOLD_* */
	int error; /* TOLD_FAILED: errno */
	const char *
		what; /* what failed; the child is a copy, so this holds for its parent */
	uint64_t ns;
};

static struct told *shared; /* with the child that runs now */

__attribute__((noreturn)) static void failed(const char *what)
{
	shared->error = errno;
	shared->what = what;
	shared->stage = TOLD_FAILED;
	_exit(0);
}

/* Runs it in a child of its own; true when that came to its end.  `why` says how far. */
static bool in_child(void (*run)(void), struct told *out, char *why)
{
	pid_t pid;
	int status = 0;

	why[0] = 0;
	memset(out, 0, sizeof(*out));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		(void) snprintf(why, CO_WHY_SIZE, "the probe could not run: %s",
				strerror(errno));
		return false;
	}
	pid = fork();
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void) prctl(PR_SET_DUMPABLE, 0); /* no core of a probe */
		run();
		shared->stage = TOLD_DONE;
		_exit(0);
	}
	if (pid > 0)
		(void) waitpid(pid, &status,
			       0); /* fails only where there is no child */
	*out = *shared;
	(void) munmap(shared, sizeof(*shared));
	if (pid < 0)
		(void) snprintf(why, CO_WHY_SIZE, "the probe could not run: %s",
				strerror(errno));
	else if (out->stage == TOLD_FAILED)
		(void) snprintf(why, CO_WHY_SIZE, "%s: %s", out->what,
				strerror(out->error));
	else if (WIFSIGNALED(status))
		(void) snprintf(why, CO_WHY_SIZE,
				"the probe was ended by signal %d (%s)",
				WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (out->stage != TOLD_DONE)
		(void) snprintf(why, CO_WHY_SIZE,
				"the probe ended with status %d and did not say why",
				WEXITSTATUS(status));
	return out->stage == TOLD_DONE;
}

/* ---- system calls from a page of our own ---- */

/* mov %edi,%eax; syscall; ret */
static const unsigned char call_code[] = { 0x89, 0xf8, 0x0f, 0x05, 0xc3 };

typedef long call_function(long number);

static void *code_page(uint64_t address, const void *code, size_t n)
{
	int place = address ? MAP_FIXED_NOREPLACE : 0;
	void *page = mmap((void *) address, PROBE_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | place, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (address && page != (void *) address) { /* before Linux 4.17 only a wish */
		errno = EEXIST;
		return NULL;
	}
	memcpy(page, code, n);
	return mprotect(page, PROBE_PAGE, PROT_READ | PROT_EXEC) == 0 ? page : NULL;
}

static volatile char dispatch = 0; /* SYSCALL_DISPATCH_FILTER_ALLOW */
static volatile int trapped_code;  /* si_code of the last one */

/* As in the engine: the number is in the saved registers, and so is the answer. */
static void on_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void) signal;
	dispatch = 0;
	trapped_code = info->si_code;
	if (info->si_code == SYS_SECCOMP && info->si_errno != CO_TRAP_DATA)
		return; /* another's filter */
	if (uc->uc_mcontext.gregs[REG_RAX] == PROBE_NUMBER ||
	    info->si_syscall == PROBE_NUMBER)
		uc->uc_mcontext.gregs[REG_RAX] = PROBE_ANSWER;
}

static void catch (void)
{
	struct sigaction action = { .sa_sigaction = on_trap,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	sigset_t set;

	(void) sigemptyset(&set);
	(void) sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL) < 0 ||
	    sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		failed("a handler of SIGSYS is refused");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
	return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}

/* The best of some rounds: others run on this machine, too. */
static uint64_t cost(call_function *call, bool dispatched)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t begin = now_ns(), took;

		for (int i = 0; i < CALLS; i++) {
			dispatch = dispatched;
			if (call(PROBE_NUMBER) != PROBE_ANSWER)
				failed("an answer did not arrive");
		}
		took = (now_ns() - begin) / CALLS;
		if (took < best)
			best = took;
	}
	return best;
}

/* ---- the filter ---- */

/* Traps the probe's number unless its instruction is in a pool. */
static int install(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROBE_NUMBER, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, CO_TRAP_HIGH_MASK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CO_TRAP_HIGH_VALUE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | CO_TRAP_DATA),
	};
	struct sock_fprog program = { .len = co_countof(code), .filter = code };

	return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
}

static void run_filter(void)
{
	call_function *outside, *inside;

	*(void **) &outside = code_page(0, call_code, sizeof(call_code));
	if (!outside)
		failed("a page of code is refused");
	*(void **) &inside = code_page(CO_TRAP_BASE, call_code, sizeof(call_code));
	catch ();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		failed("no_new_privs is refused");
	if (install() < 0)
		failed("a filter is refused");
	if (outside(PROBE_NUMBER) != PROBE_ANSWER)
		failed(trapped_code ? "a trap is somebody else's"
				    : "a call was not trapped");
	if (inside && inside(PROBE_NUMBER) == PROBE_ANSWER)
		failed("a call from a pool was trapped, too");
	shared->ns = cost(outside, false);
}

/* ---- dispatch ---- */

static void run_dispatch(void)
{
	call_function *outside, *inside;

	*(void **) &outside = code_page(0, call_code, sizeof(call_code));
	*(void **) &inside = code_page(0, call_code, sizeof(call_code));
	if (!outside || !inside)
		failed("a page of code is refused");
	catch ();
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, (long) inside,
		  PROBE_PAGE, &dispatch) < 0)
		failed("it is refused");
	dispatch = 1;
	if (outside(PROBE_NUMBER) != PROBE_ANSWER) {
		dispatch = 0;
		failed("a call was not trapped");
	}
	shared->ns = cost(outside, true);
}

/* ---- 32-bit code ---- */

/*
 * A function in the lowest 4 GiB: its caller's stack pointer is kept in the page behind,
 * because what 32-bit code leaves of the upper halves of registers is not defined.  At 0x18
 * is 32-bit code that puts `work` into eax.
 */
static size_t low_code(unsigned char *out, uint32_t page, bool call)
{
	uint32_t stack = page + 2 * (uint32_t) PROBE_PAGE, data = (uint32_t) PROBE_PAGE;
	unsigned char code[64] = {
		0x48, 0x89, 0x25, 0, 0, 0,    0, /* 00 mov %rsp,data(%rip) */
		0xbc, 0,    0,    0, 0,          /* 07 mov $stack,%esp */
		0x6a, 0x23,                      /* 0c push $0x23 */
		0x68, 0,    0,    0, 0,          /* 0e push $0x18 */
		0x48, 0xcb,                      /* 13 lretq */
		0x90, 0x90, 0x90,                /* 15 */
		0xb8, 0x92, 0x10, 0, 0,          /* 18 mov $4242,%eax */
		0x90, 0x90,                      /* 1d */
		0xea, 0,    0,    0, 0, 0x33, 0, /* 1f ljmp $0x33,$0x26 */
		0x48, 0x8b, 0x25, 0, 0, 0,    0, /* 26 mov data(%rip),%rsp */
		0xc3                             /* 2d ret */
	};
	static const unsigned char getpid_call[] = { 0xb8, 20, 0, 0, 0, 0xcd, 0x80 };
	uint32_t value;

#define PUT(at, number) (value = (number), memcpy(code + (at), &value, 4))
	PUT(0x03, data - 0x07);
	PUT(0x08, stack);
	PUT(0x0f, page + 0x18);
	PUT(0x20, page + 0x26);
	PUT(0x29, data - 0x2d);
#undef PUT
	if (call)
		memcpy(code + 0x18, getpid_call, sizeof(getpid_call));
	memcpy(out, code, sizeof(code));
	return sizeof(code);
}

static int in_low_page(bool call)
{
	unsigned char code[64];
	/* code, then data with the stack at its end */
	unsigned char *page = mmap(NULL, 2 * PROBE_PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int (*run)(void);

	if (page == MAP_FAILED)
		failed("memory below 4 GiB is refused");
	memcpy(page, code, low_code(code, (uint32_t) (uintptr_t) page, call));
	if (mprotect(page, PROBE_PAGE, PROT_READ | PROT_EXEC) < 0)
		failed("a page of code is refused");
	*(void **) &run = page;
	return run();
}

static void run_code32(void)
{
	errno = ENOEXEC;
	if (in_low_page(false) != PROBE_ANSWER)
		failed("its result did not arrive");
}

static void run_int80(void)
{
	errno = ENOSYS;
	if (in_low_page(true) != getpid())
		failed("int 0x80 is refused");
}

/* ---- PR_SET_MM_MAP ---- */

static void run_mm_map(void)
{
	autofclose FILE *f = fopen("/proc/self/stat", "re");
	char line[2048];
	const char *at;
	uint64_t v[52] = { 0 };
	struct prctl_mm_map map = { .exe_fd = (uint32_t) -1 };

	/* behind the name, which may hold anything but ends with the last bracket */
	if (!f || !fgets(line, sizeof(line), f) || !(at = strrchr(line, ')')))
		failed("/proc/self/stat cannot be read");
	at += 4; /* ") S " */
	for (int field = 4; field < 52 && at; field++) {
		v[field] = strtoull(at, NULL, 10);
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	map.start_code = v[26];
	map.end_code = v[27];
	map.start_stack = v[28];
	map.start_data = v[45];
	map.end_data = v[46];
	map.start_brk = v[47];
	map.brk = (uint64_t) (uintptr_t) sbrk(0);
	map.arg_start = v[48];
	map.arg_end = v[49];
	map.env_start = v[50];
	map.env_end = v[51];
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0)
		failed("it is refused");
}

/* ---- addresses ---- */

static void run_addresses(void)
{
	static const uint64_t wanted[] = {
		CO_TRAP_BASE,
		CO_TRAP_POOL(CO_TRAP_WINDOWS - 1) + CO_TRAP_POOL_SIZE - PROBE_PAGE,
	};

	for (size_t i = 0; i < co_countof(wanted); i++)
		if (!code_page(wanted[i], call_code, sizeof(call_code)))
			failed("memory there is refused");
}

/* ---- all ---- */

void co_probe_trap_quick(struct co_probe_trap *out)
{
	struct told told;

	memset(out, 0, sizeof(*out));
	out->filter = in_child(run_filter, &told, out->filter_why);
	out->filter_ns = told.ns;
	out->addresses = in_child(run_addresses, &told, out->addresses_why);
	if (!out->filter)
		out->dispatch = in_child(run_dispatch, &told, out->dispatch_why);
}

void co_probe_trap(struct co_probe_trap *out)
{
	struct told told;

	co_probe_trap_quick(out);
	out->dispatch = in_child(run_dispatch, &told, out->dispatch_why);
	out->dispatch_ns = told.ns;
	out->code32 = in_child(run_code32, &told, out->code32_why);
	out->int80 = out->code32 && in_child(run_int80, &told, out->code32_why);
	out->mm_map = in_child(run_mm_map, &told, out->mm_map_why);
}
