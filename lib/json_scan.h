/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON (RFC 8259) without making anything of it.  HOST.
 *
 * A text is checked once, and from then on its values are spans of it: what a program
 * wrote (2^53+1, 1e400, thirty digits, the order of members) is what another one reads.
 * All functions but co_json_check take values of a text that has been checked.
 */
#ifndef CO_JSON_SCAN_H
#define CO_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/span.h"

enum co_json_kind {
	CO_JSON_NULL,
	CO_JSON_BOOL,
	CO_JSON_NUMBER,
	CO_JSON_STRING,
	CO_JSON_ARRAY,
	CO_JSON_OBJECT
};

/* Where a text stops being JSON, and what is wrong there ("a string is not closed"). */
struct co_json_fault {
	size_t at;
	const char *what;
};

/*
 * Is that one JSON value, with nothing but white space around it, valid UTF-8 throughout,
 * nested no deeper than CO_LIMIT_JSON_DEPTH?  0 and the value without that white space, or
 * CO_INVALID and the fault.  Escaped lone surrogates and equal member names are allowed.
 */
int co_json_check(struct co_span text, struct co_span *out_value,
		  struct co_json_fault *out_fault);

enum co_json_kind co_json_kind(struct co_span value);

/* The last member of that name (which is not escaped); false: there is none, or `object`
 * is not an object. */
bool co_json_member(struct co_span object, const char *name, struct co_span *out_value);

/* Members or elements, one after the other:
 *	struct co_json_walk w = co_json_walk(value);
 *	while (co_json_next(&w, &name, &value)) ...
 * name is a JSON string with its quotes; in arrays it is {NULL, 0}. */
struct co_json_walk {
	const char *at, *end;
	bool object;
};

struct co_json_walk co_json_walk(struct co_span container);
bool co_json_next(struct co_json_walk *w, struct co_span *out_name,
		  struct co_span *out_value);

/* Is that string, unescaped, the text? */
bool co_json_string_is(struct co_span string, const char *text);

/* Adds the unescaped string.  CO_INVALID, and nothing added: it is not a string, has a
 * lone surrogate, or a NUL, which no key or name of ours can have; CO_NO_MEMORY. */
int co_json_unescape(struct co_span string, struct co_buf *out);

/* A number whose value is a whole one and fits ("5", "5.0", "5e0"; not "5.5"). */
bool co_json_whole(struct co_span value, int64_t *out);

/* The nearest double; false: not a number, or too large for one. */
bool co_json_real(struct co_span value, double *out);

#endif
