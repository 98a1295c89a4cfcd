/* SPDX-License-Identifier: MIT */
/*
 * Watches.  HOST.  The writer attaches them and hands them what each commit changed; they
 * are told wherever options->deliver runs callbacks.
 *
 * A watch outlives both its owner and the store as long as a delivery is on its way: it
 * counts references.  Whoever is too slow to take its changes loses those waiting and is
 * told to list again, at the revision at which it is told.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct store_watch {
	struct store_watch *prev, *next; /* the writer's list */
	char *prefix;
	uint64_t from;
	store_watch_event *event;
	void *arg;
	atomic_uint refs;

	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct store *store; /* NULL after store_close */
	bool dead;           /* nobody listens any more */
	bool telling;        /* its callback runs, on this thread: */
	pthread_t teller;
	uint64_t seen;  /* newest revision published to it, lost or not */
	size_t waiting; /* bytes on their way */
	bool lagging;   /* a RESYNC is on its way and nothing else until then */
};

struct delivery {
	struct store_watch *watch;
	struct request *source; /* keeps the items alive; NULL for RESYNC */
	size_t bytes, n;
	struct store_event events[];
};

static void watch_unref(struct store_watch *w)
{
	if (atomic_fetch_sub(&w->refs, 1) != 1)
		return;
	(void) pthread_mutex_destroy(&w->lock); /* nobody holds it */
	(void) pthread_cond_destroy(&w->idle);  /* nobody waits */
	free(w->prefix);
	free(w);
}

static struct store_watch *watch_new(struct store *s, const char *prefix, uint64_t from,
				     store_watch_event *event, void *arg)
{
	struct store_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->prefix = strdup(prefix);
	if (!w->prefix) {
		free(w);
		return NULL;
	}
	(void) pthread_mutex_init(&w->lock, NULL); /* default attributes cannot fail */
	(void) pthread_cond_init(&w->idle, NULL);  /* the same */
	atomic_init(&w->refs, 2);                  /* its owner and the writer */
	w->store = s;
	w->from = from;
	w->event = event;
	w->arg = arg;
	return w;
}

/* The writer never saw w, which may be NULL. */
static void abandon(struct store *s, struct store_watch *w)
{
	atomic_fetch_sub(&s->nwatches, 1);
	if (!w)
		return;
	atomic_store(&w->refs, 1);
	watch_unref(w);
}

int store_watch(struct store *s, struct store_watch **out, const char *prefix,
		uint64_t from_rev, store_watch_event *event, void *arg)
{
	struct store_watch *w;
	struct request *r;
	int status;

	if (!prefix || strnlen(prefix, CO_LIMIT_STORE_KEY + 1) > CO_LIMIT_STORE_KEY ||
	    from_rev > INT64_MAX)
		return CO_INVALID;
	if (atomic_fetch_add(&s->nwatches, 1) >= CO_LIMIT_STORE_WATCHES) {
		atomic_fetch_sub(&s->nwatches, 1);
		return CO_TABLE_FULL;
	}
	w = watch_new(s, prefix, from_rev, event, arg);
	r = request_new(REQUEST_WATCH, NULL, NULL);
	if (!w || !r) {
		request_unref(r);
		abandon(s, w);
		return CO_NO_MEMORY;
	}
	r->watch = w;
	*out = w; /* before the first event */
	status = writer_queue(s, r);
	if (status < 0) {
		*out = NULL;
		abandon(s, w);
	}
	return status;
}

struct store_watch *store_unwatch(struct store_watch *w)
{
	if (!w)
		return NULL;
	(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
	w->dead = true;
	while (w->telling && !pthread_equal(w->teller, pthread_self()))
		(void) pthread_cond_wait(&w->idle, &w->lock); /* woken is all we ask */
	if (w->store)
		atomic_fetch_sub(&w->store->nwatches, 1);
	w->store = NULL;
	(void) pthread_mutex_unlock(&w->lock); /* held */
	watch_unref(w);
	return NULL;
}

/* ---- telling ---- */

static void tell_events(struct store_watch *w, bool dead,
			const struct store_event *events, size_t n)
{
	if (dead)
		return;
	w->event(w->arg, events, n);
	(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
	w->telling = false;
	(void) pthread_cond_broadcast(&w->idle); /* cannot fail */
	(void) pthread_mutex_unlock(&w->lock);   /* held */
}

static void tell_changes(void *arg)
{
	struct delivery *d = arg;
	struct store_watch *w = d->watch;
	bool dead;

	(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
	dead = w->dead;
	w->waiting -= d->bytes;
	w->telling = !dead;
	w->teller = pthread_self();
	(void) pthread_mutex_unlock(&w->lock); /* held */
	tell_events(w, dead, d->events, d->n);
	request_unref(d->source);
	watch_unref(w);
	free(d);
}

static void tell_resync(void *arg)
{
	struct store_watch *w = arg;
	struct store_event event = { .kind = STORE_EVENT_RESYNC, .item.key = "" };
	bool dead;

	(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
	dead = w->dead;
	event.rev = w->seen;
	w->lagging = false;
	w->telling = !dead;
	w->teller = pthread_self();
	(void) pthread_mutex_unlock(&w->lock); /* held */
	tell_events(w, dead, &event, 1);
	watch_unref(w);
}

/* The watch has lost what it should have seen up to rev: a RESYNC, unless one is on its
 * way, which then says this revision. */
static void resync(struct store *s, struct store_watch *w, uint64_t rev)
{
	bool first;

	(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
	first = !w->lagging;
	w->seen = rev;
	w->lagging = true;
	(void) pthread_mutex_unlock(&w->lock); /* held */
	if (!first)
		return;
	atomic_fetch_add(&w->refs, 1);
	store_deliver(s, tell_resync, w);
}

/* True if these changes may wait for w; false: it loses them. */
static bool admit(struct store_watch *w, size_t bytes)
{
	bool ok;

	(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
	ok = !w->lagging &&
	     (!w->waiting || w->waiting + bytes <= CO_LIMIT_STORE_WATCH_BYTES);
	if (ok)
		w->waiting += bytes;
	(void) pthread_mutex_unlock(&w->lock); /* held */
	return ok;
}

/* Those of the events of one revision that w is after. */
static void publish_one(struct store *s, struct store_watch *w, struct request *r)
{
	const struct store_event *events = r->events;
	struct delivery *d;
	size_t hits = 0, bytes = 0;

	if (events[0].rev < w->from)
		return;
	for (size_t i = 0; i < r->nevents; i++)
		if (txn_matches(events[i].item.key, w->prefix)) {
			bytes += sizeof(*events) + events[i].item.size +
				 strlen(events[i].item.key);
			hits++;
		}
	if (!hits)
		return;
	d = calloc(1, sizeof(*d) + hits * sizeof(d->events[0]));
	if (!d || !admit(w, bytes)) {
		free(d);
		resync(s, w, events[0].rev);
		return;
	}
	for (size_t i = 0; i < r->nevents; i++)
		if (txn_matches(events[i].item.key, w->prefix))
			d->events[d->n++] = events[i];
	d->watch = w;
	d->bytes = bytes;
	d->source = r;
	atomic_fetch_add(&w->refs, 1);
	atomic_fetch_add(&r->refs, 1);
	store_deliver(s, tell_changes, d);
}

static bool is_dead(struct store_watch *w)
{
	bool dead;

	(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
	dead = w->dead;
	(void) pthread_mutex_unlock(&w->lock); /* held */
	return dead;
}

void watch_publish(struct store *s, struct request *r)
{
	struct store_watch *w, *next;

	if (!r->nevents)
		return;
	DL_FOREACH_SAFE (s->watches, w, next) {
		if (is_dead(w)) {
			DL_DELETE(s->watches, w);
			watch_unref(w);
			continue;
		}
		publish_one(s, w, r);
	}
}

static void sweep(struct store *s)
{
	struct store_watch *w, *next;

	DL_FOREACH_SAFE (s->watches, w, next)
		if (is_dead(w)) {
			DL_DELETE(s->watches, w);
			watch_unref(w);
		}
}

/* ---- attaching ---- */

/* The event the statement stands on, as one more of r. */
static int replay_event(struct store *s, struct request *r, uint64_t rev)
{
	struct store_event event = { .rev = rev };
	int status = txn_item(s->sql[SQL_REPLAY], &r->out, &event.item);

	if (status < 0)
		return status;
	event.kind = event.item.version ? STORE_EVENT_PUT : STORE_EVENT_DELETE;
	return txn_note(s, r, &event);
}

/* The next revision of the log in one piece; 1 while there are more. */
static int replay_revision(struct store *s, struct store_watch *w)
{
	sqlite3_stmt *q = s->sql[SQL_REPLAY];
	uint64_t rev = (uint64_t) sqlite3_column_int64(q, 3);
	struct request *r = request_new(REQUEST_WATCH, NULL, NULL);
	int got = r ? 1 : CO_NO_MEMORY;

	while (got == 1 && (uint64_t) sqlite3_column_int64(q, 3) == rev) {
		got = replay_event(s, r, rev);
		if (got == 0)
			got = sql_step(s, SQL_REPLAY);
	}
	if (got >= 0)
		publish_one(s, w, r);
	request_unref(r);
	return got;
}

void watch_attach(struct store *s, struct request *r)
{
	struct store_watch *w = r->watch;
	int got;

	sweep(s);
	DL_APPEND(s->watches, w);
	if (!w->from || w->from > s->revision)
		return;
	if (w->from < s->compacted) {
		resync(s, w, s->revision);
		return;
	}
	sql_bind(s->sql[SQL_REPLAY], 1, w->from);
	got = sql_step(s, SQL_REPLAY);
	while (got == 1)
		got = replay_revision(s, w);
	sql_reset(s, SQL_REPLAY);
	if (got < 0)
		resync(s, w, s->revision);
}

void watch_detach_all(struct store *s)
{
	struct store_watch *w, *next;

	DL_FOREACH_SAFE (s->watches, w, next) {
		DL_DELETE(s->watches, w);
		(void) pthread_mutex_lock(&w->lock); /* ours, never locked twice */
		w->store = NULL;
		(void) pthread_mutex_unlock(&w->lock); /* held */
		watch_unref(w);
	}
}
