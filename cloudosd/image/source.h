/* SPDX-License-Identifier: MIT */
/*
 * Where the files of an image come from: a folder, or an archive that was taken apart.
 * HOST.
 */
#ifndef IMAGE_SOURCE_H
#define IMAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/image/depot.h"
#include "lib/buf.h"

struct source_member {
	char *name, *link; /* link NULL: it is the file of that number */
	unsigned file;
	uint64_t size;
};

struct source {
	const char *what; /* for sentences */
	struct depot *depot;
	int folder;
	char temp[64]; /* of an archive: its files; "" for a folder */
	struct source_member *at;
	size_t count, room;
};

/* path is a folder; its files are reached by no link. */
int source_folder(struct source *s, struct depot *d, const char *path,
		  struct co_err *err);

/* Takes the archive apart, in a process of its own. */
int source_archive(struct source *s, struct depot *d, int fd, const char *what,
		   uint64_t most_bytes, struct co_err *err);

void source_done(struct source *s);

bool source_has(const struct source *s, const char *name);

/* A file, open for reading; CO_NOT_FOUND names it. */
int source_open(const struct source *s, const char *name, int *out_fd,
		uint64_t *out_size, struct co_err *err);

/* A small one, whole; at most CO_LIMIT_IMAGE_JSON bytes. */
int source_text(const struct source *s, const char *name, struct co_buf *out,
		struct co_err *err);

/*
 * Makes a file a blob.  want (may be NULL): what it has to be, and of which size.  Says what
 * it is; out_known: the depot had it, and nothing was read.
 */
int source_blob(struct source *s, const char *name, const struct digest *want,
		const uint64_t *want_size, struct digest *out, bool *out_known,
		struct co_err *err);

#endif
