/* SPDX-License-Identifier: MIT */
/* A store in memory for tests.  HOST. */
#include "tests/unit/fake_store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct fake_request {
	struct store *store;
	/* transaction */
	store_done *done;
	bool has_cmp, has_journal;
	uint64_t cmp_rev;
	enum store_op_kind kind;
	char key[256];
	unsigned char value[4096];
	size_t size;
	struct store_journal journal;
	/* list */
	store_list_done *listed;
	char after[256];
	size_t limit;

	void *arg;
	struct fake_request *prev, *next;
};

void fake_store_init(struct store *store, struct fake_host *fake)
{
	*store = (struct store){ .fake = fake, .rev = 1 };
}

static void drop(struct store *store, struct fake_item *item)
{
	DL_DELETE(store->items, item);
	free(item);
}

void fake_store_done(struct store *store)
{
	ck_assert_ptr_null(store->requests);
	while (store->items)
		drop(store, store->items);
}

struct fake_item *fake_store_get(struct store *store, const char *key)
{
	struct fake_item *item;

	DL_FOREACH (store->items, item)
		if (strcmp(item->key, key) == 0)
			return item;
	return NULL;
}

size_t fake_store_count(struct store *store)
{
	struct fake_item *item;
	size_t n = 0;

	DL_COUNT(store->items, item, n);
	return n;
}

static int by_key(const struct fake_item *a, const struct fake_item *b)
{
	return strcmp(a->key, b->key);
}

void fake_store_put(struct store *store, const char *key, const void *value,
		    size_t size)
{
	struct fake_item *item = fake_store_get(store, key);

	ck_assert_uint_le(size, sizeof(item->value));
	if (!item) {
		item = calloc(1, sizeof(*item));
		ck_assert_ptr_nonnull(item);
		(void) snprintf(item->key, sizeof(item->key), "%s", key);
		DL_INSERT_INORDER(store->items, item, by_key);
	}
	memcpy(item->value, value, size);
	item->size = size;
	item->mod_rev = ++store->rev;
}

static void answer_txn(struct fake_request *request)
{
	struct store *store = request->store;
	struct fake_item *item = fake_store_get(store, request->key);
	struct store_result result = { .status = store->fail, .reason = "" };

	if (store->fail) {
		result.reason = "the fake store fails";
	} else if (request->has_cmp && (!item || item->mod_rev != request->cmp_rev)) {
		result.succeeded = false;
	} else {
		result.succeeded = true;
		if (request->kind == STORE_PUT) {
			fake_store_put(store, request->key, request->value,
				       request->size);
		} else if (item) {
			drop(store, item);
			store->rev++;
		}
		if (request->has_journal)
			store->journal = request->journal;
	}
	result.rev = store->rev;
	request->done(request->arg, &result);
}

static void answer_list(struct fake_request *request)
{
	struct store *store = request->store;
	struct store_item items[1000];
	struct store_list list = { .status = store->fail,
				   .reason = store->fail ? "the fake store fails" : "",
				   .items = items,
				   .rev = store->rev };
	struct fake_item *item;

	DL_FOREACH (store->items, item) {
		if (store->fail ||
		    strncmp(item->key, request->key, strlen(request->key)) ||
		    strcmp(item->key, request->after) <= 0)
			continue;
		if (list.nitems == request->limit) {
			list.more = true;
			break;
		}
		items[list.nitems++] = (struct store_item){ .key = item->key,
							    .value = item->value,
							    .size = item->size,
							    .mod_rev = item->mod_rev };
	}
	request->listed(request->arg, &list);
}

static void answer(void *arg)
{
	struct fake_request *request = arg;

	if (request->listed)
		answer_list(request);
	else
		answer_txn(request);
	free(request);
}

static struct fake_request *request_new(struct store *store, void *arg)
{
	struct fake_request *request = calloc(1, sizeof(*request));

	ck_assert_ptr_nonnull(request);
	request->store = store;
	request->arg = arg;
	return request;
}

static void submit(struct fake_request *request)
{
	struct store *store = request->store;

	if (store->hold)
		DL_APPEND(store->requests, request);
	else
		store->fake->host.post(store->fake->host.ctx, answer, request);
}

void fake_store_release(struct store *store)
{
	struct fake_request *request, *next;

	store->hold = false;
	DL_FOREACH_SAFE (store->requests, request, next) {
		DL_DELETE(store->requests, request);
		submit(request);
	}
}

int store_txn(struct store *s, const struct store_txn *txn, store_done *done, void *arg)
{
	struct fake_request *request;

	if (s->refuse)
		return s->refuse;
	ck_assert_uint_eq(txn->nthen, 1);
	ck_assert_uint_le(txn->ncmps, 1);
	s->txns++;
	request = request_new(s, arg);
	request->done = done;
	if (txn->ncmps) {
		ck_assert_int_eq(txn->cmps[0].target, STORE_CMP_MOD);
		ck_assert_int_eq(txn->cmps[0].relation, STORE_EQUAL);
		request->has_cmp = true;
		request->cmp_rev = txn->cmps[0].number;
	}
	request->kind = txn->then[0].kind;
	(void) snprintf(request->key, sizeof(request->key), "%s", txn->then[0].key);
	ck_assert_uint_le(txn->then[0].size, sizeof(request->value));
	if (txn->then[0].size)
		memcpy(request->value, txn->then[0].value, txn->then[0].size);
	request->size = txn->then[0].size;
	if (txn->journal) {
		request->has_journal = true;
		request->journal = *txn->journal;
	}
	submit(request);
	return 0;
}

int store_list(struct store *s, const char *prefix, const char *after, size_t limit,
	       uint64_t rev, store_list_done *done, void *arg)
{
	struct fake_request *request;

	(void) rev; /* nothing else happens between two pages */
	if (s->refuse)
		return s->refuse;
	ck_assert_uint_le(limit, 1000);
	request = request_new(s, arg);
	request->listed = done;
	(void) snprintf(request->key, sizeof(request->key), "%s", prefix);
	(void) snprintf(request->after, sizeof(request->after), "%s",
			after ? after : "");
	request->limit = limit;
	submit(request);
	return 0;
}
