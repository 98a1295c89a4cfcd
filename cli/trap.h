/* SPDX-License-Identifier: MIT */
/*
 * Engine trap as the launcher sees it: its options, its loader and the words that the
 * loader is started with (include/co/trap.h).  HOST.  Who calls it: cloudos-exec.
 */
#ifndef CO_CLI_TRAP_H
#define CO_CLI_TRAP_H

#include <co/trap.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/paths.h"

struct trap {
	uint32_t flags;            /* enum co_trap_flag */
	bool asked;                /* an option says something about this engine */
	bool seccomp;              /* --trap=seccomp: never dispatch instead */
	char loader[CO_PATH_SIZE]; /* absolute */
};

/* "seccomp" or "sud", the value of --trap. */
int trap_mechanism(struct trap *t, const char *name, struct co_err *err);

/* The words of CO_TRAP, separated by blanks; for whole test runs.  NULL is nothing. */
int trap_words(struct trap *t, const char *words, struct co_err *err);

/* The loader for programs of that personality. */
int trap_find_loader(struct trap *t, const char *personality, struct co_err *err);

/* What this process itself runs in: false if that is not engine trap. */
bool trap_around(struct co_trap_stats *out);

struct trap_words {
	uint32_t personality;
	uint64_t session;
	int program;        /* a descriptor of it that the loader inherits; -1: none */
	const char *folder; /* of the domain */
};

/* The first argument of the loader.  0 or ENAMETOOLONG. */
int trap_config(const struct trap *t, const struct trap_words *words, char *out,
		size_t n);

#endif
