/* SPDX-License-Identifier: MIT */
/* The marks by which an overlay knows what hides what is below.  HOST. */
#ifndef IMAGE_MARKS_H
#define IMAGE_MARKS_H

#include <stdbool.h>

#include "lib/err.h"

/* Is that extended attribute the overlay's own? */
bool mark_name(const char *name);

/* Does this folder hide what is below it, for overlays of root or of users? */
bool mark_is_opaque(int fd);

/* CO_UNSUPPORTED: it was renamed with redirect_dir, and what is in it is elsewhere. */
int mark_check(int fd, const char *path, struct co_err *err);

#endif
