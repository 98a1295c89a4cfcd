/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/handler.h on a fake clock and fake providers.  HOST. */
#include "cloudosd/service/handler.h"

#include <check.h>
#include <co/limits.h>
#include <co/status.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "tests/run.h"
#include "tests/unit/fake_host.h"

static struct fake_host fake;
static struct handlers *h;

/* A provider that notes what it gets. */
struct worker {
	struct handler_provider *p;
	uint64_t ids[300], cancelled[8];
	unsigned begun, ncancelled;
	int refuse; /* what begin returns */
	bool knows_all;
	char last[256];
};

static int worker_begin(void *ctx, const struct handler_task *task)
{
	struct worker *w = ctx;
	const struct handler_request *r = task->request;

	if (w->refuse)
		return w->refuse;
	ck_assert_uint_lt(w->begun, co_countof(w->ids));
	w->ids[w->begun++] = task->id;
	(void) snprintf(w->last, sizeof(w->last), "%.*s(%.*s) for %.*s/%.*s %d",
			(int) r->name.size, r->name.data, (int) r->params.size,
			r->params.data, (int) r->caller.service.size,
			r->caller.service.data ? r->caller.service.data : "",
			(int) r->caller.role.size,
			r->caller.role.data ? r->caller.role.data : "", r->caller.pid);
	return 0;
}

static void worker_cancel(void *ctx, uint64_t id)
{
	struct worker *w = ctx;

	ck_assert_uint_lt(w->ncancelled, co_countof(w->cancelled));
	w->cancelled[w->ncancelled++] = id;
}

static bool worker_knows(void *ctx, const char *service, enum handler_subject subject,
			 struct co_span name)
{
	const struct worker *w = ctx;

	(void) service;
	return w->knows_all && subject == HANDLER_METHOD && !co_span_is(name, "no");
}

static const struct handler_provider_ops worker_ops = { .kind = HANDLER_ATTACHED,
							.begin = worker_begin,
							.cancel = worker_cancel,
							.knows = worker_knows };

static void worker_new(struct worker *w, const char *service, uint32_t max_calls)
{
	struct handler_provider_spec spec = { .service = service,
					      .label = "process 7",
					      .max_calls = max_calls,
					      .ops = &worker_ops,
					      .ctx = w };

	memset(w, 0, sizeof(*w));
	ck_assert_int_eq(handlers_provide(h, &spec, &w->p, NULL), 0);
}

static void offer(struct worker *w, const char *name)
{
	ck_assert_int_eq(handler_offer(w->p, HANDLER_METHOD, co_span(name), NULL), 0);
}

/* A caller that notes what becomes of its call. */
struct caller {
	unsigned done, begun, progress;
	int status;
	char code[32], text[256], details[128], by[32];
	uint64_t elapsed;
	struct handler_call *call;
};

static void text_of(char *to, size_t size, struct co_span from)
{
	(void) snprintf(to, size, "%.*s", (int) from.size, from.data ? from.data : "");
}

static void on_done(void *arg, const struct handler_result *r)
{
	struct caller *c = arg;

	c->done++;
	c->status = r->status;
	c->elapsed = r->elapsed_ms;
	text_of(c->code, sizeof(c->code), co_span(r->code));
	text_of(c->text, sizeof(c->text), r->status == 200 ? r->result : r->message);
	text_of(c->details, sizeof(c->details), r->details);
	c->call = NULL;
}

static void on_begun(void *arg, const char *by)
{
	struct caller *c = arg;

	c->begun++;
	text_of(c->by, sizeof(c->by), co_span(by));
}

static void on_progress(void *arg, struct co_span value)
{
	struct caller *c = arg;

	c->progress++;
	text_of(c->text, sizeof(c->text), value);
}

static void call_with(struct caller *c, const char *service, const char *name,
		      const char *params, uint64_t timeout)
{
	struct handler_request r = { .service = service,
				     .name = co_span(name),
				     .params = co_span(params),
				     .timeout_ms = timeout,
				     .caller = { .service = co_span("operator"),
						 .role = co_span("op"),
						 .pid = 12 } };
	struct handler_listener l = {
		.begun = on_begun, .progress = on_progress, .done = on_done, .arg = c
	};

	struct handler_call *call;

	memset(c, 0, sizeof(*c));
	call = handlers_call(h, &r, &l);
	ck_assert_int_eq(call == NULL, c->done == 1);
	c->call = call;
}

static void call(struct caller *c, const char *name)
{
	call_with(c, "core", name, "{\"id\":9007199254740993}", 1000);
}

static bool answer(struct worker *w, uint64_t id, const char *json)
{
	struct handler_result r = { .status = 200, .result = co_span(json) };

	return handler_answer(w->p, id, &r);
}

static void gone(struct worker *w)
{
	handlers_remove(w->p, 500, "HANDLER_CRASHED", "process 7 has ended");
	w->p = NULL;
}

static void set_up(void)
{
	fake_init(&fake);
	h = handlers_new(&fake.host);
	ck_assert_ptr_nonnull(h);
}

static void tear_down(void)
{
	h = handlers_free(h);
	fake_done(&fake);
}

/* ---- calls ---- */

START_TEST(a_call_reaches_its_handler_and_comes_back_as_it_was)
{
	static struct worker w;
	static struct caller c;

	worker_new(&w, "core", 0);
	offer(&w, "getUser");
	call(&c, "getUser");
	ck_assert_uint_eq(c.done, 0);
	ck_assert_uint_eq(c.begun, 1);
	ck_assert_str_eq(c.by, "process 7");
	ck_assert_str_eq(w.last,
			 "getUser({\"id\":9007199254740993}) for operator/op 12");
	fake_advance(&fake, 5);
	ck_assert(answer(&w, w.ids[0], " 1e400 "));
	ck_assert_uint_eq(c.done, 1);
	ck_assert_int_eq(c.status, 200);
	ck_assert_str_eq(c.text, "1e400");
	ck_assert_uint_eq(c.elapsed, 5);
	/* at most once: the answer, too */
	ck_assert(!answer(&w, w.ids[0], "2"));
	ck_assert_uint_eq(c.done, 1);
	ck_assert_uint_eq(handlers_numbers(h).late, 1);
	ck_assert_uint_eq(handlers_numbers(h).in_flight, 0);
}
END_TEST

START_TEST(a_name_belongs_to_its_service_and_its_subject)
{
	static struct worker w;
	static struct caller c;

	worker_new(&w, "core", 0);
	offer(&w, "getUser");
	call_with(&c, "web", "getUser", NULL, 1000);
	ck_assert_int_eq(c.status, 404);
	ck_assert_str_eq(c.code, "METHOD_NOT_FOUND");
	ck_assert_str_eq(c.text,
			 "nobody offers the method \"getUser\" for service \"web\"");
	ck_assert(handlers_exists(h, "core", HANDLER_METHOD, co_span("getUser")));
	ck_assert(!handlers_exists(h, "core", HANDLER_JOB, co_span("getUser")));
	ck_assert(!handlers_exists(h, "core", HANDLER_METHOD, co_span("getUse")));
	handler_withdraw(w.p, HANDLER_METHOD, co_span("getUser"));
	call(&c, "getUser");
	ck_assert_int_eq(c.status, 404);
}
END_TEST

START_TEST(nothing_and_garbage_and_too_much_are_told_apart)
{
	static char much[CO_LIMIT_RPC_RESULT + 2];
	struct handler_result r = { .status = 200 };
	static struct worker w;
	static struct caller c;

	worker_new(&w, "core", 0);
	offer(&w, "x");
	call(&c, "x");
	ck_assert(handler_answer(w.p, w.ids[0], &r));
	ck_assert_str_eq(c.text, "null");
	call(&c, "x");
	ck_assert(answer(&w, w.ids[1], "{\"a\":"));
	ck_assert_int_eq(c.status, 500);
	ck_assert_str_eq(c.code, "INVALID_RESULT");
	memset(much, '1', sizeof(much) - 1);
	call(&c, "x");
	ck_assert(answer(&w, w.ids[2], much));
	ck_assert_str_eq(c.code, "RESULT_TOO_LARGE");
	call(&c, "x");
	ck_assert(handler_fail(w.p, w.ids[3], 500, "USER_NOT_FOUND", "User %d", 123));
	ck_assert_str_eq(c.code, "USER_NOT_FOUND");
	ck_assert_str_eq(c.text, "User 123");
	ck_assert_uint_eq(handlers_numbers(h).failed, 3);
}
END_TEST

START_TEST(another_provider_cannot_answer_a_call)
{
	static struct worker w, other;
	static struct caller c;

	worker_new(&w, "core", 0);
	worker_new(&other, "core", 0);
	offer(&w, "x");
	call(&c, "x");
	ck_assert(!answer(&other, w.ids[0], "1"));
	ck_assert(!handler_progress(other.p, w.ids[0], co_span("1")));
	ck_assert_uint_eq(c.done, 0);
	ck_assert(answer(&w, w.ids[0], "1"));
}
END_TEST

START_TEST(progress_is_told_until_the_end_and_garbage_is_not)
{
	static struct worker w;
	static struct caller c;

	worker_new(&w, "core", 0);
	offer(&w, "x");
	call(&c, "x");
	ck_assert(handler_progress(w.p, w.ids[0], co_span("{\"percent\":50}")));
	ck_assert_str_eq(c.text, "{\"percent\":50}");
	ck_assert(!handler_progress(w.p, w.ids[0], co_span("{")));
	ck_assert(answer(&w, w.ids[0], "1"));
	ck_assert(!handler_progress(w.p, w.ids[0], co_span("2")));
	ck_assert_uint_eq(c.progress, 1);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(a_call_ends_at_its_deadline_and_its_handler_is_told)
{
	static struct worker w;
	static struct caller c;

	worker_new(&w, "core", 1);
	offer(&w, "x");
	call_with(&c, "core", "x", NULL, 300);
	fake_advance(&fake, 299);
	ck_assert_uint_eq(c.done, 0);
	fake_advance(&fake, 1);
	ck_assert_uint_eq(c.done, 1);
	ck_assert_int_eq(c.status, 500);
	ck_assert_str_eq(c.code, "TIMEOUT");
	ck_assert_str_eq(c.details, "{\"elapsedMs\":300,\"begun\":true}");
	ck_assert_uint_eq(w.ncancelled, 1);
	ck_assert_uint_eq(w.cancelled[0], w.ids[0]);
	/* its late answer is dropped, and only then it has room again */
	ck_assert_uint_eq(handler_in_flight(w.p), 1);
	ck_assert(answer(&w, w.ids[0], "1"));
	ck_assert_uint_eq(c.done, 1);
	ck_assert_uint_eq(handler_in_flight(w.p), 0);
}
END_TEST

START_TEST(deadlines_fire_in_their_order_whatever_the_order_of_calls)
{
	static const uint64_t ms[] = { 500, 100, 900, 100, 300 };
	static struct worker w;
	static struct caller c[5];
	uint64_t at = 0;

	worker_new(&w, "core", 0);
	offer(&w, "x");
	for (size_t i = 0; i < 5; i++)
		call_with(&c[i], "core", "x", NULL, ms[i]);
	for (; at < 1000; at += 50, fake_advance(&fake, 50))
		for (size_t i = 0; i < 5; i++)
			ck_assert_uint_eq(c[i].done, at >= ms[i]);
}
END_TEST

START_TEST(a_handler_that_never_gives_up_a_call_gets_its_place_back_in_the_end)
{
	static struct worker w;
	static struct caller c, next;

	worker_new(&w, "core", 1);
	offer(&w, "x");
	call_with(&c, "core", "x", NULL, 100);
	fake_advance(&fake, 100);
	call_with(&next, "core", "x", NULL, CO_LIMIT_RPC_LATE_MS + 1000);
	ck_assert_uint_eq(w.begun, 1); /* it is still busy */
	fake_advance(&fake, CO_LIMIT_RPC_LATE_MS - 1);
	ck_assert_uint_eq(w.begun, 1);
	fake_advance(&fake, 1);
	ck_assert_uint_eq(w.begun, 2);
	ck_assert(!answer(&w, w.ids[0], "1"));
	ck_assert(answer(&w, w.ids[1], "2"));
	ck_assert_str_eq(next.text, "2");
}
END_TEST

START_TEST(whoever_waits_for_a_free_handler_has_a_deadline_too)
{
	static struct worker w;
	static struct caller c, next;

	worker_new(&w, "core", 1);
	offer(&w, "x");
	call_with(&c, "core", "x", NULL, 0);
	call_with(&next, "core", "x", NULL, 50);
	fake_advance(&fake, 50);
	ck_assert_str_eq(next.code, "TIMEOUT");
	ck_assert_str_eq(next.details, "{\"elapsedMs\":50,\"begun\":false}");
	ck_assert_uint_eq(w.ncancelled, 0); /* it has never heard of it */
	ck_assert(answer(&w, w.ids[0], "1"));
	ck_assert_uint_eq(w.begun, 1);
	ck_assert_uint_eq(c.done, 1);
}
END_TEST

START_TEST(a_cancelled_call_is_silent_and_its_handler_is_told)
{
	static struct worker w;
	static struct caller c, queued;

	worker_new(&w, "core", 1);
	offer(&w, "x");
	call(&c, "x");
	call(&queued, "x");
	handlers_cancel(queued.call);
	handlers_cancel(c.call);
	ck_assert_uint_eq(w.ncancelled, 1);
	ck_assert(answer(&w, w.ids[0], "1"));
	fake_advance(&fake, 5000);
	ck_assert_uint_eq(c.done + queued.done, 0);
	ck_assert_uint_eq(w.begun, 1);
}
END_TEST

/* ---- several handlers ---- */

START_TEST(calls_go_to_whoever_has_the_fewest)
{
	static struct worker a, b;
	static struct caller c[6];

	worker_new(&a, "core", 0);
	worker_new(&b, "core", 0);
	offer(&a, "x");
	offer(&b, "x");
	for (size_t i = 0; i < 4; i++)
		call(&c[i], "x");
	ck_assert_uint_eq(a.begun, 2);
	ck_assert_uint_eq(b.begun, 2);
	ck_assert(answer(&b, b.ids[0], "1"));
	ck_assert(answer(&b, b.ids[1], "1"));
	call(&c[4], "x");
	call(&c[5], "x");
	ck_assert_uint_eq(b.begun, 4);
	ck_assert_uint_eq(a.begun, 2);
}
END_TEST

START_TEST(calls_wait_in_order_and_the_one_too_many_is_refused)
{
	static struct caller c[CO_LIMIT_RPC_QUEUE + 2];
	size_t last = co_countof(c) - 1;
	static struct worker w;

	worker_new(&w, "core", 1);
	offer(&w, "x");
	for (size_t i = 0; i < co_countof(c); i++)
		call(&c[i], "x");
	ck_assert_int_eq(c[last].status, 503);
	ck_assert_str_eq(c[last].code, "OVERLOADED");
	ck_assert_uint_eq(handlers_numbers(h).refused, 1);
	for (unsigned i = 0; i < last; i++) {
		ck_assert_uint_eq(w.begun, i + 1);
		ck_assert(answer(&w, w.ids[i], "1"));
		ck_assert_uint_eq(c[i].done, 1);
	}
	ck_assert_uint_eq(handlers_numbers(h).queued, 0);
}
END_TEST

START_TEST(a_handler_without_room_gets_the_call_when_it_has)
{
	static struct worker w;
	static struct caller c, other;

	worker_new(&w, "core", 0);
	offer(&w, "x");
	w.refuse = CO_BUSY;
	call(&c, "x");
	call(&other, "x");
	ck_assert_uint_eq(c.done + c.begun, 0);
	w.refuse = 0;
	handler_ready(w.p);
	ck_assert_uint_eq(w.begun, 2);
	w.refuse = CO_NO_MEMORY;
	call(&c, "x");
	ck_assert_int_eq(c.status, 503);
	ck_assert_str_eq(c.code, "UNAVAILABLE");
}
END_TEST

START_TEST(a_crash_ends_all_its_calls_at_once_and_runs_none_of_them_again)
{
	static struct worker a, b;
	static struct caller c[4], late;

	worker_new(&a, "core", 2);
	offer(&a, "x");
	call(&c[0], "x");
	call_with(&late, "core", "x", NULL, 10);
	fake_advance(&fake, 10);
	ck_assert_uint_eq(late.done, 1);
	call(&c[1], "x"); /* waits */
	worker_new(&b, "core", 0);
	offer(&b, "x"); /* who waits is given to the second */
	ck_assert_uint_eq(b.begun, 1);
	gone(&a);
	ck_assert_str_eq(c[0].code, "HANDLER_CRASHED");
	ck_assert_int_eq(c[0].status, 500);
	ck_assert_uint_eq(late.done, 1);
	ck_assert_uint_eq(b.begun, 1);
	ck_assert_uint_eq(c[1].done, 0);
	ck_assert(answer(&b, b.ids[0], "1"));
	ck_assert_uint_eq(handlers_numbers(h).crashed, 1);
	ck_assert_uint_eq(handlers_numbers(h).in_flight, 0);
}
END_TEST

START_TEST(who_waits_for_the_last_handler_is_told_when_it_goes)
{
	static struct worker a;
	static struct caller c, waits;

	worker_new(&a, "core", 1);
	offer(&a, "x");
	call(&c, "x");
	call(&waits, "x");
	gone(&a);
	ck_assert_str_eq(c.code, "HANDLER_CRASHED");
	ck_assert_str_eq(waits.code, "UNAVAILABLE");
	ck_assert_int_eq(waits.status, 503);
}
END_TEST

START_TEST(somebody_who_knows_names_is_asked_for_those_that_nobody_offers)
{
	static struct worker a, knows;
	static struct caller c;

	worker_new(&knows, "core", 1);
	knows.knows_all = true;
	worker_new(&a, "core", 0);
	offer(&a, "x");
	call(&c, "x");
	ck_assert_uint_eq(a.begun, 1);
	call(&c, "anything");
	ck_assert_uint_eq(knows.begun, 1);
	ck_assert(handlers_exists(h, "core", HANDLER_METHOD, co_span("other")));
	call(&c, "no");
	ck_assert_int_eq(c.status, 404);
	call(&c, "second"); /* waits for its place */
	ck_assert_uint_eq(knows.begun, 1);
	ck_assert(answer(&knows, knows.ids[0], "1"));
	ck_assert_uint_eq(knows.begun, 2);
}
END_TEST

/* ---- names ---- */

START_TEST(names_are_checked_and_counted)
{
	char name[CO_LIMIT_RPC_NAME + 2];
	struct co_err err = { 0 };
	static struct worker w;

	worker_new(&w, "core", 0);
	memset(name, 'n', sizeof(name));
	ck_assert_int_eq(
		handler_offer(w.p, HANDLER_METHOD, (struct co_span){ "", 0 }, &err),
		CO_INVALID);
	ck_assert_int_eq(handler_offer(w.p, HANDLER_METHOD,
				       (struct co_span){ name, sizeof(name) - 1 },
				       &err),
			 CO_INVALID);
	ck_assert_int_eq(handler_offer(w.p, HANDLER_METHOD,
				       (struct co_span){ name, sizeof(name) - 2 },
				       &err),
			 0);
	ck_assert_int_eq(handler_offer(w.p, HANDLER_METHOD, co_span("sys.ping"), &err),
			 CO_INVALID);
	ck_assert_int_eq(handler_offer(w.p, HANDLER_METHOD, co_span("a\nb"), &err),
			 CO_INVALID);
	for (unsigned i = 1; i < CO_LIMIT_RPC_PROVIDER_NAMES; i++) {
		(void) snprintf(name, sizeof(name), "name%u", i);
		offer(&w, name);
	}
	ck_assert_int_eq(handler_offer(w.p, HANDLER_JOB, co_span("more"), &err),
			 CO_TABLE_FULL);
	offer(&w, "name1"); /* again is no mistake */
}
END_TEST

static char told[256];

static void on_change(void *arg, const char *service, enum handler_subject subject,
		      const char *name, bool offered)
{
	size_t n = strlen(told);

	(void) arg;
	(void) snprintf(told + n, sizeof(told) - n, "%c%s/%s%s ", offered ? '+' : '-',
			service, name, subject == HANDLER_JOB ? "!" : "");
}

START_TEST(whoever_watches_hears_of_the_first_and_of_the_last)
{
	struct handlers_watch watch = { .changed = on_change };
	static struct worker a, b;

	told[0] = '\0';
	handlers_watch(h, &watch);
	worker_new(&a, "core", 0);
	worker_new(&b, "core", 0);
	offer(&a, "x");
	offer(&b, "x");
	ck_assert_int_eq(handler_offer(a.p, HANDLER_JOB, co_span("x"), NULL), 0);
	gone(&a);
	gone(&b);
	ck_assert_str_eq(told, "+core/x +core/x! -core/x! -core/x ");
	handlers_unwatch(h, &watch);
}
END_TEST

static void list(void *arg, const struct handler_name *name)
{
	size_t n = strlen(told);

	(void) arg;
	(void) snprintf(told + n, sizeof(told) - n, "%s %s %u; ", name->name,
			handler_kind_name(name->kind), name->providers);
}

START_TEST(a_listing_is_sorted_and_has_the_builtin_ones)
{
	static struct worker a, b, elsewhere;

	told[0] = '\0';
	worker_new(&a, "core", 0);
	worker_new(&b, "core", 0);
	worker_new(&elsewhere, "web", 0);
	offer(&a, "zoo");
	offer(&b, "zoo");
	offer(&a, "apes");
	offer(&elsewhere, "page");
	handlers_list(h, "core", list, NULL);
	ck_assert_str_eq(told,
			 "apes attached 1; sys.echo builtin 1; sys.methods builtin "
			 "1; sys.ping builtin 1; zoo attached 2; ");
}
END_TEST

START_TEST(builtin_methods_answer_at_once_for_every_service)
{
	static struct caller c;

	call(&c, "sys.echo");
	ck_assert_str_eq(c.text, "{\"id\":9007199254740993}");
	call_with(&c, "any", "sys.echo", NULL, 10);
	ck_assert_str_eq(c.text, "null");
	call(&c, "sys.methods");
	ck_assert_str_eq(c.text, "[\"sys.echo\",\"sys.methods\",\"sys.ping\"]");
	call(&c, "sys.ping");
	ck_assert_int_eq(c.status, 200);
	ck_assert_ptr_nonnull(strstr(c.text, "\"pong\":true"));
}
END_TEST

/* ---- runs that went on without a daemon ---- */

static struct caller resumed;

static struct handler_call *resume(void *arg, struct handler_provider *p,
				   struct co_span run, struct co_span token)
{
	struct handler_request r = { .service = "core",
				     .subject = HANDLER_JOB,
				     .name = co_span("mail"),
				     .run = run,
				     .token = token };
	struct handler_listener l = { .done = on_done, .arg = &resumed };

	(void) arg;
	if (!co_span_is(run, "job-1") || !co_span_is(token, "secret"))
		return NULL;
	return handlers_adopt(p, &r, &l);
}

static void in_flight_of(void *arg, const struct handler_name *name)
{
	uint32_t *sum = arg;

	*sum += name->in_flight;
}

START_TEST(a_run_that_went_on_is_taken_up_by_who_has_its_token)
{
	static struct worker w;
	uint32_t in_flight = 0;
	uint64_t id;

	memset(&resumed, 0, sizeof(resumed));
	worker_new(&w, "core", 0);
	ck_assert_uint_eq(handlers_resume(w.p, co_span("job-1"), co_span("secret")), 0);
	handlers_on_resume(h, resume, NULL);
	ck_assert_uint_eq(handlers_resume(w.p, co_span("job-1"), co_span("wrong")), 0);
	id = handlers_resume(w.p, co_span("job-1"), co_span("secret"));
	ck_assert_uint_ne(id, 0);
	ck_assert_uint_eq(w.begun, 0); /* it has it already */
	ck_assert_int_eq(handler_offer(w.p, HANDLER_JOB, co_span("mail"), NULL), 0);
	handlers_list(h, "core", in_flight_of, &in_flight);
	ck_assert_uint_eq(in_flight, 1);
	ck_assert(answer(&w, id, "{\"sent\":true}"));
	ck_assert_str_eq(resumed.text, "{\"sent\":true}");
}
END_TEST

START_TEST(a_daemon_that_closes_leaves_runs_of_jobs_to_the_next_one)
{
	static struct worker w;
	static struct caller c, waits;
	struct handler_request r = { .service = "core",
				     .subject = HANDLER_JOB,
				     .name = co_span("mail") };
	static struct caller job;
	struct handler_listener l = { .done = on_done, .arg = &job };

	worker_new(&w, "core", 1);
	offer(&w, "x");
	ck_assert_int_eq(handler_offer(w.p, HANDLER_JOB, co_span("mail"), NULL), 0);
	ck_assert_ptr_nonnull(handlers_call(h, &r, &l));
	call(&c, "x"); /* waits: it is busy with the job */
	handlers_close(h);
	ck_assert_str_eq(c.code, "SHUTDOWN");
	ck_assert_int_eq(c.status, 500);
	call(&waits, "x");
	ck_assert_int_eq(waits.status, 503);
	gone(&w);
	ck_assert_uint_eq(job.done, 0);
}
END_TEST

START_TEST(the_end_of_the_daemon_ends_every_call)
{
	static struct worker w;
	static struct caller c, waits;

	worker_new(&w, "core", 1);
	offer(&w, "x");
	call(&c, "x");
	call(&waits, "x");
	h = handlers_free(h);
	ck_assert_str_eq(c.code, "SHUTDOWN");
	ck_assert_uint_eq(waits.done, 1);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("handler");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_call_reaches_its_handler_and_comes_back_as_it_was);
	tcase_add_test(t, a_name_belongs_to_its_service_and_its_subject);
	tcase_add_test(t, nothing_and_garbage_and_too_much_are_told_apart);
	tcase_add_test(t, another_provider_cannot_answer_a_call);
	tcase_add_test(t, progress_is_told_until_the_end_and_garbage_is_not);
	tcase_add_test(t, a_call_ends_at_its_deadline_and_its_handler_is_told);
	tcase_add_test(t, deadlines_fire_in_their_order_whatever_the_order_of_calls);
	tcase_add_test(
		t, a_handler_that_never_gives_up_a_call_gets_its_place_back_in_the_end);
	tcase_add_test(t, whoever_waits_for_a_free_handler_has_a_deadline_too);
	tcase_add_test(t, a_cancelled_call_is_silent_and_its_handler_is_told);
	tcase_add_test(t, calls_go_to_whoever_has_the_fewest);
	tcase_add_test(t, calls_wait_in_order_and_the_one_too_many_is_refused);
	tcase_add_test(t, a_handler_without_room_gets_the_call_when_it_has);
	tcase_add_test(t,
		       a_crash_ends_all_its_calls_at_once_and_runs_none_of_them_again);
	tcase_add_test(t, who_waits_for_the_last_handler_is_told_when_it_goes);
	tcase_add_test(t,
		       somebody_who_knows_names_is_asked_for_those_that_nobody_offers);
	tcase_add_test(t, names_are_checked_and_counted);
	tcase_add_test(t, whoever_watches_hears_of_the_first_and_of_the_last);
	tcase_add_test(t, a_listing_is_sorted_and_has_the_builtin_ones);
	tcase_add_test(t, builtin_methods_answer_at_once_for_every_service);
	tcase_add_test(t, a_run_that_went_on_is_taken_up_by_who_has_its_token);
	tcase_add_test(t, a_daemon_that_closes_leaves_runs_of_jobs_to_the_next_one);
	tcase_add_test(t, the_end_of_the_daemon_ends_every_call);
	return run_tests(t);
}
