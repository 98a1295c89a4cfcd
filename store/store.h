/* SPDX-License-Identifier: MIT */
/*
 * The store: etcd's data model in one process.  HOST.  The only owner of SQLite.
 *
 * One revision counter; keys with create and mod revision and version; compare-and-swap
 * transactions; leases; watches that resume; compaction.  Two files: state.db (nothing
 * acknowledged is ever lost) and telemetry.db (logs and error reports: safe against kill,
 * not against power loss; each table capped).
 *
 * Threads: every function may be called from any thread, never blocks on the disk, and
 * answers through a callback that runs on the store's own thread (options->deliver may
 * move it elsewhere).  Callbacks of one store run one at a time, in commit order.  Data
 * handed to a callback is valid until it returns.  A callback may call the store again,
 * but not store_close.  The events of a change are told before its `done`.
 * Requests are copied before a function returns; nothing of the caller's is kept.
 *
 * "Committed" means on the disk: fdatasync has returned.
 */
#ifndef CO_STORE_H
#define CO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct store;

struct store_options {
	const char *folder; /* must exist; state.db and telemetry.db go there */
	const char *vfs;    /* SQLite VFS; NULL is "unix-excl".  For fault tests */
	bool volatile_;     /* --ephemeral: no fsync at all */
	/* Monotonic; NULL is CLOCK_MONOTONIC.  For lease tests: looked at with each request. */
	uint64_t (*now_ms)(void *ctx);
	void *ctx;
	/* Milliseconds since the epoch; NULL is CLOCK_REALTIME.  For tests of expiry. */
	uint64_t (*wall_ms)(void *ctx);
	/* Runs callback(arg) somewhere else, in order; NULL: on the store's threads.  What
	 * was handed over before store_close returned may still run after it. */
	void (*deliver)(void *ctx, void (*callback)(void *arg), void *arg);
};

/*
 * Opens or creates, migrates with the numbered files of store/schema.  Blocking: called
 * before the loop runs.  CO_VERSION when a database is newer than this program, CO_BUSY
 * when another process has it, CO_CORRUPT, CO_NO_SPACE, CO_ACCESS, CO_IO; each with a
 * sentence that names the file.
 */
int store_open(struct store **out, const struct store_options *options,
	       struct co_err *err);

/* Finishes what is queued, closes, frees.  Blocking.  NULL is allowed; returns NULL. */
struct store *store_close(struct store *s);

/* ---- keys ---- */

struct store_item {
	const char *key; /* NUL-terminated, 1 to CO_LIMIT_STORE_KEY bytes */
	const void *value;
	size_t size;
	uint64_t create_rev, mod_rev,
		version;     /* version 1 is the first since created */
	uint64_t lease;      /* 0: none */
	uint64_t expires_ms; /* since the epoch; 0: never */
};

enum store_target {
	STORE_CMP_VERSION, /* 0: the key does not exist */
	STORE_CMP_CREATE,
	STORE_CMP_MOD,
	STORE_CMP_LEASE,
	STORE_CMP_VALUE
};

enum store_relation {
	STORE_EQUAL,
	STORE_NOT_EQUAL,
	STORE_LESS,
	STORE_GREATER,
	STORE_EQUAL_OR_ABSENT /* or the key does not exist */
};

struct store_cmp {
	const char *key;
	enum store_target target;
	enum store_relation relation;
	uint64_t number;   /* all targets but VALUE */
	const void *value; /* VALUE: compared as bytes, shorter is less */
	size_t size;
};

enum store_op_kind {
	STORE_PUT,           /* value, lease */
	STORE_DELETE,        /* one key; deleting nothing is no error */
	STORE_DELETE_PREFIX, /* key is the prefix; "" is everything */
	STORE_GET
};

struct store_op {
	enum store_op_kind kind;
	const char *key;
	const void *value;
	size_t size;
	uint64_t
		lease; /* PUT: 0 or a living lease, otherwise the txn fails CO_NOT_FOUND */
	/* PUT and DELETE: leaves no history.  Watches do not hear of it, it does not raise
	 * the revision, and a list as of an older revision has what is there now.  Always
	 * so for a key, or never. */
	bool brief;
	uint64_t
		expires_ms; /* PUT, brief: since the epoch; 0: never; STORE_KEEP_EXPIRY */
};

/* As it was. */
#define STORE_KEEP_EXPIRY UINT64_MAX

/*
 * Answers of guest calls, kept for exactly-once across a restart of the daemon: written
 * in the transaction of the effect, one row per slot, replaced by the next.
 */
struct store_journal {
	uint32_t slot;
	uint64_t session;
	uint64_t call;
	int64_t result;
};

struct store_txn {
	const struct store_cmp *cmps;
	size_t ncmps;
	const struct store_op *then; /* when all comparisons hold */
	size_t nthen;
	const struct store_op *otherwise;
	size_t notherwise;
	const struct store_journal *journal; /* NULL, or written if `then` was taken */
};

struct store_op_result {
	uint64_t deleted;       /* DELETE, DELETE_PREFIX */
	bool found;             /* GET, and PUT: was there before */
	struct store_item item; /* GET; PUT: as it is now; DELETE: as it was */
	uint64_t expired;       /* PUT: the version of what had expired there, or 0 */
};

struct store_result {
	int status;         /* 0; CO_NO_SPACE, CO_TOO_BIG, CO_NOT_FOUND, CO_TABLE_FULL,
			      * CO_CORRUPT, CO_NO_MEMORY, CO_IO, CO_GONE */
	const char *reason; /* a sentence if status < 0, otherwise "" */
	bool succeeded;     /* the comparisons held */
	uint64_t rev;       /* of this change, or the current one if nothing changed */
	const struct store_op_result *results; /* one per operation that ran */
	size_t nresults;
};

typedef void store_done(void *arg, const struct store_result *result);

/*
 * Atomic: all operations at one new revision, or none.  `done` runs exactly once, after
 * the commit; a transaction without changes does not raise the revision.
 * Returns 0 if accepted; CO_INVALID (key empty, too long; the same key put twice),
 * CO_TOO_BIG (CO_LIMIT_STORE_VALUE, _TXN_OPS), CO_BUSY (queue full), CO_NO_MEMORY,
 * CO_GONE (closing): then done is not called.
 */
int store_txn(struct store *s, const struct store_txn *txn, store_done *done,
	      void *arg);

/* Sugar over store_txn. */
int store_put(struct store *s, const char *key, const void *value, size_t size,
	      uint64_t lease, store_done *done, void *arg);
int store_delete(struct store *s, const char *key, store_done *done, void *arg);
int store_get(struct store *s, const char *key, store_done *done, void *arg);

struct store_list {
	int status;
	const char *reason;
	const struct store_item *items; /* sorted by key, bytewise */
	size_t nitems;
	uint64_t rev;     /* all items are as of this revision */
	bool more;        /* continue with after = the last key and rev = this rev */
	uint64_t next_ms; /* store_expire: when the next one expires; 0: none does */
};

typedef void store_list_done(void *arg, const struct store_list *list);

/*
 * Keys that begin with prefix and sort behind `after` (NULL: from the start), at most
 * limit (0: 1000; CO_LIMIT_STORE_LIST), as of revision rev (0: now).  A revision older
 * than the compacted one answers CO_GONE, one in the future CO_INVALID.
 */
int store_list(struct store *s, const char *prefix, const char *after, size_t limit,
	       uint64_t rev, store_list_done *done, void *arg);

/*
 * The same of what is committed now, on a thread of their own that waits for no writer:
 * everything acknowledged before is seen.  Their callbacks are in no order with others.  A
 * page ends after CO_LIMIT_STORE_PAGE_BYTES of values, too.  list->rev is not said.
 */
int store_read(struct store *s, const char *key, store_list_done *done, void *arg);
int store_scan(struct store *s, const char *prefix, const char *after, size_t limit,
	       store_list_done *done, void *arg);

/* ---- expiry ---- */

/*
 * What has expired is not there for anybody from that moment on.  This removes at most
 * `limit` of such keys for good and says which (without their values), whether there are
 * more, and when the next one expires.
 */
int store_expire(struct store *s, size_t limit, store_list_done *done, void *arg);

/* How many keys begin with prefix, expired or not, in order with changes: result->rev. */
int store_count(struct store *s, const char *prefix, store_done *done, void *arg);

/* ---- leases ---- */

/*
 * A lease of ttl_ms (at least 1).  Keys attached to it are deleted, in one revision, when
 * it lapses or is revoked.  Leases survive a restart and then have their full ttl again.
 * result->rev is the lease id (never 0).
 */
int store_lease_grant(struct store *s, uint64_t ttl_ms, store_done *done, void *arg);
/* CO_NOT_FOUND in the result when it has lapsed. */
int store_lease_keepalive(struct store *s, uint64_t lease, store_done *done, void *arg);
int store_lease_revoke(struct store *s, uint64_t lease, store_done *done, void *arg);

/* ---- watches ---- */

enum store_event_kind {
	STORE_EVENT_PUT,
	STORE_EVENT_DELETE,
	STORE_EVENT_RESYNC /* history from the revision asked for is compacted or the
			    * watcher was too slow: list again and prune what is not there.
			    * The watch goes on behind `rev`; events up to the revision of
			    * the list are known by then */
};

struct store_event {
	enum store_event_kind kind;
	uint64_t rev;
	struct store_item item; /* DELETE: key only */
};

struct store_watch;

/*
 * Events of keys that begin with prefix, from revision from_rev on (0: from now on), in
 * order, each exactly once, all of one revision in one call.  The callback runs after the
 * commit; *out is set before it first runs.  CO_TABLE_FULL beyond
 * CO_LIMIT_STORE_WATCHES.
 */
typedef void store_watch_event(void *arg, const struct store_event *events, size_t n);
int store_watch(struct store *s, struct store_watch **out, const char *prefix,
		uint64_t from_rev, store_watch_event *event, void *arg);

/* No event is delivered after it returned, except to itself.  Returns NULL.  May be called
 * after store_close, which tells watches nothing more. */
struct store_watch *store_unwatch(struct store_watch *watch);

/* ---- maintenance ---- */

/* Forgets history before rev (0: all); result->rev is the compacted revision. */
int store_compact(struct store *s, uint64_t rev, store_done *done, void *arg);

/* Writes a consistent copy of state.db to fd (a regular file, borrowed until done);
 * result->rev is its size in bytes. */
int store_backup(struct store *s, int fd, store_done *done, void *arg);

struct store_status {
	const char *engine; /* "sqlite 3.40.1" */
	const char *path;
	uint32_t schema, telemetry_schema;
	uint64_t revision, compacted, keys, leases;
	uint64_t bytes, telemetry_bytes;
	uint64_t
		telemetry_dropped; /* rows that the queue or the disk had no room for */
	uint64_t commits, requests; /* requests / commits is what grouping was worth */
	uint64_t commit_ns;         /* all commits together */
	uint64_t queued;            /* requests that wait for their commit */
};

/* Does not wait for the disk. */
void store_status(struct store *s, struct store_status *out);

struct store_caps {
	bool replicated;
	uint64_t lease_min_ms;
	uint64_t txn_ops_max, value_max;
	bool watch_history;
};

struct store_caps store_caps(struct store *s);

/* ---- exactly once ---- */

/* Blocking, for start-up: 1 and the result if that call is journalled, else 0. */
int store_journal_find(struct store *s, uint32_t slot, uint64_t session, uint64_t call,
		       int64_t *out_result);

/* ---- site tables: a cache, capped by limits.def ---- */

struct store_sites {
	const void *build_id; /* may be empty */
	size_t build_id_size;
	uint64_t digest[2];
	const void *rows; /* of any form; the store does not look into them */
	size_t size;
};

/* The secret of digests in this database, 16 bytes; constant while the store is open. */
const uint8_t *store_sites_secret(const struct store *s);

/* Once, like every answer: `rows` of that build-id and digest, NULL if there are none. */
typedef void store_sites_done(void *arg, const void *rows, size_t size);
int store_sites_get(struct store *s, const struct store_sites *key,
		    store_sites_done *done, void *arg);

/* Keeps them until newer ones need the room.  What cannot be written is not kept. */
int store_sites_put(struct store *s, const struct store_sites *sites);

/* ---- telemetry: best effort, never an error, capped by limits.def ---- */

struct store_log {
	uint64_t at_us, session;
	const char *level, *subsystem, *message;
};

struct store_error {
	uint64_t at_ns, session;
	int32_t pid, tid, code;
	bool reported; /* by report_error; otherwise recorded by a failing call */
	const char *component, *message;
	uint64_t origin; /* not 0: of this session, the same one is kept once */
};

void store_log(struct store *s, const struct store_log *entry);
void store_error(struct store *s, const struct store_error *entry);

/* Newest last, at most limit; session 0 is all.  `entry` runs once per row and finally
 * with NULL.  Reads see everything logged before, which by then outlives a kill -9. */
int store_logs(struct store *s, uint64_t session, uint32_t limit,
	       void (*entry)(void *arg, const struct store_log *log), void *arg);
int store_errors(struct store *s, uint32_t limit,
		 void (*entry)(void *arg, const struct store_error *error), void *arg);

#endif
