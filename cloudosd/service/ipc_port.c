/* SPDX-License-Identifier: MIT */
/* The engine for messages: ports and who receives there.  HOST. */
#include <co/limits.h>
#include <co/siphash.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/service/ipc_inside.h"

/* ---- receivers ---- */

static struct ipc_receiver *receiver_of(const struct ipc_peer *peer,
					const struct ipc_port *port)
{
	struct ipc_receiver *r;

	DL_FOREACH2(peer->receivers, r, peer_next)
	if (r->port == port)
		return r;
	return NULL;
}

static int receiver_new(struct ipc_peer *peer, struct ipc_port *port, uint32_t doorbell)
{
	struct ipc_receiver *r = calloc(1, sizeof(*r));

	if (!r)
		return CO_NO_MEMORY;
	r->peer = peer;
	r->port = port;
	r->doorbell = doorbell;
	DL_APPEND(port->receivers, r);
	DL_APPEND2(peer->receivers, r, peer_prev, peer_next);
	return 0;
}

static void receiver_unlink(struct ipc_receiver *r)
{
	DL_DELETE(r->port->receivers, r);
	DL_DELETE2(r->peer->receivers, r, peer_prev, peer_next);
}

void ipc_receiver_free(struct ipc_receiver *r)
{
	struct ipc_port *port = r->port;
	struct ipc_connection *c, *next;

	receiver_unlink(r);
	DL_FOREACH_SAFE2(r->peer->served, c, next, server_next)
	{
		if (c->receiver != r)
			continue;
		if (c->state == IPC_OFFERED)
			ipc_requeue(c);
		else
			c->receiver = NULL;
	}
	free(r);
	ipc_offer(port);
}

int ipc_port_receive(struct ipc_peer *peer, uint64_t cookie, uint32_t doorbell,
		     uint32_t flags, struct co_err *err)
{
	struct ipc_receiver *r;
	struct ipc_port *port;
	int status;

	if (flags & ~CO_IPC_RECEIVE_STOP || (!flags && doorbell >= CO_RING_BELLS))
		return co_fail(err, CO_INVALID, "there is no such doorbell");
	status = ipc_port_get(peer, cookie, &port, err);
	if (status)
		return status;
	r = receiver_of(peer, port);
	if (flags & CO_IPC_RECEIVE_STOP) {
		if (r)
			ipc_receiver_free(r);
		return 0;
	}
	if (r)
		r->doorbell = doorbell; /* for who opens from now on */
	else if (receiver_new(peer, port, doorbell))
		return co_fail(err, CO_NO_MEMORY, "no memory for one more receiver");
	ipc_offer(port);
	return 0;
}

/* ---- ports ---- */

uint64_t ipc_port_secret(const struct ipc_port *port)
{
	const uint64_t said[2] = { port->cookie, port->user->uid };

	return co_siphash(port->owner->ipc->secret, said, sizeof(said));
}

/* Again after the daemon, or the connection to it, was lost. */
static int claim_check(struct ipc_peer *peer, uint64_t cookie, uint64_t secret,
		       struct co_err *err)
{
	const uint64_t said[2] = { cookie, peer->uid };
	struct ipc *ipc = peer->ipc;
	struct ipc_port *port;

	if (co_siphash(ipc->secret, said, sizeof(said)) != secret)
		return co_fail(err, CO_ACCESS, "that is not the secret of this port");
	for (size_t i = 0; i < sizeof(ipc->revoked) / sizeof(ipc->revoked[0]); i++)
		if (ipc->revoked[i] == cookie)
			return co_fail(err, CO_ACCESS, "the port has been revoked");
	HASH_FIND(hh, ipc->ports, &cookie, sizeof(cookie), port);
	return port ? co_fail(err, CO_EXISTS, "the port is there already") : 0;
}

static int port_quota(const struct ipc_peer *peer, struct co_err *err)
{
	const struct ipc_limits *limits = &peer->ipc->limits;

	if (peer->process->uses.ports >= limits->process_ports)
		return co_fail(err, CO_TABLE_FULL,
			       "this process has %u ports, the limit",
			       limits->process_ports);
	if (peer->user->uses.ports >= limits->ports)
		return co_fail(err, CO_TABLE_FULL,
			       "this user's programs have %u ports, the limit",
			       limits->ports);
	return 0;
}

static uint64_t new_cookie(struct ipc *ipc)
{
	struct ipc_port *port;
	uint64_t cookie;

	do {
		cookie = ipc->host->random(ipc->host->ctx);
		HASH_FIND(hh, ipc->ports, &cookie, sizeof(cookie), port);
	} while (!cookie || port);
	return cookie;
}

/* One that two ports would have is the first one's. */
static void number_take(struct ipc *ipc, struct ipc_port *port)
{
	const uint64_t said[2] = { port->cookie, IPC_PORT_PID };
	uint32_t number = (uint32_t) co_siphash(ipc->secret, said, sizeof(said)) %
			  IPC_PORT_NUMBERS;

	if (!number || ipc_port_by_number(ipc, number))
		return;
	port->number = number;
	HASH_ADD(hh_number, ipc->numbered, number, sizeof(port->number), port);
}

struct ipc_port *ipc_port_by_number(struct ipc *ipc, uint32_t number)
{
	struct ipc_port *port;

	HASH_FIND(hh_number, ipc->numbered, &number, sizeof(number), port);
	return port;
}

int ipc_port_create(struct ipc_peer *peer, uint64_t cookie, uint64_t secret,
		    uint32_t doorbell, uint32_t flags, struct ipc_port **out,
		    struct co_err *err)
{
	struct ipc *ipc = peer->ipc;
	struct ipc_port *port;
	int r;

	if (flags & ~(CO_IPC_PORT_MAIN | CO_IPC_PORT_MESSAGES) ||
	    (doorbell >= CO_RING_BELLS && doorbell != CO_IPC_NO_DOORBELL))
		return co_fail(err, CO_INVALID, "there is no such port or doorbell");
	r = cookie ? claim_check(peer, cookie, secret, err) : 0;
	if (!r)
		r = port_quota(peer, err);
	if (r)
		return r;
	port = calloc(1, sizeof(*port));
	if (!port)
		return co_fail(err, CO_NO_MEMORY, "no memory for one more port");
	port->cookie = cookie ? cookie : new_cookie(ipc);
	if (doorbell != CO_IPC_NO_DOORBELL && receiver_new(peer, port, doorbell)) {
		free(port);
		return co_fail(err, CO_NO_MEMORY, "no memory for one more port");
	}
	port->id = ipc->next_port++;
	port->flags = flags;
	port->created_ms = ipc->host->now_ms(ipc->host->ctx);
	port->owner = peer;
	port->process = peer->process;
	port->user = peer->user;
	port->process->uses.ports++;
	port->user->uses.ports++;
	HASH_ADD(hh, ipc->ports, cookie, sizeof(port->cookie), port);
	number_take(ipc, port);
	DL_APPEND2(peer->ports, port, own_prev, own_next);
	*out = port;
	return 0;
}

void ipc_port_free(struct ipc_port *port, const struct ipc_peer *by,
		   enum co_ipc_why why)
{
	struct ipc_peer *owner = port->owner;
	struct ipc *ipc = owner->ipc;
	struct ipc_connection *c, *next;
	struct ipc_receiver *r, *next_receiver;

	ipc_names_free(port);
	DL_FOREACH_SAFE2(port->waiting, c, next, port_next)
	ipc_refuse(c, CO_GONE, "the port is gone");
	DL_FOREACH_SAFE2(port->connected, c, next, port_next)
	ipc_connection_port_gone(c, why);
	DL_FOREACH_SAFE (port->receivers, r, next_receiver) {
		if (r->peer != by && r->peer != owner)
			ipc->events.port_gone(ipc->events.ctx, r->peer, port->cookie,
					      why);
		receiver_unlink(r);
		free(r);
	}
	if (owner != by)
		ipc->events.port_gone(ipc->events.ctx, owner, port->cookie, why);
	HASH_DEL(ipc->ports, port);
	if (port->number)
		HASH_DELETE(hh_number, ipc->numbered, port);
	DL_DELETE2(owner->ports, port, own_prev, own_next);
	port->process->uses.ports--;
	port->user->uses.ports--;
	ipc_process_release(ipc, port->process);
	ipc_user_release(ipc, port->user);
	free(port);
}

int ipc_port_destroy(struct ipc_peer *peer, uint64_t cookie, struct co_err *err)
{
	struct ipc_port *port;
	int r = ipc_port_get(peer, cookie, &port, err);

	if (!r)
		ipc_port_free(port, peer, CO_IPC_DESTROYED);
	return r;
}

void ipc_port_revoke(struct ipc_port *port)
{
	struct ipc *ipc = port->owner->ipc;

	ipc->revoked[ipc->next_revoked++ %
		     (sizeof(ipc->revoked) / sizeof(ipc->revoked[0]))] = port->cookie;
	ipc_port_free(port, NULL, CO_IPC_REVOKED);
}

struct ipc_port *ipc_port_by_cookie(struct ipc *ipc, uint64_t cookie)
{
	struct ipc_port *port;

	HASH_FIND(hh, ipc->ports, &cookie, sizeof(cookie), port);
	return port;
}

struct ipc_port *ipc_port_by_id(struct ipc *ipc, uint64_t id)
{
	struct ipc_port *port, *next;

	HASH_ITER (hh, ipc->ports, port, next)
		if (port->id == id)
			return port;
	return NULL;
}
