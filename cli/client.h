/* SPDX-License-Identifier: MIT */
/*
 * A connection to the control socket of cloudosd.  HOST.  Who calls it: cloudosctl,
 * cloudos-exec.
 *
 *	co_client_open(&paths, "cloudosctl", &client, &err);
 *	req = co_client_request(client, WIRE_service_list_req);
 *	co_msg_text(client->out, &req->name, "web");
 *	co_client_send(client, NULL, 0, &err);
 *	while ((rc = co_client_next(client, &err)) == CO_CLIENT_ROW)
 *		... client->in is a row ...
 *	... rc == 0: client->in is the reply; rc < 0: refused or broken, err says why ...
 */
#ifndef CO_CLIENT_H
#define CO_CLIENT_H

#include "lib/paths.h"
#include "lib/wire.h"

enum { CO_CLIENT_ROW = 1 };

struct co_client {
	int fd;
	uint64_t tag;     /* of the request under way */
	uint32_t expects; /* type of its reply */
	int timeout_ms;   /* for one message; -1 waits for ever */
	int until_fd; /* co_client_next ends with CO_GONE when its reader is gone; -1 */
	struct co_msg *out; /* being built */
	struct co_msg *in;  /* last received */
	bool lost;          /* the connection broke, nothing more will come */

	/* from hello */
	uint32_t version; /* of the wire */
	int daemon_pid;
	uint64_t domain;
	char release[64];
	char folder[CO_PATH_SIZE];
};

/*
 * Connects and says hello.  0; CO_GONE when no daemon is running; CO_VERSION when there
 * is no common version of the wire; CO_ACCESS.
 */
int co_client_open(const struct co_paths *paths, const char *program,
		   struct co_client **out, struct co_err *err);

/* NULL is nothing.  Returns NULL. */
struct co_client *co_client_close(struct co_client *c);

/* Begins the request `type` in c->out; returns its zeroed fixed part. */
void *co_client_request(struct co_client *c, uint32_t type);

/* Sends c->out with n descriptors (borrowed). */
int co_client_send(struct co_client *c, const int *fds, uint32_t n, struct co_err *err);

/*
 * Waits for what comes next: CO_CLIENT_ROW, 0 for the reply, or the negative status of a
 * refusal or of a broken connection (then c->lost).
 */
int co_client_next(struct co_client *c, struct co_err *err);

/* Sends c->out and waits for its reply; rows are an error of the daemon. */
int co_client_call(struct co_client *c, const int *fds, uint32_t n, struct co_err *err);

static inline void co_cleanup_client(struct co_client **c)
{
	(void) co_client_close(*c); /* always NULL */
}
#define autoclient __attribute__((cleanup(co_cleanup_client)))

#endif
