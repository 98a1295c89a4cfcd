/* SPDX-License-Identifier: MIT */
/*
 * Numbered rows of telemetry.db: what is asked from outside, the words that stand for
 * names, and how many rows there are of what.  HOST.
 */
#include "store/rows_inside.h"

#include <stdlib.h>
#include <string.h>

const char *const rows_names[STORE_TABLES] = { "row_log", "row_metric", "row_event" };

/* ---- words ---- */

struct word *rows_word(struct rows *r, struct co_span text)
{
	struct word *w;

	HASH_FIND(hh, r->words, text.data, text.size, w);
	return w;
}

struct word *rows_word_add(struct rows *r, uint32_t id, struct co_span text)
{
	struct word *w = malloc(sizeof(*w) + text.size + 1);

	if (!w)
		return NULL;
	*w = (struct word){ .id = id, .size = text.size };
	memcpy(w->text, text.data, text.size);
	w->text[text.size] = '\0';
	HASH_ADD_KEYPTR(hh, r->words, w->text, w->size, w);
	r->word_of[id - 1] = w;
	if (id > r->nwords)
		r->nwords = id;
	return w;
}

void rows_words_cut(struct rows *r, uint32_t n)
{
	struct word *w, *next;

	HASH_ITER (hh, r->words, w, next) {
		if (w->id <= n)
			continue;
		HASH_DEL(r->words, w);
		r->word_of[w->id - 1] = NULL;
		free(w);
	}
	r->nwords = n;
}

/* ---- tallies ---- */

static void tally_one(struct rows *r, struct tally_key key, int64_t rows)
{
	struct tally *t;

	HASH_FIND(hh, r->tallies, &key, sizeof(key), t);
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return; /* a total that is too small, in a process that ends */
		t->key = key;
		HASH_ADD(hh, r->tallies, key, sizeof(t->key), t);
	}
	t->rows += (uint64_t) rows;
	if (t->rows == 0) {
		HASH_DEL(r->tallies, t);
		free(t);
	}
}

void rows_tally(struct rows *r, struct tally_key key, int64_t rows)
{
	const struct tally_key all[] = { key,
					 { key.table, key.service, TALLY_ANY },
					 { key.table, TALLY_ANY, key.name },
					 { key.table, TALLY_ANY, TALLY_ANY } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		tally_one(r, all[i], rows);
}

static void tallies_done(struct rows *r)
{
	struct tally *t, *next;

	HASH_ITER (hh, r->tallies, t, next) {
		HASH_DEL(r->tallies, t);
		free(t);
	}
}

/* ---- loading ---- */

static int load_words(struct rows *r, struct co_err *err)
{
	sqlite3_stmt *q = NULL;
	int got = SQLITE_DONE, status = 0;

	if (sqlite3_prepare_v2(r->db, "SELECT id, text FROM word ORDER BY id", -1, &q,
			       NULL) != SQLITE_OK)
		return sql_failed(r->db, r->path, err);
	while (status == 0 && (got = sqlite3_step(q)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(q, 0);
		const void *text = sqlite3_column_text(q, 1);

		if (id < 1 || id > CO_LIMIT_TELEMETRY_NAMES || !text)
			status = co_fail(err, CO_CORRUPT,
					 "%s is damaged: a word has the number %lld",
					 r->path, (long long) id);
		else if (!rows_word_add(
				 r, (uint32_t) id,
				 (struct co_span){
					 text, (size_t) sqlite3_column_bytes(q, 1) }))
			status = co_fail(err, CO_NO_MEMORY, "out of memory");
	}
	if (status == 0 && got != SQLITE_DONE)
		status = sql_failed(r->db, r->path, err);
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	r->words_written = r->words_committed = r->nwords;
	return status;
}

uint32_t rows_word_column(sqlite3_stmt *q, int at)
{
	return sqlite3_column_type(q, at) == SQLITE_INTEGER
		       ? (uint32_t) sqlite3_column_int64(q, at)
		       : TALLY_INLINE;
}

static int load_tallies(struct rows *r, uint32_t table, struct co_err *err)
{
	char sql[128];
	sqlite3_stmt *q = NULL;
	int got, status = 0;

	(void) sqlite3_snprintf(sizeof(sql), sql,
				"SELECT service, name, count(*) FROM %s"
				" GROUP BY service, name",
				rows_names[table]);
	if (sqlite3_prepare_v2(r->db, sql, -1, &q, NULL) != SQLITE_OK)
		return sql_failed(r->db, r->path, err);
	while ((got = sqlite3_step(q)) == SQLITE_ROW) {
		int64_t rows = sqlite3_column_int64(q, 2);

		rows_tally(r,
			   (struct tally_key){ table, rows_word_column(q, 0),
					       rows_word_column(q, 1) },
			   rows);
		r->tables[table].kept += (uint64_t) rows;
	}
	if (got != SQLITE_DONE)
		status = sql_failed(r->db, r->path, err);
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return status;
}

static int load_table(struct rows *r, uint32_t table, struct co_err *err)
{
	struct rows_table *t = &r->tables[table];
	int64_t newest = 0, oldest = 0, oldest_ms = 0, bytes = 0;
	char sql[128];
	int status = load_tallies(r, table, err);

	(void) sqlite3_snprintf(sizeof(sql), sql, "SELECT max(id) FROM %s",
				rows_names[table]);
	if (status == 0)
		status = sql_number(r->db, r->path, sql, &newest, err);
	(void) sqlite3_snprintf(sizeof(sql), sql, "SELECT min(id) FROM %s",
				rows_names[table]);
	if (status == 0)
		status = sql_number(r->db, r->path, sql, &oldest, err);
	(void) sqlite3_snprintf(sizeof(sql), sql,
				"SELECT at_ms FROM %s ORDER BY id LIMIT 1",
				rows_names[table]);
	if (status == 0)
		status = sql_number(r->db, r->path, sql, &oldest_ms, err);
	(void) sqlite3_snprintf(sizeof(sql), sql,
				"SELECT bytes FROM row_bytes WHERE tbl = %u", table);
	if (status == 0)
		status = sql_number(r->db, r->path, sql, &bytes, err);
	t->oldest = (uint64_t) oldest;
	t->oldest_ms = (uint64_t) oldest_ms;
	t->newest = r->next[table] = (uint64_t) newest;
	t->bytes = (uint64_t) bytes;
	return status;
}

static int prepare(struct rows *r, struct co_err *err)
{
	char sql[160];
	sqlite3_stmt **out;
	const char *text;

	for (size_t i = 0; i < STORE_TABLES + 2; i++) {
		if (i < STORE_TABLES) {
			text = sqlite3_snprintf(
				sizeof(sql), sql,
				"INSERT INTO %s VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
				" ?8)",
				rows_names[i]);
			out = &r->add[i];
		} else if (i == STORE_TABLES) {
			text = "INSERT INTO word VALUES (?1, ?2)";
			out = &r->add_word;
		} else {
			text = "UPDATE row_bytes SET bytes = max(bytes + ?2, 0)"
			       " WHERE tbl = ?1";
			out = &r->set_bytes;
		}
		if (sqlite3_prepare_v3(r->db, text, -1, SQLITE_PREPARE_PERSISTENT, out,
				       NULL) != SQLITE_OK)
			return sql_failed(r->db, r->path, err);
	}
	return 0;
}

int rows_load(struct rows *r, sqlite3 *db, struct co_err *err)
{
	int status;

	r->db = db;
	status = prepare(r, err);
	if (status == 0)
		status = load_words(r, err);
	for (uint32_t i = 0; status == 0 && i < STORE_TABLES; i++)
		status = load_table(r, i, err);
	return status;
}

void rows_unload(struct rows *r)
{
	for (size_t i = 0; i < STORE_TABLES; i++) {
		(void) sqlite3_finalize(r->add[i]); /* failures were told already */
		r->add[i] = NULL;
		r->tables[i].kept = r->tables[i].bytes = 0;
	}
	(void) sqlite3_finalize(r->add_word);  /* the same */
	(void) sqlite3_finalize(r->set_bytes); /* the same */
	r->add_word = r->set_bytes = NULL;
	rows_words_cut(r, 0);
	tallies_done(r);
	r->db = NULL;
}

/* ---- the life of it ---- */

int rows_open(struct rows **out, struct store *s, const char *path, struct co_err *err)
{
	struct rows *r = calloc(1, sizeof(*r));

	if (r)
		r->word_of = calloc(CO_LIMIT_TELEMETRY_NAMES, sizeof(*r->word_of));
	if (!r || !r->word_of) {
		free(r);
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	}
	r->store = s;
	r->path = path;
	(void) pthread_mutex_init(&r->lock, NULL); /* default attributes cannot fail */
	(void) pthread_cond_init(&r->wake, NULL);  /* the same */
	*out = r;
	return 0;
}

int rows_start(struct rows *r, struct co_err *err)
{
	int errnum = pthread_create(&r->thread, NULL, rows_main, r);

	if (errnum)
		return co_fail_errno(err, errnum,
				     "cannot start the thread that reads telemetry");
	r->running = true;
	return 0;
}

void rows_close(struct rows *r)
{
	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	r->closing = true;
	(void) pthread_cond_signal(&r->wake);  /* cannot fail */
	(void) pthread_mutex_unlock(&r->lock); /* held */
	if (r->running)
		(void) pthread_join(r->thread, NULL); /* ours and joined once */
	(void) pthread_mutex_destroy(&r->lock);       /* nobody is left */
	(void) pthread_cond_destroy(&r->wake);        /* the same */
	free(r->word_of);
	free(r);
}

/* ---- store/rows.h ---- */

static bool fits(const struct store_row *row)
{
	return row->service.size && row->service.size <= CO_LIMIT_TELEMETRY_NAME &&
	       row->source.size <= CO_LIMIT_TELEMETRY_NAME &&
	       row->name.size <= CO_LIMIT_TELEMETRY_NAME &&
	       row->text.size <= CO_LIMIT_TELEMETRY_ROW &&
	       row->json.size <= CO_LIMIT_TELEMETRY_ROW &&
	       row->text.size + row->value.size + row->json.size <=
		       CO_LIMIT_TELEMETRY_ROW;
}

static bool copy(struct note *n, struct co_span *out, struct co_span from)
{
	out->size = from.size;
	out->data = from.data ? arena_copy(&n->memory, from.data, from.size) : NULL;
	return !from.data || out->data;
}

static void refused(struct rows *r)
{
	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	r->refused++;
	(void) pthread_mutex_unlock(&r->lock); /* held */
}

int store_row_add(struct store *s, enum store_table table, const struct store_row *row,
		  store_row_done *done, void *arg)
{
	struct rows *r = telemetry_rows(s);
	struct note *n;
	int status;

	if (!fits(row))
		return CO_TOO_BIG;
	n = note_new(NOTE_ROW);
	if (!n)
		return CO_NO_MEMORY;
	n->table = table;
	n->row_done = done;
	n->arg = arg;
	n->row.at_ms = row->at_ms;
	if (!copy(n, &n->row.service, row->service) ||
	    !copy(n, &n->row.source, row->source) ||
	    !copy(n, &n->row.name, row->name) || !copy(n, &n->row.text, row->text) ||
	    !copy(n, &n->row.value, row->value) || !copy(n, &n->row.json, row->json)) {
		note_free(n);
		return CO_NO_MEMORY;
	}
	status = telemetry_queue(s, n);
	if (status < 0)
		refused(r);
	return status;
}

void store_rows_watch(struct store *s, enum store_table table,
		      void (*added)(void *arg, const struct store_row *row), void *arg)
{
	struct rows *r = telemetry_rows(s);

	r->tables[table].added = added;
	r->tables[table].arg = arg;
}

uint64_t store_rows_newest(struct store *s, enum store_table table)
{
	struct rows *r = telemetry_rows(s);
	uint64_t newest;

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	newest = r->tables[table].newest;
	(void) pthread_mutex_unlock(&r->lock); /* held */
	return newest;
}

void store_rows_keep(struct store *s, const struct store_rows_keep *keep)
{
	struct rows *r = telemetry_rows(s);

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	r->keep = *keep;
	(void) pthread_mutex_unlock(&r->lock); /* held */
}

void store_rows_status(struct store *s, struct store_rows_status *out)
{
	struct rows *r = telemetry_rows(s);

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	for (size_t i = 0; i < STORE_TABLES; i++) {
		out->kept[i] = r->tables[i].kept;
		out->bytes[i] = r->tables[i].bytes;
		out->added[i] = r->tables[i].counted;
	}
	out->refused = r->refused;
	out->queued = telemetry_queued(s);
	out->commits = r->commits;
	out->commit_ns = r->commit_ns;
	(void) pthread_mutex_unlock(&r->lock); /* held */
}
