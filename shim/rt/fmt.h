/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Text into a caller's buffer, for the few lines that guest code ever prints.
 *
 *	char line[64];
 *	struct shim_fmt out = shim_fmt_init(line, sizeof(line));
 *	shim_fmt_text(&out, "number ");
 *	shim_fmt_dec(&out, -5);
 *
 * The buffer holds a terminated string at every moment; what does not fit is cut off.
 */
#ifndef SHIM_RT_FMT_H
#define SHIM_RT_FMT_H

#include <stddef.h>
#include <stdint.h>

struct shim_fmt {
	char *at;  /* the NUL */
	char *end; /* one behind the buffer */
};

/* `size` is at least 1. */
struct shim_fmt shim_fmt_init(char *buffer, size_t size);

void shim_fmt_text(struct shim_fmt *out, const char *text);
void shim_fmt_dec(struct shim_fmt *out, int64_t value);
void shim_fmt_hex(struct shim_fmt *out, uint64_t value);

#endif
