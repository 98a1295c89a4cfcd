/* SPDX-License-Identifier: MIT */
/*
 * SYSTEM::PROCESS: requests for new processes.  HOST.
 *
 *	tag 1, spawn   0 u64 stack size, 8 u16 argc, 10 u16 capc, from 12 on: capc pairs
 *	               {u64 call, u64 token}, then argc strings
 *
 * The reply is the pid, or -1 the request is shorter than its header, -10 more than 64
 * arguments or 32 capabilities, -2 the capabilities are cut off, -3 an argument is
 * missing, -4 the last one is cut off; -999 for another tag.  What the new process
 * itself cannot have comes as Anos' own result: -4 the stack, -5 the program.
 *
 * Anos counts what follows the header from 16 on although it begins at 12, so the last
 * four bytes of a request are never looked at; its programs send them.
 */
#ifndef ANOS_SYSTEM_SPAWN_H
#define ANOS_SYSTEM_SPAWN_H

#include <co/limits.h>

#include "personality/anos/system/message.h"

enum anos_spawn_answer {
	ANOS_SPAWN_SHORT = -1,
	ANOS_SPAWN_NO_CAPABILITIES = -2,
	ANOS_SPAWN_NO_ARGUMENT = -3,
	ANOS_SPAWN_ARGUMENT_CUT = -4,
	ANOS_SPAWN_TOO_MANY = -10,
	ANOS_SPAWN_UNKNOWN = -999,

	ANOS_SPAWN_BAD_STACK = -4,   /* SYSCALL_BADARGS */
	ANOS_SPAWN_BAD_PROGRAM = -5, /* SYSCALL_BAD_NAME */
	ANOS_SPAWN_FAILED = -1       /* SYSCALL_FAILURE */
};

enum {
	ANOS_ARGUMENT = 256, /* bytes of one, with its NUL; longer are cut */
	ANOS_STACK_MAX = 64 * 1024 * 1024, /* there is no more room below its top */
	ANOS_STACK_SPARE = 4096            /* left for the program itself */
};

struct anos_capability {
	uint64_t call;
	uint64_t token;
};

struct anos_spawn {
	uint64_t stack_size; /* in whole pages */
	uint16_t argc;
	uint16_t capc;
	struct anos_capability caps[CO_LIMIT_ANOS_CAPABILITIES];
	const char *argv[CO_LIMIT_ANOS_ARGUMENTS + 1]; /* ends with NULL */
	char strings[ANOS_PAGE];
};

/* Starts what was asked for; returns its pid or one of the negative answers. */
typedef int64_t anos_spawn_fn(void *ctx, const struct anos_spawn *spawn,
			      int32_t parent);

/* 0, or the negative answer. */
int64_t anos_spawn_parse(struct anos_spawn *out, const struct anos_message *m);

uint64_t anos_spawn_answer(anos_spawn_fn *start, void *ctx, struct anos_message *m);

#endif
