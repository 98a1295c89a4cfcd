/* SPDX-License-Identifier: MIT */
/* A store in memory for tests, with whole transactions.  HOST. */
#include "tests/unit/memory_store.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct memory_item {
	char *key, *value;
	size_t size;
	uint64_t mod_rev;
	struct memory_item *prev, *next;
};

struct memory_request {
	struct store *store;
	struct store_op *ops; /* copied */
	size_t nops;
	store_done *done;
	store_list_done *listed;
	char *prefix, *after;
	size_t limit;
	void *arg;
	struct memory_request *prev, *next;
};

static char *copy(const void *data, size_t n)
{
	char *out = malloc(n + 1);

	ck_assert_ptr_nonnull(out);
	if (n)
		memcpy(out, data, n);
	out[n] = '\0';
	return out;
}

void memory_store_init(struct store *store, struct fake_host *fake)
{
	*store = (struct store){ .fake = fake, .rev = 1 };
}

static struct memory_item *find(const struct store *store, const char *key)
{
	struct memory_item *item;

	DL_FOREACH (store->items, item)
		if (strcmp(item->key, key) == 0)
			return item;
	return NULL;
}

static void drop(struct store *store, struct memory_item *item)
{
	DL_DELETE(store->items, item);
	free(item->key);
	free(item->value);
	free(item);
}

void memory_store_done(struct store *store)
{
	ck_assert_ptr_null(store->requests);
	while (store->items)
		drop(store, store->items);
}

const char *memory_store_find(const struct store *store, const char *key)
{
	const struct memory_item *item = find(store, key);

	return item ? item->value : NULL;
}

size_t memory_store_count(const struct store *store, const char *prefix)
{
	const struct memory_item *item;
	size_t n = 0;

	DL_FOREACH (store->items, item)
		n += strncmp(item->key, prefix, strlen(prefix)) == 0;
	return n;
}

static int by_key(const struct memory_item *a, const struct memory_item *b)
{
	return strcmp(a->key, b->key);
}

static void put(struct store *store, const struct store_op *op)
{
	struct memory_item *item = find(store, op->key);

	if (!item) {
		item = calloc(1, sizeof(*item));
		ck_assert_ptr_nonnull(item);
		item->key = copy(op->key, strlen(op->key));
		DL_INSERT_INORDER(store->items, item, by_key);
	}
	free(item->value);
	item->value = copy(op->value, op->size);
	item->size = op->size;
	item->mod_rev = ++store->rev;
}

static void apply(struct store *store, const struct store_op *op,
		  struct store_op_result *out)
{
	struct memory_item *item = find(store, op->key);

	switch (op->kind) {
	case STORE_PUT:
		out->found = item != NULL;
		put(store, op);
		break;
	case STORE_DELETE:
		out->deleted = item != NULL;
		if (item)
			drop(store, item);
		break;
	case STORE_GET:
		out->found = item != NULL;
		if (item)
			out->item = (struct store_item){ .key = item->key,
							 .value = item->value,
							 .size = item->size };
		break;
	case STORE_DELETE_PREFIX:
		ck_abort_msg("not used here");
	}
}

static void answer_txn(struct memory_request *request, int status)
{
	struct store_result result = { .status = status, .reason = "the store fails" };
	struct store_op_result *results = calloc(request->nops, sizeof(*results));

	ck_assert_ptr_nonnull(results);
	if (status == 0) {
		for (size_t i = 0; i < request->nops; i++)
			apply(request->store, &request->ops[i], &results[i]);
		result.reason = "";
		result.succeeded = true;
		result.results = results;
		result.nresults = request->nops;
	}
	result.rev = request->store->rev;
	if (request->store->mute)
		result = (struct store_result){ .status = CO_GONE, .reason = "dead" };
	request->done(request->arg, &result);
	free(results);
}

static void answer_list(struct memory_request *request, int status)
{
	struct store *store = request->store;
	struct store_item items[1000];
	struct store_list list = {
		.status = status, .reason = "", .items = items, .rev = store->rev
	};
	struct memory_item *item;

	DL_FOREACH (store->items, item) {
		if (status ||
		    strncmp(item->key, request->prefix, strlen(request->prefix)) ||
		    strcmp(item->key, request->after) <= 0)
			continue;
		if (list.nitems == request->limit) {
			list.more = true;
			break;
		}
		items[list.nitems++] = (struct store_item){ .key = item->key,
							    .value = item->value,
							    .size = item->size };
	}
	request->listed(request->arg, &list);
}

static void finish(struct memory_request *request, int status)
{
	DL_DELETE(request->store->requests, request);
	if (request->listed)
		answer_list(request, status);
	else
		answer_txn(request, status);
	for (size_t i = 0; i < request->nops; i++) {
		free((char *) (uintptr_t) request->ops[i].key);
		free((char *) (uintptr_t) request->ops[i].value);
	}
	free(request->ops);
	free(request->prefix);
	free(request->after);
	free(request);
}

/* Each post answers the oldest; one that was cut leaves it without. */
static void turn(void *arg)
{
	struct store *store = arg;

	if (store->requests && !store->hold)
		finish(store->requests, store->fail);
}

static struct memory_request *submit(struct store *store, void *arg)
{
	struct memory_request *request = calloc(1, sizeof(*request));

	ck_assert_ptr_nonnull(request);
	request->store = store;
	request->arg = arg;
	DL_APPEND(store->requests, request);
	store->fake->host.post(store->fake->host.ctx, turn, store);
	return request;
}

void memory_store_release(struct store *store)
{
	struct memory_request *request;

	store->hold = false;
	DL_FOREACH (store->requests, request)
		store->fake->host.post(store->fake->host.ctx, turn, store);
}

void memory_store_cut(struct store *store)
{
	while (store->requests)
		finish(store->requests, CO_GONE);
}

int store_txn(struct store *s, const struct store_txn *txn, store_done *done, void *arg)
{
	struct memory_request *request;

	if (s->refuse)
		return s->refuse;
	ck_assert_uint_eq(txn->ncmps, 0);
	ck_assert_uint_le(txn->nthen, 128);
	s->txns++;
	request = submit(s, arg);
	request->done = done;
	request->nops = txn->nthen;
	request->ops = calloc(txn->nthen, sizeof(*request->ops));
	ck_assert_ptr_nonnull(request->ops);
	for (size_t i = 0; i < txn->nthen; i++) {
		request->ops[i] = txn->then[i];
		request->ops[i].key = copy(txn->then[i].key, strlen(txn->then[i].key));
		request->ops[i].value = copy(txn->then[i].value, txn->then[i].size);
		for (size_t k = 0; k < i; k++) /* as the store does */
			ck_assert_msg(txn->then[i].kind == STORE_GET ||
					      txn->then[k].kind == STORE_GET ||
					      strcmp(request->ops[i].key,
						     request->ops[k].key) != 0,
				      "%s is written twice", request->ops[i].key);
	}
	return 0;
}

int store_list(struct store *s, const char *prefix, const char *after, size_t limit,
	       uint64_t rev, store_list_done *done, void *arg)
{
	struct memory_request *request;

	(void) rev; /* nothing else happens between two pages */
	if (s->refuse)
		return s->refuse;
	ck_assert_uint_le(limit, 1000);
	request = submit(s, arg);
	request->listed = done;
	request->prefix = copy(prefix, strlen(prefix));
	request->after = copy(after ? after : "", after ? strlen(after) : 0);
	request->limit = limit;
	return 0;
}
