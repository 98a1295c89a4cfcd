/* SPDX-License-Identifier: MIT */
/* Probes of the engines: seccomp user notification and ptrace.  HOST. */
#include "cli/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define PROBE_NUMBER 20999 /* private, no operation has it */
#define PROBE_ANSWER 4242
#define WAIT_MS      2000

/* Linux 6.6; the headers of Debian 12 do not have it yet */
#define NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SYNC_WAKE_UP    1UL

/* ---- notify ---- */

/* What the child of the notify probe tells through its pipe. */
struct told {
	int stage; /* TOLD_* */
	int error; /* errno of that stage */
	int listener;
	int killable;
	long result;
};
enum { TOLD_FAILED, TOLD_LISTENER, TOLD_PLAIN, TOLD_ADDFD };

static int install(unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROBE_NUMBER, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = co_countof(code), .filter = code };

	return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &program);
}

static void tell(int to, struct told told)
{
	(void) !write(to, &told, sizeof(told)); /* the parent notices silence */
}

/* In the child, which shares the table of descriptors with its parent. */
__attribute__((noreturn)) static void notify_child(int to)
{
	struct told told = { .stage = TOLD_LISTENER, .killable = 1 };

	(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		tell(to, (struct told){ .stage = TOLD_FAILED, .error = errno });
		_exit(1);
	}
	told.listener = install(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (told.listener < 0 && errno == EINVAL) {
		told.killable = 0;
		told.listener = install(0);
	}
	if (told.listener < 0) {
		tell(to, (struct told){ .stage = TOLD_FAILED, .error = errno });
		_exit(1);
	}
	tell(to, told);
	for (int stage = TOLD_PLAIN; stage <= TOLD_ADDFD; stage++) {
		long result = syscall(PROBE_NUMBER);

		tell(to,
		     (struct told){ .stage = stage, .result = result, .error = errno });
	}
	_exit(0);
}

/* One message of the child; false when it died or is silent. */
static bool hear(int from, struct told *told)
{
	struct pollfd p = { .fd = from, .events = POLLIN };

	return poll(&p, 1, WAIT_MS) == 1 && (p.revents & POLLIN) &&
	       read(from, told, sizeof(*told)) == sizeof(*told);
}

/* Waits for a notification or for the child to tell that its call is already over. */
static bool notified(int listener, int from, struct seccomp_notif *n)
{
	struct pollfd p[2] = { { .fd = listener, .events = POLLIN },
			       { .fd = from, .events = POLLIN } };

	if (poll(p, 2, WAIT_MS) < 1 || !(p[0].revents & POLLIN))
		return false;
	memset(n, 0, sizeof(*n));
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, n) == 0;
}

static bool answer(int listener, uint64_t id, int64_t value)
{
	struct seccomp_notif_resp r = { .id = id, .val = value };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r) == 0;
}

static void refused(struct co_probe_notify *out, const struct told *told)
{
	out->hidden = told->error == ENOSYS || told->error == EPERM;
	(void) snprintf(
		out->why, sizeof(out->why),
		"private numbers are answered with \"%s\" before a listener is asked; "
		"an outer filter (a container's) stands in front",
		strerror(told->error));
}

/* The second call is answered by a descriptor that takes the call's place. */
static void probe_addfd(struct co_probe_notify *out, int listener, int from)
{
	struct seccomp_notif_addfd add = { .flags = SECCOMP_ADDFD_FLAG_SEND,
					   .newfd_flags = O_CLOEXEC };
	struct seccomp_notif n;
	struct told told;

	if (!notified(listener, from, &n))
		return;
	add.id = n.id;
	add.srcfd = (uint32_t) listener;
	out->addfd = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0;
	if (!out->addfd)
		(void) answer(listener, n.id, 0); /* the child only wants to go on */
	if (hear(from, &told) && out->addfd && told.result >= 0)
		(void) close((int) told.result); /* the table is shared */
}

static void notify_talk(struct co_probe_notify *out, int from, const struct told *hello)
{
	int listener = hello->listener;
	struct seccomp_notif n;
	struct told told;

	out->killable = hello->killable;
	out->sync_wake = ioctl(listener, NOTIF_SET_FLAGS, SYNC_WAKE_UP) == 0;
	if (!notified(listener, from, &n)) {
		if (hear(from, &told))
			refused(out, &told);
		else
			(void) snprintf(out->why, sizeof(out->why),
					"the listener was never asked");
		return;
	}
	out->works = answer(listener, n.id, PROBE_ANSWER) && hear(from, &told) &&
		     told.result == PROBE_ANSWER;
	if (!out->works)
		(void) snprintf(out->why, sizeof(out->why), "an answer did not arrive");
	else
		probe_addfd(out, listener, from);
}

static void notify_failed(struct co_probe_notify *out, int error)
{
	out->nested = error == EBUSY;
	(void) snprintf(out->why, sizeof(out->why), "%s",
			error == EBUSY ? "this process is already under somebody's "
					 "notification, and the kernel allows one"
				       : strerror(error));
}

static void notify_missing(struct co_probe_notify *out)
{
	if (!out->works || out->why[0])
		return;
	if (!out->killable)
		(void) snprintf(
			out->why, sizeof(out->why),
			"no WAIT_KILLABLE_RECV (Linux 5.19): signals may repeat calls");
	else if (!out->addfd)
		(void) snprintf(out->why, sizeof(out->why),
				"no ADDFD with SEND (Linux 5.14): calls that return "
				"descriptors fail");
}

void co_probe_notify(struct co_probe_notify *out)
{
	int pipe_fds[2];
	struct told told;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		(void) snprintf(out->why, sizeof(out->why), "%s", strerror(errno));
		return;
	}
	/* a shared table hands the listener over without a socket that a filter may forbid */
	pid = (pid_t) syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		notify_child(pipe_fds[1]);
	if (pid > 0 && hear(pipe_fds[0], &told)) {
		if (told.stage == TOLD_LISTENER) {
			notify_talk(out, pipe_fds[0], &told);
			(void) close(
				told.listener); /* a pending call ends with ENOSYS */
		} else {
			notify_failed(out, told.error);
		}
	} else {
		(void) snprintf(out->why, sizeof(out->why), "the probe could not run");
	}
	if (pid > 0) {
		(void) kill(pid, SIGKILL); /* over already, or hanging */
		(void) waitpid(pid, NULL, 0);
	}
	(void) close(pipe_fds[0]); /* opened here, nothing in them matters */
	(void) close(pipe_fds[1]);
	notify_missing(out);
}

/* ---- ptrace and foreign memory ---- */

static const char mark[] = "cloudos reads the memory of another process";

static bool read_mark(pid_t pid)
{
	char copy[sizeof(mark)] = "";
	struct iovec here = { copy, sizeof(copy) };
	struct iovec there = { (void *) mark, sizeof(mark) };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof(mark) &&
	       memcmp(copy, mark, sizeof(mark)) == 0;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void) pause(); /* until killed */
	}
	return pid;
}

static void end(pid_t pid)
{
	(void) kill(pid, SIGKILL);
	(void) waitpid(pid, NULL, 0);
}

static bool attach(struct co_probe_ptrace *out, pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec into = { &regs, sizeof(regs) };
	unsigned char info[128];
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *) PTRACE_O_TRACESYSGOOD) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		return false;
	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		return false;
	if (ptrace(PTRACE_GETREGSET, pid, (void *) 1 /* NT_PRSTATUS */, &into) < 0)
		return false;
	out->info =
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *) sizeof(info), info) > 0;
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0;
}

/* A child that looks at its brother: neither is the other's ancestor. */
static bool brother_reads(pid_t pid)
{
	pid_t reader = fork();
	int status;

	if (reader == 0)
		_exit(read_mark(pid) ? 0 : 1);
	return reader > 0 && waitpid(reader, &status, 0) == reader &&
	       WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int yama_scope(void)
{
	autofclose FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = -1;

	if (f && fscanf(f, "%d", &scope) != 1)
		scope = -1;
	return scope;
}

void co_probe_ptrace(struct co_probe_ptrace *out)
{
	pid_t pid = sleeper();

	memset(out, 0, sizeof(*out));
	out->yama = yama_scope();
	if (pid < 0) {
		(void) snprintf(out->why, sizeof(out->why),
				"the probe could not run: %s", strerror(errno));
		return;
	}
	out->works = attach(out, pid);
	if (!out->works)
		(void) snprintf(out->why, sizeof(out->why),
				"attaching to a child says: %s", strerror(errno));
	else if (!out->info)
		(void) snprintf(out->why, sizeof(out->why),
				"no PTRACE_GET_SYSCALL_INFO (Linux 5.3)");
	out->read_child = read_mark(pid);
	out->read_other = brother_reads(pid);
	end(pid);
}
