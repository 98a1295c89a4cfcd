/* SPDX-License-Identifier: MIT */
/*
 * The system calls that a personality's programs have answered, as ranges for a filter.
 * HOST.  Who calls it: cloudosd/ctr.
 */
#ifndef CO_LAUNCH_NUMBERS_H
#define CO_LAUNCH_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

struct launch_numbers {
	uint32_t first, last;
};

enum { LAUNCH_NUMBERS_MAX = 60 };

/*
 * Sorted ranges of the private numbers of that personality (at most LAUNCH_NUMBERS_MAX);
 * returns how many.  *out_index is what the daemon calls the personality.  0: there is
 * none of that name, or it has no numbers.
 */
size_t launch_numbers(const char *personality, struct launch_numbers *out,
		      uint32_t *out_index);

/* The same of Linux's own calls that such a program has answered; not those that open
 * files. */
size_t launch_caught_binds(const char *personality, struct launch_numbers *out,
			   uint32_t *out_index);

#endif
