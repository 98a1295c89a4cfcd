/* SPDX-License-Identifier: MIT */
/*
 * Messages without the daemon: what the two halves share.  Linked into CloudOS programs.
 * direct.c has what programs call, direct_peer.c the connection to the daemon and the
 * memory that is shared.
 *
 * All of it lies in memory that fork wipes: a child has not begun, whatever its parent did.
 * Everything but a receiver's sleep is done with the lock held.
 */
#ifndef LIBCLOUDOS_DIRECT_H
#define LIBCLOUDOS_DIRECT_H

#include <cloudos/cloudos.h>
#include <co/ipc.h>
#include <co/limits.h>
#include <co/wire.h>
#include <pthread.h>
#include <ring/ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { DIRECT_BUCKETS = 128, DIRECT_SLICE_NS = 50000000, DIRECT_AGAIN_NS = 100000000 };

struct ids { /* of requests, oldest first */
	uint32_t *at;
	uint32_t count, room;
};

enum other_state {
	OTHER_NONE, /* messages to it go by system call */
	OTHER_OPENING,
	OTHER_OPEN,
	OTHER_CLOSING, /* its port was revoked: what is on its way may still arrive */
	OTHER_ENDED    /* asked remains to be told */
};

/* Another process: what goes to it, and what is open between the two. */
struct other {
	uint32_t pid;
	enum other_state state;
	uint32_t links;          /* from it */
	const struct link *link; /* the newest of them; NULL */
	uint32_t uses;       /* the same, and those that are detached and still read */
	struct ids asked;    /* that it has not answered */
	struct ids received; /* that it waits for an answer to */
	uint64_t detours; /* messages that went by the table although there is a way */
	uint64_t tag;     /* of the open request */
	uint64_t retry, wait; /* when to open again, ns */
	uint64_t connection, cookie;
	struct co_ring_client *own;
	const struct co_ring_server *server;
	const struct co_ring_peer *page;
	struct ring_client ring;
	struct other *next; /* of its bucket */
};

/* What comes from one.  Never freed, only used again: stale cookies lead here. */
struct link {
	struct ring_server ring;
	struct co_ring_server *own;
	const struct co_ring_client *theirs;
	struct other *other;
	uint64_t connection;
	uint64_t detours; /* as its last message told */
	bool used;
	bool ended; /* the sender has; goes when all that it said has been received */
	bool detached;
};

struct pending { /* taken out of a ring, not received yet */
	struct ring_message m;
	uint32_t ahead; /* messages of the table that came before it, at most */
	struct pending *next;
};

struct file { /* a descriptor, and how to see that it is still ours */
	int fd;
	dev_t dev;
	ino_t ino;
};

struct direct {
	int on; /* read without the lock */
	pthread_mutex_t lock;
	uint32_t pid;
	struct file socket, page_file;
	bool lost; /* no daemon */
	uint64_t again, lost_at, looked;
	uint32_t seen; /* kick */
	uint64_t tag, domain;
	uint64_t cookie, secret; /* of the port */
	const struct co_ring_control *control;
	struct co_ring_peer *page;
	struct ring_port port;
	struct ring_server *table[CO_LIMIT_DIRECT_CONNECTIONS];
	struct link *links[CO_LIMIT_DIRECT_CONNECTIONS];
	uint32_t nlinks; /* in use */
	struct other *others[DIRECT_BUCKETS];
	uint32_t nothers, closing;
	bool has_ended; /* some link or some other: look for what can go */
	bool may_tell;  /* some other that was asked has ended */
	struct pending *first, *spare;
	uint32_t taking; /* threads that fetch from the table */
	struct {
		union {
			struct wire_header header;
			uint8_t bytes[CO_WIRE_GUEST_MAX];
		};
		int fds[CO_WIRE_FDS_MAX];
		uint32_t nfds;
	} in;
};

/* The state if this process has begun, with the lock held; NULL. */
struct direct *cloudos__direct_lock(void);
void cloudos__direct_unlock(struct direct *d);

/* Does what the daemon has to say; joins a new one. */
void cloudos__direct_settle(struct direct *d);

/* Reads what the daemon has said; afterwards it is known whether it lives. */
void cloudos__direct_look(struct direct *d);

/* That process; with `make` a new one.  NULL: none, or no room. */
struct other *cloudos__direct_other(struct direct *d, uint32_t pid, bool make);
/* Begins to open the way there, if it is time to. */
void cloudos__direct_open(struct direct *d, struct other *other);
bool cloudos__direct_drained(const struct other *other);
/* The rings are empty: links that have ended go. */
void cloudos__direct_finish(struct direct *d);
/* The user of a link is done with it. */
void cloudos__direct_put(struct direct *d, struct ring_server *server);
void cloudos__direct_release(struct direct *d, struct link *link);

/* For ipc.c: true: done, with that result; false: to be done by system call. */
bool cloudos__direct_send(uint32_t pid, const message_t *msg, int *result);
bool cloudos__direct_reply(uint32_t pid, const message_t *msg, int *result);
bool cloudos__direct_receive(uint32_t *sender, message_t *msg, size_t max_size,
			     int *result);

#endif
