/* SPDX-License-Identifier: MIT */
/*
 * Listings and records for people (aligned tables) and for programs (JSON).  HOST.
 * Who calls it: cloudosctl.
 *
 * One printer serves every listing: columns come from a wire layout or from a list of
 * names.  How a column looks follows from its name: *_ms and took_* are durations, at_*
 * are points in time, other numbers stand to the right.  JSON has the bare values under
 * the names of the columns.  Text in tables has its control bytes, direction marks and
 * broken UTF-8 escaped: a guest chooses its name, but not the colour of the terminal.
 */
#ifndef CO_PRINT_H
#define CO_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/span.h"
#include "lib/wire.h"

#define CO_PRINT_COLUMNS 24

enum co_format { CO_FORMAT_TABLE, CO_FORMAT_JSON, CO_FORMAT_MARKDOWN };

struct co_print_style {
	FILE *out;
	enum co_format format;
	bool colour;
	bool stream; /* rows appear at once; JSON is one object per line and no list */
};

struct co_print; /* one listing */

/* Columns by name, ended by NULL (the names are borrowed).  NULL without memory. */
struct co_print *co_print_new(const struct co_print_style *style,
			      const char *const *columns);

/*
 * Columns of a ROW; `shown` (NULL for all) lists those of the table, separated by
 * blanks; JSON has all but the reserved ones.
 */
struct co_print *co_print_new_layout(const struct co_print_style *style,
				     const struct co_layout *layout, const char *shown);

/* The cells of a row, in the order of the columns; the last one ends the row. */
void co_print_text(struct co_print *p, const char *text);
void co_print_span(struct co_print *p, struct co_span text, bool number);
void co_print_i64(struct co_print *p, int64_t value);
void co_print_u64(struct co_print *p, uint64_t value);

/* A row from a checked message of the printer's layout. */
void co_print_message(struct co_print *p, const struct co_msg *m);

size_t co_print_rows(const struct co_print *p);

/*
 * Writes what is not yet written and frees p (NULL is nothing).  0; CO_GONE when nobody
 * reads the output any more; CO_IO; CO_NO_MEMORY when rows were lost.
 */
int co_print_end(struct co_print *p);

/* Has writing failed?  0, CO_GONE or CO_IO; for streams. */
int co_print_status(const struct co_print *p);

/* One message as "name: value" lines or as one JSON object. */
int co_print_record(const struct co_print_style *style, const struct co_layout *layout,
		    const struct co_msg *m);

/* Text with what could disturb a terminal escaped; returns its columns. */
unsigned co_print_escaped(FILE *out, const char *text, size_t n);

/* Flushes and tells how writing went: 0, CO_GONE or CO_IO. */
int co_print_flush(FILE *out);

#endif
