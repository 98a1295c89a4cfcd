/* SPDX-License-Identifier: MIT */
/* Site tables in the store: kept by build-id and digest, capped, outliving it.  HOST. */
#include "tests/conformance/client.h"

#include <check.h>
#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[256];
static struct store *s;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool done, found;
	size_t size;
	unsigned char first;
} answer = { .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER };

static void on_sites(void *arg, const void *rows, size_t size)
{
	(void) arg; /* there is one question at a time */
	pthread_mutex_lock(&answer.lock);
	answer.done = true;
	answer.found = rows != NULL;
	answer.size = rows ? size : 0;
	answer.first = rows && size ? *(const unsigned char *) rows : 0;
	pthread_cond_signal(&answer.told);
	pthread_mutex_unlock(&answer.lock);
}

static struct store_sites key(const char *build_id, uint64_t digest)
{
	return (struct store_sites){ .build_id = build_id,
				     .build_id_size = strlen(build_id),
				     .digest = { digest, ~digest } };
}

static bool found(const char *build_id, uint64_t digest)
{
	struct store_sites k = key(build_id, digest);

	answer.done = false;
	ck_assert_int_eq(store_sites_get(s, &k, on_sites, NULL), 0);
	pthread_mutex_lock(&answer.lock);
	while (!answer.done)
		pthread_cond_wait(&answer.told, &answer.lock);
	pthread_mutex_unlock(&answer.lock);
	return answer.found;
}

static void put(const char *build_id, uint64_t digest, const void *rows, size_t size)
{
	struct store_sites k = key(build_id, digest);
	int rc;

	k.rows = rows;
	k.size = size;
	do
		rc = store_sites_put(s, &k);
	while (rc == CO_BUSY);
	ck_assert_int_eq(rc, 0);
}

static void open_store(void)
{
	struct store_options options = { .folder = folder, .volatile_ = true };
	struct co_err err = { 0 };

	ck_assert_msg(store_open(&s, &options, &err) == 0, "%s", err.message);
}

static void setup(void)
{
	folder_make(folder, sizeof(folder));
	open_store();
}

static void teardown(void)
{
	s = store_close(s);
	folder_remove(folder);
}

START_TEST(what_was_put_is_found_also_by_the_next_store)
{
	ck_assert(!found("abc", 1));
	put("abc", 1, "rows", 4);
	put("", 1, "", 0);
	ck_assert(found("abc", 1));
	ck_assert_uint_eq(answer.size, 4);
	ck_assert_int_eq(answer.first, 'r');
	s = store_close(s);
	open_store();
	ck_assert(found("abc", 1));
	ck_assert_uint_eq(answer.size, 4);
	ck_assert(found("", 1));
	ck_assert_uint_eq(answer.size, 0);
}
END_TEST

START_TEST(another_digest_or_build_id_is_another_file)
{
	put("abc", 1, "rows", 4);
	ck_assert(!found("abc", 2));
	ck_assert(!found("abd", 1));
	ck_assert(!found("", 1));
}
END_TEST

START_TEST(the_first_table_of_a_file_stays)
{
	put("abc", 1, "first", 5);
	put("abc", 1, "other", 5);
	ck_assert(found("abc", 1));
	ck_assert_int_eq(answer.first, 'f');
}
END_TEST

START_TEST(the_oldest_tables_go_when_there_are_too_many)
{
	for (uint64_t i = 0; i < CO_LIMIT_SITES_TABLES + 10; i++)
		put("abc", i, "rows", 4);
	ck_assert(!found("abc", 9));
	ck_assert(found("abc", 10));
	ck_assert(found("abc", CO_LIMIT_SITES_TABLES + 9));
}
END_TEST

START_TEST(the_oldest_tables_go_when_they_are_too_large)
{
	size_t size = CO_LIMIT_SITES_BYTES / 4;
	char *rows = calloc(1, size);

	ck_assert_ptr_nonnull(rows);
	for (uint64_t i = 0; i < 5; i++)
		put("abc", i, rows, size);
	free(rows);
	ck_assert(!found("abc", 0));
	ck_assert(found("abc", 1));
	ck_assert(found("abc", 4));
}
END_TEST

START_TEST(each_database_has_its_own_secret)
{
	uint8_t before[16];

	memcpy(before, store_sites_secret(s), sizeof(before));
	s = store_close(s);
	open_store();
	ck_assert_int_eq(memcmp(before, store_sites_secret(s), sizeof(before)), 0);
	s = store_close(s);
	folder_remove(folder);
	folder_make(folder, sizeof(folder));
	open_store();
	ck_assert_int_ne(memcmp(before, store_sites_secret(s), sizeof(before)), 0);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("store: sites");
	TCase *tc = tcase_create("sites");
	SRunner *runner;
	int failed;
	const TTest *tests[] = {
		what_was_put_is_found_also_by_the_next_store,
		another_digest_or_build_id_is_another_file,
		the_first_table_of_a_file_stays,
		the_oldest_tables_go_when_there_are_too_many,
		the_oldest_tables_go_when_they_are_too_large,
		each_database_has_its_own_secret,
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
