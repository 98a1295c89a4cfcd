/* SPDX-License-Identifier: MIT */
/* Starts the service of images.  HOST. */
#ifndef CO_IMAGES_H
#define CO_IMAGES_H

#include "lib/err.h"

struct daemon;

/* loaded(d, status, reason) when the index has been read; an index that cannot be read is
 * logged and no reason not to go on. */
int images_start(struct daemon *d,
		 void (*loaded)(void *arg, int status, const char *reason),
		 struct co_err *err);

#endif
