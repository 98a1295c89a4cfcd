/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What the next daemon is told when one was lost: the channels that this process has
 * made or receives from, their names, and who is connected.  Messages have gone on meanwhile.
 */
#include <co/ipc.h>
#include <co/status.h>
#include <personality/anos/guest_ipc.h>
#include <shim/rt/atomic.h>
#include <shim/rt/mem.h>

enum { TRIES = 10 }; /* others take a while to come back */

void ipc_name_given(uint64_t cookie, const uint8_t *name, long length)
{
	uint32_t i = 0;

	while (i < ipc->given_used && ipc->given[i].cookie)
		i++;
	if (i == CO_LIMIT_IPC_PROCESS_NAMES)
		return;
	if (i == ipc->given_used)
		ipc->given_used++;
	ipc->given[i].cookie = cookie;
	ipc->given[i].lost = 0;
	memcpy(ipc->given[i].text, name, (uint64_t) length + 1);
}

static long length_of(const uint8_t *text)
{
	long n = 0;

	while (text[n])
		n++;
	return n;
}

void ipc_name_taken(const uint8_t *name)
{
	uint64_t size = (uint64_t) length_of(name) + 1;

	for (uint32_t i = 0; i < ipc->given_used; i++)
		if (ipc->given[i].cookie && memcmp(ipc->given[i].text, name, size) == 0)
			ipc->given[i].cookie = 0;
}

static uint32_t bell_of(const struct ipc_port *port)
{
	return port->open ? (uint32_t) (port->ring.bell - ipc->page->bells)
			  : CO_IPC_NO_DOORBELL;
}

static long port_say(const struct ipc_port *port)
{
	struct wire_port_create_req create = {
		.h.type = WIRE_port_create_req,
		.cookie = port->cookie,
		.secret = port->secret,
		.doorbell = bell_of(port),
	};
	struct wire_port_receive_req receive = {
		.h.type = WIRE_port_receive_req,
		.cookie = port->cookie,
		.doorbell = bell_of(port),
	};
	long r = port->secret ? ipc_request_once(&create, sizeof(create), -1)
			      : CO_EXISTS;

	/* another made it, or was faster: who has inherited it announces it, too */
	if (r == CO_EXISTS)
		r = port->open ? ipc_request_once(&receive, sizeof(receive), -1) : 0;
	return r;
}

static void resume(uint64_t connection, uint64_t cookie, int32_t pid, uint32_t flags)
{
	struct wire_ipc_resume_req req = {
		.h.type = WIRE_ipc_resume_req,
		.connection = connection,
		.cookie = cookie,
		.pid = pid,
		.flags = flags,
	};

	/* if it cannot be, the other side's end is not told: as without a daemon */
	(void) ipc_request_once(&req, sizeof(req), -1);
}

void ipc_again_lost(void)
{
	bool left = false;

	for (uint32_t i = 0; i < ipc->ports_used; i++) {
		struct ipc_port *port = &ipc->ports[i];

		if (!port->used || port->gone || !port->lost)
			continue;
		port->lost = port_say(port) != 0;
		left |= port->lost;
		if (port->lost && ipc->unsettled == 1)
			ipc_port_gone(port->cookie); /* nobody has made it again */
	}
	for (uint32_t i = 0; i < ipc->given_used; i++) {
		struct ipc_given *given = &ipc->given[i];
		long r;

		if (!given->cookie || !given->lost)
			continue;
		r = ipc_name_say(given->cookie, given->text, length_of(given->text));
		given->lost = r == CO_NOT_FOUND;
		left |= given->lost;
	}
	ipc->unsettled = left && ipc->unsettled ? ipc->unsettled - 1 : 0;
}

void ipc_again(void)
{
	for (uint32_t i = 0; i < ipc->ports_used; i++)
		ipc->ports[i].lost = 1;
	for (uint32_t i = 0; i < ipc->given_used; i++)
		ipc->given[i].lost = 1;
	ipc->unsettled = TRIES;
	ipc_again_lost();
	for (uint32_t i = 0; i < ipc->clients_used; i++) {
		struct ipc_client *client = &ipc->clients[i];

		if (client->state == IPC_OPENING)
			client->state = IPC_FAILED; /* who waits asks again */
		else if (client->state == IPC_OPEN && !client->doomed)
			resume(client->connection, client->cookie, client->pid, 0);
	}
	for (uint32_t i = 0; i < ipc->servers_used; i++) {
		struct ipc_server *server = &ipc->servers[i];

		if (server->used && !server->ring.users.closed)
			resume(server->connection, server->cookie, server->pid,
			       CO_IPC_RESUME_RECEIVER);
	}
}
