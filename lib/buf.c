/* SPDX-License-Identifier: MIT */
/* Bytes that grow.  HOST. */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/utf8.h"

enum { FIRST = 256, NUMBER = 24 };

void co_buf_done(struct co_buf *b)
{
	free(b->data);
	*b = (struct co_buf){ 0 };
}

char *co_buf_take(struct co_buf *b, size_t *out_size)
{
	char *data;

	if (!b->data)
		(void) co_buf_room(b, 0);
	if (b->failed)
		return NULL;
	data = b->data;
	*out_size = b->size;
	*b = (struct co_buf){ 0 };
	return data;
}

char *co_buf_room(struct co_buf *b, size_t n)
{
	size_t room = b->room ? b->room : FIRST;
	char *data;

	if (b->failed)
		return NULL;
	if (b->data && b->room - b->size > n) /* one more for the NUL */
		return b->data + b->size;
	while (room - b->size <= n && room <= SIZE_MAX / 4)
		room *= 2;
	data = room - b->size > n ? realloc(b->data, room) : NULL;
	if (!data) {
		b->failed = true;
		return NULL;
	}
	b->data = data;
	b->room = room;
	b->data[b->size] = '\0';
	return b->data + b->size;
}

void co_buf_wrote(struct co_buf *b, size_t n)
{
	b->size += n;
	b->data[b->size] = '\0';
}

void co_buf_add(struct co_buf *b, const void *data, size_t n)
{
	char *to = n ? co_buf_room(b, n) : NULL;

	if (!to)
		return;
	memcpy(to, data, n);
	co_buf_wrote(b, n);
}

void co_buf_span(struct co_buf *b, struct co_span span)
{
	co_buf_add(b, span.data, span.size);
}

void co_buf_text(struct co_buf *b, const char *text)
{
	co_buf_add(b, text, strlen(text));
}

void co_buf_char(struct co_buf *b, char c)
{
	co_buf_add(b, &c, 1);
}

void co_buf_u64(struct co_buf *b, uint64_t value)
{
	char digits[NUMBER], *p = digits + sizeof(digits);

	do
		*--p = (char) ('0' + value % 10);
	while (value /= 10);
	co_buf_add(b, p, (size_t) (digits + sizeof(digits) - p));
}

void co_buf_i64(struct co_buf *b, int64_t value)
{
	if (value < 0)
		co_buf_char(b, '-');
	co_buf_u64(b, value < 0 ? -(uint64_t) value : (uint64_t) value);
}

void co_buf_format(struct co_buf *b, const char *format, ...)
{
	va_list args, again;
	char *to = co_buf_room(b, 0);
	int n;

	if (!to)
		return;
	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(to, b->room - b->size, format, args);
	if (n >= 0 && (size_t) n >= b->room - b->size) {
		to = co_buf_room(b, (size_t) n);
		n = to ? vsnprintf(to, (size_t) n + 1, format, again) : -1;
	}
	if (n >= 0)
		co_buf_wrote(b, (size_t) n);
	else
		b->failed = true;
	va_end(again);
	va_end(args);
}

/* ---- JSON ---- */

static void json_character(struct co_buf *b, uint32_t c, struct co_span bytes)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *known = c && c < 0x80 ? strchr(plain, (int) c) : NULL;

	if (known)
		co_buf_add(b, (char[]){ '\\', letter[known - plain] }, 2);
	else if (c < 0x20 || c == 0x7f)
		co_buf_format(b, "\\u%04x", (unsigned) c);
	else if (c == CO_UTF8_INVALID)
		co_buf_text(b, "\xef\xbf\xbd");
	else
		co_buf_span(b, bytes);
}

static size_t plain_run(struct co_span text)
{
	size_t n = 0;

	while (n < text.size && text.data[n] >= 0x20 && text.data[n] < 0x7f &&
	       text.data[n] != '"' && text.data[n] != '\\')
		n++;
	return n;
}

void co_buf_json_text(struct co_buf *b, struct co_span text)
{
	co_buf_char(b, '"');
	while (text.size) {
		size_t length = plain_run(text);

		if (length) {
			co_buf_add(b, text.data, length);
		} else {
			uint32_t c = co_utf8_next(text.data, text.size, &length);

			json_character(b, c, (struct co_span){ text.data, length });
		}
		text.data += length;
		text.size -= length;
	}
	co_buf_char(b, '"');
}

static void put_digits(char *to, uint64_t number, int digits)
{
	for (int i = digits - 1; i >= 0; i--, number /= 10)
		to[i] = (char) ('0' + number % 10);
}

/* In each answer: without printf. */
void co_buf_json_time(struct co_buf *b, uint64_t ms)
{
	time_t seconds = (time_t) (ms / 1000);
	char text[] = "\"0000-00-00T00:00:00.000Z\"";
	struct tm tm = { 0 };

	(void) gmtime_r(&seconds, &tm); /* fails for years that do not fit an int */
	put_digits(text + 1, (uint64_t) tm.tm_year + 1900, 4);
	put_digits(text + 6, (uint64_t) tm.tm_mon + 1, 2);
	put_digits(text + 9, (uint64_t) tm.tm_mday, 2);
	put_digits(text + 12, (uint64_t) tm.tm_hour, 2);
	put_digits(text + 15, (uint64_t) tm.tm_min, 2);
	put_digits(text + 18, (uint64_t) tm.tm_sec, 2);
	put_digits(text + 21, ms % 1000, 3);
	co_buf_add(b, text, sizeof(text) - 1);
}
