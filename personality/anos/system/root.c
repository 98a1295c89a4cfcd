/* SPDX-License-Identifier: MIT */
/* The files of "boot:".  HOST. */
#include "personality/anos/system/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <co/limits.h>

#include "lib/cleanup.h"
#include "personality/anos/system/image.h"

enum { OPEN_ATTEMPTS = 16 };

/*
 * Nothing that the name goes through may lead out of the folder.  EAGAIN: something was
 * renamed meanwhile, and the kernel cannot tell.
 */
static int open_beneath(int folder, const char *name)
{
	/* O_NONBLOCK: a FIFO would keep us waiting before it is found to be one */
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < OPEN_ATTEMPTS; i++) {
		fd = syscall(SYS_openat2, folder, name, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int) fd;
}

static const char *below(const char *name)
{
	while (*name == '/')
		name++;
	return name;
}

/* A regular file of the folder, or -1. */
static int file_open(const struct anos_root *root, const char *name, struct stat *st)
{
	int fd;

	if (!*name)
		return -1;
	fd = open_beneath(root->fd, name);
	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	(void) close(fd); /* it was only looked at */
	errno = EACCES;
	return -1;
}

int anos_root_open(struct anos_root *root, const char *path, struct co_err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	autoclose int probe = -1;
	struct stat st;
	int rc = 0;

	*root = (struct anos_root){ .fd = -1 };
	if (fd < 0 || fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot open the root %s", path);
	if (S_ISREG(st.st_mode)) {
		rc = anos_image_read(root, fd, path, err);
	} else if (S_ISDIR(st.st_mode)) {
		probe = open_beneath(fd, ".");
		if (probe < 0)
			rc = co_fail_errno(
				err, errno,
				"cannot open the root %s: the kernel does not keep "
				"names inside a folder (openat2, Linux 5.6); use an "
				"image instead",
				path);
	} else {
		rc = co_fail(
			err, CO_INVALID,
			"cannot open the root %s: it is neither a folder nor a file",
			path);
	}
	if (!rc)
		root->fd = take_fd(fd);
	return rc;
}

void anos_root_close(struct anos_root *root)
{
	if (root->fd >= 0)
		(void) close(root->fd); /* it was only read */
	free(root->files);
	*root = (struct anos_root){ .fd = -1 };
}

int64_t anos_root_size(const struct anos_root *root, const char *name)
{
	const struct anos_image_file *file;
	struct stat st;
	int fd;

	name = below(name);
	if (root->files) {
		file = anos_image_find(root, name);
		return file ? (int64_t) file->length : -1;
	}
	fd = file_open(root, name, &st);
	if (fd < 0)
		return -1;
	(void) close(fd); /* it was only looked at */
	return st.st_size;
}

static ssize_t read_some(int fd, void *to, size_t n, uint64_t offset)
{
	size_t done = 0;

	if (offset > INT64_MAX - n)
		return 0;
	while (done < n) {
		ssize_t got = pread(fd, (char *) to + done, n - done,
				    (off_t) (offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		done += (size_t) got;
	}
	return (ssize_t) done;
}

ssize_t anos_root_read(const struct anos_root *root, const char *name, uint64_t offset,
		       void *to, size_t n)
{
	const struct anos_image_file *file;
	autoclose int fd = -1;
	struct stat st;

	name = below(name);
	if (!root->files) {
		fd = file_open(root, name, &st);
		return fd < 0 ? -1 : read_some(fd, to, n, offset);
	}
	file = anos_image_find(root, name);
	if (!file)
		return -1;
	if (offset >= file->length)
		return 0;
	if (n > file->length - offset)
		n = (size_t) (file->length - offset);
	return read_some(root->fd, to, n, file->start + offset);
}

/* A part of the image as a file of its own. */
static int copy_out(const struct anos_root *root, const struct anos_image_file *file,
		    int *out_fd)
{
	autoclose int fd =
		memfd_create("anos-program", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	off_t from = (off_t) file->start;
	uint64_t left = file->length;

	if (fd < 0)
		return errno;
	while (left) {
		ssize_t n = sendfile(fd, root->fd, &from, (size_t) left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : EIO; /* the image was cut off meanwhile */
		left -= (uint64_t) n;
	}
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0)
		return errno;
	*out_fd = take_fd(fd);
	return 0;
}

int anos_root_descriptor(const struct anos_root *root, const char *name, int *out_fd,
			 struct co_err *err)
{
	const struct anos_image_file *file;
	struct stat st;
	int rc;

	name = below(name);
	if (!root->files) {
		*out_fd = file_open(root, name, &st);
		return *out_fd >= 0 ? 0
				    : co_fail_errno(err, *name ? errno : ENOENT,
						    "cannot open boot:/%s", name);
	}
	file = anos_image_find(root, name);
	if (!file)
		return co_fail(err, CO_NOT_FOUND,
			       "cannot open boot:/%s: the image has no such file",
			       name);
	if (file->length > CO_LIMIT_ANOS_PROGRAM)
		return co_fail(err, CO_TOO_BIG,
			       "cannot start boot:/%s: it is longer than %d bytes",
			       name, CO_LIMIT_ANOS_PROGRAM);
	rc = copy_out(root, file, out_fd);
	return rc ? co_fail_errno(err, rc, "cannot read boot:/%s", name) : 0;
}
