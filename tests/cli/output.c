/* SPDX-License-Identifier: MIT */
/* lib/json.c, lib/utf8.c and cli/print.c.  HOST, tests only. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "lib/cleanup.h"
#include "lib/utf8.h"

/* ---- UTF-8 ---- */

static uint32_t first(const char *text, size_t n, size_t length)
{
	size_t got;
	uint32_t c = co_utf8_next(text, n, &got);

	ck_assert_uint_eq(got, length);
	return c;
}

START_TEST(characters_of_all_lengths_are_read)
{
	ck_assert_uint_eq(first("a", 1, 1), 'a');
	ck_assert_uint_eq(first("\xc3\xa9!", 3, 2), 0xe9);
	ck_assert_uint_eq(first("\xe6\x97\xa5", 3, 3), 0x65e5);
	ck_assert_uint_eq(first("\xf0\x9f\x98\x80", 4, 4), 0x1f600);
	ck_assert_uint_eq(first("\xf4\x8f\xbf\xbf", 4, 4), 0x10ffff);
	ck_assert_uint_eq(first("", 1, 1), 0);
}
END_TEST

START_TEST(what_is_not_utf8_is_one_invalid_byte)
{
	static const struct {
		const char *text;
		size_t n;
	} wrong[] = {
		{ "\x80", 1 },
		{ "\xc0\xaf", 2 },
		{ "\xc1\xbf", 2 },
		{ "\xc3", 1 },
		{ "\xc3(", 2 },
		{ "\xe0\x80\xaf", 3 },
		{ "\xe2\x82", 2 },
		{ "\xed\xa0\x80", 3 },
		{ "\xf0\x80\x80\xaf", 4 },
		{ "\xf4\x90\x80\x80", 4 },
		{ "\xf5\x80\x80\x80", 4 },
		{ "\xff", 1 },
	};

	for (size_t i = 0; i < co_countof(wrong); i++)
		ck_assert_uint_eq(first(wrong[i].text, wrong[i].n, 1), CO_UTF8_INVALID);
}
END_TEST

START_TEST(widths_are_those_of_a_terminal)
{
	ck_assert_uint_eq(co_utf8_width('a'), 1);
	ck_assert_uint_eq(co_utf8_width(0xe9), 1);
	ck_assert_uint_eq(co_utf8_width(0x301), 0);
	ck_assert_uint_eq(co_utf8_width(0x65e5), 2);
	ck_assert_uint_eq(co_utf8_width(0x1f600), 2);
}
END_TEST

/* ---- JSON ---- */

static char *written; /* by the last json_text or listing; freed by the next */

static const char *json_text(const char *bytes, size_t n)
{
	struct co_json j;
	size_t size;
	FILE *f;

	free(written);
	f = open_memstream(&written, &size);
	co_json_init(&j, f);
	co_json_bytes(&j, bytes, n);
	ck_assert_int_eq(fclose(f), 0);
	return written;
}

START_TEST(json_text_is_escaped)
{
	ck_assert_str_eq(json_text("a\"b\\c\n\r\t\b\f", 10),
			 "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\"");
	ck_assert_str_eq(json_text("\0\x1f\x7f", 3), "\"\\u0000\\u001f\\u007f\"");
	ck_assert_str_eq(json_text("\xc2\x85", 2), "\"\\u0085\"");
	ck_assert_str_eq(json_text("caf\xc3\xa9", 5), "\"caf\xc3\xa9\"");
	ck_assert_str_eq(json_text("a\xff\xc3", 3), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
	ck_assert_str_eq(json_text("", 0), "\"\"");
}
END_TEST

START_TEST(json_nests_and_separates)
{
	struct co_json j;
	size_t size;
	FILE *f;

	free(written);
	f = open_memstream(&written, &size);
	co_json_init(&j, f);
	co_json_open(&j, '[');
	co_json_open(&j, '{');
	co_json_key(&j, "a");
	co_json_i64(&j, INT64_MIN);
	co_json_key(&j, "b");
	co_json_open(&j, '[');
	co_json_u64(&j, UINT64_MAX);
	co_json_bool(&j, true);
	co_json_text(&j, NULL);
	co_json_close(&j);
	co_json_close(&j);
	co_json_open(&j, '{');
	co_json_close(&j);
	co_json_close(&j);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_str_eq(written,
			 "[\n  {\"a\": -9223372036854775808, "
			 "\"b\": [18446744073709551615, true, null]},\n  {}\n]\n");
}
END_TEST

/* ---- listings ---- */

static struct co_print *listing(struct co_print_style *style, size_t *size)
{
	static const char *const columns[] = { "name", "calls", "age_ms", NULL };

	free(written);
	written = NULL;
	style->out = open_memstream(&written, size);
	return co_print_new(style, columns);
}

static const char *listed(struct co_print *p, const struct co_print_style *style)
{
	ck_assert_uint_eq(co_print_rows(p), 2);
	ck_assert_int_eq(co_print_end(p), 0);
	ck_assert_int_eq(fclose(style->out), 0);
	return written;
}

static void two_rows(struct co_print *p)
{
	co_print_text(p, "\xe6\x97\xa5");
	co_print_u64(p, 5);
	co_print_u64(p, 61000);
	co_print_text(p, "");
	co_print_i64(p, -1234567);
	co_print_u64(p, 1);
}

START_TEST(tables_align_by_width_and_numbers_to_the_right)
{
	struct co_print_style style = { .format = CO_FORMAT_TABLE };
	size_t size;
	struct co_print *p = listing(&style, &size);

	two_rows(p);
	ck_assert_str_eq(listed(p, &style), "NAME     CALLS   AGE\n"
					    "\xe6\x97\xa5           5  1m1s\n"
					    "-     -1234567   1ms\n");
}
END_TEST

START_TEST(json_listings_have_the_bare_values)
{
	struct co_print_style style = { .format = CO_FORMAT_JSON };
	size_t size;
	struct co_print *p = listing(&style, &size);

	two_rows(p);
	ck_assert_str_eq(
		listed(p, &style),
		"[\n  {\"name\": \"\xe6\x97\xa5\", \"calls\": 5, \"age_ms\": 61000},\n"
		"  {\"name\": \"\", \"calls\": -1234567, \"age_ms\": 1}\n]\n");
}
END_TEST

START_TEST(json_streams_are_one_object_per_line)
{
	struct co_print_style style = { .format = CO_FORMAT_JSON, .stream = true };
	size_t size;
	struct co_print *p = listing(&style, &size);

	two_rows(p);
	ck_assert_str_eq(
		listed(p, &style),
		"{\"name\": \"\xe6\x97\xa5\", \"calls\": 5, \"age_ms\": 61000}\n"
		"{\"name\": \"\", \"calls\": -1234567, \"age_ms\": 1}\n");
}
END_TEST

START_TEST(text_cannot_disturb_a_terminal)
{
	static const char hostile[] = "a\033]0;x\a\xc2\x9b\xe2\x80\xae\xff\n";
	size_t size;
	FILE *f;

	free(written);
	f = open_memstream(&written, &size);
	ck_assert_uint_eq(co_print_escaped(f, hostile, sizeof(hostile) - 1), 31);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_str_eq(written, "a\\x1b]0;x\\x07\\u009b\\u202e\\xff\\n");
}
END_TEST

START_TEST(durations_and_times_are_for_people)
{
	static const char *const columns[] = { "took_ns", "left_ms", NULL };
	struct co_print_style style = { .format = CO_FORMAT_TABLE };
	static const struct {
		uint64_t ns, ms;
		const char *line;
	} rows[] = {
		{ 999, 0, "1.0us 0ms" },         { 4200, 999, "4.2us 999ms" },
		{ 12000000, 1500, "12ms 1.5s" }, { 1000000000, 3600000, "1.0s 1h0m" },
		{ 0, 90000000, "0.0us 1d1h" },
	};

	for (size_t i = 0; i < co_countof(rows); i++) {
		char first_cell[32], second[32], both[80];
		size_t size;
		struct co_print *p;

		free(written);
		style.out = open_memstream(&written, &size);
		p = co_print_new(&style, columns);
		co_print_u64(p, rows[i].ns);
		co_print_u64(p, rows[i].ms);
		ck_assert_int_eq(co_print_end(p), 0);
		ck_assert_int_eq(fclose(style.out), 0);
		ck_assert_int_eq(
			sscanf(written, "%*s %*s %31s %31s", first_cell, second), 2);
		(void) snprintf(both, sizeof(both), "%s %s", first_cell, second);
		ck_assert_str_eq(both, rows[i].line);
	}
}
END_TEST

START_TEST(every_row_of_the_wire_can_be_listed)
{
	struct co_print_style style = { .format = CO_FORMAT_JSON };
	struct co_msg *m = co_msg_new();
	size_t n, size;
	const struct co_layout *all = co_wire_layouts(&n);

	for (size_t i = 0; i < n; i++) {
		struct co_print *p;

		if (all[i].form != WIRE_ROW)
			continue;
		free(written);
		style.out = open_memstream(&written, &size);
		p = co_print_new_layout(&style, &all[i], NULL);
		(void) co_msg_start(m, all[i].type, 1);
		co_print_message(p, m);
		co_print_message(p, m);
		(void) listed(p, &style);
		for (uint32_t k = 0; k < all[i].nfields; k++)
			if (strcmp(all[i].fields[k].name, "reserved") != 0)
				ck_assert_ptr_nonnull(
					strstr(written, all[i].fields[k].name));
		ck_assert_ptr_null(strstr(written, "reserved"));
	}
	co_msg_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("output");
	TCase *tc = tcase_create("output");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, characters_of_all_lengths_are_read);
	tcase_add_test(tc, what_is_not_utf8_is_one_invalid_byte);
	tcase_add_test(tc, widths_are_those_of_a_terminal);
	tcase_add_test(tc, json_text_is_escaped);
	tcase_add_test(tc, json_nests_and_separates);
	tcase_add_test(tc, tables_align_by_width_and_numbers_to_the_right);
	tcase_add_test(tc, json_listings_have_the_bare_values);
	tcase_add_test(tc, json_streams_are_one_object_per_line);
	tcase_add_test(tc, text_cannot_disturb_a_terminal);
	tcase_add_test(tc, durations_and_times_are_for_people);
	tcase_add_test(tc, every_row_of_the_wire_can_be_listed);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	free(written);
	return failed ? 1 : 0;
}
