/* SPDX-License-Identifier: MIT */
/* Tests of cloudosd/service/attached.h: frames as they are and as they must not be.  HOST. */
#include "cloudosd/service/attached.h"

#include <check.h>
#include <co/limits.h>
#include <co/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "tests/run.h"
#include "tests/unit/fake_host.h"

static struct fake_host fake;
static struct handlers *h;
static struct attached *a;
static struct co_buf sent; /* to the process */
static size_t queued, read_at;
static bool ended;

static void io_write(void *ctx, const void *data, size_t n)
{
	(void) ctx;
	co_buf_add(&sent, data, n);
}

static size_t io_queued(void *ctx)
{
	(void) ctx;
	return queued;
}

static void io_end(void *ctx)
{
	(void) ctx;
	ended = true;
}

static void set_up(void)
{
	struct attached_spec spec = { .host = &fake.host,
				      .io = { io_write, io_queued, io_end, NULL },
				      .service = "cloudosd",
				      .pid = 77,
				      .room = 1 << 20 };

	fake_init(&fake);
	h = handlers_new(&fake.host);
	ck_assert_ptr_nonnull(h);
	spec.handlers = h;
	a = attached_new(&spec);
	ck_assert_ptr_nonnull(a);
	queued = read_at = 0;
	ended = false;
}

static void tear_down(void)
{
	if (a)
		attached_closed(a);
	h = handlers_free(h);
	co_buf_done(&sent);
	fake_done(&fake);
}

/* ---- what the process says ---- */

static void frame(struct co_buf *to, unsigned type, uint64_t id, const void *payload,
		  size_t n)
{
	char head[ATTACHED_HEAD] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		head[i] = (char) ((n + 12) >> (24 - 8 * i));
	head[4] = (char) type;
	for (unsigned i = 0; i < 8; i++)
		head[8 + i] = (char) (id >> (56 - 8 * i));
	co_buf_add(to, head, sizeof(head));
	if (n)
		co_buf_add(to, payload, n);
}

static void feed(const void *bytes, size_t n)
{
	/* exactly that much memory, so that a sanitizer sees who reads on */
	autofree char *copy = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, n);
	attached_feed(a, copy, n);
}

static void say(unsigned type, uint64_t id, const char *json)
{
	autobuf struct co_buf b = { 0 };

	frame(&b, type, id, json, strlen(json));
	feed(b.data, b.size);
}

/* ---- what it hears ---- */

static struct {
	unsigned type;
	uint64_t id;
	char text[512];
} heard;

static bool hear(void)
{
	const unsigned char *at;
	size_t n = 0;

	if (read_at == sent.size)
		return false;
	at = (const unsigned char *) sent.data + read_at;
	ck_assert_uint_ge(sent.size - read_at, ATTACHED_HEAD);
	for (unsigned i = 0; i < 4; i++)
		n = n << 8 | at[i];
	ck_assert_uint_ge(sent.size - read_at, n + 4);
	heard.type = at[4];
	heard.id = 0;
	for (unsigned i = 0; i < 8; i++)
		heard.id = heard.id << 8 | at[8 + i];
	(void) snprintf(heard.text, sizeof(heard.text), "%.*s", (int) (n - 12),
			(const char *) at + ATTACHED_HEAD);
	read_at += n + 4;
	return true;
}

static void expect(unsigned type, const char *part)
{
	ck_assert(hear());
	ck_assert_uint_eq(heard.type, type);
	ck_assert_msg(strstr(heard.text, part), "\"%s\" is not in %s", part,
		      heard.text);
}

static void hello(void)
{
	say(ATTACHED_HELLO, 0, "{\"service\":\"core\"}");
	expect(ATTACHED_WELCOME, "\"service\":\"core\"");
	say(ATTACHED_REGISTER, 5, "{\"methods\":[\"x\",\"y\"],\"jobs\":[\"j\"]}");
	expect(ATTACHED_REGISTERED, "{\"methods\":2,\"jobs\":1}");
	ck_assert_uint_eq(heard.id, 5);
}

/* ---- callers ---- */

struct caller {
	unsigned done;
	int status;
	char code[64], text[256], details[64], stack[64], progress[64];
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
	text_of(c->code, sizeof(c->code), co_span(r->code));
	text_of(c->text, sizeof(c->text), r->status == 200 ? r->result : r->message);
	text_of(c->details, sizeof(c->details), r->details);
	text_of(c->stack, sizeof(c->stack), r->stack);
}

static void on_progress(void *arg, struct co_span value)
{
	struct caller *c = arg;

	text_of(c->progress, sizeof(c->progress), value);
}

static uint64_t call(struct caller *c, const char *name)
{
	struct handler_request r = {
		.service = "core",
		.name = co_span(name),
		.params = co_span("{\"n\":1e400}"),
		.timeout_ms = 500,
		.caller = { .service = co_span("op\"s"), .pid = 9, .uid = 1000 }
	};
	struct handler_listener l = { .done = on_done,
				      .progress = on_progress,
				      .arg = c };

	memset(c, 0, sizeof(*c));
	c->call = handlers_call(h, &r, &l);
	if (!c->call)
		return 0;
	expect(ATTACHED_CALL, "");
	return heard.id;
}

/* ---- calls ---- */

START_TEST(a_call_goes_out_with_its_params_as_they_are_and_comes_back)
{
	static struct caller c;
	uint64_t id;

	hello();
	id = call(&c, "x");
	ck_assert_str_eq(heard.text,
			 "{\"kind\":\"method\",\"name\":\"x\",\"timeoutMs\":500,"
			 "\"caller\":{\"service\":\"op\\\"s\",\"pid\":9,\"uid\":1000},"
			 "\"params\":{\"n\":1e400}}");
	say(ATTACHED_PROGRESS, id, "{\"half\":1}");
	ck_assert_str_eq(c.progress, "{\"half\":1}");
	say(ATTACHED_RESULT, id, "[1e400, 0.10]");
	ck_assert_int_eq(c.status, 200);
	ck_assert_str_eq(c.text, "[1e400, 0.10]");
	/* twice: the second is dropped, the connection lives */
	say(ATTACHED_RESULT, id, "2");
	say(ATTACHED_ERROR, id, "{}");
	ck_assert_uint_eq(c.done, 1);
	ck_assert(!ended);
	id = call(&c, "y");
	say(ATTACHED_RESULT, id, "");
	ck_assert_str_eq(c.text, "null");
}
END_TEST

START_TEST(an_error_has_its_code_its_details_and_its_stack)
{
	static struct caller c;
	uint64_t id;

	hello();
	id = call(&c, "x");
	say(ATTACHED_ERROR, id,
	    "{\"code\":\"USER_NOT_FOUND\",\"message\":\"User \\u00e4\",\"details\":{\"id\""
	    ":1},\"stack\":\"at x\"}");
	ck_assert_int_eq(c.status, 500);
	ck_assert_str_eq(c.code, "USER_NOT_FOUND");
	ck_assert_str_eq(c.text, "User \xc3\xa4");
	ck_assert_str_eq(c.details, "{\"id\":1}");
	ck_assert_str_eq(c.stack, "at x");
	id = call(&c, "x");
	say(ATTACHED_ERROR, id, "{}");
	ck_assert_str_eq(c.code, "HANDLER_FAILED");
	id = call(&c, "x");
	say(ATTACHED_ERROR, id, "[garbage");
	ck_assert_str_eq(c.code, "INVALID_RESULT");
	ck_assert(!ended);
}
END_TEST

START_TEST(bytes_may_come_in_any_pieces)
{
	autobuf struct co_buf all = { 0 };
	static struct caller c;
	uint64_t id;

	hello();
	for (size_t piece = 1; piece < 40; piece++) {
		id = call(&c, "x");
		all.size = 0;
		frame(&all, ATTACHED_HEARTBEAT, 1, NULL, 0);
		frame(&all, ATTACHED_PROGRESS, id, "1", 1);
		frame(&all, ATTACHED_RESULT, id, "{\"a\":[1,2,3]}", 13);
		frame(&all, ATTACHED_HEARTBEAT, 2, NULL, 0);
		for (size_t at = 0; at < all.size; at += piece)
			feed(all.data + at,
			     all.size - at < piece ? all.size - at : piece);
		ck_assert_uint_eq(c.done, 1);
		ck_assert_str_eq(c.text, "{\"a\":[1,2,3]}");
		ck_assert(!ended);
	}
}
END_TEST

START_TEST(too_long_an_answer_fails_its_call_and_no_other)
{
	autobuf struct co_buf all = { 0 };
	static struct caller c, other;
	size_t n = CO_LIMIT_RPC_RESULT + 1;
	autofree char *much = malloc(n);
	uint64_t id, second;

	ck_assert_ptr_nonnull(much);
	memset(much, '7', n);
	hello();
	id = call(&c, "x");
	second = call(&other, "y");
	frame(&all, ATTACHED_RESULT, id, much, n);
	frame(&all, ATTACHED_RESULT, second, "2", 1);
	for (size_t at = 0; at < all.size; at += 4000)
		feed(all.data + at, all.size - at < 4000 ? all.size - at : 4000);
	ck_assert_str_eq(c.code, "RESULT_TOO_LARGE");
	ck_assert_str_eq(other.text, "2");
	/* the largest that is allowed */
	id = call(&c, "x");
	all.size = 0;
	frame(&all, ATTACHED_RESULT, id, much, n - 1);
	feed(all.data, all.size);
	ck_assert_int_eq(c.status, 200);
	ck_assert(!ended);
}
END_TEST

START_TEST(at_the_deadline_it_is_told_to_stop)
{
	static struct caller c;
	uint64_t id;

	hello();
	id = call(&c, "x");
	fake_advance(&fake, 500);
	ck_assert_str_eq(c.code, "TIMEOUT");
	expect(ATTACHED_CANCEL, "");
	ck_assert_uint_eq(heard.id, id);
	say(ATTACHED_RESULT, id, "1");
	ck_assert_uint_eq(c.done, 1);
	ck_assert(!ended);
}
END_TEST

START_TEST(its_end_fails_its_calls)
{
	static struct caller c;

	hello();
	(void) call(&c, "x");
	attached_closed(a);
	a = NULL;
	ck_assert_str_eq(c.code, "HANDLER_CRASHED");
	ck_assert_ptr_nonnull(strstr(c.text, "process 77 has ended"));
	ck_assert(!handlers_exists(h, "core", HANDLER_METHOD, co_span("x")));
}
END_TEST

START_TEST(calls_wait_for_a_process_that_reads_slowly)
{
	static struct caller c;
	struct handler_request r = { .service = "core", .name = co_span("x") };
	struct handler_listener l = { .done = on_done, .arg = &c };

	memset(&c, 0, sizeof(c));
	hello();
	queued = 1 << 20;
	ck_assert_ptr_nonnull(handlers_call(h, &r, &l));
	ck_assert(!hear());
	queued = 0;
	attached_room(a);
	expect(ATTACHED_CALL, "\"name\":\"x\"");
}
END_TEST

START_TEST(names_can_be_taken_back_and_bad_ones_are_refused_alone)
{
	static struct caller c;

	hello();
	say(ATTACHED_UNREGISTER, 6, "{\"methods\":[\"x\"]}");
	expect(ATTACHED_REGISTERED, "\"methods\":1");
	ck_assert_uint_eq(call(&c, "x"), 0);
	ck_assert_int_eq(c.status, 404);
	say(ATTACHED_REGISTER, 7, "{\"methods\":[\"sys.ping\"]}");
	expect(ATTACHED_ERROR, "sys.");
	ck_assert_uint_eq(heard.id, 7);
	say(ATTACHED_REGISTER, 8, "{\"methods\":[1]}");
	expect(ATTACHED_ERROR, "no name");
	say(ATTACHED_REGISTER, 9, "{\"jobs\":\"j\"}");
	expect(ATTACHED_ERROR, "list");
	ck_assert(!ended);
	(void) call(&c, "y");
}
END_TEST

START_TEST(as_many_calls_as_it_wants_at_a_time)
{
	static struct caller c, second;
	struct handler_request r = { .service = "core", .name = co_span("x") };
	struct handler_listener l = { .done = on_done, .arg = &second };
	uint64_t id;

	memset(&second, 0, sizeof(second));
	hello();
	say(ATTACHED_REGISTER, 1, "{\"maxConcurrency\":1}");
	expect(ATTACHED_REGISTERED, "");
	id = call(&c, "x");
	ck_assert_ptr_nonnull(handlers_call(h, &r, &l));
	ck_assert(!hear());
	say(ATTACHED_RESULT, id, "1");
	expect(ATTACHED_CALL, "");
	say(ATTACHED_RESULT, heard.id, "2");
	ck_assert_str_eq(second.text, "2");
}
END_TEST

/* ---- what must not be ---- */

static const struct {
	const char *why; /* part of what it is told */
	bool greeted;
	unsigned type;
	uint64_t id;
	const char *payload;
} wrong[] = {
	{ "HELLO", false, ATTACHED_REGISTER, 1, "{}" },
	{ "HELLO", false, ATTACHED_RESULT, 1, "1" },
	{ "said already", true, ATTACHED_HELLO, 0, "{}" },
	{ "not a JSON object", false, ATTACHED_HELLO, 0, "" },
	{ "not a JSON object", false, ATTACHED_HELLO, 0, "[]" },
	{ "service", false, ATTACHED_HELLO, 0, "{\"service\":7}" },
	{ "service", false, ATTACHED_HELLO, 0, "{\"service\":\"a\\u0000b\"}" },
	{ "not a JSON object", true, ATTACHED_REGISTER, 1, "{\"methods\":[" },
	{ "not one that a process sends", true, 0, 1, "" },
	{ "not one that a process sends", true, ATTACHED_CALL, 1, "{}" },
	{ "not one that a process sends", true, ATTACHED_WELCOME, 1, "{}" },
	{ "not one that a process sends", true, 255, 1, "" },
	{ "there was no call", true, ATTACHED_RESULT, 0, "1" },
	{ "there was no call", true, ATTACHED_RESULT, UINT64_MAX, "1" },
	{ "there was no call", true, ATTACHED_PROGRESS, UINT64_MAX, "1" },
};

START_TEST(who_breaks_the_protocol_is_told_and_disconnected)
{
	static struct caller c = { 0 };

	if (wrong[_i].greeted) {
		hello();
		(void) call(&c, "x");
	}
	say(wrong[_i].type, wrong[_i].id, wrong[_i].payload);
	expect(ATTACHED_ERROR, wrong[_i].why);
	ck_assert_uint_eq(heard.id, 0);
	ck_assert(ended);
	if (wrong[_i].greeted)
		ck_assert_str_eq(c.code, "HANDLER_CRASHED");
	say(ATTACHED_HELLO, 0, "{}"); /* is not looked at */
	ck_assert(!hear());
}
END_TEST

static const struct {
	const char *why;
	unsigned char head[ATTACHED_HEAD];
} heads[] = {
	{ "no room for its head", { 0, 0, 0, 11, ATTACHED_RESULT } },
	{ "no room for its head", { 0, 0, 0, 0, ATTACHED_RESULT } },
	{ "have to be zero", { 0, 0, 0, 12, ATTACHED_HEARTBEAT, 0, 1, 0 } },
	{ "too long", { 0xff, 0xff, 0xff, 0xff, ATTACHED_RESULT } },
	{ "too long", { 0, 2, 0, 0, ATTACHED_REGISTER } },
	{ "type 71", { 'G', 'E', 'T', ' ', 'G', 'E', 'T' } },
};

START_TEST(a_head_that_cannot_be_is_not_waited_for)
{
	hello();
	feed(heads[_i].head, sizeof(heads[_i].head));
	expect(ATTACHED_ERROR, heads[_i].why);
	ck_assert(ended);
}
END_TEST

START_TEST(who_does_not_say_hello_or_does_not_live_is_disconnected)
{
	fake_advance(&fake, 9999);
	ck_assert(!ended);
	fake_advance(&fake, 1);
	expect(ATTACHED_ERROR, "HELLO");
	ck_assert(ended);
}
END_TEST

START_TEST(heartbeats_are_missed_four_times_and_no_more)
{
	hello();
	for (unsigned i = 0; i < 20; i++) { /* answered */
		fake_advance(&fake, 15000);
		expect(ATTACHED_HEARTBEAT, "");
		say(ATTACHED_HEARTBEAT, heard.id, "");
	}
	for (unsigned i = 0; i < 4; i++) {
		fake_advance(&fake, 15000);
		expect(ATTACHED_HEARTBEAT, "");
		ck_assert(!ended);
	}
	fake_advance(&fake, 15000);
	expect(ATTACHED_ERROR, "heartbeats");
	ck_assert(ended);
}
END_TEST

static struct handler_call *resume(void *arg, struct handler_provider *p,
				   struct co_span run, struct co_span token)
{
	struct handler_request r = { .service = "core",
				     .subject = HANDLER_JOB,
				     .name = co_span("j"),
				     .run = run,
				     .token = token };
	struct handler_listener l = { .done = on_done, .arg = arg };

	return co_span_is(token, "t") ? handlers_adopt(p, &r, &l) : NULL;
}

START_TEST(a_run_that_it_still_works_on_can_be_answered)
{
	static struct caller c = { 0 };
	char *id;

	handlers_on_resume(h, resume, &c);
	say(ATTACHED_HELLO, 0,
	    "{\"runs\":[{\"run\":\"r1\",\"token\":\"t\"},{\"run\":\"r2\",\"token\":\"no\"},"
	    "3]}");
	expect(ATTACHED_WELCOME, "{\"run\":\"r2\",\"id\":0}");
	id = strstr(heard.text, "{\"run\":\"r1\",\"id\":");
	ck_assert_ptr_nonnull(id);
	say(ATTACHED_RESULT, strtoull(id + 17, NULL, 10), "true");
	ck_assert_str_eq(c.text, "true");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("attached");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_call_goes_out_with_its_params_as_they_are_and_comes_back);
	tcase_add_test(t, an_error_has_its_code_its_details_and_its_stack);
	tcase_add_test(t, bytes_may_come_in_any_pieces);
	tcase_add_test(t, too_long_an_answer_fails_its_call_and_no_other);
	tcase_add_test(t, at_the_deadline_it_is_told_to_stop);
	tcase_add_test(t, its_end_fails_its_calls);
	tcase_add_test(t, calls_wait_for_a_process_that_reads_slowly);
	tcase_add_test(t, names_can_be_taken_back_and_bad_ones_are_refused_alone);
	tcase_add_test(t, as_many_calls_as_it_wants_at_a_time);
	tcase_add_loop_test(t, who_breaks_the_protocol_is_told_and_disconnected, 0,
			    (int) co_countof(wrong));
	tcase_add_loop_test(t, a_head_that_cannot_be_is_not_waited_for, 0,
			    (int) co_countof(heads));
	tcase_add_test(t, who_does_not_say_hello_or_does_not_live_is_disconnected);
	tcase_add_test(t, heartbeats_are_missed_four_times_and_no_more);
	tcase_add_test(t, a_run_that_it_still_works_on_can_be_answered);
	return run_tests(t);
}
