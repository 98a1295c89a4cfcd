/* SPDX-License-Identifier: MIT */
/*
 * The control socket: launchers attach here, cloudosctl asks here.  HOST.
 *
 * Only the owner of the daemon (and root) is let in.  Every message has been checked by
 * lib/wire before a handler sees it; a client that does not keep to the protocol loses
 * its connection and nothing else.  All under the core lock.
 */
#ifndef CO_CONTROL_H
#define CO_CONTROL_H

#include <stdint.h>

#include "cloudosd/service/registry.h"
#include "lib/err.h"

struct daemon;
struct control;
struct co_call;

/* listen_fd is borrowed. */
int control_new(struct control **out, struct daemon *d, int listen_fd,
		struct co_err *err);
struct control *control_free(struct control *c);

/* Programs in containers connect there; fd is taken. */
void control_listen_contained(struct control *c, int fd);

unsigned control_clients(const struct control *c);

/* Streams: a call for whoever traces its session, the end of a session. */
void control_trace(struct control *c, struct co_call *call, int64_t raw,
		   uint64_t took_ns, const char *line);
void control_session_end(struct control *c, uint64_t session);

#endif
