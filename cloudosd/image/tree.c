/* SPDX-License-Identifier: MIT */
/* Making files below a folder, by paths that a stranger has written.  HOST. */
#include "cloudosd/image/tree.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/image/remove.h"
#include "lib/cleanup.h"

void tree_init(struct tree *t, int root)
{
	*t = (struct tree){ .root = root, .parent_fd = -1 };
}

static void forget_parent(struct tree *t)
{
	if (t->parent_fd >= 0)
		(void) close(t->parent_fd); /* a path */
	t->parent_fd = -1;
	free(t->parent);
	t->parent = NULL;
	t->stale = false;
}

void tree_done(struct tree *t)
{
	forget_parent(t);
}

/* ---- paths ---- */

static int refuse(const char *path, const char *why, struct co_err *err)
{
	return co_fail(err, CO_INVALID, "the path \"%.200s\" %s: not taken", path, why);
}

/* Parts between slashes, without "." and empty ones. */
static int normal(const char *path, char out[4096], struct co_err *err)
{
	unsigned depth = 0;
	size_t at = 0;

	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return refuse(path, "has \"..\" in it", err);
		if (n > 255)
			return refuse(path, "has a name of more than 255 bytes", err);
		if (n && !(n == 1 && *path == '.')) {
			if (at + n + 2 > 4096)
				return refuse(path, "is too long", err);
			if (++depth > CO_LIMIT_IMAGE_DEPTH)
				return refuse(out, "is too deep", err);
			if (at)
				out[at++] = '/';
			memcpy(out + at, path, n);
			at += n;
			out[at] = '\0';
		}
		path += n + (path[n] == '/');
	}
	out[at] = '\0';
	return 0;
}

static int open_in_root(const struct tree *t, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
					   (t->mounts ? 0 : RESOLVE_NO_XDEV) };
	int fd;

	/* EAGAIN: something was renamed meanwhile; nothing of ours does that for long */
	for (int i = 0; i < 16; i++) {
		fd = (int) syscall(SYS_openat2, t->root, *path ? path : ".", &how,
				   sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

bool tree_look(const struct tree_place *place, struct stat *out)
{
	return fstatat(place->folder, *place->name ? place->name : ".", out,
		       AT_SYMLINK_NOFOLLOW) == 0;
}

bool tree_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static int parent_failed(const char *path, int errnum, struct co_err *err)
{
	if (errnum == ENOSYS)
		return co_fail(err, CO_UNSUPPORTED,
			       "this kernel has no openat2 (Linux 5.6), without which "
			       "images cannot be unpacked safely");
	return co_fail_errno(err, errnum, "cannot go into \"%.200s\" of the image",
			     path);
}

/* Makes one part below the folder, unless there is a folder (or a link to one). */
static int make_part(struct tree *t, int folder, const char *path, const char *name,
		     struct co_err *err)
{
	struct tree_place place = { .folder = folder };
	struct stat st;
	int r;

	(void) snprintf(place.name, sizeof(place.name), "%s", name);
	(void) snprintf(place.path, sizeof(place.path), "%s", path);
	if (tree_look(&place, &st) && !tree_is_whiteout(&st))
		return 0; /* going into it will say whether that can be done */
	r = tree_folder(t, &place, err);
	return r || !t->implied ? r : t->implied(t->arg, path, err);
}

/* The slow way: part by part. */
static int make_parents(struct tree *t, const char *parent, int *out,
			struct co_err *err)
{
	char path[4096];
	size_t at = 0;

	for (;;) {
		size_t n = strcspn(parent + at, "/");
		autoclose int above = -1;
		char name[256];
		int r;

		memcpy(path, parent, at);
		path[at ? at - 1 : 0] = '\0';
		above = open_in_root(t, path);
		if (above < 0)
			return parent_failed(path, errno, err);
		(void) snprintf(name, sizeof(name), "%.*s", (int) n, parent + at);
		memcpy(path, parent, at + n);
		path[at + n] = '\0';
		r = make_part(t, above, path, name, err);
		if (r)
			return r;
		if (!parent[at + n])
			break;
		at += n + 1;
	}
	*out = open_in_root(t, parent);
	return *out < 0 ? parent_failed(parent, errno, err) : 0;
}

static int open_parent(struct tree *t, const char *parent, bool make,
		       struct co_err *err)
{
	int fd, r;

	if (t->parent && !t->stale && strcmp(t->parent, parent) == 0)
		return 0;
	forget_parent(t);
	fd = open_in_root(t, parent);
	if (fd < 0 && !(make && (errno == ENOENT || errno == ENOTDIR)))
		return parent_failed(parent, errno, err);
	if (fd < 0) {
		r = make_parents(t, parent, &fd, err);
		if (r)
			return r;
	}
	t->parent = strdup(parent);
	if (!t->parent) {
		(void) close(fd); /* a path */
		return co_fail(err, CO_NO_MEMORY, "no memory for a path");
	}
	t->parent_fd = fd;
	return 0;
}

int tree_place(struct tree *t, const char *path, bool make, struct tree_place *out,
	       struct co_err *err)
{
	char parent[4096] = "";
	const char *slash;
	int r = normal(path, out->path, err);

	if (r)
		return r;
	slash = strrchr(out->path, '/');
	if (slash) {
		memcpy(parent, out->path, (size_t) (slash - out->path));
		parent[slash - out->path] = '\0';
	}
	/* 255 bytes at most, as was checked */
	(void) snprintf(out->name, sizeof(out->name), "%.255s",
			slash ? slash + 1 : out->path);
	r = open_parent(t, parent, make, err);
	out->folder = t->parent_fd;
	return r;
}

/* ---- things ---- */

int tree_clear(struct tree *t, const struct tree_place *place, struct co_err *err)
{
	struct stat st;
	int r;

	if (!tree_look(place, &st))
		return 0;
	if (!*place->name)
		return refuse("/", "is a folder and cannot be replaced", err);
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(place->folder, place->name, 0))
			return co_fail_errno(err, errno, "cannot replace \"%.200s\"",
					     place->path);
		t->stale = t->stale || S_ISLNK(st.st_mode);
		return 0;
	}
	t->stale = true;
	r = remove_tree(place->folder, place->name, NULL);
	return r ? co_fail_errno(err, -r, "cannot replace \"%.200s\"", place->path) : 0;
}

int tree_folder(struct tree *t, const struct tree_place *place, struct co_err *err)
{
	bool hides = false;
	struct stat st;

	if (tree_look(place, &st)) {
		if (S_ISDIR(st.st_mode))
			return 0;
		hides = tree_is_whiteout(&st);
		t->stale = true;
		if (unlinkat(place->folder, place->name, 0))
			return co_fail_errno(err, errno, "cannot replace \"%.200s\"",
					     place->path);
	}
	if (mkdirat(place->folder, place->name, 0755))
		return co_fail_errno(err, errno, "cannot make the folder \"%.200s\"",
				     place->path);
	return hides && t->opaque ? t->opaque(t->arg, place->path, err) : 0;
}
