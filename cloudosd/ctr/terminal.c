/* SPDX-License-Identifier: MIT */
/* The terminal of a container's program.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include "cloudosd/ctr/inside.h"
#include "lib/cleanup.h"
#include "lib/rights.h"

/* A new master of the container's own devpts: what is elsewhere is not trusted. */
static int open_master(struct co_err *err)
{
	autoclose int fd =
		open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	struct statfs fs;
	int unlocked = 0;

	if (fd < 0)
		return co_fail_errno(err, errno,
				     "no terminal: /dev/pts/ptmx (a devpts has to be "
				     "mounted on /dev/pts)");
	if (fstatfs(fd, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return co_fail(err, CO_INVALID,
			       "no terminal: what is mounted on /dev/pts is no devpts");
	if (ioctl(fd, TIOCSPTLCK, &unlocked) < 0)
		return co_fail_errno(err, errno, "the terminal cannot be unlocked");
	return take_fd(fd);
}

int ctr_terminal_open(int out_terminal[2], struct co_err *err)
{
	autoclose int master = open_master(err);

	if (master < 0)
		return master;
	out_terminal[1] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (out_terminal[1] < 0)
		return co_fail_errno(err, errno, "the terminal cannot be opened");
	out_terminal[0] = take_fd(master);
	return 0;
}

int ctr_terminal_give(struct ctr_inside *in, struct co_err *err)
{
	autoclose int master = take_fd(in->terminal[0]);
	struct winsize size = { .ws_row = in->process->rows,
				.ws_col = in->process->columns };
	int rc;

	if (size.ws_row && size.ws_col)
		(void) ioctl(master, TIOCSWINSZ, &size); /* a size is a wish */
	if (fchown(in->terminal[1], in->process->user.uid, (gid_t) -1) < 0)
		return co_fail_errno(err, errno,
				     "the terminal cannot be given to user %u",
				     in->process->user.uid);
	rc = ctr_say_with(in->link, CTR_SAID_CONSOLE, master);
	if (rc < 0)
		return co_fail(err, rc, "the creator is gone");
	rc = ctr_await(in->link, CTR_SAID_RECEIVED, NULL, err);
	if (rc == 0)
		in->slave = take_fd(in->terminal[1]);
	return rc;
}

int ctr_terminal_take(int slave, struct co_err *err)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return co_fail_errno(err, errno, "the terminal cannot be had");
	for (int i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return co_fail_errno(err, errno, "the terminal cannot be used");
	return 0;
}

int ctr_terminal_send(int socket, int master, struct co_err *err)
{
	static const char name[] = "/dev/ptmx";

	if (co_rights_send(socket, name, sizeof(name) - 1, &master, 1) < 0)
		return co_fail_errno(
			err, errno,
			"the terminal cannot be sent to the console socket");
	return 0;
}
