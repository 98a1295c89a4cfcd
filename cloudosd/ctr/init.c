/* SPDX-License-Identifier: MIT */
/* Our pid 1: reaps, forwards signals, ends as its program does.  HOST. */
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

static int own_file = -1;

void ctr_init_offer(int exe)
{
	own_file = exe;
}

int ctr_init_fd(void)
{
	return own_file;
}

/* Takes in all that died; the status of `child`, or -1 while it lives. */
static int reap(pid_t child)
{
	int status, found = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			found = status;
	return found;
}

static bool is_forwarded(int signal)
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

static _Noreturn void attend(pid_t child)
{
	sigset_t all;

	(void) sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;) {
		siginfo_t info;
		int status = reap(child);

		if (status >= 0)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status)
						: 128 + WTERMSIG(status));
		if (sigwaitinfo(&all, &info) > 0 && is_forwarded(info.si_signo))
			(void) kill(child, info.si_signo); /* dead: seen by reap */
	}
}

static void harden(bool die_with_parent)
{
	(void) prctl(PR_SET_NAME, CTR_INIT_NAME, 0, 0, 0);
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* nobody inside may trace it */
	(void) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* where it is not pid 1 */
	if (die_with_parent)
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static void tell_ready(int ready)
{
	if (write(ready, "", 1) < 0)
		_exit(126); /* the program is gone before it began */
	(void) close(ready);
}

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
	long child = argc > 1 ? strtol(argv[1], NULL, 10) : 0;

	long ready = argc > 2 ? strtol(argv[2], NULL, 10) : 0;

	if (child <= 1 || child > INT32_MAX || ready < 3 || ready > INT32_MAX) {
		(void) fprintf(stderr, "%s is for cloudos-ctr to start\n",
			       CTR_INIT_NAME);
		return 2;
	}
	harden(argc > 3);
	tell_ready((int) ready);
	attend((pid_t) child);
}
