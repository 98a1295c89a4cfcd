/* SPDX-License-Identifier: MIT */
/*
 * What the files of store/ share.  HOST.  Nobody outside includes this.
 *
 * Three kinds of owner: fields of struct store under "writer" belong to the writer thread
 * (and to open and close, when there is none); those under "lock" to s->lock; telemetry
 * has its own lock and thread.  A request belongs to its caller until it is queued, to the
 * writer until it is delivered, then to whoever delivers it.
 */
#ifndef CO_STORE_INTERNAL_H
#define CO_STORE_INTERNAL_H

#include "store/store.h"

#include <co/limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* ---- arena.c: memory of one request, freed at once ---- */

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t bytes;
};

void *arena_alloc(struct arena *a, size_t size); /* zeroed; NULL: out of memory */
void *arena_copy(struct arena *a, const void *data, size_t size); /* a NUL behind it */
char *arena_string(struct arena *a, const char *s); /* NULL stays NULL's copy "" */
void arena_done(struct arena *a);

/* ---- request.c ---- */

enum request_kind {
	REQUEST_TXN,
	REQUEST_LIST,
	REQUEST_EXPIRE,
	REQUEST_COUNT,
	REQUEST_READ, /* the reader's */
	REQUEST_SCAN, /* the reader's */
	REQUEST_GRANT,
	REQUEST_KEEPALIVE,
	REQUEST_REVOKE,
	REQUEST_LAPSE, /* REVOKE by the clock; nobody waits for it */
	REQUEST_SITES_GET,
	REQUEST_SITES_PUT,
	/* From here on: alone, between two groups. */
	REQUEST_WATCH,
	REQUEST_COMPACT,
	REQUEST_BACKUP
};

struct request {
	struct request *prev, *next;
	atomic_uint refs;
	enum request_kind kind;
	struct arena in, out; /* the question; the answer, emptied to run again */

	struct store_txn txn; /* TXN */
	bool grows;           /* needs room on the disk */
	char *prefix, *after; /* LIST */
	size_t limit;
	uint64_t number;   /* LIST: revision; leases: ttl or id; COMPACT: revision */
	uint64_t deadline; /* LAPSE: only if the lease still has this one */
	int fd;            /* BACKUP */
	struct store_sites sites; /* SITES; get: the key */
	struct store_watch *watch;

	store_done *done;
	store_list_done *list_done;
	store_sites_done *sites_done;
	void *arg;

	struct store_result result;
	struct store_list list;
	struct store_event *events; /* what watches get of it, in order */
	size_t nevents, events_room;
};

struct request *request_new(enum request_kind kind, store_done *done, void *arg);
void request_unref(struct request *r);
void request_reset(struct request *r); /* as before it ran */
/* Answers with a status and a sentence instead of a result. */
void request_fail(struct request *r, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- lease.c: deadlines, earliest first ---- */

struct lease;
struct leases {
	struct lease *by_id;
	struct lease **heap;
	size_t count, room;
};

int leases_set(struct leases *all, uint64_t id, uint64_t ttl_ms, uint64_t now);
void leases_touch(struct leases *all, uint64_t id, uint64_t now);
void leases_postpone(struct leases *all, uint64_t id, uint64_t deadline);
uint64_t leases_deadline(const struct leases *all, uint64_t id); /* 0: unknown */
void leases_drop(struct leases *all, uint64_t id);
/* The id of the lease with the earliest deadline and that deadline; 0: there is none. */
uint64_t leases_next(const struct leases *all, uint64_t *out_deadline);
void leases_done(struct leases *all);

/* ---- the store ---- */

enum statement {
#define STATEMENT(name, text) SQL_##name,
#include "store/statements.def"
#undef STATEMENT
	SQL_COUNT
};

/* What a group changes and a commit makes true. */
struct draft {
	uint64_t revision;
	int64_t keys, history, history_bytes;
	size_t leases;
};

struct journalled;
struct telemetry;
struct reader;

struct store {
	struct store_options options;
	char *path, *ballast_path;
	char engine[32];
	int folder_fd; /* flock'd: one store per folder */
	struct telemetry *telemetry;
	struct reader *reader;
	pthread_t thread;
	bool running;
	pthread_mutex_t callbacks; /* one callback at a time, from either thread */

	/* writer */
	sqlite3 *db;
	sqlite3_stmt *sql[SQL_COUNT];
	uint64_t revision, compacted;
	int64_t keys, history, history_bytes;
	struct draft draft;
	struct leases leases;
	struct store_watch *watches;
	uint64_t wall_ms;        /* when this group began */
	struct request *answers; /* done, and not yet told */
	size_t nanswers;
	size_t group;        /* how many requests the last one had */
	uint64_t commit_ns;  /* how long its commit took */
	bool wrote;          /* this group changed something */
	uint64_t commits;    /* that did */
	uint64_t commits_ns; /* how long they took together */
	bool ballast_held;   /* the ballast file has its full size */
	bool ballast_off;    /* this file system cannot reserve */
	struct co_err failure;
	uint8_t site_secret[16]; /* never changes */

	/* lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct request *queue;
	size_t queued, queued_bytes;
	size_t awaited; /* the writer is not woken for fewer */
	bool closing;
	struct journalled *journal;
	struct store_status status;

	atomic_uint nwatches;
};

/* ---- sql.c ---- */

/* An empty file that only its owner can read, unless there is a file already. */
int sql_create(const char *path, struct co_err *err);
int sql_open(sqlite3 **out, const char *path, const char *vfs, struct co_err *err);
int sql_exec(sqlite3 *db, const char *path, const char *text, struct co_err *err);
/* One number, e.g. of a PRAGMA. */
int sql_number(sqlite3 *db, const char *path, const char *text, int64_t *out,
	       struct co_err *err);
/* The status and the sentence of the last failure of db. */
int sql_failed(sqlite3 *db, const char *path, struct co_err *err);
/* Size of a database with its log. */
uint64_t sql_bytes(const char *path);
/* Runs a statement that returns no rows and resets it. */
int sql_run(struct store *s, enum statement which);
/* 1: a row, 0: none; the caller resets. */
int sql_step(struct store *s, enum statement which);
void sql_reset(struct store *s, enum statement which);
void sql_bind_key(sqlite3_stmt *stmt, int at, const char *key);
void sql_bind_blob(sqlite3_stmt *stmt, int at, const void *data, size_t size);
static inline void sql_bind(sqlite3_stmt *stmt, int at, uint64_t number)
{
	(void) sqlite3_bind_int64(stmt, at,
				  (sqlite3_int64) number); /* index is right */
}

/* ---- schema.c ---- */

struct store_migration {
	const char *database;
	int number;
	const char *file, *sql;
};

extern const struct store_migration store_migrations[]; /* ends with NULL */

/* Brings db to the newest number that this program knows. */
int schema_migrate(sqlite3 *db, const char *database, const char *path, uint32_t *out,
		   struct co_err *err);

/* ---- txn.c: inside a group; negative: the group must be rolled back ---- */

int txn_run(struct store *s, struct request *r);
int txn_list(struct store *s, struct request *r);
int txn_expire(struct store *s, struct request *r);
int txn_count(struct store *s, struct request *r);
int txn_revoke(struct store *s, struct request *r);
int txn_grant(struct store *s, struct request *r);
int txn_keepalive(struct store *s, struct request *r);
/* The first key behind all that begin with prefix, in out; NULL: there is no end.
 * CO_NO_MEMORY. */
int txn_prefix_end(struct arena *a, const char *prefix, char **out);
/* Copies the row a statement with the seven columns of kv stands on. */
int txn_item(sqlite3_stmt *stmt, struct arena *a, struct store_item *out);
/* One more event of r. */
int txn_note(struct store *s, struct request *r, const struct store_event *event);
/* Whether key begins with prefix. */
bool txn_matches(const char *key, const char *prefix);

/* ---- journal.c: what is in call_journal, in memory ---- */

int journal_load(struct store *s, struct co_err *err);
void journal_note(struct store *s, const struct store_journal *j); /* committed */
void journal_done(struct store *s);

/* ---- sites.c ---- */

int sites_load(struct store *s, struct co_err *err);
int sites_get(struct store *s, struct request *r);
int sites_put(struct store *s, struct request *r);

/* ---- writer.c ---- */

void *writer_main(void *store);
/* Hands r to the writer.  Takes r, also on failure. */
int writer_queue(struct store *s, struct request *r);
uint64_t writer_now(const struct store *s);
uint64_t writer_wall(const struct store *s);
void writer_answer(void *request); /* takes it */
void store_deliver(struct store *s, void (*callback)(void *arg), void *arg);
int writer_begin(struct store *s);
int writer_commit(struct store *s);
void writer_rollback(struct store *s);

/* ---- watch.c ---- */

void watch_attach(struct store *s, struct request *r);
void watch_publish(struct store *s, struct request *r);
void watch_detach_all(struct store *s);

/* ---- space.c ---- */

void space_init(struct store *s);
/* False: the ballast is spent and there is no room to put it back. */
bool space_restore(struct store *s);
void space_release(struct store *s);
/* Gives back all that can be given: history, free pages, the write-ahead log. */
void space_reclaim(struct store *s);
void space_tidy(struct store *s);
void space_trim_history(struct store *s); /* beyond the limits */
void space_compact(struct store *s, struct request *r);
void space_backup(struct store *s, struct request *r);

/* ---- reader.c ---- */

int reader_open(struct store *s, struct co_err *err);
void reader_close(struct store *s);
/* Hands r to the reader.  Takes r, also on failure. */
int reader_queue(struct store *s, struct request *r);

/* ---- telemetry.c ---- */

int telemetry_open(struct store *s, struct co_err *err);
void telemetry_close(struct store *s);
void telemetry_status(struct store *s, struct store_status *out);

#endif
