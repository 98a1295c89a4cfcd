/* SPDX-License-Identifier: MIT */
/*
 * The personalities as tables.  HOST.  Who calls it: the launcher (names, numbers of the
 * filter), the daemon (dispatch, traces), cloudosctl (personality show), the tests.
 */
#ifndef CO_PERSONALITY_H
#define CO_PERSONALITY_H

#include <co/op.h>
#include <stddef.h>

struct co_personality {
	const char *name;  /* "cloudos" */
	const char *title; /* "CloudOS" */
	const char *entry; /* how its programs enter, one sentence */
	const char *spec;  /* file in docs/spec; NULL without operations of its own */
	const struct co_op *ops;
	size_t nops;
	/* Linux's own calls that the daemon makes for the program, or lets the kernel make
	 * as they are: caught.def.  Those named open* only where it needs that. */
	const struct co_op *caught;
	size_t ncaught;
};

/* All of them, in the order of personalities.def. */
const struct co_personality *co_personalities(size_t *out_count);

/* NULL if there is none of that name. */
const struct co_personality *co_personality_find(const char *name);

/* The row with that private number (CO_KEY_NUM), or the one of a caught call; NULL if there
 * is none. */
const struct co_op *co_op_by_number(const struct co_personality *p, uint32_t number);

/* "full", "partial", "absent"; "shim", "kernel", ...; "CSTR", "IN", ... */
const char *co_support_name(enum co_support support);
const char *co_plane_name(enum co_plane plane);
const char *co_arg_kind_name(enum co_arg_kind kind);

#endif
