/* SPDX-License-Identifier: MIT */
/*
 * The bridge's thread: an ordinary peer of the engine for messages, which asks many at a
 * time and is asked by many, and sleeps in one place.  HOST.
 *
 * Messages to services come through links, all of them to one doorbell.  Jobs go out through
 * routes, one for a port.  The thread sleeps on its kick (the daemon has said something, or
 * there is a job), its doorbell, and the answers that it waits for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/bridge_inside.h"
#include "cloudosd/core.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "ring/segment.h"

enum {
	WORDS = 128,    /* that futex_waitv takes */
	MORE_MS = 2,    /* there are more */
	RING_MS = 10,   /* a receiver may not have heard its bell; slots may be free */
	ROOM_MS = 100,  /* who has asked has no room for the answer */
	NET_MS = 100,   /* somebody is connected */
	POLL_MS = 50,   /* the same without futex_waitv */
	SAY_MS = 10000, /* the loop takes what it is told, or is stuck */
	SOUND_NS = 1    /* just look, and ring again if need be */
};

/* Somebody who asks.  Its memory is never freed, only used again: stale cookies lead here. */
struct bridge_link {
	struct ring_server ring;
	struct co_ring_server *own;
	const struct co_ring_client *theirs;
	uint64_t connection, cookie, session;
	struct process_id process;
	uint32_t uid;
	bool used;
};

/* A port that jobs go to. */
struct bridge_route {
	struct bridge_route *prev, *next;
	struct ring_client ring;
	struct co_ring_client *own;
	const struct co_ring_server *server;
	const struct co_ring_peer *page;
	uint64_t cookie, tag, connection;
	bool open, doomed;       /* doomed: only what was taken will be answered */
	struct bridge_job *jobs; /* oldest first */
};

static struct bridge *the_bridge; /* the ring's lookup knows numbers only */

static struct ring_server *lookup(uint32_t number)
{
	return &__atomic_load_n(&the_bridge->links[number], __ATOMIC_ACQUIRE)->ring;
}

/* ---- to the daemon's other end ---- */

static int say(struct bridge *b, const int *fds, uint32_t n)
{
	struct pollfd room = { .fd = b->fd, .events = POLLOUT };
	int r;

	while ((r = co_msg_send(b->out, b->fd, fds, n)) == CO_BUSY)
		if (poll(&room, 1, SAY_MS) == 0)
			return CO_BUSY;
	return r;
}

/* ---- links: those who ask; under the lock ---- */

static void link_release(struct bridge_link *link)
{
	if (link->own)
		(void) munmap(link->own, sizeof(*link->own)); /* our own mapping */
	if (link->theirs)
		(void) munmap((void *) link->theirs, sizeof(*link->theirs));
	link->own = NULL;
	link->theirs = NULL;
	link->used = false;
}

static void link_drop(struct bridge *b, struct ring_server *server)
{
	pthread_mutex_lock(&b->lock);
	if (ring_put(&server->users))
		link_release(container_of(server, struct bridge_link, ring));
	pthread_mutex_unlock(&b->lock);
}

static struct bridge_link *link_new(struct bridge *b, uint32_t *out_number)
{
	for (uint32_t i = 0; i < CO_LIMIT_BRIDGE_CONNECTIONS; i++) {
		struct bridge_link *link = b->links[i];

		if (link && link->used)
			continue;
		if (!link) {
			link = calloc(1, sizeof(*link));
			if (!link)
				return NULL;
			__atomic_store_n(&b->links[i], link, __ATOMIC_RELEASE);
		}
		memset(link, 0, sizeof(*link));
		link->used = true;
		*out_number = i;
		return link;
	}
	return NULL;
}

static bool link_open(struct bridge *b, const struct wire_ipc_attach_note *note,
		      int client_fd, int *out_fd)
{
	uint32_t number;
	struct bridge_link *link = link_new(b, &number);

	if (!link)
		return false;
	link->connection = note->connection;
	link->cookie = note->cookie;
	link->session = note->session;
	link->uid = note->uid;
	if (process_read(note->pid, &link->process, NULL) == 0 &&
	    link->process.pid == note->pid)
		link->own =
			ring_segment_new("cloudos-bridge", sizeof(*link->own), out_fd);
	link->theirs = ring_segment_map(client_fd, sizeof(*link->theirs));
	if (link->own && link->theirs) {
		ring_server_format(link->own, (uint32_t) getpid());
		link->ring.connection = note->connection;
		if (ring_attach(&b->port, &link->ring, number, link->own,
				link->theirs) == RING_OK)
			return true;
	}
	link_release(link);
	return false;
}

static void attached(struct bridge *b)
{
	const struct wire_ipc_attach_note *note = (const void *) b->in->bytes;
	autoclose int client_fd = co_msg_take_fd(b->in, 0);
	autoclose int own_fd = -1;
	struct wire_ipc_accept_note *accept;
	struct wire_ipc_close_req *req;
	bool good;

	pthread_mutex_lock(&b->lock);
	good = client_fd >= 0 && link_open(b, note, client_fd, &own_fd);
	pthread_mutex_unlock(&b->lock);
	/* a connection that has gone is seen when reading */
	if (good) {
		accept = co_msg_start(b->out, WIRE_ipc_accept_note, 0);
		accept->connection = note->connection;
		(void) say(b, &own_fd, 1);
	} else {
		req = co_msg_start(b->out, WIRE_ipc_close_req, ++b->tag);
		req->connection = note->connection;
		req->why = CO_IPC_FULL;
		(void) say(b, NULL, 0);
	}
}

static bool link_detached(struct bridge *b, uint64_t connection, bool over)
{
	struct bridge_link *link = NULL;
	bool found;

	pthread_mutex_lock(&b->lock);
	for (uint32_t i = 0; i < CO_LIMIT_BRIDGE_CONNECTIONS && b->links[i]; i++)
		if (b->links[i]->used && b->links[i]->connection == connection)
			link = b->links[i];
	found = link != NULL;
	/* if not over, the client closes when it has its answers */
	if (link && over && !link->ring.users.closed && ring_detach(&link->ring))
		link_release(link);
	pthread_mutex_unlock(&b->lock);
	return found;
}

void bridge_answer(struct bridge *b, uint64_t message, uint64_t value, const void *data,
		   uint32_t size)
{
	_Alignas(64) uint8_t page[CO_RING_PAGE] = { 0 };
	struct ring_server *server = lookup(ring_cookie_number(message));
	struct ring_reply reply;
	bool gone;

	if (size)
		memcpy(page, data, size);
	pthread_mutex_lock(&b->lock);
	if (ring_answer_begin(server, message, &reply, &gone)) {
		reply.value = value;
		if (reply.asked & CO_RING_WHOLE) {
			ring_page_answer(&reply, page);
		} else if (reply.asked & CO_RING_PAYLOAD) {
			reply.size = size < reply.room ? size : reply.room;
			reply.flags = CO_RING_PAYLOAD;
			memcpy(reply.page, page, reply.size);
		}
		(void) ring_answer_end(&reply, &gone); /* whose turn it is: both */
	}
	if (gone)
		link_release(container_of(server, struct bridge_link, ring));
	pthread_mutex_unlock(&b->lock);
}

/* Takes one message in, without waiting; false: there is none. */
static bool hear(struct bridge *b)
{
	static const struct co_ring_control never = { .kick = 1 };
	_Alignas(64) uint8_t page[CO_RING_PAGE];
	struct bridge_heard heard;
	const struct bridge_link *link;
	struct ring_message m;

	/* a kick that it has not seen: it looks for a message and returns */
	if (ring_receive(&b->port, NULL, &never, 0, 0, &m) != RING_OK)
		return false;
	link = container_of(m.server, struct bridge_link, ring);
	heard = (struct bridge_heard){ .message = m.cookie,
				       .cookie = link->cookie,
				       .tag = m.tag,
				       .session = link->session,
				       .from = link->process,
				       .uid = link->uid,
				       .page = page };
	if (m.flags & CO_RING_PAYLOAD && !(m.flags & CO_RING_BLOB)) {
		heard.size = m.size < CO_RING_PAGE ? m.size : CO_RING_PAGE;
		memcpy(page, m.page, heard.size);
	}
	link_drop(b, m.server);
	bridge_ask(b, &heard);
	return true;
}

/* ---- jobs and their ends ---- */

static void finish(struct bridge *b, struct bridge_job *job)
{
	if (!bridge_done(b, job))
		DL_APPEND(b->undelivered, job);
}

static void fail(struct bridge *b, struct bridge_job *job, const char *reason)
{
	job->kind = MESSAGE_ERROR;
	job->answer_size = (uint32_t) snprintf((char *) job->answer,
					       sizeof(job->answer), "%s", reason) +
			   1;
	finish(b, job);
}

static void retry(struct bridge *b)
{
	struct bridge_job *jobs = b->undelivered, *job, *next;

	b->undelivered = NULL;
	DL_FOREACH_SAFE (jobs, job, next) {
		DL_DELETE(jobs, job);
		finish(b, job);
	}
}

/* ---- routes ---- */

/* why NULL: the receiver has ended. */
static void route_free(struct bridge *b, struct bridge_route *route, const char *why)
{
	struct bridge_job *job, *next;

	DL_FOREACH_SAFE (route->jobs, job, next) {
		char died[96];

		/* in the words of messages, which may be faster */
		(void) snprintf(died, sizeof(died),
				"process %u has ended without answering request %u",
				job->port, job->id);
		DL_DELETE(route->jobs, job);
		fail(b, job, why ? why : died);
	}
	if (route->own)
		(void) munmap(route->own, sizeof(*route->own));
	if (route->server)
		(void) munmap((void *) route->server, sizeof(*route->server));
	if (route->page)
		(void) munmap((void *) route->page, sizeof(*route->page));
	DL_DELETE(b->routes, route);
	free(route);
}

static void route_close(struct bridge *b, struct bridge_route *route, const char *why)
{
	struct wire_ipc_close_req *req =
		co_msg_start(b->out, WIRE_ipc_close_req, ++b->tag);

	req->connection = route->connection;
	(void) say(b, NULL, 0); /* a connection that has gone is seen when reading */
	route_free(b, route, why);
}

static bool route_ask(struct bridge *b, struct bridge_route *route)
{
	autoclose int fd = -1;
	struct wire_ipc_open_req *req;

	route->own = ring_segment_new("cloudos-bridge", sizeof(*route->own), &fd);
	if (!route->own)
		return false;
	ring_client_format(route->own, (uint32_t) getpid());
	route->tag = ++b->tag;
	req = co_msg_start(b->out, WIRE_ipc_open_req, route->tag);
	req->cookie = route->cookie;
	req->timeout_ms = CO_LIMIT_BRIDGE_OPEN_MS;
	return say(b, &fd, 1) == 0;
}

static struct bridge_route *route_get(struct bridge *b, uint64_t cookie)
{
	struct bridge_route *route;

	DL_FOREACH (b->routes, route)
		if (route->cookie == cookie && !route->doomed)
			return route;
	route = calloc(1, sizeof(*route));
	if (!route)
		return NULL;
	route->cookie = cookie;
	DL_APPEND(b->routes, route);
	if (route_ask(b, route))
		return route;
	route_free(b, route, "");
	return NULL;
}

/* The reply to an open. */
static void opened(struct bridge *b)
{
	const struct wire_ipc_open_rep *rep = (const void *) b->in->bytes;
	autoclose int server_fd = co_msg_take_fd(b->in, 0);
	autoclose int page_fd = co_msg_take_fd(b->in, 1);
	struct bridge_route *route;

	DL_FOREACH (b->routes, route)
		if (!route->open && route->tag == rep->h.tag)
			break;
	if (!route)
		return;
	if (rep->r.status) {
		char reason[200];

		(void) snprintf(reason, sizeof(reason),
				"the port cannot be reached: %s",
				co_msg_get(b->in, rep->r.reason));
		route_free(b, route, reason);
		return;
	}
	route->open = true;
	route->connection = rep->connection;
	route->server = ring_segment_map(server_fd, sizeof(*route->server));
	route->page = ring_segment_map(page_fd, sizeof(*route->page));
	if (!route->server || !route->page ||
	    ring_client_open(&route->ring, route->own, route->server, route->page,
			     rep->doorbell) != RING_OK)
		route_close(b, route, "the receiver's memory is not as it has to be");
}

static void detached(struct bridge *b)
{
	const struct wire_ipc_detach_note *note = (const void *) b->in->bytes;
	bool over = note->why != CO_IPC_DESTROYED && note->why != CO_IPC_REVOKED;
	struct bridge_route *route;

	if (link_detached(b, note->connection, over))
		return;
	DL_FOREACH (b->routes, route)
		if (route->open && route->connection == note->connection)
			break;
	if (!route)
		return;
	if (over)
		route_free(b, route, NULL);
	else
		route->doomed = true;
}

/* False: the daemon's other end has closed the connection. */
static bool listen_to(struct bridge *b)
{
	for (;;) {
		struct co_err err = { 0 };
		int r = co_msg_receive(b->in, b->fd, &err);

		if (r == CO_INTERRUPTED)
			continue;
		if (r)
			return r == CO_BUSY;
		switch (b->in->header->type) {
		case WIRE_ipc_attach_note:
			attached(b);
			break;
		case WIRE_ipc_detach_note:
			detached(b);
			break;
		case WIRE_ipc_open_rep:
			opened(b);
			break;
		default:
			break; /* replies to closes; ports of ours that were revoked */
		}
	}
}

/* New jobs to their routes. */
static void take_jobs(struct bridge *b)
{
	struct bridge_job *jobs, *job, *next;

	pthread_mutex_lock(&b->lock);
	jobs = b->queue;
	b->queue = NULL;
	pthread_mutex_unlock(&b->lock);
	DL_FOREACH_SAFE (jobs, job, next) {
		struct bridge_route *route =
			job->cookie ? route_get(b, job->cookie) : NULL;

		DL_DELETE(jobs, job);
		if (route)
			DL_APPEND(route->jobs, job);
		else
			fail(b, job,
			     job->cookie ? "cloudosd has no memory left for messages"
					 : "there is no port of that number any more");
	}
}

/* ---- what goes through a route ---- */

/* False: there are no free slots. */
static bool post(struct bridge_route *route, struct bridge_job *job)
{
	job->call = (struct ring_call){ .tag = job->id,
					.size = job->size,
					.tid = (uint32_t) job->from.pid };
	if (job->size)
		job->call.flags = CO_RING_PAYLOAD | CO_RING_WHOLE;
	if (!job->request)
		job->call.flags |= CO_RING_ASYNC;
	if (ring_begin(&route->ring, &job->call, 0) != RING_OK)
		return false;
	if (job->size)
		ring_page_post(&route->ring, &job->call, job->page);
	ring_post(&route->ring, &job->call);
	job->posted = true;
	return true;
}

static void answered(struct bridge *b, struct bridge_route *route,
		     struct bridge_job *job, const struct ring_answer *answer)
{
	DL_DELETE(route->jobs, job);
	if (answer->status == CO_RING_OK && answer->value) {
		memcpy(job->answer, &answer->value, sizeof(answer->value));
		job->answer_size = sizeof(answer->value);
		if (job->size) {
			if (answer->flags & CO_RING_WHOLE)
				ring_page_back(job->page, answer);
			memcpy(job->answer + job->answer_size, job->page, CO_RING_PAGE);
			job->answer_size += CO_RING_PAGE;
		}
		job->kind = MESSAGE_RESPONSE;
		ring_end(&route->ring, &job->call);
		finish(b, job);
		return;
	}
	ring_end(&route->ring, &job->call);
	fail(b, job,
	     answer->status == CO_RING_OK ? "the receiver has answered 0: it has failed"
					  : "the port is gone");
}

/* True: it is to be looked at soon, whoever rings. */
static bool route_run(struct bridge *b, struct bridge_route *route)
{
	struct bridge_job *job, *next;
	bool soon = false;

	DL_FOREACH_SAFE (route->jobs, job, next) {
		struct ring_answer answer;

		if (!job->posted) {
			if (!post(route, job)) {
				soon = true;
			} else if (!job->request) {
				DL_DELETE(route->jobs, job);
				finish(b, job);
			}
			continue;
		}
		if (ring_taken(&route->ring, &job->call) &&
		    __atomic_load_n(&route->server->answers[job->call.slot].word,
				    __ATOMIC_ACQUIRE) != job->call.seq)
			continue;
		if (ring_wait(&route->ring, &job->call, NULL, 0, SOUND_NS, &answer) ==
		    RING_OK)
			answered(b, route, job, &answer);
		else
			soon = true;
	}
	return soon;
}

/* Its port is gone: what was not taken fails, and when the rest is answered it ends. */
static void route_doomed(struct bridge *b, struct bridge_route *route)
{
	struct bridge_job *job, *next;

	DL_FOREACH_SAFE (route->jobs, job, next) {
		if (job->posted && ring_taken(&route->ring, &job->call))
			continue;
		DL_DELETE(route->jobs, job);
		fail(b, job, "the port is gone");
	}
	if (!route->jobs)
		route_close(b, route, "");
}

static bool routes_run(struct bridge *b)
{
	struct bridge_route *route, *next;
	bool soon = false;

	DL_FOREACH_SAFE (b->routes, route, next) {
		if (!route->open)
			continue;
		if (route->jobs && route_run(b, route))
			soon = true;
		if (route->doomed)
			route_doomed(b, route);
	}
	return soon;
}

/* ---- sleeping ---- */

struct nap {
	struct futex_waitv words[WORDS];
	unsigned count;
	bool more, come, asked;
};

static void nap_word(struct nap *nap, const uint32_t *word, uint32_t expected)
{
	if (nap->count == WORDS) {
		nap->more = true;
		return;
	}
	nap->words[nap->count++] = (struct futex_waitv){ .val = expected,
							 .uaddr = (uintptr_t) word,
							 .flags = FUTEX_32 };
}

/* Tells receivers whether to wake us, and what to wait for. */
static void nap_answers(struct bridge *b, struct nap *nap, uint32_t waiting)
{
	struct bridge_route *route;
	struct bridge_job *job;

	DL_FOREACH (b->routes, route)
		DL_FOREACH (route->jobs, job) {
			const struct co_ring_answer *answer;
			uint32_t word;

			if (!job->posted)
				continue;
			nap->asked = true;
			(void) __atomic_exchange_n(
				&route->own->waits[job->call.slot].waiting, waiting,
				__ATOMIC_SEQ_CST);
			if (!waiting)
				continue;
			answer = &route->server->answers[job->call.slot];
			word = __atomic_load_n(&answer->word, __ATOMIC_SEQ_CST);
			if (word == job->call.seq)
				nap->come = true;
			nap_word(nap, &answer->word, word);
		}
}

static uint64_t nap_ms(const struct bridge *b, const struct nap *nap, bool soon)
{
	if (nap->more)
		return MORE_MS;
	if (soon)
		return RING_MS;
	if (b->undelivered)
		return ROOM_MS;
	return __atomic_load_n(&b->port.table_used, __ATOMIC_RELAXED) ? NET_MS : 0;
}

static struct timespec later(uint64_t ms)
{
	struct timespec at;

	(void) clock_gettime(CLOCK_MONOTONIC, &at); /* it exists */
	at.tv_sec += (time_t) (ms / 1000);
	at.tv_nsec += (long) (ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* Before Linux 5.16: on the doorbell alone, which a kick rings, too, and not for long. */
static void nap_old(struct bridge *b, const struct nap *nap, uint32_t bell)
{
	uint64_t ms = nap->asked ? MORE_MS : POLL_MS;
	struct timespec time = { 0, (long) ms * 1000000 };

	(void) syscall(SYS_futex, &b->page->bells[0].word, FUTEX_WAIT, bell, &time,
		       NULL, 0);
}

static void nap_take(struct bridge *b, uint32_t kick, bool soon)
{
	struct co_ring_bell *bell = &b->page->bells[0];
	uint32_t word = __atomic_load_n(&bell->word, __ATOMIC_ACQUIRE);
	struct nap nap = { .count = 0 };
	struct timespec time;
	uint64_t ms;

	(void) __atomic_fetch_add(&bell->sleepers, 1, __ATOMIC_SEQ_CST);
	nap_word(&nap, &b->control->kick, kick);
	nap_word(&nap, &bell->word, word);
	nap_answers(b, &nap, 1);
	if (!nap.come && !hear(b)) {
		ms = nap_ms(b, &nap, soon);
		time = later(ms);
		if (syscall(SYS_futex_waitv, nap.words, nap.count, 0, ms ? &time : NULL,
			    CLOCK_MONOTONIC) < 0 &&
		    errno == ENOSYS)
			nap_old(b, &nap, word);
	}
	nap_answers(b, &nap, 0);
	(void) __atomic_fetch_sub(&bell->sleepers, 1, __ATOMIC_SEQ_CST);
}

/* ---- the thread ---- */

static void *run(void *arg)
{
	struct bridge *b = arg;

	while (!__atomic_load_n(&b->stopping, __ATOMIC_ACQUIRE)) {
		uint32_t kick = __atomic_load_n(&b->control->kick, __ATOMIC_ACQUIRE);
		bool soon;

		if (!listen_to(b)) {
			co_log(ipc, ERROR,
			       "the connection for programs of other systems is closed");
			break;
		}
		take_jobs(b);
		soon = routes_run(b);
		retry(b);
		while (hear(b))
			;
		nap_take(b, kick, soon);
	}
	while (b->routes && !__atomic_load_n(&b->stopping, __ATOMIC_ACQUIRE))
		route_free(b, b->routes, "cloudosd cannot send to ports any more");
	return NULL;
}

int bridge_ring_prepare(struct bridge *b, struct co_err *err)
{
	uint64_t random;

	the_bridge = b;
	b->in = co_msg_new();
	b->out = co_msg_new();
	b->page = ring_segment_new("cloudos-bridge", sizeof(*b->page), &b->page_fd);
	if (!b->in || !b->out || !b->page)
		return co_fail(err, CO_NO_MEMORY, "no memory for a connection");
	ring_peer_format(b->page, (uint32_t) getpid());
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t) (uintptr_t) b; /* tells answers apart, no more */
	if (ring_port_open(&b->port, b->page, 0, b->table, CO_LIMIT_BRIDGE_CONNECTIONS,
			   lookup, random) != RING_OK)
		return co_fail(err, CO_NO_MEMORY, "there is no such doorbell");
	return 0;
}

int bridge_ring_start(struct bridge *b, int fd, int control_fd, struct co_err *err)
{
	int r;

	b->fd = fd;
	b->control = ring_segment_map(control_fd, sizeof(*b->control));
	if (!b->control)
		return co_fail_errno(err, errno, "cannot map a control page");
	r = pthread_create(&b->thread, NULL, run, b);
	return r ? co_fail_errno(err, r, "cannot start a thread") : 0;
}
