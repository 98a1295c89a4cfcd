/* SPDX-License-Identifier: MIT */
/* Brief keys: no history, expiry by the wall clock; reading beside the writer.  HOST. */
#include "tests/conformance/client.h"

#include <check.h>
#include <co/limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[256];
static struct store *s;
static struct answer a;
static atomic_ullong clock_ms;

static uint64_t wall_ms(void *ctx)
{
	(void) ctx; /* one clock */
	return atomic_load(&clock_ms);
}

static void open_store(void)
{
	struct store_options options = { .folder = folder, .wall_ms = wall_ms };
	struct co_err err = { 0 };

	ck_assert_msg(store_open(&s, &options, &err) == 0, "%s", err.message);
}

static void setup(void)
{
	folder_make(folder, sizeof(folder));
	atomic_store(&clock_ms, 1000000);
	open_store();
}

static void teardown(void)
{
	s = store_close(s);
	folder_remove(folder);
}

/* ---- asking and waiting ---- */

enum { SEEN = 64 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t there;
	bool done, more;
	int status;
	size_t n;
	uint64_t next_ms;
	struct {
		char key[32], value[32];
		uint64_t version, expires_ms;
	} items[SEEN];
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .there = PTHREAD_COND_INITIALIZER };

static void listed(void *arg, const struct store_list *list)
{
	(void) arg; /* there is one */
	pthread_mutex_lock(&seen.lock);
	seen.status = list->status;
	seen.n = list->nitems;
	seen.more = list->more;
	seen.next_ms = list->next_ms;
	for (size_t i = 0; i < list->nitems && i < SEEN; i++) {
		const struct store_item *item = &list->items[i];

		snprintf(seen.items[i].key, 32, "%s", item->key);
		snprintf(seen.items[i].value, 32, "%.*s", (int) item->size,
			 (const char *) item->value);
		seen.items[i].version = item->version;
		seen.items[i].expires_ms = item->expires_ms;
	}
	seen.done = true;
	pthread_cond_signal(&seen.there);
	pthread_mutex_unlock(&seen.lock);
}

static void wait_list(int accepted)
{
	ck_assert_int_eq(accepted, 0);
	pthread_mutex_lock(&seen.lock);
	while (!seen.done)
		pthread_cond_wait(&seen.there, &seen.lock);
	seen.done = false;
	pthread_mutex_unlock(&seen.lock);
	ck_assert_int_eq(seen.status, 0);
}

static void read_key(const char *key)
{
	wait_list(store_read(s, key, listed, NULL));
}

static void scan(const char *prefix, const char *after, size_t limit)
{
	wait_list(store_scan(s, prefix, after, limit, listed, NULL));
}

static void expire(size_t limit)
{
	wait_list(store_expire(s, limit, listed, NULL));
}

static struct {
	bool found;
	uint64_t version, expires_ms, deleted;
} result;

static void noted(void *arg, const struct store_result *r)
{
	if (r->nresults) {
		result.found = r->results[0].found;
		result.deleted = r->results[0].deleted;
		result.version = r->results[0].item.version;
		result.expires_ms = r->results[0].item.expires_ms;
	}
	client_done(arg, r);
}

static void run(const struct store_op *op, const struct store_cmp *cmp)
{
	struct store_txn txn = {
		.then = op, .nthen = 1, .cmps = cmp, .ncmps = cmp ? 1 : 0
	};

	memset(&result, 0, sizeof(result));
	client_begin(&a);
	client_wait(&a, store_txn(s, &txn, noted, &a));
	ck_assert_int_eq(a.status, 0);
}

static void put(const char *key, const char *value, uint64_t expires_ms)
{
	run(&(struct store_op){ .kind = STORE_PUT,
				.key = key,
				.value = value,
				.size = strlen(value),
				.brief = true,
				.expires_ms = expires_ms },
	    NULL);
}

static void delete (const char *key)
{
	run(&(struct store_op){ .kind = STORE_DELETE, .key = key, .brief = true },
	    NULL);
}

/* The numbers of a group are there when the next one runs. */
static struct store_status status_now(void)
{
	struct store_status status;

	client_get(&a, s, "-");
	store_status(s, &status);
	return status;
}

/* ---- results ---- */

START_TEST(a_put_tells_what_is_there_now_and_a_delete_what_was)
{
	put("k", "1", 0);
	ck_assert(!result.found);
	ck_assert_uint_eq(result.version, 1);
	put("k", "2", 0);
	ck_assert(result.found);
	ck_assert_uint_eq(result.version, 2);
	delete ("k");
	ck_assert_uint_eq(result.deleted, 1);
	ck_assert_uint_eq(result.version, 2);
	delete ("k");
	ck_assert_uint_eq(result.deleted, 0);
}
END_TEST

START_TEST(brief_changes_leave_no_history_and_keep_the_revision)
{
	struct store_status before, after;

	client_put(&a, s, "kept", "x");
	before = status_now();
	put("k", "1", 0);
	put("k", "2", 0);
	after = status_now();
	ck_assert_uint_eq(after.revision, before.revision);
	ck_assert_uint_eq(after.keys, before.keys + 1);
	s = store_close(s);
	open_store();
	after = status_now();
	ck_assert_uint_eq(after.revision, before.revision);
	read_key("k");
	ck_assert_str_eq(seen.items[0].value, "2");
	ck_assert_uint_eq(seen.items[0].version, 2);
}
END_TEST

START_TEST(only_brief_keys_expire)
{
	struct store_op op = {
		.kind = STORE_PUT, .key = "k", .value = "", .expires_ms = 5
	};
	struct store_txn txn = { .then = &op, .nthen = 1 };

	ck_assert_int_eq(store_txn(s, &txn, client_done, &a), CO_INVALID);
}
END_TEST

START_TEST(equal_or_absent_holds_for_both_and_for_nothing_else)
{
	struct store_cmp cmp = { .key = "k",
				 .target = STORE_CMP_VERSION,
				 .relation = STORE_EQUAL_OR_ABSENT,
				 .number = 7 };
	struct store_op op = { .kind = STORE_PUT, .key = "k", .value = "", .brief = 1 };

	run(&op, &cmp);
	ck_assert(a.succeeded);
	run(&op, &cmp);
	ck_assert(!a.succeeded);
	cmp.number = 1;
	run(&op, &cmp);
	ck_assert(a.succeeded);
	ck_assert_uint_eq(result.version, 2);
}
END_TEST

/* ---- expiry ---- */

START_TEST(what_has_expired_is_not_there_for_anybody)
{
	struct store_op get = { .kind = STORE_GET, .key = "k" };
	struct store_cmp absent = { .key = "k", .target = STORE_CMP_VERSION };

	put("k", "old", 1000500);
	put("l", "stays", 0);
	atomic_store(&clock_ms, 1000499);
	read_key("k");
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_uint_eq(seen.items[0].expires_ms, 1000500);
	atomic_store(&clock_ms, 1000500);
	read_key("k");
	ck_assert_uint_eq(seen.n, 0);
	scan("", NULL, 0);
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_str_eq(seen.items[0].key, "l");
	ck_assert_uint_eq(client_list(&a, s, "", NULL, 0, 0)->n, 1);
	run(&get, &absent);
	ck_assert(a.succeeded);
	ck_assert(!result.found);
	delete ("k");
	ck_assert_uint_eq(result.deleted, 0);
}
END_TEST

START_TEST(a_put_where_something_expired_begins_at_version_1)
{
	struct store_status status;

	put("k", "1", 1000500);
	put("k", "2", STORE_KEEP_EXPIRY);
	ck_assert_uint_eq(result.expires_ms, 1000500);
	atomic_store(&clock_ms, 1000500);
	put("k", "3", STORE_KEEP_EXPIRY);
	ck_assert(!result.found);
	ck_assert_uint_eq(result.version, 1);
	ck_assert_uint_eq(result.expires_ms, 0);
	status = status_now();
	ck_assert_uint_eq(status.keys, 1);
	put("k", "4", 1000900);
	put("k", "5", 0);
	ck_assert_uint_eq(result.expires_ms, 0);
}
END_TEST

START_TEST(expiry_outlives_a_restart)
{
	put("k", "1", 1000500);
	s = store_close(s);
	open_store();
	read_key("k");
	ck_assert_uint_eq(seen.n, 1);
	s = store_close(s);
	atomic_store(&clock_ms, 1000501);
	open_store();
	read_key("k");
	ck_assert_uint_eq(seen.n, 0);
}
END_TEST

START_TEST(expired_keys_are_removed_in_steps_the_earliest_first)
{
	struct store_status status;
	char key[16];

	put("stays", "x", 0);
	put("later", "x", 2000000);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "k%u", 9 - i);
		put(key, "x", 1000100 + i);
	}
	expire(4);
	ck_assert_uint_eq(seen.n, 0);
	ck_assert(!seen.more);
	ck_assert_uint_eq(seen.next_ms, 1000100);
	atomic_store(&clock_ms, 1000200);
	expire(4);
	ck_assert_uint_eq(seen.n, 4);
	ck_assert(seen.more);
	ck_assert_str_eq(seen.items[0].key, "k9");
	ck_assert_uint_eq(seen.items[0].version, 1);
	expire(100);
	ck_assert_uint_eq(seen.n, 6);
	ck_assert(!seen.more);
	ck_assert_uint_eq(seen.next_ms, 2000000);
	status = status_now();
	ck_assert_uint_eq(status.keys, 2);
}
END_TEST

/* ---- the reader ---- */

START_TEST(a_read_sees_everything_acknowledged_before)
{
	char value[16];

	for (unsigned i = 0; i < 300; i++) {
		snprintf(value, sizeof(value), "%u", i);
		put("k", value, 0);
		read_key("k");
		ck_assert_str_eq(seen.items[0].value, value);
	}
}
END_TEST

START_TEST(scans_are_ordered_paged_and_bounded_by_their_prefix)
{
	char key[16];

	for (unsigned i = 0; i < 25; i++) {
		snprintf(key, sizeof(key), "p/%02u", 24 - i);
		put(key, "x", 0);
	}
	put("p", "before", 0);
	put("q", "behind", 0);
	scan("p/", NULL, 10);
	ck_assert_uint_eq(seen.n, 10);
	ck_assert(seen.more);
	ck_assert_str_eq(seen.items[9].key, "p/09");
	scan("p/", "p/09", 15);
	ck_assert_uint_eq(seen.n, 15);
	ck_assert(!seen.more);
	ck_assert_str_eq(seen.items[14].key, "p/24");
	scan("p/", "p/24", 15);
	ck_assert_uint_eq(seen.n, 0);
	scan("p/", "a", 1);
	ck_assert_str_eq(seen.items[0].key, "p/00");
}
END_TEST

START_TEST(a_page_of_large_values_ends_by_bytes)
{
	char *value = calloc(1, CO_LIMIT_STORE_VALUE);
	size_t n = 0;
	char after[32] = "";

	ck_assert_ptr_nonnull(value);
	for (int i = 0; i < 6; i++) {
		char key[8];

		snprintf(key, sizeof(key), "k%d", i);
		client_put_bytes(&a, s, key, value, CO_LIMIT_STORE_VALUE);
	}
	do {
		scan("", after[0] ? after : NULL, 100);
		ck_assert_uint_ge(seen.n, 1);
		ck_assert_uint_le(seen.n, 2);
		n += seen.n;
		snprintf(after, sizeof(after), "%s", seen.items[seen.n - 1].key);
	} while (seen.more);
	ck_assert_uint_eq(n, 6);
	free(value);
}
END_TEST

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint counted;

static void count(void *arg, const struct store_list *list)
{
	(void) arg; /* counting is all */
	(void) list;
	pthread_mutex_lock(&gate); /* holds the reader back the first time */
	pthread_mutex_unlock(&gate);
	atomic_fetch_add(&counted, 1);
}

START_TEST(too_many_reads_are_refused_and_all_others_answered)
{
	unsigned accepted = 0;

	pthread_mutex_lock(&gate);
	while (store_read(s, "k", count, NULL) == 0)
		accepted++;
	ck_assert_uint_ge(accepted, CO_LIMIT_STORE_READS);
	ck_assert_int_eq(store_read(s, "k", count, NULL), CO_BUSY);
	pthread_mutex_unlock(&gate);
	s = store_close(s);
	ck_assert_uint_eq(atomic_load(&counted), accepted);
	open_store();
}
END_TEST

START_TEST(a_count_is_of_keys_with_the_prefix)
{
	put("p/1", "x", 0);
	put("p/2", "x", 0);
	put("p0", "x", 0);
	client_begin(&a);
	client_wait(&a, store_count(s, "p/", client_done, &a));
	ck_assert_uint_eq(a.rev, 2);
	client_begin(&a);
	client_wait(&a, store_count(s, "", client_done, &a));
	ck_assert_uint_eq(a.rev, 3);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("store: brief");
	TCase *tc = tcase_create("brief");
	SRunner *runner;
	int failed;
	const TTest *tests[] = {
		a_put_tells_what_is_there_now_and_a_delete_what_was,
		brief_changes_leave_no_history_and_keep_the_revision,
		only_brief_keys_expire,
		equal_or_absent_holds_for_both_and_for_nothing_else,
		what_has_expired_is_not_there_for_anybody,
		a_put_where_something_expired_begins_at_version_1,
		expiry_outlives_a_restart,
		expired_keys_are_removed_in_steps_the_earliest_first,
		a_read_sees_everything_acknowledged_before,
		scans_are_ordered_paged_and_bounded_by_their_prefix,
		a_page_of_large_values_ends_by_bytes,
		too_many_reads_are_refused_and_all_others_answered,
		a_count_is_of_keys_with_the_prefix,
	};

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 300);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(all, tc);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
