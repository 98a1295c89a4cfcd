/* SPDX-License-Identifier: MIT */
/* Patterns of names.  HOST. */
#include "lib/pattern.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct co_span trimmed(struct co_span span)
{
	while (span.size && is_space(span.data[0])) {
		span.data++;
		span.size--;
	}
	while (span.size && is_space(span.data[span.size - 1]))
		span.size--;
	return span;
}

/* The first alternative; *rest is what is behind its comma, without data if none is. */
static struct co_span alternative(struct co_span pattern, struct co_span *rest)
{
	const char *comma = memchr(pattern.data, ',', pattern.size);
	struct co_span first = pattern;

	*rest = (struct co_span){ 0 };
	if (comma) {
		first.size = (size_t) (comma - pattern.data);
		*rest = (struct co_span){ comma + 1, pattern.size - first.size - 1 };
	}
	return trimmed(first);
}

static bool matches(struct co_span one, struct co_span name)
{
	if (one.size && one.data[one.size - 1] == '*')
		return name.size >= one.size - 1 &&
		       memcmp(name.data, one.data, one.size - 1) == 0;
	return one.size && name.size == one.size &&
	       memcmp(name.data, one.data, one.size) == 0;
}

bool co_pattern_match(struct co_span pattern, struct co_span name)
{
	if (!pattern.size)
		return true;
	while (pattern.data)
		if (matches(alternative(pattern, &pattern), name))
			return true;
	return false;
}

bool co_pattern_is_name(struct co_span pattern)
{
	struct co_span rest, one;

	if (!pattern.size)
		return false;
	one = alternative(pattern, &rest);
	return !rest.data && one.size && one.data[one.size - 1] != '*';
}
