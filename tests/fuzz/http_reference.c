/* SPDX-License-Identifier: MIT */
/* Requests, read slowly and strictly.  HOST, tests only. */
#include "tests/fuzz/http_reference.h"

#include <co/limits.h>
#include <ctype.h>
#include <strings.h>

struct text {
	const char *p, *end;
};

struct facts {
	bool length_there, chunked, host, upgrade_field, upgrade_said;
	unsigned long long length;
	int minor;
};

enum { LINE = 1, NO_LINE = 0, BAD_LINE = -1 };

/* The next line without its end. */
static int line_of(struct text *t, struct co_span *out)
{
	for (const char *p = t->p; p < t->end; p++) {
		unsigned char c = (unsigned char) *p;

		if (c == '\r') {
			if (p + 1 == t->end)
				return NO_LINE;
			if (p[1] != '\n')
				return BAD_LINE;
			*out = (struct co_span){ t->p, (size_t) (p - t->p) };
			t->p = p + 2;
			return LINE;
		}
		if (c == 0x7f || (c < 0x20 && c != '\t'))
			return BAD_LINE;
	}
	return NO_LINE;
}

static bool is_token(struct co_span s)
{
	for (size_t i = 0; i < s.size; i++)
		if (!isalnum((unsigned char) s.data[i]) &&
		    (!s.data[i] || !strchr("!#$%&'*+-.^_`|~", s.data[i])))
			return false;
	return s.size > 0;
}

static bool is_known_method(struct co_span s)
{
	static const char *const known[] = {
		"DELETE",     "GET",         "HEAD",      "POST",     "PUT",
		"OPTIONS",    "TRACE",       "COPY",      "LOCK",     "MKCOL",
		"MOVE",       "PROPFIND",    "PROPPATCH", "SEARCH",   "UNLOCK",
		"BIND",       "REBIND",      "UNBIND",    "ACL",      "REPORT",
		"MKACTIVITY", "CHECKOUT",    "MERGE",     "M-SEARCH", "NOTIFY",
		"SUBSCRIBE",  "UNSUBSCRIBE", "PATCH",     "PURGE",    "MKCALENDAR",
		"LINK",       "UNLINK",
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (co_span_is(s, known[i]))
			return true;
	return false;
}

static bool is_authority(struct co_span s)
{
	for (size_t i = 0; i < s.size; i++)
		if (!isalnum((unsigned char) s.data[i]) &&
		    (!s.data[i] || !strchr("-._~:[]%!$&'()*+,;=", s.data[i])))
			return false;
	return true;
}

static bool is_target(struct co_span s)
{
	size_t n = 7;

	for (size_t i = 0; i < s.size; i++)
		if (s.data[i] <= ' ' || s.data[i] > '~' || s.data[i] == '#')
			return false;
	if (s.size && s.data[0] == '/')
		return true;
	if (co_span_is(s, "*"))
		return true;
	if (s.size <= n || strncasecmp(s.data, "http://", n) != 0)
		return false;
	while (n < s.size && s.data[n] != '/' && s.data[n] != '?')
		n++;
	return n > 7 && is_authority((struct co_span){ s.data + 7, n - 7 });
}

static bool first_line(struct co_span line, const struct co_http_limits *limits,
		       struct facts *f, struct co_buf *out)
{
	const char *a = memchr(line.data, ' ', line.size), *end = line.data + line.size;
	const char *b = a ? memchr(a + 1, ' ', (size_t) (end - a - 1)) : NULL;
	struct co_span method, target, version;

	if (!b)
		return false;
	method = (struct co_span){ line.data, (size_t) (a - line.data) };
	target = (struct co_span){ a + 1, (size_t) (b - a - 1) };
	version = (struct co_span){ b + 1, (size_t) (end - b - 1) };
	f->minor = co_span_is(version, "HTTP/1.1");
	if ((!f->minor && !co_span_is(version, "HTTP/1.0")) ||
	    !is_known_method(method) || !is_target(target) ||
	    target.size > limits->target)
		return false;
	co_buf_span(out, method);
	co_buf_char(out, ' ');
	co_buf_span(out, target);
	co_buf_char(out, '\n');
	return true;
}

static struct co_span strip(struct co_span s)
{
	while (s.size && (s.data[0] == ' ' || s.data[0] == '\t'))
		s.data++, s.size--;
	while (s.size && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
		s.size--;
	return s;
}

static bool same(struct co_span s, const char *word)
{
	return s.size == strlen(word) && strncasecmp(s.data, word, s.size) == 0;
}

static bool split_field(struct co_span line, struct co_span *name,
			struct co_span *value)
{
	const char *colon = memchr(line.data, ':', line.size);

	if (!colon)
		return false;
	*name = (struct co_span){ line.data, (size_t) (colon - line.data) };
	*value = strip((struct co_span){
		colon + 1, line.size - (size_t) (colon - line.data) - 1 });
	return is_token(*name);
}

static bool says_upgrade(struct co_span value)
{
	while (value.size) {
		const char *comma = memchr(value.data, ',', value.size);
		size_t n = comma ? (size_t) (comma - value.data) : value.size;
		const char *mark = memchr(value.data, ';', n);

		if (same(strip((struct co_span){
				 value.data, mark ? (size_t) (mark - value.data) : n }),
			 "upgrade"))
			return true;
		n += comma != NULL;
		value.data += n;
		value.size -= n;
	}
	return false;
}

static bool meaning(struct co_span name, struct co_span value, struct facts *f)
{
	if (same(name, "content-length")) {
		if (f->length_there || !value.size || value.size > 18)
			return false;
		f->length_there = true;
		for (size_t i = 0; i < value.size; i++) {
			if (!isdigit((unsigned char) value.data[i]))
				return false;
			f->length = f->length * 10 + (unsigned) (value.data[i] - '0');
		}
	} else if (same(name, "transfer-encoding")) {
		if (f->chunked || !same(value, "chunked"))
			return false;
		/* llhttp takes spaces behind it, and no tab; so do we */
		for (const char *p = value.data + value.size; *p != '\r'; p++)
			if (*p == '\t')
				return false;
		f->chunked = true;
	} else if (same(name, "host")) {
		if (f->host || !is_authority(value))
			return false;
		f->host = true;
	} else if (same(name, "expect")) {
		return same(value, "100-continue");
	} else if (same(name, "upgrade")) {
		f->upgrade_field = true;
	} else if (same(name, "connection")) {
		f->upgrade_said = f->upgrade_said || says_upgrade(value);
	}
	return true;
}

/* 1: the body is there; 0: not yet; -1: refused. */
static int read_chunks(struct text *t, const struct co_http_limits *limits,
		       struct co_buf *out, bool *extensions)
{
	unsigned long long size, all = 0;
	struct co_span line, name, value;
	size_t digits;
	int r;

	for (;;) {
		r = line_of(t, &line);
		if (r != LINE)
			return r;
		size = 0;
		for (digits = 0;
		     digits < line.size && isxdigit((unsigned char) line.data[digits]);
		     digits++) {
			if (size > limits->body)
				return -1;
			size = size * 16 +
			       (unsigned) (isdigit((unsigned char) line.data[digits])
						   ? line.data[digits] - '0'
						   : (line.data[digits] | 32) - 'a' +
							     10);
		}
		if (!digits || (digits < line.size && line.data[digits] != ';' &&
				line.data[digits] != ' '))
			return -1;
		*extensions = *extensions || digits < line.size;
		if (size > limits->body - all)
			return -1;
		all += size;
		if (!size)
			break;
		if ((size_t) (t->end - t->p) < size + 2)
			return 0;
		co_buf_add(out, t->p, size);
		t->p += size;
		if (t->p[0] != '\r' || t->p[1] != '\n')
			return -1;
		t->p += 2;
	}
	for (;;) {
		r = line_of(t, &line);
		if (r != LINE)
			return r;
		if (!line.size)
			return 1;
		if (!split_field(line, &name, &value) || same(name, "content-length") ||
		    same(name, "transfer-encoding"))
			return -1;
		for (size_t i = 0; i < line.size; i++)
			if (line.data[i] & 0x80)
				return -1;
		*extensions = true; /* trailers: likewise */
	}
}

static struct reference_result result(enum reference is)
{
	return (struct reference_result){ .is = is };
}

struct reference_result reference_request(const char *text, size_t n,
					  const struct co_http_limits *limits,
					  struct co_buf *out)
{
	struct text t = { text, text + n };
	struct co_span line, name, value;
	struct reference_result whole = { .is = REFERENCE_WHOLE };
	struct facts f = { 0 };
	unsigned fields = 0;
	const char *head;
	int r;

	if (n >= 2 && text[0] == '\r' && text[1] == '\n')
		t.p += 2;
	head = t.p;
	r = line_of(&t, &line);
	if (r != LINE || !first_line(line, limits, &f, out))
		return result(r == NO_LINE ? REFERENCE_PART : REFERENCE_REFUSED);
	while ((r = line_of(&t, &line)) == LINE && line.size) {
		if (!split_field(line, &name, &value) || !meaning(name, value, &f) ||
		    ++fields > CO_LIMIT_HTTP_FIELDS)
			return result(REFERENCE_REFUSED);
		for (size_t i = 0; i < name.size; i++)
			co_buf_char(out, (char) tolower((unsigned char) name.data[i]));
		co_buf_char(out, ':');
		co_buf_span(out, value);
		co_buf_char(out, '\n');
	}
	if (r != LINE)
		return result(r == NO_LINE ? REFERENCE_PART : REFERENCE_REFUSED);
	if ((size_t) (t.p - head) > limits->head || (f.minor && !f.host) ||
	    (f.chunked && (f.length_there || !f.minor)) || f.length > limits->body)
		return result(REFERENCE_REFUSED);
	co_buf_char(out, '\n');
	whole.upgrade = f.upgrade_field && f.upgrade_said;
	if (f.chunked) {
		r = read_chunks(&t, limits, out, &whole.extensions);
		if (r <= 0)
			return result(r ? REFERENCE_REFUSED : REFERENCE_PART);
	} else {
		if ((size_t) (t.end - t.p) < f.length)
			return result(REFERENCE_PART);
		co_buf_add(out, t.p, f.length);
		t.p += f.length;
	}
	whole.used = (size_t) (t.p - text);
	return whole;
}
