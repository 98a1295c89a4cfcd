/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Who is connected: channels that this process sends to, channels that it receives
 * from, and those who send to them.  Tables are changed under the lock; what is found in
 * them without it is checked again with a reference held.
 */
#include <co/ipc.h>
#include <co/status.h>
#include <personality/anos/guest_ipc.h>
#include <shim/rt/atomic.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>

static uint32_t pid(void)
{
	return (uint32_t) shim_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0);
}

/* Which of the cache's places is that cookie's? */
static uint32_t place_of(uint64_t cookie)
{
	return (uint32_t) (cookie ^ cookie >> 32) % IPC_CACHE;
}

static void say_close(uint64_t connection, enum co_ipc_why why)
{
	struct wire_ipc_close_req req = {
		.h = { WIRE_ipc_close_req, sizeof(req), ++ipc->tag },
		.connection = connection,
		.why = why,
	};

	(void) ipc_say(&req, sizeof(req), -1); /* without a daemon it is over anyway */
}

/* ---- channels that it sends to ---- */

static void client_free(struct ipc_client *client)
{
	ipc_segment_free(client->own, sizeof(*client->own));
	ipc_segment_free(client->server, sizeof(*client->server));
	ipc_segment_free(client->page, sizeof(*client->page));
	client->own = NULL;
	client->server = NULL;
	client->page = NULL;
	client->cookie = 0;
	shim_store_release(&client->state, IPC_FREE);
}

void ipc_client_put(struct ipc_client *client)
{
	if (ring_put(&client->ring.users))
		client_free(client);
}

/* Nobody will use it from now on but who does already. */
static void client_end(struct ipc_client *client)
{
	if (!shim_replace(&client->doomed, 2, 3) &&
	    !shim_replace(&client->doomed, 0, 3) &&
	    !shim_replace(&client->doomed, 1, 3))
		return;
	if (ring_client_stop(&client->ring))
		client_free(client);
}

static struct ipc_client *client_of(uint64_t cookie)
{
	for (uint32_t i = 0; i < ipc->clients_used; i++)
		if (ipc->clients[i].cookie == cookie &&
		    ipc->clients[i].state != IPC_FREE && ipc->clients[i].doomed < 2)
			return &ipc->clients[i];
	return NULL;
}

static struct ipc_client *client_new(uint64_t cookie)
{
	uint32_t i = 0;

	while (i < ipc->clients_used &&
	       shim_load_acquire(&ipc->clients[i].state) != IPC_FREE)
		i++;
	if (i == IPC_CLIENTS)
		return NULL;
	if (i == ipc->clients_used)
		ipc->clients_used++;
	memset(&ipc->clients[i], 0, sizeof(ipc->clients[i]));
	ipc->clients[i].cookie = cookie;
	return &ipc->clients[i];
}

/* Says what it wants; the answer comes when there is a receiver. */
static struct ipc_client *client_begin(uint64_t cookie)
{
	struct ipc_client *client = client_new(cookie);
	struct wire_ipc_open_req req = {
		.h = { WIRE_ipc_open_req, sizeof(req), ++ipc->tag },
		.cookie = cookie,
	};
	int32_t fd;
	long r;

	if (!client)
		return NULL;
	client->own = ipc_segment_new(sizeof(*client->own), &fd);
	if (!client->own) {
		client_free(client);
		return NULL;
	}
	ring_client_format(client->own, pid());
	client->connection = req.h.tag; /* until it has a number */
	client->state = IPC_OPENING;
	r = ipc_say(&req, sizeof(req), fd);
	ipc_close_fd(fd);
	if (!r)
		return client;
	client_free(client);
	return NULL;
}

static void open_answered(void)
{
	const struct wire_ipc_open_rep *rep = &ipc->buffer.open;
	struct ipc_client *client = NULL;

	for (uint32_t i = 0; i < ipc->clients_used; i++)
		if (ipc->clients[i].state == IPC_OPENING &&
		    ipc->clients[i].connection == rep->h.tag)
			client = &ipc->clients[i];
	if (!client)
		return;
	if (rep->r.status) {
		client->state = IPC_FAILED;
		return;
	}
	client->server = ipc_segment_map(ipc_take_fd(0), sizeof(*client->server));
	client->page = ipc_segment_map(ipc_take_fd(1), sizeof(*client->page));
	client->connection = rep->connection;
	client->pid = rep->pid;
	client->ring.control = ipc->control;
	client->ring.connection = rep->connection;
	if (client->server && client->page &&
	    ring_client_open(&client->ring, client->own, client->server, client->page,
			     rep->doorbell) == RING_OK) {
		uint32_t index = (uint32_t) (client - ipc->clients);

		shim_store_release(&client->state, IPC_OPEN);
		__atomic_store_n(&ipc->client_cache[place_of(client->cookie)],
				 index + 1, __ATOMIC_RELEASE);
		return;
	}
	say_close(rep->connection, CO_IPC_FULL);
	client->state = IPC_FAILED;
}

/* If it is open and still that channel's: with a reference. */
static bool client_take(struct ipc_client *client, uint64_t cookie)
{
	if (shim_load_acquire(&client->state) != IPC_OPEN ||
	    !ring_get(&client->ring.users))
		return false;
	if (client->cookie == cookie && !shim_load_acquire(&client->doomed))
		return true;
	ipc_client_put(client);
	return false;
}

static struct ipc_client *client_cached(uint64_t cookie)
{
	uint32_t found =
		__atomic_load_n(&ipc->client_cache[place_of(cookie)], __ATOMIC_ACQUIRE);

	if (!found || found > IPC_CLIENTS)
		return NULL;
	return client_take(&ipc->clients[found - 1], cookie) ? &ipc->clients[found - 1]
							     : NULL;
}

struct ipc_client *ipc_client_get(uint64_t cookie)
{
	bool mine = false; /* this thread has asked for it */
	uint32_t joins = 0;

	for (;;) {
		struct ipc_client *client = client_cached(cookie);
		uint32_t kick;

		if (client)
			return client;
		kick = ipc_catch_up();
		ipc_lock();
		client = client_of(cookie);
		if (!client && !mine) {
			client = client_begin(cookie);
			mine = true;
			joins = ipc->joins;
		}
		if (client && client->state == IPC_FAILED && mine &&
		    ipc->joins != joins) { /* the daemon that it asked is gone */
			client_free(client);
			mine = false;
			ipc_unlock();
			continue;
		}
		if (!client || (client->state == IPC_OPEN && client->doomed) ||
		    (client->state == IPC_FAILED && mine)) {
			if (client && client->state == IPC_FAILED)
				client_free(client);
			ipc_unlock();
			return NULL;
		}
		if (client_take(client, cookie)) {
			uint32_t index = (uint32_t) (client - ipc->clients);

			__atomic_store_n(&ipc->client_cache[place_of(cookie)],
					 index + 1, __ATOMIC_RELEASE);
			ipc_unlock();
			return client;
		}
		ipc_unlock();
		ipc_wait_for_kick(kick);
	}
}

/* ---- channels that it receives from ---- */

static struct ipc_port *port_of(uint64_t cookie)
{
	for (uint32_t i = 0; i < ipc->ports_used; i++)
		if (ipc->ports[i].used && ipc->ports[i].cookie == cookie)
			return &ipc->ports[i];
	return NULL;
}

static struct ring_server *server_ring(uint32_t number)
{
	return &ipc->servers[number].ring;
}

struct ipc_port *ipc_port_new(uint64_t cookie)
{
	struct ipc_port *port;
	uint32_t i = 0;

	/* one whose channel is gone, if nobody is left there */
	while (i < ipc->ports_used &&
	       (!ipc->ports[i].gone || shim_load_acquire(&ipc->ports[i].threads) ||
		ipc->ports[i].ring.table_used))
		i++;
	if (i == IPC_PORTS)
		return NULL;
	if (i == ipc->ports_used)
		ipc->ports_used++;
	port = &ipc->ports[i];
	memset(port, 0, sizeof(*port) - sizeof(port->table));
	port->cookie = cookie;
	shim_store_release(&port->used, 1);
	return port;
}

/* From now on messages come here.  More ports than bells share them. */
static bool port_open(struct ipc_port *port)
{
	uint32_t bell = ipc->bells_used++ % CO_RING_BELLS;
	struct wire_port_receive_req req = {
		.h.type = WIRE_port_receive_req,
		.cookie = port->cookie,
		.doorbell = bell,
	};

	if (ipc->bells_used > CO_RING_BELLS)
		ring_bell_share(ipc->page, bell);
	ipc->random = ipc->random * 6364136223846793005UL + 1442695040888963407UL;
	if (ring_port_open(&port->ring, ipc->page, bell, port->table,
			   CO_LIMIT_ANOS_CALLERS, server_ring,
			   ipc->random ^ ipc->random >> 33) != RING_OK)
		return false;
	/* those who wait already are offered before the answer comes */
	port->open = 1;
	if (ipc_request(&req, sizeof(req), -1) == 0)
		return true;
	port->open = 0;
	return false;
}

static bool port_take(struct ipc_port *port, uint64_t cookie)
{
	(void) shim_add(&port->threads, 1);
	if (shim_load_acquire(&port->used) && port->cookie == cookie &&
	    shim_load_acquire(&port->open))
		return true;
	ipc_port_put(port);
	return false;
}

void ipc_port_put(struct ipc_port *port)
{
	(void) shim_add(&port->threads, UINT32_MAX);
}

struct ipc_port *ipc_port_get(uint64_t cookie)
{
	uint32_t *cached = &ipc->port_cache[place_of(cookie)];
	uint32_t found = shim_load_acquire(cached);
	struct ipc_port *port;

	if (found && found <= IPC_PORTS && port_take(&ipc->ports[found - 1], cookie))
		return &ipc->ports[found - 1];
	ipc_lock();
	port = port_of(cookie);
	if (!port)
		port = ipc_port_new(cookie);
	if (port && !port->open && !port->gone && !port_open(port))
		port->gone = 1;
	if (port && !port_take(port, cookie))
		port = NULL;
	if (port)
		shim_store_release(cached, (uint32_t) (port - ipc->ports) + 1);
	ipc_unlock();
	return port;
}

/* ---- those who send to it ---- */

void ipc_server_gone(struct ipc_server *server)
{
	ipc_segment_free(server->own, sizeof(*server->own));
	ipc_segment_free(server->client, sizeof(*server->client));
	server->own = NULL;
	server->client = NULL;
	shim_store_release(&server->used, 0);
}

static struct ipc_server *server_new(void)
{
	uint32_t i = 0;

	while (i < ipc->servers_used && shim_load_acquire(&ipc->servers[i].used))
		i++;
	if (i == IPC_SERVERS)
		return NULL;
	if (i == ipc->servers_used)
		ipc->servers_used++;
	memset(&ipc->servers[i], 0, sizeof(ipc->servers[i]));
	ipc->servers[i].used = 1;
	return &ipc->servers[i];
}

struct ipc_server *ipc_server_of(uint64_t message)
{
	uint32_t number = ring_cookie_number(message);

	return number < IPC_SERVERS && shim_load_acquire(&ipc->servers[number].used)
		       ? &ipc->servers[number]
		       : NULL;
}

/* The connection is served by that port; *out_fd: what the sender is to map. */
static bool server_begin(struct ipc_server *server, struct ipc_port *port,
			 int32_t *out_fd)
{
	uint32_t number = (uint32_t) (server - ipc->servers);

	server->client = ipc_segment_map(ipc_take_fd(0), sizeof(*server->client));
	server->own = ipc_segment_new(sizeof(*server->own), out_fd);
	if (!server->client || !server->own)
		return false;
	ring_server_format(server->own, pid());
	server->ring.control = ipc->control;
	server->ring.capture = ipc->capture;
	server->ring.connection = server->connection;
	return ring_attach(&port->ring, &server->ring, number, server->own,
			   server->client) == RING_OK;
}

static void attach(void)
{
	const struct wire_ipc_attach_note note = ipc->buffer.attach;
	struct ipc_port *port = port_of(note.cookie);
	struct ipc_server *server =
		port && port->open && !port->gone ? server_new() : NULL;
	struct wire_ipc_accept_note accept = {
		.h = { WIRE_ipc_accept_note, sizeof(accept), 0 },
		.connection = note.connection,
	};
	int32_t fd = -1;

	if (server) {
		server->connection = note.connection;
		server->cookie = note.cookie;
		server->pid = note.pid;
	}
	if (server && server_begin(server, port, &fd)) {
		(void) ipc_say(&accept, sizeof(accept), fd);
	} else {
		if (server)
			ipc_server_gone(server);
		say_close(note.connection, CO_IPC_FULL);
	}
	ipc_close_fd(fd);
}

/* ---- the end of things ---- */

static void client_detached(struct ipc_client *client, uint32_t why)
{
	if (why != CO_IPC_DESTROYED && why != CO_IPC_REVOKED) {
		client_end(client);
		return;
	}
	/* who waits looks whether his message was taken, the last one closes */
	shim_store_release(&client->doomed, 1);
	if (shim_load_acquire(&client->ring.users.count) == 1) {
		say_close(client->connection, CO_IPC_CLOSED);
		client_end(client);
	}
}

static void detach(void)
{
	const struct wire_ipc_detach_note note = ipc->buffer.detach;

	for (uint32_t i = 0; i < ipc->clients_used; i++) {
		struct ipc_client *client = &ipc->clients[i];

		if (client->state == IPC_OPEN && client->connection == note.connection)
			client_detached(client, note.why);
	}
	for (uint32_t i = 0; i < ipc->servers_used; i++) {
		struct ipc_server *server = &ipc->servers[i];

		if (server->used && server->connection == note.connection &&
		    note.why != CO_IPC_DESTROYED && note.why != CO_IPC_REVOKED &&
		    !server->ring.users.closed && ring_detach(&server->ring))
			ipc_server_gone(server);
	}
}

void ipc_port_gone(uint64_t cookie)
{
	struct ipc_port *port = port_of(cookie);

	if (!port || port->gone)
		return;
	shim_store_release(&port->gone, 1);
	if (!port->open)
		return;
	ring_port_stop(&port->ring);
	ring_port_refuse(&port->ring);
}

void ipc_captured(void)
{
	for (uint32_t i = 0; i < ipc->servers_used; i++)
		__atomic_store_n(&ipc->servers[i].ring.capture, ipc->capture,
				 __ATOMIC_RELEASE);
}

void ipc_received(void)
{
	switch (ipc->buffer.h.type) {
	case WIRE_ipc_attach_note:
		attach();
		break;
	case WIRE_ipc_detach_note:
		detach();
		break;
	case WIRE_ipc_open_rep:
		open_answered();
		break;
	case WIRE_port_gone_note:
		ipc_port_gone(ipc->buffer.gone.cookie);
		break;
	default: /* of a later daemon, or an answer that nobody waits for */
		break;
	}
}
