/* SPDX-License-Identifier: MIT */
/* Bytes that somebody else chose, made fit for a line of text.  HOST. */
#ifndef CO_ESCAPE_H
#define CO_ESCAPE_H

#include <stddef.h>

/*
 * Writes n bytes to out (size bytes, NUL included) as they may stand between double
 * quotes in a log line or a message: printable ASCII and proper UTF-8 as they are, the
 * quote and the backslash with a backslash, newline and tab as \n and \t, every other
 * byte (control characters, C1 controls, broken UTF-8) as \xHH.  Never cuts an escape
 * or a character in two.  What does not fit is replaced by a final "...".
 * Returns the length written.  size must be at least 4.
 */
size_t co_escape(char *out, size_t size, const char *bytes, size_t n);

#endif
