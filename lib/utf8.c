/* SPDX-License-Identifier: MIT */
/* Reading UTF-8 that may be anything.  HOST. */
#include "lib/utf8.h"

#include "lib/cleanup.h"

/* What the first byte announces; 0 for a byte that begins nothing. */
static size_t announced(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0;
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

uint32_t co_utf8_next(const char *text, size_t n, size_t *out_length)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *) text;
	size_t length = announced(p[0]);
	uint32_t c;

	*out_length = 1;
	if (length == 1)
		return p[0];
	if (length == 0 || length > n)
		return CO_UTF8_INVALID;
	c = p[0] & (0xffU >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return CO_UTF8_INVALID;
		c = c << 6 | (p[i] & 0x3fU);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return CO_UTF8_INVALID;
	*out_length = length;
	return c;
}

unsigned co_utf8_width(uint32_t c)
{
	static const struct {
		uint32_t first, last;
		unsigned width;
	} ranges[] = {
		{ 0x0300, 0x036f, 0 },   { 0x1100, 0x115f, 2 },
		{ 0x200b, 0x200f, 0 },   { 0x20d0, 0x20ff, 0 },
		{ 0x2e80, 0xa4cf, 2 },   { 0xac00, 0xd7a3, 2 },
		{ 0xf900, 0xfaff, 2 },   { 0xfe00, 0xfe0f, 0 },
		{ 0xfe20, 0xfe2f, 0 },   { 0xfe30, 0xfe6f, 2 },
		{ 0xff00, 0xff60, 2 },   { 0xffe0, 0xffe6, 2 },
		{ 0x1f300, 0x1f64f, 2 }, { 0x1f680, 0x1f6ff, 2 },
		{ 0x1f900, 0x1f9ff, 2 }, { 0x20000, 0x3fffd, 2 },
		{ 0xe0100, 0xe01ef, 0 },
	};

	for (size_t i = 0; i < co_countof(ranges) && c >= ranges[i].first; i++)
		if (c <= ranges[i].last)
			return ranges[i].width;
	return 1;
}
