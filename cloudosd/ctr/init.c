/* SPDX-License-Identifier: MIT */
/*
 * Our pid 1: reaps, forwards signals, ends as its program does.  HOST.
 *
 * It does not need libc, whose beginning takes 0.2 ms and 30 pages of each container (CPUID
 * and page faults, dear in a virtual machine).  So cloudos-ctr begins at ctr_init_entry,
 * which is init or goes on to libc's own beginning.  What init calls may use nothing of
 * libc, and no stack protector, whose value lies where libc has not been yet.
 */
#include "cloudosd/ctr/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BARE __attribute__((no_stack_protector))

static int own_file = -1;

void ctr_init_offer(int exe)
{
	own_file = exe;
}

int ctr_init_fd(void)
{
	return own_file;
}

/* ---- init itself ---- */

BARE static inline long kernel(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

BARE static _Noreturn void end(int status)
{
	for (;;)
		(void) kernel(SYS_exit_group, status, 0, 0, 0);
}

/* Takes in all that died; the status of `child`, or -1 while it lives. */
BARE static int reap(pid_t child)
{
	int status, found = -1;
	long pid;

	while ((pid = kernel(SYS_wait4, -1, (long) &status, WNOHANG, 0)) > 0)
		if (pid == child)
			found = status;
	return found;
}

BARE static bool is_forwarded(long signal)
{
	switch (signal) {
	case SIGCHLD:
	case SIGTTIN:
	case SIGTTOU:
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS:
		return false;
	default:
		return true;
	}
}

BARE static _Noreturn void attend(pid_t child)
{
	const uint64_t all = UINT64_MAX; /* signals, as the kernel has them */

	(void) kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long) &all, 0, sizeof(all));
	for (;;) {
		int status = reap(child);
		long signal;

		if (status >= 0)
			end(WIFEXITED(status) ? WEXITSTATUS(status)
					      : 128 + WTERMSIG(status));
		signal = kernel(SYS_rt_sigtimedwait, (long) &all, 0, 0, sizeof(all));
		if (signal > 0 && is_forwarded(signal))
			(void) kernel(SYS_kill, child, signal, 0,
				      0); /* dead: seen by reap */
	}
}

BARE static void harden(bool die_with_parent)
{
	static const char name[] = CTR_INIT_NAME;

	(void) kernel(SYS_prctl, PR_SET_NAME, (long) name, 0, 0);
	(void) kernel(SYS_prctl, PR_SET_DUMPABLE, 0, 0,
		      0); /* nobody inside may trace it */
	/* where it is not pid 1 */
	(void) kernel(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
	if (die_with_parent)
		(void) kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
}

BARE static void tell_ready(int ready)
{
	if (kernel(SYS_write, ready, (long) "", 1, 0) < 0)
		end(126); /* the program is gone before it began */
	(void) kernel(SYS_close, ready, 0, 0, 0);
}

/* A number of argv; 0: it is none. */
BARE static int number(const char *text)
{
	long n = 0;

	for (; text && *text >= '0' && *text <= '9' && n <= INT32_MAX; text++)
		n = n * 10 + (*text - '0');
	return text && !*text && n <= INT32_MAX ? (int) n : 0;
}

/* Returns when these are not its arguments. */
BARE static void be_init(long argc, char *const argv[])
{
	int child = argc > 2 ? number(argv[1]) : 0;
	int ready = argc > 2 ? number(argv[2]) : 0;

	if (child <= 1 || ready < 3)
		return;
	harden(argc > 3);
	tell_ready(ready);
	attend(child);
}

/* ---- how it begins ---- */

#if !defined(__SANITIZE_ADDRESS__) && defined(__x86_64__)
void ctr_init_first(const long *stack);

/* The stack as the kernel makes it: argc, argv.  Returns: it is not for us. */
BARE void ctr_init_first(const long *stack)
{
	static const char name[] = CTR_INIT_NAME;
	char *const *argv = (char *const *) (const void *) (stack + 1);

	for (size_t i = 0; stack[0] > 0 && argv[0][i] == name[i]; i++)
		if (!name[i])
			be_init(stack[0], argv);
}

__asm__(".pushsection .text\n"
	".globl ctr_init_entry\n"
	".type ctr_init_entry, @function\n"
	"ctr_init_entry:\n"
	"	endbr64\n"
	"	xorl %ebp, %ebp\n"
	"	movq %rdx, %r12\n" /* for _start */
	"	movq %rsp, %rbx\n"
	"	movq %rsp, %rdi\n"
	"	andq $-16, %rsp\n"
	"	call ctr_init_first\n"
	"	movq %rbx, %rsp\n"
	"	movq %r12, %rdx\n"
	"	jmp _start\n"
	".size ctr_init_entry, . - ctr_init_entry\n"
	".popsection\n");
#endif

_Noreturn void ctr_init_become(pid_t child, int ready, bool die_with_parent)
{
	static char name[] = CTR_INIT_NAME;
	static char pid[16], number[16], flag[] = "die-with-parent";
	char *argv[] = { name, pid, number, die_with_parent ? flag : NULL, NULL };
	char *env[] = { NULL };

	(void) snprintf(pid, sizeof(pid), "%d", child);
	(void) snprintf(number, sizeof(number), "%d", ready);
	(void) syscall(SYS_chdir,
		       "/"); /* a folder may be unmounted while we sit here */
	if (own_file >= 0) {
		(void) syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
		(void) fcntl(ready, F_SETFD, 0); /* an open descriptor */
		(void) syscall(SYS_execveat, own_file, "", argv, env, 0x1000);
	}
	harden(die_with_parent);
	tell_ready(ready);
	(void) syscall(SYS_close_range, 3U, ~0U, 0U);
	attend(child);
}

int ctr_init_main(int argc, char *argv[])
{
	be_init(argc, argv);
	(void) fprintf(stderr, "%s is for cloudos-ctr to start\n", CTR_INIT_NAME);
	return 2;
}
