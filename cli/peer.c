/* SPDX-License-Identifier: MIT */
/* A host program that others send messages to.  HOST. */
#include "cli/peer.h"

#include <co/anos.h>
#include <co/ipc.h>
#include <co/limits.h>
#include <co/ring.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/client.h"
#include "lib/cleanup.h"
#include "ring/ring.h"
#include "ring/segment.h"

enum { PORTS = 8, AGAIN_MS = 200 };

/* A connection.  Its memory is never freed, only used again: stale cookies lead here. */
struct link {
	struct ring_server ring;
	struct co_ring_server *own; /* ours, writable */
	const struct co_ring_client *theirs;
	uint64_t connection;
	int32_t pid;
	bool used;
};

struct port {
	struct peer *peer;
	struct ring_port ring;
	uint64_t cookie, secret; /* the secret is for the next daemon */
	uint32_t bell, name_flags;
	const char *name;
	peer_serve *serve;
	void *ctx;
	struct ring_server *table[CO_LIMIT_PEER_CONNECTIONS];
};

struct peer {
	struct co_client *client; /* of the thread that reads it, once that runs */
	struct co_paths paths;
	uint64_t session;
	struct co_ring_peer *page;
	int page_fd, capture_fd;
	const struct co_ring_control *control;
	struct co_ring_capture *capture; /* NULL: messages cannot be seen */
	pthread_mutex_t lock;            /* links come, go and are answered late */
	struct link *links[CO_LIMIT_PEER_CONNECTIONS];
	uint64_t tokens[CO_ANOS_CALLS];
	struct port *ports[PORTS];
	uint32_t nports;
};

static struct peer the_peer = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct ring_server *lookup(uint32_t number)
{
	return &__atomic_load_n(&the_peer.links[number], __ATOMIC_ACQUIRE)->ring;
}

/* ---- connections, under the lock ---- */

/* The last user is gone. */
static void link_release(struct link *link)
{
	if (link->own)
		(void) munmap(link->own, sizeof(*link->own)); /* our own mapping */
	if (link->theirs)
		(void) munmap((void *) link->theirs, sizeof(*link->theirs));
	link->own = NULL;
	link->theirs = NULL;
	link->used = false;
}

static struct link *link_new(struct peer *peer, uint32_t *out_number)
{
	for (uint32_t i = 0; i < CO_LIMIT_PEER_CONNECTIONS; i++) {
		struct link *link = peer->links[i];

		if (link && link->used)
			continue;
		if (!link) {
			link = calloc(1, sizeof(*link));
			if (!link)
				return NULL;
			__atomic_store_n(&peer->links[i], link, __ATOMIC_RELEASE);
		}
		memset(link, 0, sizeof(*link));
		link->used = true;
		*out_number = i;
		return link;
	}
	return NULL;
}

static struct link *link_find(struct peer *peer, uint64_t connection)
{
	for (uint32_t i = 0; i < CO_LIMIT_PEER_CONNECTIONS && peer->links[i]; i++)
		if (peer->links[i]->used && peer->links[i]->connection == connection)
			return peer->links[i];
	return NULL;
}

/* A user of a connection is done with it. */
static void link_drop(struct peer *peer, struct ring_server *server)
{
	if (!ring_put(&server->users))
		return;
	pthread_mutex_lock(&peer->lock);
	link_release(container_of(server, struct link, ring));
	pthread_mutex_unlock(&peer->lock);
}

static struct port *port_of(struct peer *peer, uint64_t cookie)
{
	for (uint32_t i = 0; i < peer->nports; i++)
		if (peer->ports[i]->cookie == cookie)
			return peer->ports[i];
	return NULL;
}

/* ---- what cloudosd says ---- */

/* 0, or why the connection cannot be. */
static int link_open(struct peer *peer, struct port *port,
		     const struct wire_ipc_attach_note *note, int client_fd,
		     int *out_fd)
{
	uint32_t number;
	struct link *link = link_new(peer, &number);

	if (!link)
		return CO_IPC_FULL;
	link->connection = note->connection;
	link->pid = note->pid;
	link->own = ring_segment_new("cloudos-server", sizeof(*link->own), out_fd);
	link->theirs = ring_segment_map(client_fd, sizeof(struct co_ring_client));
	if (link->own && link->theirs) {
		ring_server_format(link->own, (uint32_t) getpid());
		link->ring.control = peer->control;
		if (!(port->name_flags & PEER_UNSEEN))
			link->ring.capture = peer->capture;
		link->ring.connection = note->connection;
		if (ring_attach(&port->ring, &link->ring, number, link->own,
				link->theirs) == RING_OK)
			return 0;
	}
	link_release(link);
	return CO_IPC_FULL;
}

static void attached(struct peer *peer)
{
	struct co_msg *in = peer->client->in, *out = peer->client->out;
	const struct wire_ipc_attach_note *note = (const void *) in->bytes;
	struct port *port = port_of(peer, note->cookie);
	autoclose int client_fd = co_msg_take_fd(in, 0);
	autoclose int own_fd = -1;
	int why = CO_IPC_DESTROYED;

	pthread_mutex_lock(&peer->lock);
	if (port && client_fd >= 0)
		why = link_open(peer, port, note, client_fd, &own_fd);
	pthread_mutex_unlock(&peer->lock);
	if (why) {
		struct wire_ipc_close_req *req =
			co_client_request(peer->client, WIRE_ipc_close_req);

		req->connection = note->connection;
		req->why = (uint32_t) why;
		(void) co_msg_send(out, peer->client->fd, NULL, 0); /* gone is seen when
								       reading */
	} else {
		struct wire_ipc_accept_note *accept =
			co_msg_start(out, WIRE_ipc_accept_note, 0);

		accept->connection = note->connection;
		(void) co_msg_send(out, peer->client->fd, &own_fd, 1); /* likewise */
	}
}

static void detached(struct peer *peer)
{
	const struct wire_ipc_detach_note *note =
		(const void *) peer->client->in->bytes;
	struct link *link;

	if (note->why == CO_IPC_DESTROYED || note->why == CO_IPC_REVOKED)
		return; /* the client closes when it has its answers */
	pthread_mutex_lock(&peer->lock);
	link = link_find(peer, note->connection);
	if (link && link->ring.users.closed == 0 && ring_detach(&link->ring))
		link_release(link);
	pthread_mutex_unlock(&peer->lock);
}

static void listen_to(struct peer *peer)
{
	switch (peer->client->in->header->type) {
	case WIRE_ipc_attach_note:
		attached(peer);
		break;
	case WIRE_ipc_detach_note:
		detached(peer);
		break;
	default:
		break; /* the reply to a close; ports of ours that are gone */
	}
}

/* Sends what has been begun with co_client_request and waits for its reply. */
static int call(struct peer *peer, int *fd, struct co_err *err)
{
	struct co_client *c = peer->client;
	uint64_t tag = c->tag;
	uint32_t expects = c->expects;
	int rc = co_client_send(c, fd, fd ? 1 : 0, err);

	while (!rc) {
		const struct wire_hello_rep *rep = (const void *) c->in->bytes;

		rc = co_msg_receive(c->in, c->fd, err);
		if (rc == CO_INTERRUPTED) {
			rc = 0;
			continue;
		}
		if (rc)
			return co_fail(
				err, rc,
				"the daemon has closed the connection for "
				"messages; `cloudosctl daemon logs` may tell why");
		if (c->in->header->tag != tag || c->in->header->type != expects) {
			listen_to(peer);
			continue;
		}
		if (rep->r.status)
			return co_fail(err, rep->r.status, "%s",
				       co_msg_get(c->in, rep->r.reason));
		return 0;
	}
	return rc;
}

/* ---- messages ---- */

static void fill_reply(struct ring_reply *reply, uint64_t value, const uint8_t *page,
		       uint32_t size)
{
	reply->value = value;
	if (!page || !(reply->asked & CO_RING_PAYLOAD))
		return;
	if (reply->asked & CO_RING_WHOLE) {
		ring_page_answer(reply, page);
		return;
	}
	reply->size = reply->room < size ? reply->room : size;
	reply->flags = CO_RING_PAYLOAD;
	memcpy(reply->page, page, reply->size);
}

bool peer_reply(struct peer *peer, uint64_t cookie, uint64_t value, const uint8_t *page,
		uint32_t size)
{
	struct ring_server *server = lookup(ring_cookie_number(cookie));
	struct ring_reply reply;
	bool gone, begun;

	pthread_mutex_lock(&peer->lock);
	begun = ring_answer_begin(server, cookie, &reply, &gone);
	if (begun) {
		fill_reply(&reply, value, page, size);
		(void) ring_answer_end(&reply, &gone);
	}
	if (gone)
		link_release(container_of(server, struct link, ring));
	pthread_mutex_unlock(&peer->lock);
	return begun;
}

/* The sender's bytes, before it can change them once more. */
static uint8_t *page_copy(uint8_t *page, const struct ring_message *m)
{
	uint32_t n =
		m->flags & CO_RING_WHOLE || m->size > PEER_PAGE ? PEER_PAGE : m->size;

	if (!(m->flags & CO_RING_PAYLOAD) || (m->flags & CO_RING_BLOB))
		return NULL;
	memcpy(page, m->page, n);
	memset(page + n, 0, PEER_PAGE - n);
	return page;
}

static void *serve_port(void *arg)
{
	_Alignas(PEER_PAGE) uint8_t page[PEER_PAGE];
	struct port *port = arg;

	for (;;) {
		struct ring_message m;
		struct peer_message out;
		uint64_t value = 0;
		enum ring_outcome outcome =
			ring_receive(&port->ring, NULL, NULL, 0, 0, &m);

		if (outcome == RING_DEAD)
			return NULL;
		if (outcome != RING_OK)
			continue;
		out = (struct peer_message){
			.cookie = m.cookie,
			.tag = m.tag,
			.size = m.size,
			.pid = container_of(m.server, struct link, ring)->pid,
			.page = page_copy(page, &m),
		};
		link_drop(port->peer, m.server);
		if (port->serve(port->ctx, &out, &value))
			(void) peer_reply(port->peer, m.cookie, value, out.page,
					  PEER_PAGE); /* or nobody waits any more */
	}
}

/* ---- life ---- */

/* Before joining: a connection that has joined is for messages alone. */
static int tokens_get(struct peer *peer, struct co_err *err)
{
	const struct wire_token_get_rep *rep;
	int rc;

	(void) co_client_request(peer->client, WIRE_token_get_req);
	rc = co_client_call(peer->client, NULL, 0, err);
	if (rc)
		return rc;
	rep = (const void *) peer->client->in->bytes;
	if (rep->tokens.length < sizeof(peer->tokens))
		return co_fail(err, CO_PROTOCOL,
			       "the daemon knows fewer capabilities than there are");
	memcpy(peer->tokens, co_msg_get(peer->client->in, rep->tokens),
	       sizeof(peer->tokens));
	return 0;
}

const uint64_t *peer_tokens(const struct peer *peer)
{
	return peer->tokens;
}

/* Where messages are written down while somebody wants to see them. */
static void offer_capture(struct peer *peer)
{
	if (!peer->capture) {
		peer->capture = ring_segment_new(
			"cloudos-capture", sizeof(*peer->capture), &peer->capture_fd);
		if (!peer->capture)
			return;
		ring_capture_format(peer->capture, (uint32_t) getpid());
	}
	(void) co_msg_start(peer->client->out, WIRE_ipc_capture_note, 0);
	/* gone is seen when reading */
	(void) co_msg_send(peer->client->out, peer->client->fd, &peer->capture_fd, 1);
}

/* Takes part, over a connection that is new. */
static int join(struct peer *peer, struct co_err *err)
{
	struct wire_ipc_join_req *req =
		co_client_request(peer->client, WIRE_ipc_join_req);
	autoclose int control = -1;
	const void *page;
	int rc;

	req->session = peer->session;
	req->version = CO_WIRE_VERSION;
	rc = call(peer, &peer->page_fd, err);
	if (rc)
		return rc;
	control = co_msg_take_fd(peer->client->in, 0);
	page = ring_segment_map(control, sizeof(*peer->control));
	if (!page)
		return co_fail_errno(err, errno, "cannot map memory of the daemon");
	/* an earlier one stays mapped: connections look at it */
	peer->control = page;
	offer_capture(peer);
	return 0;
}

int peer_open(const struct co_paths *paths, uint64_t session, struct peer **out,
	      struct co_err *err)
{
	struct peer *peer = &the_peer;
	int rc = co_client_open(paths, "cloudos-exec", &peer->client, err);

	peer->paths = *paths;
	peer->session = session;
	if (!rc)
		rc = tokens_get(peer, err);
	if (rc)
		return rc;
	peer->page =
		ring_segment_new("cloudos-peer", sizeof(*peer->page), &peer->page_fd);
	if (!peer->page)
		return co_fail_errno(err, errno, "cannot make memory for messages");
	ring_peer_format(peer->page, (uint32_t) getpid());
	rc = join(peer, err);
	if (!rc)
		*out = peer;
	return rc;
}

/* A new port, or with a cookie the one that an earlier daemon knew. */
static int announce(struct peer *peer, struct port *port, struct co_err *err)
{
	struct wire_port_create_req *create =
		co_client_request(peer->client, WIRE_port_create_req);
	const struct wire_port_create_rep *rep;
	int rc;

	create->cookie = port->cookie;
	create->secret = port->secret;
	create->doorbell = port->bell;
	rc = call(peer, NULL, err);
	if (rc)
		return rc;
	rep = (const void *) peer->client->in->bytes;
	port->cookie = rep->cookie;
	port->secret = rep->secret;
	return 0;
}

static int publish(struct peer *peer, const struct port *port, struct co_err *err)
{
	struct wire_name_register_req *name;

	if (!port->name)
		return 0;
	name = co_client_request(peer->client, WIRE_name_register_req);
	name->cookie = port->cookie;
	name->flags = port->name_flags & ~PEER_UNSEEN;
	co_msg_text(peer->client->out, &name->name, port->name);
	return call(peer, NULL, err);
}

int peer_port(struct peer *peer, const char *name, uint32_t name_flags,
	      peer_serve *serve, void *ctx, uint64_t *out_cookie, struct co_err *err)
{
	struct port *port = peer->nports < PORTS ? calloc(1, sizeof(*port)) : NULL;
	uint64_t random;
	int rc;

	if (!port)
		return co_fail(err, CO_NO_MEMORY, "out of memory for ports");
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t) (uintptr_t) port; /* tells replies apart, no more */
	port->peer = peer;
	port->serve = serve;
	port->ctx = ctx;
	port->name = name;
	port->name_flags = name_flags;
	/* a doorbell a port: each has one thread that sleeps on it */
	port->bell = peer->nports;
	(void) ring_port_open(&port->ring, peer->page, port->bell, port->table,
			      CO_LIMIT_PEER_CONNECTIONS, lookup, random);
	peer->ports[peer->nports++] = port;
	rc = announce(peer, port, err);
	if (!rc)
		rc = publish(peer, port, err);
	*out_cookie = port->cookie;
	return rc;
}

/* ---- daemons come and go ---- */

/* From now on the new daemon tells when those who are connected end. */
static int resume(struct peer *peer, struct co_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < CO_LIMIT_PEER_CONNECTIONS && peer->links[i] && !rc;
	     i++) {
		const struct link *link = peer->links[i];
		struct wire_ipc_resume_req *req;

		if (!link->used || link->ring.users.closed)
			continue;
		req = co_client_request(peer->client, WIRE_ipc_resume_req);
		req->connection = link->connection;
		req->cookie = container_of(link->ring.port, struct port, ring)->cookie;
		req->pid = link->pid;
		req->flags = CO_IPC_RESUME_RECEIVER;
		rc = call(peer, NULL, err);
	}
	return rc;
}

static bool again(struct peer *peer)
{
	int rc = co_client_open(&peer->paths, "cloudos-exec", &peer->client, NULL);

	if (!rc)
		rc = join(peer, NULL);
	for (uint32_t i = 0; i < peer->nports && !rc; i++)
		rc = announce(peer, peer->ports[i], NULL);
	/* who finds a name, and is told of another port there, finds that, too */
	for (uint32_t i = 0; i < peer->nports && !rc; i++)
		rc = publish(peer, peer->ports[i], NULL);
	if (!rc)
		rc = resume(peer, NULL);
	if (rc)
		peer->client = co_client_close(peer->client);
	return !rc;
}

static void *read_connection(void *arg)
{
	struct peer *peer = arg;

	for (;;) {
		int rc = co_msg_receive(peer->client->in, peer->client->fd, NULL);

		if (rc == CO_INTERRUPTED)
			continue;
		if (!rc) {
			listen_to(peer);
			continue;
		}
		/* what is open stays open meanwhile */
		peer->client = co_client_close(peer->client);
		while (!again(peer))
			(void) usleep(AGAIN_MS * 1000);
	}
	return NULL;
}

static int thread_start(void *(*run)(void *), void *arg, struct co_err *err)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, run, arg);

	if (rc)
		return co_fail_errno(err, rc, "cannot start a thread");
	(void) pthread_detach(thread); /* it ends with the process */
	return 0;
}

int peer_start(struct peer *peer, struct co_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < peer->nports && !rc; i++)
		rc = thread_start(serve_port, peer->ports[i], err);
	return rc ? rc : thread_start(read_connection, peer, err);
}
