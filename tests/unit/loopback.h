/* SPDX-License-Identifier: MIT */
/* A server on 127.0.0.1 with a port of its own, served by a fake host.  HOST. */
#ifndef CO_TESTS_LOOPBACK_H
#define CO_TESTS_LOOPBACK_H

#include <stddef.h>

#include "tests/unit/fake_host.h"

#define LOOPBACK_MAX 128 /* connections open at a time */

struct loopback {
	struct fake_host *fake;
	int fd;
	unsigned int port;
	struct co_watch *watch;
	struct loopback_connection {
		struct loopback *server; /* NULL: free */
		int fd;
		struct co_watch *watch;
	} connections[LOOPBACK_MAX];
	const char *answer; /* NULL: accepts and says nothing; "": closes */
	char request[2048]; /* the last one */
	size_t requests;    /* connections accepted */
};

void loopback_start(struct loopback *server, struct fake_host *fake,
		    const char *answer);
void loopback_stop(struct loopback *server);

/* "tcp://127.0.0.1:PORT" or "http://127.0.0.1:PORT/path" into a buffer of the server. */
const char *loopback_url(struct loopback *server, const char *scheme, const char *path);

/* A port of 127.0.0.1 on which nobody listens, kept so by an unlistening socket. */
int loopback_closed_port(unsigned int *out_port);

#endif
