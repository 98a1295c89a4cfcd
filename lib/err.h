/* SPDX-License-Identifier: MIT */
/*
 * Errors that a person will read.  HOST.
 *
 * Functions return 0, a negative co_status (fatal for the operation, passed up
 * unchanged) or a positive outcome that their own header lists.  Those whose failure
 * reaches a person take `struct co_err *err` last and say there, in one sentence, what
 * failed, on what, why and what to do.  `err` may be NULL.
 */
#ifndef CO_ERR_H
#define CO_ERR_H

#include <co/status.h>

struct co_err {
	int code;          /* negative co_status, 0 when nothing failed */
	char message[512]; /* one sentence without final newline */
};

/* Stores code and sentence in err; returns code. */
int co_fail(struct co_err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As co_fail with the status that errnum maps to; appends ": <strerror>". */
int co_fail_errno(struct co_err *err, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts context in front of the sentence of a lower layer; returns err->code. */
int co_context(struct co_err *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The status that comes nearest to a Linux errno; total, never 0. */
int co_status_from_errno(int errnum);

/* The general sentence of a status, for when nobody had a better one. */
const char *co_status_text(int status);

/* The name of a status without its prefix: "NOT_FOUND"; "ok" for 0. */
const char *co_status_name(int status);

#endif
