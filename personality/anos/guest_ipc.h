/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Messages of an Anos program: what guest_peer.c (the connection to the daemon),
 * guest_connection.c (who is connected) and guest_ipc.c (the calls) offer one another.
 *
 * Everything about messages that belongs to this process lies in one mapping that is empty in
 * a forked child, which is a peer of its own when it first needs to be.
 */
#ifndef ANOS_GUEST_IPC_H
#define ANOS_GUEST_IPC_H

#include <co/limits.h>
#include <co/wire.h>
#include <personality/anos/guest.h>
#include <ring/ring.h>

enum {
	IPC_PORTS = CO_LIMIT_IPC_PROCESS_PORTS,
	IPC_CLIENTS = CO_LIMIT_ANOS_CHANNELS, /* channels that it sends to */
	IPC_SERVERS = CO_LIMIT_ANOS_CALLERS,  /* connections of those who send to it */
	IPC_CACHE = 1024,
	IPC_NAMES = 64,
	IPC_NAME_MAX = CO_LIMIT_IPC_NAME + 1
};

/* Who sleeps longer looks whether the daemon is still the same. */
#define IPC_CHECK_NS 1000000000UL

/* A channel that this process sends to. */
enum ipc_client_state { IPC_FREE, IPC_OPENING, IPC_OPEN, IPC_FAILED };

struct ipc_client {
	struct ring_client ring;
	uint64_t cookie, connection;
	int32_t pid; /* of who receives there */
	uint32_t state;  /* enum ipc_client_state; under the lock but for a look */
	uint32_t doomed; /* the port is gone: only what was taken will be answered */
	struct co_ring_client *own;
	const struct co_ring_server *server;
	const struct co_ring_peer *page;
};

/* Somebody who sends to a channel where this process receives. */
struct ipc_server {
	struct ring_server ring;
	uint64_t connection, cookie;
	int32_t pid; /* of who sends */
	uint32_t used;
	struct co_ring_server *own;
	const struct co_ring_client *client;
	uint64_t buffers[CO_RING_SLOTS]; /* where the receiver has the message's page */
};

/* A channel where this process receives, or that it has made. */
struct ipc_port {
	struct ring_port ring;
	uint64_t cookie, secret;   /* secret: it has made it */
	uint32_t lost;             /* the daemon does not know it yet again */
	uint32_t used, open, gone; /* open: it receives here */
	uint32_t threads;          /* in recv_message */
	struct ring_server *table[CO_LIMIT_ANOS_CALLERS];
};

struct ipc_name {
	uint64_t cookie;
	uint32_t names; /* the control page's, when it was true */
	uint32_t writing;
	uint8_t text[IPC_NAME_MAX + 4]; /* zeros behind */
};

/* A name that this process has registered. */
struct ipc_given {
	uint64_t cookie; /* 0: free */
	uint32_t lost;
	uint8_t text[IPC_NAME_MAX];
};

struct ipc_state {
	uint32_t lock;
	uint32_t joined; /* set last */
	uint32_t seen;   /* kick that everything up to was read for */
	int32_t fd, page_fd;
	uint32_t joins; /* how often */
	uint32_t given_used, unsettled, joining;
	uint64_t tag, random;
	const struct co_ring_control *control;
	struct co_ring_peer *page;
	struct co_ring_capture *capture; /* once somebody has wanted to see messages */
	uint32_t clients_used, servers_used, ports_used, bells_used; /* ever */
	uint32_t client_cache[IPC_CACHE], port_cache[IPC_CACHE];     /* index + 1 */
	struct ipc_name names[IPC_NAMES];
	struct ipc_given given[CO_LIMIT_IPC_PROCESS_NAMES];
	struct ipc_client clients[IPC_CLIENTS];
	struct ipc_port ports[IPC_PORTS];
	struct ipc_server servers[IPC_SERVERS];
	union {
		struct wire_header h;
		struct wire_ipc_attach_note attach;
		struct wire_ipc_detach_note detach;
		struct wire_port_gone_note gone;
		struct wire_ipc_join_rep join;
		struct wire_ipc_open_rep open;
		struct wire_port_create_rep create;
		struct wire_name_find_rep find;
		struct wire_reply_only {
			struct wire_header h;
			struct wire_reply r;
		} reply;
		uint8_t bytes[CO_WIRE_GUEST_MAX];
	} buffer;       /* what was received; under the lock */
	int32_t fds[2]; /* with it; -1 when taken */
};

extern struct ipc_state *ipc;

/* ---- guest_ipc.c ---- */

/*
 * Sends a message of the shim's own, without a page, to the channel of a name, waits for the
 * answer and puts the bytes that come with it, at most `size`, where the program wants them.
 */
bool ipc_ask(const uint8_t *name, long length, uint64_t tag, uint32_t size, uint64_t to,
	     uint64_t *out_value);

/* ---- guest_peer.c ---- */

void ipc_lock(void);
void ipc_unlock(void);

/* This process takes part: 0 or an error. */
long ipc_join(void);

/*
 * Asks the daemon and waits for the answer, which is in ipc->buffer then: its status, or a
 * negative error.  Under the lock; for requests that are answered at once.
 */
long ipc_request(void *request, uint32_t size, int32_t fd);

/* Says something that is not answered, or later. */
long ipc_say(const void *message, uint32_t size, int32_t fd);

/* Reads what has come; returns the kick up to which everything has been seen to. */
uint32_t ipc_catch_up(void);
void ipc_wait_for_kick(uint32_t kick);

/* A descriptor that came with the message in ipc->buffer is the caller's now. */
int32_t ipc_take_fd(uint32_t i);

/* Own segments: all zeros, sealed.  NULL: no memory or descriptors. */
void *ipc_segment_new(uint64_t size, int32_t *out_fd);
const void *ipc_segment_map(int32_t fd, uint64_t size); /* takes fd */
void ipc_segment_free(const void *segment, uint64_t size);
void ipc_close_fd(int32_t fd);

/* Nothing has come for long: does the daemon still know us? */
void ipc_check(void);

/* Like ipc_request, and the daemon's end is its end. */
long ipc_request_once(void *request, uint32_t size, int32_t fd);

/* ---- guest_again.c: all of it under the lock ---- */

/* The next daemon is told what this process has. */
void ipc_again(void);
/* What it could not be told yet, for want of others. */
void ipc_again_lost(void);

void ipc_name_given(uint64_t cookie, const uint8_t *name, long length);
void ipc_name_taken(const uint8_t *name);
long ipc_name_say(uint64_t cookie, const uint8_t *name, long length);

/* ---- guest_peer.c again ---- */

/* This process has presented the token of that call. */
void ipc_holds(uint64_t id);

/* ---- guest_connection.c ---- */

/* Messages are written down there from now on, too; under the lock. */
void ipc_captured(void);

/* What was received is something that changes; under the lock. */
void ipc_received(void);

/* The connection to that channel, opened if need be, with a reference; NULL: no such
 * channel, or no room. */
struct ipc_client *ipc_client_get(uint64_t cookie);
void ipc_client_put(struct ipc_client *client);

/* A channel that this process receives from, from now on; NULL: no such channel.  It has
 * counted the calling thread. */
struct ipc_port *ipc_port_get(uint64_t cookie);
void ipc_port_put(struct ipc_port *port);

/* One that it has made and does not receive from yet.  Under the lock. */
struct ipc_port *ipc_port_new(uint64_t cookie);
void ipc_port_gone(uint64_t cookie);

struct ipc_server *ipc_server_of(uint64_t message);
void ipc_server_gone(struct ipc_server *server); /* nobody uses it any more */

#endif
