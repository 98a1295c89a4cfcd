/* SPDX-License-Identifier: MIT */
/* A client of a store that waits for its answers.  HOST.  For tests. */
#include "tests/conformance/client.h"

#include "lib/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void client_begin(struct answer *a)
{
	memset(a, 0, sizeof(*a));
	(void) pthread_mutex_init(&a->lock, NULL); /* default attributes cannot fail */
	(void) pthread_cond_init(&a->there, NULL); /* the same */
}

static void copy_item(struct answer_item *to, const struct store_item *from)
{
	size_t shown =
		from->size < sizeof(to->value) - 1 ? from->size : sizeof(to->value) - 1;

	if (from->key)
		(void) snprintf(to->key, sizeof(to->key), "%s", from->key);
	if (shown)
		memcpy(to->value, from->value, shown);
	to->value[shown] = '\0';
	to->size = from->size;
	to->create_rev = from->create_rev;
	to->mod_rev = from->mod_rev;
	to->version = from->version;
	to->lease = from->lease;
}

static void finish(struct answer *a)
{
	(void) pthread_mutex_lock(&a->lock);
	a->done = true;
	(void) pthread_cond_signal(&a->there);
	(void) pthread_mutex_unlock(&a->lock);
}

void client_done(void *arg, const struct store_result *r)
{
	struct answer *a = arg;

	a->status = r->status;
	(void) snprintf(a->reason, sizeof(a->reason), "%s", r->reason);
	a->succeeded = r->succeeded;
	a->rev = r->rev;
	a->n = r->nresults;
	for (size_t i = 0; i < r->nresults; i++) {
		a->ops[i].deleted = r->results[i].deleted;
		a->ops[i].found = r->results[i].found;
		if (i < ANSWER_ITEMS)
			copy_item(&a->items[i], &r->results[i].item);
	}
	finish(a);
}

static void list_done(void *arg, const struct store_list *l)
{
	struct answer *a = arg;

	a->status = l->status;
	(void) snprintf(a->reason, sizeof(a->reason), "%s", l->reason);
	a->rev = l->rev;
	a->more = l->more;
	a->n = l->nitems;
	for (size_t i = 0; i < l->nitems && i < ANSWER_ITEMS; i++)
		copy_item(&a->items[i], &l->items[i]);
	finish(a);
}

struct answer *client_wait(struct answer *a, int accepted)
{
	if (accepted < 0) {
		a->accepted = a->status = accepted;
		return a;
	}
	(void) pthread_mutex_lock(&a->lock);
	while (!a->done)
		(void) pthread_cond_wait(&a->there, &a->lock);
	(void) pthread_mutex_unlock(&a->lock);
	return a;
}

#define ASK(a, call)                                                                   \
	do {                                                                           \
		client_begin(a);                                                       \
		return client_wait(a, call);                                           \
	} while (0)

struct answer *client_txn(struct answer *a, struct store *s,
			  const struct store_txn *txn)
{
	ASK(a, store_txn(s, txn, client_done, a));
}

struct answer *client_put(struct answer *a, struct store *s, const char *key,
			  const char *value)
{
	ASK(a, store_put(s, key, value, strlen(value), 0, client_done, a));
}

struct answer *client_put_lease(struct answer *a, struct store *s, const char *key,
				const char *value, uint64_t lease)
{
	ASK(a, store_put(s, key, value, strlen(value), lease, client_done, a));
}

struct answer *client_put_bytes(struct answer *a, struct store *s, const char *key,
				const void *value, size_t size)
{
	ASK(a, store_put(s, key, value, size, 0, client_done, a));
}

struct answer *client_get(struct answer *a, struct store *s, const char *key)
{
	ASK(a, store_get(s, key, client_done, a));
}

struct answer *client_delete(struct answer *a, struct store *s, const char *key)
{
	ASK(a, store_delete(s, key, client_done, a));
}

struct answer *client_delete_prefix(struct answer *a, struct store *s,
				    const char *prefix)
{
	struct store_op op = { .kind = STORE_DELETE_PREFIX, .key = prefix };
	struct store_txn txn = { .then = &op, .nthen = 1 };

	ASK(a, store_txn(s, &txn, client_done, a));
}

struct answer *client_list(struct answer *a, struct store *s, const char *prefix,
			   const char *after, size_t limit, uint64_t rev)
{
	ASK(a, store_list(s, prefix, after, limit, rev, list_done, a));
}

struct answer *client_grant(struct answer *a, struct store *s, uint64_t ttl_ms)
{
	ASK(a, store_lease_grant(s, ttl_ms, client_done, a));
}

struct answer *client_keepalive(struct answer *a, struct store *s, uint64_t lease)
{
	ASK(a, store_lease_keepalive(s, lease, client_done, a));
}

struct answer *client_revoke(struct answer *a, struct store *s, uint64_t lease)
{
	ASK(a, store_lease_revoke(s, lease, client_done, a));
}

struct answer *client_compact(struct answer *a, struct store *s, uint64_t rev)
{
	ASK(a, store_compact(s, rev, client_done, a));
}

struct answer *client_backup(struct answer *a, struct store *s, int fd)
{
	ASK(a, store_backup(s, fd, client_done, a));
}

void watched_init(struct watched *w)
{
	memset(w, 0, sizeof(*w));
	(void) pthread_mutex_init(&w->lock, NULL); /* default attributes cannot fail */
	(void) pthread_cond_init(&w->more, NULL);  /* the same */
}

void watched_event(void *arg, const struct store_event *events, size_t n)
{
	struct watched *w = arg;

	(void) pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < n && w->n < sizeof(w->events) / sizeof(w->events[0]);
	     i++) {
		struct watched_event *to = &w->events[w->n++];
		size_t shown = events[i].item.size < sizeof(to->value) - 1
				       ? events[i].item.size
				       : sizeof(to->value) - 1;

		to->kind = events[i].kind;
		to->rev = events[i].rev;
		to->version = events[i].item.version;
		to->call = w->calls;
		(void) snprintf(to->key, sizeof(to->key), "%s", events[i].item.key);
		if (shown)
			memcpy(to->value, events[i].item.value, shown);
	}
	w->calls++;
	(void) pthread_cond_broadcast(&w->more);
	(void) pthread_mutex_unlock(&w->lock);
}

bool watched_wait(struct watched *w, size_t n)
{
	struct timespec until;
	bool there;

	(void) clock_gettime(CLOCK_REALTIME, &until); /* always there */
	until.tv_sec += 60;
	(void) pthread_mutex_lock(&w->lock);
	while (w->n < n)
		if (pthread_cond_timedwait(&w->more, &w->lock, &until) != 0)
			break;
	there = w->n >= n;
	(void) pthread_mutex_unlock(&w->lock);
	return there;
}

void folder_make(char *out, size_t room)
{
	const char *tmp = getenv("TMPDIR");

	(void) snprintf(out, room, "%s/co-store-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(out)) {
		perror(out);
		exit(99);
	}
}

void folder_remove(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		(void) unlinkat(dirfd(dir), entry->d_name, 0); /* . and .. stay */
	if (dir)
		(void) closedir(dir); /* read only */
	(void) rmdir(folder);         /* a test's folder, seen when it stays */
}
