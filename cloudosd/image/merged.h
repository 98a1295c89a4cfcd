/* SPDX-License-Identifier: MIT */
/*
 * An image, and perhaps what a stopped container has changed, as its programs would see it:
 * laid upon each other in a process of its own.  HOST.
 */
#ifndef IMAGE_MERGED_H
#define IMAGE_MERGED_H

#include "cloudosd/image/depot.h"

struct merged {
	const struct co_image_record *image;
	const char *upper, *work; /* of a container; NULL: the image alone */
	int live;                 /* a pidfd instead: of a container that runs; 0 */
	const char *path;         /* in it; NULL: all of it */
	const char *what;         /* for sentences */
	int fd;                   /* an archive goes there, or comes from there */
	uint64_t most_bytes, most_entries;
	bool keep_owners;
};

/* A tar archive of path, whose name in it is the last part of that. */
int merged_pack(struct depot *d, const struct merged *m, struct co_err *err);

/* A tar archive into the folder path; upper and work are needed. */
int merged_unpack(struct depot *d, const struct merged *m, struct co_err *err);

#endif
