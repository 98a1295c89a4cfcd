/* SPDX-License-Identifier: MIT */
/* HOST test of lib/json_scan.h and of what lib/buf.h writes of it. */
#include "lib/json_scan.h"

#include <co/limits.h>
#include <stdlib.h>

#include "lib/err.h"
#include "tests/run.h"

/* A copy without anything behind it, so that reading too far is seen. */
static struct co_span exact(const char *text, size_t n)
{
	char *copy = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, n);
	return (struct co_span){ copy, n };
}

static const char *const good[] = {
	"0",
	"-0",
	"-1",
	"1.5",
	"1e400",
	"-1.25E-3",
	"\"\"",
	"true",
	"false",
	"null",
	"[]",
	"{}",
	"[ ]",
	"{ }",
	" [1 , 2] ",
	"[[],[],{}]",
	"{\"a\":{},\"b\":[]}",
	"{\"a\":1,\"a\":2}",
	"\"\\ud800\"",
	"\"\\u0000\"",
	"\"gr\xc3\xbc\xc3\x9f\"",
	"123456789012345678901234567890",
	"[1,[2,[3]],{\"x\":[{}]}]",
	"\t\n\r 1\n",
};

static const char *const bad[] = {
	"",
	" ",
	"01",
	"-",
	"1.",
	".5",
	"1e",
	"+1",
	"tru",
	"nul",
	"NaN",
	"Infinity",
	"[",
	"]",
	"[1",
	"[1,",
	"[1,]",
	"[,1]",
	"{",
	"{\"a\"",
	"{\"a\":",
	"{\"a\":1",
	"{\"a\":1,",
	"{\"a\":1,}",
	"{a:1}",
	"{1:1}",
	"[1}",
	"{\"a\":1]",
	"\"",
	"\"\\",
	"\"\\x\"",
	"\"\\u12\"",
	"\"\\u12g4\"",
	"\"a\nb\"",
	"'a'",
	"1 2",
	"[] x",
	"[1 2]",
	"\"\xff\"",
	"\"\xc0\xaf\"",
	"\"\xed\xa0\x80\"",
	"\xef\xbb\xbf"
	"1",
	"{\"a\" 1}",
	"/* */ 1",
	"\"\xe2\x82\"",
};

START_TEST(what_the_grammar_has_is_accepted)
{
	struct co_span text = exact(good[_i], strlen(good[_i])), value;
	struct co_json_fault fault = { 0 };

	ck_assert_msg(co_json_check(text, &value, &fault) == 0, "%s: %s at %zu",
		      good[_i], fault.what, fault.at);
	free((void *) text.data);
}
END_TEST

START_TEST(what_it_has_not_is_refused_with_the_place)
{
	struct co_span text = exact(bad[_i], strlen(bad[_i])), value;
	struct co_json_fault fault = { 0 };

	ck_assert_msg(co_json_check(text, &value, &fault) == CO_INVALID, "%s", bad[_i]);
	ck_assert_ptr_nonnull(fault.what);
	ck_assert_uint_le(fault.at, text.size);
	free((void *) text.data);
}
END_TEST

START_TEST(nesting_ends_at_the_limit)
{
	char text[2 * CO_LIMIT_JSON_DEPTH + 2];
	struct co_json_fault fault;
	struct co_span value;

	for (size_t depth = CO_LIMIT_JSON_DEPTH; depth <= CO_LIMIT_JSON_DEPTH + 1;
	     depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		ck_assert_int_eq(co_json_check((struct co_span){ text, 2 * depth },
					       &value, &fault),
				 depth > CO_LIMIT_JSON_DEPTH ? CO_INVALID : 0);
	}
}
END_TEST

static struct co_span checked(const char *text)
{
	struct co_span value;
	struct co_json_fault fault;

	ck_assert_int_eq(co_json_check(co_span(text), &value, &fault), 0);
	return value;
}

START_TEST(members_are_found_byte_for_byte)
{
	struct co_span o =
		checked(" {\"a\" : [1, \"]\\\"\"] , \"b\":1e400,\"\\u0061b\":\n"
			"{\"b\":2},\"b\" :9007199254740993 } ");
	struct co_span v;

	ck_assert(co_json_member(o, "a", &v));
	ck_assert(co_span_is(v, "[1, \"]\\\"\"]"));
	ck_assert(co_json_member(o, "ab", &v));
	ck_assert(co_span_is(v, "{\"b\":2}"));
	ck_assert(co_json_member(o, "b", &v)); /* the last of that name */
	ck_assert(co_span_is(v, "9007199254740993"));
	ck_assert(!co_json_member(o, "c", &v));
	ck_assert(!co_json_member(checked("[\"a\"]"), "a", &v));
}
END_TEST

START_TEST(elements_come_in_their_order)
{
	static const char *const expected[] = { "1", "\"x,]\"", "{\"a\":[2]}", "[]",
						"null" };
	struct co_json_walk w =
		co_json_walk(checked("[1,\"x,]\" ,{\"a\":[2]},[], null ]"));
	struct co_span name, value;
	size_t n = 0;

	for (; co_json_next(&w, &name, &value); n++) {
		ck_assert_ptr_null(name.data);
		ck_assert_uint_lt(n, 5);
		ck_assert(co_span_is(value, expected[n]));
	}
	ck_assert_uint_eq(n, 5);
}
END_TEST

START_TEST(strings_are_unescaped_or_refused)
{
	autobuf struct co_buf b = { 0 };

	ck_assert_int_eq(
		co_json_unescape(checked("\"a\\n\\u00e9\\ud83d\\ude00/\\/\""), &b), 0);
	ck_assert_str_eq(b.data, "a\n\xc3\xa9\xf0\x9f\x98\x80//");
	ck_assert_int_eq(co_json_unescape(checked("\"x\\u0000\""), &b), CO_INVALID);
	ck_assert_int_eq(co_json_unescape(checked("\"x\\ud800\""), &b), CO_INVALID);
	ck_assert_int_eq(co_json_unescape(checked("\"x\\ud800\\u0041\""), &b),
			 CO_INVALID);
	ck_assert_int_eq(co_json_unescape(checked("\"\\udc00\""), &b), CO_INVALID);
	ck_assert_int_eq(co_json_unescape(checked("12"), &b), CO_INVALID);
	ck_assert_str_eq(b.data, "a\n\xc3\xa9\xf0\x9f\x98\x80//");
}
END_TEST

START_TEST(what_is_written_reads_back)
{
	static const char text[] = "q\" b\\ \n \x01 \xc3\xa9 \xff.";
	autobuf struct co_buf b = { 0 }, back = { 0 };

	co_buf_json_text(&b, (struct co_span){ text, sizeof(text) - 1 });
	ck_assert_int_eq(co_json_unescape(checked(b.data), &back), 0);
	ck_assert_str_eq(back.data, "q\" b\\ \n \x01 \xc3\xa9 \xef\xbf\xbd.");
}
END_TEST

START_TEST(numbers_are_whole_or_not)
{
	int64_t n;
	double d;

	ck_assert(co_json_whole(checked("9007199254740993"), &n) &&
		  n == 9007199254740993);
	ck_assert(co_json_whole(checked("5.0"), &n) && n == 5);
	ck_assert(co_json_whole(checked("-5e2"), &n) && n == -500);
	ck_assert(!co_json_whole(checked("5.5"), &n));
	ck_assert(!co_json_whole(checked("1e400"), &n));
	ck_assert(!co_json_whole(checked("99999999999999999999"), &n));
	ck_assert(!co_json_whole(checked("\"5\""), &n));
	ck_assert(co_json_real(checked("0.1"), &d) && d == 0.1);
	ck_assert(!co_json_real(checked("1e400"), &d));
}
END_TEST

START_TEST(times_are_iso_8601_with_milliseconds)
{
	autobuf struct co_buf b = { 0 };

	co_buf_json_time(&b, 1732104000007);
	ck_assert_str_eq(b.data, "\"2024-11-20T12:00:00.007Z\"");
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("json");

	tcase_add_loop_test(tcase, what_the_grammar_has_is_accepted, 0,
			    sizeof(good) / sizeof(*good));
	tcase_add_loop_test(tcase, what_it_has_not_is_refused_with_the_place, 0,
			    sizeof(bad) / sizeof(*bad));
	tcase_add_test(tcase, nesting_ends_at_the_limit);
	tcase_add_test(tcase, members_are_found_byte_for_byte);
	tcase_add_test(tcase, elements_come_in_their_order);
	tcase_add_test(tcase, strings_are_unescaped_or_refused);
	tcase_add_test(tcase, what_is_written_reads_back);
	tcase_add_test(tcase, numbers_are_whole_or_not);
	tcase_add_test(tcase, times_are_iso_8601_with_milliseconds);
	return run_tests(tcase);
}
