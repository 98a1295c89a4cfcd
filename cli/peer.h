/* SPDX-License-Identifier: MIT */
/*
 * A host program that others send messages to: joins the engine over a connection of its
 * own, opens ports, and serves each with a thread.  HOST.  Who calls it: cloudos-exec, for
 * what SYSTEM offers to Anos programs.
 *
 *	peer_open(&paths, session, &peer, &err);
 *	peer_port(peer, "SYSTEM::VFS", flags, serve, ctx, &cookie, &err);   each before
 *	peer_start(peer, &err);                                         this one
 *
 * There is one peer in a process, and it lives until the process ends.
 */
#ifndef CO_CLI_PEER_H
#define CO_CLI_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/paths.h"

enum { PEER_PAGE = 4096 };

struct peer;

struct peer_message {
	uint64_t cookie; /* for peer_reply */
	uint64_t tag;
	uint64_t size; /* what the sender says */
	int32_t pid;   /* who sent it, as the kernel told cloudosd */
	uint8_t *page; /* a private copy, zeros behind what was sent; NULL: none came */
};

/*
 * Answers a message: true, and *value and the page are the reply; false: peer_reply will be
 * called for it.  Called on the port's thread, one message after the other.
 */
typedef bool peer_serve(void *ctx, struct peer_message *m, uint64_t *value);

int peer_open(const struct co_paths *paths, uint64_t session, struct peer **out,
	      struct co_err *err);

/* With name_flags: messages to the port are not shown to anybody. */
#define PEER_UNSEEN 0x80000000U

/*
 * A port, and its name in the session unless that is NULL.  Its thread begins with
 * peer_start.  name_flags: CO_IPC_NAME_*.
 */
int peer_port(struct peer *peer, const char *name, uint32_t name_flags,
	      peer_serve *serve, void *ctx, uint64_t *out_cookie, struct co_err *err);

/* The domain's tokens of calls of Anos, by number up to CO_ANOS_CALLS. */
const uint64_t *peer_tokens(const struct peer *peer);

int peer_start(struct peer *peer, struct co_err *err);

/*
 * The reply to a message that was put off; page may be NULL.  To a sender that has sent a
 * whole page all of it goes back, to others `size` bytes.  False: nobody waits for it any
 * more.  From any thread.
 */
bool peer_reply(struct peer *peer, uint64_t cookie, uint64_t value, const uint8_t *page,
		uint32_t size);

#endif
