/* SPDX-License-Identifier: MIT */
/* HOST test of lib/escape.h. */
#include "lib/escape.h"

#include <string.h>

#include "tests/run.h"

/* clang-format off */
static const struct { const char *in, *out; } cases[] = {
	{ "plain text", "plain text" },
	{ "say \"no\"", "say \\\"no\\\"" },
	{ "back\\slash", "back\\\\slash" },
	{ "two\nlines\tand\rmore", "two\\nlines\\tand\\x0dmore" },
	{ "\x1b[31mred", "\\x1b[31mred" },
	{ "del\x7f", "del\\x7f" },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },          /* two bytes */
	{ "\xe2\x82\xac", "\xe2\x82\xac" },                      /* three */
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },              /* four */
	{ "\xc2\x9b" "31m", "\\xc2\\x9b31m" },                   /* C1: a terminal's CSI */
	{ "\xc0\xaf", "\\xc0\\xaf" },                            /* overlong slash */
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },                   /* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },          /* behind the last one */
	{ "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" }, /* five bytes */
	{ "\xe2\x82", "\\xe2\\x82" },                            /* ends too early */
	{ "\x80", "\\x80" },
};
/* clang-format on */

START_TEST(bytes_are_shown_so)
{
	char out[64];
	size_t n = co_escape(out, sizeof(out), cases[_i].in, strlen(cases[_i].in));

	ck_assert_str_eq(out, cases[_i].out);
	ck_assert_uint_eq(n, strlen(out));
}
END_TEST

START_TEST(a_zero_byte_does_not_end_the_text)
{
	char out[16];

	ck_assert_uint_eq(co_escape(out, sizeof(out), "a\0b", 3), 6);
	ck_assert_str_eq(out, "a\\x00b");
}
END_TEST

START_TEST(what_fits_exactly_is_not_cut)
{
	char out[8];

	ck_assert_uint_eq(co_escape(out, sizeof(out), "1234567", 7), 7);
	ck_assert_str_eq(out, "1234567");
	ck_assert_uint_eq(co_escape(out, sizeof(out), "12345678", 8), 7);
	ck_assert_str_eq(out, "1234...");
}
END_TEST

START_TEST(the_cut_never_splits_an_escape_or_a_character)
{
	static const char text[] = "\x01\xe2\x82\xac\x02\xc3\xbc\n\"z\x03";

	for (size_t size = 4; size < 40; size++) {
		char whole[64], out[64];
		size_t kept;
		size_t n = co_escape(out, size, text, sizeof(text) - 1);

		(void) co_escape(whole, sizeof(whole), text, sizeof(text) - 1);
		ck_assert_uint_lt(n, size);
		ck_assert_uint_eq(n, strlen(out));
		if (strcmp(out, whole) == 0)
			continue;
		ck_assert_str_eq(out + n - 3, "...");
		kept = n - 3;
		ck_assert_mem_eq(out, whole, kept);
		/* what follows in the whole text is the beginning of a piece */
		ck_assert((unsigned char) whole[kept] < 0x80 ||
			  (unsigned char) whole[kept] >= 0xc0);
		ck_assert(kept == 0 || whole[kept - 1] != '\\');
		ck_assert(kept < 2 || whole[kept - 1] != 'x' ||
			  whole[kept - 2] != '\\');
		ck_assert(kept < 3 || whole[kept - 2] != 'x' ||
			  whole[kept - 3] != '\\');
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("escape");

	tcase_add_loop_test(tc, bytes_are_shown_so, 0,
			    (int) (sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, a_zero_byte_does_not_end_the_text);
	tcase_add_test(tc, what_fits_exactly_is_not_cut);
	tcase_add_test(tc, the_cut_never_splits_an_escape_or_a_character);
	return run_tests(tc);
}
