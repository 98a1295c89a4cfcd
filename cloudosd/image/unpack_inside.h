/* SPDX-License-Identifier: MIT */
/* Shared by the files of unpack.h.  HOST. */
#ifndef IMAGE_UNPACK_INSIDE_H
#define IMAGE_UNPACK_INSIDE_H

#include "cloudosd/image/stream.h"
#include "cloudosd/image/tree.h"
#include "cloudosd/image/unpack.h"

/* What a folder is to be when all is in it. */
struct unpack_later {
	char *path;
	size_t order;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
};

struct unpacking {
	const struct unpack *how;
	FILE *out;
	struct stream stream;
	struct tree tree;
	struct unpack_later *later;
	size_t later_count, later_room;
	char **implied; /* folders that no entry has said anything about yet */
	size_t implied_count, implied_room;
	uint64_t said, bytes, entries, devices, setuid, attributes;
};

/* Owner, extended attributes, mode and time of what is at place; fd is it, or -1 where there
 * are no extended attributes (links, pipes). */
int unpack_attributes(struct unpacking *u, struct archive_entry *e, int fd,
		      const struct tree_place *place, struct co_err *err);

int unpack_extended(struct unpacking *u, struct archive_entry *e, int fd,
		    struct co_err *err);

/* Of folders: noted, and given to all of them at the end, the deepest first. */
int unpack_folder_later(struct unpacking *u, struct archive_entry *e, const char *path,
			struct co_err *err);
int unpack_folders(struct unpacking *u, struct co_err *err);

/* tree.implied: noted, and told at the end unless an entry came for it. */
int unpack_implied(void *arg, const char *path, struct co_err *err);
void unpack_folders_done(struct unpacking *u);

#endif
