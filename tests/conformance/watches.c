/* SPDX-License-Identifier: MIT */
/* Conformance: watches.  HOST. */
#include "tests/conformance/suite.h"

#include <co/limits.h>

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
	conformance_reopen();
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
	conformance_pass_ms(100);
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
		ck_assert_int_eq(store_watch(s, &watches[i], "x", 0, watched_event, &w),
				 0);
	ck_assert_int_eq(store_watch(s, &watches[CO_LIMIT_STORE_WATCHES], "x", 0,
				     watched_event, &w),
			 CO_TABLE_FULL);
	store_unwatch(watches[0]);
	ck_assert_int_eq(store_watch(s, &watches[0], "x", 0, watched_event, &w), 0);
	for (size_t i = 0; i < CO_LIMIT_STORE_WATCHES; i++)
		store_unwatch(watches[i]);
}
END_TEST

/* What suite.c adds to the run. */
TCase *conformance_watches(void)
{
	const TTest *const tests[] = {
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
	};
	TCase *tc = tcase_create("watches");

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	return tc;
}
