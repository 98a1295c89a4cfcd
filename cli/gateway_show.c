/* SPDX-License-Identifier: MIT */
/* What is printed of a reply of the gateway: tables, records, JSON as it came.  HOST. */
#include <ctype.h>

#include "cli/gateway.h"
#include "lib/cleanup.h"

enum { NAME_MAX_ = 64, LABEL = 18 };

/* ---- columns ---- */

/* One word of a list of columns: what it is called and which member it is. */
struct member {
	char heading[NAME_MAX_], path[NAME_MAX_];
};

static bool next_member(const char **columns, struct member *out)
{
	const char *at = *columns + strspn(*columns, " ");
	size_t n = strcspn(at, " ");
	const char *equals = memchr(at, '=', n);
	size_t head = equals ? (size_t) (equals - at) : n;
	const char *path = equals ? equals + 1 : at;

	*columns = at + n;
	(void) snprintf(out->heading, NAME_MAX_, "%.*s", (int) head, at); /* ours */
	(void) snprintf(out->path, NAME_MAX_, "%.*s", (int) (at + n - path), path);
	return n > 0;
}

/* A member, or a member's member; none: {NULL, 0}. */
static struct co_span find(struct co_span value, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, ".");
		char name[NAME_MAX_];

		(void) snprintf(name, sizeof(name), "%.*s", (int) n, path); /* ours */
		if (!co_json_member(value, name, &value))
			return (struct co_span){ NULL, 0 };
		path += n + (path[n] == '.');
	}
	return value;
}

/* What people see of it; the span is of `keep` or of value. */
static struct co_span shown(struct co_span value, struct co_buf *keep)
{
	if (!value.data || co_json_kind(value) == CO_JSON_NULL)
		return (struct co_span){ NULL, 0 };
	if (co_json_kind(value) != CO_JSON_STRING || co_json_unescape(value, keep) < 0)
		return value;
	return (struct co_span){ keep->data ? keep->data : "", keep->size };
}

/* ---- JSON ---- */

int gateway_json(struct gateway *g, struct co_span value)
{
	FILE *out = g->ctl->style.out;

	(void) fwrite(value.data, 1, value.size, out); /* its failure is asked below */
	(void) fputc('\n', out);
	return ctl_printed(g->ctl, co_print_flush(out));
}

/* Indented; what is short stays on its line. */
static void put_tree(FILE *out, struct co_span value, int depth)
{
	enum { SHORT = 60, STEP = 2 };
	enum co_json_kind kind = co_json_kind(value);
	struct co_json_walk walk = co_json_walk(value);
	const char *between = "";
	struct co_span name, member;

	if ((kind != CO_JSON_ARRAY && kind != CO_JSON_OBJECT) ||
	    (depth > 0 && value.size <= SHORT)) {
		(void) fwrite(value.data, 1, value.size, out); /* asked in the end */
		return;
	}
	(void) fputc(kind == CO_JSON_ARRAY ? '[' : '{', out);
	while (co_json_next(&walk, &name, &member)) {
		(void) fprintf(out, "%s\n%*s", between, (depth + 1) * STEP, "");
		if (name.data)
			(void) fprintf(out, "%.*s: ", (int) name.size, name.data);
		put_tree(out, member, depth + 1); /* CO_LIMIT_JSON_DEPTH at most */
		between = ",";
	}
	if (*between)
		(void) fprintf(out, "\n%*s", depth * STEP, "");
	(void) fputc(kind == CO_JSON_ARRAY ? ']' : '}', out);
}

int gateway_tree(struct gateway *g, struct co_span value)
{
	FILE *out = g->ctl->style.out;

	if (g->ctl->style.format == CO_FORMAT_JSON)
		return gateway_json(g, value);
	put_tree(out, value, 0);
	(void) fputc('\n', out); /* its failure is asked below */
	return ctl_printed(g->ctl, co_print_flush(out));
}

int gateway_text(struct gateway *g, struct co_span value)
{
	autobuf struct co_buf keep = { 0 };
	struct co_span text;

	if (g->ctl->style.format == CO_FORMAT_JSON)
		return gateway_json(g, value);
	text = shown(value, &keep);
	if (!text.data)
		text = co_span("null");
	(void) co_print_escaped(g->ctl->style.out, text.data, text.size); /* width */
	(void) fputc('\n', g->ctl->style.out); /* its failure is asked below */
	return ctl_printed(g->ctl, co_print_flush(g->ctl->style.out));
}

/* ---- rows ---- */

/* The printer borrows its names: they live in one place, once per process. */
struct headings {
	struct member members[CO_PRINT_COLUMNS];
	const char *names[CO_PRINT_COLUMNS + 1];
};

struct co_print *gateway_rows(struct gateway *g, const char *columns)
{
	static struct headings h;
	struct co_print *rows;
	size_t n = 0;

	while (n < CO_PRINT_COLUMNS && next_member(&columns, &h.members[n])) {
		h.names[n] = h.members[n].heading;
		n++;
	}
	h.names[n] = NULL;
	rows = co_print_new(&g->ctl->style, h.names);
	if (!rows)
		(void) co_fail(&g->ctl->err, CO_NO_MEMORY, "out of memory");
	return rows;
}

static void add_row(struct co_print *rows, struct co_span value, const char *columns)
{
	struct member m;

	while (next_member(&columns, &m)) {
		autobuf struct co_buf keep = { 0 };
		struct co_span cell = find(value, m.path);
		bool number = cell.data && co_json_kind(cell) == CO_JSON_NUMBER;

		co_print_span(rows, shown(cell, &keep), number);
	}
}

int gateway_row(struct gateway *g, struct co_print *rows, struct co_span value,
		const char *columns)
{
	if (g->ctl->style.format == CO_FORMAT_JSON)
		return gateway_json(g, value);
	add_row(rows, value, columns);
	return ctl_printed(g->ctl, co_print_status(rows));
}

int gateway_table(struct gateway *g, const char *list, const char *columns)
{
	struct co_span all = list ? find(g->value, list) : g->value, name, value;
	struct co_json_walk walk = co_json_walk(all);
	struct co_print *rows;

	if (g->ctl->style.format == CO_FORMAT_JSON)
		return gateway_json(g, g->value);
	rows = gateway_rows(g, columns);
	if (!rows)
		return g->ctl->err.code;
	while (co_json_next(&walk, &name, &value))
		add_row(rows, value, columns);
	return ctl_printed(g->ctl, co_print_end(rows));
}

/* ---- records ---- */

static void put_line(FILE *out, const char *heading, struct co_span text)
{
	int n = (int) strlen(heading);

	(void) fprintf(out, "%s:%*s", heading, n < LABEL ? LABEL - n : 1, "");
	if (text.size)
		(void) co_print_escaped(out, text.data, text.size); /* width unneeded */
	else
		(void) fputc('-', out);
	(void) fputc('\n', out); /* failures are asked of the stream in the end */
}

int gateway_record(struct gateway *g, struct co_span value, const char *members)
{
	struct member m;

	if (g->ctl->style.format == CO_FORMAT_JSON)
		return gateway_json(g, value);
	while (next_member(&members, &m)) {
		autobuf struct co_buf keep = { 0 };

		put_line(g->ctl->style.out, m.heading,
			 shown(find(value, m.path), &keep));
	}
	return ctl_printed(g->ctl, co_print_flush(g->ctl->style.out));
}
