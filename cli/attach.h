/* SPDX-License-Identifier: MIT */
/*
 * This terminal, or these pipes, connected with a container by its monitor.  HOST.  Who
 * calls it: container run, start -a, attach.
 */
#ifndef CO_CLI_ATTACH_H
#define CO_CLI_ATTACH_H

#include <stdbool.h>

#include "cli/ctl.h"
#include "cloudosd/ctr/control.h"

struct attach {
	const char *folder;      /* that has the monitor's socket */
	const char *bundle;      /* that has the record of the end */
	const char *detach_keys; /* NULL: ctrl-p,ctrl-q */
	bool input;              /* ours goes to it */
	bool once;               /* and the end of ours is its end */
	bool tty;                /* it has a terminal: ours becomes raw */
	bool no_signals;         /* that come to us are ours */

	/* inside */
	int fd;
	struct ctr_exit exit;
};

/* Connects and asks for output; nothing is read yet. */
int attach_begin(struct attach *a, struct ctl *ctl);

/*
 * Passes on until the container has ended, with a->exit; or ATTACH_LEFT: the detach keys
 * were typed.  The terminal is as before when it returns, and when a signal ends us.
 */
enum { ATTACH_LEFT = 1 };
int attach_run(struct attach *a, struct ctl *ctl);

void attach_done(struct attach *a);
#define autoattach __attribute__((cleanup(attach_done)))

#endif
