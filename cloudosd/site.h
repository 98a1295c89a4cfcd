/* SPDX-License-Identifier: MIT */
/*
 * Site tables: asked for by guests, made by scanning ELF files, kept in the store and
 * exported to FOLDER/sites (co/sites.h).  HOST.
 *
 * Whatever touches a guest's file happens on threads of its own, which the daemon neither
 * waits for nor depends on: reading a file of a guest takes as long as the guest likes.
 */
#ifndef CO_DAEMON_SITE_H
#define CO_DAEMON_SITE_H

#include "lib/err.h"

struct daemon;
struct sites;

/* Core lock.  Makes the folder; a daemon without one works, only without tables. */
int sites_new(struct sites **out, struct daemon *d, struct co_err *err);

/*
 * Somebody wants the table of that file (taken; -1 is ignored).  Core lock.  Best effort:
 * too many at a time are dropped.
 */
void sites_wanted(struct sites *s, int fd);

/* Nobody asks the store any more when it returns.  Not under the core lock. */
void sites_stop(struct sites *s);

#endif
