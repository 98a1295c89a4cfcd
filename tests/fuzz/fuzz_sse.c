/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what is written for others to parse: event streams, rows as JSON, the
 * exposition of metrics.  HOST.  Input: fields with 0xfe between them; the first byte says
 * which.  Demanded: a client reads back what was sent, whatever is in it.
 */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/events.h"
#include "cloudosd/service/logs.h"
#include "cloudosd/service/metrics.h"
#include "cloudosd/service/series.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/sse.h"
#include "lib/utf8.h"
#include "tests/fuzz/target.h"

enum { FIELDS = 6, FRAMES = 8 };

static void demand(bool good)
{
	if (!good)
		abort();
}

/* ---- the services want a store that nobody asks here ---- */

int store_row_add(struct store *s, enum store_table table, const struct store_row *row,
		  store_row_done *done, void *arg)
{
	(void) s, (void) table, (void) row, (void) done, (void) arg;
	abort();
}

void store_rows_watch(struct store *s, enum store_table table,
		      void (*added)(void *arg, const struct store_row *row), void *arg)
{
	(void) s, (void) table, (void) added, (void) arg;
	abort();
}

int store_rows_read(struct store *s, const struct store_rows_query *query,
		    store_rows_done *done, void *arg)
{
	(void) s, (void) query, (void) done, (void) arg;
	abort();
}

uint64_t store_rows_newest(struct store *s, enum store_table table)
{
	(void) s, (void) table;
	abort();
}

/* ---- a client, as the specification has it ---- */

struct frame {
	struct co_buf id, data;
	bool has_data;
};

struct client {
	struct frame frames[FRAMES], now;
	size_t n;
};

static bool is_end(char c)
{
	return c == '\n' || c == '\r';
}

static void take_line(struct client *c, struct co_span line)
{
	const char *colon = memchr(line.data, ':', line.size);
	struct co_span name = { line.data,
				colon ? (size_t) (colon - line.data) : line.size };
	struct co_span value = { line.data + line.size, 0 };

	if (!line.size) {
		if (c->now.has_data) {
			demand(c->n < FRAMES);
			c->frames[c->n++] = c->now;
			c->now = (struct frame){ 0 };
		}
		return;
	}
	if (colon)
		value = (struct co_span){ colon + 1, line.size - name.size - 1 };
	if (value.size && value.data[0] == ' ')
		value = (struct co_span){ value.data + 1, value.size - 1 };
	demand(!name.size || co_span_is(name, "id") || co_span_is(name, "data"));
	if (co_span_is(name, "id")) {
		c->now.id.size = 0;
		co_buf_span(&c->now.id, value);
	} else if (co_span_is(name, "data")) {
		if (c->now.has_data)
			co_buf_char(&c->now.data, '\n');
		c->now.has_data = true;
		co_buf_span(&c->now.data, value);
	}
}

static void parse(struct client *c, struct co_span text)
{
	while (text.size) {
		size_t n = 0, skip;

		while (n < text.size && !is_end(text.data[n]))
			n++;
		demand(n < text.size); /* nothing is written without its end */
		skip = n + 1;
		if (text.data[n] == '\r' && skip < text.size && text.data[skip] == '\n')
			skip++;
		take_line(c, (struct co_span){ text.data, n });
		text.data += skip;
		text.size -= skip;
	}
}

static void client_done(struct client *c)
{
	for (size_t i = 0; i < c->n; i++) {
		co_buf_done(&c->frames[i].id);
		co_buf_done(&c->frames[i].data);
	}
	co_buf_done(&c->now.id);
	co_buf_done(&c->now.data);
}

static bool same(const struct co_buf *b, struct co_span span)
{
	return b->size == span.size &&
	       (!b->size || !memcmp(b->data, span.data, b->size));
}

/* ---- frames and comments ---- */

/* As a client has it: each line end is one LF. */
static void normalise(struct co_span text, struct co_buf *out)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c == '\r' && i + 1 < text.size && text.data[i + 1] == '\n')
			continue;
		co_buf_char(out, c == '\r' ? '\n' : c);
	}
}

static bool can_be_id(struct co_span id)
{
	for (size_t i = 0; i < id.size; i++)
		if (is_end(id.data[i]) || !id.data[i])
			return false;
	return id.data != NULL;
}

static void frames(const struct co_span *fields)
{
	autobuf struct co_buf out = { 0 };
	autobuf struct co_buf wanted = { 0 };
	struct client c = { 0 };

	co_sse_frame(&out, fields[0], fields[1]);
	co_sse_comment(&out, fields[2]);
	co_sse_frame(&out, co_span("last"), co_span("end"));
	parse(&c, (struct co_span){ out.data, out.size });
	demand(c.n == 2);
	normalise(fields[1], &wanted);
	demand(same(&c.frames[0].data, (struct co_span){ wanted.data, wanted.size }));
	demand(same(&c.frames[0].id,
		    can_be_id(fields[0]) ? fields[0] : (struct co_span){ 0 }));
	demand(same(&c.frames[1].data, co_span("end")));
	demand(same(&c.frames[1].id, co_span("last")));
	client_done(&c);
}

/* ---- rows ---- */

/* What JSON can say of a text: all of it if it is UTF-8. */
static bool is_utf8(struct co_span text)
{
	size_t length;

	for (size_t i = 0; i < text.size; i += length)
		if (co_utf8_next(text.data + i, text.size - i, &length) ==
		    CO_UTF8_INVALID)
			return false;
	return true;
}

static void demand_member(struct co_span json, const char *name, struct co_span text)
{
	autobuf struct co_buf plain = { 0 };
	struct co_span value;

	demand(co_json_member(json, name, &value));
	if (is_utf8(text) && !(text.size && memchr(text.data, 0, text.size))) {
		demand(co_json_unescape(value, &plain) == 0);
		demand(same(&plain, text));
	}
}

static void demand_json(struct co_span json, const char *name, struct co_span raw)
{
	struct co_span value;

	demand(co_json_member(json, name, &value) == (raw.data != NULL));
	demand(!raw.data ||
	       (value.size == raw.size && memcmp(value.data, raw.data, raw.size) == 0));
}

static void rows(const struct co_span *fields)
{
	static void (*const write[])(
		struct co_buf * out,
		const struct store_row *row) = { logs_json, metrics_json, events_json };
	struct store_row row = { .number = fields[0].size,
				 .at_ms = 1732104000007,
				 .service = co_span("core"),
				 .source = fields[1],
				 .name = fields[2],
				 .text = fields[3],
				 .value = co_span("1.50") };
	struct co_json_fault fault;

	if (co_json_check(fields[4], &row.json, &fault) < 0)
		row.json = (struct co_span){ 0 };
	for (size_t i = 0; i < co_countof(write); i++) {
		autobuf struct co_buf json = { 0 };
		struct co_span all = { 0 };

		write[i](&json, &row);
		demand(co_json_check((struct co_span){ json.data, json.size }, &all,
				     &fault) == 0);
		demand_member(all,
			      i == 0   ? "level"
			      : i == 1 ? "name"
				       : "event",
			      row.name);
		if (i == 0)
			demand_member(all, "message", row.text);
		if (i != 1)
			demand_member(all, i == 0 ? "service" : "source",
				      row.source.data ? row.source : row.service);
		demand_json(all, i == 0 ? "meta" : i == 1 ? "tags" : "data", row.json);
	}
}

/* ---- the exposition ---- */

static bool is_name(const char *text, size_t n, bool colon)
{
	for (size_t i = 0; i < n; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') ||
		      (text[i] >= 'A' && text[i] <= 'Z') || text[i] == '_' ||
		      (colon && text[i] == ':') ||
		      (i && text[i] >= '0' && text[i] <= '9')))
			return false;
	return n > 0;
}

/* Behind {name="value",...}, or NULL. */
static const char *labels(const char *at, const char *end)
{
	do {
		const char *equals = memchr(at, '=', (size_t) (end - at));

		if (!equals || !is_name(at, (size_t) (equals - at), false) ||
		    equals + 1 >= end || equals[1] != '"')
			return NULL;
		for (at = equals + 2; at < end && *at != '"'; at++)
			if (*at == '\\' && (++at == end || !strchr("\\\"n", *at)))
				return NULL;
		if (at++ >= end)
			return NULL;
	} while (at < end && *at++ == ',');
	return at <= end && at[-1] == '}' ? at : NULL;
}

static void demand_line(struct co_span line)
{
	const char *end = line.data + line.size, *at = line.data;
	char *rest;

	if (line.size && *at == '#')
		return;
	while (at < end && *at != '{' && *at != ' ')
		at++;
	demand(is_name(line.data, (size_t) (at - line.data), true));
	if (at < end && *at == '{')
		at = labels(at + 1, end);
	demand(at && at < end && *at == ' ');
	(void) strtod(at + 1, &rest);
	demand(rest == end); /* a line end is behind it */
}

static void exposition(const struct co_span *fields)
{
	struct series_all *all = series_new();
	autobuf struct co_buf out = { 0 };
	struct co_span tags = { 0 };
	struct co_json_fault fault;
	uint64_t at = 0;

	demand(all != NULL);
	if (co_json_check(fields[2], &tags, &fault) < 0 ||
	    co_json_kind(tags) != CO_JSON_OBJECT)
		tags = (struct co_span){ 0 };
	for (int i = 0; i < 3; i++)
		series_note(all, fields[0], fields[1], i ? tags : (struct co_span){ 0 },
			    i * 1.5);
	while (series_write(all, &at, &out))
		;
	demand(!out.failed && out.size && out.data[out.size - 1] == '\n');
	for (const char *p = out.data, *end; p < out.data + out.size; p = end + 1) {
		end = strchr(p, '\n');
		demand(end != NULL);
		demand_line((struct co_span){ p, (size_t) (end - p) });
	}
	(void) series_free(all); /* NULL */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(const struct co_span *fields) = { frames, rows,
									 exposition };
	struct co_span fields[FIELDS] = { 0 };
	const char *at = (const char *) data + 1, *end = (const char *) data + size;

	if (!size)
		return 0;
	for (size_t i = 0; i < FIELDS && at <= end; i++) {
		const char *next =
			at < end ? memchr(at, 0xfe, (size_t) (end - at)) : NULL;

		fields[i] = (struct co_span){ at, (size_t) ((next ? next : end) - at) };
		at = next ? next + 1 : end + 1;
	}
	targets[data[0] % co_countof(targets)](fields);
	return 0;
}
