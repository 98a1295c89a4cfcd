/* SPDX-License-Identifier: MIT */
/* Bytes that somebody else chose, made fit for a line of text.  HOST. */
#include "lib/escape.h"

#include <stdint.h>
#include <string.h>

/*
 * Length of the UTF-8 character at p that may be shown, 0 if there is none: no short
 * and no overlong form, no surrogate, nothing behind U+10FFFF, no C1 control.
 */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t first; /* smallest code point of this length */
	} form[] = { { 0xe0, 0xc0, 0xa0 },
		     { 0xf0, 0xe0, 0x800 },
		     { 0xf8, 0xf0, 0x10000 } };

	for (size_t i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
		uint32_t code = p[0] & (unsigned char) ~form[i].mask;
		size_t length = i + 2;

		if ((p[0] & form[i].mask) != form[i].lead)
			continue;
		if (n < length)
			return 0;
		for (size_t k = 1; k < length; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (p[k] & 0x3f);
		}
		if (code < form[i].first || code > 0x10ffff ||
		    (code >= 0xd800 && code <= 0xdfff))
			return 0;
		return length;
	}
	return 0;
}

/* Puts what stands for the next bytes into piece; returns how many bytes it covers. */
static size_t next_piece(const unsigned char *p, size_t n, char piece[4],
			 size_t *out_length)
{
	static const char hex[] = "0123456789abcdef";
	size_t used = 1;

	if (*p == '"' || *p == '\\' || *p == '\n' || *p == '\t') {
		piece[0] = '\\';
		piece[1] = *p == '\n' ? 'n' : *p == '\t' ? 't' : (char) *p;
		*out_length = 2;
	} else if (*p >= 0x20 && *p < 0x7f) {
		piece[0] = (char) *p;
		*out_length = 1;
	} else if (*p >= 0x80 && (used = utf8_length(p, n)) != 0) {
		memcpy(piece, p, used);
		*out_length = used;
	} else {
		piece[0] = '\\';
		piece[1] = 'x';
		piece[2] = hex[*p >> 4];
		piece[3] = hex[*p & 15];
		*out_length = 4;
		used = 1;
	}
	return used;
}

size_t co_escape(char *out, size_t size, const char *bytes, size_t n)
{
	const unsigned char *p = (const unsigned char *) bytes;
	size_t at = 0, cut = 0; /* cut: the last place where "..." still fits */

	for (size_t i = 0; i < n;) {
		char piece[4];
		size_t length;
		size_t used = next_piece(p + i, n - i, piece, &length);

		if (at + length + 1 > size) {
			memcpy(out + cut, "...", 4);
			return cut + 3;
		}
		memcpy(out + at, piece, length);
		at += length;
		i += used;
		if (at + 4 <= size)
			cut = at;
	}
	out[at] = 0;
	return at;
}
