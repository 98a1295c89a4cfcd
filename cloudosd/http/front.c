/* SPDX-License-Identifier: MIT */
/* Where the front listens.  HOST. */
#include "cloudosd/http/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/http/front_inside.h"
#include "cloudosd/http/server.h"
#include "cloudosd/netns.h"
#include "cloudosd/sockets.h"
#include "lib/cleanup.h"
#include "lib/log.h"

enum { BACKLOG = 1024, SWEEP_MS = 500 };

/* ---- listeners ---- */

static void on_connection(uv_stream_t *stream, int status)
{
	if (status < 0)
		return; /* gone before it was accepted, or there is no descriptor now */
	core_lock();
	front_accept(stream->data);
	core_unlock();
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void unlisten(struct front_listener *l)
{
	int fd;

	if (!l->room && uv_fileno((uv_handle_t *) &l->tcp, &fd) == 0)
		sockets_drop(l->front->daemon->sockets, fd);
	if (l->room)
		DL_DELETE(l->room->listeners, l);
	else
		DL_DELETE(l->front->listeners, l);
	l->front->numbers.listeners--;
	uv_close((uv_handle_t *) &l->tcp, on_closed);
}

static int bind_front(const struct sockaddr_in *address)
{
	autoclose int fd =
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1;

	/* connections of a daemon that has ended are no hindrance */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (const struct sockaddr *) address, sizeof(*address)) < 0)
		return -errno;
	return take_fd(fd);
}

/* Takes fd, and is in the list of its room or front.  0 or a negative errno. */
static int begin_listening(struct front_listener *l, int fd)
{
	struct front *f = l->front;
	int r = uv_tcp_init(&f->daemon->uv, &l->tcp);

	if (r < 0) {
		(void) close(fd); /* a socket that nobody uses yet */
		free(l);
		return r;
	}
	l->tcp.data = l;
	if (l->room)
		DL_APPEND(l->room->listeners, l);
	else
		DL_APPEND(f->listeners, l);
	f->numbers.listeners++;
	r = uv_tcp_open(&l->tcp, fd);
	if (r < 0)
		(void) close(fd);
	if (!r)
		r = uv_listen((uv_stream_t *) &l->tcp, BACKLOG, on_connection);
	if (r < 0)
		unlisten(l);
	return r;
}

/* 0 or a negative errno. */
static int listen_at(struct front *f, const struct sockaddr_in *address,
		     const char *service)
{
	struct front_listener *l = calloc(1, sizeof(*l));
	struct sockets *sockets = f->daemon->sockets;
	int fd = l ? sockets_take(sockets, (const struct sockaddr *) address) : -ENOMEM;
	bool inherited = fd >= 0;
	int r;

	if (l && !inherited)
		fd = bind_front(address);
	if (fd < 0) {
		free(l);
		return fd;
	}
	l->front = f;
	l->address = *address;
	(void) snprintf(l->service, sizeof(l->service), "%s", service);
	r = begin_listening(l, fd);
	if (!r && !inherited)
		sockets_hold(sockets, fd);
	return r;
}

static struct front_listener *find(struct front *f, const struct sockaddr_in *address)
{
	struct front_listener *l;

	DL_FOREACH (f->listeners, l)
		if (l->address.sin_addr.s_addr == address->sin_addr.s_addr &&
		    l->address.sin_port == address->sin_port)
			return l;
	return NULL;
}

static struct sockaddr_in address_of(const struct names *names, const struct name *name)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t) name->port),
				     .sin_addr = names_front(names, name) };
}

static void listen_for(struct front *f, const struct names *names,
		       const struct name *name)
{
	struct sockaddr_in address = address_of(names, name);
	struct front_listener *l;
	char text[INET_ADDRSTRLEN];
	int r;

	if (!address.sin_addr.s_addr || !name->port)
		return;
	l = find(f, &address);
	if (l) {
		(void) snprintf(l->service, sizeof(l->service), "%s", name->name);
		return;
	}
	r = listen_at(f, &address, name->name);
	if (!r)
		return;
	(void) inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
	co_log(http, WARN, "%s has no front: cannot listen on %s port %u: %s",
	       name->name, text, (unsigned) name->port, strerror(-r));
}

static bool is_wanted(const struct names *names, const struct front_listener *l)
{
	for (size_t i = 0; i < names_count(names); i++) {
		struct sockaddr_in a = address_of(names, names_at(names, i));

		if (a.sin_addr.s_addr == l->address.sin_addr.s_addr &&
		    a.sin_port == l->address.sin_port)
			return true;
	}
	return false;
}

/* ---- in containers ---- */

static void listen_in(struct front_room *room, const struct netns *where,
		      const struct sockaddr_in *address, const char *service)
{
	struct front_listener *l = calloc(1, sizeof(*l));
	int fd = l ? netns_listen(where, address) : -ENOMEM;
	char text[INET_ADDRSTRLEN];

	if (fd >= 0) {
		l->front = room->front;
		l->room = room;
		l->address = *address;
		(void) snprintf(l->service, sizeof(l->service), "%s", service);
		fd = begin_listening(l, fd);
	} else {
		free(l);
	}
	if (fd >= 0)
		return;
	(void) inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
	co_log(http, WARN,
	       "%s does not find %s in its container: cannot listen on %s port %u "
	       "there: %s",
	       room->owner, service, text, (unsigned) ntohs(address->sin_port),
	       strerror(-fd));
}

struct front_room *front_room_new(struct front *f, const struct netns *where,
				  const char *owner)
{
	const struct names *names = f->daemon->services.names;
	struct front_room *room = calloc(1, sizeof(*room));
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(FRONT_GATEWAY),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };

	if (!room)
		return NULL;
	room->front = f;
	(void) snprintf(room->owner, sizeof(room->owner), "%s", owner);
	listen_in(room, where, &address, "");
	for (size_t i = 0; i < names_count(names); i++) {
		const struct name *name = names_at(names, i);

		address = address_of(names, name);
		if (address.sin_addr.s_addr && name->port)
			listen_in(room, where, &address, name->name);
	}
	return room;
}

struct front_room *front_room_free(struct front_room *room)
{
	struct front_listener *l, *next;

	if (!room)
		return NULL;
	DL_FOREACH_SAFE (room->listeners, l, next)
		unlisten(l);
	free(room);
	return NULL;
}

static void follow(void *arg)
{
	struct front *f = arg;
	const struct names *names = f->daemon->services.names;
	struct front_listener *l, *next;

	if (f->stopping)
		return;
	DL_FOREACH_SAFE (f->listeners, l, next)
		if (!is_wanted(names, l))
			unlisten(l);
	for (size_t i = 0; i < names_count(names); i++)
		listen_for(f, names, names_at(names, i));
}

/* The list may change on any thread, libuv's handles are the loop's. */
static void names_changed(void *arg)
{
	struct front *f = arg;
	const struct co_host *host = f->daemon->host;

	host->post(host->ctx, follow, f);
}

/* ---- the gateway, from inside ---- */

/* who: the service that is meant, or SERVICE@OWNER where a container asks. */
static int connect_inside(void *arg, const char *who)
{
	struct front *f = arg;
	struct co_err err = { 0 };
	char service[NAME_WORD];
	const char *owner = strchr(who, '@');
	int pair[2];

	(void) snprintf(service, sizeof(service), "%.*s", (int) strcspn(who, "@"), who);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) <
	    0)
		return -1;
	if (http_server_adopt(f->daemon->http, pair[1], service,
			      owner ? owner + 1 : NULL, &err)) {
		(void) close(pair[0]); /* nobody has used it */
		return -1;
	}
	return pair[0];
}

/* ---- life ---- */

static void on_sweep(uv_timer_t *timer)
{
	struct front *f = timer->data;
	struct front_connection *c, *next;
	uint64_t now = uv_now(&f->daemon->uv);

	core_lock();
	DL_FOREACH_SAFE (f->all, c, next)
		front_look_at(c, now); /* closes that one at most, and frees it later */
	core_unlock();
}

int front_new(struct front **out, struct daemon *d, struct co_err *err)
{
	struct front *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the front of services");
	f->daemon = d;
	f->sweep.data = f;
	(void) uv_timer_init(&d->uv, &f->sweep); /* cannot fail */
	uv_unref((uv_handle_t *) &f->sweep);
	/* fails only without a callback */
	(void) uv_timer_start(&f->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	http_client_inside(d->client, connect_inside, f);
	*out = f;
	r = names_watch(d->services.names, names_changed, f);
	if (r)
		return co_fail(err, r, "the front cannot follow the registry of names");
	follow(f);
	return 0;
}

static void let_go(void *arg)
{
	struct front *f = arg;
	struct front_listener *l, *next;
	struct front_connection *c, *other;

	DL_FOREACH_SAFE (f->listeners, l, next)
		unlisten(l);
	DL_FOREACH_SAFE (f->all, c, other)
		if (front_is_idle(c))
			front_close(c);
}

void front_stop(struct front *f)
{
	if (!f || f->stopping)
		return;
	f->stopping = true;
	f->daemon->host->post(f->daemon->host->ctx, let_go, f);
}

struct front_numbers front_numbers(const struct front *f)
{
	return f->numbers;
}

bool front_busy(const struct front *f)
{
	const struct front_connection *c;

	DL_FOREACH (f->all, c)
		if (!front_is_idle(c))
			return true;
	return false;
}
