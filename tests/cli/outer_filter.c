/* SPDX-License-Identifier: MIT */
/*
 * Runs a program under a seccomp filter that takes one thing away, as a container's
 * profile does.  HOST.  Used by tests/cli/ctl-doctor.sh and exec-engine.sh.
 *
 *	outer-filter WHAT PROGRAM [ARGUMENT]...
 */
#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define ARGUMENT(n)      offsetof(struct seccomp_data, args[n])
#define ARGUMENT_HIGH(n) (ARGUMENT(n) + 4)

static const struct {
	const char *what;
	unsigned first, last; /* numbers that are refused */
	unsigned result;
	unsigned offset, value; /* only if that word is so; at 0 is the number itself */
} filters[] = {
	{ "none", 65535, 65535, SECCOMP_RET_ALLOW, 0, 0 },
	{ "private", 20000, 29999, SECCOMP_RET_ERRNO | ENOSYS, 0, 0 },
	{ "unknown", 600, 0x3fffffff, SECCOMP_RET_ERRNO | ENOSYS, 0, 0 },
	{ "forbidden", 600, 0x3fffffff, SECCOMP_RET_ERRNO | EPERM, 0, 0 },
	{ "notify", 28000, 28000, SECCOMP_RET_USER_NOTIF, 0, 0 },
	{ "seccomp", SYS_seccomp, SYS_seccomp, SECCOMP_RET_ERRNO | ENOSYS, 0, 0 },
	{ "ptrace", SYS_ptrace, SYS_ptrace, SECCOMP_RET_ERRNO | EPERM, 0, 0 },
	{ "unshare", SYS_unshare, SYS_unshare, SECCOMP_RET_ERRNO | EPERM, 0, 0 },
	{ "landlock", SYS_landlock_create_ruleset, SYS_landlock_create_ruleset,
	  SECCOMP_RET_ERRNO | ENOSYS, 0, 0 },
	{ "pidfd", SYS_pidfd_open, SYS_pidfd_open, SECCOMP_RET_ERRNO | ENOSYS, 0, 0 },
	{ "memfd", SYS_memfd_create, SYS_memfd_create, SECCOMP_RET_ERRNO | ENOSYS, 0,
	  0 },
	{ "readv", SYS_process_vm_readv, SYS_process_vm_readv,
	  SECCOMP_RET_ERRNO | EPERM, 0, 0 },
	{ "dispatch", SYS_prctl, SYS_prctl, SECCOMP_RET_ERRNO | EINVAL, ARGUMENT(0),
	  PR_SET_SYSCALL_USER_DISPATCH },
	{ "mm-map", SYS_prctl, SYS_prctl, SECCOMP_RET_ERRNO | EPERM, ARGUMENT(0),
	  PR_SET_MM },
	{ "addresses", SYS_mmap, SYS_mmap, SECCOMP_RET_ERRNO | ENOMEM, ARGUMENT_HIGH(0),
	  CO_TRAP_HIGH_VALUE },
	{ "int80", 0, 0x3fffffff, SECCOMP_RET_ERRNO | ENOSYS,
	  offsetof(struct seccomp_data, arch), AUDIT_ARCH_I386 },
	{ "killed", 600, 0x3fffffff, SECCOMP_RET_KILL_PROCESS, 0, 0 },
};

static int install(size_t i)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, filters[i].first, 0, 4),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, filters[i].last, 3, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, filters[i].offset),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, filters[i].value, 0,
			 filters[i].offset ? 1 : 0),
		BPF_STMT(BPF_RET | BPF_K, filters[i].result),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = co_countof(code), .filter = code };
	unsigned flags = filters[i].result == SECCOMP_RET_USER_NOTIF
				 ? SECCOMP_FILTER_FLAG_NEW_LISTENER
				 : 0;

	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	fd = (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (fd > 0 && fcntl(fd, F_SETFD, 0) < 0) /* a listener has to outlive exec */
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < co_countof(filters); i++) {
		if (strcmp(argv[1], filters[i].what) != 0)
			continue;
		if (install(i) < 0) {
			perror("outer-filter: seccomp");
			return 99;
		}
		(void) execvp(argv[2], argv + 2);
		perror(argv[2]);
		return 99;
	}
	(void) fprintf(stderr, "usage: outer-filter WHAT PROGRAM [ARGUMENT]...\n");
	return 99;
}
