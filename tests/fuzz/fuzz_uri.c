/* SPDX-License-Identifier: MIT */
/* Fuzz target: targets of requests, queries, percent signs.  HOST.  Input: a target. */
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/uri.h"
#include "lib/utf8.h"
#include "tests/fuzz/target.h"

static bool is_inside(struct co_span part, struct co_span whole)
{
	return !part.data || (part.data >= whole.data &&
			      part.data + part.size <= whole.data + whole.size);
}

static void check_decoded(struct co_span text, bool query)
{
	autofree char *plain = malloc(text.size ? text.size : 1), *again = NULL;
	autobuf struct co_buf encoded = { 0 };
	long n, m;

	if (!plain)
		return;
	n = co_uri_decode(text, query, plain);
	if (n < 0)
		return;
	if ((size_t) n > text.size || memchr(plain, '\0', (size_t) n))
		abort();
	if (!co_uri_is_encoded(text) && memcmp(plain, text.data, (size_t) n) != 0)
		abort();
	for (size_t i = 0, length; i < (size_t) n; i += length)
		if (co_utf8_next(plain + i, (size_t) n - i, &length) == CO_UTF8_INVALID)
			abort();
	/* there and back */
	co_uri_encode(&encoded, (struct co_span){ plain, (size_t) n });
	again = malloc(encoded.size ? encoded.size : 1);
	if (encoded.failed || !again)
		return;
	m = co_uri_decode((struct co_span){ encoded.data, encoded.size }, query, again);
	if (m != n || (n && memcmp(again, plain, (size_t) n) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = malloc(size ? size : 1); /* ends where the input ends */
	struct co_span target = { text, size }, query, name, value;
	struct co_uri uri;
	size_t seen = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	check_decoded(target, true);
	check_decoded(target, false);
	uri = co_uri_split(target);
	if (uri.path.data && uri.path.data != target.data && uri.path.size == 1 &&
	    !is_inside(uri.path, target) && uri.path.data[0] != '/')
		abort();
	if (!is_inside(uri.query, target) || !is_inside(uri.authority, target))
		abort();
	query = uri.query;
	while (co_uri_query_next(&query, &name, &value)) {
		if (!is_inside(name, target) || !is_inside(value, target) ||
		    memchr(name.data, '&', name.size) ||
		    memchr(name.data, '=', name.size) ||
		    memchr(value.data, '&', value.size))
			abort();
		seen += name.size + value.size;
	}
	if (seen > uri.query.size)
		abort();
	return 0;
}
