/* SPDX-License-Identifier: MIT */
/* Conformance: transactions.  HOST. */
#include "tests/conformance/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct answer *guarded_put(struct store_cmp cmp, const char *key,
				  const char *value)
{
	struct store_op put = {
		.kind = STORE_PUT, .key = key, .value = value, .size = strlen(value)
	};
	struct store_op get = { .kind = STORE_GET, .key = key };
	struct store_txn txn = { .cmps = &cmp,
				 .ncmps = 1,
				 .then = &put,
				 .nthen = 1,
				 .otherwise = &get,
				 .notherwise = 1 };

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
	struct store_op put = {
		.kind = STORE_PUT, .key = "c", .value = "x", .size = 1
	};
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
	struct store_cmp fresh = { .key = "k",
				   .target = STORE_CMP_VERSION,
				   .number = 0 };
	struct store_op put = {
		.kind = STORE_PUT, .key = "k", .value = "1", .size = 1
	};
	struct store_journal first = {
		.slot = 3, .session = 9, .call = 1, .result = -2006
	};
	struct store_journal second = {
		.slot = 3, .session = 9, .call = 2, .result = 5
	};
	struct store_txn txn = {
		.cmps = &fresh, .ncmps = 1, .then = &put, .nthen = 1, .journal = &first
	};
	int64_t result = 0;

	ck_assert(client_txn(&a, s, &txn)->succeeded);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 1, &result), 1);
	ck_assert_int_eq(result, -2006);
	txn.journal = &second;
	ck_assert(!client_txn(&a, s, &txn)->succeeded);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 2, &result), 0);
	conformance_reopen();
	ck_assert_int_eq(store_journal_find(s, 3, 9, 1, &result), 1);
	txn.ncmps = 0;
	client_txn(&a, s, &txn);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 1, &result), 0);
	ck_assert_int_eq(store_journal_find(s, 3, 9, 2, &result), 1);
	ck_assert_int_eq(result, 5);
	ck_assert_int_eq(store_journal_find(s, 3, 8, 2, &result), 0);
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
		struct store_txn txn = {
			.cmps = &cmp, .ncmps = 1, .then = &put, .nthen = 1
		};

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

/* What suite.c adds to the run. */
TCase *conformance_txns(void)
{
	const TTest *const tests[] = {
		put_with_stale_version_conflicts,
		version_zero_means_create_only,
		every_target_and_relation_compares,
		all_comparisons_must_hold,
		operations_share_a_revision_and_see_each_other,
		a_refused_transaction_changes_nothing,
		journalled_answers_come_with_their_effect,
		compare_and_swap_loses_no_update,
	};
	TCase *tc = tcase_create("txns");

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	return tc;
}
