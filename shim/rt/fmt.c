/* SPDX-License-Identifier: MIT */
/* GUEST.  Text into a caller's buffer; see fmt.h.  Called by guest code that reports. */
#include <shim/rt/fmt.h>

struct shim_fmt shim_fmt_init(char *buffer, size_t size)
{
	*buffer = '\0';
	return (struct shim_fmt){ .at = buffer, .end = buffer + size };
}

void shim_fmt_text(struct shim_fmt *out, const char *text)
{
	while (*text != '\0' && out->at + 1 < out->end)
		*out->at++ = *text++;
	*out->at = '\0';
}

static void number(struct shim_fmt *out, uint64_t value, unsigned base)
{
	char digits[21]; /* 2^64 has 20 decimal digits */
	char *first = digits + sizeof(digits) - 1;

	*first = '\0';
	do {
		*--first = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	shim_fmt_text(out, first);
}

void shim_fmt_dec(struct shim_fmt *out, int64_t value)
{
	/* Negated as unsigned: the smallest int64_t has no positive counterpart. */
	if (value < 0)
		shim_fmt_text(out, "-");
	number(out, value < 0 ? 0 - (uint64_t) value : (uint64_t) value, 10);
}

void shim_fmt_hex(struct shim_fmt *out, uint64_t value)
{
	shim_fmt_text(out, "0x");
	number(out, value, 16);
}
