/* SPDX-License-Identifier: MIT */
/* Requests that are carried out once, on a fake clock and a real store.  HOST. */
#include "cloudosd/service/idempotency.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cloudosd/service/expiry.h"
#include "store/store.h"
#include "tests/conformance/client.h"
#include "tests/unit/fake_host.h"

static char folder[256];
static struct fake_host fake;
static struct store *store;
static struct expiry *expiry;
static struct idempotency *all;

/* ---- callbacks of the store run here ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct {
		void (*callback)(void *arg);
		void *arg;
	} jobs[256];
	size_t n, ran;
} loop = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void deliver(void *ctx, void (*callback)(void *arg), void *arg)
{
	(void) ctx; /* there is one loop */
	pthread_mutex_lock(&loop.lock);
	ck_assert_uint_lt(loop.n - loop.ran, 256);
	loop.jobs[loop.n % 256].callback = callback;
	loop.jobs[loop.n++ % 256].arg = arg;
	pthread_cond_signal(&loop.more);
	pthread_mutex_unlock(&loop.lock);
}

/* One callback; a minute at most. */
static void loop_one(void)
{
	struct timespec until;
	void (*callback)(void *arg);
	void *arg;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&loop.lock);
	while (loop.ran == loop.n)
		ck_assert_int_eq(pthread_cond_timedwait(&loop.more, &loop.lock, &until),
				 0);
	callback = loop.jobs[loop.ran % 256].callback;
	arg = loop.jobs[loop.ran++ % 256].arg;
	pthread_mutex_unlock(&loop.lock);
	callback(arg);
}

static uint64_t wall_ms(void *ctx)
{
	(void) ctx; /* there is one clock */
	return fake.host.wall_ns(fake.host.ctx) / 1000000;
}

static void open_all(void)
{
	struct store_options options = { .folder = folder,
					 .deliver = deliver,
					 .wall_ms = wall_ms };
	struct co_err err = { 0 };

	ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.message);
	expiry = expiry_new(&fake.host, store);
	all = idempotency_new(&fake.host, store, expiry);
}

static void close_all(void)
{
	store = store_close(store);
	while (loop.ran < loop.n)
		loop_one();
	all = idempotency_free(all);
	expiry = expiry_free(expiry);
}

static void setup(void)
{
	folder_make(folder, sizeof(folder));
	fake_init(&fake);
	fake.now_ms = 1000000;
	loop.n = loop.ran = 0;
	open_all();
}

static void teardown(void)
{
	close_all();
	fake_done(&fake);
	folder_remove(folder);
}

/* ---- asking ---- */

struct asked {
	bool told;
	enum idempotency_kind kind;
	struct idempotency_run *run;
	int answer, status;
	char body[64];
};

static void told(void *arg, const struct idempotency_result *r)
{
	struct asked *a = arg;

	ck_assert(!a->told);
	a->told = true;
	a->kind = r->kind;
	a->run = r->run;
	a->answer = r->answer;
	a->status = r->status;
	snprintf(a->body, sizeof(a->body), "%.*s", (int) r->body.size,
		 r->body.data ? r->body.data : "");
}

static void begin(struct asked *a, const char *scope, const char *key,
		  const char *request)
{
	memset(a, 0, sizeof(*a));
	ck_assert_int_eq(
		idempotency_begin(all, scope, co_span(key), co_span(request), told, a),
		0);
}

static void ask(struct asked *a, const char *scope, const char *key,
		const char *request)
{
	begin(a, scope, key, request);
	while (!a->told)
		loop_one();
}

/* Carried out, answered, and recorded. */
static void carry_out(const char *key, const char *request, const char *body)
{
	struct asked a, b;

	ask(&a, "s", key, request);
	ck_assert_int_eq(a.kind, IDEMPOTENCY_FIRST);
	begin(&b, "s", key, request);
	idempotency_end(a.run, 201, co_span(body));
	while (!b.told)
		loop_one();
	ck_assert_int_eq(b.kind, IDEMPOTENCY_KNOWN);
	ck_assert_str_eq(b.body, body);
}

START_TEST(the_first_answer_comes_back_also_after_a_restart)
{
	struct asked a;

	carry_out("k", "request", "{\"id\":1}");
	for (int i = 0; i < 2; i++) {
		ask(&a, "s", "k", "request");
		ck_assert_int_eq(a.kind, IDEMPOTENCY_KNOWN);
		ck_assert_int_eq(a.answer, 201);
		ck_assert_str_eq(a.body, "{\"id\":1}");
		ask(&a, "s", "k", "another");
		ck_assert_int_eq(a.kind, IDEMPOTENCY_OTHER);
		close_all();
		open_all();
	}
	ask(&a, "t", "k", "request");
	ck_assert_int_eq(a.kind, IDEMPOTENCY_FIRST);
	idempotency_end(a.run, 0, (struct co_span){ NULL, 0 });
}
END_TEST

START_TEST(who_comes_while_it_runs_waits_for_its_answer)
{
	struct asked first, same, other;

	ask(&first, "s", "k", "request");
	begin(&same, "s", "k", "request");
	begin(&other, "s", "k", "other");
	ck_assert(!same.told && !other.told);
	idempotency_end(first.run, 200, co_span("{}"));
	while (!same.told || !other.told)
		loop_one();
	ck_assert_int_eq(same.kind, IDEMPOTENCY_KNOWN);
	ck_assert_int_eq(other.kind, IDEMPOTENCY_OTHER);
}
END_TEST

START_TEST(after_a_failure_the_next_in_line_carries_it_out)
{
	struct asked first, second, third;

	ask(&first, "s", "k", "bad");
	begin(&second, "s", "k", "good");
	begin(&third, "s", "k", "good");
	idempotency_end(first.run, 0, (struct co_span){ NULL, 0 });
	ck_assert(second.told && !third.told);
	ck_assert_int_eq(second.kind, IDEMPOTENCY_FIRST);
	idempotency_end(second.run, 201, co_span("{}"));
	while (!third.told)
		loop_one();
	ck_assert_int_eq(third.kind, IDEMPOTENCY_KNOWN);
}
END_TEST

START_TEST(a_day_later_it_is_forgotten)
{
	struct asked a;

	carry_out("k", "request", "{}");
	fake_advance(&fake, (uint64_t) IDEMPOTENCY_HOURS * 3600 * 1000 - 1);
	ask(&a, "s", "k", "request");
	ck_assert_int_eq(a.kind, IDEMPOTENCY_KNOWN);
	fake_advance(&fake, 1);
	ask(&a, "s", "k", "request");
	ck_assert_int_eq(a.kind, IDEMPOTENCY_FIRST);
	idempotency_end(a.run, 0, (struct co_span){ NULL, 0 });
}
END_TEST

START_TEST(keys_that_are_none_are_refused)
{
	static const char *const keys[] = { "", "a b", "a\n", "\xc3\xbc", "\x7f" };
	struct asked a = { 0 };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		ck_assert_int_eq(idempotency_begin(all, "s", co_span(keys[i]),
						   co_span(""), told, &a),
				 CO_INVALID);
	ck_assert(!a.told);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("idempotency");
	TCase *tc = tcase_create("idempotency");
	SRunner *runner;
	int failed;
	const TTest *tests[] = {
		the_first_answer_comes_back_also_after_a_restart,
		who_comes_while_it_runs_waits_for_its_answer,
		after_a_failure_the_next_in_line_carries_it_out,
		a_day_later_it_is_forgotten,
		keys_that_are_none_are_refused,
	};

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 300);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
