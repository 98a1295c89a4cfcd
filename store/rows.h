/* SPDX-License-Identifier: MIT */
/*
 * Rows of telemetry.db that are numbered, kept and read again: logs, metrics, events.
 * HOST.  Part of store/store.h, whose rules about threads hold here too.
 *
 * A row is acknowledged after its COMMIT: it outlives a kill -9, not a power cut.  Each
 * table is capped by rows, bytes and age; the oldest go first, the newest never does.
 * Numbers go up by one with each row and never come again.
 */
#ifndef CO_STORE_ROWS_H
#define CO_STORE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

struct store;

enum store_table { STORE_LOGS, STORE_METRICS, STORE_EVENTS, STORE_TABLES };

/* What a member means depends on the table; {NULL, 0}: there is none. */
struct store_row {
	uint64_t number;        /* the store gives it; from 1 */
	uint64_t at_ms;         /* since the epoch; the caller gives it */
	struct co_span service; /* whose it is */
	struct co_span source;  /* who said it */
	struct co_span name;    /* logs: the level */
	struct co_span text;    /* logs: the message; metrics: the unit */
	struct co_span value;   /* metrics: the number as it was written */
	struct co_span json;    /* logs: meta; metrics: tags; events: data */
};

/* After the commit, or after it failed: then number is 0.  Once. */
typedef void store_row_done(void *arg, int status, const char *reason, uint64_t number);

/*
 * Adds a row; everything is copied.  0: `done` (may be NULL: nobody waits) will run;
 * otherwise it does not: CO_TOO_BIG (a name or CO_LIMIT_TELEMETRY_ROW), CO_BUSY (the queue
 * is full), CO_NO_MEMORY, CO_GONE.
 */
int store_row_add(struct store *s, enum store_table table, const struct store_row *row,
		  store_row_done *done, void *arg);

/*
 * added(arg, row) for each committed row, in order, before its `done`, through the same
 * delivery.  To be set once, before the first row is added; cleared with NULL from inside
 * a callback or when nothing is under way.
 */
void store_rows_watch(struct store *s, enum store_table table,
		      void (*added)(void *arg, const struct store_row *row), void *arg);

struct store_rows_query {
	enum store_table table;
	struct co_span service;  /* {NULL, 0}: of all */
	struct co_span name;     /* a pattern of lib/pattern.h; {NULL, 0}: any */
	struct co_span contains; /* text or json has it; ASCII letters of either case */
	uint64_t after, upto;    /* numbers, exclusive and inclusive; upto 0: no end */
	uint64_t from_ms, to_ms; /* both inclusive; to_ms 0: no end */
	bool exact; /* name is a name and no pattern */
	bool newest_first;
	bool count; /* also find `total` */
	uint32_t offset, limit;
};

struct store_rows {
	int status;
	const char *reason; /* a sentence if status < 0, otherwise "" */
	const struct store_row *rows;
	size_t nrows;
	bool more;       /* there are more behind the last one */
	uint64_t total;  /* that match, whatever offset and limit are */
	uint64_t oldest; /* of the table, whatever matches; 0: it is empty */
	uint64_t oldest_ms;
	uint64_t newest; /* of the table as it was read */
};

typedef void store_rows_done(void *arg, const struct store_rows *rows);

/* Reads see everything acknowledged before.  On a thread of its own: neither writers nor
 * the caller wait for it.  0, CO_BUSY, CO_INVALID, CO_NO_MEMORY, CO_GONE. */
int store_rows_read(struct store *s, const struct store_rows_query *query,
		    store_rows_done *done, void *arg);

/* The number of the newest committed row of a table, 0 for none. */
uint64_t store_rows_newest(struct store *s, enum store_table table);

struct store_rows_keep {
	uint32_t rows[STORE_TABLES]; /* 0: CO_LIMIT_TELEMETRY_ROWS */
	uint64_t age_ms;             /* 0: any */
};

/* Changes the caps, which are kept from the next row on. */
void store_rows_keep(struct store *s, const struct store_rows_keep *keep);

struct store_rows_status {
	uint64_t kept[STORE_TABLES], bytes[STORE_TABLES], added[STORE_TABLES];
	uint64_t refused; /* rows that the queue or the disk had no room for */
	uint64_t queued;
	uint64_t commits,
		commit_ns; /* of telemetry.db, and how long they took together */
};

void store_rows_status(struct store *s, struct store_rows_status *out);

#endif
