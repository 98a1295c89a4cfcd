/* SPDX-License-Identifier: MIT */
/* Bytes that belong to somebody else.  HOST. */
#ifndef CO_SPAN_H
#define CO_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct co_span {
	const char *data; /* not terminated; NULL: there is none */
	size_t size;
};

static inline struct co_span co_span(const char *text)
{
	return (struct co_span){ .data = text, .size = text ? strlen(text) : 0 };
}

static inline bool co_span_is(struct co_span span, const char *text)
{
	size_t n = strlen(text);

	return span.data && span.size == n && memcmp(span.data, text, n) == 0;
}

#endif
