/* SPDX-License-Identifier: MIT */
/* Reading JSON without making anything of it.  HOST. */
#include "lib/json_scan.h"

#include <co/limits.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "lib/err.h"
#include "lib/utf8.h"

/* ---- checking ---- */

struct scan {
	const char *start, *at, *end;
	const char *what;
};

static bool wrong(struct scan *s, const char *what)
{
	if (!s->what)
		s->what = what;
	return false;
}

static void skip_space(struct scan *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
		s->at++;
}

static bool is_digit(const struct scan *s)
{
	return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

static bool scan_escape(struct scan *s)
{
	s->at++;
	if (s->at == s->end)
		return wrong(s, "a string is not closed");
	if (*s->at != 'u') {
		if (!*s->at || !strchr("\"\\/bfnrt", *s->at))
			return wrong(s, "there is no such escape");
		s->at++;
		return true;
	}
	s->at++;
	for (int i = 0; i < 4; i++, s->at++)
		if (s->at == s->end || !is_hex(*s->at))
			return wrong(s, "\\u wants four hexadecimal digits");
	return true;
}

static bool scan_string(struct scan *s)
{
	s->at++;
	while (s->at < s->end) {
		unsigned char c = (unsigned char) *s->at;
		size_t length = 1;

		if (c == '"') {
			s->at++;
			return true;
		}
		if (c == '\\') {
			if (!scan_escape(s))
				return false;
			continue;
		}
		if (c < 0x20)
			return wrong(s, "a control character stands in a string");
		if (c >= 0x80 && co_utf8_next(s->at, (size_t) (s->end - s->at),
					      &length) == CO_UTF8_INVALID)
			return wrong(s, "a string is not valid UTF-8");
		s->at += length;
	}
	return wrong(s, "a string is not closed");
}

static bool scan_digits(struct scan *s)
{
	if (!is_digit(s))
		return wrong(s, "a digit is missing");
	while (is_digit(s))
		s->at++;
	return true;
}

static bool scan_number(struct scan *s)
{
	if (*s->at == '-')
		s->at++;
	if (s->at < s->end && *s->at == '0')
		s->at++;
	else if (!scan_digits(s))
		return false;
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!scan_digits(s))
			return false;
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		return scan_digits(s);
	}
	return true;
}

static bool scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t) (s->end - s->at) < n || memcmp(s->at, word, n) != 0)
		return wrong(s, "a value is missing");
	s->at += n;
	return true;
}

static bool scan_scalar(struct scan *s)
{
	if (s->at == s->end)
		return wrong(s, "a value is missing");
	switch (*s->at) {
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (*s->at != '-' && !is_digit(s))
			return wrong(s, "a value is missing");
		return scan_number(s);
	}
}

static bool scan_name(struct scan *s)
{
	if (s->at == s->end || *s->at != '"')
		return wrong(s, "the name of a member is missing");
	if (!scan_string(s))
		return false;
	skip_space(s);
	if (s->at == s->end || *s->at != ':')
		return wrong(s, "a colon is missing");
	s->at++;
	skip_space(s);
	return true;
}

/* One value, containers without recursion: `open` has what closes each level. */
static bool scan_value(struct scan *s)
{
	char open[CO_LIMIT_JSON_DEPTH];
	size_t depth = 0;

	for (;;) { /* at the first byte of a value */
		if (s->at < s->end && (*s->at == '{' || *s->at == '[')) {
			char closing = *s->at == '{' ? '}' : ']';

			if (depth == CO_LIMIT_JSON_DEPTH)
				return wrong(s, "it is nested too deeply");
			open[depth++] = closing;
			s->at++;
			skip_space(s);
			if (s->at == s->end || *s->at != closing) {
				if (closing == '}' && !scan_name(s))
					return false;
				continue;
			}
		} else if (!scan_scalar(s)) {
			return false;
		} else if (depth) {
			skip_space(s);
		}
		/* behind a value, or at what closes an empty container */
		while (depth && s->at < s->end && *s->at == open[depth - 1]) {
			s->at++;
			if (--depth)
				skip_space(s);
		}
		if (!depth)
			return true;
		if (s->at == s->end || *s->at != ',')
			return wrong(s, open[depth - 1] == '}'
						? "a comma or } is missing"
						: "a comma or ] is missing");
		s->at++;
		skip_space(s);
		if (open[depth - 1] == '}' && !scan_name(s))
			return false;
	}
}

int co_json_check(struct co_span text, struct co_span *out_value,
		  struct co_json_fault *out_fault)
{
	const char *data = text.size ? text.data : ""; /* nothing may be NULL */
	struct scan s = { .start = data, .at = data, .end = data + text.size };
	const char *first, *last;

	if (!text.size)
		s.what = "it is empty";
	skip_space(&s);
	first = s.at;
	if (!s.what && scan_value(&s)) {
		last = s.at;
		skip_space(&s);
		if (s.at == s.end) {
			*out_value = (struct co_span){ first, (size_t) (last - first) };
			return 0;
		}
		(void) wrong(&s, "something stands behind the value");
	}
	*out_fault = (struct co_json_fault){ (size_t) (s.at - s.start), s.what };
	return CO_INVALID;
}

/* ---- looking into what has been checked ---- */

enum co_json_kind co_json_kind(struct co_span value)
{
	switch (value.data[0]) {
	case '{':
		return CO_JSON_OBJECT;
	case '[':
		return CO_JSON_ARRAY;
	case '"':
		return CO_JSON_STRING;
	case 't':
	case 'f':
		return CO_JSON_BOOL;
	case 'n':
		return CO_JSON_NULL;
	default:
		return CO_JSON_NUMBER;
	}
}

static const char *pass_space(const char *p)
{
	while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
		p++;
	return p;
}

static const char *pass_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

/* Behind a value of a checked text, which never ends inside one. */
static const char *pass_value(const char *p, const char *end)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			p = pass_string(p);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else if (depth) {
			p++;
		} else { /* a number or a word */
			while (p < end && !strchr(",]} \n\r\t", *p))
				p++;
		}
	} while (depth);
	return p;
}

struct co_json_walk co_json_walk(struct co_span container)
{
	enum co_json_kind kind = co_json_kind(container);
	struct co_json_walk w = { .object = kind == CO_JSON_OBJECT };

	if (kind == CO_JSON_OBJECT || kind == CO_JSON_ARRAY) {
		w.at = container.data + 1;
		w.end = container.data + container.size - 1;
	}
	return w;
}

bool co_json_next(struct co_json_walk *w, struct co_span *out_name,
		  struct co_span *out_value)
{
	const char *p = w->at, *q;

	if (p == w->end)
		return false;
	p = pass_space(p); /* at the latest, what closes the container ends it */
	if (p == w->end)
		return false;
	*out_name = (struct co_span){ 0 };
	if (w->object) {
		q = pass_string(p);
		*out_name = (struct co_span){ p, (size_t) (q - p) };
		p = pass_space(pass_space(q) + 1);
	}
	q = pass_value(p, w->end);
	*out_value = (struct co_span){ p, (size_t) (q - p) };
	q = pass_space(q);
	w->at = q < w->end && *q == ',' ? q + 1 : w->end;
	return true;
}

bool co_json_member(struct co_span object, const char *name, struct co_span *out_value)
{
	struct co_json_walk w = co_json_walk(object);
	struct co_span member, value;
	bool found = false;

	while (w.object && co_json_next(&w, &member, &value))
		if (co_json_string_is(member, name)) {
			*out_value = value;
			found = true;
		}
	return found;
}

/* ---- strings ---- */

static uint32_t hex4(const char *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 4 |
			(uint32_t) (p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	return value;
}

static void put_utf8(struct co_buf *out, uint32_t c)
{
	char bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (char) c;
	} else if (c < 0x800) {
		bytes[n++] = (char) (0xc0 | c >> 6);
	} else if (c < 0x10000) {
		bytes[n++] = (char) (0xe0 | c >> 12);
		bytes[n++] = (char) (0x80 | (c >> 6 & 0x3f));
	} else {
		bytes[n++] = (char) (0xf0 | c >> 18);
		bytes[n++] = (char) (0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char) (0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		bytes[n++] = (char) (0x80 | (c & 0x3f));
	co_buf_add(out, bytes, n);
}

/* p is at the backslash; behind the escape, or NULL: NUL or a lone surrogate. */
static const char *unescape_one(const char *p, const char *end, struct co_buf *out)
{
	static const char letter[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
	uint32_t c, low;

	if (p[1] != 'u') {
		co_buf_char(out, plain[strchr(letter, p[1]) - letter]);
		return p + 2;
	}
	c = hex4(p + 2);
	p += 6;
	if (c >= 0xd800 && c < 0xdc00) {
		if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
			return NULL;
		low = hex4(p + 2);
		if (low < 0xdc00 || low > 0xdfff)
			return NULL;
		c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
		p += 6;
	} else if (!c || (c >= 0xdc00 && c < 0xe000)) {
		return NULL;
	}
	put_utf8(out, c);
	return p;
}

int co_json_unescape(struct co_span string, struct co_buf *out)
{
	const char *p = string.data + 1, *end = string.data + string.size - 1;
	size_t before = out->size;

	if (co_json_kind(string) != CO_JSON_STRING)
		return CO_INVALID;
	while (p && p < end) {
		const char *escape = memchr(p, '\\', (size_t) (end - p));

		co_buf_add(out, p, (size_t) ((escape ? escape : end) - p));
		p = escape ? unescape_one(escape, end, out) : end;
	}
	if (!p && !out->failed && out->data) {
		out->size = before;
		out->data[before] = '\0';
	}
	if (out->failed)
		return CO_NO_MEMORY;
	return p ? 0 : CO_INVALID;
}

bool co_json_string_is(struct co_span string, const char *text)
{
	struct co_span plain = { string.data + 1, string.size - 2 };
	autobuf struct co_buf b = { 0 };

	if (!memchr(plain.data, '\\', plain.size))
		return co_span_is(plain, text);
	return co_json_unescape(string, &b) == 0 && b.size == strlen(text) &&
	       (!b.size || memcmp(b.data, text, b.size) == 0);
}

/* ---- numbers ---- */

/* strtod and strtoll want a terminator, and no number that matters is longer. */
enum { DIGITS = 128 };

static bool number(struct co_span value, char out[DIGITS])
{
	if (co_json_kind(value) != CO_JSON_NUMBER || value.size >= DIGITS)
		return false;
	memcpy(out, value.data, value.size);
	out[value.size] = '\0';
	return true;
}

bool co_json_whole(struct co_span value, int64_t *out)
{
	char digits[DIGITS], *end;
	long long whole;
	double real;

	if (!number(value, digits))
		return false;
	errno = 0;
	whole = strtoll(digits, &end, 10);
	if (!*end && !errno) {
		*out = whole;
		return true;
	}
	real = *end ? strtod(digits, NULL) : HUGE_VAL;
	if (fabs(real) > 9007199254740992.0 || real != trunc(real))
		return false;
	*out = (int64_t) real;
	return true;
}

bool co_json_real(struct co_span value, double *out)
{
	char digits[DIGITS];
	double real;

	if (!number(value, digits))
		return false;
	real = strtod(digits, NULL);
	if (isinf(real))
		return false;
	*out = real;
	return true;
}
