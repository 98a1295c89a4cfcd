/* SPDX-License-Identifier: MIT */
/* Feeds: in order, without gap and duplicate, whoever is slow, late or gone.  HOST. */
#include "cloudosd/service/feed.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/events.h"
#include "lib/err.h"
#include "tests/run.h"
#include "tests/unit/fake_rows.h"

static struct fake_host fake;
static struct store store;
static struct feed *feed;

/* ---- a reader that writes down what it is told ---- */

struct heard {
	struct feed_reader *reader;
	uint64_t numbers[4096], last;
	size_t n, room; /* room 0: without end */
	uint64_t lost;
	bool ends; /* itself, when it is told something */
	struct heard *ends_other;
	char json[512], frame[512];
};

static struct heard a, b;

static bool heard(void *arg, const struct feed_item *item)
{
	struct heard *h = arg;

	if (item->lost) {
		h->lost += item->lost;
		h->last = item->row->number;
		return true;
	}
	/* nothing twice, nothing out of order */
	ck_assert_uint_gt(item->row->number, h->last);
	h->last = item->row->number;
	h->numbers[h->n++] = item->row->number;
	(void) snprintf(h->json, sizeof(h->json), "%.*s", (int) item->json.size,
			item->json.data);
	(void) snprintf(h->frame, sizeof(h->frame), "%.*s", (int) item->frame.size,
			item->frame.data);
	if (h->ends)
		h->reader = feed_end(h->reader);
	if (h->ends_other)
		h->ends_other->reader = feed_end(h->ends_other->reader);
	return !h->room || --h->room;
}

static void begin(struct heard *h, struct feed_want want)
{
	ck_assert_int_eq(feed_begin(&h->reader, feed, &want, heard, h), 0);
}

/* ---- shorthand ---- */

static void emit(const char *service, const char *name)
{
	ck_assert_int_eq(store_row_add(&store, STORE_EVENTS,
				       &(struct store_row){ .at_ms = 1700000000000,
							    .service = co_span(service),
							    .name = co_span(name) },
				       NULL, NULL),
			 0);
}

static void emit_many(int n)
{
	while (n-- > 0)
		emit("core", "tick");
}

static void put_many(int n)
{
	while (n-- > 0)
		fake_rows_put(&store, &(struct store_row){ .at_ms = 1000 + store.n,
							   .service = co_span("core"),
							   .name = co_span("old") });
}

static void make_feed(void)
{
	feed = feed_new(
		&fake.host, &store,
		&(struct feed_options){ .table = STORE_EVENTS, .json = events_json });
	ck_assert_ptr_nonnull(feed);
}

static void setup(void)
{
	fake_init(&fake);
	fake_rows_init(&store, &fake);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
}

static void teardown(void)
{
	a.reader = feed_end(a.reader);
	b.reader = feed_end(b.reader);
	fake_settle(&fake);
	feed = feed_free(feed);
	fake_rows_done(&store);
	fake_done(&fake);
}

static void check_run(const struct heard *h, uint64_t first, size_t n)
{
	ck_assert_uint_eq(h->n, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(h->numbers[i], first + i);
}

/* ---- ids ---- */

START_TEST(ids_are_read_back_and_garbage_is_none)
{
	static const char *const bad[] = { "",
					   "1732104000000",
					   "1732104000000-",
					   "173210400000-1",
					   "1732104000000-A",
					   "1732104000000-1 ",
					   "1732104000000_1",
					   "a732104000000-1",
					   "1732104000000-zzzzzzzzzzzzzz" };
	const uint64_t numbers[] = { 1, 35, 36, 1234567, INT64_MAX };
	char id[FEED_ID_MAX];
	uint64_t at_ms, number;

	feed_id(id, 1732104000007, 46655);
	ck_assert_str_eq(id, "1732104000007-zzz");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		feed_id(id, 1732104000007, numbers[i]);
		ck_assert(feed_id_parse(co_span(id), &at_ms, &number));
		ck_assert_uint_eq(at_ms, 1732104000007);
		ck_assert_uint_eq(number, numbers[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!feed_id_parse(co_span(bad[i]), &at_ms, &number), "%s",
			      bad[i]);
}
END_TEST

/* ---- live ---- */

START_TEST(what_is_committed_is_told_once_and_in_order)
{
	make_feed();
	begin(&a, (struct feed_want){ 0 });
	emit_many(3);
	ck_assert_uint_eq(a.n, 0); /* not before the commit */
	fake_settle(&fake);
	check_run(&a, 1, 3);
	emit_many(2);
	fake_settle(&fake);
	check_run(&a, 1, 5);
	ck_assert_uint_eq(store.reads, 0);
}
END_TEST

START_TEST(what_fails_to_commit_is_told_to_nobody)
{
	make_feed();
	begin(&a, (struct feed_want){ 0 });
	store.fail = CO_NO_SPACE;
	emit_many(3);
	fake_settle(&fake);
	ck_assert_uint_eq(a.n, 0);
}
END_TEST

START_TEST(readers_get_what_they_asked_for)
{
	make_feed();
	begin(&a, (struct feed_want){ .service = "core" });
	begin(&b, (struct feed_want){ .pattern = co_span("job:*,user:created") });
	emit("core", "user:created");
	emit("web", "job:done");
	emit("core", "job:failed");
	emit("web", "user:updated");
	fake_settle(&fake);
	ck_assert_uint_eq(a.n, 2);
	ck_assert_uint_eq(a.last, 3);
	check_run(&b, 1, 3);
}
END_TEST

START_TEST(a_frame_is_one_line_of_json_with_its_id)
{
	make_feed();
	begin(&a, (struct feed_want){ 0 });
	store_row_add(&store, STORE_EVENTS,
		      &(struct store_row){ .at_ms = 1732104000007,
					   .service = co_span("core"),
					   .source = co_span("a\nb"),
					   .name = co_span("x"),
					   .json = co_span("{\r\n\"a\":\n1e400}") },
		      NULL, NULL);
	fake_settle(&fake);
	ck_assert_str_eq(a.json,
			 "{\"id\":\"1732104000007-1\",\"event\":\"x\","
			 "\"timestamp\":\"2024-11-20T12:00:00.007Z\",\"source\":"
			 "\"a\\nb\",\"data\":{  \"a\": 1e400}}");
	ck_assert_uint_eq(strlen(a.frame),
			  strlen("id: 1732104000007-1\ndata: \n\n") + strlen(a.json));
	ck_assert_ptr_nonnull(strstr(a.frame, "id: 1732104000007-1\ndata: {"));
}
END_TEST

/* ---- from before ---- */

START_TEST(a_reader_goes_on_behind_the_row_it_names)
{
	put_many(300); /* more than a page of the store */
	make_feed();
	begin(&a, (struct feed_want){ .from = FEED_AFTER, .value = 10 });
	emit_many(5);
	fake_settle(&fake);
	check_run(&a, 11, 295);
	ck_assert_uint_eq(a.lost, 0);
}
END_TEST

START_TEST(what_happens_during_the_replay_comes_behind_it)
{
	put_many(20);
	make_feed();
	store.hold_reads = true;
	begin(&a, (struct feed_want){ .from = FEED_AFTER });
	fake_settle(&fake);
	emit_many(10);
	fake_settle(&fake);
	ck_assert_uint_eq(a.n, 0);
	fake_rows_release(&store);
	emit_many(10);
	fake_settle(&fake);
	check_run(&a, 1, 40);
}
END_TEST

START_TEST(since_is_exclusive_also_for_what_comes)
{
	put_many(20); /* from 1000 to 1019 ms */
	make_feed();
	begin(&a, (struct feed_want){ .from = FEED_SINCE, .value = 1009 });
	begin(&b, (struct feed_want){ .from = FEED_SINCE, .value = 1700000000000 });
	emit_many(1); /* at that very moment */
	fake_settle(&fake);
	check_run(&a, 11, 11);
	ck_assert_uint_eq(b.n, 0);
}
END_TEST

START_TEST(a_store_that_is_busy_is_asked_again)
{
	put_many(20);
	make_feed();
	store.refuse_reads = CO_BUSY;
	begin(&a, (struct feed_want){ .from = FEED_AFTER, .value = 5 });
	fake_settle(&fake);
	store.refuse_reads = 0;
	emit_many(2);
	fake_advance(&fake, 1000);
	check_run(&a, 6, 17);
}
END_TEST

START_TEST(many_readers_come_back_at_once_and_all_are_served)
{
	static struct heard many[50];

	put_many(200);
	make_feed();
	for (size_t i = 0; i < 50; i++) {
		memset(&many[i], 0, sizeof(many[i]));
		begin(&many[i], (struct feed_want){ .from = FEED_AFTER, .value = i });
	}
	fake_settle(&fake);
	for (size_t i = 0; i < 50; i++) {
		check_run(&many[i], i + 1, 200 - i);
		many[i].reader = feed_end(many[i].reader);
	}
}
END_TEST

/* ---- gaps ---- */

START_TEST(forgotten_rows_are_told_as_a_gap)
{
	put_many(100);
	fake_rows_forget(&store, 60);
	make_feed();
	begin(&a, (struct feed_want){ .from = FEED_AFTER, .value = 10 });
	begin(&b, (struct feed_want){ .from = FEED_AFTER, .value = 60 });
	fake_settle(&fake);
	ck_assert_uint_eq(a.lost, 50);
	check_run(&a, 61, 40);
	ck_assert_uint_eq(b.lost, 0);
	check_run(&b, 61, 40);
}
END_TEST

START_TEST(since_a_forgotten_time_is_a_gap_and_later_is_none)
{
	put_many(100);
	fake_rows_forget(&store, 60); /* the oldest left is of 1060 */
	make_feed();
	begin(&a, (struct feed_want){ .from = FEED_SINCE, .value = 1010 });
	begin(&b, (struct feed_want){ .from = FEED_SINCE, .value = 1070 });
	fake_settle(&fake);
	ck_assert_uint_eq(a.lost, 60);
	check_run(&a, 61, 40);
	ck_assert_uint_eq(b.lost, 0);
	check_run(&b, 72, 29);
}
END_TEST

START_TEST(all_there_is_has_no_gap_at_its_beginning)
{
	put_many(10);
	fake_rows_forget(&store, 5);
	make_feed();
	begin(&a, (struct feed_want){ .from = FEED_AFTER });
	fake_settle(&fake);
	ck_assert_uint_eq(a.lost, 0);
	check_run(&a, 6, 5);
}
END_TEST

/* ---- slow readers ---- */

START_TEST(a_paused_reader_gets_the_rest_when_it_has_room)
{
	make_feed();
	a.room = 3;
	begin(&a, (struct feed_want){ 0 });
	emit_many(10);
	fake_settle(&fake);
	check_run(&a, 1, 3);
	a.room = 4;
	feed_resume(a.reader);
	fake_settle(&fake);
	check_run(&a, 1, 7);
	a.room = 0;
	feed_resume(a.reader);
	fake_settle(&fake);
	check_run(&a, 1, 10);
	ck_assert_uint_eq(store.reads, 0);
}
END_TEST

START_TEST(a_reader_slower_than_the_ring_is_served_from_the_store)
{
	make_feed();
	a.room = 1;
	begin(&a, (struct feed_want){ 0 });
	begin(&b, (struct feed_want){ 0 });
	emit_many(CO_LIMIT_FEED_RING + 500);
	fake_settle(&fake);
	check_run(&b, 1, CO_LIMIT_FEED_RING + 500);
	ck_assert_uint_eq(a.n, 1);
	for (int i = 0; i < 100; i++) { /* also in small portions */
		a.room = 7;
		feed_resume(a.reader);
		fake_settle(&fake);
	}
	a.room = 0;
	feed_resume(a.reader);
	emit_many(3);
	fake_settle(&fake);
	check_run(&a, 1, CO_LIMIT_FEED_RING + 503);
	ck_assert_uint_gt(store.reads, 0);
	ck_assert_uint_eq(a.lost, 0);
}
END_TEST

START_TEST(a_reader_slower_than_the_store_is_told_of_the_gap)
{
	make_feed();
	a.room = 1;
	begin(&a, (struct feed_want){ 0 });
	emit_many(CO_LIMIT_FEED_RING * 2);
	fake_settle(&fake);
	fake_rows_forget(&store, 1500);
	a.room = 0;
	feed_resume(a.reader);
	fake_settle(&fake);
	ck_assert_uint_eq(a.lost, 1499);
	ck_assert_uint_eq(a.n, 1 + CO_LIMIT_FEED_RING * 2 - 1500);
	ck_assert_uint_eq(a.last, CO_LIMIT_FEED_RING * 2);
}
END_TEST

/* ---- ending ---- */

START_TEST(readers_may_end_each_other_and_themselves)
{
	make_feed();
	a.ends = true;
	a.ends_other = &b;
	begin(&a, (struct feed_want){ 0 });
	begin(&b, (struct feed_want){ 0 });
	emit_many(5);
	fake_settle(&fake);
	ck_assert_uint_eq(a.n, 1);
	ck_assert_uint_eq(b.n, 0);
	emit_many(2);
	fake_settle(&fake);
}
END_TEST

START_TEST(a_reader_that_ended_is_not_told_what_was_read_for_it)
{
	put_many(10);
	make_feed();
	store.hold_reads = true;
	begin(&a, (struct feed_want){ .from = FEED_AFTER });
	fake_settle(&fake);
	a.reader = feed_end(a.reader);
	fake_rows_release(&store);
	fake_settle(&fake);
	ck_assert_uint_eq(a.n, 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("feed");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, ids_are_read_back_and_garbage_is_none);
	tcase_add_test(tcase, what_is_committed_is_told_once_and_in_order);
	tcase_add_test(tcase, what_fails_to_commit_is_told_to_nobody);
	tcase_add_test(tcase, readers_get_what_they_asked_for);
	tcase_add_test(tcase, a_frame_is_one_line_of_json_with_its_id);
	tcase_add_test(tcase, a_reader_goes_on_behind_the_row_it_names);
	tcase_add_test(tcase, what_happens_during_the_replay_comes_behind_it);
	tcase_add_test(tcase, since_is_exclusive_also_for_what_comes);
	tcase_add_test(tcase, a_store_that_is_busy_is_asked_again);
	tcase_add_test(tcase, many_readers_come_back_at_once_and_all_are_served);
	tcase_add_test(tcase, forgotten_rows_are_told_as_a_gap);
	tcase_add_test(tcase, since_a_forgotten_time_is_a_gap_and_later_is_none);
	tcase_add_test(tcase, all_there_is_has_no_gap_at_its_beginning);
	tcase_add_test(tcase, a_paused_reader_gets_the_rest_when_it_has_room);
	tcase_add_test(tcase, a_reader_slower_than_the_ring_is_served_from_the_store);
	tcase_add_test(tcase, a_reader_slower_than_the_store_is_told_of_the_gap);
	tcase_add_test(tcase, readers_may_end_each_other_and_themselves);
	tcase_add_test(tcase, a_reader_that_ended_is_not_told_what_was_read_for_it);
	return run_tests(tcase);
}
