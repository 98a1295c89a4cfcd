/* SPDX-License-Identifier: MIT */
/*
 * Between messages (service/message.h, of programs that make calls for them) and ports
 * (service/ipc.h, of programs that share memory).  HOST.
 *
 *	program with messages          cloudosd                      program with a ring
 *	ipc_send to a port's number ─▶ record ─▶ job ══ ring ══▶     its port
 *	ipc_receive ◀── MSG_RESPONSE ◀────────────────────────       the answer
 *
 *	ipc_receive ◀── MSG_REQUEST ◀── service ◀══ ring ══          a port of ours, with
 *	ipc_reply ────────────────────▶ ══ the answer ═══▶           the service's name
 *
 * The daemon is a peer of its own engine, over a socket pair; one thread, which begins with
 * the first that needs it, has all connections.  It waits for nobody with the core lock
 * held, and a receiver that never answers costs nobody else anything.  Messages are charged,
 * counted and ended by death where all messages are, in service/message.h: a program with a
 * ring has a box there, which the daemon empties for it.
 *
 * Everything under the core lock.  Who calls it: the CloudOS personality, peer_request.c,
 * main.c.
 */
#ifndef CO_BRIDGE_H
#define CO_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct bridge;
struct daemon;
struct ipc_peer;
struct ipc_port;
struct message_party;

/* NULL: no memory. */
struct bridge *bridge_new(struct daemon *d);

/* Ends the thread; without the core lock. */
void bridge_stop(struct bridge *b);

/* Its peers, which keep no daemon alive. */
unsigned bridge_peers(const struct bridge *b);

/* ---- for programs without a ring ---- */

/* The number, as a pid, of the port of that name; 0: there is none that they may see. */
uint32_t bridge_find_port(struct bridge *b, uint64_t session, uint32_t uid,
			  const char *name);

/* Is that number one of a port? */
bool bridge_is_port(uint32_t pid);

/*
 * Who receives there, for messages_send: to->pid is the number, the rest of *to is the
 * caller's.  0 and *out_pid; CO_NOT_FOUND with a sentence.
 */
int bridge_receiver(struct bridge *b, const struct message_party *from, uint32_t pid,
		    int32_t *out_pid, struct co_err *err);

/*
 * Before messages_send to that port: is there room, and is its process still `to`?  What
 * is sent then is taken at once.  0, CO_TOO_BIG, CO_BUSY, CO_NOT_FOUND, CO_GONE,
 * CO_NO_MEMORY.
 */
int bridge_admit(struct bridge *b, const struct message_party *from,
		 const struct message_party *to, uint32_t size, struct co_err *err);

/*
 * The daemon's own services: event, job, log, metric, rpc and state, which take the JSON body
 * of the endpoint of that name and answer with its reply.  The number, as a pid, of one;
 * 0: there is none of that name.
 */
uint32_t bridge_find_own(struct bridge *b, const char *name);

/* Is that number one of these?  They are the last of those that ports could have. */
#define BRIDGE_OWN_PID 0xbfffff00U
bool bridge_is_own(uint32_t pid);

/* Who receives for them; NULL: nobody has found one yet. */
const struct process_id *bridge_own_process(const struct bridge *b);

/* ---- for programs with a ring ---- */

/* The port that stands for the service of that name, made if need be; NULL: none is
 * healthy, or the peer may not have it. */
struct ipc_port *bridge_find_service(struct bridge *b, const struct ipc_peer *peer,
				     const char *name);

#endif
