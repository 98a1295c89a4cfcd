/* SPDX-License-Identifier: MIT */
/*
 * Paths of an image.  HOST.
 *
 * Each is resolved by the kernel with the container's root as its root and without the
 * links of /proc, so what somebody swaps for a link meanwhile changes where inside we
 * arrive, never whether it is inside.  What is missing is made one name at a time below a
 * descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

enum {
	INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	LINKS = 40,       /* followed by hand because they lead to what is missing */
	PATH_SIZE = 4096, /* as the kernel's PATH_MAX */
	AGAIN = 128,      /* EAGAIN: something was renamed meanwhile */
};

int rootfs_openat2(int at, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };

	for (int i = 0;; i++) {
		int fd = (int) syscall(SYS_openat2, at, path, &how, sizeof(how));

		if (fd >= 0 || errno != EAGAIN || i == AGAIN)
			return fd;
	}
}

bool rootfs_path_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static int is_wanted(int fd, const char *path, enum rootfs_want want,
		     struct co_err *err)
{
	struct stat st;

	if (want == ROOTFS_ANY)
		return 0;
	if (fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot look at %s of the container",
				     path);
	if (want == ROOTFS_FOLDER && !S_ISDIR(st.st_mode))
		return co_fail(err, CO_NOT_DIR,
			       "%s of the image is no folder, so nothing that is one "
			       "can be mounted there",
			       path);
	if (want == ROOTFS_FILE && S_ISDIR(st.st_mode))
		return co_fail(err, CO_IS_DIR,
			       "%s of the image is a folder, so no file can be "
			       "mounted there",
			       path);
	return 0;
}

/* Makes `name` in `folder`: 0, or a negative errno. */
static int make_one(int folder, const char *name, bool is_folder)
{
	int fd;

	if (is_folder)
		return mkdirat(folder, name, 0755) < 0 ? -errno : 0;
	fd = openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return -errno;
	(void) close(fd); /* nothing was written */
	return 0;
}

/* Puts what the link at `name` in `folder` says in the place of the first `used` bytes of
 * path.  0, or a negative errno. */
static int follow(int folder, const char *name, char path[PATH_SIZE], size_t start,
		  size_t used)
{
	char target[PATH_SIZE], rest[PATH_SIZE];
	ssize_t n = readlinkat(folder, name, target, sizeof(target) - 1);
	int written;

	if (n < 0)
		return -errno;
	target[n] = 0;
	memcpy(rest, path + used, strlen(path + used) + 1);
	if (target[0] == '/')
		start = 0;
	written = snprintf(path + start, PATH_SIZE - start, "%s%s", target, rest);
	return written < 0 || (size_t) written >= PATH_SIZE - start ? -ENAMETOOLONG : 0;
}

/*
 * Makes the first name of path that is missing.  0: made, or somebody else did; -EAGAIN:
 * a link led to nothing, path has been changed; another negative errno.
 */
static int make_missing(int root, char path[PATH_SIZE], enum rootfs_want want)
{
	autoclose int folder = rootfs_openat2(root, ".", O_PATH | O_DIRECTORY, INSIDE);
	size_t at = 0;

	while (folder >= 0) {
		size_t start = at + strspn(path + at, "/");
		size_t end = start + strcspn(path + start, "/");
		bool is_last = path[end + strspn(path + end, "/")] == 0;
		char prefix[PATH_SIZE], name[256];
		int next, status;

		if (end == start)
			return 0; /* all of it is there */
		if (end - start >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path + start, end - start);
		name[end - start] = 0;
		memcpy(prefix, path, end);
		prefix[end] = 0;
		next = rootfs_openat2(root, prefix, O_PATH, INSIDE);
		if (next >= 0) {
			(void) close(folder); /* O_PATH */
			folder = next;
			at = end;
			continue;
		}
		if (errno != ENOENT)
			return -errno;
		status = make_one(folder, name, !is_last || want == ROOTFS_FOLDER);
		if (status != -EEXIST)
			return status;
		status = follow(folder, name, path, start, end);
		/* no link any more, or none ever: somebody was faster */
		return status == -EINVAL || status == -ENOENT ? 0
		       : status < 0                           ? status
							      : -EAGAIN;
	}
	return -errno;
}

int rootfs_open(int root, const char *path, enum rootfs_want want, int *out,
		struct co_err *err)
{
	char now[PATH_SIZE];
	int links = 0;

	if (snprintf(now, sizeof(now), "%s", path) >= (int) sizeof(now))
		return co_fail(err, CO_NAME_TOO_LONG,
			       "a path in the container is longer than %d bytes",
			       PATH_SIZE - 1);
	for (int i = 0; i < PATH_SIZE; i++) {
		autoclose int fd = rootfs_openat2(root, now, O_PATH, INSIDE);
		int status;

		if (fd >= 0) {
			status = is_wanted(fd, path, want, err);
			if (status == 0)
				*out = take_fd(fd);
			return status;
		}
		if (want == ROOTFS_ANY && (errno == ENOENT || errno == ENOTDIR))
			return CO_NOT_FOUND;
		if (errno != ENOENT)
			return co_fail_errno(err, errno,
					     "cannot open %s of the container", path);
		status = make_missing(root, now, want);
		if (status == -EAGAIN && ++links > LINKS)
			status = -ELOOP;
		if (status < 0 && status != -EAGAIN)
			return co_fail_errno(err, -status,
					     "cannot make %s in the container's root",
					     path);
	}
	return co_fail(err, CO_BUSY,
		       "%s in the container's root is being changed by somebody else",
		       path);
}

int rootfs_check_root(int root, struct co_err *err)
{
	static const char *const names[] = { "dev", "proc", "sys" };

	for (size_t i = 0; i < co_countof(names); i++) {
		struct stat st;

		if (fstatat(root, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return co_fail_errno(err, errno,
					     "cannot look at /%s of the image",
					     names[i]);
		}
		if (!S_ISDIR(st.st_mode))
			return co_fail(err, CO_ACCESS,
				       "/%s of the image is %s and no folder: such an "
				       "image is not run, it would make us write "
				       "somewhere else",
				       names[i],
				       S_ISLNK(st.st_mode) ? "a link" : "a file");
	}
	return 0;
}
