/* SPDX-License-Identifier: MIT */
/* Numbered rows of telemetry.db: kept, counted, found, trimmed.  HOST. */
#include "store/rows.h"

#include <check.h>
#include <co/limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/client.h"
#include "tests/run.h"

static char folder[256];
static struct store *s;

/* ---- waiting for the store's threads ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	size_t answers;
	int status;
	uint64_t number;
	uint64_t seen[64]; /* numbers in the order they were told */
	size_t nseen;
	bool told_first; /* each row was told before its answer */
	struct store_rows page;
	struct store_row rows[200];
	char text[200][64], json[200];
} got = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void wait_answers(size_t n)
{
	pthread_mutex_lock(&got.lock);
	while (got.answers < n)
		pthread_cond_wait(&got.more, &got.lock);
	pthread_mutex_unlock(&got.lock);
}

static size_t answers(void)
{
	size_t n;

	pthread_mutex_lock(&got.lock);
	n = got.answers;
	pthread_mutex_unlock(&got.lock);
	return n;
}

static void answered(void)
{
	got.answers++;
	pthread_cond_signal(&got.more);
}

static void row_done(void *arg, int status, const char *reason, uint64_t number)
{
	(void) arg;
	(void) reason;
	pthread_mutex_lock(&got.lock);
	got.status = status;
	got.number = number;
	if (got.nseen && got.seen[(got.nseen - 1) % 64] != number)
		got.told_first = false;
	answered();
	pthread_mutex_unlock(&got.lock);
}

static void row_told(void *arg, const struct store_row *row)
{
	(void) arg;
	pthread_mutex_lock(&got.lock);
	got.seen[got.nseen++ % 64] = row->number;
	pthread_mutex_unlock(&got.lock);
}

static void page_done(void *arg, const struct store_rows *page)
{
	(void) arg;
	pthread_mutex_lock(&got.lock);
	got.page = *page;
	ck_assert_uint_le(page->nrows, 200);
	for (size_t i = 0; i < page->nrows; i++) {
		got.rows[i] = page->rows[i];
		(void) snprintf(got.text[i], sizeof(got.text[i]), "%.*s",
				(int) page->rows[i].text.size,
				page->rows[i].text.data ? page->rows[i].text.data : "");
	}
	if (page->nrows)
		(void) snprintf(got.json, sizeof(got.json), "%.*s|%.*s",
				(int) page->rows[0].value.size,
				page->rows[0].value.data, (int) page->rows[0].json.size,
				page->rows[0].json.data);
	answered();
	pthread_mutex_unlock(&got.lock);
}

/* ---- shorthand ---- */

static void open_store(void)
{
	struct store_options options = { .folder = folder, .volatile_ = true };
	struct co_err err = { 0 };

	ck_assert_msg(store_open(&s, &options, &err) == 0, "%s", err.message);
}

static void setup(void)
{
	folder_make(folder, sizeof(folder));
	s = NULL;
	got.answers = got.nseen = 0;
	got.told_first = true;
	open_store();
}

static void teardown(void)
{
	s = store_close(s);
	folder_remove(folder);
}

static void reopen(void)
{
	s = store_close(s);
	open_store();
}

static uint64_t add(const char *service, const char *name, const char *text,
		    uint64_t at_ms)
{
	size_t before = answers();

	ck_assert_int_eq(store_row_add(s, STORE_LOGS,
				       &(struct store_row){ .at_ms = at_ms,
							    .service = co_span(service),
							    .name = co_span(name),
							    .text = co_span(text) },
				       row_done, NULL),
			 0);
	wait_answers(before + 1);
	ck_assert_int_eq(got.status, 0);
	return got.number;
}

static const struct store_rows *find(struct store_rows_query query)
{
	size_t before = answers();

	query.count = true;
	if (!query.limit)
		query.limit = 100;
	ck_assert_int_eq(store_rows_read(s, &query, page_done, NULL), 0);
	wait_answers(before + 1);
	ck_assert_msg(got.page.status == 0, "%s", got.page.reason);
	return &got.page;
}

/* The texts of a page, with commas. */
static const char *texts(struct store_rows_query query)
{
	static char all[1024];
	const struct store_rows *page = find(query);
	size_t at = 0;

	all[0] = '\0';
	for (size_t i = 0; i < page->nrows; i++)
		at += (size_t) snprintf(all + at, sizeof(all) - at, "%s%s",
					i ? "," : "", got.text[i]);
	return all;
}

/* ---- adding ---- */

START_TEST(an_acknowledged_row_reads_back_byte_for_byte)
{
	static const char json[] =
		"{\"n\":9007199254740993,\"x\":1e400,\"z\":\"\xc3\xbc\"}";
	struct store_row row = { .at_ms = 1732104000007,
				 .service = co_span("core"),
				 .source = co_span("operator"),
				 .name = co_span("cpu"),
				 .text = co_span("percent"),
				 .value = co_span("0.10"),
				 .json = co_span(json) };
	const struct store_row *back = got.rows;

	store_row_add(s, STORE_METRICS, &row, row_done, NULL);
	wait_answers(1);
	ck_assert_int_eq(got.status, 0);
	ck_assert_uint_eq(got.number, 1);
	ck_assert_uint_eq(
		find((struct store_rows_query){ .table = STORE_METRICS })->nrows, 1);
	ck_assert_uint_eq(back->number, 1);
	ck_assert_uint_eq(back->at_ms, row.at_ms);
	ck_assert_str_eq(got.text[0], "percent");
	ck_assert_str_eq(got.json, "0.10|{\"n\":9007199254740993,\"x\":1e400,\"z\":"
				   "\"\xc3\xbc\"}");
}
END_TEST

START_TEST(rows_are_told_in_order_each_before_its_answer)
{
	store_rows_watch(s, STORE_LOGS, row_told, NULL);
	for (int i = 0; i < 10; i++)
		add("a", "info", "x", 1);
	ck_assert_uint_eq(got.nseen, 10);
	for (size_t i = 0; i < 10; i++)
		ck_assert_uint_eq(got.seen[i], i + 1);
	ck_assert(got.told_first);
}
END_TEST

START_TEST(rows_outlive_the_store_and_numbers_go_on)
{
	add("a", "info", "one", 1);
	add("a", "info", "two", 2);
	reopen();
	ck_assert_uint_eq(store_rows_newest(s, STORE_LOGS), 2);
	ck_assert_uint_eq(add("b", "warn", "three", 3), 3);
	ck_assert_str_eq(texts((struct store_rows_query){ .table = STORE_LOGS }),
			 "one,two,three");
	ck_assert_uint_eq(got.page.total, 3);
}
END_TEST

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void stop_at_gate(void *arg, int status, const char *reason, uint64_t number)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	row_done(arg, status, reason, number);
}

START_TEST(a_full_queue_refuses_and_loses_nothing_it_has_taken)
{
	struct store_row row = { .service = co_span("a"), .name = co_span("info") };
	struct store_rows_status status;
	size_t taken = 1;
	int r;

	pthread_mutex_lock(&gate);
	store_row_add(s, STORE_LOGS, &row, stop_at_gate, NULL);
	while ((r = store_row_add(s, STORE_LOGS, &row, row_done, NULL)) == 0)
		taken++;
	ck_assert_int_eq(r, CO_BUSY);
	ck_assert_uint_ge(taken, CO_LIMIT_TELEMETRY_QUEUE);
	pthread_mutex_unlock(&gate);
	wait_answers(taken);
	store_rows_status(s, &status);
	ck_assert_uint_eq(status.kept[STORE_LOGS], taken);
	ck_assert_uint_eq(status.refused, 1);
	ck_assert_uint_eq(store_rows_newest(s, STORE_LOGS), taken);
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
	char *text = calloc(1, CO_LIMIT_TELEMETRY_ROW + 1);
	struct store_row row = { .service = co_span("a"),
				 .text = { text, CO_LIMIT_TELEMETRY_ROW + 1 } };

	ck_assert_int_eq(store_row_add(s, STORE_LOGS, &row, NULL, NULL), CO_TOO_BIG);
	row.text.size--;
	ck_assert_int_eq(store_row_add(s, STORE_LOGS, &row, NULL, NULL), 0);
	row.name = (struct co_span){ text, CO_LIMIT_TELEMETRY_NAME + 1 };
	row.text.size = 0;
	ck_assert_int_eq(store_row_add(s, STORE_LOGS, &row, NULL, NULL), CO_TOO_BIG);
	row.name.size = 0;
	row.service.size = 0;
	ck_assert_int_eq(store_row_add(s, STORE_LOGS, &row, NULL, NULL), CO_TOO_BIG);
	free(text);
}
END_TEST

/* ---- finding ---- */

static void some_rows(void)
{
	add("a", "info", "one", 10);
	add("a", "warn", "two", 20);
	add("b", "info", "three", 30);
	add("a", "info", "Four", 40);
	add("a", "error", "five", 50);
}

START_TEST(a_question_finds_its_rows_in_order_with_their_total)
{
	const struct {
		struct store_rows_query query;
		const char *texts;
		uint64_t total;
		bool more;
	} cases[] = {
		{ { 0 }, "one,two,three,Four,five", 5, false },
		{ { .service = co_span("a") }, "one,two,Four,five", 4, false },
		{ { .service = co_span("c") }, "", 0, false },
		{ { .service = co_span("a"), .name = co_span("info"), .exact = true },
		  "one,Four",
		  2,
		  false },
		{ { .name = co_span("info"), .exact = true },
		  "one,three,Four",
		  3,
		  false },
		{ { .name = co_span("inf"), .exact = true }, "", 0, false },
		{ { .name = co_span("in*,error") }, "one,three,Four,five", 4, false },
		{ { .service = co_span("a"), .limit = 2 }, "one,two", 4, true },
		{ { .service = co_span("a"), .limit = 2, .offset = 2 },
		  "Four,five",
		  4,
		  false },
		{ { .newest_first = true, .limit = 2 }, "five,Four", 5, true },
		{ { .after = 3 }, "Four,five", 2, false },
		{ { .after = 1, .upto = 3 }, "two,three", 2, false },
		{ { .from_ms = 20, .to_ms = 40 }, "two,three,Four", 3, false },
		{ { .contains = co_span("fO") }, "Four", 1, false },
		{ { .contains = co_span("REE") }, "three", 1, false },
		{ { .contains = co_span("threes") }, "", 0, false },
		{ { .contains = co_span("o"), .limit = 1, .offset = 1 },
		  "two",
		  3,
		  true },
	};

	some_rows();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(strcmp(texts(cases[i].query), cases[i].texts) == 0,
			      "question %zu: %s", i, texts(cases[i].query));
		ck_assert_msg(got.page.total == cases[i].total, "question %zu: %llu", i,
			      (unsigned long long) got.page.total);
		ck_assert_msg(got.page.more == cases[i].more, "question %zu", i);
		ck_assert_uint_eq(got.page.oldest, 1);
		ck_assert_uint_eq(got.page.newest, 5);
		ck_assert_uint_eq(got.page.oldest_ms, 10);
	}
}
END_TEST

START_TEST(more_names_than_words_are_still_told_apart)
{
	enum { NAMES = CO_LIMIT_TELEMETRY_NAMES + 100 };
	char name[32];

	for (int i = 0; i < NAMES; i++) {
		(void) snprintf(name, sizeof(name), "n%d", i);
		while (store_row_add(s, STORE_LOGS,
				     &(struct store_row){ .service = co_span("a"),
							  .name = co_span(name),
							  .text = co_span(name) },
				     row_done, NULL) == CO_BUSY)
			wait_answers(answers() + 1);
	}
	wait_answers(NAMES);
	for (int turn = 0; turn < 2; turn++) {
		(void) snprintf(name, sizeof(name), "n%d", NAMES - 1);
		ck_assert_str_eq(
			texts((struct store_rows_query){ .service = co_span("a"),
							 .name = co_span(name),
							 .exact = true }),
			name);
		ck_assert_uint_eq(got.page.total, 1);
		ck_assert_str_eq(texts((struct store_rows_query){ .name = co_span("n7"),
								  .exact = true }),
				 "n7");
		ck_assert_str_eq(texts((struct store_rows_query){
					 .name = co_span("absent"), .exact = true }),
				 "");
		ck_assert_uint_eq(got.page.total, 0);
		reopen();
	}
}
END_TEST

/* ---- caps ---- */

static void settle(void)
{
	/* trimming comes behind the answers of a group: one more group, and it is done */
	add("z", "info", "last", (uint64_t) time(NULL) * 1000);
	add("z", "info", "last", (uint64_t) time(NULL) * 1000);
}

START_TEST(the_oldest_rows_go_beyond_the_cap_and_counts_follow)
{
	struct store_rows_status status;
	uint64_t total;

	store_rows_keep(s, &(struct store_rows_keep){ .rows = { 100, 100, 100 } });
	for (int i = 0; i < 300; i++)
		add(i % 2 ? "a" : "b", "info", "x", 1);
	settle();
	for (int turn = 0; turn < 2; turn++) {
		store_rows_status(s, &status);
		ck_assert_uint_le(status.kept[STORE_LOGS], 101);
		ck_assert_uint_ge(status.kept[STORE_LOGS], 90);
		total = find((struct store_rows_query){ .limit = 1 })->total;
		ck_assert_uint_eq(total, status.kept[STORE_LOGS]);
		ck_assert_uint_eq(got.page.newest - got.page.oldest + 1, total);
		ck_assert_uint_eq(
			find((struct store_rows_query){ .service = co_span("a") })
				->total,
			got.page.nrows);
		ck_assert_uint_eq(status.bytes[STORE_LOGS],
				  status.kept[STORE_LOGS] + 2 * strlen("ast"));
		reopen();
	}
}
END_TEST

START_TEST(rows_go_when_they_are_old_but_the_newest_stays)
{
	uint64_t now = (uint64_t) time(NULL) * 1000;

	for (int i = 0; i < 10; i++)
		add("a", "info", "old", now - 1000000);
	store_rows_keep(s, &(struct store_rows_keep){ .age_ms = 500000 });
	ck_assert_uint_eq(add("a", "info", "older", now - 2000000), 11);
	ck_assert_uint_eq(add("a", "info", "oldest", now - 3000000), 12);
	reopen();
	store_rows_keep(s, &(struct store_rows_keep){ .age_ms = 500000 });
	settle();
	ck_assert_str_eq(texts((struct store_rows_query){ 0 }), "last,last");
	ck_assert_uint_eq(got.page.newest, 14);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("rows");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_acknowledged_row_reads_back_byte_for_byte);
	tcase_add_test(tcase, rows_are_told_in_order_each_before_its_answer);
	tcase_add_test(tcase, rows_outlive_the_store_and_numbers_go_on);
	tcase_add_test(tcase, a_full_queue_refuses_and_loses_nothing_it_has_taken);
	tcase_add_test(tcase, what_is_too_long_is_refused);
	tcase_add_test(tcase, a_question_finds_its_rows_in_order_with_their_total);
	tcase_add_test(tcase, more_names_than_words_are_still_told_apart);
	tcase_add_test(tcase, the_oldest_rows_go_beyond_the_cap_and_counts_follow);
	tcase_add_test(tcase, rows_go_when_they_are_old_but_the_newest_stays);
	return run_tests(tcase);
}
