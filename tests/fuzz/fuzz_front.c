/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what the front makes of a message.  HOST.  Input: 'Q' and a request, or 'A'
 * and an answer.
 *
 * Whatever came, what goes out is exactly one message in the eyes of a strict reader who
 * shares no code with us, with the same method and body, and without a field of the
 * connection that it came by.
 */
#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/http/front_head.h"
#include "lib/cleanup.h"
#include "lib/uri.h"
#include "tests/fuzz/http_reference.h"
#include "tests/fuzz/target.h"

enum { ADDED = 5 }; /* fields */

static const struct co_http_limits limits = {
	.head = 16384, .target = 2048, .body = 1 << 20, .written = true
};
/* heads grow by what the front adds */
static const struct co_http_limits wide = { .head = 65536,
					    .target = 4096,
					    .body = 1 << 20 };

static void on_body(void *arg, const char *data, size_t n)
{
	co_buf_add(arg, data, n);
}

/* The first whole message of the text; NULL: there is none. */
static struct co_http_message *read_one(enum co_http_kind kind, const char *text,
					size_t n, struct co_buf *body, size_t *out_used)
{
	struct co_http_message *m = co_http_new(kind, &limits, on_body, body);
	size_t used, at = 0;
	bool head = false;

	while (m && at < n) {
		enum co_http_progress p = co_http_feed(m, text + at, n - at, &used);

		at += used;
		*out_used = at;
		if (p == CO_HTTP_BAD)
			return co_http_free(m);
		if (p == CO_HTTP_DONE)
			return m;
		head = head || p == CO_HTTP_HEAD;
		if (p == CO_HTTP_HEAD && !co_http_head(m)->has_body)
			return m;
		if (p == CO_HTTP_HEAD && co_http_head(m)->has_length &&
		    !co_http_head(m)->length)
			return m;
	}
	if (m && head && co_http_finish(m))
		return m;
	return co_http_free(m);
}

static void add_body(struct co_buf *out, const struct co_buf *body, bool chunked)
{
	if (chunked && body->size)
		co_buf_format(out, "%zx\r\n", body->size);
	co_buf_add(out, body->data, body->size);
	if (chunked)
		co_buf_text(out, body->size ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
}

static bool has_line(const struct co_buf *b, const char *line)
{
	return b->data && memmem(b->data, b->size, line, strlen(line)) != NULL;
}

static void request(const char *text, size_t n)
{
	autobuf struct co_buf body = { 0 }, out = { 0 }, seen = { 0 }, first = { 0 };
	size_t used = 0;
	struct co_http_message *m = read_one(CO_HTTP_REQUEST, text, n, &body, &used);
	struct front_request q = { .client = "127.0.0.1", .host = "127.77.0.1:8000" };
	struct reference_result r;
	const char *what;

	if (!m)
		return;
	q.head = co_http_head(m);
	/* what is added may be more than a strict reader takes */
	if (q.head->nfields + ADDED <= CO_LIMIT_HTTP_FIELDS &&
	    !front_check(q.head, &what)) {
		front_request_head(&out, &q);
		add_body(&out, &body, q.head->chunked);
		r = reference_request(out.data, out.size, &wide, &seen);
		if (r.is != REFERENCE_WHOLE || r.used != out.size) {
			(void) fprintf(stderr, "passed on as:\n%s\n", out.data);
			abort();
		}
		co_buf_span(&first, q.head->method);
		co_buf_char(&first, ' ');
		if (seen.size < first.size + body.size ||
		    memcmp(seen.data, first.data, first.size) != 0 ||
		    (body.size && memcmp(seen.data + seen.size - body.size, body.data,
					 body.size) != 0))
			abort();
		seen.size -= body.size;
		if (has_line(&seen, "\nkeep-alive:") || has_line(&seen, "\nte:") ||
		    (!q.head->upgrade && has_line(&seen, "\nupgrade:")))
			abort();
	}
	m = co_http_free(m);
}

static void answer(const char *text, size_t n)
{
	autobuf struct co_buf body = { 0 }, out = { 0 }, again = { 0 };
	size_t used = 0;
	struct co_http_message *m = read_one(CO_HTTP_RESPONSE, text, n, &body, &used),
			       *other;
	struct front_answer a = { .keep = true };

	if (!m)
		return;
	a.head = co_http_head(m);
	a.chunked = a.head->has_body && !a.head->has_length;
	if (a.head->status >= 200 && a.head->nfields + ADDED <= CO_LIMIT_HTTP_FIELDS) {
		front_answer_head(&out, &a);
		if (a.head->has_body)
			add_body(&out, &body, a.chunked);
		other = read_one(CO_HTTP_RESPONSE, out.data, out.size, &again, &used);
		if (!other || used != out.size || again.size != body.size ||
		    (body.size && memcmp(again.data, body.data, body.size) != 0) ||
		    co_http_head(other)->status != a.head->status ||
		    co_http_head(other)->until_close) {
			(void) fprintf(stderr, "passed on as:\n%s\n", out.data);
			abort();
		}
		other = co_http_free(other);
	}
	m = co_http_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = malloc(size ? size : 1); /* ends where the input ends */

	if (!text || size < 2)
		return 0;
	memcpy(text, data, size);
	if (text[0] == 'A')
		answer(text + 1, size - 1);
	else
		request(text + 1, size - 1);
	return 0;
}
