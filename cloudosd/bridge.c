/* SPDX-License-Identifier: MIT */
/* The bridge between messages and ports: who is asked, and in whose name.  HOST. */
#include "cloudosd/service/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/bridge_inside.h"
#include "cloudosd/core.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* The value of an answer that came as a message: what Anos takes for success, and how many
 * bytes of the page it has.  A failure is 0 there. */
#define ANSWERED (1ULL << 32)

static struct message_call own_call(struct bridge *b)
{
	return (struct message_call){ .call = ++b->calls, .slot = MESSAGE_DAEMON };
}

static struct messages *messages_of(const struct bridge *b)
{
	return b->daemon->services.messages;
}

static struct ipc *ipc_of(const struct bridge *b)
{
	return peers_ipc(b->daemon->peers);
}

/* ---- the peer ---- */

static int join(struct bridge *b, int ends[2], int *out_control, struct co_err *err)
{
	struct ipc_peer_spec spec = { .pid = getpid(), .uid = geteuid() };
	int on = 1, page_fd = fcntl(b->page_fd, F_DUPFD_CLOEXEC, 0), fd = ends[0];

	if (page_fd < 0)
		return co_fail(err, CO_NO_FDS, "the daemon has no descriptor left");
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
		(void) close(page_fd); /* a memory file */
		return co_fail_errno(err, errno, "cannot set up a connection");
	}
	ends[0] = -1;
	return peer_join(b->daemon->peers, &spec, fd, page_fd, &b->peer, out_control,
			 err);
}

static int begin(struct bridge *b, struct co_err *err)
{
	int ends[2] = { -1, -1 };
	autoclose int control = -1;
	int r = bridge_ring_prepare(b, err);

	if (!r && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			     ends) < 0)
		r = co_fail_errno(err, errno, "cannot make a connection");
	if (!r)
		r = join(b, ends, &control, err);
	if (!r) {
		b->peer->ipc->inside = true;
		r = bridge_ring_start(b, take_fd(ends[1]), control, err);
	}
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			(void) close(ends[i]); /* nothing was said */
	return r;
}

/* The first who needs it starts it. */
static bool ready(struct bridge *b)
{
	struct co_err err = { 0 };

	if (b->peer || b->failed)
		return !b->failed && !b->peer->gone;
	if (begin(b, &err) == 0)
		return true;
	b->failed = true;
	co_log(ipc, ERROR, "programs of different systems cannot call each other: %s",
	       err.message);
	return false;
}

unsigned bridge_peers(const struct bridge *b)
{
	return b && b->peer && !b->peer->gone;
}

/* ---- boxes that are emptied ---- */

static void agent_listen(struct bridge_agent *agent);

static void agent_free(struct bridge_agent *agent)
{
	static const char lost[] = "cloudosd has no memory left for the answer";
	struct bridge_asked *asked, *next;

	if (!agent->gone)
		HASH_DEL(agent->bridge->agents, agent);
	agent->gone = true;
	DL_FOREACH_SAFE (agent->asked, asked, next) {
		bridge_answer(agent->bridge, asked->message, 0, lost, sizeof(lost));
		free(asked);
	}
	agent->asked = NULL;
	if (!agent->posted)
		free(agent);
}

static void job_queue(struct bridge *b, struct bridge_job *job)
{
	pthread_mutex_lock(&b->lock);
	DL_APPEND(b->queue, job);
	pthread_mutex_unlock(&b->lock);
	peer_kick(b->peer, 1);
}

/* Somebody has sent it to the program's port. */
static void got_sent(struct bridge_agent *agent, const struct message_got *got)
{
	struct bridge *b = agent->bridge;
	struct bridge_job *job = calloc(1, sizeof(*job));
	struct ipc_port *port = NULL;

	if (!job) {
		co_log(ipc, ERROR, "no memory for a message to process %d",
		       agent->process.pid);
		return; /* the sender is told when one of the two ends */
	}
	if (bridge_is_port(got->addressed))
		port = ipc_port_by_number(ipc_of(b), got->addressed - IPC_PORT_PID);
	job->from = got->from;
	job->to = agent->process;
	job->cookie = port && got->size <= CO_RING_PAGE ? port->cookie : 0;
	job->id = got->id;
	job->port = got->addressed;
	job->size = job->cookie ? got->size : 0;
	job->request = got->kind == MESSAGE_REQUEST;
	if (job->size)
		memcpy(job->page, got->bytes, job->size);
	DL_APPEND2(b->all, job, all_prev, all_next);
	job_queue(b, job);
}

/* The answer of a service that it has asked. */
static void got_answer(struct bridge_agent *agent, const struct message_got *got)
{
	static const char too_big[] = "the answer is longer than a page";
	struct bridge_asked *asked;
	uint64_t value = got->kind == MESSAGE_RESPONSE ? ANSWERED | got->size : 0;

	DL_FOREACH (agent->asked, asked)
		if (asked->id == got->id && process_same(&asked->server, &got->from))
			break;
	if (!asked)
		return; /* of an earlier daemon's time */
	if (got->kind == MESSAGE_RESPONSE && got->size > CO_RING_PAGE)
		bridge_answer(agent->bridge, asked->message, 0, too_big,
			      sizeof(too_big));
	else
		bridge_answer(agent->bridge, asked->message, value, got->bytes,
			      got->size < CO_RING_PAGE ? got->size : CO_RING_PAGE);
	DL_DELETE(agent->asked, asked);
	free(asked);
}

static void agent_take(struct bridge_agent *agent, struct message_got *got)
{
	if (got->kind == MESSAGE_REQUEST || got->kind == MESSAGE_NOTIFICATION)
		got_sent(agent, got);
	else
		got_answer(agent, got);
	free(got->bytes);
}

static void again(void *arg)
{
	struct bridge_agent *agent = arg;

	agent->posted = false;
	if (agent->gone)
		free(agent);
	else
		agent_listen(agent);
}

/* Runs inside what the sender does: no function of message.h here. */
static void agent_got(void *arg, int status, const struct message_got *got,
		      const char *reason)
{
	const struct co_host *host;
	struct bridge_agent *agent = arg;

	(void) reason;
	agent->wait = NULL;
	if (status == CO_GONE) {
		agent_free(agent);
		return;
	}
	if (!status) {
		struct message_got mine = *got;

		agent_take(agent, &mine);
	}
	host = agent->bridge->daemon->host;
	agent->posted = true;
	host->post(host->ctx, again, agent);
}

/* Takes what is there and waits for more; the agent may be gone afterwards. */
static void agent_listen(struct bridge_agent *agent)
{
	struct bridge *b = agent->bridge;
	struct message_party party = { .process = agent->process };
	struct message_room room = { .data = CO_LIMIT_MESSAGE_BYTES,
				     .pid = (uint32_t) agent->process.pid };
	int r = 0;

	while (r == 0 && !agent->wait) {
		struct message_call call = own_call(b);
		struct message_got got = { 0 };
		struct co_err err = { 0 };

		r = messages_receive(messages_of(b), &party, &room, &call, false, &got,
				     &agent->wait, agent_got, agent, &err);
		if (r == 0)
			agent_take(agent, &got);
	}
	if (r < 0)
		agent_free(agent); /* it has ended, or has another when it is needed */
}

static struct bridge_agent *agent_find(struct bridge *b, const struct process_id *id)
{
	const uint64_t key[3] = { (uint64_t) id->pid, id->start_time, id->boot };
	struct bridge_agent *agent;

	HASH_FIND(hh, b->agents, key, sizeof(key), agent);
	return agent;
}

static struct bridge_agent *agent_get(struct bridge *b, const struct process_id *id)
{
	struct bridge_agent *agent = agent_find(b, id);

	if (agent)
		return agent;
	agent = calloc(1, sizeof(*agent));
	if (!agent)
		return NULL;
	agent->bridge = b;
	agent->process = *id;
	agent->key[0] = (uint64_t) id->pid;
	agent->key[1] = id->start_time;
	agent->key[2] = id->boot;
	HASH_ADD(hh, b->agents, key, sizeof(agent->key), agent);
	agent_listen(agent);
	return agent_find(b, id);
}

/* ---- for programs without a ring ---- */

bool bridge_is_port(uint32_t pid)
{
	return pid > IPC_PORT_PID && pid < BRIDGE_OWN_PID;
}

uint32_t bridge_find_port(struct bridge *b, uint64_t session, uint32_t uid,
			  const char *name)
{
	const struct ipc_port *port = ipc_name_seen(ipc_of(b), session, uid, name);

	/* one of ours stands for a service, which whoever asks has looked for already */
	if (!port || !port->number || port->owner->inside)
		return 0;
	return IPC_PORT_PID | port->number;
}

/* One that the sender may name.  A cookie is authority; a number is not. */
static struct ipc_port *port_seen(struct bridge *b, const struct message_party *from,
				  uint32_t pid)
{
	struct ipc_port *port = ipc_port_by_number(ipc_of(b), pid - IPC_PORT_PID);

	return port && !port->owner->inside &&
			       ipc_name_is_seen(port, from->session, from->uid)
		       ? port
		       : NULL;
}

static int32_t receiver_of(const struct ipc_port *port)
{
	return port->receivers ? port->receivers->peer->pid : port->owner->pid;
}

int bridge_receiver(struct bridge *b, const struct message_party *from, uint32_t pid,
		    int32_t *out_pid, struct co_err *err)
{
	const struct ipc_port *port = port_seen(b, from, pid);

	if (!port)
		return co_fail(err, CO_NOT_FOUND,
			       "there is no port %u with a name any more; discover it "
			       "again",
			       pid);
	*out_pid = receiver_of(port);
	return 0;
}

static int admit_count(const struct bridge *b, const struct message_party *from,
		       const struct message_party *to, struct co_err *err)
{
	unsigned calls = 0, there = 0, mine = 0;
	const struct bridge_job *job;

	DL_FOREACH2(b->all, job, all_next)
	{
		calls++;
		there += process_same(&job->to, &to->process);
		mine += process_same(&job->from, &from->process);
	}
	if (calls >= CO_LIMIT_BRIDGE_CALLS || there >= CO_LIMIT_BRIDGE_PROCESS_CALLS)
		return co_fail(err, CO_BUSY,
			       "%u messages wait for answers of process %" PRId32
			       " already, which is the limit; send again when it has "
			       "answered some",
			       there, to->process.pid);
	if (mine >= CO_LIMIT_BRIDGE_SENDER_CALLS)
		return co_fail(err, CO_BUSY,
			       "%u messages of this process to ports wait for answers, "
			       "which is the limit; receive answers first",
			       mine);
	return 0;
}

int bridge_admit(struct bridge *b, const struct message_party *from,
		 const struct message_party *to, uint32_t size, struct co_err *err)
{
	const struct ipc_port *port = port_seen(b, from, to->pid);
	int r;

	if (!port || receiver_of(port) != to->process.pid)
		return co_fail(err, CO_GONE,
			       "the process that received there has "
			       "ended; discover the name again");
	if (size > CO_RING_PAGE)
		return co_fail(err, CO_TOO_BIG,
			       "a message to a port has at most %u bytes of data, and "
			       "this one %u",
			       CO_RING_PAGE, size);
	r = admit_count(b, from, to, err);
	if (r)
		return r;
	if (!ready(b))
		return co_fail(err, CO_NO_MEMORY,
			       "cloudosd cannot send to ports; its log says why");
	if (!agent_get(b, &to->process))
		return co_fail(err, CO_GONE, "process %" PRId32 " has ended",
			       to->process.pid);
	return 0;
}

static int reply_to(struct bridge *b, const struct bridge_job *job, uint32_t kind,
		    const void *data, uint32_t size)
{
	struct message_party from = { .process = job->to };
	struct message_text text = {
		.kind = kind, .id = job->id, .size = size, .data = data
	};
	struct message_call call = own_call(b);
	struct co_err err = { 0 };

	return messages_reply(messages_of(b), &from, &job->from, &text, &call, &err);
}

bool bridge_done(struct bridge *b, struct bridge_job *job)
{
	int r = 0;

	core_lock();
	if (job->request)
		r = reply_to(b, job, job->kind, job->answer, job->answer_size);
	if (r == CO_BUSY || r == CO_TABLE_FULL || r == CO_NO_MEMORY) {
		core_unlock();
		return false;
	}
	/* or nobody waits for it any more */
	DL_DELETE2(b->all, job, all_prev, all_next);
	core_unlock();
	free(job);
	return true;
}

/* ---- for programs with a ring ---- */

static struct bridge_service *service_find(struct bridge *b, const char *name)
{
	struct bridge_service *service;

	HASH_FIND_STR(b->services, name, service);
	return service;
}

static void service_free(struct bridge *b, struct bridge_service *service)
{
	HASH_DELETE(hh, b->services, service);
	HASH_DELETE(hh_cookie, b->by_cookie, service);
	free(service);
}

/* Who answers for a service; NULL: nobody does. */
static const struct service_instance *offers(struct bridge *b, const char *name)
{
	const struct service_instance *found;

	if (service_name_check(name, NULL) ||
	    !registry_discover(b->daemon->services.registry, name, &found, 1) ||
	    !found->owner.pid || found->health != HEALTH_HEALTHY)
		return NULL;
	return found;
}

/* Somebody's, or one of ours. */
static bool is_offered(struct bridge *b, const char *name)
{
	return offers(b, name) || bridge_find_own(b, name);
}

/* Ports of services that nobody offers any more go. */
static void sweep(void *arg)
{
	struct bridge *b = arg;
	struct bridge_service *service, *next;

	b->sweeping = false;
	HASH_ITER (hh, b->services, service, next) {
		uint64_t cookie = service->cookie;

		if (registry_count(b->daemon->services.registry, service->name) ||
		    bridge_find_own(b, service->name))
			continue;
		service_free(b, service);
		if (b->peer && !b->peer->gone)
			(void) ipc_port_destroy(b->peer->ipc, cookie, NULL);
	}
}

static void registry_said(void *arg, const struct registry_event *event)
{
	struct bridge *b = arg;
	const struct co_host *host = b->daemon->host;

	if (event->kind != REGISTRY_REMOVED || !b->services || b->sweeping)
		return;
	b->sweeping = true;
	host->post(host->ctx, sweep, b);
}

static struct ipc_port *service_port(struct bridge *b, const char *name)
{
	struct ipc_peer *peer = b->peer->ipc;
	struct bridge_service *service = HASH_COUNT(b->services) < CO_LIMIT_BRIDGE_PORTS
						 ? calloc(1, sizeof(*service))
						 : NULL;
	struct ipc_port *port;
	struct co_err err = { 0 };

	if (!service || ipc_port_create(peer, 0, 0, 0, 0, &port, &err)) {
		co_log(ipc, WARN, "the service \"%s\" gets no port: %s", name,
		       service ? err.message : "there are too many");
		free(service);
		return NULL;
	}
	b->peer->bells |= 1;
	service->cookie = port->cookie;
	(void) snprintf(service->name, sizeof(service->name), "%s",
			name); /* was checked */
	HASH_ADD_STR(b->services, name, service);
	HASH_ADD(hh_cookie, b->by_cookie, cookie, sizeof(service->cookie), service);
	/* so that the next one finds it alone, and people see whose it is; a program that
	 * registers the name itself takes its place */
	(void) ipc_name_register(peer, port->cookie, CO_IPC_NAME_WEAK, name, NULL);
	return port;
}

struct ipc_port *bridge_find_service(struct bridge *b, const struct ipc_peer *peer,
				     const char *name)
{
	struct bridge_service *service;
	struct ipc_port *port;

	core_assert_locked();
	if (!b || !is_offered(b, name) || peer->uid != geteuid() || !ready(b))
		return NULL;
	service = service_find(b, name);
	if (!service)
		return service_port(b, name);
	port = ipc_port_by_cookie(ipc_of(b), service->cookie);
	if (port)
		return port;
	service_free(b, service); /* somebody has taken the port away */
	return service_port(b, name);
}

static void refuse(struct bridge *b, const struct bridge_heard *heard,
		   const char *reason)
{
	bridge_answer(b, heard->message, 0, reason, (uint32_t) strlen(reason) + 1);
}

/* The service that the message is for: its process.  0 or a sentence. */
static const char *service_of(struct bridge *b, uint64_t cookie,
			      struct message_party *out)
{
	const struct service_instance *found = NULL;
	struct bridge_service *service;
	uint32_t own = 0;

	core_lock();
	HASH_FIND(hh_cookie, b->by_cookie, &cookie, sizeof(cookie), service);
	if (service)
		found = offers(b, service->name);
	if (service && !found)
		own = bridge_find_own(b, service->name);
	if (found)
		out->process = found->owner;
	else if (own)
		out->process = *bridge_own_process(b);
	out->pid = own ? own : (uint32_t) out->process.pid;
	core_unlock();
	return found || own ? NULL : "nobody offers this service any more";
}

/* Under the core lock. */
static int send_request(struct bridge *b, const struct bridge_heard *heard,
			const struct message_party *from,
			const struct message_party *to, struct co_err *err)
{
	struct message_text text = { .kind = MESSAGE_REQUEST,
				     .id = (uint32_t) heard->tag,
				     .size = heard->size,
				     .data = heard->page };
	struct message_call call = own_call(b);
	struct bridge_agent *agent = agent_get(b, &heard->from);
	struct bridge_asked *asked = agent ? calloc(1, sizeof(*asked)) : NULL;
	int r;

	if (!asked)
		return co_fail(err, CO_GONE, "the sender has ended");
	r = messages_send(messages_of(b), from, to, &text, &call, err);
	if (r) {
		free(asked);
		return r;
	}
	asked->message = heard->message;
	asked->server = to->process;
	asked->id = text.id;
	DL_APPEND(agent->asked, asked);
	return 0;
}

void bridge_ask(struct bridge *b, const struct bridge_heard *heard)
{
	struct message_party from = { .process = heard->from,
				      .session = heard->session,
				      .uid = heard->uid,
				      .pid = (uint32_t) heard->from.pid },
			     to = { 0 };
	struct process_look there;
	struct co_err err = { 0 };
	const char *reason = NULL;
	int r;

	if (heard->tag > UINT32_MAX)
		reason = "the tag is the number of the request, which has 32 bits";
	if (!reason)
		reason = service_of(b, heard->cookie, &to);
	if (!reason && process_look(to.process.pid, &there))
		reason = "the process of this service has ended";
	if (reason) {
		refuse(b, heard, reason);
		return;
	}
	to.uid = there.uid;
	if (there.is_nested &&
	    process_pid_seen_by(heard->from.pid, to.process.pid, &from.pid))
		from.pid = MESSAGE_UNNAMED;
	core_lock();
	r = send_request(b, heard, &from, &to, &err);
	core_unlock();
	if (r)
		refuse(b, heard, err.message);
}

/* ---- life ---- */

struct bridge *bridge_new(struct daemon *d)
{
	struct bridge *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->daemon = d;
	b->fd = b->page_fd = -1;
	if (pthread_mutex_init(&b->lock, NULL) || bridge_own_new(b) ||
	    !registry_watch(d->services.registry, registry_said, b)) {
		free(b);
		return NULL;
	}
	messages_orphans(d->services.messages);
	return b;
}

void bridge_stop(struct bridge *b)
{
	if (!b || !b->peer || b->failed)
		return;
	__atomic_store_n(&b->stopping, 1, __ATOMIC_RELEASE);
	core_lock();
	peer_kick(b->peer, 1);
	core_unlock();
	(void) pthread_join(b->thread, NULL); /* it exists */
}
