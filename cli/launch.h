/* SPDX-License-Identifier: MIT */
/*
 * Running the program: fork, filter, attach, exec, wait.  HOST.
 */
#ifndef CO_LAUNCH_H
#define CO_LAUNCH_H

#include <stdbool.h>

#include "cli/client.h"
#include "cli/trap.h"
#include "lib/engine.h"
#include "personality/personality.h"

enum { EXIT_LAUNCHER = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct launch {
	const struct co_personality *personality;
	uint32_t personality_index;
	enum co_engine engine;
	bool every_call; /* ptrace without a filter: an outer one would win */
	struct trap trap;
	struct system *system;   /* of an Anos program; NULL */
	struct service *service; /* of a BlackRoad program; NULL */
	struct confine *confine; /* --confine; NULL */
	struct co_paths paths;   /* of the daemon */
	const char *name;
	const char *path; /* of the program */
	char **argv;
	bool script;  /* run by /bin/sh, as execvp would */
	int trace_fd; /* -1: no --trace */
	int keep_fd;  /* of the caller of launch, which wants it afterwards; or -1 */
	struct co_client *client;
};

/*
 * Runs it to its end.  Returns the exit status for the caller to end with; if the program
 * was killed by a signal, kills this process with the same one.
 */
int launch(struct launch *l);

/* The program takes the place of this process; for nested use in one domain.  Returns
 * an exit status when that failed. */
int launch_plainly(const struct launch *l);

#endif
