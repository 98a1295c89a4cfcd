/* SPDX-License-Identifier: MIT */
/*
 * docs/spec/cloudos.md against personality/cloudos: calls, the eleven operation tables,
 * free functions, error codes, versions.  HOST, tests only.  Structs, fields and enums
 * are compared by the compiler: cloudos-declarations.sh.
 */
#include "coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYSTEM_CALLS = 36, OPERATION_TABLES = 11, OPERATIONS = 56, FUNCTIONS = 21 };

/* Ours: no interface of the specification, but needed to ask about it. */
static const char *const additions[] = { "interface_version", "interface_require",
					 "domain" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The name of one parameter as declared: "char* const argv[]" is argv. */
static void parameter_name(const char *parameter, size_t length, char *out, size_t size)
{
	while (length > 0 && strchr("[] \n", parameter[length - 1]) != NULL)
		length--;
	size_t first = length;
	while (first > 0 && strchr(" *\n", parameter[first - 1]) == NULL)
		first--;
	(void) snprintf(out, size, "%.*s", (int) (length - first), parameter + first);
}

/* `list` is what stands behind the opening bracket of a declaration. */
static void check_parameters(const struct co_op *op, const char *list)
{
	const char *end = strchr(list, ')');
	uint32_t n = 0;

	ck_assert_ptr_nonnull(end);
	if (strncmp(list, "void)", 5) == 0)
		list = end;
	while (list < end) {
		size_t length = strcspn(list, ",)");
		char name[64];

		parameter_name(list, length, name, sizeof(name));
		ck_assert_msg(n < op->nargs, "%s has no argument %s", op->name, name);
		ck_assert_msg(strcmp(op->args[n].name, name) == 0,
			      "%s: argument %u is %s, in the specification %s",
			      op->name, n, op->args[n].name, name);
		n++;
		list += length + 1;
	}
	ck_assert_msg(n == op->nargs, "%s: %u arguments, in the specification %u",
		      op->name, op->nargs, n);
}

START_TEST(every_system_call_has_a_row_with_its_parameters)
{
	char *text = seed_load("cloudos.md");
	struct seed_search s = seed_search(text, "(long|void\\*) (sys_[a-z0-9_]+)\\(");
	int n = 0;

	while (seed_next(&s)) {
		check_parameters(row_of_name("cloudos", s.group[2]), s.at);
		n++;
	}
	ck_assert_int_eq(n, SYSTEM_CALLS);
	free(text);
}
END_TEST

/* The members of one operation table: set_gateway of network_ is network_set_gateway. */
static int check_table(const char *table, const char *declaration)
{
	char *body = seed_between(declaration, "{", "\n}");
	struct seed_search s = seed_search(body, "\\(\\*([a-z_]+)\\)\\(");
	int n = 0;

	while (seed_next(&s)) {
		char name[1100];

		(void) snprintf(name, sizeof(name), "%s%s", table, s.group[1]);
		check_parameters(row_of_name("cloudos", name), s.at);
		n++;
	}
	free(body);
	return n;
}

START_TEST(every_member_of_the_operation_tables_has_a_row_with_its_parameters)
{
	char *text = seed_load("cloudos.md");
	struct seed_search s =
		seed_search(text, "typedef struct ([a-z_]+_)operations ");
	int tables = 0;
	int members = 0;

	while (seed_next(&s)) {
		members += check_table(s.group[1], s.at);
		tables++;
	}
	ck_assert_int_eq(tables, OPERATION_TABLES);
	ck_assert_int_eq(members, OPERATIONS);
	free(text);
}
END_TEST

START_TEST(every_free_function_has_a_row_with_its_parameters)
{
	char *text = seed_load("cloudos.md");
	struct seed_search s = seed_search(text, "^(int|void\\*) ([a-z_]+)\\(");
	int n = 0;

	while (seed_next(&s)) {
		if (strncmp(s.group[2], "sys_", 4) == 0)
			continue;
		check_parameters(row_of_name("cloudos", s.group[2]), s.at);
		n++;
	}
	ck_assert_int_eq(n, FUNCTIONS);
	free(text);
}
END_TEST

START_TEST(every_row_is_an_interface_or_a_known_addition)
{
	const struct co_personality *p = co_personality_find("cloudos");

	ck_assert_uint_eq(p->nops,
			  SYSTEM_CALLS + OPERATIONS + FUNCTIONS + COUNT(additions));
	for (size_t i = 0; i < COUNT(additions); i++)
		ck_assert_uint_eq(row_of_name("cloudos", additions[i])->number / 100,
				  219);
}
END_TEST

/* Numbers are group base + position in the specification. */
START_TEST(numbers_follow_the_order_of_the_specification)
{
	char *text = seed_load("cloudos.md");
	struct seed_search s = seed_search(text, "^(long|int|void\\*) ([a-z_0-9]+)\\(");
	uint32_t last[10] = { 0 };

	while (seed_next(&s)) {
		const struct co_op *op = row_of_name("cloudos", s.group[2]);
		size_t group = (op->number - 20000) / 100;

		if (op->key_kind != CO_KEY_NUM)
			continue;
		ck_assert_uint_lt(group, COUNT(last));
		ck_assert_msg(op->number > last[group], "%s is %u, after %u", op->name,
			      op->number, last[group]);
		last[group] = op->number;
	}
	free(text);
}
END_TEST

/* clang-format off */
static const struct { const char *name, *sentence; int number; } errors[] = {
#define ERROR(name_, number_, host, status, sentence_) \
	{ .name = #name_, .sentence = sentence_, .number = number_ },
#include <personality/cloudos/errors.def>
#undef ERROR
};

static const struct { const char *title; int major, minor, patch; } versions[] = {
#define INTERFACE(name, id, major_, minor_, patch_, title_) \
	{ .title = title_, .major = major_, .minor = minor_, .patch = patch_ },
#include <personality/cloudos/versions.def>
#undef INTERFACE
};
/* clang-format on */

START_TEST(every_error_code_is_in_errors_def)
{
	char *text = seed_load("cloudos.md");
	struct seed_search s =
		seed_search(text, "^#define CLOUDOS_(E[A-Z]+) +(-[0-9]+) +// (.*)$");
	size_t n = 0;

	while (seed_next(&s)) {
		ck_assert_uint_lt(n, COUNT(errors));
		ck_assert_str_eq(errors[n].name, s.group[1]);
		ck_assert_int_eq(-errors[n].number, atoi(s.group[2]));
		ck_assert_str_eq(errors[n].sentence, s.group[3]);
		n++;
	}
	ck_assert_uint_eq(n, COUNT(errors));
	ck_assert_uint_eq(n, 19);
	free(text);
}
END_TEST

START_TEST(every_interface_version_is_in_versions_def)
{
	char *text = seed_load("cloudos.md");
	struct seed_search s =
		seed_search(text, "^- \\*\\*(.*)\\*\\*: v([0-9]+\\.[0-9]+\\.[0-9]+)");
	size_t n = 0;

	while (seed_next(&s)) {
		char version[40];

		ck_assert_uint_lt(n, COUNT(versions));
		(void) snprintf(version, sizeof(version), "%d.%d.%d", versions[n].major,
				versions[n].minor, versions[n].patch);
		ck_assert_str_eq(versions[n].title, s.group[1]);
		ck_assert_str_eq(version, s.group[2]);
		n++;
	}
	ck_assert_uint_eq(n, COUNT(versions));
	ck_assert_uint_eq(n, 6);
	free(text);
}
END_TEST

TCase *cloudos_coverage(void)
{
	TCase *tests = tcase_create("cloudos");

	tcase_add_test(tests, every_system_call_has_a_row_with_its_parameters);
	tcase_add_test(
		tests,
		every_member_of_the_operation_tables_has_a_row_with_its_parameters);
	tcase_add_test(tests, every_free_function_has_a_row_with_its_parameters);
	tcase_add_test(tests, every_row_is_an_interface_or_a_known_addition);
	tcase_add_test(tests, numbers_follow_the_order_of_the_specification);
	tcase_add_test(tests, every_error_code_is_in_errors_def);
	tcase_add_test(tests, every_interface_version_is_in_versions_def);
	return tests;
}
