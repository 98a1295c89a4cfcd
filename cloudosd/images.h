/* SPDX-License-Identifier: MIT */
/* Starts the service of images.  HOST. */
#ifndef CO_IMAGES_H
#define CO_IMAGES_H

#include "lib/err.h"

struct daemon;

int images_start(struct daemon *d, struct co_err *err);

/* Reads the index, then loaded(d, 0, ""): one that cannot be read is logged and no reason
 * not to go on. */
void images_begin(struct daemon *d,
		  void (*loaded)(void *arg, int status, const char *reason));

#endif
