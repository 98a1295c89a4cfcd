/* SPDX-License-Identifier: MIT */
/*
 * What peers ask for, and what they are told.  HOST.  lib/wire has checked the form of
 * each message; numbers, descriptors and texts in it are as hostile as ever.
 */
#include <co/limits.h>
#include <fcntl.h>
#include <unistd.h>

#include "cloudosd/service/bridge.h"
#include "cloudosd/peer_inside.h"
#include "cloudosd/service/process.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* ---- what peers are told ---- */

/* A process as that peer calls it; 0: it cannot see it. */
static int32_t pid_for(const struct peer *p, int32_t pid)
{
	uint32_t there = 0;

	if (!p->nested)
		return pid;
	return process_pid_seen_by(pid, p->pid, &there) == 0 ? (int32_t) there : 0;
}

static void offered(void *ctx, struct ipc_connection *c)
{
	struct peers *all = ctx;
	struct peer *p = c->server->ctx;
	struct wire_ipc_attach_note *note =
		co_msg_start(all->out, WIRE_ipc_attach_note, 0);

	note->connection = c->id;
	note->cookie = c->cookie;
	note->session = c->client->session;
	note->pid = pid_for(p, c->client->pid);
	note->uid = c->client->uid;
	peer_send(p, &c->client_fd, 1);
	peer_kick(p, 1ULL << c->doorbell);
}

static void opened(void *ctx, struct ipc_connection *c)
{
	struct peers *all = ctx;
	struct peer *p = c->client->ctx;
	const struct peer *server = c->server->ctx;
	const int fds[2] = { c->server_fd, server->page_fd };
	struct wire_ipc_open_rep *rep =
		co_msg_reply(all->out, WIRE_ipc_open_rep, c->tag, 0, NULL);

	rep->connection = c->id;
	rep->cookie = c->cookie;
	rep->doorbell = c->doorbell;
	rep->pid = pid_for(p, c->server->pid);
	peer_send(p, fds, 2);
	peer_kick(p, 0);
	peers_look(all);
}

static void refused(void *ctx, struct ipc_peer *client, uint64_t tag, int status,
		    const char *reason)
{
	struct peer *p = client->ctx;

	(void) ctx;
	peer_reply(p, WIRE_ipc_open_rep, tag, status, reason);
	peer_kick(p, 0);
}

static void detached(void *ctx, struct ipc_peer *whom, uint64_t connection,
		     enum co_ipc_why why)
{
	struct peers *all = ctx;
	struct wire_ipc_detach_note *note =
		co_msg_start(all->out, WIRE_ipc_detach_note, 0);

	note->connection = connection;
	note->why = why;
	peer_send(whom->ctx, NULL, 0);
	peer_kick(whom->ctx, UINT64_MAX);
}

static void port_gone(void *ctx, struct ipc_peer *whom, uint64_t cookie,
		      enum co_ipc_why why)
{
	struct peers *all = ctx;
	struct wire_port_gone_note *note =
		co_msg_start(all->out, WIRE_port_gone_note, 0);

	note->cookie = cookie;
	note->why = why;
	peer_send(whom->ctx, NULL, 0);
	peer_kick(whom->ctx, UINT64_MAX);
}

/* Peers keep what they have found for as long as this stays the same. */
static void names_changed(void *ctx)
{
	struct peers *all = ctx;
	struct peer *p;

	all->names += 2; /* odd, so never 0 */
	for (p = all->all; p; p = p->next)
		if (p->control)
			__atomic_store_n(&p->control->names, all->names,
					 __ATOMIC_RELEASE);
}

static void audit(void *ctx, const struct ipc_peer *peer, uint64_t guesses)
{
	(void) ctx;
	co_log_session(ipc, WARN, peer->session, peer->pid,
		       "process %d has named %llu ports that do not exist", peer->pid,
		       (unsigned long long) guesses);
}

const struct ipc_events peer_events = { .offered = offered,
					.opened = opened,
					.refused = refused,
					.detached = detached,
					.port_gone = port_gone,
					.names_changed = names_changed,
					.audit = audit };

/* ---- ports and names ---- */

static void port_create(struct peer *p, const void *message)
{
	const struct wire_port_create_req *req = message;
	struct wire_port_create_rep *rep;
	uint64_t tag = req->h.tag;
	uint32_t doorbell = req->doorbell;
	struct co_err err = { 0 };
	struct ipc_port *port;
	int r = doorbell != CO_IPC_NO_DOORBELL && !p->page
			? co_fail(&err, CO_INVALID,
				  "a peer that has not given a page of doorbells "
				  "cannot receive")
			: ipc_port_create(p->ipc, req->cookie, req->secret, doorbell,
					  req->flags, &port, &err);

	if (r) {
		peer_reply(p, WIRE_port_create_rep, tag, r, err.message);
		return;
	}
	if (doorbell != CO_IPC_NO_DOORBELL)
		p->bells |= 1ULL << doorbell;
	rep = co_msg_reply(p->peers->out, WIRE_port_create_rep, tag, 0, NULL);
	rep->cookie = port->cookie;
	rep->secret = ipc_port_secret(port);
	peer_send(p, NULL, 0);
}

static void port_destroy(struct peer *p, const void *message)
{
	const struct wire_port_destroy_req *req = message;
	uint64_t tag = req->h.tag;
	struct co_err err = { 0 };
	int r = ipc_port_destroy(p->ipc, req->cookie, &err);

	peer_reply(p, WIRE_port_destroy_rep, tag, r, err.message);
}

static void port_receive(struct peer *p, const void *message)
{
	const struct wire_port_receive_req *req = message;
	uint64_t tag = req->h.tag;
	struct co_err err = { 0 };
	int r;

	if (!p->page) {
		r = co_fail(&err, CO_INVALID,
			    "a peer that has not given a page of doorbells cannot "
			    "receive");
	} else {
		/* at once: connections that wait are offered before it returns */
		if (req->doorbell < CO_RING_BELLS)
			p->bells |= 1ULL << req->doorbell;
		r = ipc_port_receive(p->ipc, req->cookie, req->doorbell, req->flags,
				     &err);
	}
	peer_reply(p, WIRE_port_receive_rep, tag, r, err.message);
}

static void name_register(struct peer *p, const void *message)
{
	const struct wire_name_register_req *req = message;
	struct co_err err = { 0 };
	int r = ipc_name_register(p->ipc, req->cookie, req->flags,
				  co_msg_get(p->peers->in, req->name), &err);

	peer_reply(p, WIRE_name_register_rep, req->h.tag, r, err.message);
}

static void name_remove(struct peer *p, const void *message)
{
	const struct wire_name_remove_req *req = message;
	struct co_err err = { 0 };
	int r = ipc_name_remove(p->ipc, co_msg_get(p->peers->in, req->name), &err);

	peer_reply(p, WIRE_name_remove_rep, req->h.tag, r, err.message);
}

/* A service of programs that have no ports gets one when somebody looks for it. */
static struct ipc_port *find(struct peer *p, const char *name)
{
	struct ipc_port *port = ipc_name_find(p->ipc, name);

	return port ? port
		    : bridge_find_service(p->peers->daemon->bridge, p->ipc, name);
}

static void name_find(struct peer *p, const void *message)
{
	const struct wire_name_find_req *req = message;
	const struct ipc_port *port = find(p, co_msg_get(p->peers->in, req->name));
	struct wire_name_find_rep *rep =
		co_msg_reply(p->peers->out, WIRE_name_find_rep, req->h.tag, 0, NULL);

	rep->cookie = port ? port->cookie : 0;
	peer_send(p, NULL, 0);
}

/* ---- connections ---- */

/* The process that the caller means, as this program calls it. */
static int open_pid(struct peer *p, const struct wire_ipc_open_req *req, int32_t *out,
		    struct co_err *err)
{
	const char *name = co_msg_get(p->peers->in, req->name);
	const struct service_instance *found;

	if (req->flags & ~(CO_IPC_OPEN_SERVICE | CO_IPC_OPEN_MESSAGES) ||
	    req->flags == (CO_IPC_OPEN_SERVICE | CO_IPC_OPEN_MESSAGES))
		return co_fail(err, CO_INVALID, "there is no such kind of open");
	if (req->flags & CO_IPC_OPEN_SERVICE) {
		if (!registry_discover(p->peers->daemon->services.registry, name,
				       &found, 1) ||
		    !found->owner.pid)
			return co_fail(err, CO_NOT_FOUND,
				       "no process offers the service \"%.64s\"", name);
		*out = found->owner.pid;
		return 0;
	}
	*out = req->pid ? req->pid : p->pid;
	if (req->pid && p->nested && !req->cookie && !*name &&
	    process_pid_from(p->pid, req->pid, out))
		return co_fail(err, CO_NOT_FOUND, "there is no process %d", req->pid);
	return 0;
}

static void open_request(struct peer *p, const void *message)
{
	const struct wire_ipc_open_req *req = message;
	struct ipc_open_spec spec = { .cookie = req->cookie,
				      .tag = req->h.tag,
				      .limit_ms = req->timeout_ms,
				      .fd = -1 };
	autoclose int fd = co_msg_take_fd(p->peers->in, 0);
	struct co_err err = { 0 };
	int r = peer_check_segment(fd, sizeof(struct co_ring_client), CO_RING_SEALS,
				   NULL, &err);

	if (!r)
		r = open_pid(p, req, &spec.pid, &err);
	if (!r) {
		spec.messages = req->flags & CO_IPC_OPEN_MESSAGES;
		spec.name = req->flags & CO_IPC_OPEN_SERVICE
				    ? NULL
				    : co_msg_get(p->peers->in, req->name);
		if (!spec.cookie && spec.name && *spec.name)
			(void) find(p, spec.name); /* ipc_open finds it, or not */
		spec.fd = take_fd(fd);
		r = ipc_open(p->ipc, &spec, &err);
	}
	if (r)
		refused(p->peers, p->ipc, spec.tag, r, err.message);
}

static void close_request(struct peer *p, const void *message)
{
	const struct wire_ipc_close_req *req = message;
	uint64_t tag = req->h.tag;
	struct co_err err = { 0 };
	int r = ipc_close(p->ipc, req->connection, (enum co_ipc_why) req->why, &err);

	peer_reply(p, WIRE_ipc_close_rep, tag, r, err.message);
}

static void resume_request(struct peer *p, const void *message)
{
	const struct wire_ipc_resume_req *req = message;
	uint64_t tag = req->h.tag;
	int32_t other = req->pid;
	struct co_err err = { 0 };
	int r = 0;

	if (req->flags & ~CO_IPC_RESUME_RECEIVER || !req->connection || other <= 0)
		r = co_fail(&err, CO_INVALID, "there is no such side of a connection");
	else if (p->nested && process_pid_from(p->pid, req->pid, &other))
		r = co_fail(&err, CO_NOT_FOUND, "there is no process %d", req->pid);
	if (!r)
		r = ipc_resume(p->ipc, req->connection, req->cookie, other,
			       req->flags & CO_IPC_RESUME_RECEIVER, &err);
	peer_reply(p, WIRE_ipc_resume_rep, tag, r, err.message);
}

static void accept_note(struct peer *p, const void *message)
{
	const struct wire_ipc_accept_note *note = message;
	autoclose int fd = co_msg_take_fd(p->peers->in, 0);
	uint64_t connection = note->connection;
	struct co_err err = { 0 };

	if (peer_check_segment(fd, sizeof(struct co_ring_server), CO_RING_SEALS, NULL,
			       &err) == 0) {
		ipc_accept(p->ipc, connection, take_fd(fd));
		return;
	}
	co_log(ipc, WARN, "process %d cannot accept a connection: %s", p->pid,
	       err.message);
	/* one that it was not offered is not its to close */
	if (ipc_connection_of(p->ipc, connection) &&
	    ipc_connection_of(p->ipc, connection)->server == p->ipc)
		(void) ipc_close(p->ipc, connection, CO_IPC_CLOSED, NULL);
}

static void cancel_note(struct peer *p, const void *message)
{
	const struct wire_ipc_cancel_note *note = message;

	ipc_cancel(p->ipc, note->open_tag);
}

static void holds_note(struct peer *p, const void *message)
{
	const struct wire_ipc_holds_note *note = message;

	p->ipc->holds = note->calls;
}

static void capture_note(struct peer *p, const void *message)
{
	(void) message;
	peer_capture(p, co_msg_take_fd(p->peers->in, 0));
}

/* A payload that does not fit the segments: passed on as it is, sealed. */
static void blob_request(struct peer *p, const void *message)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	const struct wire_ipc_blob_req *req = message;
	struct wire_ipc_blob_came_note note = { .connection = req->connection,
						.blob = req->blob };
	autoclose int fd = co_msg_take_fd(p->peers->in, 0);
	struct ipc_connection *c = ipc_connection_of(p->ipc, req->connection);
	uint64_t tag = req->h.tag;
	struct co_err err = { 0 };
	struct peer *to = NULL;
	int r;

	if (c && c->state == IPC_OPEN)
		to = (c->client == p->ipc ? c->server : c->client)->ctx;
	r = to ? peer_check_segment(fd, 0, seals, &note.size, &err)
	       : co_fail(&err, CO_NOT_FOUND, "there is no such connection");
	if (!r && note.size > CO_LIMIT_IPC_BLOB)
		r = co_fail(&err, CO_TOO_BIG, "a payload has at most %d bytes",
			    CO_LIMIT_IPC_BLOB);
	if (!r && to->queue) /* the sender waits, not the daemon's memory */
		r = co_fail(&err, CO_BUSY, "the other side does not read; try again");
	if (!r) {
		struct wire_ipc_blob_came_note *out =
			co_msg_start(p->peers->out, WIRE_ipc_blob_came_note, 0);

		out->connection = note.connection;
		out->blob = note.blob;
		out->size = note.size;
		peer_send(to, &fd, 1);
		peer_kick(to, 0);
	}
	peer_reply(p, WIRE_ipc_blob_rep, tag, r, err.message);
}

/* ---- dispatch ---- */

int peer_request(struct peer *p, struct co_err *err)
{
	static const struct {
		uint32_t type;
		void (*run)(struct peer *p, const void *message);
	} all[] = {
		{ WIRE_port_create_req, port_create },
		{ WIRE_port_destroy_req, port_destroy },
		{ WIRE_port_receive_req, port_receive },
		{ WIRE_name_register_req, name_register },
		{ WIRE_name_remove_req, name_remove },
		{ WIRE_name_find_req, name_find },
		{ WIRE_ipc_open_req, open_request },
		{ WIRE_ipc_close_req, close_request },
		{ WIRE_ipc_resume_req, resume_request },
		{ WIRE_ipc_accept_note, accept_note },
		{ WIRE_ipc_cancel_note, cancel_note },
		{ WIRE_ipc_holds_note, holds_note },
		{ WIRE_ipc_capture_note, capture_note },
		{ WIRE_ipc_blob_req, blob_request },
	};
	const struct wire_header *h = p->peers->in->header;

	for (size_t i = 0; i < co_countof(all); i++) {
		if (all[i].type != h->type)
			continue;
		if (h->type >> 24 == WIRE_REQUEST && !h->tag)
			break;
		all[i].run(p, h);
		return 0;
	}
	return co_fail(err, CO_PROTOCOL, "message %#x is not for us", h->type);
}
