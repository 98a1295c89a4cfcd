/* SPDX-License-Identifier: MIT */
/* The control socket: connections, dispatch, and what is about the daemon itself.  HOST. */
#include "cloudosd/control.h"

#include <co/trap.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/client.h"
#include "cloudosd/core.h"
#include "cloudosd/keeper_link.h"
#include "cloudosd/notify.h"
#include "cloudosd/service/process.h"
#include "cloudosd/session.h"
#include "cloudosd/site.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/log.h"

enum { QUEUED_TOTAL_MAX = 64 << 20, ACCEPT_BATCH = 16, REQUESTS_BATCH = 16 };

struct control {
	struct daemon *daemon;
	int listen_fd, guest_fd; /* guest_fd: of containers; ours, -1: none */
	struct co_watch *watch, *guest_watch;
	struct client *clients;
	unsigned count, contained;
	uint64_t next_id;
	size_t queued; /* of all clients */
	struct co_msg *in, *out;
};

struct co_msg *control_in(struct control *c)
{
	return c->in;
}

struct co_msg *control_out(struct control *c)
{
	return c->out;
}

unsigned control_clients(const struct control *c)
{
	return c->count;
}

void control_each_client(struct control *c,
			 void (*each)(void *arg, struct client *client), void *arg)
{
	struct client *client, *next;

	DL_FOREACH_SAFE (c->clients, client, next)
		if (!client->dead)
			each(arg, client);
}

struct client *control_client(struct control *c, uint64_t id)
{
	struct client *client;

	DL_SEARCH_SCALAR(c->clients, client, id, id);
	return client;
}

/* ---- one client ---- */

static void client_free(struct client *client)
{
	struct control *c = client->control;
	const struct co_host *host = client->daemon->host;
	struct queued *q, *next;
	struct session *s;

	if (client->traced && (s = session_find(client->daemon, client->traced, NULL)))
		atomic_fetch_sub(&s->tracers, 1);
	client->watch = client->watch ? registry_unwatch(client->watch) : NULL;
	host->watch_free(client->reading);
	host->watch_free(client->writing);
	DL_FOREACH_SAFE (client->queue, q, next)
		free(q);
	c->queued -= client->queued;
	if (client->fd >= 0)
		(void) close(client->fd);
	DL_DELETE(c->clients, client);
	c->count--;
	c->contained -= client->contained;
	free(client);
}

static void bury(void *arg)
{
	struct client *client = arg;

	client_free(client);
}

/* Ends a connection; safe inside its own handlers because it is freed later. */
static void client_end(struct client *client)
{
	const struct co_host *host = client->daemon->host;

	if (client->dead)
		return;
	client->dead = true;
	host->watch_free(client->reading);
	host->watch_free(client->writing);
	client->reading = NULL;
	client->writing = NULL;
	host->post(host->ctx, bury, client);
}

int client_take_fd(struct client *client)
{
	int fd = client->fd;

	if (client->dead || client->queue)
		return -1;
	client_end(client);
	client->fd = -1;
	return fd;
}

static void client_read(void *arg);

static void client_write(void *arg)
{
	struct client *client = arg;
	const struct co_host *host = client->daemon->host;

	while (client->queue) {
		struct queued *q = client->queue;

		if (send(client->fd, q->bytes, q->size, MSG_NOSIGNAL | MSG_DONTWAIT) <
		    0) {
			if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
				client_end(client);
			return;
		}
		DL_DELETE(client->queue, q);
		client->queued -= q->size;
		client->control->queued -= q->size;
		free(q);
	}
	host->watch_free(client->writing);
	client->writing = NULL;
	/* requests are read again only when their answers are out: back-pressure */
	if (!client->reading && !client->dead)
		client->reading = host->watch_new(host->ctx, client->fd, false,
						  client_read, client);
}

static void client_enqueue(struct client *client)
{
	struct control *c = client->control;
	const struct co_host *host = client->daemon->host;
	size_t size = c->out->header->size;
	struct queued *q =
		c->queued + size <= QUEUED_TOTAL_MAX ? malloc(sizeof(*q) + size) : NULL;

	if (!q) {
		co_log(control, WARN,
		       "client %d is dropped: it does not read its answers",
		       client->pid);
		client_end(client);
		return;
	}
	q->size = size;
	memcpy(q->bytes, c->out->bytes, size);
	DL_APPEND(client->queue, q);
	client->queued += size;
	c->queued += size;
	if (!client->writing) {
		/* one descriptor is watched once */
		host->watch_free(client->reading);
		client->reading = NULL;
		client->writing = host->watch_new(host->ctx, client->fd, true,
						  client_write, client);
	}
}

void client_send(struct client *client)
{
	int r;

	if (client->dead)
		return;
	if (client->queue) {
		client_enqueue(client);
		return;
	}
	r = co_msg_send(client->control->out, client->fd, NULL, 0);
	if (r == CO_BUSY)
		client_enqueue(client);
	else if (r == CO_TOO_BIG)
		co_log(control, ERROR, "an answer of type %#x does not fit a message",
		       client->control->out->header->type);
	else if (r)
		client_end(client);
}

void client_stream(struct client *client)
{
	if (client->queued > CO_LIMIT_CLIENT_QUEUE) {
		client->lost++;
		atomic_fetch_add(&client->daemon->notes_lost, 1);
		return;
	}
	client_send(client);
}

void client_reply(struct client *client, uint32_t type, uint64_t tag, int status,
		  const char *reason)
{
	(void) co_msg_reply(client->control->out, type, tag, status, reason);
	client_send(client);
}

/* ---- requests about the daemon ---- */

static void request_hello(struct client *client)
{
	struct co_msg *in = client->control->in, *out = client->control->out;
	const struct wire_hello_req *req = (const void *) in->bytes;
	struct wire_hello_rep *rep;

	if (req->version_min > CO_WIRE_VERSION ||
	    req->version_max < CO_WIRE_VERSION_MIN) {
		char reason[160];

		(void) snprintf(
			reason, sizeof(reason),
			"cloudosd %s speaks wire versions %u to %u and the program "
			"%u to %u; restart the older one: cloudosctl daemon stop",
			PACKAGE_VERSION, CO_WIRE_VERSION_MIN, CO_WIRE_VERSION,
			req->version_min, req->version_max);
		client_reply(client, WIRE_hello_rep, in->header->tag, CO_VERSION,
			     reason);
		return;
	}
	client->greeted = true;
	rep = co_msg_reply(out, WIRE_hello_rep, in->header->tag, 0, NULL);
	rep->version =
		req->version_max < CO_WIRE_VERSION ? req->version_max : CO_WIRE_VERSION;
	rep->daemon_pid = getpid();
	rep->domain = client->daemon->services.domain;
	co_msg_text(out, &rep->release, PACKAGE_VERSION);
	co_msg_text(out, &rep->folder,
		    client->contained ? CO_CONTAINED_FOLDER
				      : client->daemon->paths.run);
	client_send(client);
}

static void request_status(struct client *client)
{
	struct daemon *d = client->daemon;
	struct co_msg *out = client->control->out;
	struct wire_status_rep *rep = co_msg_reply(
		out, WIRE_status_rep, client->control->in->header->tag, 0, NULL);
	struct store_status store;

	store_status(d->store, &store);
	rep->pid = getpid();
	rep->keeper_pid = d->table->keeper_pid;
	rep->uptime_ms = d->host->now_ms(d->host->ctx) - d->started_ms;
	rep->domain = d->services.domain;
	co_msg_text(out, &rep->folder, d->paths.run);
	co_msg_text(out, &rep->release, PACKAGE_VERSION);
	rep->ephemeral = d->ephemeral;
	rep->sessions = HASH_COUNT(d->sessions);
	rep->services = (uint32_t) registry_count(d->services.registry, NULL);
	rep->clients = client->control->count;
	rep->calls = atomic_load(&d->calls);
	rep->calls_failed = atomic_load(&d->calls_failed);
	notify_numbers(d->notify, &rep->calls_pending, &rep->threads);
	rep->notes_lost = atomic_load(&d->notes_lost);
	rep->store_revision = store.revision;
	rep->restarts = d->table->restarts;
	client_send(client);
}

static void request_stop(struct client *client)
{
	struct daemon *d = client->daemon;
	const struct wire_stop_req *req = (const void *) client->control->in->bytes;
	/* also those of which it is not known yet whether they have left somebody behind */
	unsigned sessions = HASH_COUNT(d->sessions);
	uint64_t tag = req->h.tag;

	if (sessions && !req->force) {
		char reason[160];

		(void) snprintf(
			reason, sizeof(reason),
			"%u program%s still run%s under this daemon (cloudosctl ps); "
			"with --force their CloudOS calls wait until it is started "
			"again",
			sessions, sessions == 1 ? "" : "s", sessions == 1 ? "s" : "");
		client_reply(client, WIRE_stop_rep, tag, CO_BUSY, reason);
		return;
	}
	client_reply(client, WIRE_stop_rep, tag, 0, NULL);
	co_log(control, INFO, "stopping: process %d asked for it", client->pid);
	daemon_stop(d);
}

static void request_reload(struct client *client)
{
	struct co_err err = { 0 };
	uint64_t tag = client->control->in->header->tag;
	int r = daemon_reload(client->daemon, &err);

	client_reply(client, WIRE_reload_rep, tag, r, err.message);
}

/* ---- dispatch ---- */

/* clang-format off */
#define MSG(id, name, req, rep) [id] = request_##name,
#define ROW(id, name, fields)
#define NOTE(id, name, fields)
#define request_memory_read NULL    /* these go over the session channel only */
#define request_memory_write NULL
#define request_descriptor_get NULL
#define request_port_create NULL /* and these behind ipc_join */
#define request_port_destroy NULL
#define request_port_receive NULL
#define request_name_register NULL
#define request_name_remove NULL
#define request_name_find NULL
#define request_ipc_open NULL
#define request_ipc_close NULL
#define request_ipc_blob NULL
#define request_ipc_resume NULL
static client_request *const requests[] = {
#include <co/wire.def>
};
#undef MSG
#undef ROW
#undef NOTE
/* clang-format on */

/* What a program in a container may ask for: to begin, and to take part in what began
 * there.  It is told nothing about anybody else; the tokens of SYSTEM's services are those
 * that every program of Anos has. */
static bool is_for_contained(uint32_t id)
{
	return id == WIRE_hello_id || id == WIRE_attach_id || id == WIRE_join_id ||
	       id == WIRE_ipc_join_id || id == WIRE_token_get_id;
}

static void request(struct client *client)
{
	const struct wire_header *h = client->control->in->header;
	uint32_t id = h->type & 0xffffff;
	client_request *handler = NULL;

	if (h->type == WIRE_site_wanted_note) {
		if (!client->contained) /* their queue is short */
			sites_wanted(client->daemon->sites,
				     co_msg_take_fd(client->control->in, 0));
		return;
	}
	if (h->type >> 24 == WIRE_REQUEST && id < co_countof(requests))
		handler = requests[id];
	if (!handler || !h->tag ||
	    (!client->greeted && id != WIRE_hello_id && id != WIRE_join_id &&
	     id != WIRE_ipc_join_id)) {
		co_log(control, WARN, "client %d is dropped: %s", client->pid,
		       handler ? "it did not begin with hello"
			       : "it sent something that is no request");
		client_end(client);
		return;
	}
	/* its number says where it lives; whoever has it later may live elsewhere */
	if (client->contained && client->control->in->sender != client->pid) {
		co_log(control, WARN,
		       "client %d is dropped: another process uses its connection",
		       client->pid);
		client_end(client);
		return;
	}
	if (client->contained && !is_for_contained(id)) {
		co_log(control, WARN,
		       "client %d is dropped: programs in containers may not ask that",
		       client->pid);
		client_end(client);
		return;
	}
	(void) co_fault("control.received");
	handler(client);
	(void) co_fault("control.replied");
}

static void client_read(void *arg)
{
	struct client *client = arg;
	struct control *c = client->control;

	for (int i = 0; i < REQUESTS_BATCH && client->reading; i++) {
		struct co_err err = { 0 };
		int r = co_msg_receive(c->in, client->fd, &err);

		if (r == CO_BUSY || r == CO_INTERRUPTED)
			return;
		if (r) {
			if (r != CO_GONE)
				co_log(control, WARN, "client %d is dropped: %s",
				       client->pid, err.message);
			client_end(client);
			return;
		}
		request(client);
	}
}

/* ---- connections ---- */

static bool welcome(int fd, bool contained, struct ucred *out)
{
	socklen_t size = sizeof(*out);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out, &size) < 0)
		return false;
	/* in a name space that our user has made, he goes by other numbers */
	if (contained && process_user(out->pid, &out->uid))
		return false;
	return out->uid == getuid() || out->uid == 0;
}

/* Where a contained client lives, as a number; 0: that cannot be told. */
static uint64_t place_of(pid_t pid)
{
	struct stat st;
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) < 0 ? 0 : (uint64_t) st.st_ino;
}

/* One container leaves half of the room to others. */
static bool has_its_share(const struct control *c, uint64_t place)
{
	const struct client *client;
	unsigned n = 0;

	DL_FOREACH (c->clients, client)
		n += client->contained && !client->dead && client->place == place;
	return n >= CO_LIMIT_CONTAINED_CLIENTS / 2;
}

/* Room for one more: the oldest of its kind that has not even said hello makes it. */
static bool make_room(struct control *c, bool contained)
{
	struct client *client;

	if (contained ? c->contained < CO_LIMIT_CONTAINED_CLIENTS
		      : c->count - c->contained < CO_LIMIT_CLIENTS)
		return true;
	DL_FOREACH (c->clients, client)
		if (!client->greeted && !client->dead && client->contained == contained)
			break;
	if (!client)
		return false;
	co_log(control, WARN, "client %d is dropped: it says nothing, and others wait",
	       client->pid);
	client_end(client);
	return true;
}

static void client_new(struct control *c, int fd, bool contained)
{
	const struct co_host *host = c->daemon->host;
	struct ucred peer = { 0 };
	struct client *client = NULL;

	if (!welcome(fd, contained, &peer))
		co_log(control, WARN, "user %u is refused: this daemon serves user %u",
		       peer.uid, getuid());
	else if (contained && has_its_share(c, place_of(peer.pid)))
		co_log(control, WARN,
		       "client %d is refused: %d are connected out of its container",
		       peer.pid, CO_LIMIT_CONTAINED_CLIENTS / 2);
	else if (!make_room(c, contained))
		co_log(control, WARN,
		       "client %d is refused: %u are connected, the limit", peer.pid,
		       c->count);
	else
		client = calloc(1, sizeof(*client));
	if (client)
		client->reading =
			host->watch_new(host->ctx, fd, false, client_read, client);
	if (!client || !client->reading) {
		free(client);
		(void) close(fd);
		return;
	}
	client->control = c;
	client->daemon = c->daemon;
	client->id = c->next_id++;
	client->fd = fd;
	client->pid = peer.pid;
	client->contained = contained;
	client->place = contained ? place_of(peer.pid) : 0;
	DL_APPEND(c->clients, client);
	c->count++;
	c->contained += contained;
}

static void accept_from(struct control *c, int listen_fd, bool contained)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				co_log(control, ERROR,
				       "a client waits: no descriptor is free");
			return;
		}
		client_new(c, fd, contained);
	}
}

static void accept_ready(void *arg)
{
	struct control *c = arg;

	accept_from(c, c->listen_fd, false);
}

static void accept_contained(void *arg)
{
	struct control *c = arg;

	accept_from(c, c->guest_fd, true);
}

void control_listen_contained(struct control *c, int fd)
{
	const struct co_host *host = c->daemon->host;

	c->guest_fd = fd;
	c->guest_watch = host->watch_new(host->ctx, fd, false, accept_contained, c);
}

bool same_pids(pid_t a, pid_t b)
{
	struct stat one, other;
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", a);
	if (stat(path, &one) < 0)
		return false;
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", b);
	return stat(path, &other) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

static bool began_when_it_did(const struct table_session *row)
{
	struct process_id now;

	return row->guest_start && process_read(row->pid, &now, NULL) == 0 &&
	       now.start_time == row->guest_start;
}

bool client_may_join(const struct client *client, uint64_t session)
{
	const struct session *s;

	if (!client->contained)
		return true;
	s = session ? session_find(client->daemon, session, NULL) : NULL;
	/* numbers of those who have ended may be anybody's */
	return s && ((!s->launcher_gone &&
		      same_pids(client->pid, session_row(s)->launcher_pid)) ||
		     (began_when_it_did(session_row(s)) &&
		      same_pids(client->pid, session_row(s)->pid)));
}

void control_trace(struct control *c, struct co_call *call, int64_t raw,
		   uint64_t took_ns, const char *line)
{
	struct client *client;
	uint64_t session = call_session(call);

	DL_FOREACH (c->clients, client) {
		struct wire_trace_call_row *row;

		if (client->traced != session || client->dead)
			continue;
		row = co_msg_start(c->out, WIRE_trace_call_row, client->stream_tag);
		row->session = session;
		row->tid = call_tid(call);
		row->number = (int32_t) call_op(call)->number;
		row->result = raw;
		row->at_us = c->daemon->host->wall_ns(c->daemon->host->ctx) / 1000;
		row->took_ns = took_ns;
		co_msg_text(c->out, &row->line, line);
		client_stream(client);
	}
}

void control_session_end(struct control *c, uint64_t session)
{
	struct client *client;

	DL_FOREACH (c->clients, client) {
		if (client->traced != session || client->dead)
			continue;
		client->traced = 0;
		client_reply(client, WIRE_trace_rep, client->stream_tag, 0, NULL);
	}
}

int control_new(struct control **out, struct daemon *d, int listen_fd,
		struct co_err *err)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c) {
		c->daemon = d;
		c->listen_fd = listen_fd;
		c->guest_fd = -1;
		c->next_id = 1;
		c->in = co_msg_new();
		c->out = co_msg_new();
	}
	if (c && c->in && c->out)
		c->watch = d->host->watch_new(d->host->ctx, listen_fd, false,
					      accept_ready, c);
	if (!c || !c->watch) {
		(void) control_free(c);
		return co_fail(err, CO_NO_MEMORY,
			       "cannot listen to the control socket");
	}
	*out = c;
	return 0;
}

struct control *control_free(struct control *c)
{
	if (!c)
		return NULL;
	while (c->clients) {
		/* what is dead already has its funeral posted and is not run any more */
		client_free(c->clients);
	}
	if (c->watch)
		c->daemon->host->watch_free(c->watch);
	if (c->guest_watch)
		c->daemon->host->watch_free(c->guest_watch);
	if (c->guest_fd >= 0)
		(void) close(c->guest_fd); /* the keeper has another */
	(void) co_msg_free(c->in);
	(void) co_msg_free(c->out);
	free(c);
	return NULL;
}
