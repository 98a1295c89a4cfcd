/* SPDX-License-Identifier: MIT */
/*
 * What a launcher under trap has left behind.  HOST.
 *
 * A process that never called is on no connection, and no filter tells when the last one
 * ends.  But each has cloudos-loader for its program and the page that says whose it is
 * (co/trap.h).  So while a session has neither a launcher nor a connection, /proc is looked
 * through on a worker thread; the session ends when nobody of it is there.
 */
#ifndef CO_LEFT_H
#define CO_LEFT_H

#include "lib/err.h"

struct daemon;
struct left;

int left_new(struct left **out, struct daemon *d, struct co_err *err);

/* Looks now, and again until no session is without both.  Under the core lock. */
void left_look(struct left *l);

#endif
