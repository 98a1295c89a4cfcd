/* SPDX-License-Identifier: MIT */
/*
 * Processes that a service starts: input given, output taken, an end that is certain.  HOST.
 * Implemented by cloudosd/spawn.c; beside struct co_host.
 *
 * A process leads a group of its own, which ends with it: whatever of the group is left when
 * it has ended is killed, and it is killed itself when the daemon dies.  Everything is called
 * under the core lock; `done` from the loop and never inside of `begin`.
 */
#ifndef CO_SERVICE_SPAWN_H
#define CO_SERVICE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/span.h"

struct spawned; /* one process */

struct spawn_spec {
	const char *const *argv; /* argv[0] is a path from the root; NULL ends it */
	const char *const
		*environment;  /* "NAME=value", besides PATH, HOME and the like */
	const char *directory; /* NULL: the root */
	struct co_span input;  /* on standard input; copied */
	size_t max_output;     /* more, and it is killed */
	uint32_t cpu_s, memory_mib,
		files; /* limits of the process; 0: the daemon's own */
};

/* Valid during `done`. */
struct spawn_end {
	int error; /* it could not be started: a status, and reason says why */
	const char *reason;
	int exit, signal; /* signal 0: it has ended by itself with that exit code */
	bool too_much;    /* it was killed for its output */
	struct co_span output;
	struct co_span last_words; /* the end of its standard error */
};

struct spawn_listener {
	/* Lines and parts of lines of standard error, as they come; may be NULL. */
	void (*complaint)(void *arg, int32_t pid, struct co_span text);
	/* Standard output as it comes; NULL: all of it is there at the end. */
	void (*printed)(void *arg, struct co_span text);
	void (*done)(void *arg, const struct spawn_end *end);
	void *arg;
};

struct co_spawner {
	void *ctx;

	/* 0; CO_BUSY: CO_LIMIT_COMMANDS run already; CO_NO_MEMORY. */
	int (*begin)(void *ctx, const struct spawn_spec *spec,
		     const struct spawn_listener *listener, struct spawned **out);

	/* SIGTERM to its group, a second later SIGKILL.  `done` runs when it has ended. */
	void (*stop)(struct spawned *s);

	/* 0 while it is not known. */
	int32_t (*pid)(const struct spawned *s);
};

#endif
