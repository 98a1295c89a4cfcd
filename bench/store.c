/* SPDX-License-Identifier: MIT */
/*
 * bench-store: durable puts per second, one client and 64 in flight, against the same SQL
 * on bare SQLite in the same run.  HOST.  `make bench` runs it; one JSON line per row.
 *
 * Short rounds of both sides alternate; the ratio is the median over neighbouring rounds,
 * since the disk of a shared machine is not the same from one second to the next.
 */
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 41, ROUND_MS = 50, KEYS = 1000, VALUE = 128 };

enum { SQL_GET, SQL_PUT, SQL_EVENT, SQL_BEGIN, SQL_COMMIT, SQL_USED };

static const struct {
	const char *name, *text;
} every[] = {
#define STATEMENT(name, text) { #name, (text) },
#include "store/statements.def"
#undef STATEMENT
};

static char value[VALUE];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench-store: %s: %s\n", what, why);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void key_of(char *out, size_t room, unsigned n)
{
	(void) snprintf(out, room, "/bench/key/%06u", n % KEYS); /* always fits */
}

/* ---- bare SQLite: what the store would do if it were nothing ---- */

struct bare {
	sqlite3 *db;
	sqlite3_stmt *sql[SQL_USED];
	sqlite3_int64 rev;
	unsigned n;
};

static sqlite3_stmt *bare_prepare(struct bare *b, const char *name)
{
	sqlite3_stmt *stmt = NULL;

	for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++)
		if (strcmp(every[i].name, name) == 0 &&
		    sqlite3_prepare_v2(b->db, every[i].text, -1, &stmt, NULL) ==
			    SQLITE_OK)
			return stmt;
	die(name, sqlite3_errmsg(b->db));
	return NULL;
}

/* The store itself has made the database, so schema and layout are the same. */
static void bare_open(struct bare *b, const char *path)
{
	static const char *const names[] = { "GET", "PUT", "EVENT", "BEGIN", "COMMIT" };

	if (sqlite3_open_v2(path, &b->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    "unix-excl") != SQLITE_OK)
		die(path, sqlite3_errmsg(b->db));
	if (sqlite3_exec(
		    b->db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		    "PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY;"
		    "PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 8388608",
		    NULL, NULL, NULL) != SQLITE_OK)
		die(path, sqlite3_errmsg(b->db));
	for (size_t i = 0; i < SQL_USED; i++)
		b->sql[i] = bare_prepare(b, names[i]);
}

static void step(struct bare *b, int which)
{
	int rc = sqlite3_step(b->sql[which]);

	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		die("bare SQLite", sqlite3_errmsg(b->db));
	(void) sqlite3_reset(b->sql[which]); /* the step has told */
}

static void bare_put(struct bare *b, const char *key)
{
	sqlite3_stmt *get = b->sql[SQL_GET], *put = b->sql[SQL_PUT];
	sqlite3_stmt *event = b->sql[SQL_EVENT];
	int size = (int) strlen(key);
	sqlite3_int64 create, mod = 0, version = 0;
	char was[VALUE];
	bool found;

	b->rev++;
	create = b->rev;
	(void) sqlite3_bind_blob(get, 1, key, size, SQLITE_STATIC); /* index is right */
	found = sqlite3_step(get) == SQLITE_ROW;
	if (found) {
		memcpy(was, sqlite3_column_blob(get, 1), VALUE);
		create = sqlite3_column_int64(get, 2);
		mod = sqlite3_column_int64(get, 3);
		version = sqlite3_column_int64(get, 4);
	}
	(void) sqlite3_reset(get); /* the step has told */
	(void) sqlite3_bind_blob(put, 1, key, size, SQLITE_STATIC);
	(void) sqlite3_bind_blob(put, 2, value, VALUE, SQLITE_STATIC);
	(void) sqlite3_bind_int64(put, 3, create);
	(void) sqlite3_bind_int64(put, 4, b->rev);
	(void) sqlite3_bind_int64(put, 5, version + 1);
	(void) sqlite3_bind_int64(put, 6, 0);
	(void) sqlite3_bind_int64(put, 7, 0);
	step(b, SQL_PUT);
	(void) sqlite3_bind_int64(event, 1, b->rev);
	(void) sqlite3_bind_int64(event, 2, 0);
	(void) sqlite3_bind_blob(event, 3, key, size, SQLITE_STATIC);
	(void) sqlite3_bind_blob(event, 4, value, VALUE, SQLITE_STATIC);
	(void) sqlite3_bind_int64(event, 5, create);
	(void) sqlite3_bind_int64(event, 6, version + 1);
	(void) sqlite3_bind_int64(event, 7, 0);
	(void) sqlite3_bind_blob(event, 8, found ? was : NULL, VALUE, SQLITE_STATIC);
	(void) sqlite3_bind_int64(event, 9, found ? create : 0);
	(void) sqlite3_bind_int64(event, 10, mod);
	(void) sqlite3_bind_int64(event, 11, version);
	(void) sqlite3_bind_int64(event, 12, 0);
	step(b, SQL_EVENT);
}

static double bare_round(struct bare *b, unsigned batch)
{
	double start = now();
	unsigned long puts = 0;

	while (now() - start < ROUND_MS / 1e3) {
		step(b, SQL_BEGIN);
		for (unsigned i = 0; i < batch; i++, puts++) {
			char key[32];

			key_of(key, sizeof(key), b->n++);
			bare_put(b, key);
		}
		step(b, SQL_COMMIT);
	}
	return (double) puts / (now() - start);
}

static void bare_close(struct bare *b)
{
	for (size_t i = 0; i < SQL_USED; i++)
		(void) sqlite3_finalize(b->sql[i]); /* the steps have told */
	(void) sqlite3_close(b->db); /* nothing is wanted of it any more */
}

/* ---- the store: clients that put again as soon as they are answered ---- */

struct client {
	struct store *s;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned inflight, n;
	unsigned long acknowledged;
	double end;
	bool sleeps; /* the next put comes from another thread, which slept meanwhile */
};

static void answered(void *arg, const struct store_result *result);

/* With c->lock. */
static void put_next(struct client *c)
{
	char key[32];
	int status;

	key_of(key, sizeof(key), c->n++);
	c->inflight++;
	status = store_put(c->s, key, value, VALUE, 0, answered, c);
	if (status < 0)
		die("put", co_status_text(status));
}

static void answered(void *arg, const struct store_result *result)
{
	struct client *c = arg;

	if (result->status < 0)
		die("put", result->reason);
	(void) pthread_mutex_lock(&c->lock); /* put_next only queues */
	c->inflight--;
	c->acknowledged++;
	if (!c->sleeps && now() < c->end)
		put_next(c);
	if (!c->inflight)
		(void) pthread_cond_signal(&c->idle); /* cannot fail */
	(void) pthread_mutex_unlock(&c->lock);        /* held */
}

static double store_round(struct client *c, unsigned depth)
{
	double start = now();

	(void) pthread_mutex_lock(&c->lock); /* ours, never locked twice */
	c->acknowledged = 0;
	c->end = start + ROUND_MS / 1e3;
	do {
		for (unsigned i = 0; i < depth; i++)
			put_next(c);
		while (c->inflight)
			(void) pthread_cond_wait(&c->idle,
						 &c->lock); /* looked at again */
	} while (c->sleeps && now() < c->end);
	(void) pthread_mutex_unlock(&c->lock); /* held */
	return (double) c->acknowledged / (now() - start);
}

static struct store *open_store(const char *folder)
{
	struct store_options options = { .folder = folder };
	struct store *s = NULL;
	struct co_err err = { 0 };

	if (store_open(&s, &options, &err) < 0)
		die("cannot open the store", err.message);
	return s;
}

/* ---- */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static void row(const char *name, struct client *c, struct bare *b, unsigned depth,
		bool budgeted, const char *who)
{
	double ours[ROUNDS], base[ROUNDS], ratios[ROUNDS], ratio;

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 2)
			ours[i] = store_round(c, depth);
		base[i] = bare_round(b, depth);
		if (i % 2 == 0)
			ours[i] = store_round(c, depth);
		ratios[i] = ours[i] / base[i];
	}
	qsort(ours, ROUNDS, sizeof(ours[0]), ascending);
	qsort(base, ROUNDS, sizeof(base[0]), ascending);
	qsort(ratios, ROUNDS, sizeof(ratios[0]), ascending);
	ratio = ratios[ROUNDS / 2];
	printf("{\"name\":\"%s\",\"ours\":%.0f,\"base\":%.0f,\"ratio\":%.3f,"
	       "\"unit\":\"puts/s\",\"budget\":\"%s\",\"ok\":%s,"
	       "\"note\":\"durable puts of %d bytes; %s; base: bare SQLite, same SQL, VFS, "
	       "journal mode and batch of %u\"}\n",
	       name, ours[ROUNDS / 2], base[ROUNDS / 2], ratio,
	       budgeted ? "ratio >= 0.8" : "told",
	       !budgeted || ratio >= 0.8 ? "true" : "false", VALUE, who, depth);
	(void) fflush(stdout); /* a reader may want it now */
}

static void remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		(void) unlinkat(dirfd(dir), entry->d_name, 0); /* . and .. stay */
	if (dir)
		(void) closedir(dir); /* read only */
	(void) rmdir(folder);         /* seen when it stays */
}

static void make_folder(char *out, size_t room)
{
	const char *tmp = getenv("TMPDIR");

	(void) snprintf(out, room, "%s/co-bench-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(out))
		die(out, "cannot create it");
}

int main(void)
{
	char ours[256], base[256], path[300];
	struct client c = { .lock = PTHREAD_MUTEX_INITIALIZER,
			    .idle = PTHREAD_COND_INITIALIZER };
	struct bare b = { 0 };

	memset(value, 'v', sizeof(value));
	make_folder(ours, sizeof(ours));
	make_folder(base, sizeof(base));
	(void) store_close(open_store(base)); /* makes the schema; NULL */
	(void) snprintf(path, sizeof(path), "%s/state.db", base); /* fits */
	bare_open(&b, path);
	c.s = open_store(ours);
	row("store.put1", &c, &b, 1, true, "one client that puts again when answered");
	row("store.put64", &c, &b, 64, true, "64 clients that put again when answered");
	c.sleeps = true;
	row("store.put1_thread", &c, &b, 1, false,
	    "one client on a thread that sleeps until answered: two wake-ups per put");
	(void) store_close(c.s); /* NULL */
	bare_close(&b);
	remove_folder(ours);
	remove_folder(base);
	return 0;
}
