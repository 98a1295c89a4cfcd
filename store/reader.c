/* SPDX-License-Identifier: MIT */
/*
 * The reader thread: a second connection to state.db that sees what is committed and waits
 * for nobody, however slow the disk or long the list.  HOST.
 *
 * Both connections are in this process, so that the index of the write-ahead log is in
 * memory they share.  A read that runs delays the truncation of the log, no commit.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { BATCH_MAX = 256, CHECKPOINT_WAIT_MS = 2000 };

enum { READ_BEGIN, READ_COMMIT, READ_GET, READ_LIST, READ_LIST_TO, READ_STATEMENTS };

static const char *const texts[SQL_COUNT] = {
#define STATEMENT(name, text) [SQL_##name] = (text),
#include "store/statements.def"
#undef STATEMENT
};

static const struct {
	enum statement which;
	const char *text; /* instead */
} statements[READ_STATEMENTS] = {
	[READ_BEGIN] = { .text = "BEGIN" },
	[READ_COMMIT] = { .which = SQL_COMMIT },
	[READ_GET] = { .which = SQL_GET },
	[READ_LIST] = { .which = SQL_LIST },
	[READ_LIST_TO] = { .which = SQL_LIST_TO },
};

struct reader {
	struct store *store;
	pthread_t thread;
	bool running;

	/* the thread's */
	sqlite3 *db;
	sqlite3_stmt *sql[READ_STATEMENTS];

	/* lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct request *queue;
	size_t queued;
	bool closing;
};

int reader_queue(struct store *s, struct request *r)
{
	struct reader *reader = s->reader;
	int status = 0;

	(void) pthread_mutex_lock(&reader->lock); /* ours, never locked twice */
	if (reader->closing)
		status = CO_GONE;
	else if (reader->queued >= CO_LIMIT_STORE_READS)
		status = CO_BUSY;
	if (status == 0) {
		DL_APPEND(reader->queue, r);
		reader->queued++;
		(void) pthread_cond_signal(&reader->wake); /* cannot fail */
	}
	(void) pthread_mutex_unlock(&reader->lock); /* held */
	if (status < 0)
		request_unref(r);
	return status;
}

/* ---- one request ---- */

static void failed(struct reader *reader, struct request *r)
{
	struct co_err err = { 0 };
	int status = sql_failed(reader->db, reader->store->path, &err);

	request_fail(r, status, "%s", err.message);
}

/* Rows of a bound statement until the limit or the bytes of a page are reached. */
static void take_rows(struct reader *reader, struct request *r, sqlite3_stmt *q)
{
	struct store_item *items = NULL;
	size_t n = 0, room = 0, bytes = 0;
	bool full = false;
	int got;

	while ((got = sqlite3_step(q)) == SQLITE_ROW) {
		full = n == r->limit || (n && bytes >= CO_LIMIT_STORE_PAGE_BYTES);
		if (full)
			break;
		if (n == room) {
			size_t more = room ? 2 * room : 16;
			struct store_item *grown =
				arena_alloc(&r->out, more * sizeof(*grown));

			if (!grown)
				break;
			if (n)
				memcpy(grown, items, n * sizeof(*grown));
			items = grown;
			room = more;
		}
		if (txn_item(q, &r->out, &items[n]) < 0)
			break;
		bytes += items[n++].size;
	}
	r->list.items = items;
	r->list.nitems = n;
	r->list.more = full;
	if (got == SQLITE_ROW && !full)
		request_fail(r, CO_NO_MEMORY, "out of memory");
	else if (got != SQLITE_ROW && got != SQLITE_DONE)
		failed(reader, r);
	(void) sqlite3_reset(q); /* repeats the failure of the step */
}

static void read_key(struct reader *reader, struct request *r, uint64_t now)
{
	sqlite3_stmt *q = reader->sql[READ_GET];

	sql_bind_key(q, 1, r->prefix);
	take_rows(reader, r, q);
	if (r->list.nitems && r->list.items[0].expires_ms &&
	    r->list.items[0].expires_ms <= now)
		r->list.nitems = 0;
}

static void scan(struct reader *reader, struct request *r, uint64_t now)
{
	bool behind = strcmp(r->after, r->prefix) >= 0 && r->after[0];
	sqlite3_stmt *q;
	char *end;

	if (txn_prefix_end(&r->out, r->prefix, &end) < 0) {
		request_fail(r, CO_NO_MEMORY, "out of memory");
		return;
	}
	q = reader->sql[end ? READ_LIST_TO : READ_LIST];
	sql_bind_key(q, 1, behind ? r->after : r->prefix);
	sql_bind(q, 2, behind ? 1 : 0);
	if (end)
		sql_bind_key(q, 3, end);
	sql_bind(q, 4, r->limit + 1);
	sql_bind(q, 6, now);
	take_rows(reader, r, q);
}

/* ---- the thread ---- */

static void step(struct reader *reader, int which)
{
	(void) sqlite3_step(
		reader->sql[which]); /* the reads between tell what is wrong */
	(void) sqlite3_reset(reader->sql[which]);
}

/* One snapshot for all that waits: it is of after they were asked. */
static void run_batch(struct reader *reader, struct request *batch)
{
	struct store *s = reader->store;
	uint64_t now = writer_wall(s);
	struct request *r;
	bool several = batch->next != NULL;

	if (several)
		step(reader, READ_BEGIN);
	DL_FOREACH (batch, r)
		if (r->kind == REQUEST_READ)
			read_key(reader, r, now);
		else
			scan(reader, r, now);
	if (several)
		step(reader, READ_COMMIT);
}

static void answer_batch(void *arg)
{
	struct request *batch = arg, *r, *next;

	DL_FOREACH_SAFE (batch, r, next)
		writer_answer(r);
}

/* With the lock: one scan, or keys that are read together. */
static struct request *take_batch(struct reader *reader)
{
	struct request *batch = NULL, *r, *next;
	size_t n = 0;

	DL_FOREACH_SAFE (reader->queue, r, next) {
		if (n == BATCH_MAX || (n && r->kind == REQUEST_SCAN))
			break;
		DL_DELETE(reader->queue, r);
		DL_APPEND(batch, r);
		reader->queued--;
		n++;
		if (r->kind == REQUEST_SCAN)
			break;
	}
	return batch;
}

static void *reader_main(void *arg)
{
	struct reader *reader = arg;
	bool over = false;

	while (!over) {
		struct request *batch;

		(void) pthread_mutex_lock(&reader->lock); /* ours, never locked twice */
		while (!reader->queue && !reader->closing)
			(void) pthread_cond_wait(&reader->wake,
						 &reader->lock); /* looked at again */
		batch = take_batch(reader);
		over = !batch;
		(void) pthread_mutex_unlock(&reader->lock); /* held */
		if (batch) {
			run_batch(reader, batch);
			store_deliver(reader->store, answer_batch, batch);
		}
	}
	return NULL;
}

/* ---- opening and closing ---- */

static int prepare(struct reader *reader, struct co_err *err)
{
	for (size_t i = 0; i < READ_STATEMENTS; i++) {
		const char *text = statements[i].text ? statements[i].text
						      : texts[statements[i].which];

		if (sqlite3_prepare_v3(reader->db, text, -1, SQLITE_PREPARE_PERSISTENT,
				       &reader->sql[i], NULL) != SQLITE_OK)
			return sql_failed(reader->db, reader->store->path, err);
	}
	return 0;
}

int reader_open(struct store *s, struct co_err *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int status, errnum;

	if (!reader)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	s->reader = reader;
	reader->store = s;
	(void) pthread_mutex_init(&reader->lock, NULL); /* default attributes: */
	(void) pthread_cond_init(&reader->wake, NULL);  /* cannot fail */
	status = sql_open(&reader->db, s->path, s->options.vfs, err);
	if (status == 0)
		status = sql_exec(reader->db, s->path,
				  "PRAGMA cache_size = -4096; PRAGMA query_only = ON",
				  err);
	if (status == 0)
		status = prepare(reader, err);
	if (status < 0)
		return status;
	/* truncating the log waits for reads that run */
	(void) sqlite3_busy_timeout(s->db, CHECKPOINT_WAIT_MS); /* cannot fail */
	errnum = pthread_create(&reader->thread, NULL, reader_main, reader);
	if (errnum)
		return co_fail_errno(err, errnum, "cannot start the store's reader");
	reader->running = true;
	return 0;
}

void reader_close(struct store *s)
{
	struct reader *reader = s->reader;

	if (!reader)
		return;
	(void) pthread_mutex_lock(&reader->lock); /* ours, never locked twice */
	reader->closing = true;
	(void) pthread_cond_signal(&reader->wake);  /* cannot fail */
	(void) pthread_mutex_unlock(&reader->lock); /* held */
	if (reader->running)
		(void) pthread_join(reader->thread, NULL); /* ours and joined once */
	for (size_t i = 0; i < READ_STATEMENTS; i++)
		(void) sqlite3_finalize(
			reader->sql[i]);             /* failures were told already */
	(void) sqlite3_close(reader->db);            /* it has changed nothing */
	(void) pthread_mutex_destroy(&reader->lock); /* nobody is left */
	(void) pthread_cond_destroy(&reader->wake);  /* the same */
	free(reader);
	s->reader = NULL;
}
