/* SPDX-License-Identifier: MIT */
/*
 * Traces can show every struct that a call of the daemon takes or gives.  (That structs.def
 * says what the headers say is asserted when structs.c is compiled.)  HOST.
 */
#include <string.h>

#include "personality/cloudos/cloudos.h"
#include "tests/run.h"

static const struct co_struct *find(const char *type)
{
	for (const struct co_struct *s = cloudos_structs; s->type; s++)
		if (!strcmp(s->type, type))
			return s;
	return NULL;
}

static bool points_to_type(enum co_arg_kind kind)
{
	return kind == CO_ARG_IN || kind == CO_ARG_OUT || kind == CO_ARG_INOUT ||
	       kind == CO_ARG_SIZED_IN || kind == CO_ARG_SIZED_OUT ||
	       kind == CO_ARG_OUT_ARRAY || kind == CO_ARG_TAILED_IN ||
	       kind == CO_ARG_TAILED_OUT;
}

START_TEST(every_struct_of_an_answered_call_has_its_rows)
{
	const struct co_personality *p = co_personality_find("cloudos");
	unsigned seen = 0;

	for (size_t i = 0; i < p->nops; i++) {
		const struct co_op *op = &p->ops[i];

		if (op->plane != CO_PLANE_DAEMON)
			continue;
		for (uint32_t k = 0; k < op->nargs; k++) {
			const struct co_arg *arg = &op->args[k];
			const struct co_struct *s = find(arg->type);

			if (!points_to_type(arg->kind) || arg->size <= sizeof(uint64_t))
				continue;
			ck_assert_msg(s != NULL, "%s: structs.def has no %s", op->name,
				      arg->type);
			ck_assert_uint_eq(s->size, arg->size);
			seen++;
		}
	}
	ck_assert_uint_ge(seen, 6);
}
END_TEST

START_TEST(lists_are_counted_inside_their_struct)
{
	for (const struct co_struct *s = cloudos_structs; s->type; s++)
		for (uint32_t i = 0; i < s->nmembers; i++) {
			const struct co_member *m = &s->members[i];
			const struct co_struct *of = cloudos_structs;

			ck_assert_uint_le((uint64_t) m->offset + m->size, s->size);
			if (m->kind != CO_MEMBER_LIST)
				continue;
			while (of->type && strcmp(of->id, m->element) != 0)
				of++;
			ck_assert_msg(of->type != NULL, "%s.%s is of no struct", s->id,
				      m->name);
			ck_assert_uint_eq(m->size % of->size, 0);
			ck_assert_uint_lt(m->count, s->size);
		}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("structs");

	tcase_add_test(t, every_struct_of_an_answered_call_has_its_rows);
	tcase_add_test(t, lists_are_counted_inside_their_struct);
	return run_tests(t);
}
