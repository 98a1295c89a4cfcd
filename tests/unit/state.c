/* SPDX-License-Identifier: MIT */
/* The state of services on a real store, a fake clock and a loop turned by hand.  HOST. */
#include "cloudosd/service/state.h"

#include <check.h>
#include <co/limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cloudosd/service/expiry.h"
#include "lib/buf.h"
#include "lib/json_scan.h"
#include "store/store.h"
#include "tests/conformance/client.h"
#include "tests/unit/fake_host.h"

static char folder[256];
static struct fake_host fake;
static struct store *store;
static struct expiry *expiry;
static struct states *state;

/* ---- callbacks of the store run here, when a test waits ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct {
		void (*callback)(void *arg);
		void *arg;
	} jobs[4096];
	size_t n, ran;
} loop = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void deliver(void *ctx, void (*callback)(void *arg), void *arg)
{
	(void) ctx; /* there is one loop */
	pthread_mutex_lock(&loop.lock);
	ck_assert_uint_lt(loop.n - loop.ran, 4096);
	loop.jobs[loop.n % 4096].callback = callback;
	loop.jobs[loop.n++ % 4096].arg = arg;
	pthread_cond_signal(&loop.more);
	pthread_mutex_unlock(&loop.lock);
}

/* One callback; waits for it a minute at most. */
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
	callback = loop.jobs[loop.ran % 4096].callback;
	arg = loop.jobs[loop.ran++ % 4096].arg;
	pthread_mutex_unlock(&loop.lock);
	callback(arg);
}

static bool loop_is_idle(void)
{
	bool idle;

	pthread_mutex_lock(&loop.lock);
	idle = loop.ran == loop.n;
	pthread_mutex_unlock(&loop.lock);
	return idle;
}

static uint64_t wall_ms(void *ctx)
{
	(void) ctx; /* there is one clock */
	return fake.host.wall_ns(fake.host.ctx) / 1000000;
}

/* ---- what was told ---- */

static char events[65536];

static void changed(void *arg, const struct state_change *c)
{
	static const char *const words[] = { "put", "delete", "expire" };
	size_t n = strlen(events);

	(void) arg; /* there is one */
	snprintf(events + n, sizeof(events) - n, "%s %s %.*s %llu;", words[c->what],
		 c->service, (int) c->key.size, c->key.data,
		 (unsigned long long) c->version);
}

static size_t keys_max;

static void open_all(void)
{
	struct store_options options = { .folder = folder,
					 .deliver = deliver,
					 .wall_ms = wall_ms };
	struct state_options state_options = { .keys_max = keys_max,
					       .changed = changed };
	struct co_err err = { 0 };

	ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.message);
	expiry = expiry_new(&fake.host, store);
	state = state_new(&fake.host, store, expiry, &state_options);
	ck_assert_ptr_nonnull(state);
	loop_one(); /* the first sweep */
}

static void close_all(void)
{
	store = store_close(store);
	while (!loop_is_idle())
		loop_one();
	state = state_free(state);
	expiry = expiry_free(expiry);
}

static void setup(void)
{
	folder_make(folder, sizeof(folder));
	fake_init(&fake);
	fake.now_ms = 1000000;
	keys_max = 0;
	events[0] = 0;
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

static struct {
	bool done;
	int status;
	char reason[1024];
	size_t n, failed;
	uint64_t there;
	bool more;
	struct {
		char key[64], value[128];
		uint64_t version, updated_ms, expires_ms;
	} entries[CO_LIMIT_STATE_OPS];
} got;

static void keep(const struct state_entry *entries, size_t n)
{
	got.n = n;
	for (size_t i = 0; i < n && i < CO_LIMIT_STATE_OPS; i++) {
		const struct state_entry *e = &entries[i];

		snprintf(got.entries[i].key, 64, "%.*s", (int) e->key.size,
			 e->key.data);
		snprintf(got.entries[i].value, 128, "%.*s", (int) e->value.size,
			 e->value.data ? e->value.data : "");
		got.entries[i].version = e->version;
		got.entries[i].updated_ms = e->updated_ms;
		got.entries[i].expires_ms = e->expires_ms;
	}
}

static void is_changed(void *arg, const struct state_result *r)
{
	(void) arg; /* there is one */
	got.done = true;
	got.status = r->status;
	snprintf(got.reason, sizeof(got.reason), "%s", r->reason ? r->reason : "");
	got.failed = r->failed;
	got.there = r->version;
	keep(r->entries, r->nentries);
}

static void is_listed(void *arg, const struct state_list *l)
{
	(void) arg; /* there is one */
	got.done = true;
	got.status = l->status;
	snprintf(got.reason, sizeof(got.reason), "%s", l->reason ? l->reason : "");
	got.more = l->more;
	keep(l->entries, l->nentries);
}

static void wait_done(int accepted)
{
	if (accepted < 0) {
		got.status = accepted;
		snprintf(got.reason, sizeof(got.reason), "%s", state_reason(state));
		return;
	}
	while (!got.done)
		loop_one();
}

static int change(const char *service, const struct state_op *ops, size_t n)
{
	memset(&got, 0, sizeof(got));
	wait_done(state_change(state, service, ops, n, is_changed, NULL));
	return got.status;
}

static struct state_op put_op(const char *key, const char *value)
{
	return (struct state_op){ .kind = STATE_PUT,
				  .key = co_span(key),
				  .value = co_span(value) };
}

static int put(const char *key, const char *value)
{
	struct state_op op = put_op(key, value);

	return change("a", &op, 1);
}

static int put_if(const char *key, enum state_if condition, uint64_t version)
{
	struct state_op op = put_op(key, "1");

	op.condition = condition;
	op.version = version;
	return change("a", &op, 1);
}

static int put_ttl(const char *key, const char *value, uint64_t ttl_ms)
{
	struct state_op op = put_op(key, value);

	op.has_ttl = true;
	op.ttl_ms = ttl_ms;
	return change("a", &op, 1);
}

static int remove_if(const char *key, enum state_if condition, uint64_t version)
{
	struct state_op op = { .kind = STATE_DELETE,
			       .key = co_span(key),
			       .condition = condition,
			       .version = version };

	return change("a", &op, 1);
}

static int read_of(const char *service, const char *key)
{
	memset(&got, 0, sizeof(got));
	wait_done(state_get(state, service, co_span(key), is_listed, NULL));
	return got.status;
}

static int list(const char *service, const char *prefix, const char *after,
		size_t limit)
{
	struct state_query q = { service, co_span(prefix), co_span(after), limit };

	memset(&got, 0, sizeof(got));
	wait_done(state_list(state, &q, is_listed, NULL));
	return got.status;
}

/* ---- values and versions ---- */

START_TEST(a_value_comes_back_byte_by_byte)
{
	static const char *const values[] = { "9007199254740993",
					      "1e400",
					      "0.1",
					      "123456789012345678901234567890",
					      "null",
					      "\"\\ud800\"",
					      "{\"b\": 1,  \"a\":2, \"b\":3}",
					      "[]",
					      "-0.0",
					      "1E+2" };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		ck_assert_int_eq(put("k", values[i]), 0);
		ck_assert_str_eq(got.entries[0].value, values[i]);
		ck_assert_uint_eq(got.entries[0].version, i + 1);
		ck_assert_uint_eq(got.entries[0].updated_ms, wall_ms(NULL));
		ck_assert_int_eq(read_of("a", "k"), 0);
		ck_assert_str_eq(got.entries[0].value, values[i]);
		ck_assert_uint_eq(got.entries[0].version, i + 1);
		fake_advance(&fake, 10);
	}
	close_all();
	open_all();
	ck_assert_int_eq(read_of("a", "k"), 0);
	ck_assert_str_eq(got.entries[0].value, "1E+2");
}
END_TEST

START_TEST(services_do_not_see_each_other)
{
	struct state_op op = put_op("k", "2");

	put("k", "1");
	ck_assert_int_eq(change("b", &op, 1), 0);
	ck_assert_uint_eq(got.entries[0].version, 1);
	read_of("a", "k");
	ck_assert_str_eq(got.entries[0].value, "1");
	list("b", "", "", 0);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_str_eq(got.entries[0].value, "2");
	ck_assert_int_eq(read_of("c", "k"), 0);
	ck_assert_uint_eq(got.n, 0);
}
END_TEST

START_TEST(an_expected_version_counts_only_where_there_is_a_key)
{
	ck_assert_int_eq(put_if("k", STATE_IF_VERSION, 7), 0);
	ck_assert_uint_eq(got.entries[0].version, 1);
	ck_assert_int_eq(put_if("k", STATE_IF_VERSION, 7), CO_CONFLICT);
	ck_assert_str_eq(got.reason, "Version conflict for key 'k': expected 7, got 1");
	ck_assert_uint_eq(got.there, 1);
	ck_assert_int_eq(put_if("k", STATE_IF_VERSION, 0), CO_CONFLICT);
	ck_assert_str_eq(got.reason, "Version conflict for key 'k': expected 0, got 1");
	ck_assert_int_eq(put_if("k", STATE_IF_VERSION, 1), 0);
	ck_assert_int_eq(put_if("new", STATE_IF_VERSION, 0), 0);
	read_of("a", "k");
	ck_assert_uint_eq(got.entries[0].version, 2);
}
END_TEST

START_TEST(exact_conditions_count_where_there_is_none_too)
{
	ck_assert_int_eq(put_if("k", STATE_IF_EXACTLY, 7), CO_CONFLICT);
	ck_assert_int_eq(put_if("k", STATE_IF_EXISTS, 0), CO_CONFLICT);
	ck_assert_str_eq(got.reason, "Key 'k' does not exist");
	ck_assert_int_eq(put_if("k", STATE_IF_ABSENT, 0), 0);
	ck_assert_int_eq(put_if("k", STATE_IF_ABSENT, 0), CO_CONFLICT);
	ck_assert_str_eq(got.reason, "Key 'k' exists, with version 1");
	ck_assert_int_eq(put_if("k", STATE_IF_EXISTS, 0), 0);
	ck_assert_int_eq(put_if("k", STATE_IF_EXACTLY, 2), 0);
	ck_assert_int_eq(remove_if("k", STATE_IF_EXACTLY, 2), CO_CONFLICT);
	ck_assert_int_eq(remove_if("k", STATE_IF_EXACTLY, 3), 0);
	ck_assert_uint_eq(got.entries[0].version, 3);
	ck_assert_int_eq(remove_if("k", STATE_IF_ANY, 0), 0);
	ck_assert_uint_eq(got.entries[0].version, 0);
	ck_assert_int_eq(put("k", "1"), 0);
	ck_assert_uint_eq(got.entries[0].version, 1);
}
END_TEST

START_TEST(bad_keys_are_refused)
{
	char longest[CO_LIMIT_STATE_KEY + 2];
	struct state_op nul = put_op("", "1");

	memset(longest, 'k', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	ck_assert_int_eq(put(longest, "1"), CO_INVALID);
	ck_assert_ptr_nonnull(strstr(got.reason, "longer than 512"));
	longest[CO_LIMIT_STATE_KEY] = 0;
	ck_assert_int_eq(put(longest, "1"), 0);
	ck_assert_int_eq(put("", "1"), CO_INVALID);
	ck_assert_int_eq(put("\xff", "1"), CO_INVALID);
	nul.key = (struct co_span){ "a\0b", 3 };
	ck_assert_int_eq(change("a", &nul, 1), CO_INVALID);
	ck_assert_int_eq(read_of("a", ""), CO_INVALID);
	ck_assert_int_eq(list("a", "\xc0\x80", "", 0), CO_INVALID);
	ck_assert_int_eq(put("a/b \xc3\xbc\x01", "1"), 0);
}
END_TEST

/* ---- lists ---- */

START_TEST(lists_are_sorted_and_paged)
{
	char key[16];

	for (int i = 0; i < 30; i++) {
		snprintf(key, sizeof(key), "%s/%02d", i % 2 ? "odd" : "even", 29 - i);
		put(key, "0");
	}
	list("a", "odd/", "", 10);
	ck_assert_uint_eq(got.n, 10);
	ck_assert(got.more);
	ck_assert_str_eq(got.entries[0].key, "odd/00");
	list("a", "odd/", "odd/18", 10);
	ck_assert_uint_eq(got.n, 5);
	ck_assert(!got.more);
	ck_assert_str_eq(got.entries[4].key, "odd/28");
	list("a", "", "", 0);
	ck_assert_uint_eq(got.n, 30);
	ck_assert_str_eq(got.entries[0].key, "even/01");
	list("a", "none", "", 0);
	ck_assert_uint_eq(got.n, 0);
}
END_TEST

/* ---- transactions ---- */

START_TEST(a_transaction_is_done_or_not_done_whole)
{
	struct state_op ops[] = { put_op("x", "1"),
				  { .kind = STATE_DELETE, .key = co_span("y") },
				  { .kind = STATE_CHECK,
				    .key = co_span("z"),
				    .condition = STATE_IF_EXACTLY,
				    .version = 2 } };

	put("y", "1");
	put("z", "1");
	ck_assert_int_eq(change("a", ops, 3), CO_CONFLICT);
	ck_assert_uint_eq(got.failed, 2);
	ck_assert_uint_eq(got.there, 1);
	list("a", "", "", 0);
	ck_assert_uint_eq(got.n, 2);
	put("z", "2");
	ck_assert_int_eq(change("a", ops, 3), 0);
	ck_assert_uint_eq(got.n, 3);
	ck_assert_uint_eq(got.entries[0].version, 1);
	ck_assert_uint_eq(got.entries[1].version, 1);
	ck_assert_uint_eq(got.entries[2].version, 2);
	list("a", "", "", 0);
	ck_assert_uint_eq(got.n, 2);
	ck_assert_str_eq(got.entries[0].key, "x");
	ck_assert_str_eq(got.entries[1].key, "z");
}
END_TEST

START_TEST(transactions_are_bounded_and_put_a_key_once)
{
	static char keys[CO_LIMIT_STATE_OPS + 1][8];
	struct state_op ops[CO_LIMIT_STATE_OPS + 1];

	for (size_t i = 0; i <= CO_LIMIT_STATE_OPS; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		ops[i] = put_op(keys[i], "1");
		ops[i].condition = STATE_IF_ABSENT;
	}
	ck_assert_int_eq(change("a", ops, 0), CO_INVALID);
	ck_assert_int_eq(change("a", ops, CO_LIMIT_STATE_OPS + 1), CO_TOO_BIG);
	ck_assert_int_eq(change("a", ops, CO_LIMIT_STATE_OPS), 0);
	ck_assert_uint_eq(got.n, CO_LIMIT_STATE_OPS);
	ops[1].key = ops[0].key;
	ck_assert_int_eq(change("a", ops, 2), CO_INVALID);
	ck_assert_str_eq(got.reason, "the key 'k0' is put twice");
}
END_TEST

/* ---- ttl ---- */

START_TEST(a_ttl_stays_until_another_is_given)
{
	uint64_t start = wall_ms(NULL);

	put_ttl("k", "1", 5000);
	ck_assert_uint_eq(got.entries[0].expires_ms, start + 5000);
	put("k", "2");
	ck_assert_uint_eq(got.entries[0].expires_ms, start + 5000);
	put_ttl("k", "3", 9000);
	ck_assert_uint_eq(got.entries[0].expires_ms, start + 9000);
	put_ttl("k", "4", 0);
	ck_assert_uint_eq(got.entries[0].expires_ms, 0);
	put("k", "5");
	ck_assert_uint_eq(got.entries[0].expires_ms, 0);
}
END_TEST

/* What is to be swept is. */
static void sweep_until(const char *text)
{
	for (int i = 0; i < 1000 && !strstr(events, text); i++) {
		fake_advance(&fake, 0);
		loop_one();
	}
	ck_assert_msg(strstr(events, text), "%s", events);
}

START_TEST(an_expired_key_is_gone_at_once_and_swept_soon)
{
	put_ttl("k", "1", 5000);
	put("other", "1");
	events[0] = 0;
	fake_advance(&fake, 4999);
	read_of("a", "k");
	ck_assert_uint_eq(got.n, 1);
	fake_advance(&fake, 1);
	read_of("a", "k");
	ck_assert_uint_eq(got.n, 0);
	list("a", "", "", 0);
	ck_assert_uint_eq(got.n, 1);
	sweep_until("expire a k 1;");
	ck_assert_int_eq(put_if("k", STATE_IF_ABSENT, 0), 0);
	ck_assert_uint_eq(got.entries[0].version, 1);
}
END_TEST

START_TEST(expiry_goes_on_after_a_restart)
{
	put_ttl("k", "1", 5000);
	put_ttl("l", "1", 60000);
	close_all();
	fake_advance(&fake, 6000);
	events[0] = 0;
	open_all();
	sweep_until("expire a k 1;");
	read_of("a", "l");
	ck_assert_uint_eq(got.n, 1);
	events[0] = 0;
	fake_advance(&fake, 60000);
	sweep_until("expire a l 1;");
}
END_TEST

START_TEST(a_key_put_over_an_expired_one_tells_of_both)
{
	put_ttl("k", "1", 5000);
	put("k", "2");
	fake.now_ms += 6000; /* without the timers */
	events[0] = 0;
	put("k", "3");
	ck_assert_uint_eq(got.entries[0].version, 1);
	ck_assert_uint_eq(got.entries[0].expires_ms, 0);
	ck_assert_str_eq(events, "expire a k 2;put a k 1;");
}
END_TEST

START_TEST(changes_are_told_after_they_are_done)
{
	events[0] = 0;
	put("k", "1");
	put_if("k", STATE_IF_ABSENT, 0);
	remove_if("k", STATE_IF_ANY, 0);
	remove_if("k", STATE_IF_ANY, 0);
	ck_assert_str_eq(events, "put a k 1;delete a k 1;");
}
END_TEST

/* ---- quotas ---- */

START_TEST(a_service_has_no_more_keys_than_it_may)
{
	close_all();
	keys_max = 3;
	open_all();
	for (int round = 0; round < 2; round++) {
		put("1", "1");
		put("2", "1");
		ck_assert_int_eq(put_ttl("3", "1", 1000), 0);
		ck_assert_int_eq(put("4", "1"), CO_TABLE_FULL);
		ck_assert_ptr_nonnull(strstr(got.reason, "3 keys"));
		ck_assert_int_eq(put_if("4", STATE_IF_EXISTS, 0), CO_CONFLICT);
		ck_assert_int_eq(put("3", "2"), 0);
		close_all();
		open_all();
		ck_assert_int_eq(put("3", "3"), 0); /* now they are counted */
		ck_assert_int_eq(put("4", "1"), CO_TABLE_FULL);
		ck_assert_int_eq(remove_if("1", STATE_IF_ANY, 0), 0);
		ck_assert_int_eq(put("5", "1"), 0);
		events[0] = 0;
		fake_advance(&fake, 1000);
		sweep_until("expire a 3");
		ck_assert_int_eq(put("6", "1"), 0);
		ck_assert_int_eq(put("7", "1"), CO_TABLE_FULL);
		for (char c = '1'; c <= '7'; c++)
			remove_if((char[]){ c, 0 }, STATE_IF_ANY, 0);
	}
}
END_TEST

START_TEST(a_damaged_value_is_told_and_can_be_replaced)
{
	ck_assert_int_eq(store_put(store, "/state/a/k", "\1short", 6, 0, NULL, NULL),
			 0);
	put("behind", "1");
	ck_assert_int_eq(read_of("a", "k"), CO_CORRUPT);
	ck_assert_ptr_nonnull(strstr(got.reason, "'k' is damaged"));
	ck_assert_int_eq(put("k", "1"), 0);
	ck_assert_int_eq(read_of("a", "k"), 0);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("state");
	TCase *tc = tcase_create("state");
	SRunner *runner;
	int failed;
	const TTest *tests[] = {
		a_value_comes_back_byte_by_byte,
		services_do_not_see_each_other,
		an_expected_version_counts_only_where_there_is_a_key,
		exact_conditions_count_where_there_is_none_too,
		bad_keys_are_refused,
		lists_are_sorted_and_paged,
		a_transaction_is_done_or_not_done_whole,
		transactions_are_bounded_and_put_a_key_once,
		a_ttl_stays_until_another_is_given,
		an_expired_key_is_gone_at_once_and_swept_soon,
		expiry_goes_on_after_a_restart,
		a_key_put_over_an_expired_one_tells_of_both,
		changes_are_told_after_they_are_done,
		a_service_has_no_more_keys_than_it_may,
		a_damaged_value_is_told_and_can_be_replaced,
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
