/* SPDX-License-Identifier: MIT */
/*
 * Health checks: tcp, http, https, on a jittered interval with rise and fall.  HOST.
 *
 * Owns when a check runs, its sockets and its time limit; does not know what is checked.
 * Runs under the core lock on struct co_host; only name look-ups and https leave it, on
 * the host's worker threads.  Who calls it: the registry.
 *
 * A check is "" (nothing is checked), tcp://HOST:PORT, http://HOST[:PORT][/PATH] or
 * https://HOST[:PORT][/PATH]; never a command.  HOST is a name, an IPv4 address or an
 * IPv6 address in brackets.  tcp is healthy when a connection is accepted, http and https
 * when a GET is answered with 2xx or 3xx, all within the time limit; with "#optional" behind
 * PATH also with 404, 405 or 501: somebody answers, who just does not have it.
 */
#ifndef CO_SERVICE_HEALTH_H
#define CO_SERVICE_HEALTH_H

#include <stdint.h>

#include "cloudosd/service/host.h"
#include "lib/err.h"

enum health_state { HEALTH_CHECKING, HEALTH_HEALTHY, HEALTH_CRITICAL };

/* "checking", "healthy", "critical" */
const char *health_state_name(enum health_state state);

struct health_options {
	uint32_t interval_ms;    /* from the end of a check to the next; 10000 */
	uint32_t timeout_ms;     /* of one check; 2000 */
	uint32_t jitter_percent; /* the interval varies by this much both ways; 10 */
	uint32_t rise;           /* good results until healthy again; 2 */
	uint32_t fall;           /* bad results until critical; 3 */
	char ca_file[256];       /* https: certificates to trust; "": the system's */
};

/* The defaults named above. */
void health_options_default(struct health_options *out);

/* CO_INVALID with a sentence that names the member. */
int health_options_check(const struct health_options *options, struct co_err *err);

/* CO_INVALID with a sentence when `check` is none of the forms above. */
int health_check_parse(const char *check, struct co_err *err);

/*
 * Loads what that kind of check needs, once a process; reads the disk, so it is called
 * without the core lock before a registration.  What is missing, health_check_new tells.
 */
void health_check_prepare(const char *check);

struct health; /* all checks of a daemon */

/* NULL: no memory.  host is borrowed; options NULL: the defaults. */
struct health *health_new(const struct co_host *host,
			  const struct health_options *options);

/* All checks must have been freed.  What still runs on a worker thread frees itself. */
struct health *health_free(struct health *health);

/* Holds for the checks that start from now on. */
void health_configure(struct health *health, const struct health_options *options);

struct health_check;

/*
 * A check that does not run yet.  `changed` will run when the state changes, for the first
 * time with the first result; reason is a sentence.  It may free the check.  "" is refused.
 * CO_UNSUPPORTED for https when libcurl cannot be loaded: the sentence names the package.
 */
int health_check_new(struct health *health, const char *check,
		     void (*changed)(void *arg, enum health_state state,
				     const char *reason),
		     void *arg, struct health_check **out, struct co_err *err);

/* Another argument for `changed`; before the start only. */
void health_check_aim(struct health_check *check, void *arg);

/* Checks at once and then at every interval.  `changed` does not run inside. */
void health_check_start(struct health_check *check);

/* `changed` does not run any more.  NULL is allowed; returns NULL. */
struct health_check *health_check_free(struct health_check *check);

#endif
