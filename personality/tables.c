/* SPDX-License-Identifier: MIT */
/*
 * Every personality as data: the one host file that expands every ops.def.  It owns
 * the rows and the look-ups of personality.h, no behaviour.  HOST.
 */
#include <personality/personality.h>

#include <cloudos/cloudos.h>
#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* clang-format off */
#include <co/op-begin.h>
#include <co/op-rows.h>
static const struct co_op cloudos_ops[] = {
#include "cloudos/ops.def"
};

/* The types in the rows of the others are words of their systems, not C types here. */
#undef CO_OP_SIZEOF
#undef CO_OP_OFFSETOF
#define CO_OP_SIZEOF(type) 0
#define CO_OP_OFFSETOF(type, member) 0
static const struct co_op blackroad_ops[] = {
#include "blackroad/ops.def"
};
static const struct co_op blackroad_caught[] = {
#include "blackroad/caught.def"
};
static const struct co_op clankeros_ops[] = {
#include "clankeros/ops.def"
};
static const struct co_op playsys_ops[] = {
#include "playsys/ops.def"
};
static const struct co_op anos_ops[] = {
#include "anos/ops.def"
};
static const struct co_op linux_ops[] = {
#include "linux/ops.def"
};
#include <co/op-end.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	const struct co_op *rows;
	size_t count;
} caught[] = { { "blackroad", blackroad_caught, COUNT(blackroad_caught) } };

static struct co_personality personalities[] = {
#define PERSONALITY(name_, title_, entry_) { \
	.name = #name_, .title = title_, .entry = entry_, .ops = name_##_ops, .nops = COUNT(name_##_ops), \
	.spec = COUNT(name_##_ops) ? #name_ ".md" : NULL },
#include "personalities.def"
#undef PERSONALITY
};

#define NAME_OF_PLANE(name, text)   [CO_PLANE_##name] = text,
#define NAME_OF_SUPPORT(name, text) [CO_SUPPORT_##name] = text,
#define NAME_OF_ARG(name)           [CO_ARG_##name] = #name,
static const char *const plane_names[] = { CO_PLANES(NAME_OF_PLANE) };
static const char *const support_names[] = { CO_SUPPORTS(NAME_OF_SUPPORT) };
static const char *const arg_kind_names[] = { CO_ARG_KINDS(NAME_OF_ARG) };
/* clang-format on */

const struct co_personality *co_personalities(size_t *out_count)
{
	*out_count = COUNT(personalities);
	return personalities;
}

const struct co_personality *co_personality_find(const char *name)
{
	for (size_t i = 0; i < COUNT(personalities); i++)
		if (strcmp(personalities[i].name, name) == 0)
			return &personalities[i];
	return NULL;
}

/* Before main, so that whoever reads the table has all of it. */
__attribute__((constructor)) static void add_caught(void)
{
	for (size_t p = 0; p < COUNT(personalities); p++)
		for (size_t i = 0; i < COUNT(caught); i++)
			if (!strcmp(personalities[p].name, caught[i].name)) {
				personalities[p].caught = caught[i].rows;
				personalities[p].ncaught = caught[i].count;
			}
}

/* Private numbers are looked up at every call; other keys only by people. */
enum { NUMBER_FIRST = 20000, NUMBERS = 2048 };

static const struct co_op *by_number[COUNT(personalities)][NUMBERS];

static void by_number_init(void)
{
	for (size_t p = 0; p < COUNT(personalities); p++) {
		for (size_t i = 0; i < personalities[p].nops; i++) {
			const struct co_op *op = &personalities[p].ops[i];

			if (op->key_kind == CO_KEY_NUM && op->number >= NUMBER_FIRST &&
			    op->number < NUMBER_FIRST + NUMBERS)
				by_number[p][op->number - NUMBER_FIRST] = op;
		}
	}
}

const struct co_op *co_op_by_number(const struct co_personality *p, uint32_t number)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (number >= NUMBER_FIRST && number < NUMBER_FIRST + NUMBERS) {
		(void) pthread_once(&once, by_number_init); /* cannot fail so */
		return by_number[p - personalities][number - NUMBER_FIRST];
	}
	for (size_t i = 0; i < p->nops; i++)
		if (p->ops[i].key_kind == CO_KEY_NUM && p->ops[i].number == number)
			return &p->ops[i];
	for (size_t i = 0; i < p->ncaught; i++)
		if (p->caught[i].number == number)
			return &p->caught[i];
	return NULL;
}

const char *co_support_name(enum co_support support)
{
	return support_names[support];
}

const char *co_plane_name(enum co_plane plane)
{
	return plane_names[plane];
}

const char *co_arg_kind_name(enum co_arg_kind kind)
{
	return arg_kind_names[kind];
}
