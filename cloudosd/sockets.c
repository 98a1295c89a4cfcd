/* SPDX-License-Identifier: MIT */
/* Listening sockets that outlive a daemon.  HOST. */
#include "cloudosd/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/keeper_link.h"

struct socket_ {
	int fd; /* a duplicate; -1: the slot is free */
	bool taken;
	struct sockaddr_storage address;
};

struct sockets {
	struct daemon *daemon;
	struct socket_ list[CO_LIMIT_HELD_LISTENERS];
};

static const uint32_t first = CO_LIMIT_SESSIONS + CO_LIMIT_SHM_SEGMENTS;

struct sockets *sockets_new(struct daemon *d)
{
	struct sockets *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->daemon = d;
	for (uint32_t i = 0; i < CO_LIMIT_HELD_LISTENERS; i++)
		s->list[i].fd = -1;
	return s;
}

static bool address_of(int fd, struct sockaddr_storage *out)
{
	socklen_t size = sizeof(*out);

	memset(out, 0, sizeof(*out));
	return getsockname(fd, (struct sockaddr *) out, &size) == 0;
}

/* The file's name, as its folder may have been named by a descriptor; without one, HTTP's. */
static const char *unix_name(const struct sockaddr *a)
{
	const struct sockaddr_un *u = (const void *) a;
	const char *slash = strrchr(u->sun_path, '/');

	return slash ? slash + 1 : u->sun_path[0] ? u->sun_path : "http.sock";
}

static bool same(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in *a4 = (const void *) a, *b4 = (const void *) b;
	const struct sockaddr_in6 *a6 = (const void *) a, *b6 = (const void *) b;

	if (a->sa_family != b->sa_family)
		return false;
	switch (a->sa_family) {
	case AF_UNIX:
		return !strcmp(unix_name(a), unix_name(b));
	case AF_INET:
		return a4->sin_port == b4->sin_port &&
		       a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	case AF_INET6:
		return a6->sin6_port == b6->sin6_port &&
		       IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
	default:
		return false;
	}
}

void sockets_restore(struct sockets *s, uint32_t slot, int fd)
{
	uint32_t i = slot - first;

	if (slot < first || i >= CO_LIMIT_HELD_LISTENERS || s->list[i].fd >= 0 ||
	    !address_of(fd, &s->list[i].address)) {
		(void) close(fd); /* of a predecessor who had other limits */
		return;
	}
	s->list[i].fd = fd;
	s->list[i].taken = false;
}

int sockets_take(struct sockets *s, const struct sockaddr *address)
{
	for (uint32_t i = 0; i < CO_LIMIT_HELD_LISTENERS; i++) {
		struct socket_ *l = &s->list[i];
		int fd;

		if (l->fd < 0 || l->taken ||
		    !same((const struct sockaddr *) &l->address, address))
			continue;
		fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
		l->taken = fd >= 0;
		return fd;
	}
	errno = ENOENT;
	return -1;
}

void sockets_hold(struct sockets *s, int fd)
{
	core_assert_locked();
	for (uint32_t i = 0; i < CO_LIMIT_HELD_LISTENERS; i++) {
		struct socket_ *l = &s->list[i];

		if (l->fd >= 0)
			continue;
		if (!address_of(fd, &l->address))
			return; /* it dies with this daemon */
		l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		l->taken = true;
		if (l->fd >= 0)
			keeper_hold(s->daemon->keeper, first + i, l->fd, -1);
		return;
	}
}

static void drop(struct sockets *s, uint32_t i)
{
	if (s->list[i].fd < 0)
		return;
	keeper_drop(s->daemon->keeper, first + i);
	(void) close(s->list[i].fd); /* a listening socket has nothing to lose */
	s->list[i].fd = -1;
}

void sockets_drop(struct sockets *s, int fd)
{
	struct sockaddr_storage address;

	if (!address_of(fd, &address))
		return;
	for (uint32_t i = 0; i < CO_LIMIT_HELD_LISTENERS; i++)
		if (s->list[i].fd >= 0 && same((struct sockaddr *) &s->list[i].address,
					       (struct sockaddr *) &address))
			drop(s, i);
}

void sockets_settle(struct sockets *s)
{
	for (uint32_t i = 0; i < CO_LIMIT_HELD_LISTENERS; i++)
		if (!s->list[i].taken)
			drop(s, i);
}

void sockets_drop_all(struct sockets *s)
{
	for (uint32_t i = 0; i < CO_LIMIT_HELD_LISTENERS; i++)
		drop(s, i);
}

int sockets_fd(const struct sockets *s, uint32_t slot)
{
	return s->list[slot].fd;
}
