/* SPDX-License-Identifier: MIT */
/*
 * The engine for messages, the daemon's part: who may talk to whom.  HOST.
 *
 * Owns peers, ports, names and connections, their quotas and the opens that wait; none of
 * the messages themselves, which go from program to program.  A port is a random number
 * (the cookie) and whoever knows it may use it, as long as the user is the same.  Plain C:
 * no wire, no sockets; what has to be told to somebody goes through struct ipc_events.
 * Runs under the core lock.  Who calls it: cloudosd/peer.c, cloudosd/request_channel.c.
 *
 * An event handler may look at everything and must not call back into this header.
 */
#ifndef CO_SERVICE_IPC_H
#define CO_SERVICE_IPC_H

#include <co/ipc.h>
#include <co/ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "cloudosd/service/host.h"
#include "cloudosd/service/ipc_stats.h"
#include "lib/err.h"

/* ---- what there is: read-only for callers, valid until the core lock is released ---- */

struct ipc;
struct ipc_process;
struct ipc_user;
struct ipc_name;
struct ipc_connection;

struct ipc_peer {
	struct ipc *ipc;
	uint64_t id; /* of this run of the daemon */
	int32_t pid;
	uint32_t uid;
	uint64_t session; /* 0: none */
	uint64_t holds;   /* capabilities it says it has, a bit a call */
	bool inside;      /* the daemon's own, on behalf of others: in no circle */
	void *ctx;        /* the caller's */
	struct ipc_process *process;
	struct ipc_user *user;
	struct ipc_port *ports;         /* own, by own_next */
	struct ipc_receiver *receivers; /* where it receives, by peer_next */
	struct ipc_connection *opened;  /* as the client, by client_next */
	struct ipc_connection *served;  /* as the receiver, by server_next */
	unsigned offered;               /* of served, not answered yet */
	struct ipc_peer *prev, *next;
};

struct ipc_receiver { /* one peer at one port */
	struct ipc_port *port;
	struct ipc_peer *peer;
	uint32_t doorbell;
	unsigned connections;
	struct ipc_receiver *peer_prev, *peer_next;
	struct ipc_receiver *prev, *next; /* of the port */
};

struct ipc_port {
	uint64_t cookie, id; /* the id may be shown, the cookie is authority */
	uint32_t number; /* how a pid names it: IPC_PORT_PID | number; 0: it cannot */
	struct ipc_peer *owner;
	struct ipc_process *process; /* charged */
	struct ipc_user *user;
	uint32_t flags;
	uint64_t created_ms, opens; /* opens: accepted ones, ever */
	unsigned connections, waiting_count;
	struct ipc_stats past; /* of connections that have ended */
	struct ipc_receiver *receivers;
	struct ipc_connection *waiting;   /* opens without a receiver, by port_next */
	struct ipc_connection *connected; /* offered and open, by port_next */
	struct ipc_name *names;           /* by port_next */
	struct ipc_port *own_prev, *own_next;
	UT_hash_handle hh;
	UT_hash_handle hh_number;
};

enum ipc_state {
	IPC_WAITING, /* for a receiver */
	IPC_OFFERED, /* to the receiver, who has not answered */
	IPC_OPEN,
	IPC_ORPHAN, /* the client has gone before the receiver answered */
	IPC_HALF    /* of before this daemon; one side has told of it yet */
};

struct ipc_connection {
	uint64_t id;
	enum ipc_state state;
	struct ipc_peer *client;       /* NULL: orphan, half */
	struct ipc_peer *server;       /* NULL: waiting, half */
	struct ipc_port *port;         /* NULL: the port is gone */
	struct ipc_receiver *receiver; /* NULL: waiting, or it has stopped receiving */
	struct ipc_process *process;   /* charged */
	struct ipc_user *user;
	uint64_t cookie, tag; /* of the request that opened it */
	uint32_t doorbell;
	int32_t other;              /* half: the process of the side that is missing */
	int client_fd, server_fd;   /* segments; owned; -1 */
	uint64_t waited, waited_ms; /* the oldest message that somebody waits for */
	struct co_timer *limit;
	struct ipc_connection *client_prev, *client_next;
	struct ipc_connection *server_prev, *server_next;
	struct ipc_connection *port_prev, *port_next;
	UT_hash_handle hh;
};

/* ---- events ---- */

struct ipc_events {
	void *ctx;
	/* c->server is offered c: c->client_fd goes to it */
	void (*offered)(void *ctx, struct ipc_connection *c);
	/* c->client has its connection: c->server_fd goes to it */
	void (*opened)(void *ctx, struct ipc_connection *c);
	/* the open with that tag has failed */
	void (*refused)(void *ctx, struct ipc_peer *client, uint64_t tag, int status,
			const char *reason);
	/* for one side: see enum co_ipc_why */
	void (*detached)(void *ctx, struct ipc_peer *whom, uint64_t connection,
			 enum co_ipc_why why);
	/* a receiver, or the owner, of a port that is gone by another's doing */
	void (*port_gone)(void *ctx, struct ipc_peer *whom, uint64_t cookie,
			  enum co_ipc_why why);
	/* a name stands for another port than before, or for none */
	void (*names_changed)(void *ctx);
	/* a process has named 10, 100, 1000, ... cookies that do not exist */
	void (*audit)(void *ctx, const struct ipc_peer *peer, uint64_t guesses);
};

/* ---- life ---- */

struct ipc_limits { /* for tests; limits.def has the values */
	unsigned peers, process_peers, ports, process_ports, names, process_names;
	unsigned connections, process_connections, opening, offered;
};

/* NULL: no memory.  host is borrowed.  key signs the secrets of ports: who knows it can
 * claim them, and secrets are valid as long as it stays the same. */
struct ipc *ipc_new(const struct co_host *host, const struct ipc_events *events,
		    const uint64_t key[2], const struct ipc_limits *limits);
void ipc_limits_default(struct ipc_limits *out);

/* All peers must be gone.  NULL is allowed; returns NULL. */
struct ipc *ipc_free(struct ipc *ipc);

struct ipc_peer_spec {
	int32_t pid;
	uint32_t uid;
	uint64_t session;
	void *ctx;
};

int ipc_peer_new(struct ipc *ipc, const struct ipc_peer_spec *spec,
		 struct ipc_peer **out, struct co_err *err);

/*
 * It has ended or left.  Its connections are detached; a port of its own goes to the
 * peer that receives there longest, and when nobody does it is gone.  Returns NULL.
 */
struct ipc_peer *ipc_peer_free(struct ipc_peer *peer, enum co_ipc_why why);

/* ---- ports ---- */

/* A new one, or with a cookie the one of that cookie again, if the secret is its. */
int ipc_port_create(struct ipc_peer *peer, uint64_t cookie, uint64_t secret,
		    uint32_t doorbell, uint32_t flags, struct ipc_port **out,
		    struct co_err *err);
uint64_t ipc_port_secret(const struct ipc_port *port);
int ipc_port_destroy(struct ipc_peer *peer, uint64_t cookie, struct co_err *err);
void ipc_port_revoke(struct ipc_port *port);
int ipc_port_receive(struct ipc_peer *peer, uint64_t cookie, uint32_t doorbell,
		     uint32_t flags, struct co_err *err);
struct ipc_port *ipc_port_by_id(struct ipc *ipc, uint64_t id);
/* For the daemon itself: no guess, whoever asks. */
struct ipc_port *ipc_port_by_cookie(struct ipc *ipc, uint64_t cookie);

/*
 * What a port is called where only processes can be named: IPC_PORT_PID | number.  A keyed
 * hash of its cookie, the same for the next daemon, and no authority by itself.
 */
#define IPC_PORT_PID     0xa0000000U
#define IPC_PORT_NUMBERS 0x20000000U
struct ipc_port *ipc_port_by_number(struct ipc *ipc, uint32_t number);

/* ---- names ---- */

int ipc_name_register(struct ipc_peer *peer, uint64_t cookie, uint32_t flags,
		      const char *name, struct co_err *err);
int ipc_name_remove(struct ipc_peer *peer, const char *name, struct co_err *err);
/* NULL: there is none that this peer may see. */
struct ipc_port *ipc_name_find(struct ipc_peer *peer, const char *name);
/* The same for a program that is no peer. */
struct ipc_port *ipc_name_seen(struct ipc *ipc, uint64_t session, uint32_t uid,
			       const char *name);
/* Has it a name that such a program may see? */
bool ipc_name_is_seen(const struct ipc_port *port, uint64_t session, uint32_t uid);
/* The i-th name of a port, oldest first, or NULL; its session or 0. */
const char *ipc_name_of(const struct ipc_port *port, unsigned i, uint64_t *out_session);

/* ---- connections ---- */

struct ipc_open_spec {
	uint64_t cookie;   /* or, if 0 */
	const char *name;  /* or, if NULL or empty */
	int32_t pid;       /* a process of this program's name space */
	bool messages;     /* its CO_IPC_PORT_MESSAGES, not its CO_IPC_PORT_MAIN */
	uint64_t tag;      /* returned in the events */
	uint32_t limit_ms; /* 0: none */
	int fd;            /* taken, also on failure */
};

/* 0: opened or refused will be called, or has been. */
int ipc_open(struct ipc_peer *peer, const struct ipc_open_spec *spec,
	     struct co_err *err);
/* An open that has not been answered: it is refused with CO_INTERRUPTED. */
void ipc_cancel(struct ipc_peer *peer, uint64_t tag);
/* The receiver's answer; fd is taken.  One that comes too late is no error. */
void ipc_accept(struct ipc_peer *peer, uint64_t connection, int fd);
int ipc_close(struct ipc_peer *peer, uint64_t connection, enum co_ipc_why why,
	      struct co_err *err);
/*
 * A connection that an earlier daemon knew: one side tells it, with the process of the
 * other.  It is one again when both have said the same; until then the process that is
 * missing is looked at now and then.
 */
int ipc_resume(struct ipc_peer *peer, uint64_t connection, uint64_t cookie,
	       int32_t other, bool receiver, struct co_err *err);
/* One of that peer's, on either side; NULL. */
struct ipc_connection *ipc_connection_of(struct ipc_peer *peer, uint64_t connection);

/* ---- all of it ---- */

/* How long this peer's process is to wait before its next request: it has guessed. */
uint64_t ipc_penalty_ms(const struct ipc_peer *peer);

void ipc_each_peer(struct ipc *ipc, void (*each)(void *arg, struct ipc_peer *peer),
		   void *arg);
/* Oldest first. */
void ipc_each_port(struct ipc *ipc, void (*each)(void *arg, struct ipc_port *port),
		   void *arg);

struct ipc_numbers {
	unsigned peers, ports, names, connections;
	uint64_t guesses; /* cookies that did not exist, ever */
};
struct ipc_numbers ipc_numbers(const struct ipc *ipc);

/* Adds all that has been and is carried to a port. */
void ipc_port_stats(const struct ipc_port *port, struct ipc_stats *out);

/* ---- who waits for whom ---- */

#define IPC_CYCLE 16 /* processes; longer ones are not looked for */

struct ipc_cycle {
	unsigned count;
	int32_t pids[IPC_CYCLE]; /* each waits for the next, the last for the first */
	uint64_t since_ms;
};

/*
 * Processes that wait for each other in a circle, all of whose messages have been waiting
 * unanswered since the last look at least.  Reads every connection that is part of a
 * circle; returns how many circles were found, of which it fills up to `room`.
 */
size_t ipc_deadlocks(struct ipc *ipc, struct ipc_cycle *out, size_t room);

#endif
