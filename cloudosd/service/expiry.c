/* SPDX-License-Identifier: MIT */
/* Sweeps expired keys.  HOST. */
#include "cloudosd/service/expiry.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

enum { STEP = 256, WATCHES = 4, AGAIN_MS = 1000 };

struct expiry {
	const struct co_host *host;
	struct store *store;
	struct co_timer *timer;
	uint64_t next_ms; /* 0: nothing expires */
	bool sweeping;
	struct {
		const char *prefix;
		void (*gone)(void *arg, const char *key, uint64_t version);
		void *arg;
	} watches[WATCHES];
};

static uint64_t wall_ms(const struct expiry *e)
{
	return e->host->wall_ns(e->host->ctx) / 1000000;
}

static void wait_for_next(struct expiry *e)
{
	uint64_t now = wall_ms(e), delay;

	if (!e->next_ms || e->sweeping)
		return;
	delay = e->next_ms > now ? e->next_ms - now : 0;
	e->host->timer_start(e->timer, delay < EXPIRY_LOOK_MS ? delay : EXPIRY_LOOK_MS);
}

static void tell(const struct expiry *e, const struct store_item *item)
{
	for (size_t i = 0; i < WATCHES && e->watches[i].prefix; i++) {
		size_t n = strlen(e->watches[i].prefix);

		if (strncmp(item->key, e->watches[i].prefix, n) == 0)
			e->watches[i].gone(e->watches[i].arg, item->key + n,
					   item->version);
	}
}

static void swept(void *arg, const struct store_list *list)
{
	struct expiry *e = arg;

	e->sweeping = false;
	for (size_t i = 0; list->status == 0 && i < list->nitems; i++)
		tell(e, &list->items[i]);
	if (list->status <
	    0) { /* a full disk: they are gone for everybody all the same */
		e->host->timer_start(e->timer, AGAIN_MS);
		return;
	}
	if (list->next_ms && (!e->next_ms || list->next_ms < e->next_ms))
		e->next_ms = list->next_ms; /* or one was put meanwhile */
	wait_for_next(e);
}

static void sweep(void *arg)
{
	struct expiry *e = arg;

	if (e->next_ms > wall_ms(e)) {
		wait_for_next(e);
		return;
	}
	e->next_ms = 0;
	e->sweeping = store_expire(e->store, STEP, swept, e) == 0;
	if (!e->sweeping)
		e->host->timer_start(e->timer, AGAIN_MS);
}

struct expiry *expiry_new(const struct co_host *host, struct store *store)
{
	struct expiry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->host = host;
	e->store = store;
	e->timer = host->timer_new(host->ctx, sweep, e);
	if (!e->timer)
		return expiry_free(e);
	sweep(e);
	return e;
}

struct expiry *expiry_free(struct expiry *e)
{
	if (!e)
		return NULL;
	if (e->timer)
		e->host->timer_free(e->timer);
	free(e);
	return NULL;
}

void expiry_watch(struct expiry *e, const char *prefix,
		  void (*gone)(void *arg, const char *key, uint64_t version), void *arg)
{
	for (size_t i = 0; i < WATCHES; i++) {
		if (e->watches[i].prefix)
			continue;
		e->watches[i].prefix = prefix;
		e->watches[i].gone = gone;
		e->watches[i].arg = arg;
		return;
	}
	abort(); /* more services than places: raise WATCHES */
}

void expiry_note(struct expiry *e, uint64_t at_ms)
{
	if (e->next_ms && e->next_ms <= at_ms)
		return;
	e->next_ms = at_ms;
	wait_for_next(e);
}
