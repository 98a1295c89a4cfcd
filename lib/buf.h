/* SPDX-License-Identifier: MIT */
/*
 * Bytes that grow.  HOST.
 *
 *	autobuf struct co_buf b = { 0 };
 *	co_buf_text(&b, "{\"id\":");
 *	co_buf_json_text(&b, co_span(id));
 *	co_buf_text(&b, "}");
 *	if (b.failed)
 *		there was no memory for all of it
 *
 * Nothing here fails at once: look at `failed` when all is written.  What did not fit is
 * not there, what comes after it neither.
 */
#ifndef CO_BUF_H
#define CO_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/span.h"

struct co_buf {
	char *data; /* malloc; a NUL stands behind the last byte; NULL while empty */
	size_t size, room;
	bool failed;
};

/* Frees the bytes; the buffer is empty and may be used again. */
void co_buf_done(struct co_buf *b);
#define autobuf __attribute__((cleanup(co_buf_done)))

/* The bytes (malloc, terminated), which are the caller's now; NULL if it failed. */
char *co_buf_take(struct co_buf *b, size_t *out_size);

/* Makes room for n more bytes and returns where they go; NULL if there is none.  What was
 * written there counts after co_buf_wrote. */
char *co_buf_room(struct co_buf *b, size_t n);
void co_buf_wrote(struct co_buf *b, size_t n);

void co_buf_add(struct co_buf *b, const void *data, size_t n);
void co_buf_span(struct co_buf *b, struct co_span span);
void co_buf_text(struct co_buf *b, const char *text);
void co_buf_char(struct co_buf *b, char c);
void co_buf_u64(struct co_buf *b, uint64_t value);
void co_buf_i64(struct co_buf *b, int64_t value);
void co_buf_format(struct co_buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As a JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void co_buf_json_text(struct co_buf *b, struct co_span text);

/* "2026-11-20T12:00:00.123Z" of milliseconds since the epoch, with its quotes. */
void co_buf_json_time(struct co_buf *b, uint64_t ms);

#endif
