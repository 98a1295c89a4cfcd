/* SPDX-License-Identifier: MIT */
/* Services in a container, in a network of their own.  HOST. */
#include "cloudosd/housed.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/http/front.h"
#include "cloudosd/netns.h"
#include "cloudosd/relay.h"
#include "cloudosd/service/names.h"
#include "cloudosd/session.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct housed {
	struct netns ns;       /* net -1: it has ours, */
	uid_t first_uid, uids; /* and is known by its users; uids 0: it is ours, too */
	struct front_room *room;
	struct relay *relay;
	struct sockaddr_in from, to; /* what it carries */
};

/* ---- its life ---- */

static void open_room(struct session *s)
{
	struct daemon *d = s->daemon;

	if (d->front && s->housed->ns.net >= 0 && !s->housed->room)
		s->housed->room = front_room_new(d->front, &s->housed->ns, s->service);
}

/* The users of its container, where those are not ours. */
static void read_users(struct session *s)
{
	char path[48];
	autofclose FILE *f = NULL;
	unsigned inside, outside, count;

	(void) snprintf(path, sizeof(path), "/proc/%d/uid_map",
			s->first_pid); /* fits */
	f = fopen(path, "re");
	if (!f || fscanf(f, "%u %u %u", &inside, &outside, &count) != 3 || !outside ||
	    outside == geteuid())
		return;
	s->housed->first_uid = outside;
	s->housed->uids = count;
}

/* Takes ns. */
static void house(struct session *s, struct netns *ns)
{
	s->housed = calloc(1, sizeof(*s->housed));
	if (!s->housed) {
		netns_close(ns);
		return; /* its calls fail for want of memory, too */
	}
	s->housed->ns = *ns;
	if (ns->net < 0)
		read_users(s);
	open_room(s);
}

void housed_begin(struct session *s, int user, int net)
{
	struct netns ns;

	netns_take(&ns, user, net);
	if (session_row(s)->container || ns.net >= 0)
		house(s, &ns);
}

bool housed_room(struct daemon *d)
{
	struct session *s, *next;
	unsigned n = 0;

	HASH_ITER (hh, d->sessions, s, next)
		n += s->housed != NULL;
	return n < CO_LIMIT_HOUSED;
}

bool housed_by_itself(const struct session *s)
{
	return s->housed && s->housed->ns.net >= 0;
}

bool housed_by_users(struct daemon *d)
{
	struct session *s, *next;

	HASH_ITER (hh, d->sessions, s, next)
		if (s->housed && s->housed->uids)
			return true;
	return false;
}

const char *housed_owner(struct daemon *d, uid_t uid)
{
	struct session *s, *next;

	HASH_ITER (hh, d->sessions, s, next)
		if (s->housed && uid - s->housed->first_uid < s->housed->uids)
			return s->service;
	return NULL;
}

static bool read_place(const char *metadata, const char *name, struct sockaddr_in *out)
{
	const char *at = strstr(metadata, name);
	char address[INET_ADDRSTRLEN];
	unsigned port;

	*out = (struct sockaddr_in){ .sin_family = AF_INET };
	if (!at || sscanf(at + strlen(name), "%15[0-9.]:%5u", address, &port) != 2 ||
	    port > 65535)
		return false;
	out->sin_port = htons((uint16_t) port);
	return inet_pton(AF_INET, address, &out->sin_addr) == 1;
}

static void carry_again(void *arg, const struct service_instance *instance)
{
	struct session *s = arg;
	struct sockaddr_in from, to;
	struct co_err err = { 0 };

	if (instance->session == s->id &&
	    read_place(instance->spec.metadata, "back=", &from) &&
	    read_place(instance->spec.metadata, "carried=", &to) &&
	    housed_carry(s, &from, &to, &err))
		co_log_session(service, WARN, s->id, s->first_pid,
			       "%s is not reached in its container: %s", s->service,
			       err.message);
}

void housed_restore(struct session *s)
{
	struct netns ns;
	struct co_err err = { 0 };

	if (!s->service[0] || !session_row(s)->container)
		return;
	if (netns_of(s->first_pid, &ns, &err)) {
		co_log_session(service, WARN, s->id, s->first_pid,
			       "%s is not reached in its container: %s", s->service,
			       err.message);
		return;
	}
	house(s, &ns);
	if (housed_by_itself(s))
		registry_each(s->daemon->services.registry, s->service, carry_again, s);
}

void housed_front(struct daemon *d)
{
	struct session *s, *next;

	HASH_ITER (hh, d->sessions, s, next)
		if (s->housed)
			open_room(s);
}

void housed_end(struct session *s)
{
	struct housed *h = s->housed;

	if (!h)
		return;
	s->housed = NULL;
	relay_close(s->daemon->relays, h->relay);
	(void) front_room_free(h->room);
	netns_close(&h->ns);
	free(h);
}

/* ---- ports ---- */

bool housed_shares(const struct session *s, uint16_t port)
{
	const struct names *names = s->daemon->names;

	for (size_t i = 0; i < names_count(names); i++)
		if (names_at(names, i)->port == port)
			return true;
	return port == FRONT_GATEWAY;
}

int housed_share(const struct session *s, int fd)
{
	return netns_share(&s->housed->ns, fd);
}

static bool same_place(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_addr.s_addr == b->sin_addr.s_addr && a->sin_port == b->sin_port;
}

int housed_carry(struct session *s, const struct sockaddr_in *from,
		 const struct sockaddr_in *to, struct co_err *err)
{
	struct daemon *d = s->daemon;
	struct housed *h = s->housed;
	struct relay_spec spec = { .from = *from, .to = *to, .through = &h->ns };
	int r;

	if (h->relay && same_place(&h->from, from) && same_place(&h->to, to))
		return 0;
	if (!d->relays)
		d->relays = relays_new();
	if (!d->relays)
		return co_fail(err, CO_NO_MEMORY, "no memory for connections");
	relay_close(d->relays, h->relay);
	h->relay = NULL;
	r = relay_open(d->relays, &spec, &h->relay, err);
	h->from = *from;
	h->to = *to;
	return r;
}
