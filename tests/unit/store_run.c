/* SPDX-License-Identifier: MIT */
/* A running SQLite store: grouping, queue, delivery, history, telemetry.  HOST. */
#include "tests/conformance/client.h"

#include <check.h>
#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[256];
static struct store *s;
static struct answer a, b;
static struct watched w;

/* ---- a loop that runs callbacks when the test says so ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct {
		void (*callback)(void *arg);
		void *arg;
	} jobs[20000];
	size_t n, ran;
} loop = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void deliver(void *ctx, void (*callback)(void *arg), void *arg)
{
	(void) ctx; /* there is one loop */
	pthread_mutex_lock(&loop.lock);
	ck_assert_uint_lt(loop.n, sizeof(loop.jobs) / sizeof(loop.jobs[0]));
	loop.jobs[loop.n].callback = callback;
	loop.jobs[loop.n++].arg = arg;
	pthread_cond_signal(&loop.more);
	pthread_mutex_unlock(&loop.lock);
}

static void loop_wait(size_t jobs)
{
	pthread_mutex_lock(&loop.lock);
	while (loop.n < jobs)
		pthread_cond_wait(&loop.more, &loop.lock);
	pthread_mutex_unlock(&loop.lock);
}

static void loop_run(void)
{
	for (;;) {
		void (*callback)(void *arg);
		void *arg;

		pthread_mutex_lock(&loop.lock);
		if (loop.ran == loop.n) {
			pthread_mutex_unlock(&loop.lock);
			return;
		}
		callback = loop.jobs[loop.ran].callback;
		arg = loop.jobs[loop.ran++].arg;
		pthread_mutex_unlock(&loop.lock);
		callback(arg);
	}
}

static void open_with(bool with_loop)
{
	struct store_options options = { .folder = folder,
					 .deliver = with_loop ? deliver : NULL };
	struct co_err err = { 0 };

	ck_assert_msg(store_open(&s, &options, &err) == 0, "%s", err.message);
}

static void setup(void)
{
	folder_make(folder, sizeof(folder));
	s = NULL;
	watched_init(&w);
	loop.n = loop.ran = 0;
}

static void teardown(void)
{
	s = store_close(s);
	loop_run();
	folder_remove(folder);
}

/* ---- grouping and the queue ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static size_t answered;

static void stop_at_gate(void *arg, const struct store_result *result)
{
	(void) arg;
	(void) result;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void count_answer(void *arg, const struct store_result *result)
{
	(void) arg;
	ck_assert_int_eq(result->status, 0);
	__atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
}

START_TEST(what_waits_is_committed_together)
{
	struct store_status before, after;

	open_with(false);
	pthread_mutex_lock(&gate);
	store_put(s, "first", "x", 1, 0, stop_at_gate, NULL);
	for (int i = 0; i < 500; i++)
		ck_assert_int_eq(store_put(s, "k", "x", 1, 0, count_answer, NULL), 0);
	pthread_mutex_unlock(&gate);
	store_status(s, &before);
	client_put(&a, s, "last", "x");
	ck_assert_uint_eq(answered, 500);
	ck_assert_uint_eq(a.rev, 502);
	client_get(&a, s, "k");
	store_status(s, &after);
	ck_assert_uint_eq(after.revision, 502);
	ck_assert_uint_eq(after.keys, 3);
	ck_assert_uint_ge(after.requests, 502);
	ck_assert_uint_le(after.commits, 10);
}
END_TEST

START_TEST(a_refusal_in_a_group_harms_nobody_else)
{
	open_with(false);
	pthread_mutex_lock(&gate);
	store_put(s, "first", "x", 1, 0, stop_at_gate, NULL);
	store_put(s, "good1", "x", 1, 0, count_answer, NULL);
	client_begin(&b);
	ck_assert_int_eq(store_put(s, "bad", "x", 1, 4711, client_done, &b), 0);
	store_put(s, "good2", "x", 1, 0, count_answer, NULL);
	pthread_mutex_unlock(&gate);
	client_wait(&b, 0);
	ck_assert_int_eq(b.status, CO_NOT_FOUND);
	ck_assert(client_get(&a, s, "good1")->ops[0].found);
	ck_assert(client_get(&a, s, "good2")->ops[0].found);
	ck_assert(!client_get(&a, s, "bad")->ops[0].found);
}
END_TEST

START_TEST(a_full_queue_is_busy_and_recovers)
{
	size_t accepted = 0;
	int status;

	open_with(false);
	pthread_mutex_lock(&gate);
	store_put(s, "first", "x", 1, 0, stop_at_gate, NULL);
	while ((status = store_put(s, "k", "x", 1, 0, count_answer, NULL)) == 0)
		accepted++;
	ck_assert_int_eq(status, CO_BUSY);
	ck_assert_uint_ge(accepted, CO_LIMIT_STORE_QUEUE - 1);
	pthread_mutex_unlock(&gate);
	s = store_close(s);
	ck_assert_uint_eq(answered, accepted);
}
END_TEST

START_TEST(large_values_fill_the_queue_too)
{
	char *value = calloc(1, CO_LIMIT_STORE_VALUE);
	size_t accepted = 0;

	open_with(false);
	pthread_mutex_lock(&gate);
	store_put(s, "first", "x", 1, 0, stop_at_gate, NULL);
	while (store_put(s, "k", value, CO_LIMIT_STORE_VALUE, 0, count_answer, NULL) ==
	       0)
		accepted++;
	ck_assert_uint_lt(accepted,
			  2 * CO_LIMIT_STORE_QUEUE_BYTES / CO_LIMIT_STORE_VALUE);
	pthread_mutex_unlock(&gate);
	client_get(&a, s, "k");
	ck_assert_uint_eq(answered, accepted);
	ck_assert_int_eq(client_put(&a, s, "k", "x")->status, 0);
	free(value);
}
END_TEST

static void put_again(void *arg, const struct store_result *result)
{
	int *left = arg;

	ck_assert_int_eq(result->status, 0);
	if (--*left > 0)
		ck_assert_int_eq(store_put(s, "k", "x", 1, 0, put_again, left), 0);
	else
		client_done(&b, result);
}

START_TEST(a_callback_may_ask_again)
{
	int left = 20;

	open_with(false);
	client_begin(&b);
	store_put(s, "k", "x", 1, 0, put_again, &left);
	client_wait(&b, 0);
	ck_assert_uint_eq(b.rev, 20);
}
END_TEST

START_TEST(closing_finishes_what_is_queued)
{
	open_with(false);
	for (int i = 0; i < 300; i++)
		store_put(s, "k", "x", 1, 0, count_answer, NULL);
	s = store_close(s);
	ck_assert_uint_eq(answered, 300);
	open_with(false);
	ck_assert_uint_eq(client_get(&a, s, "k")->items[0].version, 300);
}
END_TEST

/* ---- delivery elsewhere ---- */

START_TEST(callbacks_run_where_deliver_puts_them)
{
	open_with(true);
	client_begin(&a);
	store_put(s, "k", "v", 1, 0, client_done, &a);
	loop_wait(1);
	ck_assert(!a.done);
	loop_run();
	ck_assert(a.done);
	ck_assert_uint_eq(a.rev, 1);
}
END_TEST

START_TEST(answers_can_be_told_after_close)
{
	open_with(true);
	client_begin(&a);
	store_put(s, "k", "v", 1, 0, client_done, &a);
	s = store_close(s);
	loop_run();
	ck_assert(a.done);
	ck_assert_int_eq(a.status, 0);
}
END_TEST

START_TEST(unwatch_silences_what_is_on_its_way)
{
	struct store_watch *watch = NULL;

	open_with(true);
	store_watch(s, &watch, "", 0, watched_event, &w);
	client_begin(&a);
	store_put(s, "k", "v", 1, 0, client_done, &a);
	loop_wait(2);
	store_unwatch(watch);
	loop_run();
	ck_assert(a.done);
	ck_assert_uint_eq(w.n, 0);
}
END_TEST

START_TEST(unwatch_after_close_is_allowed)
{
	struct store_watch *watch = NULL;

	open_with(false);
	store_watch(s, &watch, "", 0, watched_event, &w);
	client_put(&a, s, "k", "v");
	s = store_close(s);
	ck_assert_ptr_null(store_unwatch(watch));
}
END_TEST

static void unwatch_me(void *arg, const struct store_event *events, size_t n)
{
	struct store_watch **watch = arg;

	watched_event(&w, events, n);
	*watch = store_unwatch(*watch);
}

START_TEST(a_watch_may_end_itself)
{
	struct store_watch *watch = NULL;

	open_with(true);
	store_watch(s, &watch, "", 0, unwatch_me, &watch);
	client_begin(&a);
	client_begin(&b);
	store_put(s, "k", "1", 1, 0, client_done, &a);
	loop_wait(2);
	store_put(s, "k", "2", 1, 0, client_done, &b);
	loop_wait(3);
	loop_run();
	ck_assert_uint_eq(w.n, 1);
	ck_assert_ptr_null(watch);
}
END_TEST

START_TEST(a_slow_watch_must_list_again_and_goes_on)
{
	enum { PUTS = 2 * CO_LIMIT_STORE_WATCH_BYTES / CO_LIMIT_STORE_VALUE };
	char *value = calloc(1, CO_LIMIT_STORE_VALUE);
	struct store_watch *watch = NULL;
	const struct watched_event *last;
	size_t before;

	open_with(true);
	store_watch(s, &watch, "", 0, watched_event, &w);
	answered = 0;
	for (int i = 0; i < PUTS; i++)
		ck_assert_int_eq(store_put(s, "k", value, CO_LIMIT_STORE_VALUE, 0,
					   count_answer, NULL),
				 0);
	client_begin(&a);
	store_put(s, "end", "v", 1, 0, client_done, &a);
	/* all answers, the changes that had room, and the notice that others had not */
	loop_wait(PUTS + 1 +
		  (CO_LIMIT_STORE_WATCH_BYTES - 1) / CO_LIMIT_STORE_VALUE + 1);
	loop_run();
	ck_assert(a.done);
	last = &w.events[w.n - 1];
	ck_assert_uint_lt(w.n, PUTS);
	ck_assert_int_eq(last->kind, STORE_EVENT_RESYNC);
	ck_assert_uint_eq(last->rev, a.rev);
	client_begin(&b);
	before = loop.n;
	store_put(s, "k", "v", 1, 0, client_done, &b);
	loop_wait(before + 2);
	loop_run();
	ck_assert_int_eq(w.events[w.n - 1].kind, STORE_EVENT_PUT);
	ck_assert_uint_eq(w.events[w.n - 1].rev, a.rev + 1);
	store_unwatch(watch);
	free(value);
}
END_TEST

/* ---- leases on the real clock ---- */

START_TEST(a_lease_lapses_without_anybody_asking)
{
	struct store_watch *watch = NULL;
	uint64_t lease;

	open_with(false);
	store_watch(s, &watch, "", 0, watched_event, &w);
	lease = client_grant(&a, s, 50)->rev;
	client_put_lease(&a, s, "k", "v", lease);
	ck_assert(watched_wait(&w, 2));
	ck_assert_int_eq(w.events[1].kind, STORE_EVENT_DELETE);
	store_unwatch(watch);
}
END_TEST

/* ---- history ---- */

START_TEST(history_is_compacted_by_itself)
{
	enum { PUTS = CO_LIMIT_STORE_HISTORY_BYTES / CO_LIMIT_STORE_VALUE };
	char *value = calloc(1, CO_LIMIT_STORE_VALUE);
	struct store_status status;

	open_with(false);
	for (int i = 0; i < PUTS; i++)
		client_put_bytes(&a, s, "k", value, CO_LIMIT_STORE_VALUE);
	client_get(&a, s, "k");
	store_status(s, &status);
	ck_assert_uint_gt(status.compacted, 0);
	ck_assert_uint_lt(status.compacted, status.revision);
	ck_assert_uint_lt(status.bytes, 2 * CO_LIMIT_STORE_HISTORY_BYTES);
	ck_assert_uint_eq(client_get(&a, s, "k")->items[0].version, PUTS);
	free(value);
}
END_TEST

START_TEST(compaction_gives_room_back)
{
	char *value = calloc(1, CO_LIMIT_STORE_VALUE);
	struct store_status before, after;

	open_with(false);
	for (int i = 0; i < 20; i++)
		client_put_bytes(&a, s, "k", value, CO_LIMIT_STORE_VALUE);
	client_compact(&a, s, 0);
	client_put(&a, s, "k", "small");
	client_compact(&a, s, 0);
	client_put(&a, s, "k", "small");
	store_status(s, &before);
	client_compact(&a, s, 0);
	store_status(s, &after);
	ck_assert_uint_lt(after.bytes, before.bytes);
	ck_assert_uint_lt(after.bytes, 2 * CO_LIMIT_STORE_VALUE);
	free(value);
}
END_TEST

START_TEST(the_revision_outlives_compaction_and_restart)
{
	struct store_status status;

	open_with(false);
	client_put(&a, s, "k", "1");
	client_put(&a, s, "k", "2");
	client_compact(&b, s, 0);
	s = store_close(s);
	open_with(false);
	store_status(s, &status);
	ck_assert_uint_eq(status.revision, a.rev);
	ck_assert_uint_eq(status.compacted, a.rev);
	ck_assert_uint_eq(client_put(&a, s, "k", "3")->rev, status.revision + 1);
}
END_TEST

/* ---- telemetry ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t end;
	size_t n;
	bool done;
	struct {
		char message[64];
		uint64_t session;
		int32_t code;
		bool reported;
	} rows[16];
} read_back = { .lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER };

static void read_row(const char *message, uint64_t session, int32_t code, bool reported)
{
	size_t at = read_back.n++;

	if (at >= 16)
		return;
	snprintf(read_back.rows[at].message, sizeof(read_back.rows[at].message), "%s",
		 message);
	read_back.rows[at].session = session;
	read_back.rows[at].code = code;
	read_back.rows[at].reported = reported;
}

static void read_end(void)
{
	pthread_mutex_lock(&read_back.lock);
	read_back.done = true;
	pthread_cond_signal(&read_back.end);
	pthread_mutex_unlock(&read_back.lock);
}

static void read_log(void *arg, const struct store_log *log)
{
	(void) arg;
	if (!log)
		read_end();
	else
		read_row(log->message, log->session, 0, false);
}

static void read_error(void *arg, const struct store_error *e)
{
	(void) arg;
	if (!e)
		read_end();
	else
		read_row(e->message, e->session, e->code, e->reported);
}

static void read_wait(int accepted)
{
	ck_assert_int_eq(accepted, 0);
	pthread_mutex_lock(&read_back.lock);
	while (!read_back.done)
		pthread_cond_wait(&read_back.end, &read_back.lock);
	pthread_mutex_unlock(&read_back.lock);
}

static void read_logs(uint64_t session, uint32_t limit)
{
	read_back.n = 0;
	read_back.done = false;
	read_wait(store_logs(s, session, limit, read_log, NULL));
}

static void log_line(uint64_t session, const char *message)
{
	store_log(s, &(struct store_log){ .at_us = 1,
					  .session = session,
					  .level = "info",
					  .subsystem = "test",
					  .message = message });
}

START_TEST(logs_come_back_newest_last)
{
	open_with(false);
	log_line(1, "one");
	log_line(2, "two");
	log_line(1, "three");
	read_logs(0, 2);
	ck_assert_uint_eq(read_back.n, 2);
	ck_assert_str_eq(read_back.rows[0].message, "two");
	ck_assert_str_eq(read_back.rows[1].message, "three");
	read_logs(1, 10);
	ck_assert_uint_eq(read_back.n, 2);
	ck_assert_str_eq(read_back.rows[0].message, "one");
	s = store_close(s);
	open_with(false);
	read_logs(0, 10);
	ck_assert_uint_eq(read_back.n, 3);
}
END_TEST

START_TEST(errors_come_back_whole)
{
	open_with(false);
	store_error(s, &(struct store_error){ .at_ns = 5,
					      .session = 7,
					      .pid = 1,
					      .tid = 2,
					      .code = -3,
					      .reported = true,
					      .component = "c",
					      .message = "it broke" });
	read_back.n = 0;
	read_back.done = false;
	read_wait(store_errors(s, 0, read_error, NULL));
	ck_assert_uint_eq(read_back.n, 1);
	ck_assert_str_eq(read_back.rows[0].message, "it broke");
	ck_assert_int_eq(read_back.rows[0].code, -3);
	ck_assert_uint_eq(read_back.rows[0].session, 7);
	ck_assert(read_back.rows[0].reported);
}
END_TEST

START_TEST(log_lines_are_capped)
{
	struct store_status status;
	uint64_t sent = 0;

	open_with(false);
	while (sent < CO_LIMIT_TELEMETRY_LOGS + 2000) {
		for (int i = 0; i < 1000; i++, sent++)
			log_line(9, "line");
		read_logs(9, 1);
	}
	read_logs(9, 0);
	ck_assert_uint_eq(read_back.n, CO_LIMIT_TELEMETRY_READ);
	store_status(s, &status);
	ck_assert_uint_eq(status.telemetry_dropped, 0);
	ck_assert_uint_lt(status.telemetry_bytes, CO_LIMIT_TELEMETRY_LOGS * 200ULL);
}
END_TEST

static void stop_reading(void *arg, const struct store_log *log)
{
	(void) arg;
	(void) log;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

START_TEST(too_many_lines_are_dropped_and_counted)
{
	struct store_status status;

	open_with(false);
	pthread_mutex_lock(&gate);
	ck_assert_int_eq(store_logs(s, 0, 1, stop_reading, NULL), 0);
	for (int i = 0; i < CO_LIMIT_TELEMETRY_QUEUE + 100; i++)
		log_line(0, "line");
	pthread_mutex_unlock(&gate);
	store_status(s, &status);
	ck_assert_uint_ge(status.telemetry_dropped, 99);
	s = store_close(s);
	open_with(false);
	read_logs(0, 0);
	ck_assert_uint_ge(read_back.n, CO_LIMIT_TELEMETRY_QUEUE - 1);
}
END_TEST

static void slow_log(void *arg, const struct store_log *log)
{
	bool *found = arg;

	if (!log)
		read_end();
	else if (strstr(log->message, "were dropped"))
		*found = true;
}

START_TEST(a_gap_in_the_log_is_logged)
{
	bool found = false;

	open_with(false);
	pthread_mutex_lock(&gate);
	ck_assert_int_eq(store_logs(s, 0, 1, stop_reading, NULL), 0);
	for (int i = 0; i < CO_LIMIT_TELEMETRY_QUEUE + 100; i++)
		log_line(0, "line");
	pthread_mutex_unlock(&gate);
	do {
		read_back.done = false;
	} while (store_logs(s, 0, 0, slow_log, &found) == CO_BUSY);
	read_wait(0);
	ck_assert(found);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("store: run");
	TCase *tc = tcase_create("run");
	SRunner *runner;
	int failed;
	const TTest *tests[] = {
		what_waits_is_committed_together,
		a_refusal_in_a_group_harms_nobody_else,
		a_full_queue_is_busy_and_recovers,
		large_values_fill_the_queue_too,
		a_callback_may_ask_again,
		closing_finishes_what_is_queued,
		callbacks_run_where_deliver_puts_them,
		answers_can_be_told_after_close,
		unwatch_silences_what_is_on_its_way,
		unwatch_after_close_is_allowed,
		a_watch_may_end_itself,
		a_slow_watch_must_list_again_and_goes_on,
		a_lease_lapses_without_anybody_asking,
		history_is_compacted_by_itself,
		compaction_gives_room_back,
		the_revision_outlives_compaction_and_restart,
		logs_come_back_newest_last,
		errors_come_back_whole,
		log_lines_are_capped,
		too_many_lines_are_dropped_and_counted,
		a_gap_in_the_log_is_logged,
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
