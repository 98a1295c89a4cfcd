/* SPDX-License-Identifier: MIT */
/*
 * Making files below a folder, by paths that a stranger has written.  HOST.
 *
 * The kernel resolves every path with the folder as its root (openat2, RESOLVE_IN_ROOT), so
 * neither "/" nor a symbolic link leads out of it; ".." is refused before.  The last part of
 * a path is never followed.
 */
#ifndef IMAGE_TREE_H
#define IMAGE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/err.h"

struct tree {
	int root;    /* borrowed */
	bool mounts; /* paths may lead through them: of a container that runs */
	/* The last parent, since archives go folder by folder. */
	char *parent;
	int parent_fd;
	bool stale; /* something that its path may have gone through is not there any more */
	/* A folder has taken the place of a whiteout, at that path: it hides what is below. */
	int (*opaque)(void *arg, const char *path, struct co_err *err);
	/* A folder was made only because something goes into it; may be NULL. */
	int (*implied)(void *arg, const char *path, struct co_err *err);
	void *arg;
};

void tree_init(struct tree *t, int root);
void tree_done(struct tree *t);

/* Where a path ends: the folder that it is in and its last part ("" for the root itself). */
struct tree_place {
	int folder; /* borrowed, until the next call */
	char name[256];
	char path[4096]; /* without "/" in front, "." parts and double slashes */
};

/*
 * Looks up the parent of a path; with `make`, folders that are missing are made (0755).
 * CO_INVALID for a path with "..", that is too long or too deep; CO_NOT_FOUND, CO_NOT_DIR.
 */
int tree_place(struct tree *t, const char *path, bool make, struct tree_place *out,
	       struct co_err *err);

/* What is there, not followed: false, nothing. */
bool tree_look(const struct tree_place *place, struct stat *out);
bool tree_is_whiteout(const struct stat *st);

/* Makes place for something new: removes what is there, a folder with all in it. */
int tree_clear(struct tree *t, const struct tree_place *place, struct co_err *err);

/* Makes a folder unless it is there. */
int tree_folder(struct tree *t, const struct tree_place *place, struct co_err *err);

#endif
