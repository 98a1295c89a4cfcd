/* SPDX-License-Identifier: MIT */
/* What a word was probably meant to be, by the number of letters to change.  HOST. */
#include "lib/nearest.h"

#include <stdint.h>

enum { LONGEST = 40 };

static size_t least_of(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* How many letters have to be changed, put in or left out; long words do not matter. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t row[LONGEST];

	if (na >= LONGEST || nb >= LONGEST)
		return SIZE_MAX;
	for (size_t k = 0; k <= nb; k++)
		row[k] = k;
	for (size_t i = 0; i < na; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t k = 1; k <= nb; k++) {
			size_t above = row[k];

			row[k] = least_of(above + 1, row[k - 1] + 1,
					  diagonal + (a[i] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

void co_nearest_try(struct co_nearest *n, const char *word, size_t size)
{
	size_t d = distance(n->typed, n->typed_size, word, size);

	/* farther away it is another word and no slip */
	if (d >= n->distance || d > 1 + size / 3)
		return;
	n->distance = d;
	n->word = word;
	n->size = size;
}
