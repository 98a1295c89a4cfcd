/* SPDX-License-Identifier: MIT */
/*
 * Asking for site tables before a program runs under engine trap.  HOST.  Called by the
 * launcher; the trap engine asks for itself whenever it maps code without a table.
 */
#ifndef CO_PREFETCH_H
#define CO_PREFETCH_H

#include "cli/client.h"

/*
 * Asks the daemon for the tables of the program, its interpreter and the C library beside
 * that, as far as they are missing.  Best effort and without waiting.
 */
void prefetch_sites(struct co_client *client, const char *program);

#endif
