/* SPDX-License-Identifier: MIT */
/* Targets of requests.  HOST. */
#include "lib/uri.h"

#include <strings.h>

#include "lib/utf8.h"

struct co_uri co_uri_split(struct co_span target)
{
	static const char scheme[] = "http://";
	struct co_uri uri = { 0 };
	const char *end = target.data + target.size, *mark;

	if (co_span_is(target, "*")) {
		uri.path = target;
		return uri;
	}
	if (target.size > strlen(scheme) &&
	    strncasecmp(target.data, scheme, strlen(scheme)) == 0) {
		uri.authority.data = target.data + strlen(scheme);
		while (uri.authority.data + uri.authority.size < end &&
		       !strchr("/?", uri.authority.data[uri.authority.size]))
			uri.authority.size++;
		target.data = uri.authority.data + uri.authority.size;
		target.size = (size_t) (end - target.data);
		if (!target.size) {
			uri.path = co_span("/");
			return uri;
		}
	}
	if (!target.size || target.data[0] != '/')
		return (struct co_uri){ 0 };
	mark = memchr(target.data, '?', target.size);
	uri.path = (struct co_span){ target.data,
				     (size_t) ((mark ? mark : end) - target.data) };
	if (mark)
		uri.query = (struct co_span){ mark + 1, (size_t) (end - mark - 1) };
	return uri;
}

bool co_uri_query_next(struct co_span *query, struct co_span *out_name,
		       struct co_span *out_value)
{
	const char *end, *next, *equals;

	while (query->size && query->data[0] == '&')
		query->data++, query->size--;
	if (!query->size)
		return false;
	end = query->data + query->size;
	next = memchr(query->data, '&', query->size);
	if (!next)
		next = end;
	equals = memchr(query->data, '=', (size_t) (next - query->data));
	*out_name = (struct co_span){ query->data, (size_t) ((equals ? equals : next) -
							     query->data) };
	*out_value = (struct co_span){ equals ? equals + 1 : next,
				       equals ? (size_t) (next - equals - 1) : 0 };
	query->data = next;
	query->size = (size_t) (end - next);
	return true;
}

bool co_uri_is_encoded(struct co_span text)
{
	return text.size &&
	       (memchr(text.data, '%', text.size) || memchr(text.data, '+', text.size));
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char) (c | 32);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long co_uri_decode(struct co_span text, bool query, char *out)
{
	size_t n = 0, length;

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c == '%') {
			int high = i + 2 < text.size ? hex(text.data[i + 1]) : -1;
			int low = i + 2 < text.size ? hex(text.data[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			c = (char) (high << 4 | low);
			i += 2;
		} else if (c == '+' && query) {
			c = ' ';
		}
		if (!c)
			return -1;
		out[n++] = c;
	}
	for (size_t i = 0; i < n; i += length) {
		length = 1;
		if ((unsigned char) out[i] >= 0x80 &&
		    co_utf8_next(out + i, n - i, &length) == CO_UTF8_INVALID)
			return -1;
	}
	return (long) n;
}

void co_uri_encode(struct co_buf *b, struct co_span text)
{
	static const char digits[] = "0123456789ABCDEF", plain[] = "-._~";

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		unsigned char u = (unsigned char) c;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || (c && strchr(plain, c)))
			co_buf_char(b, c);
		else
			co_buf_add(b, (char[]){ '%', digits[u >> 4], digits[u & 15] },
				   3);
	}
}
