/* SPDX-License-Identifier: MIT */
/*
 * Making a container's first process, and further ones in it.  HOST.
 *
 * ctr_create clones a process into new name spaces, maps ids, builds the root file system
 * and parks it just before exec; writing one byte to `start` (ctr_start) lets it go.  All
 * that can fail does so before that, except exec itself, which ctr_start tells.
 *
 * Who calls it: cli.c (OCI commands), monitor.c (containers of the daemon), and
 * cloudos-exec for --confine.
 */
#ifndef CTR_PROCESS_H
#define CTR_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "cloudosd/ctr/cgroup.h"
#include "cloudosd/ctr/config.h"

struct ctr_create {
	const char *id;
	const struct ctr_config *config;
	struct ctr_cgroup *cgroup; /* NULL: none */
	int stdio[3]; /* borrowed; -1: the caller's own; not used with a terminal */
	int console_socket; /* gets the terminal's master by SCM_RIGHTS; -1: none */
	int preserve_fds;   /* descriptors 3 to 3+n-1 stay open in the program */
	bool no_pivot, no_new_keyring;
	bool late_program;    /* that it is not there is told by ctr_start */
	bool die_with_parent; /* it gets SIGKILL when its creator dies */
	int start_listener; /* a listening socket on which one that starts it connects, who
			       * need not be its creator; -1: out->start */
	/* Called inside as the last act, with the program's user, capabilities and folder set:
	 * it installs filters and becomes the program (calls.h).  It returns only when that
	 * failed.  NULL: linux.seccomp is installed and the program is executed. */
	int (*become)(void *arg, const struct ctr_process_spec *p, struct co_err *err);
	void *become_arg;
	int keep[4]; /* descriptors that stay open for `become`; -1 ends */
	/* Called outside with what could not be had as asked, and what is there instead.
	 * May be NULL. */
	void (*remark)(void *arg, const char *sentence);
	/* Called outside, when name spaces and cgroup stand and before the files are built:
	 * network.  May be NULL, and then the network name space comes later, too. */
	int (*prepared)(void *arg, pid_t pid, struct co_err *err);
	/* Called outside while the process builds its files: what takes time and does not need
	 * it.  May be NULL. */
	int (*meanwhile)(void *arg, pid_t pid, struct co_err *err);
	void *arg;
};

struct ctr_container {
	pid_t pid;
	int pidfd;
	int start; /* lets it go and tells of exec's failure; -1 with a start_listener */
	int console; /* the terminal's master when no console_socket was given; -1 */
};

/* Nothing is left when it fails. */
int ctr_create(const struct ctr_create *how, struct ctr_container *out,
	       struct co_err *err);

/* c->start may be a connection to the start_listener.  Returns when exec has succeeded;
 * otherwise CO_NOT_FOUND, CO_ACCESS... and a sentence. */
int ctr_start(struct ctr_container *c, struct co_err *err);

/* CO_GONE if the process whose name spaces a configuration names by its number is not the one
 * that was meant (cloudos.joined), or has ended.  To be asked when they have been opened. */
int ctr_joined_check(const struct ctr_config *c, struct co_err *err);

/* The two halves of it: for who has something to tell `become` in between. */
int ctr_let_go(struct ctr_container *c, struct co_err *err);
int ctr_await_exec(struct ctr_container *c, struct co_err *err);

/* One more process in the name spaces of `pid` (the container's first). */
struct ctr_exec {
	pid_t pid;
	int pidfd; /* of it; -1: it is opened */
	const struct ctr_config *config;
	const struct ctr_process_spec *process;
	struct ctr_cgroup *cgroup;
	int stdio[3], console_socket, preserve_fds;
	/* for each step until the program runs; 0: no limit.  Whoever is root inside can stop
	 * the process meanwhile.  CO_TIMED_OUT then, and it is killed. */
	int patience_ms;
	int (*become)(void *arg, const struct ctr_process_spec *p, struct co_err *err);
	void *become_arg;
	int keep[4];
};

/* out->start is -1: it runs when this returns. */
int ctr_exec(const struct ctr_exec *how, struct ctr_container *out, struct co_err *err);

/* What a `become` ends with: finds the program and executes it.  Returns when it failed. */
int ctr_process_exec(const struct ctr_process_spec *p, struct co_err *err);

/* The file of args[0], looked up in PATH of p->env: as the user that will execute it. */
int ctr_find_program(const struct ctr_process_spec *p, char *out, size_t size,
		     struct co_err *err);

#endif
