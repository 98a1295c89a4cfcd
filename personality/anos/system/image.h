/* SPDX-License-Identifier: MIT */
/*
 * The image format of Anos' boot file system.  HOST.  Who calls it: root.c.
 *
 *	0   u32 magic 0x0101CA75, u32 version 10, u64 size, u64 count, u64 reserved
 *	32  count entries: u64 start, counted from this entry; u64 length; char name[16]
 */
#ifndef ANOS_SYSTEM_IMAGE_H
#define ANOS_SYSTEM_IMAGE_H

#include "personality/anos/system/root.h"

/*
 * Reads header and table of the image on fd and checks all of it: every file lies inside
 * the image, every name is terminated.  Allocates root->files, never NULL when 0 comes
 * back.  CO_CORRUPT, CO_TOO_BIG, CO_IO, CO_NO_MEMORY.
 */
int anos_image_read(struct anos_root *root, int fd, const char *path,
		    struct co_err *err);

const struct anos_image_file *anos_image_find(const struct anos_root *root,
					      const char *name);

#endif
