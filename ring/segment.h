/* SPDX-License-Identifier: MIT */
/*
 * Making and mapping segments (include/co/ring.h) in programs with a libc.  HOST.
 */
#ifndef RING_SEGMENT_H
#define RING_SEGMENT_H

#include <stddef.h>

/*
 * All zeros, writable for this mapping alone, and sealed; not inherited by children.
 * *out_fd: close-on-exec, to hand over.  NULL and errno.
 */
void *ring_segment_new(const char *name, size_t size, int *out_fd);

/* Somebody else's: NULL and EPERM if its seals or its size are not as they have to be. */
const void *ring_segment_map(int fd, size_t size);

#endif
