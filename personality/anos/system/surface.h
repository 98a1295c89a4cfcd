/* SPDX-License-Identifier: MIT */
/*
 * The display of an Anos machine: a memory file of 32-bit pixels (0x00RRGGBB), line after
 * line without anything between.  HOST.
 *
 * Its size is in its name, which /proc/PID/fd shows for every process that has it open;
 * so whoever may look at a machine's processes can find and read its display, and nothing
 * has to be kept about it anywhere.  Who calls it: cloudos-exec makes it, cloudosctl looks.
 */
#ifndef ANOS_SYSTEM_SURFACE_H
#define ANOS_SYSTEM_SURFACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

/* Of a fixed size, black, close-on-exec. */
int anos_surface_new(uint32_t width, uint32_t height, int *out_fd, struct co_err *err);

/* Is that link of /proc/PID/fd a display?  Then its size. */
bool anos_surface_name(const char *link, uint32_t *out_width, uint32_t *out_height);

/* The display of a process, opened for reading.  CO_NOT_FOUND, CO_ACCESS. */
int anos_surface_find(int32_t pid, int *out_fd, uint32_t *out_width,
		      uint32_t *out_height, struct co_err *err);

/* Writes what it shows now as a PNG image. */
int anos_surface_png(int fd, uint32_t width, uint32_t height, FILE *out,
		     struct co_err *err);

#endif
