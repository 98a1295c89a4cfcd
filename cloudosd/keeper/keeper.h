/* SPDX-License-Identifier: MIT */
/* What the keeper and the daemon agree on besides the wire.  HOST. */
#ifndef CO_KEEPER_H
#define CO_KEEPER_H

/*
 * Descriptors that a daemon starts with: the channel to its keeper, the table, the
 * listening control socket; in this order from KEEPER_FD_FIRST on.
 */
#define KEEPER_FD_FIRST 3

enum { KEEPER_FD_CHANNEL = KEEPER_FD_FIRST, KEEPER_FD_TABLE, KEEPER_FD_LISTEN };

#endif
