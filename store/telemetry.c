/* SPDX-License-Identifier: MIT */
/*
 * telemetry.db: logs and errors, and the rows of rows.h, on a thread of its own, so that no
 * commit of state.db ever waits for it.  HOST.
 *
 * Rows wait in a bounded queue; what does not fit is counted and the count is logged.
 * Reads go through the same queue and so see everything noted before them.
 */
#include "store/rows_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

enum { NOTES_MAX = 1024, ROWS_TOLD = 64, TRIM_MS = 60000 };

struct telemetry {
	struct store *store;
	char *path;
	sqlite3 *db;
	sqlite3_stmt *add_log, *cap_log, *add_error, *cap_error;
	sqlite3_stmt *read_logs, *read_session, *read_errors;
	uint32_t schema;
	pthread_t thread;
	bool running;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct note *queue;
	size_t queued;
	bool closing;
	uint64_t dropped, dropped_told;
	size_t queued_bytes;
	struct rows *rows;
};

/* ---- the queue ---- */

struct note *note_new(enum note_kind kind)
{
	struct note *n = calloc(1, sizeof(*n));

	if (n)
		n->kind = kind;
	return n;
}

void note_free(struct note *n)
{
	if (!n)
		return;
	arena_done(&n->memory);
	free(n);
}

static const char *text(struct note *n, const char *s)
{
	return arena_copy(&n->memory, s ? s : "",
			  s ? strnlen(s, CO_LIMIT_TELEMETRY_TEXT) : 0);
}

static int enqueue(struct telemetry *t, struct note *n)
{
	int status = 0;

	(void) pthread_mutex_lock(&t->lock); /* ours, never locked twice */
	if (t->closing)
		status = CO_GONE;
	else if (t->queued >= CO_LIMIT_TELEMETRY_QUEUE ||
		 (t->queued &&
		  t->queued_bytes + n->memory.bytes > CO_LIMIT_TELEMETRY_QUEUE_BYTES))
		status = CO_BUSY;
	if (status == 0) {
		DL_APPEND(t->queue, n);
		t->queued++;
		t->queued_bytes += n->memory.bytes;
		(void) pthread_cond_signal(&t->wake); /* cannot fail */
	} else if (n->kind == NOTE_LOG || n->kind == NOTE_ERROR) {
		t->dropped++;
	}
	(void) pthread_mutex_unlock(&t->lock); /* held */
	if (status < 0)
		note_free(n);
	return status;
}

int telemetry_queue(struct store *s, struct note *n)
{
	return enqueue(s->telemetry, n);
}

uint64_t telemetry_queued(struct store *s)
{
	struct telemetry *t = s->telemetry;
	uint64_t queued;

	(void) pthread_mutex_lock(&t->lock); /* ours, never locked twice */
	queued = t->queued;
	(void) pthread_mutex_unlock(&t->lock); /* held */
	return queued;
}

struct rows *telemetry_rows(struct store *s)
{
	return s->telemetry->rows;
}

static void count_dropped(struct telemetry *t, uint64_t rows)
{
	(void) pthread_mutex_lock(&t->lock); /* ours, never locked twice */
	t->dropped += rows;
	(void) pthread_mutex_unlock(&t->lock); /* held */
}

void store_log(struct store *s, const struct store_log *entry)
{
	struct note *n = note_new(NOTE_LOG);

	if (n) {
		n->log = *entry;
		n->log.level = text(n, entry->level);
		n->log.subsystem = text(n, entry->subsystem);
		n->log.message = text(n, entry->message);
	}
	if (!n || !n->log.level || !n->log.subsystem || !n->log.message) {
		note_free(n);
		count_dropped(s->telemetry, 1);
		return;
	}
	(void) enqueue(s->telemetry, n); /* counted there */
}

void store_error(struct store *s, const struct store_error *entry)
{
	struct note *n = note_new(NOTE_ERROR);

	if (n) {
		n->error = *entry;
		n->error.component = text(n, entry->component);
		n->error.message = text(n, entry->message);
	}
	if (!n || !n->error.component || !n->error.message) {
		note_free(n);
		count_dropped(s->telemetry, 1);
		return;
	}
	(void) enqueue(s->telemetry, n); /* counted there */
}

static uint32_t bounded(uint32_t limit)
{
	return limit && limit < CO_LIMIT_TELEMETRY_READ ? limit
							: CO_LIMIT_TELEMETRY_READ;
}

int store_logs(struct store *s, uint64_t session, uint32_t limit, log_reader *entry,
	       void *arg)
{
	struct note *n = note_new(NOTE_READ_LOGS);

	if (!n)
		return CO_NO_MEMORY;
	n->session = session;
	n->limit = bounded(limit);
	n->log_reader = entry;
	n->arg = arg;
	return enqueue(s->telemetry, n);
}

int store_errors(struct store *s, uint32_t limit, error_reader *entry, void *arg)
{
	struct note *n = note_new(NOTE_READ_ERRORS);

	if (!n)
		return CO_NO_MEMORY;
	n->limit = bounded(limit);
	n->error_reader = entry;
	n->arg = arg;
	return enqueue(s->telemetry, n);
}

/* ---- writing ---- */

static void bind_text(sqlite3_stmt *q, int at, const char *s)
{
	(void) sqlite3_bind_text(q, at, s, -1, SQLITE_STATIC); /* the step would fail */
}

static bool run(sqlite3_stmt *q)
{
	bool ok = sqlite3_step(q) == SQLITE_DONE;

	(void) sqlite3_reset(q);          /* repeats the failure of the step */
	(void) sqlite3_clear_bindings(q); /* cannot fail */
	return ok;
}

static bool add_log(struct telemetry *t, const struct store_log *log)
{
	sql_bind(t->add_log, 1, log->at_us);
	sql_bind(t->add_log, 2, log->session);
	bind_text(t->add_log, 3, log->level);
	bind_text(t->add_log, 4, log->subsystem);
	bind_text(t->add_log, 5, log->message);
	return run(t->add_log);
}

static bool add_error(struct telemetry *t, const struct store_error *e)
{
	sql_bind(t->add_error, 1, e->at_ns);
	sql_bind(t->add_error, 2, e->session);
	(void) sqlite3_bind_int(t->add_error, 3, e->pid);      /* index is right */
	(void) sqlite3_bind_int(t->add_error, 4, e->tid);      /* the same */
	(void) sqlite3_bind_int(t->add_error, 5, e->code);     /* the same */
	(void) sqlite3_bind_int(t->add_error, 6, e->reported); /* the same */
	bind_text(t->add_error, 7, e->component);
	bind_text(t->add_error, 8, e->message);
	sql_bind(t->add_error, 9, e->origin);
	return run(t->add_error);
}

static bool add_dropped(struct telemetry *t)
{
	char message[96];
	struct timespec now;
	uint64_t lost;

	(void) pthread_mutex_lock(&t->lock); /* ours, never locked twice */
	lost = t->dropped - t->dropped_told;
	t->dropped_told = t->dropped;
	(void) pthread_mutex_unlock(&t->lock); /* held */
	if (!lost)
		return true;
	(void) clock_gettime(CLOCK_REALTIME, &now); /* always there */
	(void) snprintf(message, sizeof(message),
			"%llu rows came too fast and were dropped",
			(unsigned long long) lost);
	return add_log(t,
		       &(struct store_log){ .at_us = (uint64_t) now.tv_sec * 1000000 +
						     (uint64_t) now.tv_nsec / 1000,
					    .level = "warning",
					    .subsystem = "store",
					    .message = message });
}

static bool commit(struct telemetry *t, struct note *notes)
{
	struct timespec from, to;
	int64_t took;

	(void) clock_gettime(CLOCK_MONOTONIC, &from); /* always there */
	if (sqlite3_exec(t->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return false;
	(void) clock_gettime(CLOCK_MONOTONIC, &to); /* the same */
	took = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
	rows_after_commit(t->rows, notes, (uint64_t) took);
	return true;
}

static bool write_notes(struct telemetry *t, struct note *notes)
{
	bool ok = sqlite3_exec(t->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
	struct note *n;

	DL_FOREACH (notes, n) {
		if (ok && n->kind == NOTE_LOG)
			ok = add_log(t, &n->log);
		else if (ok && n->kind == NOTE_ERROR)
			ok = add_error(t, &n->error);
		else if (ok)
			ok = rows_insert(t->rows, n);
	}
	sql_bind(t->cap_log, 1, CO_LIMIT_TELEMETRY_LOGS);
	sql_bind(t->cap_error, 1, CO_LIMIT_TELEMETRY_ERRORS);
	ok = ok && add_dropped(t) && run(t->cap_log) && run(t->cap_error) &&
	     rows_before_commit(t->rows) && commit(t, notes);
	if (!ok) {
		/* the sentence first: a rollback forgets it */
		(void) sql_failed(t->db, t->path, &t->rows->failure);
		if (!sqlite3_get_autocommit(t->db))
			(void) sqlite3_exec(t->db, "ROLLBACK", NULL, NULL,
					    NULL); /* no other way */
		rows_rolled_back(t->rows, notes);
	}
	return ok;
}

/* ---- telling who waits for rows ---- */

struct told {
	struct store *store;
	struct note *notes;
	const struct co_err *failure; /* NULL: they are committed */
};

static void tell(void *arg)
{
	struct told *told = arg;
	struct note *n, *next;

	DL_FOREACH_SAFE (told->notes, n, next) {
		const struct rows_table *table =
			&telemetry_rows(told->store)->tables[n->table];

		if (!told->failure && table->added)
			table->added(table->arg, &n->row);
		if (n->row_done)
			n->row_done(n->arg, told->failure ? told->failure->code : 0,
				    told->failure ? told->failure->message : "",
				    told->failure ? 0 : n->row.number);
		DL_DELETE(told->notes, n);
		note_free(n);
	}
}

/* A few at a time: whoever is told may hold a lock that others wait for. */
static void tell_rows(struct telemetry *t, struct note *notes, bool ok)
{
	while (notes) {
		struct told told = { .store = t->store,
				     .failure = ok ? NULL : &t->rows->failure };

		for (size_t i = 0; notes && i < ROWS_TOLD; i++) {
			struct note *n = notes;

			DL_DELETE(notes, n);
			if (n->kind == NOTE_ROW)
				DL_APPEND(told.notes, n);
			else
				note_free(n);
		}
		if (told.notes)
			store_deliver(t->store, tell, &told);
	}
}

/* ---- reading ---- */

static bool grow(struct note *n, void **array, size_t size)
{
	void *grown;

	if (n->found & (n->found - 1))
		return true;
	grown = arena_alloc(&n->memory, (n->found ? 2 * n->found : 1) * size);
	if (!grown)
		return false;
	if (n->found)
		memcpy(grown, *array, n->found * size);
	*array = grown;
	return true;
}

static const char *column(struct note *n, sqlite3_stmt *q, int at)
{
	const char *s = (const char *) sqlite3_column_text(q, at);

	return arena_string(&n->memory, s);
}

static bool found_log(struct note *n, sqlite3_stmt *q)
{
	struct store_log *log;

	if (!grow(n, (void **) &n->logs, sizeof(*n->logs)))
		return false;
	log = &n->logs[n->found];
	log->at_us = (uint64_t) sqlite3_column_int64(q, 0);
	log->session = (uint64_t) sqlite3_column_int64(q, 1);
	log->level = column(n, q, 2);
	log->subsystem = column(n, q, 3);
	log->message = column(n, q, 4);
	return log->level && log->subsystem && log->message;
}

static bool found_error(struct note *n, sqlite3_stmt *q)
{
	struct store_error *e;

	if (!grow(n, (void **) &n->errors, sizeof(*n->errors)))
		return false;
	e = &n->errors[n->found];
	e->at_ns = (uint64_t) sqlite3_column_int64(q, 0);
	e->session = (uint64_t) sqlite3_column_int64(q, 1);
	e->pid = sqlite3_column_int(q, 2);
	e->tid = sqlite3_column_int(q, 3);
	e->code = sqlite3_column_int(q, 4);
	e->reported = sqlite3_column_int(q, 5) != 0;
	e->component = column(n, q, 6);
	e->message = column(n, q, 7);
	return e->component && e->message;
}

static void read_rows(struct telemetry *t, struct note *n)
{
	sqlite3_stmt *q = n->kind == NOTE_READ_ERRORS ? t->read_errors
			  : n->session                ? t->read_session
						      : t->read_logs;

	sql_bind(q, 1, n->limit);
	if (q == t->read_session)
		sql_bind(q, 2, n->session);
	while (sqlite3_step(q) == SQLITE_ROW) {
		bool ok = n->kind == NOTE_READ_ERRORS ? found_error(n, q)
						      : found_log(n, q);

		if (!ok)
			break;
		n->found++;
	}
	(void) sqlite3_reset(q);          /* best effort: fewer rows */
	(void) sqlite3_clear_bindings(q); /* cannot fail */
}

/* Rows come newest first. */
static void answer(void *arg)
{
	struct note *n = arg;

	for (size_t i = n->found; i > 0; i--) {
		if (n->kind == NOTE_READ_ERRORS)
			n->error_reader(n->arg, &n->errors[i - 1]);
		else
			n->log_reader(n->arg, &n->logs[i - 1]);
	}
	if (n->kind == NOTE_READ_ERRORS)
		n->error_reader(n->arg, NULL);
	else
		n->log_reader(n->arg, NULL);
	note_free(n);
}

/* ---- the thread ---- */

/* With t->lock: rows up to the next read, or one read. */
static struct note *take_notes(struct telemetry *t)
{
	struct note *taken = NULL, *n, *next;
	size_t count = 0;

	DL_FOREACH_SAFE (t->queue, n, next) {
		bool reads = n->kind == NOTE_READ_LOGS || n->kind == NOTE_READ_ERRORS;

		if (count == NOTES_MAX || (reads && count))
			break;
		DL_DELETE(t->queue, n);
		DL_APPEND(taken, n);
		t->queued--;
		t->queued_bytes -= n->memory.bytes;
		count++;
		if (reads)
			break;
	}
	return taken;
}

static void work(struct telemetry *t, struct note *notes)
{
	struct note *n;
	size_t lost = 0;
	bool ok;

	if (notes->kind == NOTE_READ_LOGS || notes->kind == NOTE_READ_ERRORS) {
		read_rows(t, notes);
		store_deliver(t->store, answer, notes);
		return;
	}
	ok = write_notes(t, notes);
	DL_FOREACH (notes, n)
		if (n->kind != NOTE_ROW)
			lost++;
	if (!ok)
		count_dropped(t, lost);
	tell_rows(t, notes, ok);
}

/* With t->lock: until there is something to do, or old rows may have to go. */
static void wait_for_notes(struct telemetry *t)
{
	struct timespec until;

	(void) clock_gettime(CLOCK_MONOTONIC, &until); /* always there */
	until.tv_sec += TRIM_MS / 1000;
	while (!t->queue && !t->closing)
		if (pthread_cond_timedwait(&t->wake, &t->lock, &until) == ETIMEDOUT)
			return;
}

static void *telemetry_main(void *arg)
{
	struct telemetry *t = arg;
	bool over = false, more = false;

	while (!over) {
		struct note *notes;

		(void) pthread_mutex_lock(&t->lock); /* ours, never locked twice */
		if (!more)
			wait_for_notes(t);
		notes = take_notes(t);
		over = !notes && t->closing;
		(void) pthread_mutex_unlock(&t->lock); /* held */
		if (notes)
			work(t, notes);
		more = !over && rows_trim(t->rows);
	}
	return NULL;
}

/* ---- opening ---- */

static int prepare(struct telemetry *t, struct co_err *err)
{
	static const char logs[] = "SELECT at_us, session, level, subsystem, message"
				   " FROM log ORDER BY id DESC LIMIT ?1";
	static const char session[] = "SELECT at_us, session, level, subsystem, message"
				      " FROM log WHERE session = ?2 AND session <> 0"
				      " ORDER BY id DESC LIMIT ?1";
	static const char errors[] = "SELECT at_ns, session, pid, tid, code, reported,"
				     " component, message FROM error"
				     " ORDER BY id DESC LIMIT ?1";
	static const char add_l[] = "INSERT INTO log (at_us, session, level, subsystem,"
				    " message) VALUES (?1, ?2, ?3, ?4, ?5)";
	static const char add_e[] = "INSERT OR IGNORE INTO error (at_ns, session, pid,"
				    " tid, code, reported, component, message, origin)"
				    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
	static const char cap_l[] = "DELETE FROM log WHERE id <="
				    " (SELECT max(id) FROM log) - ?1";
	static const char cap_e[] = "DELETE FROM error WHERE id <="
				    " (SELECT max(id) FROM error) - ?1";
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = { { &t->read_logs, logs },     { &t->read_session, session },
		    { &t->read_errors, errors }, { &t->add_log, add_l },
		    { &t->add_error, add_e },    { &t->cap_log, cap_l },
		    { &t->cap_error, cap_e } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (sqlite3_prepare_v3(t->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
				       all[i].stmt, NULL) != SQLITE_OK)
			return sql_failed(t->db, t->path, err);
	return 0;
}

static int open_database(struct telemetry *t, struct co_err *err)
{
	int status = sql_create(t->path, err);

	if (status == 0)
		status = sql_open(&t->db, t->path, t->store->options.vfs, err);
	if (status == 0)
		status = sql_exec(t->db, t->path,
				  "PRAGMA journal_mode = WAL;"
				  "PRAGMA synchronous = NORMAL;"
				  "PRAGMA secure_delete = OFF;"
				  "PRAGMA temp_store = MEMORY;"
				  "PRAGMA journal_size_limit = 8388608",
				  err);
	if (status == 0 && t->store->options.volatile_)
		status = sql_exec(t->db, t->path, "PRAGMA synchronous = OFF", err);
	if (status == 0)
		status = schema_migrate(t->db, "telemetry", t->path, &t->schema, err);
	if (status == 0)
		status = prepare(t, err);
	if (status == 0)
		status = rows_load(t->rows, t->db, err);
	return status;
}

static void close_database(struct telemetry *t)
{
	sqlite3_stmt **all[] = { &t->add_log,    &t->cap_log,   &t->add_error,
				 &t->cap_error,  &t->read_logs, &t->read_session,
				 &t->read_errors };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		(void) sqlite3_finalize(*all[i]); /* failures were counted as drops */
		*all[i] = NULL;
	}
	rows_unload(t->rows);
	(void) sqlite3_close(t->db); /* the next open finishes what it could not */
	t->db = NULL;
}

/* A damaged telemetry.db is put aside: nothing in it is worth not starting for. */
static int put_aside(struct telemetry *t, struct co_err *err)
{
	char from[4096], to[4096];
	static const char *const suffixes[] = { "", "-wal" };

	close_database(t);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		(void) snprintf(from, sizeof(from), "%s%s", t->path, suffixes[i]);
		(void) snprintf(to, sizeof(to), "%s.damaged%s", t->path, suffixes[i]);
		(void) rename(from, to); /* the second open will say what is wrong */
	}
	return open_database(t, err);
}

int telemetry_open(struct store *s, struct co_err *err)
{
	struct telemetry *t = calloc(1, sizeof(*t));
	pthread_condattr_t attributes;
	int status, errnum;

	if (!t)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	s->telemetry = t;
	t->store = s;
	(void) pthread_mutex_init(&t->lock, NULL); /* default attributes cannot fail */
	(void) pthread_condattr_init(&attributes); /* the same */
	(void) pthread_condattr_setclock(&attributes,
					 CLOCK_MONOTONIC); /* is supported */
	(void) pthread_cond_init(&t->wake, &attributes);   /* the same */
	(void) pthread_condattr_destroy(&attributes);      /* the same */
	if (asprintf(&t->path, "%s/telemetry.db", s->options.folder) < 0) {
		t->path = NULL;
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	}
	status = rows_open(&t->rows, s, t->path, err);
	if (status == 0)
		status = open_database(t, err);
	if (status == CO_CORRUPT)
		status = put_aside(t, err);
	if (status == 0)
		status = rows_start(t->rows, err);
	if (status < 0)
		return status;
	errnum = pthread_create(&t->thread, NULL, telemetry_main, t);
	if (errnum)
		return co_fail_errno(err, errnum, "cannot start the telemetry thread");
	t->running = true;
	return 0;
}

void telemetry_close(struct store *s)
{
	struct telemetry *t = s->telemetry;

	if (!t)
		return;
	(void) pthread_mutex_lock(&t->lock); /* ours, never locked twice */
	t->closing = true;
	(void) pthread_cond_signal(&t->wake);  /* cannot fail */
	(void) pthread_mutex_unlock(&t->lock); /* held */
	if (t->running)
		(void) pthread_join(t->thread, NULL); /* ours and joined once */
	if (t->rows) {
		close_database(t);
		rows_close(t->rows);
	}
	(void) pthread_mutex_destroy(&t->lock); /* nobody is left */
	(void) pthread_cond_destroy(&t->wake);  /* the same */
	free(t->path);
	free(t);
	s->telemetry = NULL;
}

void telemetry_status(struct store *s, struct store_status *out)
{
	struct telemetry *t = s->telemetry;

	(void) pthread_mutex_lock(&t->lock); /* ours, never locked twice */
	out->telemetry_dropped = t->dropped;
	(void) pthread_mutex_unlock(&t->lock); /* held */
	out->telemetry_schema = t->schema;
	out->telemetry_bytes = sql_bytes(t->path);
}
