/* SPDX-License-Identifier: MIT */
/*
 * Two sides of a ring for tests.  HOST.  Segments are sealed memfds, mapped twice: both
 * sides may be threads of one process, or be divided by fork.
 */
#ifndef CO_TESTS_RING_PAIR_H
#define CO_TESTS_RING_PAIR_H

#include <ring/ring.h>
#include <stdint.h>

enum { PAIR_CLIENTS = 8 };

/* A port with a receiver's own memory, and the clients that it has. */
struct pair {
	int peer_fd, control_fd;
	struct co_ring_peer *peer;
	struct co_ring_control *control; /* writable: the test is the daemon */
	struct ring_port port;
	struct ring_server *table[PAIR_CLIENTS];
	struct ring_server *servers; /* PAIR_CLIENTS, by number */
	struct pair_client {
		int client_fd, server_fd;
		struct co_ring_client *own_client;
		struct co_ring_server *own_server;
		struct ring_client client;
	} clients[PAIR_CLIENTS];
	uint32_t count;
};

/* At most one at a time: the lookup of its port is a function. */
struct pair *pair_new(uint32_t clients);
void pair_free(struct pair *pair);

/* What the answering side does in a process of its own; what the calling side does. */
void pair_serve(struct pair *pair);
void pair_open(struct pair *pair, uint32_t number);

/* Segments in the memory of both sides: `MADV_DONTFORK` is taken back. */
void pair_inherit(struct pair *pair);

/* The word that everybody sleeps on besides its own. */
void pair_kick(struct pair *pair);

/* Hooks of tests into ring_os_wait: called before it sleeps; nets that are replaced by
 * patience, so that a wake-up that is lost shows. */
extern void (*pair_before_sleep)(void *argument);
extern void *pair_before_sleep_argument;
extern uint64_t pair_patience_ns; /* 0: as the ring says; else for each longer sleep */
extern uint32_t pair_sleeps;

#endif
