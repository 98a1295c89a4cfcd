/* SPDX-License-Identifier: MIT */
/*
 * Targets of requests: path, query, percent signs.  HOST.
 *
 *	struct co_uri uri = co_uri_split(target);
 *	struct co_span name, value;
 *	while (co_uri_query_next(&uri.query, &name, &value)) ...
 */
#ifndef CO_URI_H
#define CO_URI_H

#include "lib/buf.h"
#include "lib/span.h"

struct co_uri {
	struct co_span authority; /* of "http://authority/path"; NULL otherwise */
	struct co_span path;      /* as it came; begins with "/", or is "*" */
	struct co_span query;     /* behind the "?"; NULL if there is none */
};

/* path.data is NULL for what is no target of a request. */
struct co_uri co_uri_split(struct co_span target);

/* Takes the next name=value off the query; both are still encoded.  false: there is none.
 * Without "=" the value is empty. */
bool co_uri_query_next(struct co_span *query, struct co_span *out_name,
		       struct co_span *out_value);

/* Is anything in it to be decoded? */
bool co_uri_is_encoded(struct co_span text);

/*
 * Decodes percent signs, in a query also "+", into out, which has room for text.size bytes.
 * The number of bytes; -1: a percent sign without two digits, a NUL, or no UTF-8.
 */
long co_uri_decode(struct co_span text, bool query, char *out);

/* Adds text with everything but letters, digits and "-._~" as %XX. */
void co_uri_encode(struct co_buf *b, struct co_span text);

#endif
