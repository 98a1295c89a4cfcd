/* SPDX-License-Identifier: MIT */
/* The system calls of a personality, as ranges.  HOST. */
#include "launch/numbers.h"

#include <stdlib.h>
#include <string.h>

#include "personality/personality.h"

static int by_first(const void *a, const void *b)
{
	const struct launch_numbers *one = a, *other = b;

	return (one->first > other->first) - (one->first < other->first);
}

/* Sorted single numbers become ranges; what would be too many is left out. */
static size_t ranges(const struct launch_numbers *all, size_t n,
		     struct launch_numbers *out)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		if (m && all[i].first <= out[m - 1].last + 1)
			out[m - 1].last = all[i].first;
		else if (m < LAUNCH_NUMBERS_MAX)
			out[m++] = all[i];
	}
	return m;
}

size_t launch_numbers(const char *personality, struct launch_numbers *out,
		      uint32_t *out_index)
{
	size_t count, n = 0, m = 0;
	const struct co_personality *all = co_personalities(&count);
	const struct co_personality *p = co_personality_find(personality);
	struct launch_numbers *single;

	if (!p)
		return 0;
	*out_index = (uint32_t) (p - all);
	single = calloc(p->nops + 1, sizeof(*single));
	for (size_t i = 0; single && i < p->nops; i++)
		if (p->ops[i].key_kind == CO_KEY_NUM)
			single[n++] = (struct launch_numbers){ p->ops[i].number,
							       p->ops[i].number };
	if (n) {
		qsort(single, n, sizeof(*single), by_first);
		m = ranges(single, n, out);
	}
	free(single);
	return m;
}

size_t launch_caught_binds(const char *personality, struct launch_numbers *out,
			   uint32_t *out_index)
{
	size_t count, n = 0;
	const struct co_personality *all = co_personalities(&count);
	const struct co_personality *p = co_personality_find(personality);

	if (!p)
		return 0;
	*out_index = (uint32_t) (p - all);
	for (size_t i = 0; i < p->ncaught && n < LAUNCH_NUMBERS_MAX; i++)
		if (strncmp(p->caught[i].name, "open", 4) != 0)
			out[n++] = (struct launch_numbers){ p->caught[i].number,
							    p->caught[i].number };
	qsort(out, n, sizeof(*out), by_first);
	return n;
}
