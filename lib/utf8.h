/* SPDX-License-Identifier: MIT */
/*
 * Reading UTF-8 that may be anything.  HOST.  Who calls it: everything that shows text
 * which came from elsewhere.
 */
#ifndef CO_UTF8_H
#define CO_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define CO_UTF8_INVALID 0xffffffffU

/*
 * The first character of n > 0 bytes and how many bytes it takes; CO_UTF8_INVALID and 1
 * where there is none (overlong forms, surrogates and what lies above U+10FFFF included).
 */
uint32_t co_utf8_next(const char *text, size_t n, size_t *out_length);

/* Columns on a terminal: 0 for what combines, 2 for wide East Asian forms and emoji. */
unsigned co_utf8_width(uint32_t character);

#endif
