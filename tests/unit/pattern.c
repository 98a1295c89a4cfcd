/* SPDX-License-Identifier: MIT */
/* Patterns of names.  HOST. */
#include "lib/pattern.h"

#include "tests/run.h"

static const struct {
	const char *pattern, *name;
	bool matches;
} cases[] = {
	{ "", "user:created", true },
	{ "user:created", "user:created", true },
	{ "user:created", "user:create", false },
	{ "user:create", "user:created", false },
	{ "user:*", "user:created", true },
	{ "user:*", "user:", true },
	{ "user:*", "user", false },
	{ "*", "anything", true },
	{ "a,b", "a", true },
	{ "a,b", "b", true },
	{ "a,b", "c", false },
	{ "a,b", "a,b", false },
	{ " a , job:* ", "job:done", true },
	{ "a,", "", false },
	{ ",", "", false },
	{ "us*r", "user", false },
	{ "us*r", "us*r", true },
};

START_TEST(a_pattern_matches_what_it_says_and_nothing_else)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(co_pattern_match(co_span(cases[i].pattern),
					       co_span(cases[i].name)) ==
				      cases[i].matches,
			      "\"%s\" and \"%s\"", cases[i].pattern, cases[i].name);
}
END_TEST

START_TEST(no_pattern_matches_every_name)
{
	ck_assert(co_pattern_match((struct co_span){ 0 }, co_span("x")));
	ck_assert(co_pattern_match((struct co_span){ 0 }, (struct co_span){ 0 }));
}
END_TEST

START_TEST(one_plain_name_is_told_from_a_pattern)
{
	ck_assert(co_pattern_is_name(co_span("user:created")));
	ck_assert(co_pattern_is_name(co_span(" a ")));
	ck_assert(!co_pattern_is_name(co_span("a,b")));
	ck_assert(!co_pattern_is_name(co_span("a*")));
	ck_assert(!co_pattern_is_name(co_span("")));
	ck_assert(!co_pattern_is_name((struct co_span){ 0 }));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("pattern");

	tcase_add_test(tcase, a_pattern_matches_what_it_says_and_nothing_else);
	tcase_add_test(tcase, no_pattern_matches_every_name);
	tcase_add_test(tcase, one_plain_name_is_told_from_a_pattern);
	return run_tests(tcase);
}
