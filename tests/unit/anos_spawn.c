/* SPDX-License-Identifier: MIT */
/* SYSTEM::PROCESS: requests, and every answer to them.  HOST. */
#include <stdlib.h>

#include "personality/anos/system/spawn.h"
#include "tests/run.h"
#include "tests/unit/anos_page.h"

enum { STACK = 0x100000 };

static int starts;
static struct anos_spawn started;

static int64_t start(void *ctx, const struct anos_spawn *spawn, int32_t parent)
{
	ck_assert_ptr_eq(ctx, &starts);
	ck_assert_int_eq(parent, 100);
	starts++;
	started = *spawn; /* its strings, too: the request is gone when we look */
	for (int i = 0; i < started.argc; i++)
		started.argv[i] = started.strings + (spawn->argv[i] - spawn->strings);
	return 4711;
}

static int64_t ask(struct page *page, uint64_t size)
{
	struct anos_message m = message(page, 1, size);

	starts = 0;
	return (int64_t) anos_spawn_answer(start, &starts, &m);
}

static void header(struct page *page, uint64_t stack, uint16_t argc, uint16_t capc)
{
	memset(page, 0, sizeof(*page));
	anos_put64(page->bytes, 0, stack);
	memcpy(page->bytes + 8, &argc, sizeof(argc));
	memcpy(page->bytes + 10, &capc, sizeof(capc));
}

START_TEST(capabilities_and_arguments_follow_at_twelve)
{
	struct page page;

	header(&page, STACK, 3, 2);
	anos_put64(page.bytes, 12, 1);
	anos_put64(page.bytes, 20, 0x1111);
	anos_put64(page.bytes, 28, 2);
	anos_put64(page.bytes, 36, UINT64_MAX);
	put_text(&page, 44, "boot:/a.elf");
	put_text(&page, 56, "");
	put_text(&page, 57, "x");
	/* as libanos counts: 16 and what follows */
	ck_assert_int_eq(ask(&page, 16 + 32 + 15), 4711);
	ck_assert_int_eq(starts, 1);
	ck_assert_uint_eq(started.stack_size, STACK);
	ck_assert_uint_eq(started.capc, 2);
	ck_assert_uint_eq(started.caps[0].call, 1);
	ck_assert_uint_eq(started.caps[0].token, 0x1111);
	ck_assert_uint_eq(started.caps[1].call, 2);
	ck_assert_uint_eq(started.caps[1].token, UINT64_MAX);
	ck_assert_uint_eq(started.argc, 3);
	ck_assert_str_eq(started.argv[0], "boot:/a.elf");
	ck_assert_str_eq(started.argv[1], "");
	ck_assert_str_eq(started.argv[2], "x");
	ck_assert_ptr_null(started.argv[3]);
}
END_TEST

START_TEST(each_lie_about_the_size_has_its_answer)
{
	struct page page;

	header(&page, STACK, 1, 1);
	put_text(&page, 28, "boot:/a.elf");
	for (uint64_t size = 0; size < 16; size++)
		ck_assert_int_eq(ask(&page, size), -1);
	for (uint64_t size = 16; size < 32; size++)
		ck_assert_int_eq(ask(&page, size), -2);
	ck_assert_int_eq(ask(&page, 32), -3);
	for (uint64_t size = 33; size < 44; size++)
		ck_assert_int_eq(ask(&page, size), -4);
	ck_assert_int_eq(starts, 0);
	ck_assert_int_eq(ask(&page, 44), 4711);
	ck_assert_int_eq(ask(&page, UINT64_MAX), 4711);
}
END_TEST

START_TEST(counts_beyond_the_limits_are_refused)
{
	struct page page;

	header(&page, STACK, 65, 0);
	ck_assert_int_eq(ask(&page, 4096), -10);
	header(&page, STACK, 0, 33);
	ck_assert_int_eq(ask(&page, 4096), -10);
	header(&page, STACK, UINT16_MAX, UINT16_MAX);
	ck_assert_int_eq(ask(&page, 4096), -10);
	/* at the limits, all arguments empty */
	header(&page, STACK, 64, 32);
	ck_assert_int_eq(ask(&page, 16 + 512 + 63), -3);
	ck_assert_int_eq(ask(&page, 16 + 512 + 64), 4711);
	ck_assert_uint_eq(started.argc, 64);
	ck_assert_str_eq(started.argv[63], "");
	ck_assert_ptr_null(started.argv[64]);
	ck_assert_uint_eq(started.capc, 32);
}
END_TEST

START_TEST(a_page_without_an_end_is_cut_off)
{
	struct page page;

	header(&page, STACK, 2, 0);
	memset(page.bytes + 12, 'x', sizeof(page) - 12);
	ck_assert_int_eq(ask(&page, 4096), -4);
	/* the end is there, but in the four bytes that are never looked at */
	page.bytes[4095] = 0;
	ck_assert_int_eq(ask(&page, 4096), -4);
	page.bytes[4091] = 0;
	ck_assert_int_eq(ask(&page, 4096), -3);
	ck_assert_int_eq(starts, 0);
}
END_TEST

START_TEST(an_argument_is_cut_after_255_bytes)
{
	struct page page;

	header(&page, STACK, 2, 0);
	memset(page.bytes + 12, 'x', 300);
	put_text(&page, 12 + 301, "next");
	ck_assert_int_eq(ask(&page, 16 + 301 + 5), 4711);
	ck_assert_uint_eq(strlen(started.argv[0]), 255);
	ck_assert_str_eq(started.argv[1], "next");
}
END_TEST

START_TEST(a_stack_holds_what_is_put_on_it_and_is_whole_pages)
{
	struct page page;
	static const uint64_t bad[] = { 0,          1,
					4096,       64 * 1024 * 1024 + 1,
					UINT64_MAX, UINT64_MAX - 4095,
					1ULL << 63 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		header(&page, bad[i], 1, 0);
		put_text(&page, 12, "p");
		ck_assert_int_eq(ask(&page, 18), -4);
		ck_assert_int_eq(starts, 0);
	}
	header(&page, 64 * 1024 * 1024, 1, 0);
	ck_assert_int_eq(ask(&page, 17), 4711);
	header(&page, 8192, 1, 0);
	ck_assert_int_eq(ask(&page, 17), 4711);
	ck_assert_uint_eq(started.stack_size, 8192);
	header(&page, 8193, 1, 0);
	ck_assert_int_eq(ask(&page, 17), 4711);
	ck_assert_uint_eq(started.stack_size, 12288);
	/* 32 capabilities and nearly four thousand bytes do not fit beside a spare page */
	header(&page, 8192, 10, 32);
	memset(page.bytes + 12 + 512, 'x', 2550);
	for (uint32_t i = 1; i <= 10; i++)
		page.bytes[12 + 512 + 255 * i - 1] = 0;
	ck_assert_int_eq(ask(&page, 4096), 4711);
	header(&page, 4096 + 512, 10, 32);
	ck_assert_int_eq(ask(&page, 4096), -4);
}
END_TEST

START_TEST(what_names_no_program_or_is_no_spawn_starts_nothing)
{
	struct page page;
	struct anos_message m;
	struct anos_message none = { .tag = 1, .size = 4096 };

	header(&page, STACK, 0, 0);
	ck_assert_int_eq(ask(&page, 16), -5);
	m = message(&page, 2, 16);
	ck_assert_int_eq((int64_t) anos_spawn_answer(start, &starts, &m), -999);
	m = message(&page, 0, 16);
	ck_assert_int_eq((int64_t) anos_spawn_answer(start, &starts, &m), -999);
	ck_assert_int_eq((int64_t) anos_spawn_answer(start, &starts, &none), -1);
	ck_assert_int_eq(starts, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("anos spawn");

	tcase_add_test(tc, capabilities_and_arguments_follow_at_twelve);
	tcase_add_test(tc, each_lie_about_the_size_has_its_answer);
	tcase_add_test(tc, counts_beyond_the_limits_are_refused);
	tcase_add_test(tc, a_page_without_an_end_is_cut_off);
	tcase_add_test(tc, an_argument_is_cut_after_255_bytes);
	tcase_add_test(tc, a_stack_holds_what_is_put_on_it_and_is_whole_pages);
	tcase_add_test(tc, what_names_no_program_or_is_no_spawn_starts_nothing);
	return run_tests(tc);
}
