/* SPDX-License-Identifier: MIT */
/*
 * A folder into a tar archive.  HOST.
 *
 * Names are sorted and nothing of the moment goes in, so that the same folder is the same
 * archive.  Nothing is opened but folders and plain files, no link is followed, and other
 * file systems that are mounted below are left out.
 */
#ifndef IMAGE_PACK_H
#define IMAGE_PACK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

struct pack {
	int fd; /* the archive goes there */
	const char *what;
	bool gzip;
	bool marks; /* whiteouts and opaque folders of an overlay become .wh. names */
	uint32_t id_shift;  /* owners from there on are 0, 1, 2 ... in the archive */
	const char *prefix; /* in front of all names; NULL: none */
	const char *only;   /* one name in the folder; NULL: all of it */
};

/* root: the folder.  out_bytes (may be NULL): of the files. */
int pack_folder(const struct pack *p, int root, uint64_t *out_bytes,
		struct co_err *err);

#endif
