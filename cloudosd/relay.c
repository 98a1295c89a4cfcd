/* SPDX-License-Identifier: MIT */
/*
 * Ports of this host that lead to containers.  HOST.
 *
 * One thread, one epoll set, one lock, which is never held while anybody sleeps.  Memory
 * that an event may still point to is freed by the thread at the end of its round only.
 */
#include "cloudosd/relay.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

#include "cloudosd/netns.h"
#include "lib/cleanup.h"

enum {
	PIECE = 32768, /* bytes on their way in one direction */
	ROUNDS = 8,    /* pieces for one connection before it is another's turn */
	EVENTS = 64,
	TICK_MS = 1000,
	IDLE_MS = 60000, /* then a client of UDP is forgotten */
	BACKLOG = 128,
};

enum kind { KIND_KICK, KIND_RELAY, KIND_END, KIND_FLOW };

/* What an event points to. */
struct source {
	enum kind kind;
	int fd;
	uint32_t asked; /* events that epoll watches for; 0: not at all */
};

struct connection;

struct end {
	struct source source;
	struct connection *connection;
	char *data; /* read from here, not yet written to the other */
	size_t at, size;
	bool ended; /* nothing more comes */
	bool told;  /* and the other end knows */
};

struct connection {
	struct end ends[2]; /* who came; the container */
	struct relay *relay;
	bool connecting, dead;
	struct connection *prev, *next;
};

/* A client of UDP. */
struct flow {
	struct source source;
	struct relay *relay;
	struct sockaddr_in client;
	int64_t last;
	bool dead;
	struct flow *prev, *next;
};

struct relay {
	struct source source;
	struct relays *all;
	struct relay_spec spec;
	struct netns through; /* of one that is inside */
	bool nowhere;
	struct connection *connections;
	struct flow *flows;
	unsigned flow_count;
	bool closed,
		rests; /* rests: no descriptor was left for an accept, or it must wait */
	struct relay *prev, *next;
};

struct relays {
	pthread_mutex_t lock;
	struct source kick;
	int epoll;
	pthread_t thread;
	bool runs, ends;
	unsigned connections;
	struct relay *list;
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* An end that is watched for nothing would still wake us, again and again, by hanging up. */
static int watch(struct relays *r, struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };
	int how = !events ? EPOLL_CTL_DEL : !s->asked ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (s->asked == events)
		return 0;
	if (epoll_ctl(r->epoll, how, s->fd, &e) < 0)
		return -errno;
	s->asked = events;
	return 0;
}

static struct source source(enum kind kind, int fd)
{
	return (struct source){ .kind = kind, .fd = fd };
}

static void close_source(struct source *s)
{
	if (s->fd >= 0)
		(void) close(s->fd); /* which also ends the watching */
	s->fd = -1;
}

/* ---- sockets in other name spaces ---- */

/* A socket that reaches `to`; negative errno. */
static int new_socket(const struct relay *relay)
{
	const int type = relay->spec.udp ? SOCK_DGRAM : SOCK_STREAM;
	int fd;

	if (relay->spec.inside)
		return relay->through.net < 0 ? -ENETUNREACH
					      : netns_socket(&relay->through, type);
	fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

/* It is not known yet where `to` is: who comes waits in the kernel, till relay_enter. */
static bool must_wait(struct relay *relay)
{
	if (!relay->spec.inside || relay->through.net >= 0 || relay->nowhere)
		return false;
	relay->rests = true;
	(void) watch(relay->all, &relay->source, 0); /* or the tick, and again */
	return true;
}

/* ---- TCP ---- */

static void kill_connection(struct connection *c)
{
	if (c->dead)
		return;
	c->dead = true;
	c->relay->all->connections--;
	for (size_t i = 0; i < 2; i++)
		close_source(&c->ends[i].source);
}

/* Moves what there is from one end to the other.  false: the connection is broken. */
static bool pump(struct end *from, struct end *to)
{
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n;

		if (from->at < from->size) {
			n = send(to->source.fd, from->data + from->at,
				 from->size - from->at, MSG_NOSIGNAL);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
			from->at += (size_t) n;
			continue;
		}
		if (from->ended)
			break;
		n = recv(from->source.fd, from->data, PIECE, 0);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		from->at = 0;
		from->size = (size_t) n;
		from->ended = n == 0;
	}
	if (from->ended && from->at == from->size && !from->told) {
		from->told = true;
		(void) shutdown(to->source.fd, SHUT_WR); /* it may be gone */
	}
	return true;
}

static uint32_t interest(const struct connection *c, size_t i)
{
	const struct end *mine = &c->ends[i], *other = &c->ends[1 - i];

	if (c->connecting)
		return i == 1 ? EPOLLOUT : 0;
	return (!mine->ended && mine->at == mine->size ? (uint32_t) EPOLLIN : 0) |
	       (other->at < other->size ? (uint32_t) EPOLLOUT : 0);
}

static void serve_connection(struct connection *c)
{
	struct relays *r = c->relay->all;
	int error = 0;
	socklen_t n = sizeof(error);

	if (c->dead)
		return;
	if (c->connecting) {
		if (getsockopt(c->ends[1].source.fd, SOL_SOCKET, SO_ERROR, &error, &n) <
			    0 ||
		    error) {
			kill_connection(c);
			return;
		}
		c->connecting = false;
	}
	if (!pump(&c->ends[0], &c->ends[1]) || !pump(&c->ends[1], &c->ends[0]) ||
	    (c->ends[0].told && c->ends[1].told)) {
		kill_connection(c);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		if (watch(r, &c->ends[i].source, interest(c, i)) < 0)
			kill_connection(c);
}

static void free_connection(struct connection *c)
{
	kill_connection(c);
	DL_DELETE(c->relay->connections, c);
	free(c->ends[0].data);
	free(c->ends[1].data);
	free(c);
}

static bool begin_connection(struct relay *relay, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	int one = 1, out = new_socket(relay);

	if (!c || out < 0) {
		(void) close(fd);
		if (out >= 0)
			(void) close(out);
		free(c);
		return false;
	}
	c->relay = relay;
	c->connecting = true;
	relay->all->connections++;
	DL_APPEND(relay->connections, c);
	for (size_t i = 0; i < 2; i++) {
		c->ends[i].source = source(KIND_END, i ? out : fd);
		c->ends[i].connection = c;
		c->ends[i].data = malloc(PIECE);
		/* dead peers are noticed after two hours, small answers at once */
		(void) setsockopt(i ? out : fd, SOL_SOCKET, SO_KEEPALIVE, &one,
				  sizeof(one));
		(void) setsockopt(i ? out : fd, IPPROTO_TCP, TCP_NODELAY, &one,
				  sizeof(one));
	}
	if (!c->ends[0].data || !c->ends[1].data ||
	    (connect(out, (void *) &relay->spec.to, sizeof(relay->spec.to)) < 0 &&
	     errno != EINPROGRESS) ||
	    watch(relay->all, &c->ends[0].source, 0) < 0 ||
	    watch(relay->all, &c->ends[1].source, EPOLLOUT) < 0)
		kill_connection(c);
	return true;
}

static void accept_all(struct relay *relay)
{
	for (int i = 0; i < BACKLOG; i++) {
		int fd;

		if (must_wait(relay))
			return;
		fd = accept4(relay->source.fd, NULL, NULL,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			       errno == ENOBUFS)) {
			relay->rests = true;
			(void) watch(relay->all, &relay->source, 0); /* till the tick */
		}
		if (fd < 0)
			return;
		if (relay->all->connections >= CO_LIMIT_RELAY_CONNECTIONS)
			(void) close(fd); /* the client sees an end, not a wait */
		else if (!begin_connection(relay, fd))
			return;
	}
}

/* ---- UDP ---- */

static void kill_flow(struct flow *f)
{
	if (f->dead)
		return;
	f->dead = true;
	f->relay->flow_count--;
	close_source(&f->source);
}

static struct flow *find_flow(struct relay *relay, const struct sockaddr_in *client)
{
	struct flow *f, *oldest = NULL;

	DL_FOREACH (relay->flows, f) {
		if (f->dead)
			continue;
		if (f->client.sin_addr.s_addr == client->sin_addr.s_addr &&
		    f->client.sin_port == client->sin_port)
			return f;
		if (!oldest || f->last < oldest->last)
			oldest = f;
	}
	if (relay->flow_count >= CO_LIMIT_RELAY_CLIENTS && oldest)
		kill_flow(oldest);
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->relay = relay;
	f->client = *client;
	f->source = source(KIND_FLOW, new_socket(relay));
	if (f->source.fd < 0 ||
	    connect(f->source.fd, (void *) &relay->spec.to, sizeof(relay->spec.to)) <
		    0 ||
	    watch(relay->all, &f->source, EPOLLIN) < 0) {
		close_source(&f->source);
		free(f);
		return NULL;
	}
	relay->flow_count++;
	DL_APPEND(relay->flows, f);
	return f;
}

static void serve_datagrams(struct relay *relay)
{
	char data[65536];

	for (int i = 0; i < ROUNDS; i++) {
		struct sockaddr_in client = { 0 };
		socklen_t size = sizeof(client);
		struct flow *f;
		ssize_t n;

		if (must_wait(relay))
			return;
		n = recvfrom(relay->source.fd, data, sizeof(data), 0, (void *) &client,
			     &size);
		f = n < 0 ? NULL : find_flow(relay, &client);

		if (!f)
			return;
		f->last = now_ms();
		(void) send(f->source.fd, data, (size_t) n,
			    MSG_NOSIGNAL); /* may be lost */
	}
}

static void serve_flow(struct flow *f)
{
	char data[65536];

	for (int i = 0; i < ROUNDS && !f->dead && !f->relay->closed; i++) {
		ssize_t n = recv(f->source.fd, data, sizeof(data), 0);

		if (n < 0 && errno == ECONNREFUSED)
			continue; /* nobody listens inside; taken off by reading it */
		if (n < 0)
			return;
		f->last = now_ms();
		(void) sendto(f->relay->source.fd, data, (size_t) n, MSG_NOSIGNAL,
			      (void *) &f->client, sizeof(f->client)); /* may be lost */
	}
}

/* ---- the thread ---- */

static void serve(struct source *s)
{
	struct relay *relay;
	uint64_t n;

	switch (s->kind) {
	case KIND_KICK:
		(void) !read(s->fd, &n, sizeof(n)); /* it only wakes */
		return;
	case KIND_RELAY:
		relay = container_of(s, struct relay, source);
		if (!relay->closed)
			(relay->spec.udp ? serve_datagrams : accept_all)(relay);
		return;
	case KIND_END:
		serve_connection(container_of(s, struct end, source)->connection);
		return;
	case KIND_FLOW:
		serve_flow(container_of(s, struct flow, source));
		return;
	}
}

/* What is over.  Nothing points to it once a round's events are served. */
static void tidy(struct relays *r, bool tick)
{
	struct relay *relay, *next;
	int64_t now = now_ms();

	DL_FOREACH_SAFE (r->list, relay, next) {
		struct connection *c, *c_next;
		struct flow *f, *f_next;

		DL_FOREACH_SAFE (relay->connections, c, c_next)
			if (c->dead || relay->closed)
				free_connection(c);
		DL_FOREACH_SAFE (relay->flows, f, f_next) {
			if (relay->closed || now - f->last > IDLE_MS)
				kill_flow(f);
			if (f->dead) {
				DL_DELETE(relay->flows, f);
				free(f);
			}
		}
		if (relay->closed) {
			DL_DELETE(r->list, relay);
			netns_close(&relay->through);
			free(relay);
		} else if (relay->rests && tick) {
			relay->rests = false;
			(void) watch(r, &relay->source, EPOLLIN); /* it was before */
		}
	}
}

static void *run(void *arg)
{
	struct relays *r = arg;
	int64_t last = now_ms();
	bool goes_on = true;

	while (goes_on) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(r->epoll, events, EVENTS, TICK_MS);
		bool tick = now_ms() - last >= TICK_MS;

		(void) pthread_mutex_lock(&r->lock);
		for (int i = 0; i < n; i++)
			serve(events[i].data.ptr);
		tidy(r, tick);
		goes_on = r->list && !r->ends;
		r->runs = goes_on;
		(void) pthread_mutex_unlock(&r->lock);
		last = tick ? now_ms() : last;
	}
	return NULL;
}

/* The lock is held. */
static int start_thread(struct relays *r)
{
	sigset_t all, old;
	int rc;

	if (r->runs)
		return 0;
	if (r->thread)
		(void) pthread_join(r->thread, NULL); /* it has said that it ends */
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&r->thread, NULL, run, r);
	(void) pthread_sigmask(SIG_SETMASK, &old, NULL);
	r->runs = rc == 0;
	if (rc)
		r->thread = 0;
	return -rc;
}

/* ---- for others ---- */

struct relays *relays_new(void)
{
	struct relays *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	(void) pthread_mutex_init(&r->lock, NULL); /* cannot fail for a plain one */
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	r->kick = source(KIND_KICK, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (r->epoll < 0 || r->kick.fd < 0 || watch(r, &r->kick, EPOLLIN) < 0) {
		relays_free(r);
		return NULL;
	}
	return r;
}

static void kick(struct relays *r)
{
	(void) !write(r->kick.fd, &(uint64_t){ 1 }, 8); /* full: it is awake anyway */
}

void relays_free(struct relays *r)
{
	struct relay *relay;

	if (!r)
		return;
	(void) pthread_mutex_lock(&r->lock);
	r->ends = true;
	(void) pthread_mutex_unlock(&r->lock);
	kick(r);
	if (r->thread)
		(void) pthread_join(r->thread, NULL);
	DL_FOREACH (r->list, relay) {
		relay->closed = true;
		close_source(&relay->source);
	}
	tidy(r, false);
	close_source(&r->kick);
	if (r->epoll >= 0)
		(void) close(r->epoll);
	(void) pthread_mutex_destroy(&r->lock);
	free(r);
}

static int listen_at(const struct relay_spec *spec, struct co_err *err)
{
	autoclose int fd = socket(AF_INET,
				  (spec->udp ? SOCK_DGRAM : SOCK_STREAM) |
					  SOCK_CLOEXEC | SOCK_NONBLOCK,
				  0);
	const char *name = spec->udp ? "udp" : "tcp";
	unsigned port = ntohs(spec->from.sin_port);
	int one = 1;

	if (fd < 0)
		return co_fail_errno(err, errno, "cannot make a socket");
	if (!spec->udp)
		(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const void *) &spec->from, sizeof(spec->from)) == 0 &&
	    (spec->udp || listen(fd, BACKLOG) == 0))
		return take_fd(fd);
	if (errno == EADDRINUSE)
		return co_fail(
			err, CO_EXISTS,
			"port %u/%s of this host is in use already: choose another one",
			port, name);
	return co_fail_errno(err, errno, "cannot listen at port %u/%s", port, name);
}

int relay_open(struct relays *r, const struct relay_spec *spec, struct relay **out,
	       struct co_err *err)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int fd, rc;

	if (!relay)
		return co_fail(err, CO_NO_MEMORY, "no memory for a published port");
	fd = listen_at(spec, err);
	if (fd < 0) {
		free(relay);
		return fd;
	}
	relay->all = r;
	relay->spec = *spec;
	relay->spec.through = NULL; /* the caller's */
	relay->through = (struct netns) NETNS_NONE;
	relay->spec.inside |= spec->through != NULL; /* here is nothing of it */
	relay->nowhere = spec->through != NULL;      /* but what could be copied */
	if (spec->through)
		netns_copy(spec->through, &relay->through);
	relay->source = source(KIND_RELAY, fd);
	(void) pthread_mutex_lock(&r->lock);
	DL_APPEND(r->list, relay);
	rc = start_thread(r);
	if (rc == 0)
		rc = watch(r, &relay->source, EPOLLIN);
	if (rc < 0) { /* the thread frees it if it runs */
		relay->closed = true;
		close_source(&relay->source);
	}
	(void) pthread_mutex_unlock(&r->lock);
	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot watch a published port");
	*out = relay;
	return 0;
}

void relay_enter(struct relays *r, struct relay *relay, const struct netns *through)
{
	(void) pthread_mutex_lock(&r->lock);
	if (through && relay->through.net < 0)
		netns_copy(through, &relay->through);
	relay->nowhere = relay->through.net < 0;
	if (relay->rests && !relay->closed) {
		relay->rests = false;
		(void) watch(r, &relay->source, EPOLLIN); /* it was before */
	}
	(void) pthread_mutex_unlock(&r->lock);
	kick(r);
}

void relay_close(struct relays *r, struct relay *relay)
{
	if (!relay)
		return;
	(void) pthread_mutex_lock(&r->lock);
	relay->closed = true;
	close_source(&relay->source);
	(void) pthread_mutex_unlock(&r->lock);
	kick(r);
}
