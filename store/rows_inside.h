/* SPDX-License-Identifier: MIT */
/*
 * What rows.c (words, counts, what is asked from outside), rows_write.c (on the telemetry
 * thread) and rows_read.c (on a thread of its own) share with telemetry.c.  HOST.
 *
 * Under `lock`: words, tallies, the numbers of tables, the queue of reads.  A word stays
 * where it is until the store is closed, unless its transaction failed: then nobody has
 * seen a row with it.
 */
#ifndef CO_STORE_ROWS_INSIDE_H
#define CO_STORE_ROWS_INSIDE_H

#include <uthash.h>

#include "store/internal.h"
#include "store/rows.h"

/* ---- telemetry.c: what waits for its thread ---- */

enum note_kind { NOTE_LOG, NOTE_ERROR, NOTE_ROW, NOTE_READ_LOGS, NOTE_READ_ERRORS };

typedef void log_reader(void *arg, const struct store_log *log);
typedef void error_reader(void *arg, const struct store_error *error);

struct note {
	struct note *prev, *next;
	enum note_kind kind;
	struct arena memory;
	struct store_log log;     /* LOG */
	struct store_error error; /* ERROR */

	/* ROW */
	enum store_table table;
	struct store_row row;
	store_row_done *row_done;

	/* reads */
	uint64_t session;
	uint32_t limit;
	log_reader *log_reader;
	error_reader *error_reader;
	void *arg;
	struct store_log *logs;
	struct store_error *errors;
	size_t found;
};

struct note *note_new(enum note_kind kind);
void note_free(struct note *n);
/* Takes n; 0, CO_BUSY or CO_GONE. */
int telemetry_queue(struct store *s, struct note *n);
struct rows *telemetry_rows(struct store *s);
uint64_t telemetry_queued(struct store *s); /* notes */

/* ---- words and counts ---- */

struct word {
	uint32_t id;
	size_t size;
	UT_hash_handle hh;
	char text[];
};

enum { TALLY_INLINE = 0 }; /* of all names that are no words */
#define TALLY_ANY UINT32_MAX

struct tally_key {
	uint32_t table, service, name;
};

struct tally {
	struct tally_key key;
	uint64_t rows;
	UT_hash_handle hh;
};

struct rows_table {
	uint64_t oldest, newest, kept, bytes, counted; /* counted: rows ever added */
	uint64_t oldest_ms;
	void (*added)(void *arg, const struct store_row *row);
	void *arg;
};

struct rows_read;

struct rows {
	struct store *store;
	const char *path;

	/* the telemetry thread */
	sqlite3 *db;
	sqlite3_stmt *add[STORE_TABLES], *add_word, *set_bytes;
	uint64_t next[STORE_TABLES];
	int64_t grown[STORE_TABLES];             /* bytes added by this group */
	uint32_t words_written, words_committed; /* in this group, before it */
	struct co_err failure;

	pthread_mutex_t lock;
	struct word *words, **word_of; /* word_of[id - 1] */
	uint32_t nwords;
	struct tally *tallies;
	struct rows_table tables[STORE_TABLES];
	struct store_rows_keep keep;
	uint64_t refused, commits, commit_ns;

	/* reads */
	pthread_t thread;
	bool running, closing;
	pthread_cond_t wake;
	struct rows_read *queue;
	unsigned reads;
};

extern const char *const rows_names[STORE_TABLES]; /* of tables in SQL */

int rows_open(struct rows **out, struct store *s, const char *path, struct co_err *err);
/* When the database is open, also for the second time. */
int rows_load(struct rows *r, sqlite3 *db, struct co_err *err);
void rows_unload(struct rows *r);
int rows_start(struct rows *r, struct co_err *err);
void rows_close(struct rows *r);

/* With lock: the word, or NULL. */
struct word *rows_word(struct rows *r, struct co_span text);
/* With lock: one more; NULL: no memory. */
struct word *rows_word_add(struct rows *r, uint32_t id, struct co_span text);
/* With lock: forgets all but the first n. */
void rows_words_cut(struct rows *r, uint32_t n);
/* Of a column with a name: the word's number, or TALLY_INLINE. */
uint32_t rows_word_column(sqlite3_stmt *q, int at);
/* With lock: adds to what is counted of that service and name, or takes from it. */
void rows_tally(struct rows *r, struct tally_key key, int64_t rows);

/* ---- rows_write.c ---- */

/* Inside a group; false: it failed, r->failure says why. */
bool rows_insert(struct rows *r, struct note *n);
bool rows_before_commit(struct rows *r);
void rows_after_commit(struct rows *r, struct note *notes, uint64_t took_ns);
void rows_rolled_back(struct rows *r, struct note *notes);
/* Deletes what is beyond the caps, one step; true: there is more. */
bool rows_trim(struct rows *r);

/* ---- rows_read.c ---- */

void *rows_main(void *rows);

#endif
