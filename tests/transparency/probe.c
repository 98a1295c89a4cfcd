/* SPDX-License-Identifier: MIT */
/*
 * transparency-probe: what the transparency suite cannot do in shell.  It stands in
 * front of a program, natively and under an engine alike, and becomes it by exec.  It owns
 * the proof that a process tree is really served by an engine and the question whether
 * this kernel could do so at all.  GUEST program of the tests; run.sh calls it.
 *
 *	prove FILE CTL PROGRAM ...   a grandchild writes FILE: its Seccomp and TracerPid
 *	                             lines, "Trap: PERSONALITY" if the trap engine is in its
 *	                             memory and has seen calls of it, and what the private
 *	                             call `domain` answered; unless CTL is "-", `CTL ps -o
 *	                             json` goes to FILE.ps
 *	run FILE PROGRAM ...         waits for it, a minute at most; FILE says how it ended
 *	with [ignore=N|block=N|umask=OCTAL|nofile=N|open=N]... -- PROGRAM ...
 *	can notify|ptrace|trap       exit 0 if this kernel lets us, 1 with the reason if not
 */
#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_DOMAIN = 21902, FAILED = 99 };

static int fail(const char *what, const char *on)
{
	fprintf(stderr, "transparency-probe: %s %s: %s\n", what, on, strerror(errno));
	return FAILED;
}

/* ---- prove ---- */

/* Is the engine in this memory, and has it seen calls? */
static bool trap_stats(struct co_trap_stats *out)
{
	struct iovec here = { out, sizeof(*out) };
	struct iovec there = { (void *) CO_TRAP_STATS, sizeof(*out) };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) ==
		       (ssize_t) sizeof(*out) &&
	       out->mark == CO_TRAP_STATS_MARK && out->traps > 0 && out->sites_used > 0;
}

static int write_proof(const char *path)
{
	FILE *status = fopen("/proc/self/status", "re");
	FILE *out = fopen(path, "we");
	struct co_trap_stats trap;
	char line[256];
	long domain;

	if (status == NULL || out == NULL)
		return fail("cannot write the proof", path);
	while (fgets(line, sizeof(line), status) != NULL) {
		if (strncmp(line, "Seccomp:", 8) == 0 ||
		    strncmp(line, "TracerPid:", 10) == 0)
			fputs(line, out);
	}
	if (trap_stats(&trap))
		fprintf(out, "Trap:\t%u\n", trap.personality);
	errno = 0;
	domain = syscall(NR_DOMAIN);
	fprintf(out, "domain:\t%ld errno %d\n", domain, domain == -1 ? errno : 0);
	(void) fclose(status); /* read only: nothing to lose */
	return fclose(out) == 0 ? 0 : fail("cannot write the proof", path);
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return fail("cannot wait for", "the prover");
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}

static int list_sessions(const char *ctl, const char *proof)
{
	char path[4096];
	int fd;

	if (strcmp(ctl, "-") == 0)
		return 0;
	(void) snprintf(path, sizeof(path), "%s.ps",
			proof); /* a cut path fails to open */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return fail("cannot write", path);
	execl(ctl, ctl, "ps", "-o", "json", (char *) NULL);
	return fail("cannot run", ctl);
}

/* The child of the child proves; the child then becomes cloudosctl. */
static int prove(const char *path, const char *ctl)
{
	pid_t child = fork();
	pid_t grandchild;
	int rc;

	if (child < 0)
		return fail("cannot fork for", path);
	if (child > 0)
		return wait_for(child);
	grandchild = fork();
	if (grandchild == 0)
		_exit(write_proof(path));
	rc = grandchild < 0 ? fail("cannot fork for", path) : wait_for(grandchild);
	if (rc == 0)
		rc = list_sessions(ctl, path);
	_exit(rc);
}

/* ---- run ---- */

static int ended_within(pid_t child, int pidfd, int ms, int *out_status)
{
	struct pollfd ready = { .fd = pidfd, .events = POLLIN };

	while (poll(&ready, 1, ms) < 0) {
		if (errno != EINTR)
			return 0;
	}
	return waitpid(child, out_status, WNOHANG) == child;
}

/* Exit statuses and signals are told apart, which a shell's $? does not do. */
static int run(const char *path, char **argv)
{
	pid_t child = fork();
	int status = 0;
	int late = 0;
	int pidfd;
	FILE *out;

	if (child == 0) {
		struct rlimit none = { 0, 0 };

		(void) setrlimit(RLIMIT_CORE, &none); /* lowering always works */
		execvp(argv[0], argv);
		_exit(fail("cannot run", argv[0]));
	}
	pidfd = child < 0 ? -1 : (int) syscall(SYS_pidfd_open, child, 0);
	out = fopen(path, "we");
	if (pidfd < 0 || out == NULL)
		return fail("cannot watch", argv[0]);
	for (int sig = SIGTERM;
	     !ended_within(child, pidfd, late ? 5000 : 60000, &status); sig = SIGKILL) {
		late = 1;
		(void) kill(child, sig); /* it may have ended just now */
	}
	if (late)
		fputs("did not end within a minute\n", out);
	else if (WIFSIGNALED(status))
		fprintf(out, "signal %d\n", WTERMSIG(status));
	else
		fprintf(out, "exit %d\n", WEXITSTATUS(status));
	return fclose(out) == 0 ? 0 : fail("cannot write", path);
}

/* ---- with ---- */

static int apply(const char *word, unsigned value)
{
	struct rlimit limit;
	sigset_t set;

	if (strncmp(word, "ignore=", 7) == 0)
		return signal((int) value, SIG_IGN) == SIG_ERR ? -1 : 0;
	if (strncmp(word, "block=", 6) == 0) {
		if (sigemptyset(&set) < 0 || sigaddset(&set, (int) value) < 0)
			return -1;
		return sigprocmask(SIG_BLOCK, &set, NULL);
	}
	if (strncmp(word, "umask=", 6) == 0) {
		(void) umask((mode_t) value); /* always succeeds */
		return 0;
	}
	if (strncmp(word, "nofile=", 7) == 0) {
		limit.rlim_cur = limit.rlim_max = value;
		return setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (strncmp(word, "open=", 5) == 0) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		return fd < 0 ? -1 : dup2(fd, (int) value);
	}
	errno = EINVAL;
	return -1;
}

static int with(char **argv)
{
	for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++) {
		const char *value = strchr(*argv, '=');
		int base = strncmp(*argv, "umask=", 6) == 0 ? 8 : 10;

		if (value == NULL ||
		    apply(*argv, (unsigned) strtoul(value + 1, NULL, base)) < 0)
			return fail("cannot apply", *argv);
	}
	if (*argv == NULL || argv[1] == NULL) {
		fputs("transparency-probe: with: -- and a program are missing\n",
		      stderr);
		return FAILED;
	}
	execvp(argv[1], argv + 1);
	return fail("cannot run", argv[1]);
}

/* ---- can ---- */

/* The child installs a filter and makes the call; the notification must arrive. */
static int filter_and_call(int report)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_DOMAIN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	long listener;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			   SECCOMP_FILTER_FLAG_NEW_LISTENER |
				   SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			   &program);
	if (listener < 0)
		return 1;
	if (write(report, &listener, sizeof(listener)) != (ssize_t) sizeof(listener))
		return 1;
	return syscall(NR_DOMAIN) == 77 ? 0 : 1;
}

/* The caller shares its descriptors with the child, so the listener is ours too. */
static int answer_one(int listener)
{
	struct seccomp_notif call;
	struct seccomp_notif_resp answer = { .val = 77 };
	struct pollfd ready = { .fd = listener, .events = POLLIN };

	memset(&call, 0, sizeof(call));
	if (poll(&ready, 1, 60000) != 1)
		return -1;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return -1;
	answer.id = call.id;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static pid_t fork_sharing_descriptors(void)
{
	return (pid_t) syscall(SYS_clone, 0x400 /* CLONE_FILES */ | SIGCHLD, NULL, NULL,
			       NULL, NULL);
}

static int can_notify(void)
{
	long listener = -1;
	int report[2];
	pid_t child;

	if (pipe2(report, O_CLOEXEC) < 0)
		return fail("cannot make", "a pipe");
	child = fork_sharing_descriptors();
	if (child == 0)
		_exit(filter_and_call(report[1]));
	if (child < 0)
		return fail("cannot", "fork");
	struct pollfd ready = { .fd = report[0], .events = POLLIN };

	if (poll(&ready, 1, 60000) == 1 &&
	    read(report[0], &listener, sizeof(listener)) ==
		    (ssize_t) sizeof(listener) &&
	    answer_one((int) listener) == 0 && wait_for(child) == 0)
		return 0;
	(void) kill(child, SIGKILL); /* it may be gone already */
	puts("the kernel, or the container around us, delivers no seccomp notification");
	return 1;
}

/* Nobody handles the SIGSYS that this filter, which looks at the address, raises. */
static int filter_and_trap(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_DOMAIN, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CO_TRAP_HIGH_VALUE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	struct rlimit none = { 0, 0 };

	(void) setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return 1;
	(void) syscall(NR_DOMAIN);
	return 1;
}

static int can_trap(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(filter_and_trap());
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return fail("cannot", "fork");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return 0;
	puts("the kernel, or the container around us, does not trap calls by address");
	return 1;
}

static int can_ptrace(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(1);
		(void) raise(SIGSTOP); /* the parent sees the stop, or the exit */
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return fail("cannot", "fork");
	if (WIFSTOPPED(status) && ptrace(PTRACE_CONT, child, 0, 0) == 0 &&
	    wait_for(child) == 0)
		return 0;
	puts("the kernel, or the container around us, forbids ptrace");
	return 1;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && strcmp(argv[1], "prove") == 0) {
		int rc = prove(argv[2], argv[3]);

		if (rc != 0)
			return rc;
		execvp(argv[4], argv + 4);
		return fail("cannot run", argv[4]);
	}
	if (argc >= 4 && strcmp(argv[1], "run") == 0)
		return run(argv[2], argv + 3);
	if (argc >= 3 && strcmp(argv[1], "with") == 0)
		return with(argv + 2);
	if (argc == 3 && strcmp(argv[1], "can") == 0)
		return strcmp(argv[2], "notify") == 0 ? can_notify()
		       : strcmp(argv[2], "trap") == 0 ? can_trap()
						      : can_ptrace();
	fputs("usage: transparency-probe prove|run|with|can ...; see the head of probe.c\n",
	      stderr);
	return FAILED;
}
