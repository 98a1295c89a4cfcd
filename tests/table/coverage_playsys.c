/* SPDX-License-Identifier: MIT */
/*
 * docs/spec/playsys.md against personality/playsys: operations with their arguments,
 * errors, flags.  HOST, tests only.
 */
#include "coverage.h"

#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 18, CONSIDERED = 12 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "base fd, path cstr -> fd": the first word of each item is a name. */
static void check_arguments(const struct co_op *op, char *list)
{
	char *end = strstr(list, "->");
	uint32_t n = 0;

	if (end != NULL)
		*end = '\0';
	if (strncmp(list, "_TODO_", 6) == 0)
		*list = '\0';
	for (char *item = strtok(list, ","); item != NULL; item = strtok(NULL, ",")) {
		item += strspn(item, " ");
		item[strcspn(item, " ")] = '\0';
		ck_assert_msg(n < op->nargs, "%s has no argument %s", op->name, item);
		ck_assert_msg(strcmp(op->args[n].name, item) == 0,
			      "%s: argument %u is %s, in the specification %s",
			      op->name, n, op->args[n].name, item);
		n++;
	}
	ck_assert_msg(n == op->nargs, "%s: %u arguments, in the specification %u",
		      op->name, op->nargs, n);
}

START_TEST(every_operation_has_a_row_with_its_arguments)
{
	char *text = seed_load("playsys.md");
	struct seed_search s = seed_search(
		text, "^\\[([a-z_]+)\\]\\(#[a-z_]+\\) *\\| *([0-9]+) \\| (.*)$");
	int n = 0;

	while (seed_next(&s)) {
		const struct co_op *op = row_of_name("playsys", s.group[1]);

		ck_assert_msg(op->number == (uint32_t) atoi(s.group[2]), "%s is %u",
			      op->name, op->number);
		check_arguments(op, s.group[3]);
		n++;
	}
	ck_assert_int_eq(n, OPERATIONS);
	free(text);
}
END_TEST

START_TEST(every_considered_operation_has_a_row)
{
	const struct co_personality *p = co_personality_find("playsys");
	char *text = seed_load("playsys.md");
	char *part = seed_between(text, "operations under consideration",
				  "operations notes");
	struct seed_search s = seed_search(part, "^([a-z]+) +\\| +([0-9]+) \\|");
	int n = 0;

	while (seed_next(&s)) {
		const struct co_op *op = row_of_name("playsys", s.group[1]);

		ck_assert_msg(op->number == (uint32_t) atoi(s.group[2]), "%s is %u",
			      op->name, op->number);
		n++;
	}
	ck_assert_int_eq(n, CONSIDERED);
	/* mmap is in both tables */
	ck_assert_uint_eq(p->nops, OPERATIONS + CONSIDERED - 1);
	free(part);
	free(text);
}
END_TEST

/* clang-format off */
static const struct { const char *name, *meaning; int number; } errors[] = {
#define ERROR(name_, number_, meaning_) \
	{ .name = #name_, .meaning = meaning_, .number = number_ },
#include <personality/playsys/errors.def>
#undef ERROR
};

static const struct { const char *set, *name; long value; } flags[] = {
#define FLAG(set_, name_, value_) { .set = #set_, .name = #name_, .value = value_ },
#include <personality/playsys/flags.def>
#undef FLAG
};
/* clang-format on */

START_TEST(errors_def_is_the_table_of_errors)
{
	char *text = seed_load("playsys.md");
	char *table = seed_between(text, "[](# \":errors\")", "##");
	struct seed_search s = seed_search(table, "^([a-z_]+) +\\| ?(.*)$");
	size_t n = 0;

	while (seed_next(&s)) {
		if (n == 0 && strcmp(s.group[1], "name") == 0)
			continue;
		ck_assert_uint_lt(n, COUNT(errors));
		ck_assert_str_eq(errors[n].name, s.group[1]);
		ck_assert_str_eq(errors[n].meaning, s.group[2]);
		ck_assert_int_eq(errors[n].number, (int) n);
		n++;
	}
	ck_assert_uint_eq(n, COUNT(errors));
	ck_assert_uint_eq(n, 15);
	free(table);
	free(text);
}
END_TEST

/* The sets stand one behind the other in flags.def. */
static size_t check_flags(const char *text, const char *set, const char *anchor,
			  size_t first)
{
	char *table = seed_between(text, anchor, "\n\n\n");
	struct seed_search s =
		seed_search(table, "^([a-z_]+) +\\| +(0x[0-9a-f]+|[0-9]+) \\|");

	while (seed_next(&s)) {
		ck_assert_uint_lt(first, COUNT(flags));
		ck_assert_str_eq(flags[first].set, set);
		ck_assert_str_eq(flags[first].name, s.group[1]);
		ck_assert_int_eq(flags[first].value, strtol(s.group[2], NULL, 0));
		first++;
	}
	free(table);
	return first;
}

START_TEST(flags_def_is_the_tables_of_flags)
{
	char *text = seed_load("playsys.md");
	size_t n = check_flags(text, "open", "[](# \":open_flags\")", 0);

	ck_assert_uint_eq(n, 7);
	n = check_flags(text, "mmap", "[](# \":mmap_flags\")", n);
	ck_assert_uint_eq(n, 7 + 10);
	n = check_flags(text, "gpudev", "[](# \":gpudev_flags\")", n);
	ck_assert_uint_eq(n, 7 + 10 + 3);
	ck_assert_uint_eq(n, COUNT(flags));
	free(text);
}
END_TEST

TCase *playsys_coverage(void)
{
	TCase *tests = tcase_create("playsys");

	tcase_add_test(tests, every_operation_has_a_row_with_its_arguments);
	tcase_add_test(tests, every_considered_operation_has_a_row);
	tcase_add_test(tests, errors_def_is_the_table_of_errors);
	tcase_add_test(tests, flags_def_is_the_tables_of_flags);
	return tests;
}
