/* SPDX-License-Identifier: MIT */
/* Writing JSON to a stream.  HOST. */
#include "lib/json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "lib/utf8.h"

void co_json_init(struct co_json *j, FILE *out)
{
	memset(j, 0, sizeof(*j));
	j->out = out;
}

/* What has to stand before a value or a key; write errors stay in the stream. */
static void separate(struct co_json *j)
{
	if (j->after_key) {
		j->after_key = false;
		return;
	}
	if (j->depth == 0)
		return;
	if (j->more[j->depth - 1])
		(void) fputc(',', j->out);
	if (j->depth == 1 && j->closing[0] == ']')
		(void) fputs("\n  ", j->out);
	else if (j->more[j->depth - 1])
		(void) fputc(' ', j->out);
	j->more[j->depth - 1] = true;
}

void co_json_open(struct co_json *j, char bracket)
{
	assert(j->depth < CO_JSON_DEPTH);
	separate(j);
	(void) fputc(bracket, j->out);
	j->more[j->depth] = false;
	j->closing[j->depth++] = bracket == '{' ? '}' : ']';
}

void co_json_close(struct co_json *j)
{
	assert(j->depth > 0);
	j->depth--;
	if (j->depth == 0 && j->more[0] && j->closing[0] == ']')
		(void) fputc('\n', j->out);
	(void) fputc(j->closing[j->depth], j->out);
	if (j->depth == 0)
		(void) fputc('\n', j->out);
}

static void put_character(FILE *out, uint32_t c, const char *bytes, size_t n)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *known = c && c < 0x80 ? strchr(plain, (int) c) : NULL;

	if (known)
		(void) fprintf(out, "\\%c", letter[known - plain]);
	else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		(void) fprintf(out, "\\u%04x", (unsigned) c);
	else if (c == CO_UTF8_INVALID)
		(void) fputs("\xef\xbf\xbd", out);
	else
		(void) fwrite(bytes, 1, n, out);
}

static void put_string(FILE *out, const char *text, size_t n)
{
	(void) fputc('"', out);
	while (n) {
		size_t length;
		uint32_t c = co_utf8_next(text, n, &length);

		put_character(out, c, text, length);
		text += length;
		n -= length;
	}
	(void) fputc('"', out);
}

void co_json_key(struct co_json *j, const char *key)
{
	separate(j);
	put_string(j->out, key, strlen(key));
	(void) fputs(": ", j->out);
	j->after_key = true;
}

void co_json_bytes(struct co_json *j, const char *text, size_t n)
{
	separate(j);
	put_string(j->out, text, n);
}

void co_json_text(struct co_json *j, const char *text)
{
	if (text) {
		co_json_bytes(j, text, strlen(text));
		return;
	}
	separate(j);
	(void) fputs("null", j->out);
}

void co_json_i64(struct co_json *j, int64_t value)
{
	separate(j);
	(void) fprintf(j->out, "%" PRId64, value);
}

void co_json_u64(struct co_json *j, uint64_t value)
{
	separate(j);
	(void) fprintf(j->out, "%" PRIu64, value);
}

void co_json_bool(struct co_json *j, bool value)
{
	separate(j);
	(void) fputs(value ? "true" : "false", j->out);
}
