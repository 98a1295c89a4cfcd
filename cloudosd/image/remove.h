/* SPDX-License-Identifier: MIT */
/* Removing what an image has left on the disk.  HOST. */
#ifndef IMAGE_REMOVE_H
#define IMAGE_REMOVE_H

#include <stdint.h>

/*
 * Removes name below the folder fd, and all that is in it, never following a link and
 * whatever modes its folders have.  out_freed (may be NULL) gets the bytes of what was only
 * there added.  0 or a negative errno: something is left.
 */
int remove_tree(int folder, const char *name, uint64_t *out_freed);

#endif
