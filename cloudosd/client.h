/* SPDX-License-Identifier: MIT */
/*
 * One connection to the control socket, as the request handlers see it.  HOST.
 * Private to cloudosd/control*.c.
 */
#ifndef CO_DAEMON_CLIENT_H
#define CO_DAEMON_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cloudosd/daemon.h"
#include "lib/wire.h"

struct queued {
	struct queued *prev, *next;
	size_t size;
	unsigned char bytes[];
};

/* client->channel: it is shown the messages of all ports. */
#define CLIENT_ALL_CHANNELS UINT64_MAX

struct client {
	struct control *control;
	struct daemon *daemon;
	uint64_t id; /* never used twice: callbacks find a client by it, or do not */
	int fd;
	pid_t pid; /* of the peer, from the kernel */
	bool greeted, dead;
	bool contained; /* it came by guest.sock: of a container, and may little */
	uint64_t place; /* of a contained one: its pid name space */
	struct co_watch *reading, *writing;
	struct queued *queue;
	size_t queued;

	uint64_t stream_tag;          /* of trace or service_watch, 0: none */
	uint64_t traced;              /* session */
	uint64_t channel;             /* port whose messages it is shown; 0: none */
	struct registry_watch *watch; /* of service_watch */
	char watched[64];
	uint64_t lost; /* rows of the stream that did not fit */

	struct client *prev, *next;
};

/* The message being answered, and where answers are built; of the core lock's owner. */
struct co_msg *control_in(struct control *c);
struct co_msg *control_out(struct control *c);

struct client *control_client(struct control *c, uint64_t id);

/* `each` may end the client it is called with. */
void control_each_client(struct control *c,
			 void (*each)(void *arg, struct client *client), void *arg);

/* Sends what was built in control_out, or queues it behind what waits. */
void client_send(struct client *client);

/* As client_send, but a stream drops rows rather than growing without end. */
void client_stream(struct client *client);

/* A reply without fields of its own. */
void client_reply(struct client *client, uint32_t type, uint64_t tag, int status,
		  const char *reason);

/* May it take part in that session?  One of a container only in those that began there. */
bool client_may_join(const struct client *client, uint64_t session);

/* Are both in one pid name space? */
bool same_pids(pid_t a, pid_t b);

/* Takes the connection away from its client, which ends; -1 while answers wait in it. */
int client_take_fd(struct client *client);

/* The handler of a request; the message is control_in. */
typedef void client_request(struct client *client);

client_request request_attach, request_join, request_session_list, request_session_kill,
	request_trace;
client_request request_service_list, request_service_register,
	request_service_deregister, request_service_watch;
client_request request_error_list, request_log_list, request_store_status,
	request_store_backup, request_store_compact;
client_request request_site_list;
client_request request_name_list;
client_request request_ipc_join, request_token_get, request_channel_list,
	request_channel_stats, request_channel_kill, request_channel_trace,
	request_capability_list, request_deadlock_list;

#endif
