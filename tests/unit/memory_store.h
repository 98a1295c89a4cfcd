/* SPDX-License-Identifier: MIT */
/*
 * Transactions and lists of store/store.h in memory, with delays, failures and power cuts on
 * demand.  HOST.  A request takes effect when it is answered, which the posts of a fake host
 * do, in order.
 */
#ifndef CO_TESTS_MEMORY_STORE_H
#define CO_TESTS_MEMORY_STORE_H

#include "store/store.h"
#include "tests/unit/fake_host.h"

struct memory_item;
struct memory_request;

struct store {
	struct fake_host *fake;
	struct memory_item *items; /* sorted by key */
	struct memory_request *requests;
	uint64_t rev;
	bool hold;   /* answers wait for memory_store_release */
	bool mute;   /* commits, but the process dies before it hears of them */
	int refuse;  /* what requests answer at once */
	int fail;    /* what they answer later */
	size_t txns; /* requests taken */
};

void memory_store_init(struct store *store, struct fake_host *fake);
void memory_store_done(struct store *store);

/* Answers what is held, and no longer holds. */
void memory_store_release(struct store *store);

/* The process is gone: what waits is answered CO_GONE without any effect. */
void memory_store_cut(struct store *store);

/* The value of a key as a text; NULL: there is none. */
const char *memory_store_find(const struct store *store, const char *key);
size_t memory_store_count(const struct store *store, const char *prefix);

#endif
