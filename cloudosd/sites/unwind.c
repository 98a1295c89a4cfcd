/* SPDX-License-Identifier: MIT */
/*
 * .eh_frame, of which two things are read: that entries follow one another, and the
 * address and length of each function.  HOST.  Names of fields are those of the Linux
 * Standard Base, "Exception Frames".
 */
#include "cloudosd/sites/unwind.h"

#include <stdlib.h>
#include <string.h>

/* DW_EH_PE: low 4 bits the form, 3 bits what it is relative to, one for indirect */
enum { ENC_ABSOLUTE = 0x00, ENC_PCREL = 0x10, ENC_APPLICATION = 0x70, ENC_FORM = 0x0f };
enum { ENC_INDIRECT = 0x80, ENC_OMIT = 0xff };

struct cursor {
	const unsigned char *bytes;
	size_t at, end;
	uint64_t vaddr; /* of bytes[0] */
	unsigned word;  /* 8 or 4 */
	bool bad;       /* went beyond the end, or met what it does not know */
};

static uint64_t fixed(struct cursor *c, unsigned size, bool sign)
{
	uint64_t value = 0;

	if (c->bad || size > c->end - c->at) {
		c->bad = true;
		return 0;
	}
	memcpy(&value, c->bytes + c->at, size);
	c->at += size;
	if (sign && size < 8 && value >> (8 * size - 1))
		value |= ~0ULL << 8 * size;
	return value;
}

static void skip_leb(struct cursor *c)
{
	while (fixed(c, 1, false) & 0x80)
		continue;
}

/* A value in an encoding's form, without what it is relative to. */
static uint64_t encoded(struct cursor *c, unsigned encoding)
{
	switch (encoding & ENC_FORM) {
	case 0x00:
		return fixed(c, c->word, false);
	case 0x02:
		return fixed(c, 2, false);
	case 0x03:
		return fixed(c, 4, false);
	case 0x04:
	case 0x0c:
		return fixed(c, 8, false);
	case 0x0a:
		return fixed(c, 2, true);
	case 0x0b:
		return fixed(c, 4, true);
	default:
		c->bad = true;
		return 0;
	}
}

/* The length of an entry that begins at c; then c is at its id.  0: there is no more. */
static size_t entry_length(struct cursor *c)
{
	uint64_t length = fixed(c, 4, false);

	if (length == 0xffffffff)
		length = fixed(c, 8, false);
	return c->bad || length < 4 || length > c->end - c->at ? 0 : (size_t) length;
}

/* The encoding of addresses in FDEs of the CIE at `at`; ENC_OMIT if it is not known. */
static unsigned cie_encoding(const struct cursor *table, size_t at)
{
	struct cursor c = *table;
	unsigned version;
	const char *augmentation;
	size_t length;

	c.at = at;
	length = entry_length(&c);
	if (!length)
		return ENC_OMIT;
	c.end = c.at + length;
	if (fixed(&c, 4, false) != 0)
		return ENC_OMIT;
	version = (unsigned) fixed(&c, 1, false);
	augmentation = (const char *) c.bytes + c.at;
	if (c.bad || !memchr(augmentation, 0, c.end - c.at))
		return ENC_OMIT;
	/* Signal frames: C libraries have them begin a byte before the function, where no
	 * instruction does.  Without an entry, decoding arrives from what is in front. */
	if (strchr(augmentation, 'S'))
		return ENC_OMIT;
	c.at += strlen(augmentation) + 1;
	skip_leb(&c); /* code alignment */
	skip_leb(&c); /* data alignment */
	if (version == 1)
		(void) fixed(&c, 1, false); /* return address register */
	else
		skip_leb(&c);
	if (!*augmentation)
		return c.bad ? ENC_OMIT : ENC_ABSOLUTE;
	if (*augmentation++ != 'z')
		return ENC_OMIT;
	skip_leb(&c); /* length of what follows */
	for (; *augmentation && !c.bad; augmentation++) {
		if (*augmentation == 'R') {
			unsigned found = (unsigned) fixed(&c, 1, false);

			return c.bad ? ENC_OMIT : found;
		}
		if (*augmentation == 'L')
			(void) fixed(&c, 1, false);
		else if (*augmentation == 'P')
			(void) encoded(&c, (unsigned) fixed(&c, 1, false));
		else if (*augmentation != 'B')
			return ENC_OMIT;
	}
	return c.bad ? ENC_OMIT : ENC_ABSOLUTE;
}

static bool fde_span(struct cursor *c, unsigned encoding, unsigned bits,
		     struct sites_span *out)
{
	uint64_t base = 0, size;

	if (encoding == ENC_OMIT || encoding & ENC_INDIRECT)
		return false;
	if ((encoding & ENC_APPLICATION) == ENC_PCREL)
		base = c->vaddr + c->at;
	else if (encoding & ENC_APPLICATION)
		return false;
	out->start = base + encoded(c, encoding);
	size = encoded(c, encoding & 0x07); /* a size has no sign */
	if (bits == 32) {
		out->start = (uint32_t) out->start;
		size = (uint32_t) size;
	}
	out->end = out->start + size;
	return !c->bad && size && out->end > out->start;
}

static int by_start(const void *a, const void *b)
{
	const struct sites_span *x = a, *y = b;

	return x->start != y->start ? (x->start > y->start) - (x->start < y->start)
				    : (x->end < y->end) - (x->end > y->end);
}

/* Sorts; of two with one beginning the longer stays, each ends where the next begins. */
static size_t disjoint(struct sites_span *all, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(all, n, sizeof(*all), by_start);
	for (size_t i = 0; i < n; i++) {
		if (kept && all[kept - 1].start == all[i].start)
			continue;
		if (kept && all[kept - 1].end > all[i].start)
			all[kept - 1].end = all[i].start;
		all[kept++] = all[i];
	}
	return kept;
}

static int add(struct sites_span **all, size_t *n, struct sites_span span)
{
	if (!(*n & (*n - 1)) && *n != 1) { /* 0, 2, 4, 8: full */
		struct sites_span *more =
			realloc(*all, (*n ? 2 * *n : 2) * sizeof(**all));

		if (!more)
			return CO_NO_MEMORY;
		*all = more;
	}
	(*all)[(*n)++] = span;
	return 0;
}

int sites_unwind(const struct sites_image *image, struct sites_span **out,
		 size_t *out_count, struct co_err *err)
{
	const struct cursor table = { .bytes = image->unwind.bytes,
				      .end = image->unwind.size,
				      .vaddr = image->unwind.vaddr,
				      .word = image->bits / 8 };
	size_t cie = SIZE_MAX, n = 0;
	unsigned encoding = ENC_OMIT;
	struct sites_span *all = NULL;
	struct cursor c = table;

	while (c.at < c.end) {
		size_t length = entry_length(&c), start = c.at;
		struct cursor entry = c;
		struct sites_span span;
		uint64_t id;

		if (!length)
			break;
		entry.end = start + length;
		c.at = entry.end;
		id = fixed(&entry, 4, false);
		if (!id)
			continue; /* a CIE; read when an FDE names it */
		if (id > start)
			break;
		if (start - id != cie) {
			cie = start - id;
			encoding = cie_encoding(&table, cie);
		}
		if (!fde_span(&entry, encoding, image->bits, &span))
			continue;
		if (add(&all, &n, span)) {
			free(all);
			return co_fail(err, CO_NO_MEMORY, "out of memory");
		}
	}
	*out_count = disjoint(all, n);
	*out = all;
	return 0;
}
