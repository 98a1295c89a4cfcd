/* SPDX-License-Identifier: MIT */
/*
 * What is read of an ELF file to find its sites: code, unwind tables, symbols.  HOST.
 * Called on the scanner's threads.
 *
 * Every byte is somebody else's: sizes and offsets are held against the file and against
 * limits.def, and everything is copied, since a mapped file can be truncated by anybody.
 */
#ifndef CO_SITES_IMAGE_H
#define CO_SITES_IMAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Part of the digest: to be raised when the scanner's answer to some file changes. */
#define SITES_REVISION 1U

enum { SITES_CODE_RANGES = 16, SITES_BUILD_ID = 32 };

/* Where bytes come from: a descriptor, or memory in tests. */
struct sites_source {
	/* Exactly n bytes at that offset: 0 or a negative status. */
	int (*read)(void *ctx, uint64_t offset, void *to, size_t n);
	void *ctx;
	uint64_t size;
	const atomic_bool *stop; /* set: the work is given up with CO_INTERRUPTED */
};

/* A part of the file, and where it is in memory. */
struct sites_range {
	uint64_t offset, vaddr, size;
	unsigned char *bytes;
};

struct sites_span {
	uint64_t start, end; /* addresses */
};

struct sites_image {
	uint8_t bits; /* 64 or 32 */
	uint8_t build_id_size;
	uint8_t build_id[SITES_BUILD_ID];
	uint64_t digest[2]; /* of all that has been read */
	struct sites_range code[SITES_CODE_RANGES];
	unsigned ncode;
	struct sites_range unwind;   /* .eh_frame; size 0: there is none */
	struct sites_span *sections; /* of code, sorted */
	size_t nsections;
	uint64_t *starts; /* addresses of functions by symbol, sorted */
	size_t nstarts;
};

/*
 * Reads what is needed.  `key` (16 bytes) is the secret of the digest.  0; CO_UNSUPPORTED
 * with a sentence when the file is no ELF program of x86 or breaks a bound;
 * CO_INTERRUPTED, CO_IO, CO_NO_MEMORY.  sites_image_done also after a failure.
 */
int sites_image_read(struct sites_image *out, const struct sites_source *source,
		     const uint8_t *key, struct co_err *err);
void sites_image_done(struct sites_image *image);

#endif
