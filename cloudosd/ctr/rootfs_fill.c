/* SPDX-License-Identifier: MIT */
/*
 * Volumes that begin as what the image has in their place.  HOST, inside.
 *
 * Done by the container's own root before its program runs, so that owners are right
 * whatever the maps are.  A file in the volume says that it is being filled: locked by who
 * does it, removed when all is there.  With a byte in it, whoever filled the volume was
 * killed over it, and it is begun anew; without one nobody had begun.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

#define MARK ".cloudos-filling"

enum { TRIES = 1000, PAUSE_MS = 20 };

/* 1: nothing is in it but our mark (and that counts, if it may); 0: something is. */
static int is_fresh(int folder, bool mark_counts)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool other = false, mark = false;

	if (!list) {
		int status = -errno;

		if (fd >= 0)
			(void) close(fd); /* nothing was written */
		return status;
	}
	while ((e = readdir(list))) {
		mark |= strcmp(e->d_name, MARK) == 0;
		other |= strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			 strcmp(e->d_name, MARK) != 0 &&
			 strcmp(e->d_name, "lost+found") != 0;
	}
	(void) closedir(list); /* nothing was written */
	return (mark && mark_counts) || !other;
}

/* Whose program holds it may be another container's: not for ever, then. */
static int lock(int fd)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };

	for (int i = 0; i < TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		(void) nanosleep(&pause, NULL); /* shorter is as well */
	}
	return -EBUSY;
}

static int fill(int from, int to, const char *name, struct co_err *err)
{
	static const struct rootfs_copying how = { .top = true };
	autoclose int image = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status;

	if (image < 0)
		return co_fail_errno(err, errno, "cannot read %s of the image", name);
	status = rootfs_copy(&how, image, to, name, err);
	if (status < 0)
		(void) rootfs_empty(to, MARK); /* the next one begins anew anyway */
	if (status == 0 && unlinkat(to, MARK, 0) < 0)
		status =
			co_fail_errno(err, errno, "cannot fill the volume at %s", name);
	return status;
}

/* With the lock: is there anything to be done?  1, 0, or a negative errno. */
static int begin(int to, int mark)
{
	struct stat st;
	int fresh;

	if (fstat(mark, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return 0; /* it has been done meanwhile */
	if (st.st_size > 0) {
		fresh = rootfs_empty(to, MARK);
		return fresh < 0 ? fresh : 1;
	}
	fresh = is_fresh(to, false);
	if (fresh == 0)
		(void) unlinkat(to, MARK, 0); /* likewise, before we made the mark */
	else if (fresh > 0 && write(mark, "1", 1) != 1)
		return -errno;
	return fresh;
}

int rootfs_fill(int from, int to, const char *name, struct co_err *err)
{
	autoclose int mark = -1;
	int status = is_fresh(to, true);

	if (status == 0)
		return 0;
	if (status > 0)
		mark = openat(to, MARK,
			      O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			      0600);
	/* a file system whose ids cannot be mapped: nobody writes there, and that was told */
	if (status > 0 && mark < 0 &&
	    (errno == EACCES || errno == EPERM || errno == EOVERFLOW || errno == EROFS))
		return 0;
	if (status > 0)
		status = mark < 0 ? -errno : lock(mark);
	if (status == -EBUSY)
		return co_fail(
			err, CO_BUSY,
			"another container has been filling the volume at %s for "
			"%d seconds",
			name, TRIES * PAUSE_MS / 1000);
	if (status == 0)
		status = begin(to, mark);
	if (status < 0)
		return co_fail_errno(err, -status, "cannot fill the volume at %s",
				     name);
	return status > 0 ? fill(from, to, name, err) : 0;
}
