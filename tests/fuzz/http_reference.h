/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 requests read once more: slowly, whole, and out of nothing but RFC 9112 and the
 * rules that lib/http_message.h adds.  HOST, tests only.  It shares no code with what it is
 * compared with.
 */
#ifndef CO_TESTS_HTTP_REFERENCE_H
#define CO_TESTS_HTTP_REFERENCE_H

#include "lib/buf.h"
#include "lib/http_message.h"

enum reference { REFERENCE_REFUSED, REFERENCE_PART, REFERENCE_WHOLE };

struct reference_result {
	enum reference is;
	size_t used;     /* WHOLE: bytes of the request */
	bool extensions; /* chunks had some, which it looks at less closely */
	bool upgrade;
};

/* The first request in the text.  WHOLE: `out` has it as lines: method and target, fields,
 * an empty line, the body. */
struct reference_result reference_request(const char *text, size_t n,
					  const struct co_http_limits *limits,
					  struct co_buf *out);

/* The same by http-parser, of a request that is there as a whole: false if that refuses it.
 * Always true where it is not installed, and then *out_there is false. */
bool peer_request(const char *text, size_t n, struct co_buf *out, bool *out_there);

#endif
