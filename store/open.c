/* SPDX-License-Identifier: MIT */
/* Opening, closing and describing a store.  HOST. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/cleanup.h"

enum { CHECKED_BYTES = 64 << 20 }; /* larger databases are not read through at open */

static const char *const statements[] = {
#define STATEMENT(name, text) [SQL_##name] = (text),
#include "store/statements.def"
#undef STATEMENT
};

/* ---- one folder, one store ---- */

static int lock_folder(struct store *s, struct co_err *err)
{
	const char *folder = s->options.folder;

	s->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder_fd < 0)
		return co_fail_errno(err, errno, "cannot open the store's folder %s",
				     folder);
	if (flock(s->folder_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return co_fail_errno(err, errno, "cannot lock %s", folder);
		return co_fail(err, CO_BUSY,
			       "cannot open %s: another process has it open; stop that "
			       "cloudosd, or choose another folder with CLOUDOS_DIR",
			       s->path);
	}
	return 0;
}

/* ---- the database ---- */

static int configure(struct store *s, struct co_err *err)
{
	sqlite3_stmt *q = NULL;
	int status = sql_exec(s->db, s->path,
			      "PRAGMA auto_vacuum = INCREMENTAL;"
			      "PRAGMA secure_delete = OFF;"
			      "PRAGMA temp_store = MEMORY;"
			      "PRAGMA cache_size = -8192;"
			      "PRAGMA journal_size_limit = 8388608",
			      err);

	if (status < 0)
		return status;
	if (sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = WAL", -1, &q, NULL) !=
		    SQLITE_OK ||
	    sqlite3_step(q) != SQLITE_ROW)
		status = sql_failed(s->db, s->path, err);
	else if (strcmp((const char *) sqlite3_column_text(q, 0), "wal") != 0)
		status = co_fail(err, CO_UNSUPPORTED,
				 "cannot keep a write-ahead log beside %s", s->path);
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	if (status < 0)
		return status;
	return sql_exec(s->db, s->path,
			s->options.volatile_ ? "PRAGMA synchronous = OFF"
					     : "PRAGMA synchronous = FULL",
			err);
}

static int check_owner(struct store *s, struct co_err *err)
{
	int64_t changes = 0, owner = 0;
	int status = sql_number(s->db, s->path, "PRAGMA schema_version", &changes, err);

	if (status == 0)
		status = sql_number(s->db, s->path, "PRAGMA application_id", &owner,
				    err);
	if (status == 0 && changes && owner != 1668248436)
		status = co_fail(err, CO_CORRUPT,
				 "%s is not a database of cloudos; move it away",
				 s->path);
	return status;
}

static int check_pages(struct store *s, struct co_err *err)
{
	sqlite3_stmt *q = NULL;
	struct stat st;
	int status = 0;

	if (stat(s->path, &st) < 0 || st.st_size > CHECKED_BYTES)
		return 0;
	if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &q, NULL) !=
		    SQLITE_OK ||
	    sqlite3_step(q) != SQLITE_ROW)
		status = sql_failed(s->db, s->path, err);
	else if (strcmp((const char *) sqlite3_column_text(q, 0), "ok") != 0)
		status = co_fail(
			err, CO_CORRUPT,
			"%s is damaged (%.200s); move it and its -wal file away, "
			"then start afresh or put a backup in its place",
			s->path, (const char *) sqlite3_column_text(q, 0));
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return status;
}

static int prepare(struct store *s, struct co_err *err)
{
	for (size_t i = 0; i < SQL_COUNT; i++)
		if (sqlite3_prepare_v3(s->db, statements[i], -1,
				       SQLITE_PREPARE_PERSISTENT, &s->sql[i],
				       NULL) != SQLITE_OK)
			return sql_failed(s->db, s->path, err);
	return 0;
}

static int load_leases(struct store *s, struct co_err *err)
{
	uint64_t now = writer_now(s);
	sqlite3_stmt *q = NULL;
	int got = SQLITE_DONE, status = 0;

	if (sqlite3_prepare_v2(s->db, "SELECT id, ttl_ms FROM lease", -1, &q, NULL) !=
	    SQLITE_OK)
		return sql_failed(s->db, s->path, err);
	while (status == 0 && (got = sqlite3_step(q)) == SQLITE_ROW)
		if (leases_set(&s->leases, (uint64_t) sqlite3_column_int64(q, 0),
			       (uint64_t) sqlite3_column_int64(q, 1), now) < 0)
			status = co_fail(err, CO_NO_MEMORY, "out of memory");
	if (status == 0 && got != SQLITE_DONE)
		status = sql_failed(s->db, s->path, err);
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return status;
}

static int load_counts(struct store *s, struct co_err *err)
{
	int64_t compacted = 0, newest = 0;
	int status = sql_number(s->db, s->path,
				"SELECT value FROM meta WHERE name = 'compacted'",
				&compacted, err);

	if (status == 0)
		status = sql_number(s->db, s->path, "SELECT max(rev) FROM event",
				    &newest, err);
	if (status == 0)
		status = sql_number(s->db, s->path, "SELECT count(*) FROM kv", &s->keys,
				    err);
	if (status < 0)
		return status;
	sql_bind(s->sql[SQL_HISTORY_SIZE], 1, INT64_MAX);
	if (sql_step(s, SQL_HISTORY_SIZE) == 1) {
		s->history = sqlite3_column_int64(s->sql[SQL_HISTORY_SIZE], 0);
		s->history_bytes = sqlite3_column_int64(s->sql[SQL_HISTORY_SIZE], 1);
	} else {
		status = sql_failed(s->db, s->path, err);
	}
	sql_reset(s, SQL_HISTORY_SIZE);
	s->compacted = (uint64_t) compacted;
	s->revision = (uint64_t) (newest > compacted ? newest : compacted);
	return status;
}

static int open_state(struct store *s, struct co_err *err)
{
	int status = sql_create(s->path, err);

	if (status == 0)
		status = sql_open(&s->db, s->path, s->options.vfs, err);
	if (status == 0)
		status = check_owner(s, err);
	if (status == 0)
		status = configure(s, err);
	if (status == 0)
		status =
			schema_migrate(s->db, "state", s->path, &s->status.schema, err);
	if (status == 0)
		status = check_pages(s, err);
	if (status == 0)
		status = prepare(s, err);
	if (status == 0)
		status = load_counts(s, err);
	if (status == 0)
		status = load_leases(s, err);
	if (status == 0)
		status = journal_load(s, err);
	if (status == 0)
		status = sites_load(s, err);
	return status;
}

/* ---- store.h ---- */

static int init(struct store *s, const struct store_options *options,
		struct co_err *err)
{
	pthread_condattr_t attributes;

	s->options = *options;
	if (!s->options.vfs)
		s->options.vfs = "unix-excl";
	s->folder_fd = -1;
	(void) pthread_mutex_init(&s->lock, NULL);      /* default attributes: */
	(void) pthread_mutex_init(&s->callbacks, NULL); /* cannot fail */
	(void) pthread_condattr_init(&attributes);      /* the same */
	(void) pthread_condattr_setclock(&attributes,
					 CLOCK_MONOTONIC); /* is supported */
	(void) pthread_cond_init(&s->wake, &attributes);   /* the same */
	(void) pthread_condattr_destroy(&attributes);      /* the same */
	(void) snprintf(s->engine, sizeof(s->engine), "sqlite %s",
			sqlite3_libversion());
	if (asprintf(&s->path, "%s/state.db", options->folder) < 0)
		s->path = NULL;
	if (asprintf(&s->ballast_path, "%s/ballast", options->folder) < 0)
		s->ballast_path = NULL;
	if (!s->path || !s->ballast_path)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	if (sqlite3_threadsafe() == 0)
		return co_fail(
			err, CO_UNSUPPORTED,
			"this SQLite was built without threads; the store needs two");
	return 0;
}

static int start(struct store *s, struct co_err *err)
{
	int errnum;

	space_init(s);
	s->status.revision = s->revision;
	s->status.compacted = s->compacted;
	s->status.keys = (uint64_t) s->keys;
	s->status.leases = s->leases.count;
	if (fsync(s->folder_fd) < 0)
		return co_fail_errno(err, errno, "cannot write the folder %s",
				     s->options.folder);
	errnum = pthread_create(&s->thread, NULL, writer_main, s);
	if (errnum)
		return co_fail_errno(err, errnum, "cannot start the store's thread");
	s->running = true;
	return 0;
}

int store_open(struct store **out, const struct store_options *options,
	       struct co_err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	int status;

	if (!s)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	status = init(s, options, err);
	if (status == 0)
		status = lock_folder(s, err);
	if (status == 0)
		status = open_state(s, err);
	if (status == 0)
		status = reader_open(s, err);
	if (status == 0)
		status = telemetry_open(s, err);
	if (status == 0)
		status = start(s, err);
	if (status < 0) {
		(void) store_close(s); /* NULL */
		return status;
	}
	*out = s;
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	s->closing = true;
	(void) pthread_cond_signal(&s->wake);  /* cannot fail */
	(void) pthread_mutex_unlock(&s->lock); /* held */
	if (s->running)
		(void) pthread_join(s->thread, NULL); /* ours and joined once */
	reader_close(s);
	telemetry_close(s);
	watch_detach_all(s);
	for (size_t i = 0; i < SQL_COUNT; i++)
		(void) sqlite3_finalize(s->sql[i]); /* failures were told already */
	(void) sqlite3_close(s->db); /* what it could not do it does at the next open */
	leases_done(&s->leases);
	journal_done(s);
	(void) pthread_mutex_destroy(&s->lock);      /* nobody is left */
	(void) pthread_mutex_destroy(&s->callbacks); /* the same */
	(void) pthread_cond_destroy(&s->wake);       /* the same */
	if (s->folder_fd >= 0)
		(void) close(s->folder_fd); /* a lock, not data */
	free(s->path);
	free(s->ballast_path);
	free(s);
	return NULL;
}

void store_status(struct store *s, struct store_status *out)
{
	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	*out = s->status;
	out->queued = s->queued;
	(void) pthread_mutex_unlock(&s->lock); /* held */
	out->engine = s->engine;
	out->path = s->path;
	out->bytes = sql_bytes(s->path);
	telemetry_status(s, out);
}

struct store_caps store_caps(struct store *s)
{
	(void) s; /* the same for every store of this engine */
	return (struct store_caps){ .replicated = false,
				    .lease_min_ms = 1,
				    .txn_ops_max = CO_LIMIT_STORE_TXN_OPS,
				    .value_max = CO_LIMIT_STORE_VALUE,
				    .watch_history = true };
}
