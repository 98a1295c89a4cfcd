/* SPDX-License-Identifier: MIT */
/* One peer, as peer.c and peer_request.c see it.  HOST.  Private to cloudosd/peer*.c. */
#ifndef CO_PEER_INSIDE_H
#define CO_PEER_INSIDE_H

#include "cloudosd/daemon.h"
#include "cloudosd/peer.h"
#include "cloudosd/service/message.h"
#include "lib/wire.h"

enum { PEERS_CYCLES = 8 };

struct peer_note; /* waits to be sent */

struct peers {
	struct daemon *daemon;
	struct ipc *ipc;
	struct co_msg *in, *out;
	struct peer *all;
	uint32_t names; /* counts changes, never 0; as in every control page */
	uint64_t key[2];
	uint64_t tokens[PEERS_TOKENS];
	uint64_t ticks, ticks_ms; /* the counter at some time, to know how fast it is */
	uint64_t measured_ms;
	double tick_ns;
	struct co_timer *tracing, *looking;
	bool tracing_on, looking_on;
	uint64_t round; /* of tracing */
	struct ipc_cycle cycles[PEERS_CYCLES];
	size_t ncycles;
};

struct peer {
	struct peers *peers;
	struct ipc_peer *ipc;
	int fd, pidfd;
	int page_fd; /* its doorbells, -1: it has none */
	int32_t pid;
	bool nested; /* its pids are others over there */
	bool gone;   /* its funeral is posted; nothing is sent to it any more */
	struct co_ring_control *control;
	const struct co_ring_peer *page; /* read-only; NULL */
	uint64_t bells;                  /* that it has ever received at */
	int capture_fd;                  /* messages as they go by, -1 */
	uint64_t captured;               /* records of it that were read */
	uint64_t traced;                 /* the round of tracing that wants it */
	struct message_watch messages; /* CO_IPC_JOIN_MESSAGES */
	struct co_watch *reading, *writing, *dying;
	struct co_timer *rest; /* it has guessed and is not listened to for a while */
	struct peer_note *queue;
	unsigned queued;
	struct peer *prev, *next;
};

/* Sends peers->out; fds are borrowed. */
void peer_send(struct peer *p, const int *fds, uint32_t n);
void peer_reply(struct peer *p, uint32_t type, uint64_t tag, int status,
		const char *reason);

/* It ends soon, with that sentence in the log if there is one. */
void peer_lost(struct peer *p, const char *why);

/* There is something to read for it; whoever sleeps at one of those bells wakes, too. */
void peer_kick(struct peer *p, uint64_t bells);

/* Is that a memory file of that size (0: any but empty) that nobody can change any more but
 * as those seals allow?  0 or CO_INVALID; the size is told. */
int peer_check_segment(int fd, uint64_t size, int seals, uint64_t *out_size,
		       struct co_err *err);

/* A checked message of p's is in peers->in. */
int peer_request(struct peer *p, struct co_err *err);

/* The segment with its messages has come; taken. */
void peer_capture(struct peer *p, int fd);

/* Connections are there: looks for processes that wait for each other now and then. */
void peers_look(struct peers *all);

/* One of this program's own: fd, which the kernel stamps with senders, and page_fd are taken,
 * also on failure; *out_control is the caller's. */
int peer_join(struct peers *all, const struct ipc_peer_spec *spec, int fd, int page_fd,
	      struct peer **out, int *out_control, struct co_err *err);

/* Timers of peer_watch.c. */
int peers_watch_new(struct peers *all);

extern const struct ipc_events peer_events; /* without ctx */

#endif
