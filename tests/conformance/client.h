/* SPDX-License-Identifier: MIT */
/*
 * A client of a store that waits for its answers.  HOST.  For tests; written against
 * store.h alone.
 */
#ifndef CO_TESTS_CLIENT_H
#define CO_TESTS_CLIENT_H

#include "store/store.h"

#include <co/limits.h>
#include <pthread.h>

enum { ANSWER_ITEMS = 64 };

struct answer_item {
	char key[1100];
	char value[128]; /* its beginning, NUL-terminated */
	size_t size;
	uint64_t create_rev, mod_rev, version, lease;
};

struct answer {
	pthread_mutex_t lock;
	pthread_cond_t there;
	bool done;
	int accepted; /* what the function returned; below only if it was 0 */
	int status;
	char reason[512];
	bool succeeded, more;
	uint64_t rev;
	size_t n; /* results or items */
	struct {
		uint64_t deleted;
		bool found;
	} ops[CO_LIMIT_STORE_TXN_OPS + 2];
	struct answer_item items[ANSWER_ITEMS];
};

/* Each returns its argument, filled.  A refusal shows as `accepted` and as `status`. */
struct answer *client_txn(struct answer *a, struct store *s,
			  const struct store_txn *txn);
struct answer *client_put(struct answer *a, struct store *s, const char *key,
			  const char *value);
struct answer *client_put_lease(struct answer *a, struct store *s, const char *key,
				const char *value, uint64_t lease);
struct answer *client_put_bytes(struct answer *a, struct store *s, const char *key,
				const void *value, size_t size);
struct answer *client_get(struct answer *a, struct store *s, const char *key);
struct answer *client_delete(struct answer *a, struct store *s, const char *key);
struct answer *client_delete_prefix(struct answer *a, struct store *s,
				    const char *prefix);
struct answer *client_list(struct answer *a, struct store *s, const char *prefix,
			   const char *after, size_t limit, uint64_t rev);
struct answer *client_grant(struct answer *a, struct store *s, uint64_t ttl_ms);
struct answer *client_keepalive(struct answer *a, struct store *s, uint64_t lease);
struct answer *client_revoke(struct answer *a, struct store *s, uint64_t lease);
struct answer *client_compact(struct answer *a, struct store *s, uint64_t rev);
struct answer *client_backup(struct answer *a, struct store *s, int fd);

/* For calls that the above do not wrap: begin, hand over client_done and a, then wait. */
void client_begin(struct answer *a);
void client_done(void *a, const struct store_result *result);
struct answer *client_wait(struct answer *a, int accepted);

/* What a watch was told. */
struct watched_event {
	enum store_event_kind kind;
	uint64_t rev, version;
	char key[64], value[64];
	size_t call; /* which callback, from 0 */
};

struct watched {
	pthread_mutex_t lock;
	pthread_cond_t more;
	size_t n, calls;
	struct watched_event events[512];
};

void watched_init(struct watched *w);
void watched_event(void *w, const struct store_event *events, size_t n);
/* Waits until there are n events; false after a minute. */
bool watched_wait(struct watched *w, size_t n);

/* Removes a folder that mkdtemp made, with the files in it. */
void folder_make(char *out, size_t room);
void folder_remove(const char *folder);

#endif
