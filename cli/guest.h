/* SPDX-License-Identifier: MIT */
/*
 * Programs that are kept running under cloudos-exec, for cloudos.yaml.  HOST.
 *
 * The daemon answers their calls but does not start programs; so each guest has a keeper, a
 * `cloudosctl guest keep` in a session of its own, that starts it, starts it again as its
 * policy says, and writes its output down.  It needs no daemon to go on.  A folder,
 * STATE/guests/PROJECT/NAME, has
 *
 *	spec.json   what the guest is to be (apply_file.c writes it)
 *	environ     the environment of whoever said so, NUL behind each variable
 *	lock        locked by the keeper as long as it lives
 *	log, log.1  what the guest printed (cloudosd/ctr/log.h)
 *	exit.json   how it has ended, once it will not be started again
 *
 * When a keeper is killed, its guest gets SIGTERM.  A daemon that starts runs `cloudosctl
 * guest again`, which starts keepers of those that have a restart policy, no keeper and no
 * exit.json: after a reboot, all of them.  The lock is why none is there twice.
 */
#ifndef CO_CLI_GUEST_H
#define CO_CLI_GUEST_H

#include <sys/types.h>

#include "cli/ctl.h"
#include "cloudosd/ctr/control.h"
#include "lib/buf.h"

/* STATE/guests/PROJECT/NAME; name NULL: STATE/guests/PROJECT, both NULL: all. */
int guest_folder(struct ctl *ctl, const char *project, const char *name, char *out,
		 size_t size);

/* Its keeper; 0: none. */
pid_t guest_keeper(const char *folder);

/* What it is to be, as it was said last (malloc); NULL: there is none. */
char *guest_spec(const char *folder);

/* Writes the folder and starts a keeper; returns when the guest has been started. */
int guest_start(struct ctl *ctl, const char *folder, struct co_span spec);

/* Starts the keeper of a guest that is to come again and has none; 1: it did, 0: no need. */
int guest_again(struct ctl *ctl, const char *folder);

/* What is in `environ`, in place of ours but for CLOUDOS_*; none: ours stays. */
void guest_environment(const char *folder);

/* Ends keeper and guest, and waits for it.  No keeper: nothing is done. */
int guest_stop(struct ctl *ctl, const char *folder);

/* The folder and all in it; it must not have a keeper. */
int guest_remove(struct ctl *ctl, const char *folder);

/* Calls each with every guest of the project (NULL: of all). */
int guest_each(struct ctl *ctl, const char *project,
	       int (*each)(struct ctl *ctl, const char *project, const char *name,
			   void *arg),
	       void *arg);

#endif
