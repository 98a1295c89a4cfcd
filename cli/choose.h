/* SPDX-License-Identifier: MIT */
/*
 * Which engine runs a program here.  HOST.  Who calls it: cloudos-exec, before a daemon is
 * started for the program.
 */
#ifndef CO_CHOOSE_H
#define CO_CHOOSE_H

#include "cli/launch.h"

/*
 * Fills in the launch's engine and what goes with it.  wanted is a name from the user, NULL
 * or "" for what is best: notify, where that cannot be had trap, then ptrace; for Linux
 * itself trap.
 */
int choose_engine(struct launch *l, const char *wanted, struct co_err *err);

/*
 * The domain whose daemon serves this process already, if the program is one of CloudOS;
 * -1 if there is none.  In the domain that is wanted the program just takes our place.
 */
int64_t choose_domain(const struct launch *l);

/* The identity in the identity: twice would be no different. */
bool choose_identity(const struct launch *l);

#endif
