/* SPDX-License-Identifier: MIT */
/* The engine for messages: connections, from the open to the end.  HOST. */
#include <co/limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/service/ipc_inside.h"
#include "cloudosd/service/process.h"

enum { MISSING_MS = 1000 };

/* ---- lists that a connection is in ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd); /* a memory file: nothing can fail */
	*fd = -1;
}

static void leave_port(struct ipc_connection *c)
{
	if (!c->port)
		return;
	if (c->state == IPC_WAITING) {
		DL_DELETE2(c->port->waiting, c, port_prev, port_next);
		c->port->waiting_count--;
	} else {
		DL_DELETE2(c->port->connected, c, port_prev, port_next);
		c->port->connections--;
	}
	c->port = NULL;
}

static void leave_client(struct ipc_connection *c)
{
	if (c->client)
		DL_DELETE2(c->client->opened, c, client_prev, client_next);
	c->client = NULL;
}

static void leave_server(struct ipc_connection *c)
{
	if (!c->server)
		return;
	DL_DELETE2(c->server->served, c, server_prev, server_next);
	if (c->state == IPC_OFFERED || c->state == IPC_ORPHAN)
		c->server->offered--;
	if (c->receiver)
		c->receiver->connections--;
	c->receiver = NULL;
	c->server = NULL;
}

static uint64_t new_id(struct ipc *ipc)
{
	struct ipc_connection *taken;
	uint64_t id;

	do { /* ipc_resume has ids that we did not choose */
		id = ipc->next_connection++;
		HASH_FIND(hh, ipc->connections, &id, sizeof(id), taken);
	} while (taken);
	return id;
}

/* Nobody waits for it to be accepted any more. */
static void settle(struct ipc *ipc, struct ipc_connection *c)
{
	c->process->uses.opening--;
	if (c->limit)
		ipc->host->timer_free(c->limit);
	c->limit = NULL;
}

static void connection_free(struct ipc *ipc, struct ipc_connection *c)
{
	if (c->state == IPC_WAITING || c->state == IPC_OFFERED)
		settle(ipc, c);
	if (c->state == IPC_HALF)
		ipc->halves--;
	if (c->state == IPC_OPEN && c->port) {
		struct ipc_stats carried = { 0 };

		ipc_stats_read(&carried, c->client_fd, c->server_fd);
		ipc_stats_keep(&c->port->past, &carried);
	}
	leave_port(c);
	leave_client(c);
	leave_server(c);
	HASH_DEL(ipc->connections, c);
	close_fd(&c->client_fd);
	close_fd(&c->server_fd);
	c->process->uses.connections--;
	c->user->uses.connections--;
	ipc_process_release(ipc, c->process);
	ipc_user_release(ipc, c->user);
	free(c);
}

/* A receiver that has answered has room for what waits elsewhere. */
static void offer_more(struct ipc_peer *peer)
{
	struct ipc_receiver *r, *next;

	DL_FOREACH_SAFE2(peer->receivers, r, next, peer_next)
	if (r->port->waiting)
		ipc_offer(r->port);
}

void ipc_port_stats(const struct ipc_port *port, struct ipc_stats *out)
{
	const struct ipc_connection *c;

	ipc_stats_add(out, &port->past);
	DL_FOREACH2(port->connected, c, port_next)
	ipc_stats_read(out, c->client_fd, c->server_fd);
}

/* ---- offers ---- */

static struct ipc_receiver *best_receiver(const struct ipc_port *port)
{
	struct ipc_receiver *r, *best = NULL;

	DL_FOREACH (port->receivers, r)
		if (r->peer->offered < r->peer->ipc->limits.offered &&
		    (!best || r->connections < best->connections))
			best = r;
	return best;
}

void ipc_offer(struct ipc_port *port)
{
	struct ipc_receiver *r;

	while (port->waiting && (r = best_receiver(port))) {
		struct ipc_connection *c = port->waiting;
		struct ipc *ipc = r->peer->ipc;

		DL_DELETE2(port->waiting, c, port_prev, port_next);
		port->waiting_count--;
		DL_APPEND2(port->connected, c, port_prev, port_next);
		port->connections++;
		c->state = IPC_OFFERED;
		c->receiver = r;
		c->server = r->peer;
		c->doorbell = r->doorbell;
		DL_APPEND2(r->peer->served, c, server_prev, server_next);
		r->connections++;
		r->peer->offered++;
		ipc->events.offered(ipc->events.ctx, c);
	}
}

void ipc_requeue(struct ipc_connection *c)
{
	struct ipc_port *port = c->port;
	struct ipc *ipc = c->client->ipc;

	ipc->events.detached(ipc->events.ctx, c->server, c->id, CO_IPC_CLOSED);
	/* its answer, which may be on the way, is not one to the next offer */
	HASH_DEL(ipc->connections, c);
	c->id = new_id(ipc);
	HASH_ADD(hh, ipc->connections, id, sizeof(c->id), c);
	DL_DELETE2(port->connected, c, port_prev, port_next);
	port->connections--;
	c->receiver = NULL; /* is going */
	leave_server(c);
	c->state = IPC_WAITING;
	DL_PREPEND2(port->waiting, c, port_prev, port_next);
	port->waiting_count++;
}

/* ---- ends ---- */

/* An offer whose client is gone waits for the receiver's answer, which is still to come. */
static void orphan(struct ipc *ipc, struct ipc_connection *c, enum co_ipc_why why)
{
	settle(ipc, c);
	leave_port(c);
	leave_client(c);
	if (c->receiver)
		c->receiver->connections--;
	c->receiver = NULL; /* may go before the answer comes */
	close_fd(&c->client_fd);
	c->state = IPC_ORPHAN;
	ipc->events.detached(ipc->events.ctx, c->server, c->id, why);
}

void ipc_refuse(struct ipc_connection *c, int status, const char *reason)
{
	struct ipc_peer *client = c->client;
	struct ipc *ipc = client->ipc;
	uint64_t tag = c->tag;

	if (c->state == IPC_OFFERED)
		orphan(ipc, c, CO_IPC_CLOSED);
	else
		connection_free(ipc, c);
	ipc->events.refused(ipc->events.ctx, client, tag, status, reason);
}

void ipc_connection_end(struct ipc_connection *c, const struct ipc_peer *by,
			enum co_ipc_why why)
{
	struct ipc_peer *client = c->client, *server = c->server;
	struct ipc *ipc = by->ipc;
	uint64_t id = c->id;

	if (c->state == IPC_OFFERED && by == client && client != server) {
		orphan(ipc, c, why);
		return;
	}
	connection_free(ipc, c);
	if (client && client != by)
		ipc->events.detached(ipc->events.ctx, client, id, why);
	if (server && server != by)
		ipc->events.detached(ipc->events.ctx, server, id, why);
}

void ipc_connection_port_gone(struct ipc_connection *c, enum co_ipc_why why)
{
	struct ipc *ipc = c->server->ipc;

	if (c->state == IPC_OFFERED) {
		ipc_refuse(c, CO_GONE, "the port is gone");
		return;
	}
	leave_port(c);
	c->receiver = NULL; /* has gone with the port */
	if (c->client)
		ipc->events.detached(ipc->events.ctx, c->client, c->id, why);
	ipc->events.detached(ipc->events.ctx, c->server, c->id, why);
}

/* ---- requests ---- */

static void limit_fired(void *arg)
{
	struct ipc_connection *c = arg;

	ipc_refuse(c, CO_TIMED_OUT, "nobody has accepted the connection in time");
}

static int open_target(struct ipc_peer *peer, const struct ipc_open_spec *spec,
		       struct ipc_port **out, struct co_err *err)
{
	uint32_t wanted = spec->messages ? CO_IPC_PORT_MESSAGES : CO_IPC_PORT_MAIN;
	struct ipc_peer *other;

	if (spec->cookie)
		return ipc_port_get(peer, spec->cookie, out, err);
	*out = NULL;
	if (spec->name && *spec->name) {
		*out = ipc_name_find(peer, spec->name);
		return *out ? 0
			    : co_fail(err, CO_NOT_FOUND,
				      "there is no port named \"%.64s\"", spec->name);
	}
	DL_FOREACH (peer->ipc->peers, other) {
		struct ipc_port *port;

		if (other->pid != spec->pid)
			continue;
		DL_FOREACH2(other->ports, port, own_next)
		if (port->flags & wanted && !*out)
			*out = port;
	}
	if (!*out)
		return co_fail(err, CO_NOT_FOUND,
			       "process %d has no port for messages to it", spec->pid);
	return (*out)->user == peer->user
		       ? 0
		       : co_fail(err, CO_ACCESS, "the port is one of another user");
}

static int open_quota(const struct ipc_peer *peer, struct co_err *err)
{
	const struct ipc_limits *limits = &peer->ipc->limits;

	if (peer->process->uses.connections >= limits->process_connections)
		return co_fail(err, CO_TABLE_FULL,
			       "this process has %u connections, the limit",
			       limits->process_connections);
	if (peer->process->uses.opening >= limits->opening)
		return co_fail(err, CO_BUSY,
			       "%u connections that this process opens have not been "
			       "accepted yet, the limit",
			       limits->opening);
	if (peer->user->uses.connections >= limits->connections)
		return co_fail(err, CO_TABLE_FULL,
			       "this user's programs have %u connections, the limit",
			       limits->connections);
	return 0;
}

static struct ipc_connection *connection_new(struct ipc_peer *peer,
					     struct ipc_port *port,
					     const struct ipc_open_spec *spec)
{
	struct ipc *ipc = peer->ipc;
	struct ipc_connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->client_fd = spec->fd;
	c->server_fd = -1;
	if (spec->limit_ms) {
		uint64_t ms = spec->limit_ms < CO_LIMIT_IPC_OPEN_MS
				      ? spec->limit_ms
				      : CO_LIMIT_IPC_OPEN_MS;

		c->limit = ipc->host->timer_new(ipc->host->ctx, limit_fired, c);
		if (!c->limit) {
			free(c);
			return NULL;
		}
		ipc->host->timer_start(c->limit, ms);
	}
	c->id = new_id(ipc);
	c->state = IPC_WAITING;
	c->client = peer;
	c->port = port;
	c->cookie = port->cookie;
	c->tag = spec->tag;
	c->process = peer->process;
	c->user = peer->user;
	c->process->uses.connections++;
	c->process->uses.opening++;
	c->user->uses.connections++;
	HASH_ADD(hh, ipc->connections, id, sizeof(c->id), c);
	DL_APPEND2(peer->opened, c, client_prev, client_next);
	DL_APPEND2(port->waiting, c, port_prev, port_next);
	port->waiting_count++;
	return c;
}

int ipc_open(struct ipc_peer *peer, const struct ipc_open_spec *spec,
	     struct co_err *err)
{
	struct ipc_port *port = NULL;
	int fd = spec->fd;
	int r = open_target(peer, spec, &port, err);

	if (!r)
		r = open_quota(peer, err);
	if (!r && !connection_new(peer, port, spec))
		r = co_fail(err, CO_NO_MEMORY, "no memory for one more connection");
	if (r) {
		close_fd(&fd);
		return r;
	}
	ipc_offer(port);
	return 0;
}

void ipc_cancel(struct ipc_peer *peer, uint64_t tag)
{
	struct ipc_connection *c;

	DL_FOREACH2(peer->opened, c, client_next)
	if (c->tag == tag && (c->state == IPC_WAITING || c->state == IPC_OFFERED)) {
		ipc_refuse(c, CO_INTERRUPTED, "the open was cancelled");
		return;
	}
}

struct ipc_connection *ipc_connection_of(struct ipc_peer *peer, uint64_t connection)
{
	struct ipc_connection *c;

	HASH_FIND(hh, peer->ipc->connections, &connection, sizeof(connection), c);
	if (!c || (c->server != peer && c->client != peer))
		return NULL;
	/* a client does not know its connection before it is open */
	return c->state == IPC_OPEN || c->state == IPC_HALF || c->server == peer ? c
										 : NULL;
}

void ipc_accept(struct ipc_peer *peer, uint64_t connection, int fd)
{
	struct ipc_connection *c = ipc_connection_of(peer, connection);
	struct ipc *ipc = peer->ipc;

	if (!c || c->server != peer ||
	    (c->state != IPC_OFFERED && c->state != IPC_ORPHAN)) {
		close_fd(&fd); /* what it was offered has gone meanwhile */
		return;
	}
	if (c->state == IPC_ORPHAN) {
		close_fd(&fd);
		connection_free(ipc, c);
	} else {
		c->server_fd = fd;
		settle(ipc, c);
		peer->offered--;
		c->state = IPC_OPEN;
		c->port->opens++;
		ipc->events.opened(ipc->events.ctx, c);
	}
	offer_more(peer);
}

int ipc_close(struct ipc_peer *peer, uint64_t connection, enum co_ipc_why why,
	      struct co_err *err)
{
	struct ipc_connection *c = ipc_connection_of(peer, connection);
	struct ipc *ipc = peer->ipc;
	bool answers;

	if (!c)
		return co_fail(err, CO_NOT_FOUND, "there is no such connection");
	answers = c->state == IPC_OFFERED || c->state == IPC_ORPHAN;
	if (c->state == IPC_OFFERED) {
		struct ipc_peer *client = c->client;
		uint64_t tag = c->tag;

		connection_free(ipc, c);
		ipc->events.refused(ipc->events.ctx, client, tag,
				    why == CO_IPC_FULL ? CO_TABLE_FULL : CO_ACCESS,
				    why == CO_IPC_FULL
					    ? "the receiver has no room for one more "
					      "connection"
					    : "the receiver does not accept the "
					      "connection");
	} else if (c->state == IPC_ORPHAN) {
		connection_free(ipc, c);
	} else {
		bool itself = c->client == c->server;

		ipc_connection_end(c, peer, CO_IPC_CLOSED);
		if (itself) /* one side has closed; the other does not know */
			ipc->events.detached(ipc->events.ctx, peer, connection,
					     CO_IPC_CLOSED);
	}
	if (answers)
		offer_more(peer);
	return 0;
}

/* ---- of before this daemon ---- */

void ipc_missing_fire(void *arg)
{
	struct ipc *ipc = arg;
	struct ipc_connection *c, *next;

	HASH_ITER (hh, ipc->connections, c, next) {
		struct ipc_peer *side = c->client ? c->client : c->server;
		uint64_t id = c->id;

		if (c->state != IPC_HALF || process_thread_is_alive(c->other))
			continue;
		connection_free(ipc, c);
		ipc->events.detached(ipc->events.ctx, side, id, CO_IPC_DIED);
	}
	if (ipc->halves)
		ipc->host->timer_start(ipc->missing, MISSING_MS);
}

static void take_side(struct ipc_connection *c, struct ipc_peer *peer, bool receiver)
{
	if (receiver) {
		c->server = peer;
		DL_APPEND2(peer->served, c, server_prev, server_next);
	} else {
		c->client = peer;
		DL_APPEND2(peer->opened, c, client_prev, client_next);
	}
}

static int half_new(struct ipc_peer *peer, uint64_t id, int32_t other, bool receiver,
		    struct co_err *err)
{
	struct ipc *ipc = peer->ipc;
	struct ipc_connection *c = calloc(1, sizeof(*c));

	if (!c)
		return co_fail(err, CO_NO_MEMORY, "no memory for one more connection");
	c->id = id;
	c->state = IPC_HALF;
	c->other = other;
	c->client_fd = c->server_fd = -1;
	c->process = peer->process;
	c->user = peer->user;
	c->process->uses.connections++;
	c->user->uses.connections++;
	HASH_ADD(hh, ipc->connections, id, sizeof(c->id), c);
	take_side(c, peer, receiver);
	if (!ipc->halves++)
		ipc->host->timer_start(ipc->missing, 0);
	return 0;
}

/* The missing side has come. */
static void half_join(struct ipc_connection *c, struct ipc_peer *peer, uint64_t cookie,
		      bool receiver)
{
	struct ipc *ipc = peer->ipc;

	take_side(c, peer, receiver);
	c->state = IPC_OPEN;
	ipc->halves--;
	c->cookie = cookie;
	if (c->process != c->client->process) { /* who opens is charged */
		struct ipc_process *before = c->process;

		c->process = c->client->process;
		c->process->uses.connections++;
		before->uses.connections--;
		ipc_process_release(ipc, before);
	}
	HASH_FIND(hh, ipc->ports, &cookie, sizeof(cookie), c->port);
	if (c->port && c->port->user != c->user)
		c->port = NULL;
	if (c->port) {
		DL_APPEND2(c->port->connected, c, port_prev, port_next);
		c->port->connections++;
	}
}

int ipc_resume(struct ipc_peer *peer, uint64_t connection, uint64_t cookie,
	       int32_t other, bool receiver, struct co_err *err)
{
	struct ipc_connection *c;
	int r;

	HASH_FIND(hh, peer->ipc->connections, &connection, sizeof(connection), c);
	if (!c) {
		r = open_quota(peer, err);
		return r ? r : half_new(peer, connection, other, receiver, err);
	}
	if (c->state == IPC_HALF && c->user == peer->user && c->other == peer->pid &&
	    (receiver ? c->client && c->client->pid == other
		      : c->server && c->server->pid == other)) {
		half_join(c, peer, cookie, receiver);
		return 0;
	}
	return co_fail(err, CO_EXISTS, "there is another connection of that number");
}
