/* SPDX-License-Identifier: MIT */
/*
 * Numbered rows of telemetry.db: reading, on a thread and a connection of their own.  HOST.
 *
 * A read sees one moment of the database.  What SQL cannot filter (patterns, `contains`)
 * is filtered row by row; totals come from memory where they can.
 */
#include "store/rows_inside.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/pattern.h"

enum { PAGE_BYTES = 8 << 20 }; /* of one answer: what comes behind is `more` */

struct rows_read {
	struct rows_read *prev, *next;
	struct rows *rows;
	struct arena memory;
	struct store_rows_query query;
	store_rows_done *done;
	void *arg;

	bool by_name, by_row; /* name in SQL; something that SQL does not know */
	struct store_row *found;
	size_t room;
	struct store_rows answer;
	struct co_err failure;
};

/* ---- the question as SQL ---- */

static const char *const columns =
	"id, at_ms, service, source, name, text, value, json";

static void add_where(const struct rows_read *read, sqlite3_str *sql)
{
	const struct store_rows_query *query = &read->query;

	sqlite3_str_appendf(sql, " WHERE id > ?1");
	if (query->upto)
		sqlite3_str_appendall(sql, " AND id <= ?2");
	if (query->from_ms)
		sqlite3_str_appendall(sql, " AND at_ms >= ?3");
	if (query->to_ms)
		sqlite3_str_appendall(sql, " AND at_ms <= ?4");
	/* without an exact name the order of numbers is worth more than the index */
	if (query->service.data)
		sqlite3_str_appendall(sql, read->by_name ? " AND service = ?5"
							 : " AND +service = ?5");
	if (read->by_name)
		sqlite3_str_appendall(sql, query->service.data ? " AND name = ?6"
							       : " AND +name = ?6");
}

static void bind_name(struct rows *r, sqlite3_stmt *q, int at, struct co_span text)
{
	struct word *w;

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	w = rows_word(r, text);
	if (w)
		sql_bind(q, at, w->id);
	else
		(void) sqlite3_bind_text(q, at, text.data, (int) text.size,
					 SQLITE_STATIC); /* the step would fail */
	(void) pthread_mutex_unlock(&r->lock);           /* held */
}

static sqlite3_stmt *prepare(struct rows_read *read, sqlite3 *db, const char *what,
			     bool page)
{
	const struct store_rows_query *query = &read->query;
	sqlite3_str *sql = sqlite3_str_new(db);
	sqlite3_stmt *q = NULL;
	char *text;

	sqlite3_str_appendf(sql, "SELECT %s FROM %s", what, rows_names[query->table]);
	add_where(read, sql);
	if (page)
		sqlite3_str_appendall(sql, query->newest_first ? " ORDER BY id DESC"
							       : " ORDER BY id");
	if (page && !read->by_row)
		sqlite3_str_appendf(sql, " LIMIT %u OFFSET %u", query->limit + 1,
				    query->offset);
	text = sqlite3_str_finish(sql);
	if (text)
		(void) sqlite3_prepare_v2(db, text, -1, &q, NULL); /* q says */
	sqlite3_free(text);
	if (!q)
		return NULL;
	sql_bind(q, 1, query->after);
	sql_bind(q, 2, query->upto);
	sql_bind(q, 3, query->from_ms);
	sql_bind(q, 4, query->to_ms);
	if (query->service.data)
		bind_name(read->rows, q, 5, query->service);
	if (read->by_name)
		bind_name(read->rows, q, 6, query->name);
	return q;
}

/* ---- rows ---- */

static struct co_span blob(sqlite3_stmt *q, int at)
{
	struct co_span span = { 0 };

	if (sqlite3_column_type(q, at) != SQLITE_NULL) {
		span.data = sqlite3_column_blob(q, at);
		span.size = (size_t) sqlite3_column_bytes(q, at);
		if (!span.data)
			span.data = "";
	}
	return span;
}

static struct co_span name_at(struct rows *r, sqlite3_stmt *q, int at)
{
	struct co_span span = { 0 };
	struct word *w = NULL;
	uint32_t id;

	if (sqlite3_column_type(q, at) != SQLITE_INTEGER)
		return blob(q, at);
	id = rows_word_column(q, at);
	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	if (id >= 1 && id <= r->nwords)
		w = r->word_of[id - 1];
	(void) pthread_mutex_unlock(&r->lock); /* held */
	if (w)
		span = (struct co_span){ w->text, w->size };
	return span;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + 'a' - 'A') : c;
}

/* Without regard to case; by hand, as it runs over every byte that is kept. */
static bool has(struct co_span text, struct co_span part)
{
	const char *at = text.data, *end = text.data + text.size;
	char first = part.size ? lower(part.data[0]) : 0;

	for (; (size_t) (end - at) >= part.size && at < end; at++) {
		size_t n = 1;

		if (lower(*at) != first)
			continue;
		while (n < part.size && lower(at[n]) == lower(part.data[n]))
			n++;
		if (n == part.size)
			return true;
	}
	return false;
}

static bool matches(const struct store_rows_query *query, const struct store_row *row)
{
	if (query->name.size && !co_pattern_match(query->name, row->name))
		return false;
	return !query->contains.size || has(row->text, query->contains) ||
	       has(row->json, query->contains);
}

static bool keep(struct rows_read *read, struct co_span *span)
{
	const char *copy =
		span->data ? arena_copy(&read->memory, span->data, span->size) : NULL;

	if (span->data && !copy)
		return false;
	span->data = copy;
	return true;
}

/* False: no memory. */
static bool add(struct rows_read *read, struct store_row row)
{
	size_t n = read->answer.nrows;

	if (n == read->room) {
		size_t room = read->room ? 2 * read->room : 16;
		void *grown = realloc(read->found, room * sizeof(*read->found));

		if (!grown)
			return false;
		read->found = grown;
		read->room = room;
	}
	/* service, source and name are words for the most part, but need not be */
	if (!keep(read, &row.service) || !keep(read, &row.source) ||
	    !keep(read, &row.name) || !keep(read, &row.text) ||
	    !keep(read, &row.value) || !keep(read, &row.json))
		return false;
	read->found[n] = row;
	read->answer.nrows++;
	return true;
}

static struct store_row row_at(struct rows *r, sqlite3_stmt *q)
{
	return (struct store_row){ .number = (uint64_t) sqlite3_column_int64(q, 0),
				   .at_ms = (uint64_t) sqlite3_column_int64(q, 1),
				   .service = name_at(r, q, 2),
				   .source = name_at(r, q, 3),
				   .name = name_at(r, q, 4),
				   .text = blob(q, 5),
				   .value = blob(q, 6),
				   .json = blob(q, 7) };
}

static bool is_full(const struct rows_read *read)
{
	return read->answer.nrows == read->query.limit ||
	       read->memory.bytes > PAGE_BYTES;
}

static int read_page(struct rows_read *read, sqlite3 *db)
{
	const struct store_rows_query *query = &read->query;
	sqlite3_stmt *q = prepare(read, db, columns, true);
	uint64_t matched = 0;
	int got = SQLITE_ERROR;

	while (q && (got = sqlite3_step(q)) == SQLITE_ROW) {
		struct store_row row = row_at(read->rows, q);

		if (read->by_row) {
			if (!matches(query, &row) || ++matched <= query->offset)
				continue;
		}
		if (is_full(read)) {
			read->answer.more = true;
			if (read->by_row && query->count)
				continue;
			got = SQLITE_DONE;
			break;
		}
		if (!add(read, row)) {
			(void) sqlite3_finalize(q); /* an end of our own */
			return co_fail(&read->failure, CO_NO_MEMORY, "out of memory");
		}
	}
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	if (got != SQLITE_DONE)
		return sql_failed(db, read->rows->path, &read->failure);
	read->answer.total = matched;
	return 0;
}

/* ---- totals ---- */

/* In memory, where the question is about a service and a name only. */
static bool total_known(struct rows_read *read)
{
	const struct store_rows_query *query = &read->query;
	struct rows *r = read->rows;
	struct tally_key key = { query->table, TALLY_ANY, TALLY_ANY };
	struct word *service, *name;
	struct tally *t = NULL;
	bool known;

	if (query->after || query->upto || query->from_ms || query->to_ms)
		return false;
	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	service = query->service.data ? rows_word(r, query->service) : NULL;
	name = read->by_name ? rows_word(r, query->name) : NULL;
	if (service)
		key.service = service->id;
	if (name)
		key.name = name->id;
	/* what is no word has no rows, unless there are too many words */
	known = (!query->service.data || service) && (!read->by_name || name);
	if (known)
		HASH_FIND(hh, r->tallies, &key, sizeof(key), t);
	else
		known = r->nwords < CO_LIMIT_TELEMETRY_NAMES;
	read->answer.total = t ? t->rows : 0;
	(void) pthread_mutex_unlock(&r->lock); /* held */
	return known;
}

static int count(struct rows_read *read, sqlite3 *db)
{
	sqlite3_stmt *q;
	int status = 0;

	if (read->by_row || total_known(read))
		return 0; /* read_page has counted */
	q = prepare(read, db, "count(*)", false);
	if (q && sqlite3_step(q) == SQLITE_ROW)
		read->answer.total = (uint64_t) sqlite3_column_int64(q, 0);
	else
		status = sql_failed(db, read->rows->path, &read->failure);
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return status;
}

/* The ends of the table as this read sees it. */
static int ends(struct rows_read *read, sqlite3 *db)
{
	const char *name = rows_names[read->query.table];
	sqlite3_stmt *q = NULL;
	char sql[192];
	int got = SQLITE_ERROR;

	(void) sqlite3_snprintf(sizeof(sql), sql,
				"SELECT id, at_ms, (SELECT max(id) FROM %s) FROM %s"
				" ORDER BY id LIMIT 1",
				name, name);
	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK)
		got = sqlite3_step(q);
	if (got == SQLITE_ROW) {
		read->answer.oldest = (uint64_t) sqlite3_column_int64(q, 0);
		read->answer.oldest_ms = (uint64_t) sqlite3_column_int64(q, 1);
		read->answer.newest = (uint64_t) sqlite3_column_int64(q, 2);
	}
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		return sql_failed(db, read->rows->path, &read->failure);
	return 0;
}

static int run(struct rows_read *read, sqlite3 *db)
{
	int status = sql_exec(db, read->rows->path, "BEGIN", &read->failure);

	if (status < 0)
		return status;
	status = ends(read, db);
	if (status == 0)
		status = read_page(read, db);
	if (status == 0 && read->query.count)
		status = count(read, db);
	(void) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* nothing was changed */
	return status;
}

/* ---- the thread ---- */

static void read_free(struct rows_read *read)
{
	arena_done(&read->memory);
	free(read->found);
	free(read);
}

static void answer(void *arg)
{
	struct rows_read *read = arg;

	read->answer.rows = read->found;
	read->done(read->arg, &read->answer);
	read_free(read);
}

static struct rows_read *next_read(struct rows *r)
{
	struct rows_read *read;

	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	while (!r->queue && !r->closing)
		(void) pthread_cond_wait(&r->wake, &r->lock); /* looked at again */
	read = r->queue;
	if (read) {
		DL_DELETE(r->queue, read);
		r->reads--;
	}
	(void) pthread_mutex_unlock(&r->lock); /* held */
	return read;
}

void *rows_main(void *rows)
{
	struct rows *r = rows;
	struct rows_read *read;
	sqlite3 *db = NULL;

	while ((read = next_read(r))) {
		int status = 0;

		if (!db)
			status = sql_open(&db, r->path, r->store->options.vfs,
					  &read->failure);
		if (status == 0)
			status = run(read, db);
		read->answer.status = status;
		read->answer.reason = status < 0 ? read->failure.message : "";
		if (status < 0)
			read->answer.nrows = 0;
		store_deliver(r->store, answer, read);
	}
	(void) sqlite3_close(db); /* it only read; NULL is allowed */
	return NULL;
}

/* ---- store/rows.h ---- */

static bool copy(struct rows_read *read, struct co_span *span)
{
	if (!span->data)
		return true;
	span->data = arena_copy(&read->memory, span->data, span->size);
	return span->data != NULL;
}

int store_rows_read(struct store *s, const struct store_rows_query *query,
		    store_rows_done *done, void *arg)
{
	struct rows *r = telemetry_rows(s);
	struct rows_read *read;
	int status = 0;

	if (query->table >= STORE_TABLES || query->limit > CO_LIMIT_TELEMETRY_READ)
		return CO_INVALID;
	read = calloc(1, sizeof(*read));
	if (!read)
		return CO_NO_MEMORY;
	read->rows = r;
	read->query = *query;
	read->done = done;
	read->arg = arg;
	read->answer.reason = "";
	read->by_name = query->name.data && query->exact;
	read->by_row = query->contains.size || (query->name.size && !read->by_name);
	if (!copy(read, &read->query.service) || !copy(read, &read->query.name) ||
	    !copy(read, &read->query.contains)) {
		read_free(read);
		return CO_NO_MEMORY;
	}
	(void) pthread_mutex_lock(&r->lock); /* ours, never locked twice */
	if (r->closing)
		status = CO_GONE;
	else if (r->reads >= CO_LIMIT_TELEMETRY_READS)
		status = CO_BUSY;
	if (status == 0) {
		DL_APPEND(r->queue, read);
		r->reads++;
		(void) pthread_cond_signal(&r->wake); /* cannot fail */
	}
	(void) pthread_mutex_unlock(&r->lock); /* held */
	if (status < 0)
		read_free(read);
	return status;
}
