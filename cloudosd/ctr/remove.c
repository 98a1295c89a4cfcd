/* SPDX-License-Identifier: MIT */
/* Removing what a container has made.  HOST. */
#include "cloudosd/ctr/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A container makes trees as deep as it likes: what is deeper than DEEP is moved to the top,
 * so that neither descriptors nor the stack run out. */
struct removing {
	int top;
	unsigned moved;
};

enum { DEEP = 32 };

static int remove_at(struct removing *r, int parent, const char *name, int depth);

/* Takes fd.  Until nothing is found: at the top there may be more meanwhile. */
static int remove_below(struct removing *r, int fd, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	bool found = true;
	int failed = 0;

	if (!dir) {
		(void) close(fd); /* a folder */
		return errno;
	}
	while (!failed && found) {
		found = false;
		rewinddir(dir);
		while (!failed && (entry = readdir(dir))) {
			if (strcmp(entry->d_name, ".") == 0 ||
			    strcmp(entry->d_name, "..") == 0)
				continue;
			failed = remove_at(r, dirfd(dir), entry->d_name, depth + 1);
			found = true;
		}
	}
	(void) closedir(dir); /* read only */
	return failed;
}

static int move_up(struct removing *r, int parent, const char *name)
{
	char fresh[32];

	if (fchmodat(parent, name, 0700, 0) < 0)
		return errno == ENOENT ? 0 : errno; /* its owner cannot be told */
	do {
		(void) snprintf(fresh, sizeof(fresh), "deep.%u", r->moved++);
		if (renameat(parent, name, r->top, fresh) == 0 || errno == ENOENT)
			return 0;
	} while (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR);
	return errno;
}

/* 0 or an errno.  What another process makes there meanwhile is its own trouble. */
static int remove_at(struct removing *r, int parent, const char *name, int depth)
{
	int fd, failed;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM && errno != EACCES)
		return errno;
	if (depth > DEEP)
		return move_up(r, parent, name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (depth == 0)
		r->top = fd;
	failed = remove_below(r, fd, depth);
	if (failed)
		return failed;
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

int ctr_remove_tree(const char *path, struct co_err *err)
{
	struct removing r = { .top = -1 };
	int failed = remove_at(&r, AT_FDCWD, path, 0);

	return failed ? co_fail_errno(err, failed, "cannot remove %s", path) : 0;
}
