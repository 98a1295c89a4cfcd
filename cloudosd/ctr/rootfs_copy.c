/* SPDX-License-Identifier: MIT */
/*
 * Copies of folders: for a tmpfs or a volume that begins as what it hides, and for a root
 * where there is no overlay.  HOST.
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

enum { DEEPEST = 128, XATTR_ROOM = 65536 };

static int copy_folder(const struct rootfs_copying *how, int from, int to, int depth);

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

/* ---- who owns what ---- */

uint32_t rootfs_outside_id(const struct ctr_id_maps *maps, uint32_t id)
{
	for (size_t i = 0; maps && i < maps->count; i++) {
		const struct ctr_id_map *m = &maps->at[i];

		if (id >= m->inside && id - m->inside < m->count)
			return m->outside + (id - m->inside);
	}
	return maps && maps->count > 0 ? maps->at[0].outside : id;
}

/* chmod of what has that name now: in a volume another container may have made a link of it. */
static int set_mode(int folder, const char *name, mode_t mode)
{
	autoclose int fd =
		openat(folder, name,
		       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

/* Owner, mode, times.  An owner that cannot be had stays ours: the copy is for us. */
static int copy_stat(const struct rootfs_copying *how, int to, const char *name,
		     const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	int status = 0;

	if (fchownat(to, name, rootfs_outside_id(how->uids, st->st_uid),
		     rootfs_outside_id(how->gids, st->st_gid),
		     AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno != EPERM && errno != EINVAL)
		return -errno;
	if (!S_ISLNK(st->st_mode))
		status = set_mode(to, name, st->st_mode & 07777);
	if (status < 0)
		return status;
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* File capabilities and what users wrote; not what overlays say to themselves.  As with
 * owners, what cannot be had here is left out.  A change of owner takes capabilities away,
 * so this comes last. */
static int copy_xattrs(int at_from, int at_to, const char *name)
{
	const int how = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	autoclose int from = openat(at_from, name, how);
	autoclose int to = openat(at_to, name, how);
	autofree char *room = malloc(2 * XATTR_ROOM);
	ssize_t names = 0;

	if (from < 0 || !room)
		return room ? -errno : -ENOMEM;
	if (to >= 0)
		names = flistxattr(from, room, XATTR_ROOM);
	for (char *key = room; names > 0 && key < room + names;
	     key += strlen(key) + 1) {
		char *value = room + XATTR_ROOM;
		ssize_t n;

		if (strncmp(key, "trusted.", 8) == 0 || strstr(key, ".overlay."))
			continue;
		n = fgetxattr(from, key, value, XATTR_ROOM);
		if (n >= 0 && fsetxattr(to, key, value, (size_t) n, 0) < 0 &&
		    errno == ENOSPC)
			return -errno;
	}
	return 0;
}

/* ---- what a layer takes away ---- */

/* All of it, but at the top not `but`. */
static int remove_below(int folder, const char *but, int depth)
{
	int fd = depth < DEEPEST
			 ? openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			 : (errno = ELOOP, -1);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int status = list ? 0 : -errno;

	if (!list && fd >= 0)
		(void) close(fd); /* nothing was written */
	while (status == 0 && (e = readdir(list))) {
		autoclose int below = -1;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    (but && strcmp(e->d_name, but) == 0))
			continue;
		if (unlinkat(folder, e->d_name, 0) == 0)
			continue;
		below = openat(folder, e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		status = below < 0 ? -errno : remove_below(below, NULL, depth + 1);
		if (status == 0 && unlinkat(folder, e->d_name, AT_REMOVEDIR) < 0)
			status = -errno;
	}
	if (list)
		(void) closedir(list); /* nothing was written */
	return status;
}

static int remove_one(int folder, const char *name)
{
	autoclose int below = -1;
	int status;

	if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
		return 0;
	below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	status = below < 0 ? -errno : remove_below(below, NULL, 0);
	if (status == 0 && unlinkat(folder, name, AT_REMOVEDIR) < 0)
		status = -errno;
	return status;
}

static bool is_opaque(int folder)
{
	char value[2];

	return (fgetxattr(folder, "trusted.overlay.opaque", value, 2) >= 1 ||
		fgetxattr(folder, "user.overlay.opaque", value, 2) >= 1) &&
	       value[0] == 'y';
}

/* ---- one of each kind ---- */

static int copy_file(int from, int to, const char *name)
{
	autoclose int in =
		openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autoclose int out = -1;

	if (in < 0)
		return -errno;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
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

static int copy_sub(const struct rootfs_copying *how, int from, int to,
		    const char *name, int depth)
{
	autoclose int in =
		openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int out = -1;
	int status = 0;

	if (in < 0)
		return -errno;
	if (mkdirat(to, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return -errno;
	if (how->is_layer && is_opaque(in))
		status = remove_below(out, NULL, 0);
	return status < 0 ? status : copy_folder(how, in, out, depth + 1);
}

static bool is_folder(int at, const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int copy_entry(const struct rootfs_copying *how, int from, int to,
		      const char *name, int depth)
{
	struct stat st;
	int status = 0;

	/* an overlay may list what it hides */
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* folders of layers are merged, all else replaces */
	if (how->is_layer && !(S_ISDIR(st.st_mode) && is_folder(to, name)))
		status = remove_one(to, name);
	if (status < 0)
		return status;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		status = copy_file(from, to, name);
		break;
	case S_IFLNK:
		status = copy_link(from, to, name);
		break;
	case S_IFDIR:
		status = copy_sub(how, from, to, name, depth);
		break;
	case S_IFIFO:
		status = mknodat(to, name, S_IFIFO | 0600, 0) < 0 ? -errno : 0;
		break;
	default:
		return 0; /* sockets and nodes mean nothing in a copy */
	}
	if (status == 0)
		status = copy_stat(how, to, name, &st);
	if (status == 0 && how->is_layer && S_ISREG(st.st_mode))
		status = copy_xattrs(from, to, name);
	return status;
}

static int copy_folder(const struct rootfs_copying *how, int from, int to, int depth)
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
			status = copy_entry(how, from, to, e->d_name, depth);
	}
	if (status == 0 && errno)
		status = -errno;
	(void) closedir(folder); /* nothing was written */
	return status;
}

int rootfs_empty(int folder, const char *but)
{
	return remove_below(folder, but, 0);
}

int rootfs_copy(const struct rootfs_copying *how, int from, int to, const char *name,
		struct co_err *err)
{
	struct stat st;
	int status = copy_folder(how, from, to, 0);

	if (status == 0 && (how->is_layer || how->top))
		status = fstat(from, &st) < 0 ? -errno : copy_stat(how, to, ".", &st);
	return status == 0 ? 0 : co_fail_errno(err, -status, "cannot copy %s", name);
}
