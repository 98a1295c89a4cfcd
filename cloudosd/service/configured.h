/* SPDX-License-Identifier: MIT */
/*
 * Handlers that the configuration names: commands and HTTP backends.  HOST.
 *
 * Owns what is configured at present and the calls that these have.  A command gets the
 * params on standard input and answers on standard output; a backend is asked over HTTP, at
 * its own POST /v1/sys/rpc.  Under the core lock.  Who calls it: main.c with what
 * handlers.yaml says (cloudosd/handlers_file.h).
 */
#ifndef CO_SERVICE_CONFIGURED_H
#define CO_SERVICE_CONFIGURED_H

#include "cloudosd/service/handler.h"
#include "cloudosd/service/outgoing.h"
#include "cloudosd/service/spawn.h"

struct logs;
struct configured;

struct configured_spec {
	const char *label;                        /* what the file calls it */
	const char *service;                      /* whose methods these are */
	const char *const *methods, *const *jobs; /* NULL ends each */
	uint32_t concurrency;                     /* 0: one for commands, else 64 */

	/* a command */
	const char *const *argv;        /* argv[0] is a path from the root */
	const char *const *environment; /* "NAME=value" */
	const char *directory;
	uint32_t cpu_s, memory_mib, files;

	/* or a backend, which answers all methods if it lists none */
	const char *backend;
};

struct configured_means {
	const struct co_host *host;
	struct handlers *handlers;
	const struct co_spawner *spawner;
	const struct co_outgoing *const *outgoing; /* may become available later */
	struct logs *logs; /* NULL: nobody keeps what they complain */
};

/* NULL: no memory. */
struct configured *configured_new(const struct configured_means *means);

/*
 * What is configured from now on; copied.  Whatever is the same as before stays, with its
 * calls; calls of one that is not there any more fail.  0, or a status and sentence: then
 * some of it is there.
 */
int configured_set(struct configured *c, const struct configured_spec *specs, size_t n,
		   struct co_err *err);

/* Before handlers_free.  Returns NULL. */
struct configured *configured_free(struct configured *c);

#endif
