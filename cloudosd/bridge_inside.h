/* SPDX-License-Identifier: MIT */
/*
 * The insides of the bridge.  HOST.  Private to cloudosd/bridge*.c.
 *
 * bridge.c       under the core lock: services that have ports, boxes that are emptied
 * bridge_own.c   the daemon's own box: methods that are names, services of our own
 * bridge_ring.c  the thread: connections, what goes through them
 */
#ifndef CO_BRIDGE_INSIDE_H
#define CO_BRIDGE_INSIDE_H

#include <co/limits.h>
#include <co/ring.h>
#include <pthread.h>

#include "cloudosd/service/bridge.h"
#include "cloudosd/peer_inside.h"
#include "cloudosd/service/message.h"
#include "ring/ring.h"

/* What a program without a ring has sent to a port.  The core's until it is queued, then
 * the thread's until bridge_done; `all` is the core's always. */
struct bridge_job {
	struct bridge_job *prev, *next; /* queued; of a route */
	struct bridge_job *all_prev, *all_next;
	struct process_id from,
		to;      /* who has sent it; who is its receiver in messages */
	uint64_t cookie; /* 0: there is no such port any more */
	uint32_t id, size;
	uint32_t port; /* what the sender calls its receiver */
	bool request, posted;
	struct ring_call call;
	/* the answer, once it is there */
	uint32_t kind, answer_size;
	_Alignas(64) uint8_t page[CO_RING_PAGE];
	uint8_t answer[sizeof(uint64_t) + CO_RING_PAGE];
};

/* A program with a ring that has asked a service, or is asked: its box is emptied here. */
struct bridge_asked { /* a message of its ring that waits for an answer */
	struct bridge_asked *prev, *next;
	uint64_t message; /* as the ring calls it */
	struct process_id server;
	uint32_t id;
};

struct bridge_agent {
	struct bridge *bridge;
	struct process_id process;
	uint64_t key[3];
	struct message_wait *wait;
	struct bridge_asked *asked; /* oldest first */
	bool posted, gone;
	UT_hash_handle hh;
};

struct bridge_service {
	uint64_t cookie;
	UT_hash_handle hh, hh_cookie;
	char name[SERVICE_NAME_SIZE];
};

struct bridge_link;
struct bridge_own;
struct bridge_route;

struct bridge {
	struct daemon *daemon;
	struct peer *peer; /* NULL: nobody has needed it yet */
	bool failed;       /* it cannot be had */

	/* under the core lock */
	struct bridge_service *services, *by_cookie;
	struct bridge_agent *agents;
	struct bridge_job *all;
	uint64_t calls; /* numbers those of MESSAGE_DAEMON */
	bool sweeping;
	struct bridge_own *own;

	/* between the two: lock, taken after the core's */
	pthread_mutex_t lock;
	struct bridge_job *queue;

	/* the thread's */
	pthread_t thread;
	uint32_t stopping;
	int fd, page_fd;
	struct co_msg *in, *out;
	uint64_t tag;
	struct co_ring_peer *page;
	const struct co_ring_control *control;
	struct ring_port port;
	struct ring_server *table[CO_LIMIT_BRIDGE_CONNECTIONS];
	struct bridge_link *links[CO_LIMIT_BRIDGE_CONNECTIONS]; /* lock */
	struct bridge_route *routes;
	struct bridge_job *undelivered; /* their answers, for want of room */
};

/* ---- bridge_ring.c ---- */

/* The page of doorbells and the thread; the peer's other end is taken. */
int bridge_ring_prepare(struct bridge *b, struct co_err *err);
int bridge_ring_start(struct bridge *b, int fd, int control_fd, struct co_err *err);

/* Under the core lock or not: the answer to a message that came through a ring; `data` of at
 * most a page. */
void bridge_answer(struct bridge *b, uint64_t message, uint64_t value, const void *data,
		   uint32_t size);

/* ---- bridge_own.c ---- */

int bridge_own_new(struct bridge *b);

/* ---- bridge.c, called by the thread without the core lock ---- */

/* Delivers a job's answer and frees it; false: there is no room, later. */
bool bridge_done(struct bridge *b, struct bridge_job *job);

struct bridge_heard { /* a message through a ring to a service */
	uint64_t message, cookie, tag, session;
	struct process_id from;
	uint32_t uid, size;
	const uint8_t *page;
};
void bridge_ask(struct bridge *b, const struct bridge_heard *heard);

#endif
