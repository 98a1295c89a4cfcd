/* SPDX-License-Identifier: MIT */
/*
 * The form of every row of every personality, and the look-ups of personality.h.  HOST.
 * What rows there have to be is the business of seed_coverage.c.
 */
#include "seed.h"

#include <check.h>
#include <co/limits.h>
#include <ctype.h>
#include <personality/personality.h>
#include <stdlib.h>
#include <string.h>

/* The arguments of each row as they are written, in the order of the tables. */
/* clang-format off */
static const char *const written[] = {
#include <co/op-begin.h>
#undef OP
#define OP(key, name, plane, support, args, heading, note) #args,
#include <personality/cloudos/ops.def>
#include <personality/blackroad/ops.def>
#include <personality/clankeros/ops.def>
#include <personality/playsys/ops.def>
#include <personality/anos/ops.def>
#include <personality/linux/ops.def>
#include <co/op-end.h>
};

static const char *const flag_sets[] = {
#define FLAG(set, name, value) #set,
#include <personality/playsys/flags.def>
#undef FLAG
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Row i of all tables in a row: its personality, its index there. */
static const struct co_personality *locate(int i, size_t *out_index)
{
	size_t n;
	const struct co_personality *all = co_personalities(&n);
	size_t left = (size_t) i;

	for (size_t p = 0; p < n; p++) {
		if (left < all[p].nops) {
			*out_index = left;
			return &all[p];
		}
		left -= all[p].nops;
	}
	ck_abort_msg("there is no row %d", i);
	return NULL;
}

/* "who": the row, as messages name it. */
#define ROW(i)                                                                         \
	size_t index;                                                                  \
	const struct co_personality *p = locate((i), &index);                          \
	const struct co_op *op = &p->ops[index];                                       \
	const char *who = op->name

static bool is_word(const char *text)
{
	if (!isalpha((unsigned char) *text) && *text != '_')
		return false;
	while (isalnum((unsigned char) *text) || *text == '_')
		text++;
	return *text == '\0';
}

START_TEST(row_has_a_name_a_key_and_a_plane)
{
	ROW(_i);

	ck_assert_msg(is_word(op->name), "%s row %zu: '%s' is no name", p->name, index,
		      who);
	ck_assert_msg(op->key != NULL && *op->key != '\0', "%s: no key", who);
	ck_assert_msg((op->plane == CO_PLANE_NONE) ==
			      (op->support == CO_SUPPORT_ABSENT),
		      "%s: plane NONE and support ABSENT go together", who);
	ck_assert_msg(op->plane != CO_PLANE_KERNEL || op->key_kind == CO_KEY_LINUX,
		      "%s: the kernel knows LINUX keys only", who);
}
END_TEST

START_TEST(row_has_a_note_unless_full)
{
	ROW(_i);

	if (op->support == CO_SUPPORT_FULL) {
		ck_assert_msg(*op->note == '\0', "%s is FULL and has a note", who);
		return;
	}
	ck_assert_msg(strlen(op->note) >= 20, "%s: '%s' tells nobody anything", who,
		      op->note);
	ck_assert_msg(strcasestr(op->note, "todo") == NULL, "%s: '%s'", who, op->note);
	ck_assert_msg(op->note[strlen(op->note) - 1] != '.', "%s: no full stop", who);
}
END_TEST

START_TEST(row_has_a_heading_of_the_specification)
{
	ROW(_i);
	char *text = seed_load(p->spec);

	/* what we have beyond BlackRoad's specification stands behind its rows, without */
	if (!*op->heading && strcmp(p->name, "blackroad") == 0 &&
	    (index + 1 == p->nops || !*p->ops[index + 1].heading)) {
		free(text);
		return;
	}
	ck_assert_msg(seed_has_heading(text, op->heading),
		      "%s: docs/spec/%s has no '%s'", who, p->spec, op->heading);
	free(text);
}
END_TEST

START_TEST(row_shares_neither_name_nor_key)
{
	ROW(_i);

	for (size_t i = 0; i < index; i++) {
		ck_assert_msg(strcmp(p->ops[i].name, who) != 0, "%s: two rows %s",
			      p->name, who);
		ck_assert_msg(strcmp(p->ops[i].key, op->key) != 0, "%s and %s: both %s",
			      p->ops[i].name, who, op->key);
	}
}
END_TEST

static bool has_number(const struct co_op *op)
{
	return op->key_kind == CO_KEY_NUM || op->key_kind == CO_KEY_CAP ||
	       op->key_kind == CO_KEY_INT80;
}

/* A group is a hundred numbers: CloudOS has one subject in each. */
START_TEST(row_is_sorted_inside_its_group)
{
	ROW(_i);

	for (size_t i = 0; i < index && has_number(op); i++) {
		const struct co_op *before = &p->ops[i];

		ck_assert_msg(before->key_kind != op->key_kind ||
				      before->number / 100 != op->number / 100 ||
				      before->number < op->number,
			      "%s: %s (%u) stands before %s (%u)", p->name,
			      before->name, before->number, who, op->number);
	}
}
END_TEST

START_TEST(row_has_at_most_as_many_named_arguments_as_fit)
{
	ROW(_i);

	ck_assert_msg(op->nargs <= (op->key_kind == CO_KEY_HTTP ? CO_ARGS_MAX
								: CO_WORDS_MAX),
		      "%s: %u arguments", who, op->nargs);
	ck_assert_msg(op->args[op->nargs].kind == CO_ARG_NONE, "%s: no end", who);
	for (uint32_t i = 0; i < op->nargs; i++) {
		ck_assert_msg(is_word(op->args[i].name), "%s: argument %u", who, i);
		for (uint32_t j = 0; j < i; j++)
			ck_assert_msg(strcmp(op->args[i].name, op->args[j].name) != 0,
				      "%s: two arguments %s", who, op->args[i].name);
	}
}
END_TEST

/* Is `word(..., NAME)` followed by `next(..., NAME)` wherever it stands in `text`? */
static bool is_followed(const char *text, const char *word, const char *next)
{
	while ((text = strstr(text, word)) != NULL) {
		const char *close = strchr(text, ')');
		const char *name = close;
		size_t length;

		while (name[-1] != ' ' && name[-1] != '(')
			name--;
		length = (size_t) (close - name);
		text = close + 1;
		text += strspn(text, " ");
		if (strncmp(text, next, strlen(next)) != 0)
			return false;
		close = strchr(text, ')');
		if (strncmp(close - length, name, length) != 0 ||
		    (close[-(long) length - 1] != ' ' &&
		     close[-(long) length - 1] != '('))
			return false;
	}
	return true;
}

START_TEST(row_says_where_a_length_is)
{
	ROW(_i);
	const char *args = written[_i];

	/* `written` has the same rows in the same order */
	for (uint32_t i = 0; i < op->nargs; i++)
		ck_assert_msg(strstr(args, op->args[i].name) != NULL, "%s: %s", who,
			      args);
	ck_assert_msg(is_followed(args, "OUT_ARRAY(", "INOUT("),
		      "%s: its INOUT must follow the OUT_ARRAY: %s", who, args);
	ck_assert_msg(is_followed(args, "BUF_IN(", "SIZE("),
		      "%s: its SIZE must follow the BUF_IN: %s", who, args);
	ck_assert_msg(is_followed(args, "BUF_OUT(", "SIZE("),
		      "%s: its SIZE must follow the BUF_OUT: %s", who, args);
	ck_assert_msg(is_followed(args, "TAILED_OUT(", "SIZE("),
		      "%s: its SIZE must follow the TAILED_OUT: %s", who, args);
}
END_TEST

START_TEST(row_names_flag_sets_that_exist)
{
	ROW(_i);

	for (uint32_t i = 0; i < op->nargs; i++) {
		bool found = false;

		if (op->args[i].kind != CO_ARG_FLAGS)
			continue;
		for (size_t f = 0; f < COUNT(flag_sets); f++)
			found |= strcmp(flag_sets[f], op->args[i].type) == 0;
		ck_assert_msg(found && strcmp(p->name, "playsys") == 0,
			      "%s: there is no flag set %s in %s/flags.def", who,
			      op->args[i].type, p->name);
	}
}
END_TEST

static bool is_copied(enum co_arg_kind kind)
{
	return kind == CO_ARG_IN || kind == CO_ARG_OUT || kind == CO_ARG_INOUT ||
	       kind == CO_ARG_SIZED_IN || kind == CO_ARG_SIZED_OUT ||
	       kind == CO_ARG_OUT_ARRAY || kind == CO_ARG_CSTR ||
	       kind == CO_ARG_TAILED_IN || kind == CO_ARG_TAILED_OUT;
}

/* Only CloudOS has C types here; the daemon copies by these sizes. */
START_TEST(row_knows_how_much_is_copied)
{
	ROW(_i);

	if (strcmp(p->name, "cloudos") != 0)
		return;
	for (uint32_t i = 0; i < op->nargs; i++) {
		if (!is_copied(op->args[i].kind))
			continue;
		ck_assert_msg(op->args[i].size > 0, "%s: %s has no size", who,
			      op->args[i].name);
		ck_assert_msg(op->args[i].size <= CO_LIMIT_CALL_BYTES,
			      "%s: %s is too big", who, op->args[i].name);
	}
}
END_TEST

START_TEST(a_personality_is_found_by_its_name_only)
{
	size_t n;
	const struct co_personality *all = co_personalities(&n);
	size_t rows = 0;

	ck_assert_uint_eq(n, 6);
	for (size_t i = 0; i < n; i++) {
		rows += all[i].nops;
		ck_assert_ptr_eq(co_personality_find(all[i].name), &all[i]);
		/* the identity has nothing of its own */
		ck_assert_int_eq(all[i].nops == 0, !strcmp(all[i].name, "linux"));
		ck_assert_int_eq(all[i].nops == 0, all[i].spec == NULL);
		ck_assert_uint_gt(strlen(all[i].title), 0);
		ck_assert_uint_gt(strlen(all[i].entry), 0);
	}
	ck_assert_uint_eq(rows, COUNT(written));
	ck_assert_ptr_null(co_personality_find("multics"));
	ck_assert_ptr_null(co_personality_find(""));
}
END_TEST

START_TEST(a_row_is_found_by_its_private_number_only)
{
	ROW(_i);
	const struct co_op *found = co_op_by_number(p, op->number);

	if (op->key_kind == CO_KEY_NUM)
		ck_assert_msg(found == op, "%s is not the row %u", who, op->number);
	else
		ck_assert_msg(found == NULL || found->key_kind == CO_KEY_NUM,
			      "%s is found by a private number", who);
	ck_assert_ptr_null(co_op_by_number(p, 0xfffffff0));
}
END_TEST

START_TEST(every_word_has_a_name)
{
	ck_assert_str_eq(co_support_name(CO_SUPPORT_FULL), "full");
	ck_assert_str_eq(co_support_name(CO_SUPPORT_PARTIAL), "partial");
	ck_assert_str_eq(co_support_name(CO_SUPPORT_ABSENT), "absent");
	ck_assert_str_eq(co_plane_name(CO_PLANE_SHIM), "shim");
	ck_assert_str_eq(co_plane_name(CO_PLANE_KERNEL), "kernel");
	ck_assert_str_eq(co_plane_name(CO_PLANE_DAEMON), "daemon");
	ck_assert_str_eq(co_plane_name(CO_PLANE_HTTP), "http");
	ck_assert_str_eq(co_plane_name(CO_PLANE_NONE), "none");
	ck_assert_str_eq(co_plane_name(CO_PLANE_LAUNCHER), "launcher");
	ck_assert_str_eq(co_arg_kind_name(CO_ARG_CSTR), "CSTR");
	ck_assert_str_eq(co_arg_kind_name(CO_ARG_OUT_ARRAY), "OUT_ARRAY");
	for (int kind = CO_ARG_NONE; kind <= CO_ARG_OPT_TEXT; kind++)
		ck_assert_ptr_nonnull(co_arg_kind_name((enum co_arg_kind) kind));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("personality tables");
	TCase *rows = tcase_create("rows");
	TCase *lookups = tcase_create("look-ups");
	SRunner *runner = srunner_create(suite);
	int n = (int) COUNT(written);
	int failed;

	tcase_add_loop_test(rows, row_has_a_name_a_key_and_a_plane, 0, n);
	tcase_add_loop_test(rows, row_has_a_note_unless_full, 0, n);
	tcase_add_loop_test(rows, row_has_a_heading_of_the_specification, 0, n);
	tcase_add_loop_test(rows, row_shares_neither_name_nor_key, 0, n);
	tcase_add_loop_test(rows, row_is_sorted_inside_its_group, 0, n);
	tcase_add_loop_test(rows, row_has_at_most_as_many_named_arguments_as_fit, 0, n);
	tcase_add_loop_test(rows, row_says_where_a_length_is, 0, n);
	tcase_add_loop_test(rows, row_names_flag_sets_that_exist, 0, n);
	tcase_add_loop_test(rows, row_knows_how_much_is_copied, 0, n);
	tcase_add_test(lookups, a_personality_is_found_by_its_name_only);
	tcase_add_loop_test(lookups, a_row_is_found_by_its_private_number_only, 0, n);
	tcase_add_test(lookups, every_word_has_a_name);
	suite_add_tcase(suite, rows);
	suite_add_tcase(suite, lookups);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
