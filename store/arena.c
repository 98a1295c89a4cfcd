/* SPDX-License-Identifier: MIT */
/* Memory of one request: allocated piece by piece, freed at once.  HOST. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	size_t used, room;
	_Alignas(max_align_t) unsigned char data[];
};

enum { ARENA_BLOCK = 1000 }; /* with its head what malloc serves from a cache */

void *arena_alloc(struct arena *a, size_t size)
{
	size_t rounded = (size + 15) & ~(size_t) 15;
	struct arena_block *block = a->blocks;

	if (!block || block->room - block->used < rounded) {
		size_t room = rounded > ARENA_BLOCK ? rounded : ARENA_BLOCK;

		block = calloc(1, sizeof(*block) + room);
		if (!block)
			return NULL;
		block->room = room;
		block->next = a->blocks;
		a->blocks = block;
		a->bytes += room;
	}
	block->used += rounded;
	return block->data + block->used - rounded;
}

void *arena_copy(struct arena *a, const void *data, size_t size)
{
	unsigned char *copy = arena_alloc(a, size + 1);

	if (copy && size)
		memcpy(copy, data, size);
	return copy;
}

char *arena_string(struct arena *a, const char *s)
{
	return arena_copy(a, s ? s : "", s ? strlen(s) : 0);
}

void arena_done(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	a->bytes = 0;
}
