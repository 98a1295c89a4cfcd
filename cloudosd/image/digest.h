/* SPDX-License-Identifier: MIT */
/* SHA-256, by libnettle: what names every blob, layer and image.  HOST. */
#ifndef IMAGE_DIGEST_H
#define IMAGE_DIGEST_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/image_name.h"
#include "lib/span.h"

/* "sha256:" and 64 digits, as text: digests are compared as such. */
struct digest {
	char text[CO_IMAGE_ID_SIZE];
};

static inline const char *digest_hex(const struct digest *d)
{
	return d->text + strlen("sha256:");
}

/* CO_INVALID: it is none, or of another algorithm, and the sentence says so. */
int digest_parse(struct co_span text, struct digest *out, struct co_err *err);

bool digest_equal(const struct digest *a, const struct digest *b);

struct hasher {
	struct sha256_ctx sha;
	uint64_t bytes;
};

void hasher_init(struct hasher *h);
void hasher_add(struct hasher *h, const void *data, size_t n);
void hasher_end(struct hasher *h, struct digest *out);

void digest_of(const void *data, size_t n, struct digest *out);

/*
 * Reads fd from where it is to its end, at most `most` bytes, and writes the same to `copy`
 * unless that is -1.  CO_TOO_BIG, CO_IO, CO_NO_SPACE; `what` is for the sentence.
 */
int digest_stream(int fd, int copy, uint64_t most, const char *what, struct digest *out,
		  uint64_t *out_size, struct co_err *err);

#endif
