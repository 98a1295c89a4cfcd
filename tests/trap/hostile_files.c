/* SPDX-License-Identifier: MIT */
/* Descriptors gone, and the engine's own means used by the program.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/trap/hostile.h"

void close_everything(void)
{
	int status;

	for (int fd = 0; fd < 2000; fd++)
		if (fd != STDOUT_FILENO)
			(void) close(fd);
	(void) syscall(SYS_close_range, 3, ~0U, 0);
	say("the next descriptor: %", open("/dev/null", O_RDWR));
	say("the next: %", open("/dev/null", O_RDWR));
	say("the next: %", open("/dev/null", O_RDWR));
	say("wrong: %", getppid() < 0);
	if (fork() == 0) {
		(void) syscall(SYS_close_range, 3, ~0U, 0);
		(void) execl("/bin/sh", "sh", "-c",
			     "/bin/echo started; ls /proc/self/fd", NULL);
		_exit(1);
	}
	(void) wait(&status);
	say("its end: %", status);
}

void no_descriptors(void)
{
	struct rlimit none = { 0, 0 };
	long bad = 0;

	say("setrlimit: %", setrlimit(RLIMIT_NOFILE, &none));
	say("open: %", open("/dev/null", O_RDONLY) < 0 ? -errno : 0);
	for (int i = 0; i < 50; i++)
		bad += getppid() < 0 || getuid() == (uid_t) -1 || getpgrp() < 0;
	say("wrong: %", bad);
	if (fork() == 0)
		_exit(getppid() > 0 ? 0 : 1);
	(void) wait(NULL);
}

void own_dispatch(void)
{
	char selector = 0;

	say("dispatch %", prctl(59, 1, 0, 0, &selector) < 0 ? -errno : 0);
	say("off %", prctl(59, 0, 0, 0, 0) < 0 ? -errno : 0);
}

void own_filter(void)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &pass };

	say("privileges %", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("prctl %",
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0);
	say("seccomp %", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0
				 ? -errno
				 : 0);
	say("mode %", prctl(PR_GET_SECCOMP));
}
