/* SPDX-License-Identifier: MIT */
/* docs/spec/anos.md against personality/anos.  HOST, tests only. */
#include "coverage.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's own calls, which the specification does not list, have the ids 1 to 26. */
enum { KERNEL_CALLS = 26, DEBUG_CALLS = 3, SERVICE_OPERATIONS = 4, SERVICES = 2 };

START_TEST(every_function_has_a_row)
{
	char *text = seed_load("anos.md");
	struct seed_search s = seed_search(text, "anos_([a-z_]+)\\(");
	int n = 0;

	while (seed_next(&s)) {
		const struct co_op *op = row_of_name("anos", s.group[1]);

		ck_assert_int_eq(op->key_kind, CO_KEY_CAP);
		n++;
	}
	ck_assert_int_ge(n, 4 + DEBUG_CALLS);
	free(text);
}
END_TEST

START_TEST(every_capability_id_has_a_row)
{
	char *text = seed_load("anos.md");
	struct seed_search s = seed_search(text, "SYSCALL_ID_([A-Z_]+)");
	int n = 0;

	while (seed_next(&s)) {
		for (char *c = s.group[1]; *c != '\0'; c++)
			*c = (char) tolower((unsigned char) *c);
		/* the id is named after what the call is for, the row after the call */
		(void) row_of_name("anos", strcmp(s.group[1], "debug_print") == 0
						   ? "kprint"
						   : s.group[1]);
		n++;
	}
	ck_assert_int_ge(n, 4);
	free(text);
}
END_TEST

START_TEST(the_ids_are_complete)
{
	const struct co_personality *p = co_personality_find("anos");

	for (uint32_t id = 1; id <= KERNEL_CALLS + DEBUG_CALLS; id++) {
		ck_assert_int_eq(p->ops[id - 1].key_kind, CO_KEY_CAP);
		ck_assert_uint_eq(p->ops[id - 1].number, id);
	}
	ck_assert_int_ne(p->ops[KERNEL_CALLS + DEBUG_CALLS].key_kind, CO_KEY_CAP);
	for (uint32_t id = KERNEL_CALLS + 1; id <= KERNEL_CALLS + DEBUG_CALLS; id++)
		ck_assert_int_eq(strncmp(p->ops[id - 1].name, "debug_", 6), 0);
}
END_TEST

START_TEST(every_service_operation_has_a_row_with_its_opcode)
{
	char *text = seed_load("anos.md");
	struct seed_search s = seed_search(text, "^#define ([A-Z_]+) \\(([0-9]+)\\)$");
	int n = 0;

	while (seed_next(&s)) {
		const struct co_op *op = row_of_name("anos", s.group[1]);

		ck_assert_int_eq(op->key_kind, CO_KEY_SERVICE);
		ck_assert_uint_eq(op->number, (uint32_t) atoi(s.group[2]));
		n++;
	}
	ck_assert_int_eq(n, SERVICE_OPERATIONS);
	free(text);
}
END_TEST

START_TEST(every_service_has_a_row)
{
	const struct co_personality *p = co_personality_find("anos");
	char *text = seed_load("anos.md");
	struct seed_search s = seed_search(text, "^\\| \\*\\*`(SYSTEM::[A-Z]+)`\\*\\*");
	int n = 0;

	while (seed_next(&s)) {
		bool found = false;

		for (size_t i = 0; i < p->nops; i++)
			found |= p->ops[i].key_kind == CO_KEY_SERVICE &&
				 strncmp(p->ops[i].key, s.group[1],
					 strlen(s.group[1])) == 0;
		ck_assert_msg(found, "anos/ops.def has no request to %s", s.group[1]);
		n++;
	}
	ck_assert_int_eq(n, SERVICES);
	free(text);
}
END_TEST

TCase *anos_coverage(void)
{
	TCase *tests = tcase_create("anos");

	tcase_add_test(tests, every_function_has_a_row);
	tcase_add_test(tests, every_capability_id_has_a_row);
	tcase_add_test(tests, the_ids_are_complete);
	tcase_add_test(tests, every_service_operation_has_a_row_with_its_opcode);
	tcase_add_test(tests, every_service_has_a_row);
	return tests;
}
