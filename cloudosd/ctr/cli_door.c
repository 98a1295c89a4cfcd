/* SPDX-License-Identifier: MIT */
/*
 * cloudos-ctr door: sockets of a container's network, for whoever is outside of it.  HOST.
 *
 * A socket belongs to the network name space that it was made in, whoever uses it then.  So
 * the daemon carries connections into a container that has nothing but its own loopback: a
 * process that has joined the container's user and network name spaces, and nothing else of
 * it, makes sockets when it is asked, "t" or "u" for each, and ends with the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/ctr/cli.h"
#include "lib/cleanup.h"

/* The name space of that process is the one that we are in. */
static bool is_own(pid_t pid, const char *name)
{
	struct stat mine, its;
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) pid, name);
	if (stat(path, &its) < 0)
		return true;
	(void) snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	return stat(path, &mine) < 0 ||
	       (mine.st_ino == its.st_ino && mine.st_dev == its.st_dev);
}

static int join(struct cli *cli, const struct ctr_state *s)
{
	autoclose int fd = (int) syscall(SYS_pidfd_open, (pid_t) s->pid, 0);

	if (s->pid <= 0 || fd < 0 || ctr_pid_start((pid_t) s->pid) != s->pid_start)
		return co_fail(&cli->err, CO_GONE, "the container does not run");
	if (is_own((pid_t) s->pid, "net"))
		return co_fail(&cli->err, CO_UNSUPPORTED,
			       "the container has no network of its own");
	if (setns(fd, CLONE_NEWNET) == 0)
		return 0;
	/* a user's daemon: as root of the container */
	if (is_own((pid_t) s->pid, "user") ||
	    setns(fd, CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return co_fail_errno(&cli->err, errno,
				     "cannot enter the container's network");
	return 0;
}

static bool give(int to, char kind)
{
	const int type = kind == 'u' ? SOCK_DGRAM : SOCK_STREAM;
	autoclose int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec bytes = { &kind, 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
	}
	return sendmsg(to, &message, MSG_NOSIGNAL) == 1;
}

static _Noreturn void serve(int control)
{
	char kind;
	ssize_t n;

	(void) setsid(); /* a fresh child leads no group */
	for (;;) {
		n = recv(control, &kind, 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1 || !give(control, kind))
			_exit(0); /* the daemon has gone, or needs it no more */
	}
}

int cli_door(struct cli *cli, int argc, char *argv[])
{
	struct ctr_state state = { .pid = 0 };
	int64_t control = -1;
	const struct cli_option options[] = { { "control-fd", 0, CLI_NUMBER,
						&control } };
	const char *id;
	int at = cli_options(cli, argc, argv, options, 1, false), rc;
	pid_t pid;

	if (at < 0 || cli_one_id(cli, argc, argv, at, &id) < 0)
		return cli_failed(cli) + 1;
	if (control < 3 || fcntl((int) control, F_SETFD, FD_CLOEXEC) < 0) {
		(void) co_fail(&cli->err, CO_INVALID,
			       "--control-fd names an open descriptor from 3 on");
		return cli_failed(cli) + 1;
	}
	rc = ctr_state_read(cli->root, id, &state, &cli->err);
	if (rc == 0)
		rc = join(cli, &state);
	ctr_state_done(&state);
	if (rc < 0)
		return cli_failed(cli);
	(void) prctl(PR_SET_DUMPABLE, 0);
	(void) signal(SIGPIPE, SIG_IGN);
	pid = fork();
	if (pid == 0)
		serve((int) control);
	if (pid > 0)
		return 0;
	(void) co_fail_errno(&cli->err, errno, "cannot start a process");
	return cli_failed(cli);
}
