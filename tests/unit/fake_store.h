/* SPDX-License-Identifier: MIT */
/*
 * The few functions of store/store.h that the registry uses, in memory, with delays and
 * failures on demand.  HOST.  Answers come through the posts of a fake host, in order; a
 * request takes effect when it is answered.
 */
#ifndef CO_TESTS_FAKE_STORE_H
#define CO_TESTS_FAKE_STORE_H

#include "store/store.h"
#include "tests/unit/fake_host.h"

struct fake_item {
	char key[256];
	unsigned char value[4096];
	size_t size;
	uint64_t mod_rev;
	struct fake_item *prev, *next;
};

struct store {
	struct fake_host *fake;
	struct fake_item *items; /* sorted by key */
	uint64_t rev;
	bool hold;                    /* answers wait for fake_store_release */
	int refuse;                   /* what requests answer at once */
	int fail;                     /* what they answer later */
	size_t txns;                  /* requests taken */
	struct store_journal journal; /* the last one committed */
	struct fake_request *requests;
};

void fake_store_init(struct store *store, struct fake_host *fake);
void fake_store_done(struct store *store);

/* Answers what is held, and no longer holds. */
void fake_store_release(struct store *store);

void fake_store_put(struct store *store, const char *key, const void *value,
		    size_t size);
struct fake_item *fake_store_get(struct store *store, const char *key);
size_t fake_store_count(struct store *store);

#endif
