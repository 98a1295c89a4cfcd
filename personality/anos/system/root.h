/* SPDX-License-Identifier: MIT */
/*
 * The files of "boot:": a folder, or an image as Anos' own boot file system has it.  HOST.
 *
 * A name is a path below the root; leading slashes mean nothing.  In a folder it never
 * leads out, whatever links and ".." are in the way: what would, is not found.  Only
 * regular files are found.  An image is checked whole when it is opened and read with
 * pread, so that a file that shrinks meanwhile gives short answers and no signal.
 *
 * Who calls it: the boot: driver and the launcher, which loads programs from it.  Safe
 * for several threads.
 */
#ifndef ANOS_SYSTEM_ROOT_H
#define ANOS_SYSTEM_ROOT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

struct anos_image_file {
	uint64_t start; /* in the image */
	uint64_t length;
	char name[16];
};

struct anos_root {
	int fd;
	struct anos_image_file *files; /* NULL: a folder */
	uint32_t count;
};

/* path: a folder or an image.  CO_NOT_FOUND, CO_ACCESS, CO_CORRUPT, CO_UNSUPPORTED... */
int anos_root_open(struct anos_root *root, const char *path, struct co_err *err);
void anos_root_close(struct anos_root *root);

/* Its bytes, or -1: there is no such file. */
int64_t anos_root_size(const struct anos_root *root, const char *name);

/*
 * Up to n bytes from an offset; past the end there are none.  Returns how many, or -1:
 * there is no such file, or it cannot be read.
 */
ssize_t anos_root_read(const struct anos_root *root, const char *name, uint64_t offset,
		       void *to, size_t n);

/*
 * A descriptor of the file alone, at its begin, close-on-exec: the file itself, or, from
 * an image, a sealed copy in memory.
 */
int anos_root_descriptor(const struct anos_root *root, const char *name, int *out_fd,
			 struct co_err *err);

#endif
