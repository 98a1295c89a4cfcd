/* SPDX-License-Identifier: MIT */
/* Writing all of it, or saying why not.  HOST. */
#ifndef IMAGE_IO_H
#define IMAGE_IO_H

#include <stddef.h>
#include <stdint.h>

/* 0 or a negative errno. */
int io_write(int fd, const void *data, size_t n);
int io_write_at(int fd, const void *data, size_t n, int64_t at);

#endif
