/* SPDX-License-Identifier: MIT */
/* Removing what an image has left on the disk.  HOST. */
#include "cloudosd/image/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST = 1024 };

static int remove_below(int folder, const char *name, unsigned depth, uint64_t *freed);

static int open_folder(int folder, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(folder, name, flags);

	/* an image may have folders that not even their owner may read */
	if (fd < 0 && errno == EACCES && fchmodat(folder, name, 0700, 0) == 0)
		fd = openat(folder, name, flags);
	return fd;
}

static int empty(int fd, unsigned depth, uint64_t *freed)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void) close(fd); /* only read */
		return r;
	}
	(void) fchmod(fd, 0700); /* failing that, unlinkat says it */
	while ((entry = readdir(dir))) {
		int one;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		one = remove_below(dirfd(dir), entry->d_name, depth + 1, freed);
		if (one)
			r = one;
	}
	(void) closedir(dir); /* only read */
	return r;
}

static int remove_below(int folder, const char *name, unsigned depth, uint64_t *freed)
{
	struct stat st;
	int fd, r;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(folder, name, 0) && errno != ENOENT)
			return -errno;
		if (freed && st.st_nlink == 1)
			*freed += (uint64_t) st.st_blocks * 512;
		return 0;
	}
	if (depth > DEEPEST)
		return -ELOOP;
	fd = open_folder(folder, name);
	if (fd < 0)
		return -errno;
	r = empty(fd, depth, freed);
	if (unlinkat(folder, name, AT_REMOVEDIR) && errno != ENOENT)
		r = r ? r : -errno;
	return r;
}

int remove_tree(int folder, const char *name, uint64_t *out_freed)
{
	return remove_below(folder, name, 0, out_freed);
}
