/* SPDX-License-Identifier: MIT */
/* docs/spec/clankeros.md against personality/clankeros.  HOST, tests only. */
#include "coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_TYPES = 7, KERNEL_API = 5, SCHEMES = 5, ALIASES = 2 };

/* Each match's first group, with `prefix` before it, is the name of a row. */
static int demand_rows(const char *text, const char *expression, const char *prefix)
{
	struct seed_search s = seed_search(text, expression);
	int n = 0;

	while (seed_next(&s)) {
		char name[600];

		(void) snprintf(name, sizeof(name), "%s%s", prefix, s.group[1]);
		(void) row_of_name("clankeros", name); /* fails by itself */
		n++;
	}
	return n;
}

START_TEST(every_message_type_has_a_row)
{
	char *text = seed_load("clankeros.md");
	char *types = seed_between(text, "typedef enum {", "} MessageType;");
	struct seed_search s = seed_search(types, "MSG_([A-Z_]+)");
	int n = 0;

	while (seed_next(&s)) {
		const struct co_op *op = row_of_key("clankeros", s.group[1]);

		ck_assert_int_eq(op->key_kind, CO_KEY_MESSAGE);
		n++;
	}
	ck_assert_int_eq(n, MESSAGE_TYPES);
	/* and those that appear in the text alone */
	ck_assert_int_gt(demand_rows(text, "(MSG_[A-Z_]+)", ""), n);
	free(types);
	free(text);
}
END_TEST

START_TEST(every_function_has_a_row)
{
	char *text = seed_load("clankeros.md");
	char *table = seed_between(text, "**Function table", "} KernelApi;");

	ck_assert_int_eq(demand_rows(table, "^ +void\\*? \\(\\*([A-Za-z]+)\\)", ""),
			 KERNEL_API);
	ck_assert_int_ge(demand_rows(text, "(Namespace(Register|Unregister))\\(", ""),
			 2);
	ck_assert_int_ge(demand_rows(text, "(Ipc[A-Z][a-z]+)\\(", ""), 3);
	ck_assert_int_ge(demand_rows(text, "(CreateMessage|FreeMessage)\\(", ""), 2);
	free(table);
	free(text);
}
END_TEST

/* "- Memory management functions (kmalloc, kfree, page allocation)": the words */
START_TEST(every_kernel_function_named_in_passing_has_a_row)
{
	char *text = seed_load("clankeros.md");
	char *list = seed_between(text, "**Direct access:**", "**Function table");

	ck_assert_int_eq(demand_rows(list, "[(, ](kmalloc|kfree|inb|outb)[,)]", ""), 4);
	free(list);
	free(text);
}
END_TEST

START_TEST(every_unix_call_has_a_row)
{
	char *text = seed_load("clankeros.md");

	ck_assert_int_eq(demand_rows(text, "case (SYS_[A-Z]+):", ""), 2);
	free(text);
}
END_TEST

/* A name space is there if a row's key begins with it. */
static void demand_name_space(const char *prefix)
{
	const struct co_personality *p = co_personality_find("clankeros");

	for (size_t i = 0; i < p->nops; i++)
		if (p->ops[i].key_kind == CO_KEY_NAMESPACE &&
		    strncmp(p->ops[i].key, prefix, strlen(prefix)) == 0)
			return;
	ck_abort_msg("clankeros/ops.def serves no name space %s", prefix);
}

START_TEST(every_name_space_of_the_system_has_a_row)
{
	char *text = seed_load("clankeros.md");
	char *schemes = seed_between(text, "### URI-based Namespaces", "**Aliases**");
	char *aliases = seed_between(text, "**Aliases**", "###");
	struct seed_search s = seed_search(schemes, "^([a-z]+:)");
	int n = 0;

	while (seed_next(&s)) {
		demand_name_space(s.group[1]);
		n++;
	}
	ck_assert_int_eq(n, SCHEMES);
	s = seed_search(aliases, "`([a-z]+:/)`");
	while (seed_next(&s)) {
		demand_name_space(s.group[1]);
		n++;
	}
	ck_assert_int_eq(n, SCHEMES + ALIASES);
	free(aliases);
	free(schemes);
	free(text);
}
END_TEST

/* `proc:list:`, `proc:123:memory`, `proc:123:state` */
START_TEST(every_query_of_the_process_server_has_a_row)
{
	char *text = seed_load("clankeros.md");
	char *part = seed_between(text, "**Process namespace (`proc:`)**", "2. **");
	struct seed_search s = seed_search(part, "`proc:(123)?([a-z:]+)`");
	int n = 0;

	while (seed_next(&s)) {
		char key[600];

		(void) snprintf(key, sizeof(key), "proc:%s%s", *s.group[1] ? "PID" : "",
				s.group[2]);
		(void) row_of_key("clankeros", key); /* fails by itself */
		n++;
	}
	ck_assert_int_eq(n, 3);
	free(part);
	free(text);
}
END_TEST

TCase *clankeros_coverage(void)
{
	TCase *tests = tcase_create("clankeros");

	tcase_add_test(tests, every_message_type_has_a_row);
	tcase_add_test(tests, every_function_has_a_row);
	tcase_add_test(tests, every_kernel_function_named_in_passing_has_a_row);
	tcase_add_test(tests, every_unix_call_has_a_row);
	tcase_add_test(tests, every_name_space_of_the_system_has_a_row);
	tcase_add_test(tests, every_query_of_the_process_server_has_a_row);
	return tests;
}
