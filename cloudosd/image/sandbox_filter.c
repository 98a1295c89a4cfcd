/* SPDX-License-Identifier: MIT */
/*
 * The system calls that reading an archive and writing files needs.  HOST.
 *
 * All others fail with EPERM; calls of other architectures end the process.  There is no
 * socket, no exec, no mount, no signal to others, and nodes are whiteouts, pipes or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/stat.h>

#include "cloudosd/image/sandbox.h"
#include "lib/cleanup.h"

static const int allowed[] = { SCMP_SYS(brk),
			       SCMP_SYS(clock_gettime),
			       SCMP_SYS(close),
			       SCMP_SYS(copy_file_range),
			       SCMP_SYS(dup),
			       SCMP_SYS(exit),
			       SCMP_SYS(exit_group),
			       SCMP_SYS(fadvise64),
			       SCMP_SYS(fallocate),
			       SCMP_SYS(fchmod),
			       SCMP_SYS(fchmodat),
			       SCMP_SYS(fchown),
			       SCMP_SYS(fchownat),
			       SCMP_SYS(fcntl),
			       SCMP_SYS(fdatasync),
			       SCMP_SYS(fgetxattr),
			       SCMP_SYS(flistxattr),
			       SCMP_SYS(fremovexattr),
			       SCMP_SYS(fsetxattr),
			       SCMP_SYS(fstat),
			       SCMP_SYS(fsync),
			       SCMP_SYS(ftruncate),
			       SCMP_SYS(futex),
			       SCMP_SYS(getdents64),
			       SCMP_SYS(geteuid),
			       SCMP_SYS(getpid),
			       SCMP_SYS(getrandom),
			       SCMP_SYS(gettid),
			       SCMP_SYS(getuid),
			       SCMP_SYS(lgetxattr),
			       SCMP_SYS(linkat),
			       SCMP_SYS(llistxattr),
			       SCMP_SYS(lseek),
			       SCMP_SYS(lsetxattr),
			       SCMP_SYS(madvise),
			       SCMP_SYS(mkdirat),
			       SCMP_SYS(mremap),
			       SCMP_SYS(munmap),
			       SCMP_SYS(newfstatat),
			       SCMP_SYS(openat),
			       SCMP_SYS(openat2),
			       SCMP_SYS(pread64),
			       SCMP_SYS(pwrite64),
			       SCMP_SYS(read),
			       SCMP_SYS(readlinkat),
			       SCMP_SYS(readv),
			       SCMP_SYS(renameat),
			       SCMP_SYS(renameat2),
			       SCMP_SYS(restart_syscall),
			       SCMP_SYS(rt_sigaction),
			       SCMP_SYS(rt_sigprocmask),
			       SCMP_SYS(rt_sigreturn),
			       SCMP_SYS(sched_yield),
			       SCMP_SYS(sigaltstack),
			       SCMP_SYS(statx),
			       SCMP_SYS(symlinkat),
			       SCMP_SYS(unlinkat),
			       SCMP_SYS(utimensat),
			       SCMP_SYS(write),
			       SCMP_SYS(writev) };

static int rules(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; !r && i < co_countof(allowed); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	/* no memory that can be executed */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	/* abort() */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t) getpid(), 0));
	/* a whiteout, a pipe */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 2,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, S_IFCHR),
				     SCMP_A3(SCMP_CMP_EQ, 0, 0));
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, S_IFIFO));
	return r;
}

int sandbox_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = rules(ctx);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
