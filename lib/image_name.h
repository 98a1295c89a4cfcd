/* SPDX-License-Identifier: MIT */
/*
 * Names of images: "busybox", "busybox:1.35", "registry.example:5000/team/app:v2".  HOST.
 * Who calls it: cloudos-image and the service of images, which must agree.
 */
#ifndef CO_IMAGE_NAME_H
#define CO_IMAGE_NAME_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/span.h"

enum { CO_IMAGE_NAME_SIZE = 384, CO_IMAGE_ID_SIZE = 72 };

/*
 * The name in full: with its tag ("latest" if it has none), without the "docker.io/" and
 * "library/" that other tools put in front.  CO_INVALID and a sentence.
 */
int co_image_name(struct co_span text, char out[CO_IMAGE_NAME_SIZE],
		  struct co_err *err);

/* "sha256:" and 64 digits in lower case? */
bool co_image_is_digest(struct co_span text);

/* The digits of an id or of a beginning of one (at least 4), without "sha256:"; false: it
 * cannot be one. */
bool co_image_id_digits(struct co_span text, struct co_span *out_digits);

#endif
