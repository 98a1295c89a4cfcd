/* SPDX-License-Identifier: MIT */
/*
 * What cloudos-image says, on standard output, one JSON object a line.  HOST.
 *
 *	{"event":"progress","phase":"unpack","what":"sha256:...","done":1,"total":2}
 *	{"event":"note","message":"..."}
 *	{"event":"done",...}                                      the last one, or
 *	{"event":"failed","status":"NOT_FOUND","message":"..."}
 */
#ifndef IMAGE_REPORT_H
#define IMAGE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

/* Says nothing but failures (cp-out, whose standard output is an archive: they go to
 * standard error, as text). */
void report_quiet(void);

/* Not more often than ten times a second; total 0: nobody knows. */
void report_progress(const char *phase, const char *what, uint64_t done,
		     uint64_t total);

void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line of text that is JSON already. */
void report_line(const struct co_buf *json);

/* {"event":"done",MEMBERS}; members may be empty.  0, or CO_IO: nobody has read it. */
int report_done(const struct co_buf *members);

void report_failed(const struct co_err *err);

#endif
