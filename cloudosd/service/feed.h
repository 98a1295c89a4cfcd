/* SPDX-License-Identifier: MIT */
/*
 * Feeds: numbered rows of one table (logs, metrics or events), told to subscribers in
 * order, without gap and without duplicate.  HOST.
 *
 * A subscriber begins behind any row, also one of a daemon before this one: what it has
 * missed comes from the store, then what happens from a ring in memory.  Who is slower
 * than the ring is served from the store again; who is slower than what the store keeps is
 * told of the gap.  Nothing is queued for anybody.
 */
#ifndef CO_SERVICE_FEED_H
#define CO_SERVICE_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/host.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "store/rows.h"

struct store;
struct feed;
struct feed_reader;

/* "<13 digits of ms>-<number in base 36>": the id of a row for the world outside. */
#define FEED_ID_MAX 32
void feed_id(char out[FEED_ID_MAX], uint64_t at_ms, uint64_t number);
/* False: it is none.  What is behind it in `text` makes it none too. */
bool feed_id_parse(struct co_span text, uint64_t *out_at_ms, uint64_t *out_number);

struct feed_item {
	const struct store_row *row; /* a gap: number and at_ms are where it ends */
	struct co_span json;         /* the row as the world sees it, on one line */
	struct co_span frame;        /* the same as a server-sent event with its id */
	uint64_t lost; /* a gap: so many rows were forgotten; otherwise 0 */
};

/*
 * One row, or a gap in their place.  False: that one is taken, but there is no room for
 * another before feed_resume.  May call feed_end.
 */
typedef bool feed_told(void *arg, const struct feed_item *item);

enum feed_from {
	FEED_NOW,   /* what is committed from here on */
	FEED_AFTER, /* behind the row with that number; 0: all there is */
	FEED_SINCE  /* later than that time, exclusive, in ms since the epoch */
};

struct feed_want {
	const char *service;    /* NULL: of all */
	struct co_span pattern; /* lib/pattern.h, of row names; {NULL, 0}: any */
	enum feed_from from;
	uint64_t value;
};

/* Never calls back before it returned.  CO_NO_MEMORY, CO_TABLE_FULL
 * (CO_LIMIT_FEED_READERS). */
int feed_begin(struct feed_reader **out, struct feed *feed,
	       const struct feed_want *want, feed_told *told, void *arg);
void feed_resume(struct feed_reader *reader);
/* Not called back any more.  Returns NULL. */
struct feed_reader *feed_end(struct feed_reader *reader);

/* The newest row that readers may know of. */
uint64_t feed_newest(const struct feed *feed);

/* ---- for logs, metrics and events, which own one each ---- */

struct feed_options {
	enum store_table table;
	/* The row as JSON on one line. */
	void (*json)(struct co_buf *out, const struct store_row *row);
	/* Told of each row as well, at once; NULL: nobody. */
	void (*added)(void *arg, const struct store_row *row);
	void *arg;
};

/* NULL: no memory. */
struct feed *feed_new(const struct co_host *host, struct store *store,
		      const struct feed_options *options);
/* Readers must have ended.  Returns NULL. */
struct feed *feed_free(struct feed *feed);

struct feed_numbers {
	uint64_t readers, behind; /* behind: served from the store now */
	uint64_t told, gaps;
};

void feed_numbers(const struct feed *feed, struct feed_numbers *out);

#endif
