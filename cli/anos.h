/* SPDX-License-Identifier: MIT */
/*
 * Starting an Anos program: its capability tokens and what its loader is handed
 * (include/co/anos.h).  HOST.  Who calls it: cloudos-exec.
 */
#ifndef CO_CLI_ANOS_H
#define CO_CLI_ANOS_H

#include <co/anos.h>

#include "lib/err.h"

/* One token for each call; who knows a token may make the call. */
struct anos_tokens {
	uint64_t token[CO_ANOS_CALLS]; /* by id; 0: no such call */
};

/* New ones, from the kernel's random numbers. */
int anos_tokens_new(struct anos_tokens *out, struct co_err *err);

/*
 * What a loader is to know, with those capabilities on the program's stack (at most
 * CO_ANOS_CAPS).  stack_size 0 is the usual one.  The key is new each time.
 */
int anos_start_init(struct co_anos_start *out, const struct anos_tokens *tokens,
		    uint64_t stack_size, const struct co_anos_capability *caps,
		    uint64_t capc, struct co_err *err);

/* The same with all capabilities there are. */
int anos_start_all(struct co_anos_start *out, const struct anos_tokens *tokens,
		   struct co_err *err);

/* A descriptor of a file with that, close-on-exec, for the loader; or -errno. */
int anos_start_fd(const struct co_anos_start *start);

#endif
