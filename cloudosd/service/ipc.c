/* SPDX-License-Identifier: MIT */
/* The engine for messages: peers, who is charged, who guesses.  HOST. */
#include "cloudosd/service/ipc.h"

#include <co/limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cloudosd/service/ipc_inside.h"

/* ---- who is charged ---- */

static bool unused(const struct ipc_account *a)
{
	return !a->peers && !a->ports && !a->names && !a->connections;
}

void ipc_process_release(struct ipc *ipc, struct ipc_process *process)
{
	if (!process)
		return;
	/* its number may be another's from now on, who is not to pay for it */
	if (process->hashed && !process->uses.peers) {
		HASH_DEL(ipc->processes, process);
		process->hashed = false;
	}
	if (unused(&process->uses))
		free(process);
}

void ipc_user_release(struct ipc *ipc, struct ipc_user *user)
{
	if (!user || !unused(&user->uses))
		return;
	HASH_DEL(ipc->users, user);
	free(user);
}

static struct ipc_process *process_get(struct ipc *ipc, int32_t pid)
{
	struct ipc_process *process;

	HASH_FIND(hh, ipc->processes, &pid, sizeof(pid), process);
	if (process)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->hashed = true;
	HASH_ADD(hh, ipc->processes, pid, sizeof(process->pid), process);
	return process;
}

static struct ipc_user *user_get(struct ipc *ipc, uint32_t uid)
{
	struct ipc_user *user;

	HASH_FIND(hh, ipc->users, &uid, sizeof(uid), user);
	if (user)
		return user;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	HASH_ADD(hh, ipc->users, uid, sizeof(user->uid), user);
	return user;
}

/* ---- who guesses ---- */

static uint64_t now_us(const struct ipc *ipc)
{
	return ipc->host->now_ms(ipc->host->ctx) * 1000;
}

/* A bucket of IPC_GUESSES that fills at IPC_GUESS_RATE a second. */
static void guessed(struct ipc_peer *peer)
{
	struct ipc_process *process = peer->process;
	struct ipc *ipc = peer->ipc;
	uint64_t now = now_us(ipc);

	if (process->tokens_us < now)
		process->tokens_us = now;
	process->tokens_us += 1000000 / CO_LIMIT_IPC_GUESS_RATE;
	process->guesses++;
	ipc->guesses++;
	for (uint64_t n = 10; n <= process->guesses; n *= 10)
		if (n == process->guesses)
			ipc->events.audit(ipc->events.ctx, peer, n);
}

uint64_t ipc_penalty_ms(const struct ipc_peer *peer)
{
	const uint64_t room_us =
		CO_LIMIT_IPC_GUESSES * (1000000ULL / CO_LIMIT_IPC_GUESS_RATE);
	uint64_t now = now_us(peer->ipc), until = peer->process->tokens_us;

	return until > now + room_us ? (until - now - room_us + 999) / 1000 : 0;
}

int ipc_port_get(struct ipc_peer *peer, uint64_t cookie, struct ipc_port **out,
		 struct co_err *err)
{
	struct ipc_port *port;

	HASH_FIND(hh, peer->ipc->ports, &cookie, sizeof(cookie), port);
	if (!port) {
		guessed(peer);
		return co_fail(err, CO_NOT_FOUND, "there is no such port");
	}
	if (port->user != peer->user)
		return co_fail(err, CO_ACCESS, "the port is one of another user");
	*out = port;
	return 0;
}

/* ---- peers ---- */

int ipc_peer_new(struct ipc *ipc, const struct ipc_peer_spec *spec,
		 struct ipc_peer **out, struct co_err *err)
{
	struct ipc_process *process = process_get(ipc, spec->pid);
	struct ipc_user *user = user_get(ipc, spec->uid);
	struct ipc_peer *peer = NULL;
	int r = 0;

	if (!process || !user)
		r = co_fail(err, CO_NO_MEMORY, "no memory for one more peer");
	else if (process->uses.peers >= ipc->limits.process_peers)
		r = co_fail(err, CO_TABLE_FULL,
			    "process %d takes part %u times already, the limit",
			    spec->pid, process->uses.peers);
	else if (ipc_numbers(ipc).peers >= ipc->limits.peers)
		r = co_fail(err, CO_TABLE_FULL,
			    "%u peers exchange messages already, the limit",
			    ipc->limits.peers);
	else if (!(peer = calloc(1, sizeof(*peer))))
		r = co_fail(err, CO_NO_MEMORY, "no memory for one more peer");
	if (r) {
		ipc_process_release(ipc, process);
		ipc_user_release(ipc, user);
		return r;
	}
	peer->ipc = ipc;
	peer->id = ipc->next_peer++;
	peer->pid = spec->pid;
	peer->uid = spec->uid;
	peer->session = spec->session;
	peer->ctx = spec->ctx;
	peer->process = process;
	peer->user = user;
	process->uses.peers++;
	user->uses.peers++;
	DL_APPEND(ipc->peers, peer);
	ipc->peer_count++;
	*out = peer;
	return 0;
}

/* A port whose owner goes stays with who receives there longest. */
static void inherit(struct ipc_port *port, struct ipc_peer *from, enum co_ipc_why why)
{
	struct ipc_receiver *r;

	DL_FOREACH (port->receivers, r)
		if (r->peer != from)
			break;
	if (!r) {
		ipc_port_free(port, from, why);
		return;
	}
	DL_DELETE2(from->ports, port, own_prev, own_next);
	port->owner = r->peer;
	DL_APPEND2(r->peer->ports, port, own_prev, own_next);
	port->process->uses.ports--;
	if (port->process != from->process)
		ipc_process_release(from->ipc, port->process);
	port->process = r->peer->process;
	port->process->uses.ports++; /* may be above the limit: it did not ask */
}

struct ipc_peer *ipc_peer_free(struct ipc_peer *peer, enum co_ipc_why why)
{
	struct ipc_connection *c, *next;
	struct ipc *ipc;

	if (!peer)
		return NULL;
	ipc = peer->ipc;
	DL_FOREACH_SAFE2(peer->opened, c, next, client_next)
	ipc_connection_end(c, peer, why);
	/* opens that it was offered go to another receiver or wait for one */
	while (peer->receivers)
		ipc_receiver_free(peer->receivers);
	DL_FOREACH_SAFE2(peer->served, c, next, server_next)
	ipc_connection_end(c, peer, why);
	while (peer->ports)
		inherit(peer->ports, peer, why);
	DL_DELETE(ipc->peers, peer);
	ipc->peer_count--;
	peer->process->uses.peers--;
	peer->user->uses.peers--;
	ipc_process_release(ipc, peer->process);
	ipc_user_release(ipc, peer->user);
	free(peer);
	return NULL;
}

/* ---- all of it ---- */

void ipc_each_peer(struct ipc *ipc, void (*each)(void *arg, struct ipc_peer *peer),
		   void *arg)
{
	struct ipc_peer *peer, *next;

	DL_FOREACH_SAFE (ipc->peers, peer, next)
		each(arg, peer);
}

void ipc_each_port(struct ipc *ipc, void (*each)(void *arg, struct ipc_port *port),
		   void *arg)
{
	struct ipc_port *port, *next;

	HASH_ITER (hh, ipc->ports, port, next)
		each(arg, port);
}

struct ipc_numbers ipc_numbers(const struct ipc *ipc)
{
	return (struct ipc_numbers){ .peers = ipc->peer_count,
				     .ports = HASH_COUNT(ipc->ports),
				     .names = HASH_COUNT(ipc->names),
				     .connections = HASH_COUNT(ipc->connections),
				     .guesses = ipc->guesses };
}

void ipc_limits_default(struct ipc_limits *out)
{
	*out = (struct ipc_limits){
		.peers = CO_LIMIT_IPC_PEERS,
		.process_peers = CO_LIMIT_IPC_PROCESS_PEERS,
		.ports = CO_LIMIT_IPC_PORTS,
		.process_ports = CO_LIMIT_IPC_PROCESS_PORTS,
		.names = CO_LIMIT_IPC_NAMES,
		.process_names = CO_LIMIT_IPC_PROCESS_NAMES,
		.connections = CO_LIMIT_IPC_CONNECTIONS,
		.process_connections = CO_LIMIT_IPC_PROCESS_CONNECTIONS,
		.opening = CO_LIMIT_IPC_OPENING,
		.offered = CO_LIMIT_IPC_OFFERED,
	};
}

struct ipc *ipc_new(const struct co_host *host, const struct ipc_events *events,
		    const uint64_t key[2], const struct ipc_limits *limits)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));

	if (!ipc)
		return NULL;
	ipc->host = host;
	ipc->events = *events;
	ipc->secret[0] = key[0];
	ipc->secret[1] = key[1];
	if (limits)
		ipc->limits = *limits;
	else
		ipc_limits_default(&ipc->limits);
	ipc->next_peer = ipc->next_port = 1;
	/* of another run of the daemon's none is meant by accident */
	ipc->next_connection = host->random(host->ctx) >> 16 << 8 | 1;
	ipc_names_key(host);
	ipc->missing = host->timer_new(host->ctx, ipc_missing_fire, ipc);
	return ipc->missing ? ipc : ipc_free(ipc);
}

struct ipc *ipc_free(struct ipc *ipc)
{
	if (ipc)
		ipc->host->timer_free(ipc->missing);
	free(ipc);
	return NULL;
}
