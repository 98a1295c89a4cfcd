/* SPDX-License-Identifier: MIT */
/*
 * Finds the sites of an ELF file: from what has been read of it (image.h) to the rows of
 * its table (co/sites.h).  HOST.  Pure: no files, no threads.
 *
 * Backward decoding is ambiguous, so everything is decoded forward: from the beginning of
 * the function as the unwind table has it; where that has nothing, from the nearest
 * symbol, the section's or the segment's beginning.  Only functions in which the two
 * bytes of a system call occur are decoded at all.
 */
#ifndef CO_SITES_SCAN_H
#define CO_SITES_SCAN_H

#include <co/sites.h>

#include "cloudosd/sites/image.h"

struct sites_found {
	struct co_sites_row *rows; /* sorted by offset */
	uint32_t count;
	uint32_t candidates; /* pairs of bytes that looked like a system call */
	uint32_t sites;      /* of them system calls, with or without a row */
	uint32_t functions;  /* of the unwind table */
};

/*
 * 0; CO_UNSUPPORTED when a bound is broken or there is no decoder, CO_INTERRUPTED when
 * *stop was set, CO_NO_MEMORY.  sites_found_done also after a failure.
 */
int sites_scan(struct sites_found *out, const struct sites_image *image,
	       const atomic_bool *stop, struct co_err *err);
void sites_found_done(struct sites_found *found);

#endif
