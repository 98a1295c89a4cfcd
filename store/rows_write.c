/* SPDX-License-Identifier: MIT */
/*
 * Numbered rows of telemetry.db: inserting and trimming, on the telemetry thread.  HOST.
 *
 * What is counted in memory follows the commit, so that a group that failed leaves
 * nothing behind.
 */
#include "store/rows_inside.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

enum { TRIM_MAX = 10000 };

static bool failed(struct rows *r)
{
	(void) sql_failed(r->db, r->path, &r->failure); /* for rolled_back */
	return false;
}

static bool step(struct rows *r, sqlite3_stmt *q)
{
	bool ok = sqlite3_step(q) == SQLITE_DONE || failed(r);

	(void) sqlite3_reset(q);          /* repeats the failure of the step */
	(void) sqlite3_clear_bindings(q); /* cannot fail */
	return ok;
}

/* ---- inserting ---- */

/* The word's number, adding it; TALLY_INLINE: it is none and will not be. */
static bool word_id(struct rows *r, struct co_span text, uint32_t *out)
{
	struct word *w;
	uint32_t id;

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	w = rows_word(r, text);
	if (!w && r->nwords < CO_LIMIT_TELEMETRY_NAMES)
		w = rows_word_add(r, r->nwords + 1, text);
	id = w ? w->id : TALLY_INLINE;
	(void) pthread_mutex_unlock(&r->lock); /* held */
	*out = id;
	if (id <= r->words_written)
		return true;
	r->words_written = id;
	sql_bind(r->add_word, 1, id);
	(void) sqlite3_bind_text(r->add_word, 2, text.data, (int) text.size,
				 SQLITE_STATIC); /* the step would fail */
	return step(r, r->add_word);
}

static bool bind_word(struct rows *r, sqlite3_stmt *q, int at, struct co_span text)
{
	uint32_t id = TALLY_INLINE;

	if (!text.data)
		return true; /* NULL */
	if (!word_id(r, text, &id))
		return false;
	if (id != TALLY_INLINE)
		sql_bind(q, at, id);
	else
		(void) sqlite3_bind_text(q, at, text.data, (int) text.size,
					 SQLITE_STATIC); /* the step would fail */
	return true;
}

static void bind_bytes(sqlite3_stmt *q, int at, struct co_span bytes)
{
	if (bytes.data)
		sql_bind_blob(q, at, bytes.data, bytes.size);
}

static uint64_t weight(const struct store_row *row)
{
	return row->text.size + row->value.size + row->json.size;
}

bool rows_insert(struct rows *r, struct note *n)
{
	sqlite3_stmt *q = r->add[n->table];
	struct store_row *row = &n->row;

	if (!bind_word(r, q, 3, row->service) || !bind_word(r, q, 4, row->source) ||
	    !bind_word(r, q, 5, row->name)) {
		(void) sqlite3_clear_bindings(q); /* cannot fail */
		return false;
	}
	row->number = r->next[n->table] + 1;
	sql_bind(q, 1, row->number);
	sql_bind(q, 2, row->at_ms);
	bind_bytes(q, 6, row->text);
	bind_bytes(q, 7, row->value);
	bind_bytes(q, 8, row->json);
	if (!step(r, q))
		return false;
	r->next[n->table]++;
	r->grown[n->table] += (int64_t) weight(row);
	return true;
}

static bool write_bytes(struct rows *r, uint32_t table, int64_t bytes)
{
	sql_bind(r->set_bytes, 1, table);
	(void) sqlite3_bind_int64(r->set_bytes, 2, bytes); /* index is right */
	return step(r, r->set_bytes);
}

bool rows_before_commit(struct rows *r)
{
	for (uint32_t i = 0; i < STORE_TABLES; i++)
		if (r->grown[i] && !write_bytes(r, i, r->grown[i]))
			return false;
	return true;
}

/* With lock. */
static uint32_t tallied(struct rows *r, struct co_span text)
{
	struct word *w = text.data ? rows_word(r, text) : NULL;

	return w ? w->id : TALLY_INLINE;
}

void rows_after_commit(struct rows *r, struct note *notes, uint64_t took_ns)
{
	struct note *n;

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	DL_FOREACH (notes, n) {
		struct rows_table *t = &r->tables[n->table];

		if (n->kind != NOTE_ROW)
			continue;
		if (!t->kept++) {
			t->oldest = n->row.number;
			t->oldest_ms = n->row.at_ms;
		}
		t->newest = n->row.number;
		t->counted++;
		rows_tally(r,
			   (struct tally_key){ n->table, tallied(r, n->row.service),
					       tallied(r, n->row.name) },
			   1);
	}
	for (size_t i = 0; i < STORE_TABLES; i++) {
		r->tables[i].bytes += (uint64_t) r->grown[i];
		r->grown[i] = 0;
	}
	r->words_committed = r->words_written;
	r->commits++;
	r->commit_ns += took_ns;
	(void) pthread_mutex_unlock(&r->lock); /* held */
}

void rows_rolled_back(struct rows *r, struct note *notes)
{
	struct note *n;

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	rows_words_cut(r, r->words_committed);
	r->words_written = r->words_committed;
	for (size_t i = 0; i < STORE_TABLES; i++) {
		r->next[i] = r->tables[i].newest;
		r->grown[i] = 0;
	}
	DL_FOREACH (notes, n)
		if (n->kind == NOTE_ROW)
			r->refused++;
	(void) pthread_mutex_unlock(&r->lock); /* held */
}

/* ---- trimming: the oldest go, some thousands at a time ---- */

/* One number of a query with one parameter. */
static bool number(struct rows *r, const char *sql, uint64_t parameter, uint64_t *out)
{
	sqlite3_stmt *q = NULL;
	bool ok = sqlite3_prepare_v2(r->db, sql, -1, &q, NULL) == SQLITE_OK;

	if (ok) {
		sql_bind(q, 1, parameter);
		ok = sqlite3_step(q) == SQLITE_ROW;
		*out = ok ? (uint64_t) sqlite3_column_int64(q, 0) : 0;
	}
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return ok;
}

/* The number behind the last row that goes because of the count, or 0. */
static uint64_t cut_by_rows(struct rows *r, uint32_t table, uint64_t cap)
{
	const struct rows_table *t = &r->tables[table];
	uint64_t many = t->kept > cap ? t->kept - cap + cap / 20 : 0;
	uint64_t cut = 0;
	char sql[96];

	if (!many || !t->kept)
		return 0;
	if (many > TRIM_MAX)
		many = TRIM_MAX;
	if (many >= t->kept)
		many = t->kept -
		       1; /* the newest never goes: numbers do not come again */
	if (!many)
		return 0;
	(void) sqlite3_snprintf(sizeof(sql), sql,
				"SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET ?1",
				rows_names[table]);
	return number(r, sql, many, &cut) ? cut : 0;
}

static uint64_t cut_by_bytes(struct rows *r, uint32_t table)
{
	const struct rows_table *t = &r->tables[table];
	uint64_t cut = 0;
	char sql[320];

	if (t->bytes <= CO_LIMIT_TELEMETRY_BYTES)
		return 0;
	(void) sqlite3_snprintf(
		sizeof(sql), sql,
		"SELECT coalesce(max(id), 0) + 1 FROM (SELECT id, sum(length(text) +"
		" coalesce(length(value), 0) + coalesce(length(json), 0))"
		" OVER (ORDER BY id) AS bytes FROM (SELECT id, coalesce(text, x'') AS"
		" text, value, json FROM %s ORDER BY id LIMIT %d)) WHERE bytes <= ?1",
		rows_names[table], TRIM_MAX);
	if (!number(r, sql, t->bytes - CO_LIMIT_TELEMETRY_BYTES / 20 * 19, &cut))
		return 0;
	return cut > t->newest ? t->newest : cut;
}

/* Rows from before `time`. */
static uint64_t cut_by_age(struct rows *r, uint32_t table, uint64_t time)
{
	const struct rows_table *t = &r->tables[table];
	uint64_t cut = 0;
	char sql[320];

	if (!t->kept || t->oldest_ms >= time)
		return 0;
	(void) sqlite3_snprintf(
		sizeof(sql), sql,
		"SELECT coalesce((SELECT min(id) FROM (SELECT id, at_ms FROM %s ORDER BY"
		" id LIMIT %d) WHERE at_ms >= ?1), (SELECT max(id) FROM (SELECT id FROM"
		" %s ORDER BY id LIMIT %d)))",
		rows_names[table], TRIM_MAX, rows_names[table], TRIM_MAX);
	if (!number(r, sql, time, &cut))
		return 0;
	return cut > t->newest ? t->newest : cut;
}

/* What goes with the rows before `end`. */
struct cut {
	uint64_t end, rows, bytes, oldest_ms;
	struct tally_key *keys;
	int64_t *of; /* rows of each key */
	size_t n;
};

static bool cut_add(struct cut *cut, struct tally_key key, int64_t rows)
{
	if ((cut->n & (cut->n - 1)) == 0) {
		size_t room = cut->n ? 2 * cut->n : 1;
		void *keys = realloc(cut->keys, room * sizeof(*cut->keys));
		void *of;

		if (!keys)
			return false;
		cut->keys = keys;
		of = realloc(cut->of, room * sizeof(*cut->of));
		if (!of)
			return false;
		cut->of = of;
	}
	cut->keys[cut->n] = key;
	cut->of[cut->n++] = rows;
	cut->rows += (uint64_t) rows;
	return true;
}

static bool cut_count(struct rows *r, uint32_t table, struct cut *cut)
{
	sqlite3_stmt *q = NULL;
	char sql[256];
	int got = SQLITE_ERROR;

	(void) sqlite3_snprintf(
		sizeof(sql), sql,
		"SELECT service, name, count(*), sum(coalesce(length(text), 0) +"
		" coalesce(length(value), 0) + coalesce(length(json), 0))"
		" FROM %s NOT INDEXED WHERE id < ?1 GROUP BY service, name",
		rows_names[table]);
	if (sqlite3_prepare_v2(r->db, sql, -1, &q, NULL) == SQLITE_OK) {
		sql_bind(q, 1, cut->end);
		while ((got = sqlite3_step(q)) == SQLITE_ROW) {
			cut->bytes += (uint64_t) sqlite3_column_int64(q, 3);
			if (!cut_add(cut,
				     (struct tally_key){ table, rows_word_column(q, 0),
							 rows_word_column(q, 1) },
				     sqlite3_column_int64(q, 2)))
				break;
		}
	}
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return got == SQLITE_DONE;
}

static bool cut_delete(struct rows *r, uint32_t table, const struct cut *cut)
{
	sqlite3_stmt *q = NULL;
	char sql[96];
	bool ok;

	(void) sqlite3_snprintf(sizeof(sql), sql, "DELETE FROM %s WHERE id < ?1",
				rows_names[table]);
	ok = sqlite3_prepare_v2(r->db, sql, -1, &q, NULL) == SQLITE_OK;
	if (ok) {
		sql_bind(q, 1, cut->end);
		ok = sqlite3_step(q) == SQLITE_DONE;
	}
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return ok && write_bytes(r, table, -(int64_t) cut->bytes);
}

static void cut_done(struct rows *r, uint32_t table, const struct cut *cut)
{
	struct rows_table *t = &r->tables[table];

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	for (size_t i = 0; i < cut->n; i++)
		rows_tally(r, cut->keys[i], -cut->of[i]);
	t->kept -= cut->rows;
	t->bytes -= cut->bytes < t->bytes ? cut->bytes : t->bytes;
	t->oldest = cut->end;
	t->oldest_ms = cut->oldest_ms;
	(void) pthread_mutex_unlock(&r->lock); /* held */
}

static bool trim(struct rows *r, uint32_t table, uint64_t end)
{
	struct cut cut = { .end = end };
	bool ok = sqlite3_exec(r->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
	char sql[96];

	(void) sqlite3_snprintf(sizeof(sql), sql, "SELECT at_ms FROM %s WHERE id = ?1",
				rows_names[table]);
	ok = ok && cut_count(r, table, &cut) && number(r, sql, end, &cut.oldest_ms) &&
	     cut_delete(r, table, &cut) &&
	     sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
	if (ok)
		cut_done(r, table, &cut);
	else if (!sqlite3_get_autocommit(r->db))
		(void) sqlite3_exec(r->db, "ROLLBACK", NULL, NULL,
				    NULL); /* no other way */
	free(cut.keys);
	free(cut.of);
	return ok;
}

bool rows_trim(struct rows *r)
{
	struct store_rows_keep keep;
	struct timespec now;
	uint64_t now_ms;
	bool more = false;

	(void) clock_gettime(CLOCK_REALTIME, &now); /* always there */
	now_ms = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	keep = r->keep;
	(void) pthread_mutex_unlock(&r->lock); /* held */
	for (uint32_t i = 0; i < STORE_TABLES; i++) {
		uint64_t end = cut_by_rows(
			r, i, keep.rows[i] ? keep.rows[i] : CO_LIMIT_TELEMETRY_ROWS);

		if (!end)
			end = cut_by_bytes(r, i);
		if (!end && keep.age_ms && now_ms > keep.age_ms)
			end = cut_by_age(r, i, now_ms - keep.age_ms);
		if (end > r->tables[i].oldest && trim(r, i, end))
			more = true;
	}
	return more;
}
