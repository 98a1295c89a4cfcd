/* SPDX-License-Identifier: MIT */
/*
 * Segments, kernel calls with hooks.  HOST, tests only.
 */
#include "pair.h"

#include <ring/segment.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* the real ones, under other names */
long real_wait(void *context, const uint32_t *word, uint32_t expected,
	       const uint32_t *kick, uint32_t kick_expected, uint64_t timeout_ns);
long real_wake(const uint32_t *word, uint32_t count);
void real_yield(void);
uint64_t real_now(void);
#define ring_os_wait  real_wait
#define ring_os_wake  real_wake
#define ring_os_yield real_yield
#define ring_os_now   real_now
#include <ring/os_host.c>
#undef ring_os_wait
#undef ring_os_wake
#undef ring_os_yield
#undef ring_os_now

void (*pair_before_sleep)(void *argument);
void *pair_before_sleep_argument;
uint64_t pair_patience_ns;
uint32_t pair_sleeps;

long ring_os_wait(void *context, const uint32_t *word, uint32_t expected,
		  const uint32_t *kick, uint32_t kick_expected, uint64_t timeout_ns)
{
	void (*hook)(void *) = __atomic_load_n(&pair_before_sleep, __ATOMIC_ACQUIRE);

	if (hook)
		hook(pair_before_sleep_argument);
	__atomic_fetch_add(&pair_sleeps, 1, __ATOMIC_SEQ_CST);
	if (pair_patience_ns && timeout_ns > 60000000)
		timeout_ns = pair_patience_ns;
	return real_wait(context, word, expected, kick, kick_expected, timeout_ns);
}

long ring_os_wake(const uint32_t *word, uint32_t count)
{
	return real_wake(word, count);
}

void ring_os_yield(void)
{
	real_yield();
}

uint64_t ring_os_now(void)
{
	return real_now();
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(99);
}

static struct pair *current;

static struct ring_server *find(uint32_t number)
{
	return number < current->count ? &current->servers[number] : NULL;
}

static void *segment(const char *name, size_t size, int *out_fd)
{
	void *map = ring_segment_new(name, size, out_fd);

	if (!map)
		die(name);
	return map;
}

static const void *other(int fd, size_t size)
{
	const void *map = ring_segment_map(fd, size);

	if (!map)
		die("ring_segment_map");
	return map;
}

void pair_serve(struct pair *pair)
{
	if (ring_port_open(&pair->port, pair->peer, 7, pair->table, PAIR_CLIENTS, find,
			   0x1234567) != RING_OK)
		die("ring_port_open");
	for (uint32_t i = 0; i < pair->count; i++) {
		struct pair_client *client = &pair->clients[i];

		if (ring_attach(&pair->port, &pair->servers[i], i, client->own_server,
				other(client->client_fd,
				      sizeof(struct co_ring_client))) != RING_OK)
			die("ring_attach");
	}
}

void pair_open(struct pair *pair, uint32_t number)
{
	struct pair_client *client = &pair->clients[number];

	client->client.control =
		other(pair->control_fd, sizeof(struct co_ring_control));
	if (ring_client_open(&client->client, client->own_client,
			     other(client->server_fd, sizeof(struct co_ring_server)),
			     other(pair->peer_fd, sizeof(struct co_ring_peer)),
			     7) != RING_OK)
		die("ring_client_open");
}

struct pair *pair_new(uint32_t clients)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	size_t bytes = PAIR_CLIENTS * sizeof(struct ring_server);

	if (!pair)
		die("calloc");
	pair->servers = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pair->servers == MAP_FAILED)
		die("mmap");
	current = pair;
	pair->count = clients;
	pair->peer = segment("peer", sizeof(*pair->peer), &pair->peer_fd);
	ring_peer_format(pair->peer, 1);
	pair->control = segment("control", sizeof(*pair->control), &pair->control_fd);
	for (uint32_t i = 0; i < clients; i++) {
		struct pair_client *client = &pair->clients[i];

		client->own_client = segment("client", sizeof(*client->own_client),
					     &client->client_fd);
		client->own_server = segment("server", sizeof(*client->own_server),
					     &client->server_fd);
		ring_client_format(client->own_client, 1);
		ring_server_format(client->own_server, 1);
	}
	return pair;
}

void pair_inherit(struct pair *pair)
{
	if (madvise(pair->peer, sizeof(*pair->peer), MADV_DOFORK) != 0 ||
	    madvise(pair->control, sizeof(*pair->control), MADV_DOFORK) != 0)
		die("madvise");
	for (uint32_t i = 0; i < pair->count; i++) {
		struct pair_client *client = &pair->clients[i];

		if (madvise(client->own_client, sizeof(*client->own_client),
			    MADV_DOFORK) != 0 ||
		    madvise(client->own_server, sizeof(*client->own_server),
			    MADV_DOFORK) != 0)
			die("madvise");
	}
}

void pair_kick(struct pair *pair)
{
	__atomic_fetch_add(&pair->control->kick, 1, __ATOMIC_SEQ_CST);
	(void) real_wake(&pair->control->kick, INT32_MAX); /* whoever sleeps */
}

void pair_free(struct pair *pair)
{
	for (uint32_t i = 0; i < pair->count; i++) {
		struct pair_client *client = &pair->clients[i];

		if (client->client.server)
			munmap((void *) (uintptr_t) client->client.server,
			       sizeof(struct co_ring_server));
		if (client->client.control)
			munmap((void *) (uintptr_t) client->client.control,
			       sizeof(struct co_ring_control));
		if (pair->servers[i].client)
			munmap((void *) (uintptr_t) pair->servers[i].client,
			       sizeof(struct co_ring_client));
		munmap(client->own_client, sizeof(*client->own_client));
		munmap(client->own_server, sizeof(*client->own_server));
		close(client->client_fd);
		close(client->server_fd);
	}
	munmap(pair->peer, sizeof(*pair->peer));
	munmap(pair->control, sizeof(*pair->control));
	munmap(pair->servers, PAIR_CLIENTS * sizeof(struct ring_server));
	close(pair->peer_fd);
	close(pair->control_fd);
	free(pair);
	pair_before_sleep = NULL;
	pair_patience_ns = 0;
}
