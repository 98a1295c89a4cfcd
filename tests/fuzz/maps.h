/* SPDX-License-Identifier: MIT */
/* What is mapped in this process, for targets that load programs into it.  HOST. */
#ifndef CO_FUZZ_MAPS_H
#define CO_FUZZ_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPS_REGIONS 4096

struct region {
	uint64_t from, to, file;
	char rights[5];
};

struct memory {
	struct region regions[MAPS_REGIONS];
	size_t n;
};

void maps_read(struct memory *out);

/* Is [from, to) there, as `like` is? */
bool maps_covers(const struct memory *memory, uint64_t from, uint64_t to,
		 const struct region *like);

/* Takes away what is new between start and end. */
void maps_unmap_new(const struct memory *before, const struct memory *after,
		    uint64_t start, uint64_t end);

#endif
