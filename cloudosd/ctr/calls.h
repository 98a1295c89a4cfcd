/* SPDX-License-Identifier: MIT */
/*
 * Calls of CloudOS inside a container.  HOST.
 *
 * The container's first process installs a filter that asks for the private numbers, sends
 * its listener out and becomes the program; it waits for nothing.  Outside, the monitor (or
 * `cloudos-ctr exec`) opens a session with the daemon for it, as the daemon's user, and
 * keeps the session's channel.  Every process of the container is served from then on;
 * a call that comes earlier waits.  The listener outlives daemons: their keeper holds it,
 * and so do we, for the next one.
 *
 *	ctr_calls_new(&spec, &calls, &err);
 *	how.become = ctr_calls_become; how.become_arg = calls; how.keep[0] = ctr_calls_keep(calls);
 *	ctr_create(&how, &c, &err); ctr_start(&c, &err);
 *	ctr_calls_begin(calls, c.pid);
 *	for (;;) { n = ctr_calls_poll(calls, fds); poll(..., ctr_calls_timeout(calls));
 *		   ctr_calls_run(calls); }
 *
 * Nothing here blocks.  In the file: cloudos.calls turns it on, cloudos.socket is the
 * daemon's control socket, cloudos.name what the session is called, cloudos.container which
 * of the daemon's it is.
 *
 * With cloudos.service the program is a service of BlackRoad OS, as under `cloudos-exec
 * --service`: where it listens is asked for instead of CloudOS's calls, what it writes goes
 * to the service's log unless cloudos.serviceLogs is false, and it waits until the addresses
 * of the services are there, for some seconds at most: see ctr_calls_waits.
 */
#ifndef CTR_CALLS_H
#define CTR_CALLS_H

#include <poll.h>

#include "cloudosd/ctr/process.h"

struct ctr_calls;

/*
 * Programs of other systems than CloudOS are run by a cloudos-exec inside, which finds the
 * daemon's socket for containers at CO_CONTAINED_FOLDER: a container that calls is given
 * these mounts by ctr_calls_new.
 */
struct ctr_calls_spec {
	const struct ctr_config *config;
	struct ctr_config
		*made; /* the same if the container is yet to be made: its mounts
				  * gain ours while the calls live; NULL for exec */
	const struct ctr_process_spec *process; /* that is going to run */
	const char *id; /* of the container, where the file names no name */
	bool lazy;      /* no session before it calls: for what rarely does */
	bool serves; /* cloudos.service counts: who calls us does as ctr_calls_waits says */
};

/* Builds the filters and finds the way to the daemon, which need not be there yet. */
int ctr_calls_new(const struct ctr_calls_spec *spec, struct ctr_calls **out,
		  struct co_err *err);
struct ctr_calls *ctr_calls_free(struct ctr_calls *calls); /* NULL is nothing */

/* Inside: struct ctr_create's become.  arg is the struct ctr_calls. */
int ctr_calls_become(void *arg, const struct ctr_process_spec *p, struct co_err *err);
int ctr_calls_keep(const struct ctr_calls *calls);

/* Outside: the program runs, in this process. */
void ctr_calls_begin(struct ctr_calls *calls, pid_t pid);

enum { CTR_CALLS_FDS = 2 };
size_t ctr_calls_poll(const struct ctr_calls *calls, struct pollfd out[CTR_CALLS_FDS]);
int ctr_calls_timeout(const struct ctr_calls *calls); /* ms; -1: none */
void ctr_calls_run(struct ctr_calls *calls);

bool ctr_calls_are_of_service(const struct ctr_calls *calls);

/*
 * Is its program held back until there is a session?  Then it does not execute before
 * ctr_calls_run has opened one: who starts it lets it go, begins, polls until this is false,
 * and only then awaits its exec.
 */
bool ctr_calls_waits(const struct ctr_calls *calls);

/* What it has written (stream 1 or 2), and its end, a status of wait: of a service. */
void ctr_calls_output(struct ctr_calls *calls, unsigned stream, struct co_span bytes);
void ctr_calls_ended(struct ctr_calls *calls, int status);

/* A daemon has shown up: if the session was lost, it is opened again now. */
void ctr_calls_again(struct ctr_calls *calls);

/* Are calls answered now?  *out_why (valid until the next function) says why not. */
bool ctr_calls_served(const struct ctr_calls *calls, const char **out_why);

#endif
