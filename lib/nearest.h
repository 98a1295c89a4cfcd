/* SPDX-License-Identifier: MIT */
/*
 * What a word was probably meant to be.  HOST.
 *
 *	struct co_nearest n = co_nearest(typed, size);
 *	for each word that is known
 *		co_nearest_try(&n, word, strlen(word));
 *	if (n.word)
 *		... "did you mean \"%.*s\"?", (int) n.size, n.word
 */
#ifndef CO_NEAREST_H
#define CO_NEAREST_H

#include <stddef.h>

struct co_nearest {
	const char *typed;
	size_t typed_size;
	const char *word; /* the caller's; NULL: none is near enough to be a slip */
	size_t size, distance;
};

static inline struct co_nearest co_nearest(const char *typed, size_t size)
{
	return (struct co_nearest){ .typed = typed,
				    .typed_size = size,
				    .distance = (size_t) -1 };
}

/* The word lives as long as n. */
void co_nearest_try(struct co_nearest *n, const char *word, size_t size);

#endif
