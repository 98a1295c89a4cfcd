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

/* Nanoseconds of that many ticks of the time stamp counter. */
uint64_t peers_ns(struct peers *peers, uint64_t ticks);

/* Somebody wants to see messages from now on (client->channel). */
void peers_trace(struct peers *peers);

/* Processes that wait for each other, as of the last look; how many circles. */
size_t peers_deadlocks(const struct peers *peers, const struct ipc_cycle **out);

#endif
