/* SPDX-License-Identifier: MIT */
/* Conformance: keys, lists and their limits.  HOST. */
#include "tests/conformance/suite.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	conformance_reopen();
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
		ops[i] = (struct store_op){
			.kind = STORE_PUT, .key = keys[i], .value = "x", .size = 1
		};
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

/* What suite.c adds to the run. */
TCase *conformance_keys(void)
{
	const TTest *const tests[] = {
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
		bad_keys_are_refused,
		a_value_has_a_largest_size,
		a_transaction_has_a_largest_size,
		the_same_key_put_twice_is_refused,
	};
	TCase *tc = tcase_create("keys");

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	return tc;
}
