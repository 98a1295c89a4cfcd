/* SPDX-License-Identifier: MIT */
/*
 * What a file is, before it is run: found, executable, for this machine, of which
 * personality.  HOST.  The launcher calls it.
 */
#ifndef CO_CLASSIFY_H
#define CO_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/*
 * Finds a program as execvp would and checks that it can be executed.
 * CO_NOT_FOUND (exit status 127); CO_ACCESS, CO_IS_DIR and others (126); a sentence each.
 */
int classify_find(const char *name, char *out, size_t n, struct co_err *err);

struct classified {
	const char *personality; /* a name of personalities.def */
	bool script; /* no ELF and no #!: a shell script, as execvp sees it */
};

/*
 * By the file's first bytes: an ELF for another machine is CO_UNSUPPORTED with a sentence;
 * everything is a cloudos program unless it says otherwise (decisions on domains: a note,
 * DT_NEEDED of libplaysys, the wasm magic, the shape of an Anos program).
 */
int classify_file(const char *path, struct classified *out, struct co_err *err);

#endif
