/* SPDX-License-Identifier: MIT */
/*
 * Peers: programs that exchange messages, each over a connection of its own that has said
 * ipc_join.  HOST.
 *
 * Owns their sockets, the pages that are shared with them and what waits to be sent to
 * them; what it all means is service/ipc.h's.  A peer that does not read holds up nobody:
 * what is for it waits in a queue that has an end.  Everything under the core lock.
 */
#ifndef CO_PEER_H
#define CO_PEER_H

#include "cloudosd/service/ipc.h"
#include "lib/err.h"

struct daemon;
struct peers;

/* Reads or makes the domain's secrets; blocks, at start-up only. */
int peers_new(struct peers **out, struct daemon *d, struct co_err *err);

struct ipc *peers_ipc(struct peers *peers);

/* The tokens of calls, by number; [0] is none. */
#define PEERS_TOKENS 30
const uint64_t *peers_tokens(const struct peers *peers);

#endif
