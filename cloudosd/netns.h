/* SPDX-License-Identifier: MIT */
/*
 * Sockets in the network of a container.  HOST.  Who calls it: housed.c, relay.c.
 *
 * A thread may enter another network name space only with rights in the user name space that
 * it belongs to, and a process with threads may not enter that.  So a child does, for an
 * instant: it shares memory and descriptors with the caller, who stands still, and the socket
 * that it makes is the caller's.  Some 50 us; nobody in the container sees it.
 */
#ifndef CO_NETNS_H
#define CO_NETNS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"

struct netns {
	int user; /* the user name space to go through; -1: ours */
	int net;  /* -1: none */
};

#define NETNS_NONE                                                                     \
	{                                                                              \
		-1, -1                                                                 \
	}

/* Takes both.  Those that are ours become -1: net < 0 then says that there is nothing to
 * enter. */
void netns_take(struct netns *out, int user, int net);

/* Those of a process. */
int netns_of(pid_t pid, struct netns *out, struct co_err *err);
void netns_copy(const struct netns *from, struct netns *out);
void netns_close(struct netns *n);

/* A socket of IPv4 there (SOCK_STREAM, SOCK_DGRAM), which does not block; negative errno. */
int netns_socket(const struct netns *n, int type);

/* One that listens, beside one of anybody who shares the port (netns_share). */
int netns_listen(const struct netns *n, const struct sockaddr_in *address);

/* A socket of a program there, that is not bound yet, may have the port of a netns_listen at
 * all addresses but that one.  0, or a negative errno. */
int netns_share(const struct netns *n, int fd);

#endif
