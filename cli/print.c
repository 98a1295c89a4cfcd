/* SPDX-License-Identifier: MIT */
/* Listings and records as aligned tables and as JSON.  HOST. */
#include "cli/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/utf8.h"

enum look { LOOK_TEXT, LOOK_NUMBER, LOOK_DURATION, LOOK_TIME };

struct column {
	const char *name;
	enum look look;
	uint64_t unit; /* of a duration or time: how many make a second */
	bool shown;    /* in tables */
	bool number;   /* its cells are: they stand to the right */
	unsigned width;
};

struct cell {
	char *text; /* escaped, owned */
	unsigned width;
	bool number;
};

struct co_print {
	struct co_print_style style;
	const struct co_layout *layout; /* NULL when made from names */
	struct column columns[CO_PRINT_COLUMNS];
	size_t ncolumns, at; /* at: the column that the next cell belongs to */
	struct cell *cells;  /* rows of ncolumns, one after the other */
	size_t ncells, room, rows;
	struct co_json json;
	bool headed, out_of_memory;
};

/* ---- text ---- */

static bool changes_direction(uint32_t c)
{
	return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

unsigned co_print_escaped(FILE *out, const char *text, size_t n)
{
	unsigned width = 0;

	while (n) {
		size_t length;
		uint32_t c = co_utf8_next(text, n, &length);
		int put = 0;

		if (c == '\n' || c == '\t' || c == '\r')
			put = fprintf(out, "\\%c",
				      c == '\n'   ? 'n'
				      : c == '\t' ? 't'
						  : 'r');
		else if (c == CO_UTF8_INVALID || c < 0x20 || c == 0x7f)
			put = fprintf(out, "\\x%02x",
				      (unsigned) (unsigned char) text[0]);
		else if ((c >= 0x80 && c < 0xa0) || changes_direction(c))
			put = fprintf(out, "\\u%04x", (unsigned) c);
		else
			(void) fwrite(text, 1, length,
				      out); /* asked of the stream later */
		width += put > 0 ? (unsigned) put : put < 0 ? 0 : co_utf8_width(c);
		text += length;
		n -= length;
	}
	return width;
}

/* Which error it was is asked of the descriptor: errno is long overwritten. */
static int stream_status(FILE *out)
{
	struct pollfd p = { .fd = fileno(out) };

	if (!ferror(out))
		return 0;
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP)) ? CO_GONE
									: CO_IO;
}

int co_print_flush(FILE *out)
{
	(void) fflush(out); /* leaves its failure in the stream */
	return stream_status(out);
}

/* ---- values ---- */

static const struct {
	const char *suffix;
	uint64_t unit;
} units[] = { { "_ms", 1000 }, { "_us", 1000000 }, { "_ns", 1000000000 } };

static void look_at(struct column *c)
{
	size_t n = strlen(c->name);

	c->look = LOOK_NUMBER;
	for (size_t i = 0; i < co_countof(units); i++) {
		if (n <= 3 || strcmp(c->name + n - 3, units[i].suffix) != 0)
			continue;
		c->unit = units[i].unit;
		c->look = strncmp(c->name, "at_", 3) == 0 ? LOOK_TIME : LOOK_DURATION;
	}
}

/* The two largest units say enough: 3d4h, 12m5s, 1.250s, 4.2us. */
static void put_duration(FILE *out, uint64_t value, uint64_t unit)
{
	uint64_t s = value / unit;
	double part = (double) value / (double) unit;

	if (s >= 86400)
		(void) fprintf(out, "%" PRIu64 "d%" PRIu64 "h", s / 86400,
			       s / 3600 % 24);
	else if (s >= 3600)
		(void) fprintf(out, "%" PRIu64 "h%" PRIu64 "m", s / 3600, s / 60 % 60);
	else if (s >= 60)
		(void) fprintf(out, "%" PRIu64 "m%" PRIu64 "s", s / 60, s % 60);
	else if (s >= 1)
		(void) fprintf(out, "%.1fs", part);
	else if (part >= 1e-3 || unit == 1000)
		(void) fprintf(out, "%.0fms", part * 1e3);
	else
		(void) fprintf(out, "%.1fus", part * 1e6);
}

static void put_time(FILE *out, uint64_t value, uint64_t unit)
{
	time_t s = (time_t) (value / unit);
	char text[64];
	struct tm tm;

	if (!localtime_r(&s, &tm) || !strftime(text, sizeof(text), "%F %T", &tm))
		(void) fprintf(out, "%" PRIu64, value);
	else
		(void) fprintf(out, "%s.%03u", text,
			       (unsigned) (value % unit * 1000 / unit));
}

static void put_number(FILE *out, const struct column *c, uint64_t value, bool negative)
{
	if (c->look == LOOK_DURATION && !negative)
		put_duration(out, value, c->unit);
	else if (c->look == LOOK_TIME && !negative)
		put_time(out, value, c->unit);
	else if (negative)
		(void) fprintf(out, "%" PRId64, (int64_t) value);
	else
		(void) fprintf(out, "%" PRIu64, value);
}

static void put_heading(FILE *out, const struct column *c, unsigned *width)
{
	size_t n = strlen(c->name);

	if (c->unit)
		n -= 3;
	for (size_t i = 0; i < n; i++)
		(void) fputc(toupper((unsigned char) c->name[i]), out);
	*width = (unsigned) n;
}

/* ---- making ---- */

struct co_print *co_print_new(const struct co_print_style *style,
			      const char *const *columns)
{
	struct co_print *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->style = *style;
	for (; *columns && p->ncolumns < CO_PRINT_COLUMNS; columns++) {
		struct column *c = &p->columns[p->ncolumns++];

		c->name = *columns;
		c->shown = true;
		look_at(c);
		c->width = (unsigned) strlen(c->name) - (c->unit ? 3 : 0);
	}
	co_json_init(&p->json, style->out);
	if (style->format == CO_FORMAT_JSON && !style->stream)
		co_json_open(&p->json, '[');
	return p;
}

/* Is the word among the blank-separated words of the list? */
static bool listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0))
			return true;
	return false;
}

struct co_print *co_print_new_layout(const struct co_print_style *style,
				     const struct co_layout *layout, const char *shown)
{
	const char *names[CO_PRINT_COLUMNS + 1] = { NULL };
	struct co_print *p;
	size_t n = 0;

	for (uint32_t i = 0; i < layout->nfields && n < CO_PRINT_COLUMNS; i++)
		if (strcmp(layout->fields[i].name, "reserved") != 0)
			names[n++] = layout->fields[i].name;
	p = co_print_new(style, names);
	if (!p)
		return NULL;
	p->layout = layout;
	for (size_t i = 0; shown && i < p->ncolumns; i++)
		p->columns[i].shown = listed(shown, p->columns[i].name);
	return p;
}

/* ---- rows ---- */

/* Of those that are shown. */
static bool is_last(const struct co_print *p, size_t i)
{
	for (size_t k = i + 1; k < p->ncolumns; k++)
		if (p->columns[k].shown)
			return false;
	return true;
}

/* `width` is what `text` takes; the last column gets no blanks behind it. */
static void put_padded(const struct co_print *p, size_t i, const char *text,
		       unsigned width, bool right)
{
	FILE *out = p->style.out;
	int blanks =
		(int) (p->columns[i].width > width ? p->columns[i].width - width : 0);

	if (right)
		(void) fprintf(out, "%*s%s", blanks, "", text);
	else
		(void) fprintf(out, "%s%*s", text, is_last(p, i) ? 0 : blanks, "");
	(void) fputs(is_last(p, i) ? "\n" : "  ", out);
}

static void put_headings(struct co_print *p)
{
	if (p->headed)
		return;
	p->headed = true;
	if (p->style.colour)
		(void) fputs("\033[1m", p->style.out);
	for (size_t i = 0; i < p->ncolumns; i++) {
		const struct column *c = &p->columns[i];
		autofree char *text = NULL;
		size_t size;
		unsigned width = 0;
		FILE *f;

		if (!c->shown)
			continue;
		f = open_memstream(&text, &size);
		if (!f)
			continue;
		put_heading(f, c, &width);
		if (fclose(f) == 0)
			put_padded(p, i, text, width, c->number);
	}
	if (p->style.colour)
		(void) fputs("\033[0m", p->style.out);
}

static void put_row(struct co_print *p, const struct cell *cells)
{
	for (size_t i = 0; i < p->ncolumns; i++)
		if (p->columns[i].shown)
			put_padded(p, i, cells[i].text ? cells[i].text : "-",
				   cells[i].text ? cells[i].width : 1, cells[i].number);
}

static void drop_cells(struct co_print *p)
{
	for (size_t i = 0; i < p->ncells; i++)
		free(p->cells[i].text);
	p->ncells = 0;
}

static void end_row(struct co_print *p)
{
	p->at = 0;
	p->rows++;
	if (p->style.format == CO_FORMAT_JSON) {
		co_json_close(&p->json); /* as the outermost it ends its line itself */
	} else if (p->style.stream && p->ncells == p->ncolumns) {
		put_headings(p);
		put_row(p, p->cells);
		drop_cells(p);
	}
	if (p->style.stream)
		(void) fflush(p->style.out); /* asked by co_print_status */
}

/* ---- cells ---- */

static struct cell *next_cell(struct co_print *p)
{
	if (p->ncells == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct cell *grown = reallocarray(p->cells, room, sizeof(*grown));

		if (!grown)
			return NULL;
		p->cells = grown;
		p->room = room;
	}
	p->cells[p->ncells] = (struct cell){ NULL, 0, false };
	return &p->cells[p->ncells++];
}

struct value {
	const char *text; /* NULL for a number */
	bool right;       /* a text that stands where numbers do */
	size_t length;
	uint64_t number;
	bool negative;
};

static void add_cell(struct co_print *p, const struct value *v)
{
	struct column *c = &p->columns[p->at];
	struct cell *cell = next_cell(p);
	size_t size = 0;
	FILE *f;

	if (!cell || !(f = open_memstream(&cell->text, &size))) {
		p->out_of_memory = true;
		return;
	}
	cell->number = c->number = v->right || (!v->text && c->look != LOOK_TIME);
	if (!v->text)
		put_number(f, c, v->number, v->negative);
	else if (v->length)
		cell->width = co_print_escaped(f, v->text, v->length);
	else
		cell->width =
			(unsigned) fprintf(f, "-"); /* an empty cell would be lost */
	if (fclose(f) != 0)
		p->out_of_memory = true;
	if (!v->text)
		cell->width = (unsigned) size;
	if (cell->width > c->width)
		c->width = cell->width;
}

static void add_json(struct co_print *p, const struct value *v)
{
	if (p->at == 0)
		co_json_open(&p->json, '{');
	co_json_key(&p->json, p->columns[p->at].name);
	if (v->text)
		co_json_bytes(&p->json, v->text, v->length);
	else if (v->negative)
		co_json_i64(&p->json, (int64_t) v->number);
	else
		co_json_u64(&p->json, v->number);
}

static void add(struct co_print *p, const struct value *v)
{
	if (p->style.format == CO_FORMAT_JSON)
		add_json(p, v);
	else
		add_cell(p, v);
	if (++p->at == p->ncolumns)
		end_row(p);
}

void co_print_text(struct co_print *p, const char *text)
{
	add(p, &(struct value){ .text = text ? text : "",
				.length = text ? strlen(text) : 0 });
}

void co_print_span(struct co_print *p, struct co_span text, bool number)
{
	add(p, &(struct value){ .text = text.data ? text.data : "",
				.length = text.size,
				.right = number });
}

void co_print_i64(struct co_print *p, int64_t value)
{
	add(p, &(struct value){ .number = (uint64_t) value, .negative = value < 0 });
}

void co_print_u64(struct co_print *p, uint64_t value)
{
	add(p, &(struct value){ .number = value });
}

static struct value field_value(const struct co_field *field, const struct co_msg *m)
{
	const unsigned char *at = m->bytes + field->offset;
	struct value v = { 0 };
	struct wire_span span;
	int64_t i64;
	int32_t i32;
	uint32_t u32;

	switch (field->kind) {
	case CO_FIELD_I32:
		memcpy(&i32, at, sizeof(i32));
		v.number = (uint64_t) (int64_t) i32;
		v.negative = i32 < 0;
		break;
	case CO_FIELD_U32:
		memcpy(&u32, at, sizeof(u32));
		v.number = u32;
		break;
	case CO_FIELD_I64:
		memcpy(&i64, at, sizeof(i64));
		v.number = (uint64_t) i64;
		v.negative = i64 < 0;
		break;
	case CO_FIELD_U64:
		memcpy(&v.number, at, sizeof(v.number));
		break;
	case CO_FIELD_TEXT:
	case CO_FIELD_BYTES:
		memcpy(&span, at, sizeof(span));
		v.text = co_msg_get(m, span);
		v.length = span.length;
		break;
	}
	return v;
}

void co_print_message(struct co_print *p, const struct co_msg *m)
{
	for (uint32_t i = 0; i < p->layout->nfields; i++) {
		const struct co_field *field = &p->layout->fields[i];
		struct value v = field_value(field, m);

		if (strcmp(field->name, "reserved") != 0)
			add(p, &v);
	}
}

/* ---- ending ---- */

size_t co_print_rows(const struct co_print *p)
{
	return p->rows;
}

int co_print_status(const struct co_print *p)
{
	return stream_status(p->style.out);
}

int co_print_end(struct co_print *p)
{
	int rc = 0;

	if (!p)
		return 0;
	if (p->style.format == CO_FORMAT_JSON) {
		if (!p->style.stream)
			co_json_close(&p->json);
	} else {
		put_headings(p);
		for (size_t i = 0; i + p->ncolumns <= p->ncells; i += p->ncolumns)
			put_row(p, &p->cells[i]);
	}
	rc = co_print_flush(p->style.out);
	if (rc == 0 && p->out_of_memory)
		rc = CO_NO_MEMORY;
	drop_cells(p);
	free(p->cells);
	free(p);
	return rc;
}

static void put_record(const struct co_print_style *style, const struct column *c,
		       const struct value *v)
{
	FILE *out = style->out;
	size_t n = strlen(c->name) - (c->unit ? 3 : 0);

	for (size_t i = 0; i < n; i++)
		(void) fputc(c->name[i] == '_' ? ' ' : c->name[i], out);
	(void) fprintf(out, ":%*s", n < 18 ? (int) (18 - n) : 1, "");
	if (!v->text)
		put_number(out, c, v->number, v->negative);
	else if (v->length)
		(void) co_print_escaped(out, v->text, v->length); /* width unneeded */
	else
		(void) fputc('-', out);
	(void) fputc('\n', out);
}

int co_print_record(const struct co_print_style *style, const struct co_layout *layout,
		    const struct co_msg *m)
{
	struct co_json json;

	co_json_init(&json, style->out);
	if (style->format == CO_FORMAT_JSON)
		co_json_open(&json, '{');
	for (uint32_t i = 0; i < layout->nfields; i++) {
		struct column c = { .name = layout->fields[i].name };
		struct value v = field_value(&layout->fields[i], m);

		if (strcmp(c.name, "reserved") == 0)
			continue;
		look_at(&c);
		if (style->format != CO_FORMAT_JSON) {
			put_record(style, &c, &v);
			continue;
		}
		co_json_key(&json, c.name);
		if (v.text)
			co_json_bytes(&json, v.text, v.length);
		else if (v.negative)
			co_json_i64(&json, (int64_t) v.number);
		else
			co_json_u64(&json, v.number);
	}
	if (style->format == CO_FORMAT_JSON)
		co_json_close(&json);
	return co_print_flush(style->out);
}
