/* SPDX-License-Identifier: MIT */
/*
 * What every engine of the store does, told through store.h alone.  HOST.
 * Called by the main() of each engine; see engine.h.
 */
#include "tests/conformance/client.h"
#include "tests/conformance/engine.h"

#include <co/limits.h>
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct store_engine *engine;
static struct store *s;
static struct answer a, b;
static struct watched w;
static atomic_ullong clock_ms;

static uint64_t test_clock(void *ctx)
{
	(void) ctx; /* there is one clock */
	return atomic_load(&clock_ms);
}

static const struct store_options options = { .now_ms = test_clock };

static void setup(void)
{
	atomic_store(&clock_ms, 1000000);
	s = engine->open(&options);
	watched_init(&w);
}

static void teardown(void)
{
	engine->destroy(s);
}

/* Moves the clock; the store looks at it with the request. */
static void pass_ms(uint64_t ms)
{
	atomic_fetch_add(&clock_ms, ms);
	client_get(&a, s, "any");
}

/* ---- keys ---- */

START_TEST(put_then_get_returns_the_value)
{
	client_put(&a, s, "k", "hello");
	ck_assert_int_eq(a.status, 0);
	ck_assert(!a.ops[0].found);
	client_get(&b, s, "k");
	ck_assert(b.ops[0].found);
	ck_assert_str_eq(b.items[0].key, "k");
	ck_assert_str_eq(b.items[0].value, "hello");
	ck_assert_uint_eq(b.items[0].create_rev, a.rev);
	ck_assert_uint_eq(b.items[0].mod_rev, a.rev);
	ck_assert_uint_eq(b.items[0].version, 1);
	ck_assert_uint_eq(b.items[0].lease, 0);
}
END_TEST

START_TEST(get_of_a_missing_key_finds_nothing)
{
	client_get(&a, s, "missing");
	ck_assert_int_eq(a.status, 0);
	ck_assert(!a.ops[0].found);
	ck_assert_uint_eq(a.items[0].version, 0);
}
END_TEST

START_TEST(each_put_raises_revision_and_version)
{
	uint64_t created;

	client_put(&a, s, "k", "one");
	created = a.rev;
	client_put(&b, s, "k", "two");
	ck_assert_uint_eq(b.rev, created + 1);
	ck_assert(b.ops[0].found);
	client_get(&a, s, "k");
	ck_assert_uint_eq(a.items[0].version, 2);
	ck_assert_uint_eq(a.items[0].create_rev, created);
	ck_assert_uint_eq(a.items[0].mod_rev, created + 1);
}
END_TEST

START_TEST(delete_removes_and_version_begins_again)
{
	client_put(&a, s, "k", "one");
	client_delete(&a, s, "k");
	ck_assert_uint_eq(a.ops[0].deleted, 1);
	client_get(&b, s, "k");
	ck_assert(!b.ops[0].found);
	client_put(&b, s, "k", "two");
	client_get(&b, s, "k");
	ck_assert_uint_eq(b.items[0].version, 1);
	ck_assert_uint_eq(b.items[0].create_rev, a.rev + 1);
}
END_TEST

START_TEST(deleting_nothing_keeps_the_revision)
{
	uint64_t before = client_put(&a, s, "k", "v")->rev;

	client_delete(&a, s, "other");
	ck_assert_int_eq(a.status, 0);
	ck_assert_uint_eq(a.ops[0].deleted, 0);
	ck_assert_uint_eq(a.rev, before);
	ck_assert_uint_eq(client_put(&a, s, "k", "w")->rev, before + 1);
}
END_TEST

START_TEST(delete_prefix_removes_only_what_begins_with_it)
{
	uint64_t rev;

	client_put(&a, s, "a/1", "x");
	client_put(&a, s, "a/2", "x");
	client_put(&a, s, "a", "x");
	rev = client_put(&a, s, "b/1", "x")->rev;
	client_delete_prefix(&a, s, "a/");
	ck_assert_uint_eq(a.ops[0].deleted, 2);
	ck_assert_uint_eq(a.rev, rev + 1);
	client_list(&b, s, "", NULL, 0, 0);
	ck_assert_uint_eq(b.n, 2);
	ck_assert_str_eq(b.items[0].key, "a");
	ck_assert_str_eq(b.items[1].key, "b/1");
	client_delete_prefix(&a, s, "");
	ck_assert_uint_eq(a.ops[0].deleted, 2);
}
END_TEST

START_TEST(values_keep_zero_bytes_and_may_be_empty)
{
	client_put_bytes(&a, s, "k", "a\0b", 3);
	client_put_bytes(&a, s, "e", NULL, 0);
	client_get(&b, s, "k");
	ck_assert_uint_eq(b.items[0].size, 3);
	ck_assert_int_eq(memcmp(b.items[0].value, "a\0b", 3), 0);
	client_get(&b, s, "e");
	ck_assert(b.ops[0].found);
	ck_assert_uint_eq(b.items[0].size, 0);
}
END_TEST

START_TEST(keys_outlive_a_restart_with_their_revisions)
{
	client_put(&a, s, "k", "one");
	client_put(&a, s, "k", "two");
	s = engine->reopen(s, &options);
	client_get(&b, s, "k");
	ck_assert_str_eq(b.items[0].value, "two");
	ck_assert_uint_eq(b.items[0].version, 2);
	ck_assert_uint_eq(b.items[0].mod_rev, a.rev);
	ck_assert_uint_eq(client_put(&b, s, "k", "three")->rev, a.rev + 1);
}
END_TEST

/* ---- lists ---- */

START_TEST(list_is_sorted_bytewise_and_paged)
{
	client_put(&a, s, "p/b", "2");
	client_put(&a, s, "p/a", "1");
	client_put(&a, s, "p/\xc3\xa4", "4");
	client_put(&a, s, "p/c", "3");
	client_put(&a, s, "q", "x");
	client_list(&b, s, "p/", NULL, 2, 0);
	ck_assert_uint_eq(b.n, 2);
	ck_assert(b.more);
	ck_assert_uint_eq(b.rev, a.rev);
	ck_assert_str_eq(b.items[0].key, "p/a");
	ck_assert_str_eq(b.items[1].key, "p/b");
	client_list(&a, s, "p/", "p/b", 2, b.rev);
	ck_assert_uint_eq(a.n, 2);
	ck_assert(!a.more);
	ck_assert_str_eq(a.items[0].key, "p/c");
	ck_assert_str_eq(a.items[1].key, "p/\xc3\xa4");
}
END_TEST

START_TEST(list_of_an_old_revision_shows_the_past)
{
	uint64_t then;

	client_put(&a, s, "changed", "old");
	client_put(&a, s, "deleted", "old");
	then = client_put(&a, s, "same", "old")->rev;
	client_put(&a, s, "changed", "new");
	client_put(&a, s, "changed", "newer");
	client_delete(&a, s, "deleted");
	client_put(&a, s, "deleted", "again");
	client_put(&a, s, "added", "new");
	client_list(&b, s, "", NULL, 0, then);
	ck_assert_int_eq(b.status, 0);
	ck_assert_uint_eq(b.rev, then);
	ck_assert_uint_eq(b.n, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_str_eq(b.items[i].value, "old");
		ck_assert_uint_eq(b.items[i].version, 1);
	}
	ck_assert_str_eq(b.items[0].key, "changed");
	ck_assert_str_eq(b.items[1].key, "deleted");
	ck_assert_str_eq(b.items[2].key, "same");
	client_list(&b, s, "", "changed", 1, then);
	ck_assert_str_eq(b.items[0].key, "deleted");
	ck_assert(b.more);
}
END_TEST

START_TEST(list_before_the_compacted_revision_is_gone)
{
	uint64_t first = client_put(&a, s, "k", "1")->rev;

	client_put(&a, s, "k", "2");
	client_put(&a, s, "k", "3");
	client_compact(&b, s, first + 1);
	ck_assert_int_eq(b.status, 0);
	ck_assert_uint_eq(b.rev, first + 1);
	client_list(&b, s, "", NULL, 0, first);
	ck_assert_int_eq(b.status, CO_GONE);
	ck_assert_ptr_nonnull(strstr(b.reason, "compacted"));
	client_list(&b, s, "", NULL, 0, first + 1);
	ck_assert_int_eq(b.status, 0);
	ck_assert_str_eq(b.items[0].value, "2");
}
END_TEST

START_TEST(list_of_a_future_revision_is_refused)
{
	client_put(&a, s, "k", "1");
	client_list(&b, s, "", NULL, 0, a.rev + 1);
	ck_assert_int_eq(b.status, CO_INVALID);
}
END_TEST

/* ---- transactions ---- */

static struct answer *guarded_put(struct store_cmp cmp, const char *key, const char *value)
{
	struct store_op put = { .kind = STORE_PUT, .key = key, .value = value,
				.size = strlen(value) };
	struct store_op get = { .kind = STORE_GET, .key = key };
	struct store_txn txn = { .cmps = &cmp, .ncmps = 1, .then = &put, .nthen = 1,
				 .otherwise = &get, .notherwise = 1 };

	return client_txn(&a, s, &txn);
}

START_TEST(put_with_stale_version_conflicts)
{
	struct store_cmp cmp = { .key = "k", .target = STORE_CMP_VERSION, .number = 1 };

	client_put(&a, s, "k", "one");
	guarded_put(cmp, "k", "two");
	ck_assert(a.succeeded);
	guarded_put(cmp, "k", "three");
	ck_assert(!a.succeeded);
	ck_assert_int_eq(a.status, 0);
	ck_assert_str_eq(a.items[0].value, "two");
	ck_assert_uint_eq(a.items[0].version, 2);
}
END_TEST

START_TEST(version_zero_means_create_only)
{
	struct store_cmp cmp = { .key = "k", .target = STORE_CMP_VERSION, .number = 0 };

	guarded_put(cmp, "k", "one");
	ck_assert(a.succeeded);
	guarded_put(cmp, "k", "two");
	ck_assert(!a.succeeded);
}
END_TEST

START_TEST(every_target_and_relation_compares)
{
	static const struct {
		struct store_cmp cmp;
		bool holds;
	} cases[] = {
		{ { "k", STORE_CMP_VERSION, STORE_EQUAL, 2, NULL, 0 }, true },
		{ { "k", STORE_CMP_VERSION, STORE_NOT_EQUAL, 2, NULL, 0 }, false },
		{ { "k", STORE_CMP_VERSION, STORE_LESS, 3, NULL, 0 }, true },
		{ { "k", STORE_CMP_VERSION, STORE_LESS, 2, NULL, 0 }, false },
		{ { "k", STORE_CMP_VERSION, STORE_GREATER, 1, NULL, 0 }, true },
		{ { "k", STORE_CMP_VERSION, STORE_GREATER, 2, NULL, 0 }, false },
		{ { "k", STORE_CMP_CREATE, STORE_EQUAL, 1, NULL, 0 }, true },
		{ { "k", STORE_CMP_MOD, STORE_EQUAL, 2, NULL, 0 }, true },
		{ { "k", STORE_CMP_MOD, STORE_EQUAL, 1, NULL, 0 }, false },
		{ { "k", STORE_CMP_LEASE, STORE_EQUAL, 0, NULL, 0 }, true },
		{ { "k", STORE_CMP_LEASE, STORE_GREATER, 0, NULL, 0 }, false },
		{ { "k", STORE_CMP_VALUE, STORE_EQUAL, 0, "bb", 2 }, true },
		{ { "k", STORE_CMP_VALUE, STORE_EQUAL, 0, "b", 1 }, false },
		{ { "k", STORE_CMP_VALUE, STORE_GREATER, 0, "b", 1 }, true },
		{ { "k", STORE_CMP_VALUE, STORE_LESS, 0, "bbb", 3 }, true },
		{ { "k", STORE_CMP_VALUE, STORE_GREATER, 0, "a\xff", 2 }, true },
		{ { "k", STORE_CMP_VALUE, STORE_LESS, 0, "\xff", 1 }, true },
		{ { "none", STORE_CMP_VERSION, STORE_EQUAL, 0, NULL, 0 }, true },
		{ { "none", STORE_CMP_VALUE, STORE_EQUAL, 0, NULL, 0 }, false },
		{ { "none", STORE_CMP_VALUE, STORE_NOT_EQUAL, 0, "x", 1 }, true },
		{ { "none", STORE_CMP_VALUE, STORE_LESS, 0, "x", 1 }, false },
	};

	client_put(&a, s, "k", "aa");
	client_put(&a, s, "k", "bb");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_txn txn = { .cmps = &cases[i].cmp, .ncmps = 1 };

		client_txn(&a, s, &txn);
		ck_assert_msg(a.succeeded == cases[i].holds, "comparison %zu", i);
	}
}
END_TEST

START_TEST(all_comparisons_must_hold)
{
	struct store_cmp cmps[] = {
		{ .key = "a", .target = STORE_CMP_VERSION, .number = 1 },
		{ .key = "b", .target = STORE_CMP_VERSION, .number = 1 },
	};
	struct store_op put = { .kind = STORE_PUT, .key = "c", .value = "x", .size = 1 };
	struct store_txn txn = { .cmps = cmps, .ncmps = 2, .then = &put, .nthen = 1 };
	uint64_t rev = client_put(&a, s, "a", "x")->rev;

	client_txn(&a, s, &txn);
	ck_assert(!a.succeeded);
	ck_assert_uint_eq(a.rev, rev);
	client_put(&a, s, "b", "x");
	client_txn(&a, s, &txn);
	ck_assert(a.succeeded);
	ck_assert(client_get(&a, s, "c")->ops[0].found);
}
END_TEST

START_TEST(operations_share_a_revision_and_see_each_other)
{
	struct store_op ops[] = {
		{ .kind = STORE_PUT, .key = "x", .value = "1", .size = 1 },
		{ .kind = STORE_GET, .key = "x" },
		{ .kind = STORE_PUT, .key = "y", .value = "2", .size = 1 },
		{ .kind = STORE_DELETE, .key = "x" },
		{ .kind = STORE_GET, .key = "x" },
	};
	struct store_txn txn = { .then = ops, .nthen = 5 };
	uint64_t before = client_put(&a, s, "y", "0")->rev;

	client_txn(&a, s, &txn);
	ck_assert_int_eq(a.status, 0);
	ck_assert_uint_eq(a.n, 5);
	ck_assert_uint_eq(a.rev, before + 1);
	ck_assert_str_eq(a.items[1].value, "1");
	ck_assert_uint_eq(a.items[1].mod_rev, before + 1);
	ck_assert(a.ops[2].found);
	ck_assert_uint_eq(a.ops[3].deleted, 1);
	ck_assert(!a.ops[4].found);
	client_list(&b, s, "", NULL, 0, before);
	ck_assert_uint_eq(b.n, 1);
	ck_assert_str_eq(b.items[0].value, "0");
}
END_TEST

START_TEST(a_refused_transaction_changes_nothing)
{
	struct store_op ops[] = {
		{ .kind = STORE_PUT, .key = "x", .value = "1", .size = 1 },
		{ .kind = STORE_PUT, .key = "y", .value = "1", .size = 1, .lease = 77 },
	};
	struct store_txn txn = { .then = ops, .nthen = 2 };

	client_txn(&a, s, &txn);
	ck_assert_int_eq(a.status, CO_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(a.reason, "77"));
	ck_assert(!client_get(&a, s, "x")->ops[0].found);
}
END_TEST

START_TEST(journalled_answers_come_with_their_effect)
{
	struct store_cmp fresh = { .key = "k", .target = STORE_CMP_VERSION, .number = 0 };
	struct store_op put = { .kind = STORE_PUT, .key = "k", .value = "1", .size = 1 };
	struct store_journal first = { .slot = 3, .session = 9, .call = 1, .result = -2006 };
	struct store_journal second = { .slot = 3, .session = 9, .call = 2, .result = 5 };
	struct store_txn txn = { .cmps = &fresh, .ncmps = 1, .then = &put, .nthen = 1,
				 .journal = &first };
	int64_t result = 0;

	ck_assert(client_txn(&a, s, &txn)->succeeded);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 1, &result), 1);
	ck_assert_int_eq(result, -2006);
	txn.journal = &second;
	ck_assert(!client_txn(&a, s, &txn)->succeeded);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 2, &result), 0);
	s = engine->reopen(s, &options);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 1, &result), 1);
	txn.ncmps = 0;
	client_txn(&a, s, &txn);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 1, &result), 0);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 2, &result), 1);
	ck_assert_int_eq(result, 5);
	ck_assert_int_eq(store_journal_find(s, 3, 8, 2, &result), 0);
}
END_TEST

/* ---- limits ---- */

START_TEST(bad_keys_are_refused)
{
	char key[CO_LIMIT_STORE_KEY + 2];

	memset(key, 'k', sizeof(key));
	key[CO_LIMIT_STORE_KEY + 1] = '\0';
	ck_assert_int_eq(client_put(&a, s, "", "x")->accepted, CO_INVALID);
	ck_assert_int_eq(client_put(&a, s, key, "x")->accepted, CO_INVALID);
	ck_assert_int_eq(client_get(&a, s, key)->accepted, CO_INVALID);
	ck_assert_int_eq(store_get(s, NULL, client_done, &a), CO_INVALID);
	key[CO_LIMIT_STORE_KEY] = '\0';
	ck_assert_int_eq(client_put(&a, s, key, "x")->status, 0);
	ck_assert_str_eq(client_get(&a, s, key)->items[0].key, key);
}
END_TEST

START_TEST(a_value_has_a_largest_size)
{
	char *value = calloc(1, CO_LIMIT_STORE_VALUE + 1);

	client_put_bytes(&a, s, "k", value, CO_LIMIT_STORE_VALUE + 1);
	ck_assert_int_eq(a.accepted, CO_TOO_BIG);
	client_put_bytes(&a, s, "k", value, CO_LIMIT_STORE_VALUE);
	ck_assert_int_eq(a.status, 0);
	ck_assert_uint_eq(client_get(&a, s, "k")->items[0].size, CO_LIMIT_STORE_VALUE);
	free(value);
}
END_TEST

START_TEST(a_transaction_has_a_largest_size)
{
	struct store_op ops[CO_LIMIT_STORE_TXN_OPS + 1];
	char keys[CO_LIMIT_STORE_TXN_OPS + 1][8];
	struct store_cmp cmp = { .key = "k", .target = STORE_CMP_VERSION };
	struct store_txn txn = { .then = ops, .nthen = CO_LIMIT_STORE_TXN_OPS + 1 };

	for (size_t i = 0; i < CO_LIMIT_STORE_TXN_OPS + 1; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		ops[i] = (struct store_op){ .kind = STORE_PUT, .key = keys[i],
					    .value = "x", .size = 1 };
	}
	ck_assert_int_eq(client_txn(&a, s, &txn)->accepted, CO_TOO_BIG);
	txn.nthen--;
	ck_assert_int_eq(client_txn(&a, s, &txn)->status, 0);
	ck_assert_uint_eq(a.n, CO_LIMIT_STORE_TXN_OPS);
	txn.cmps = &cmp;
	txn.ncmps = 1;
	ck_assert_int_eq(client_txn(&a, s, &txn)->accepted, CO_TOO_BIG);
}
END_TEST

START_TEST(the_same_key_put_twice_is_refused)
{
	struct store_op ops[] = {
		{ .kind = STORE_PUT, .key = "x", .value = "1", .size = 1 },
		{ .kind = STORE_PUT, .key = "x", .value = "2", .size = 1 },
	};
	struct store_txn txn = { .then = ops, .nthen = 2 };

	ck_assert_int_eq(client_txn(&a, s, &txn)->accepted, CO_INVALID);
}
END_TEST

/* ---- leases ---- */

START_TEST(keys_go_with_their_lease)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev, rev;

	ck_assert_uint_ne(lease, 0);
	client_put_lease(&a, s, "l/1", "x", lease);
	rev = client_put_lease(&a, s, "l/2", "x", lease)->rev;
	client_put(&a, s, "l/3", "x");
	ck_assert_uint_eq(client_get(&a, s, "l/1")->items[0].lease, lease);
	pass_ms(4999);
	client_list(&b, s, "l/", NULL, 0, 0);
	ck_assert_uint_eq(b.n, 3);
	pass_ms(1);
	client_list(&b, s, "l/", NULL, 0, 0);
	ck_assert_uint_eq(b.n, 1);
	ck_assert_uint_eq(b.rev, rev + 2);
	ck_assert_int_eq(client_put_lease(&a, s, "l/4", "x", lease)->status, CO_NOT_FOUND);
	ck_assert_int_eq(client_keepalive(&a, s, lease)->status, CO_NOT_FOUND);
}
END_TEST

START_TEST(a_lease_kept_alive_does_not_lapse)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	for (int i = 0; i < 5; i++) {
		pass_ms(4000);
		ck_assert_int_eq(client_keepalive(&a, s, lease)->status, 0);
	}
	ck_assert(client_get(&a, s, "k")->ops[0].found);
	pass_ms(5000);
	ck_assert(!client_get(&a, s, "k")->ops[0].found);
}
END_TEST

START_TEST(revoking_deletes_at_once)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	ck_assert_int_eq(client_revoke(&a, s, lease)->status, 0);
	ck_assert(!client_get(&a, s, "k")->ops[0].found);
	ck_assert_int_eq(client_revoke(&a, s, lease)->status, CO_NOT_FOUND);
}
END_TEST

START_TEST(a_put_without_the_lease_leaves_it)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	client_put(&a, s, "k", "y");
	ck_assert_int_eq(client_revoke(&a, s, lease)->status, 0);
	ck_assert(client_get(&a, s, "k")->ops[0].found);
}
END_TEST

START_TEST(leases_outlive_a_restart_with_their_full_ttl)
{
	uint64_t lease = client_grant(&a, s, 5000)->rev;

	client_put_lease(&a, s, "k", "x", lease);
	pass_ms(4000);
	s = engine->reopen(s, &options);
	pass_ms(4000);
	ck_assert(client_get(&a, s, "k")->ops[0].found);
	pass_ms(1000);
	ck_assert(!client_get(&a, s, "k")->ops[0].found);
	ck_assert_uint_gt(client_grant(&a, s, 5000)->rev, lease);
}
END_TEST

START_TEST(the_earliest_of_many_leases_lapses_first)
{
	uint64_t leases[64];
	char key[16];

	for (uint64_t i = 0; i < 64; i++) {
		leases[i] = client_grant(&a, s, 1000 + (i * 37 % 64) * 100)->rev;
		snprintf(key, sizeof(key), "%04llu", (unsigned long long) (i * 37 % 64));
		client_put_lease(&a, s, key, "x", leases[i]);
	}
	for (size_t left = 64; left > 0; left--) {
		pass_ms(left == 64 ? 1000 : 100);
		client_list(&b, s, "", NULL, 0, 0);
		ck_assert_uint_eq(b.n, left - 1);
		snprintf(key, sizeof(key), "%04zu", 65 - left);
		if (b.n)
			ck_assert_str_eq(b.items[0].key, key);
	}
}
END_TEST

/* ---- watches ---- */

START_TEST(a_watch_tells_what_follows_it)
{
	struct store_watch *watch = NULL;

	client_put(&a, s, "p/old", "x");
	ck_assert_int_eq(store_watch(s, &watch, "p/", 0, watched_event, &w), 0);
	client_put(&a, s, "p/1", "one");
	client_put(&b, s, "q/1", "unseen");
	client_delete(&b, s, "p/1");
	ck_assert(watched_wait(&w, 2));
	ck_assert_uint_eq(w.n, 2);
	ck_assert_int_eq(w.events[0].kind, STORE_EVENT_PUT);
	ck_assert_str_eq(w.events[0].key, "p/1");
	ck_assert_str_eq(w.events[0].value, "one");
	ck_assert_uint_eq(w.events[0].rev, a.rev);
	ck_assert_int_eq(w.events[1].kind, STORE_EVENT_DELETE);
	ck_assert_uint_eq(w.events[1].rev, b.rev);
	ck_assert_ptr_null(store_unwatch(watch));
}
END_TEST

START_TEST(events_come_before_the_answer)
{
	struct store_watch *watch = NULL;

	store_watch(s, &watch, "", 0, watched_event, &w);
	client_put(&a, s, "k", "v");
	ck_assert_uint_eq(w.n, 1);
	store_unwatch(watch);
}
END_TEST

START_TEST(one_revision_comes_in_one_call)
{
	struct store_watch *watch = NULL;
	struct store_op ops[] = {
		{ .kind = STORE_PUT, .key = "a", .value = "1", .size = 1 },
		{ .kind = STORE_PUT, .key = "b", .value = "1", .size = 1 },
	};
	struct store_txn txn = { .then = ops, .nthen = 2 };

	store_watch(s, &watch, "", 0, watched_event, &w);
	client_txn(&a, s, &txn);
	client_put(&a, s, "c", "1");
	ck_assert(watched_wait(&w, 3));
	ck_assert_uint_eq(w.events[0].call, 0);
	ck_assert_uint_eq(w.events[1].call, 0);
	ck_assert_uint_eq(w.events[2].call, 1);
	store_unwatch(watch);
}
END_TEST

START_TEST(a_watch_resumes_after_a_restart)
{
	struct store_watch *watch = NULL;
	uint64_t first = client_put(&a, s, "p/1", "one")->rev;
	struct store_op ops[] = {
		{ .kind = STORE_PUT, .key = "p/2", .value = "two", .size = 3 },
		{ .kind = STORE_DELETE, .key = "p/1" },
	};
	struct store_txn txn = { .then = ops, .nthen = 2 };

	client_txn(&a, s, &txn);
	client_put(&a, s, "other", "x");
	s = engine->reopen(s, &options);
	store_watch(s, &watch, "p/", first, watched_event, &w);
	client_put(&a, s, "p/3", "three");
	ck_assert(watched_wait(&w, 4));
	ck_assert_str_eq(w.events[0].value, "one");
	ck_assert_str_eq(w.events[1].key, "p/2");
	ck_assert_uint_eq(w.events[1].version, 1);
	ck_assert_int_eq(w.events[2].kind, STORE_EVENT_DELETE);
	ck_assert_uint_eq(w.events[2].rev, first + 1);
	ck_assert_uint_eq(w.events[1].call, w.events[2].call);
	ck_assert_str_eq(w.events[3].key, "p/3");
	store_unwatch(watch);
}
END_TEST

START_TEST(a_watch_from_compacted_history_must_list_again)
{
	struct store_watch *watch = NULL;
	uint64_t first = client_put(&a, s, "k", "1")->rev;

	client_put(&a, s, "k", "2");
	client_put(&a, s, "k", "3");
	client_compact(&b, s, 0);
	ck_assert_uint_eq(b.rev, a.rev);
	store_watch(s, &watch, "", first, watched_event, &w);
	client_put(&b, s, "k", "4");
	ck_assert(watched_wait(&w, 2));
	ck_assert_int_eq(w.events[0].kind, STORE_EVENT_RESYNC);
	ck_assert_uint_eq(w.events[0].rev, a.rev);
	ck_assert_int_eq(w.events[1].kind, STORE_EVENT_PUT);
	ck_assert_uint_eq(w.events[1].rev, b.rev);
	store_unwatch(watch);
}
END_TEST

START_TEST(a_watch_from_the_compacted_revision_misses_nothing)
{
	struct store_watch *watch = NULL;

	client_put(&a, s, "k", "1");
	client_put(&a, s, "k", "2");
	client_compact(&b, s, 0);
	store_watch(s, &watch, "", b.rev, watched_event, &w);
	ck_assert(watched_wait(&w, 1));
	ck_assert_int_eq(w.events[0].kind, STORE_EVENT_PUT);
	ck_assert_str_eq(w.events[0].value, "2");
	store_unwatch(watch);
}
END_TEST

START_TEST(a_watch_of_the_future_waits_for_it)
{
	struct store_watch *watch = NULL;
	uint64_t rev = client_put(&a, s, "k", "1")->rev;

	store_watch(s, &watch, "", rev + 2, watched_event, &w);
	client_put(&a, s, "k", "2");
	client_put(&a, s, "k", "3");
	ck_assert(watched_wait(&w, 1));
	ck_assert_uint_eq(w.n, 1);
	ck_assert_str_eq(w.events[0].value, "3");
	store_unwatch(watch);
}
END_TEST

START_TEST(nothing_is_told_after_unwatch)
{
	struct store_watch *watch = NULL;

	store_watch(s, &watch, "", 0, watched_event, &w);
	client_put(&a, s, "k", "1");
	watch = store_unwatch(watch);
	client_put(&a, s, "k", "2");
	ck_assert_uint_eq(w.n, 1);
}
END_TEST

START_TEST(a_lapsed_lease_is_one_revision_to_a_watch)
{
	struct store_watch *watch = NULL;
	uint64_t lease = client_grant(&a, s, 100)->rev;

	client_put_lease(&a, s, "a", "x", lease);
	client_put_lease(&a, s, "b", "x", lease);
	store_watch(s, &watch, "", 0, watched_event, &w);
	pass_ms(100);
	ck_assert(watched_wait(&w, 2));
	ck_assert_int_eq(w.events[0].kind, STORE_EVENT_DELETE);
	ck_assert_uint_eq(w.events[0].rev, w.events[1].rev);
	ck_assert_uint_eq(w.events[0].call, w.events[1].call);
	store_unwatch(watch);
}
END_TEST

START_TEST(there_is_a_most_of_watches)
{
	static struct store_watch *watches[CO_LIMIT_STORE_WATCHES + 1];

	for (size_t i = 0; i < CO_LIMIT_STORE_WATCHES; i++)
		ck_assert_int_eq(store_watch(s, &watches[i], "x", 0, watched_event, &w), 0);
	ck_assert_int_eq(store_watch(s, &watches[CO_LIMIT_STORE_WATCHES], "x", 0,
				     watched_event, &w), CO_TABLE_FULL);
	store_unwatch(watches[0]);
	ck_assert_int_eq(store_watch(s, &watches[0], "x", 0, watched_event, &w), 0);
	for (size_t i = 0; i < CO_LIMIT_STORE_WATCHES; i++)
		store_unwatch(watches[i]);
}
END_TEST

/* ---- many at a time ---- */

enum { CLIENTS = 8, ADDS = 40 };

/* Adds one to a counter by compare-and-swap until it has done so ADDS times. */
static void *add_in_a_loop(void *arg)
{
	struct answer *mine = calloc(1, sizeof(*mine));
	int added = 0;

	(void) arg; /* all do the same */
	while (added < ADDS) {
		char value[16];
		struct store_cmp cmp = { .key = "n", .target = STORE_CMP_MOD };
		struct store_op put = { .kind = STORE_PUT, .key = "n", .value = value };
		struct store_txn txn = { .cmps = &cmp, .ncmps = 1, .then = &put,
					 .nthen = 1 };

		client_get(mine, s, "n");
		cmp.number = mine->items[0].mod_rev;
		snprintf(value, sizeof(value), "%d", atoi(mine->items[0].value) + 1);
		put.size = strlen(value);
		if (client_txn(mine, s, &txn)->succeeded)
			added++;
	}
	free(mine);
	return NULL;
}

START_TEST(compare_and_swap_loses_no_update)
{
	pthread_t threads[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&threads[i], NULL, add_in_a_loop, NULL);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	client_get(&a, s, "n");
	ck_assert_int_eq(atoi(a.items[0].value), CLIENTS * ADDS);
	ck_assert_uint_eq(a.items[0].version, CLIENTS * ADDS);
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("store conformance");
	TCase *tc = tcase_create(engine->name);
	const TTest *tests[] = {
		put_then_get_returns_the_value,
		get_of_a_missing_key_finds_nothing,
		each_put_raises_revision_and_version,
		delete_removes_and_version_begins_again,
		deleting_nothing_keeps_the_revision,
		delete_prefix_removes_only_what_begins_with_it,
		values_keep_zero_bytes_and_may_be_empty,
		keys_outlive_a_restart_with_their_revisions,
		list_is_sorted_bytewise_and_paged,
		list_of_an_old_revision_shows_the_past,
		list_before_the_compacted_revision_is_gone,
		list_of_a_future_revision_is_refused,
		put_with_stale_version_conflicts,
		version_zero_means_create_only,
		every_target_and_relation_compares,
		all_comparisons_must_hold,
		operations_share_a_revision_and_see_each_other,
		a_refused_transaction_changes_nothing,
		journalled_answers_come_with_their_effect,
		bad_keys_are_refused,
		a_value_has_a_largest_size,
		a_transaction_has_a_largest_size,
		the_same_key_put_twice_is_refused,
		keys_go_with_their_lease,
		a_lease_kept_alive_does_not_lapse,
		revoking_deletes_at_once,
		a_put_without_the_lease_leaves_it,
		leases_outlive_a_restart_with_their_full_ttl,
		the_earliest_of_many_leases_lapses_first,
		a_watch_tells_what_follows_it,
		events_come_before_the_answer,
		one_revision_comes_in_one_call,
		a_watch_resumes_after_a_restart,
		a_watch_from_compacted_history_must_list_again,
		a_watch_from_the_compacted_revision_misses_nothing,
		a_watch_of_the_future_waits_for_it,
		nothing_is_told_after_unwatch,
		a_lapsed_lease_is_one_revision_to_a_watch,
		there_is_a_most_of_watches,
		compare_and_swap_loses_no_update,
	};

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(all, tc);
	return all;
}

int store_conformance(const struct store_engine *which)
{
	SRunner *runner;
	int failed;

	engine = which;
	runner = srunner_create(suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
