/* SPDX-License-Identifier: MIT */
/*
 * Writing JSON to a stream.  HOST.  Who calls it: programs that print, services that
 * answer in JSON (over open_memstream).
 *
 *	struct co_json j;
 *	co_json_init(&j, stdout);
 *	co_json_open(&j, '[');
 *	co_json_open(&j, '{');
 *	co_json_key(&j, "name");
 *	co_json_text(&j, name);
 *	co_json_close(&j);          the innermost
 *	co_json_close(&j);
 *
 * Commas, quotes and escapes are put here.  The elements of the outermost list stand on
 * lines of their own.  Text that is not UTF-8 gets U+FFFD where it is wrong, so that the
 * output is always valid.  Write errors stay in the stream: ask ferror or fclose.
 */
#ifndef CO_JSON_H
#define CO_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CO_JSON_DEPTH 16

struct co_json {
	FILE *out;
	unsigned depth;
	bool after_key;
	bool more[CO_JSON_DEPTH]; /* something stands before on that level */
	char closing[CO_JSON_DEPTH];
};

void co_json_init(struct co_json *j, FILE *out);

/* '{' or '['; at most CO_JSON_DEPTH deep (asserted: depth is the program's own). */
void co_json_open(struct co_json *j, char bracket);
void co_json_close(struct co_json *j);

void co_json_key(struct co_json *j, const char *key);

void co_json_text(struct co_json *j, const char *text); /* NULL is null */
void co_json_bytes(struct co_json *j, const char *text, size_t n);
void co_json_i64(struct co_json *j, int64_t value);
void co_json_u64(struct co_json *j, uint64_t value);
void co_json_bool(struct co_json *j, bool value);

#endif
