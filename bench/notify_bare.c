/* SPDX-License-Identifier: MIT */
/*
 * bench-notify-bare: the smallest supervisor there can be, RECV and SEND in a loop, and a
 * child that makes the same private call in the same loop as bench-notify-call private.
 * What cloudos adds to a round trip is measured against this.  HOST; bench/run starts it.
 *
 * Like cloudosd it pins nothing and asks for synchronous wake-up where the kernel has it.
 */
#include "loop.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Linux 6.6; older headers lack them. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum {
	NR_FIRST = 20000,
	NR_LAST = 21999,
	NR_INTERFACE_VERSION = 21900,
	SYSCALL_INTERFACE = 1,
	CALLS = 2000,
	GOOD_BYE = 99 /* the argument of the last call */
};

static int fail(const char *what)
{
	fprintf(stderr, "bench-notify-bare: %s: %s\n", what, strerror(errno));
	return 1;
}

/* The private range to us, everything else to the kernel. */
static int install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NR_FIRST, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NR_LAST, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_NEW_LISTENER |
				     SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			     &program);
}

/* Shares our descriptors until the listener is known, then keeps only its own copy. */
static int guest(int report)
{
	struct loop_times times;
	int listener = install_filter();

	if (listener < 0 || write(report, &listener, sizeof(listener)) < 0)
		return fail("cannot install a filter");
	if (unshare(CLONE_FILES) < 0 || close(listener) < 0)
		return fail("cannot let the listener go");
	if (loop_run(NR_INTERFACE_VERSION, SYSCALL_INTERFACE, CALLS, &times) < 0)
		return fail("the private call failed");
	loop_print(&times);
	if (syscall(NR_INTERFACE_VERSION, GOOD_BYE) < 0)
		return fail("the last call failed");
	return fflush(stdout) == 0 ? 0 : fail("cannot print");
}

/* Until the guest says so: before Linux 6.11 RECV does not notice that it is gone. */
static int supervise(int listener)
{
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	struct seccomp_notif call = { 0 };

	/* EINVAL before 6.6: then the wake-up is an ordinary one, as in cloudosd */
	(void) ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
	while (call.data.args[0] != GOOD_BYE) {
		struct seccomp_notif_resp answer = { .val = 1 << 16 };

		memset(&call, 0, sizeof(call));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return fail("RECV");
		}
		answer.id = call.id;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 &&
		    errno != ENOENT)
			return fail("SEND");
	}
	return 0;
}

int main(void)
{
	int listener = -1;
	int status = 0;
	int report[2];
	pid_t child;

	if (pipe(report) < 0)
		return fail("cannot make a pipe");
	child = (pid_t) syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL,
				NULL);
	if (child < 0)
		return fail("cannot fork");
	if (child == 0)
		_exit(guest(report[1]));
	if (read(report[0], &listener, sizeof(listener)) != (ssize_t) sizeof(listener))
		return fail("no listener from the child");
	if (supervise(listener) != 0)
		return 1;
	if (waitpid(child, &status, 0) < 0)
		return fail("cannot wait for the child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
