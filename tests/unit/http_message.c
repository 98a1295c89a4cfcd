/* SPDX-License-Identifier: MIT */
/* lib/http_message.h and lib/uri.h.  HOST.  What is refused is in tests/http/malformed.py. */
#include "lib/http_message.h"

#include "lib/buf.h"
#include "lib/uri.h"
#include "tests/run.h"

static const struct co_http_limits limits = { .head = 400, .target = 100, .body = 10 };

struct reading {
	struct co_http_message *m;
	struct co_buf body;
	const char *at;
	size_t left;
};

static void on_body(void *arg, const char *data, size_t n)
{
	co_buf_add(&((struct reading *) arg)->body, data, n);
}

static void begin(struct reading *r, enum co_http_kind kind, const char *text)
{
	*r = (struct reading){ .at = text, .left = strlen(text) };
	r->m = co_http_new(kind, &limits, on_body, r);
	ck_assert_ptr_nonnull(r->m);
}

static enum co_http_progress next(struct reading *r)
{
	size_t used;
	enum co_http_progress progress = co_http_feed(r->m, r->at, r->left, &used);

	r->at += used;
	r->left -= used;
	return progress;
}

static void done(struct reading *r)
{
	r->m = co_http_free(r->m);
	co_buf_done(&r->body);
}

static void demand_span(struct co_span got, const char *want)
{
	ck_assert_msg(co_span_is(got, want), "'%.*s' is not '%s'", (int) got.size,
		      got.data, want);
}

START_TEST(a_request_is_read_with_its_fields_and_its_body)
{
	struct reading r;
	struct co_span value;

	begin(&r, CO_HTTP_REQUEST,
	      "PUT /a?b=c HTTP/1.1\r\nHOST: x:1\r\nEmpty:\r\n"
	      "Content-Length: 2\r\nX-Y: \t a b \r\n\r\n{}GET");
	ck_assert_int_eq(next(&r), CO_HTTP_HEAD);
	demand_span(co_http_head(r.m)->method, "PUT");
	demand_span(co_http_head(r.m)->target, "/a?b=c");
	demand_span(co_http_head(r.m)->host, "x:1");
	ck_assert_uint_eq(co_http_head(r.m)->nfields, 4);
	ck_assert(co_http_field(co_http_head(r.m), "x-y", &value));
	demand_span(value, "a b");
	ck_assert(co_http_field(co_http_head(r.m), "empty", &value));
	demand_span(value, "");
	ck_assert(!co_http_field(co_http_head(r.m), "x", &value));
	ck_assert(co_http_head(r.m)->keep_alive && !co_http_head(r.m)->upgrade);
	ck_assert_int_eq(next(&r), CO_HTTP_DONE);
	demand_span((struct co_span){ r.body.data, r.body.size }, "{}");
	demand_span((struct co_span){ r.at, r.left }, "GET");
	co_http_reset(r.m, NULL);
	ck_assert_int_eq(next(&r), CO_HTTP_MORE);
	ck_assert(co_http_begun(r.m));
	done(&r);
}
END_TEST

/* An answer, its body, what is left behind it, and whether it is DONE with its head. */
static const struct {
	const char *text, *body, *rest;
	bool head, close, over;
} answers[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "ab", "c", 0, 0, 1 },
	{ "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nc",
	  "a", "c", 0, 0, 1 },
	{ "HTTP/1.1 200 OK\r\n\r\nabc", "abc", "", 0, 1, 1 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nc", "", "c", 1, 0, 1 },
	{ "HTTP/1.1 204 No Content\r\n\r\nc", "", "c", 0, 0, 1 },
	{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nc", "", "c", 0, 0, 1 },
	{ "HTTP/1.1 100 Continue\r\n\r\nc", "", "c", 0, 0, 1 },
	{ "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nc", "",
	  "c", 0, 0, 1 },
};

START_TEST(an_answer_has_the_body_that_its_status_and_fields_say)
{
	enum co_http_progress progress = CO_HTTP_DONE;
	struct reading r;

	begin(&r, CO_HTTP_RESPONSE, answers[_i].text);
	ck_assert_int_eq(next(&r), CO_HTTP_HEAD);
	if (answers[_i].head)
		co_http_no_body(r.m);
	ck_assert_int_eq(co_http_head(r.m)->until_close, answers[_i].close);
	if (co_http_head(r.m)->has_body)
		progress = next(&r);
	ck_assert_int_eq(progress, answers[_i].close ? CO_HTTP_MORE : CO_HTTP_DONE);
	ck_assert_int_eq(co_http_finish(r.m), answers[_i].close);
	demand_span((struct co_span){ r.body.data ? r.body.data : "", r.body.size },
		    answers[_i].body);
	demand_span((struct co_span){ r.at, r.left }, answers[_i].rest);
	done(&r);
}
END_TEST

START_TEST(what_is_too_large_says_so)
{
	static const struct {
		const char *text;
		int status;
	} all[] = {
		{ "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", 413 },
		{ "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		  "6\r\naaaaaa\r\n5\r\naaaaa\r\n",
		  413 },
		{ "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: x\r\n\r\n",
		  414 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		enum co_http_progress progress;
		struct reading r;

		begin(&r, CO_HTTP_REQUEST, all[i].text);
		progress = next(&r);
		if (progress == CO_HTTP_HEAD)
			progress = next(&r);
		ck_assert_int_eq(progress, CO_HTTP_BAD);
		ck_assert_int_eq(co_http_fault(r.m).status, all[i].status);
		ck_assert_uint_gt(strlen(co_http_fault(r.m).what), 10);
		/* and it stays so */
		r.left = 1;
		ck_assert_int_eq(next(&r), CO_HTTP_BAD);
		done(&r);
	}
}
END_TEST

START_TEST(a_word_is_found_in_a_list_and_nothing_like_it)
{
	ck_assert(co_http_list_has(co_span("gzip"), "gzip"));
	ck_assert(co_http_list_has(co_span("br , GZip;q=1 ,x"), "gzip"));
	ck_assert(!co_http_list_has(co_span("gzipped, xgzip"), "gzip"));
	ck_assert(!co_http_list_has(co_span(""), "gzip"));
	ck_assert(!co_http_list_has(co_span(",,"), "gzip"));
	ck_assert_str_eq(co_http_reason(404), "Not Found");
	ck_assert_str_eq(co_http_reason(999), "Unknown");
}
END_TEST

START_TEST(a_target_has_a_path_and_a_query)
{
	struct co_uri uri = co_uri_split(co_span("/a/b?c=d&e&&=f&g="));
	struct co_span name, value;
	static const char *const pairs[][2] = {
		{ "c", "d" }, { "e", "" }, { "", "f" }, { "g", "" }
	};

	demand_span(uri.path, "/a/b");
	for (size_t i = 0; i < 4; i++) {
		ck_assert(co_uri_query_next(&uri.query, &name, &value));
		demand_span(name, pairs[i][0]);
		demand_span(value, pairs[i][1]);
	}
	ck_assert(!co_uri_query_next(&uri.query, &name, &value));
	uri = co_uri_split(co_span("HTTP://h:1?x"));
	ck_assert_ptr_null(uri.path.data);
	uri = co_uri_split(co_span("http://h:1/p?x"));
	demand_span(uri.authority, "h:1");
	demand_span(uri.path, "/p");
	demand_span(uri.query, "x");
	ck_assert_ptr_null(co_uri_split(co_span("p")).path.data);
}
END_TEST

START_TEST(percent_signs_are_decoded_to_utf8_or_not_at_all)
{
	static const struct {
		const char *text, *plain; /* NULL: refused */
		bool query;
	} all[] = {
		{ "a%2Fb+c", "a/b+c", false },  { "a%2fb+c", "a/b c", true },
		{ "%C3%A4", "\xc3\xa4", true }, { "%", NULL, true },
		{ "%4", NULL, true },           { "%4g", NULL, true },
		{ "%00", NULL, true },          { "%c0%af", NULL, true },
		{ "%ed%a0%80", NULL, true },    { "", "", true },
	};
	char out[64];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		long n = co_uri_decode(co_span(all[i].text), all[i].query, out);

		if (all[i].plain)
			demand_span((struct co_span){ out, (size_t) n }, all[i].plain);
		else
			ck_assert_msg(n < 0, "%s", all[i].text);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("http");

	tcase_add_test(t, a_request_is_read_with_its_fields_and_its_body);
	tcase_add_loop_test(t, an_answer_has_the_body_that_its_status_and_fields_say, 0,
			    sizeof(answers) / sizeof(answers[0]));
	tcase_add_test(t, what_is_too_large_says_so);
	tcase_add_test(t, a_word_is_found_in_a_list_and_nothing_like_it);
	tcase_add_test(t, a_target_has_a_path_and_a_query);
	tcase_add_test(t, percent_signs_are_decoded_to_utf8_or_not_at_all);
	return run_tests(t);
}
