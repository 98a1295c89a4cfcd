/* SPDX-License-Identifier: MIT */
/*
 * The programs of all systems that run in the domain, and their ports.  HOST.  Implemented by cloudosd/guests.c; for endpoints, which know no sessions.
 *
 * All under the core lock.  What is handed to a callback is valid until it returns.
 */
#ifndef CO_SERVICE_GUESTS_H
#define CO_SERVICE_GUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/process.h"

struct guest_row {
	uint64_t session;
	const char *name, *command, *personality, *engine;
	const char *container; /* its name; "": it runs in none of the daemon's */
	int32_t pid;           /* of its first process */
	uint64_t calls, failed;
	uint64_t started_ms;        /* since the epoch */
	struct process_usage usage; /* of that process */
	bool has_usage;             /* false: it has ended, or there are too many */
};

struct guest_port {
	uint64_t id;
	const char *name;        /* with commas if there are several, "" if none */
	const char *personality; /* of the owner; "": outside of cloudos-exec */
	const char *owner;       /* name of its session; "" */
	int32_t pid;
	uint64_t session; /* 0 */
	uint32_t receivers, connections;
	uint32_t queued; /* opens without a receiver, and messages under way */
	uint32_t peak;   /* messages under way, at most so far */
	uint64_t age_ms, opens, messages, answers, bytes, errors;
	uint64_t took_p50_ns, took_p99_ns;
};

struct co_guests {
	void *ctx; /* first argument of the functions below */

	void (*each)(void *ctx, void (*visit)(void *arg, const struct guest_row *row),
		     void *arg);
	/* The name of a session's personality; "": it has ended, or there is none. */
	const char *(*personality)(void *ctx, uint64_t session);
	void (*each_port)(void *ctx,
			  void (*visit)(void *arg, const struct guest_port *port),
			  void *arg);
};

#endif
