/* SPDX-License-Identifier: MIT */
/*
 * Copies of folders: for a tmpfs that begins as what it hides, and for a root where there
 * is no overlay.  HOST.
 *
 * Both sides are descriptors and no link is followed.  Blocks are shared where the file
 * system can.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

enum { DEEPEST = 128 };

static int copy_folder(int from, int to, int depth);

static int copy_bytes(int from, int to)
{
	ssize_t n;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	do
		n = copy_file_range(from, NULL, to, NULL, 1u << 30, 0);
	while (n > 0);
	if (n == 0)
		return 0;
	do
		n = sendfile(to, from, NULL, 1u << 30);
	while (n > 0);
	return n < 0 ? -errno : 0;
}

/* Owner, mode, times.  An owner that cannot be had stays ours: the copy is for us. */
static int copy_stat(int to, const char *name, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno != EPERM && errno != EINVAL)
		return -errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_file(int from, int to, const char *name)
{
	autoclose int in =
		openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autoclose int out =
		in < 0 ? -1
		       : openat(to, name,
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				0600);

	return out < 0 ? -errno : copy_bytes(in, out);
}

static int copy_link(int from, int to, const char *name)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = 0;
	return symlinkat(target, to, name) < 0 ? -errno : 0;
}

static int copy_sub(int from, int to, const char *name, int depth)
{
	autoclose int in =
		openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int out = -1;

	if (in < 0)
		return -errno;
	if (mkdirat(to, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return out < 0 ? -errno : copy_folder(in, out, depth + 1);
}

static int copy_entry(int from, int to, const char *name, int depth)
{
	struct stat st;
	int status;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		status = copy_file(from, to, name);
		break;
	case S_IFLNK:
		status = copy_link(from, to, name);
		break;
	case S_IFDIR:
		status = copy_sub(from, to, name, depth);
		break;
	case S_IFIFO:
		status = mknodat(to, name, S_IFIFO | 0600, 0) < 0 ? -errno : 0;
		break;
	default:
		return 0; /* sockets and nodes mean nothing in a copy */
	}
	return status < 0 ? status : copy_stat(to, name, &st);
}

static int copy_folder(int from, int to, int depth)
{
	int fd = depth < DEEPEST ? openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				 : (errno = ELOOP, -1);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int status = 0;

	if (!folder) {
		status = -errno;
		if (fd >= 0)
			(void) close(fd); /* nothing was written */
		return status;
	}
	while (status == 0 && (errno = 0, e = readdir(folder))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			status = copy_entry(from, to, e->d_name, depth);
	}
	if (status == 0 && errno)
		status = -errno;
	(void) closedir(folder); /* nothing was written */
	return status;
}

int rootfs_copy(int from, int to, const char *name, struct co_err *err)
{
	int status = copy_folder(from, to, 0);

	return status == 0 ? 0 : co_fail_errno(err, -status, "cannot copy %s", name);
}
