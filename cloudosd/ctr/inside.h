/* SPDX-License-Identifier: MIT */
/*
 * The container's first process and those of exec, from clone to the program.  HOST.
 *
 * What runs here has the memory of its creator, but its own descriptors; it tells the
 * creator by notes how far it came.
 */
#ifndef CTR_INSIDE_H
#define CTR_INSIDE_H

#include "cloudosd/ctr/note.h"
#include "cloudosd/ctr/process.h"
#include "cloudosd/ctr/seccomp.h"

enum { CTR_JOINS = 8 };

struct ctr_join {
	int kind, fd;
};

struct ctr_inside {
	const struct ctr_config *config;
	const struct ctr_process_spec *process;
	const char *id;
	const struct ctr_filter *filter; /* NULL: none, or become's business */
	int link;                        /* notes to and from the creator */
	int start; /* parked on it; a listener with `listens`; -1: exec */
	bool listens, late_net, die_with_parent, late_program, no_pivot, new_keyring;
	int stdio[3], preserve_fds;
	int (*become)(void *arg, const struct ctr_process_spec *p, struct co_err *err);
	void *become_arg;
	int keep[4];
	bool own_user, own_net, own_cgroup; /* new name spaces */
	bool rootless;
	int root; /* of exec into a container that shares our mounts; -1 */
	/* between the steps */
	pid_t pid; /* as seen from outside */
	int labels[2], slave;
	int hidden;      /* gets a byte when our init is; -1: there is none */
	int terminal[2]; /* master and slave; -1: none */
	char path[4096]; /* of the program */
	struct ctr_process_spec with_home; /* process, with HOME */
	char home[4096];
};

_Noreturn void ctr_inside_create(struct ctr_inside *in);
_Noreturn void ctr_inside_exec(struct ctr_inside *in);

/* A terminal of the container's /dev/pts, for exec. */
int ctr_terminal_open(int out_terminal[2], struct co_err *err);
/* Gives it size and owner, and its master to the creator. */
int ctr_terminal_give(struct ctr_inside *in, struct co_err *err);
/* It is standard input, output and error from now on, and controls a new session. */
int ctr_terminal_take(int slave, struct co_err *err);
/* Gives the master to whoever listens at a console socket. */
int ctr_terminal_send(int socket, int master, struct co_err *err);

#endif
