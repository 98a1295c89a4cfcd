/* SPDX-License-Identifier: MIT */
/*
 * The lowest layer of every container: an empty place for each thing that the daemon mounts
 * in it.  HOST.
 *
 * Where an image has no such file or folder it would be made in the container's own layer,
 * and `diff` and `commit` would show it as the container's work.  All containers of a domain
 * share the folder; nothing is ever written there.
 */
#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/containers_inside.h"
#include "lib/cleanup.h"

/* Folders before what is in them.  0: a file.  Those of calls are as in calls_view.c. */
static const struct {
	const char *path;
	mode_t mode;
} places[] = {
	{ "/dev", 0755 },
	{ "/proc", 0555 },
	{ "/sys", 0555 },
	{ "/etc", 0755 },
	{ "/etc/hosts", 0 },
	{ "/etc/hostname", 0 },
	{ "/etc/resolv.conf", 0 },
	{ "/run", 0755 },
	{ CO_CONTAINED, 0755 },
	{ CO_CONTAINED_FOLDER, 0755 },
	{ CO_CONTAINED_FOLDER "/control.sock", 0 },
	{ CO_CONTAINED "/bin", 0755 },
	{ CO_CONTAINED "/bin/cloudos-exec", 0 },
	{ CO_CONTAINED "/libexec", 0755 },
};

static int make_place(int base, size_t i)
{
	const char *path = places[i].path + 1;
	autoclose int fd = -1;

	if (places[i].mode) /* whatever our umask is */
		return mkdirat(base, path, places[i].mode) == 0
			       ? fchmodat(base, path, places[i].mode, 0)
			       : -1;
	fd = openat(base, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0644);
	return fd >= 0 && fchmod(fd, 0644) == 0 ? 0 : -1;
}

int bundle_base(const struct runner_place *place, struct co_err *err)
{
	const char *path = place->base;
	autoclose int base = -1;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return co_fail_errno(err, errno, "cannot make the folder %s", path);
	base = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (size_t i = 0; base >= 0 && i < co_countof(places); i++)
		if (make_place(base, i) < 0 && errno != EEXIST)
			return co_fail_errno(err, errno, "cannot make %s%s", path,
					     places[i].path);
	return base < 0 ? co_fail_errno(err, errno, "cannot open %s", path) : 0;
}
