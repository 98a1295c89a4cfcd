/* SPDX-License-Identifier: MIT */
/* What is mapped in this process.  HOST. */
#include "tests/fuzz/maps.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void maps_read(struct memory *out)
{
	static char text[1 << 20];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t) got;
	(void) close(fd); /* only read from */
	text[used] = '\0';
	out->n = 0;
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		struct region *r = &out->regions[out->n];
		char *at, *end = strchr(line, '\n');

		if (memmem(line, (size_t) (end - line), "[stack]", 7) ||
		    memmem(line, (size_t) (end - line), "[heap]", 6))
			continue; /* they grow on their own */
		r->from = strtoull(line, &at, 16);
		r->to = strtoull(at + 1, &at, 16);
		memcpy(r->rights, at + 1, 4);
		(void) strtoull(at + 6, &at, 16); /* the offset follows from the rest */
		r->file = strtoull(at + 7, NULL, 10);
		if (++out->n == MAPS_REGIONS)
			abort();
	}
}

bool maps_covers(const struct memory *memory, uint64_t from, uint64_t to,
		 const struct region *like)
{
	for (size_t i = 0; i < memory->n && from < to; i++) {
		const struct region *r = &memory->regions[i];

		if (from >= r->from && from < r->to && r->file == like->file &&
		    !strcmp(r->rights, like->rights))
			from = r->to;
	}
	return from >= to;
}

/* From `at` to the next region, or past the one that it is in. */
static uint64_t next_free(const struct memory *memory, uint64_t at, uint64_t *end)
{
	for (size_t i = 0; i < memory->n; i++) {
		const struct region *r = &memory->regions[i];

		if (at >= r->from && at < r->to)
			at = r->to;
		else if (r->from > at && r->from < *end)
			*end = r->from;
	}
	return at;
}

void maps_unmap_new(const struct memory *before, const struct memory *after,
		    uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < after->n; i++) {
		const struct region *r = &after->regions[i];
		uint64_t from = r->from > start ? r->from : start;
		uint64_t to = r->to < end ? r->to : end;

		while (from < to) {
			uint64_t until = to;

			from = next_free(before, from, &until);
			if (from < until)
				(void) munmap((void *) from, until - from); /* new */
			from = until;
		}
	}
}
