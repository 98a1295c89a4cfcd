/* SPDX-License-Identifier: MIT */
/*
 * ring-hostile SECONDS: one port, an honest client, and a hostile one that writes at random
 * over every byte of its segment while it also posts; then a server that does so with its
 * segment and its doorbells.  HOST.  Nobody else may be harmed: the honest client's answers
 * are all right, and nobody crashes or hangs.
 */
#include "pair.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOW_NS = 50000000, PATIENCE_S = 60 };

static uint64_t end_ns;
static int seconds; /* of each case */
static uint32_t
	*ready; /* shared: the attacked one has looked at heads, which were right */

static void until_ready(void)
{
	while (!__atomic_load_n(ready, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static bool is_over(void)
{
	return ring_os_now() > end_ns;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "ring-hostile: %s\n", what);
	_exit(1);
}

/* xorshift */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* ---- a receiver, honest ---- */

static void receive(struct pair *pair)
{
	static uint8_t copy[CO_RING_RUN * CO_RING_PAGE];
	struct ring_message message;
	struct ring_reply reply;
	bool gone;

	if (ring_receive(&pair->port, NULL, NULL, 0, SLOW_NS, &message) != RING_OK)
		return;
	if (message.size > message.slots * CO_RING_PAGE &&
	    (message.flags & CO_RING_PAYLOAD) && !(message.flags & CO_RING_WHOLE))
		fail("a size that is not clamped");
	if (message.flags & CO_RING_WHOLE)
		message.size = CO_RING_PAGE;
	if (message.flags & (CO_RING_PAYLOAD | CO_RING_WHOLE))
		memcpy(copy, message.page, message.size);
	(void) ring_put(&message.server->users); /* nobody is detached */
	if (!ring_answer_begin(message.server, message.cookie, &reply, &gone))
		fail("a message that cannot be answered");
	reply.value = message.tag * 3;
	if (message.flags & CO_RING_WHOLE) {
		copy[7]++;
		ring_page_answer(&reply, copy);
	}
	(void) ring_answer_end(&reply, &gone);
}

/* ---- an honest client: true as long as nothing is wrong ---- */

static uint64_t honest(struct ring_client *client, bool trusted)
{
	static uint8_t page[CO_RING_PAGE];
	uint64_t calls = 0, random = 99;

	while (!is_over()) {
		struct ring_call call = { .tag = ++calls,
					  .flags = CO_RING_PAYLOAD | CO_RING_WHOLE };
		struct ring_answer answer;
		uint8_t before = page[7];
		enum ring_outcome outcome = ring_begin(client, &call, 0);

		if (outcome == RING_FULL && !trusted) {
			(void) ring_room(client, &call, NULL, 0, SLOW_NS);
			continue;
		}
		if (outcome != RING_OK)
			fail("the honest client has no room");
		page[100 + random_next(&random) % 3000]++;
		ring_page_post(client, &call, page);
		ring_post(client, &call);
		outcome = ring_wait(client, &call, NULL, 0,
				    trusted ? PATIENCE_S * 1000000000UL : SLOW_NS / 10,
				    &answer);
		if (outcome != RING_OK) {
			if (trusted)
				fail("the honest client waits for ever");
			ring_cancel(client, &call);
			continue;
		}
		ring_page_back(page, &answer);
		if (trusted &&
		    (answer.status != CO_RING_OK || answer.value != calls * 3 ||
		     page[7] != (uint8_t) (before + 1)))
			fail("the honest client has a wrong answer");
		if (answer.size > CO_RING_PAGE)
			fail("an answer's size that is not clamped");
		ring_end(client, &call);
	}
	return calls;
}

/* ---- who scribbles ---- */

struct scribble {
	uint8_t *from;
	size_t size;
	uint64_t random;
};

/* Everywhere, and most of all where it matters; small numbers, huge ones, single bits. */
static void *scribble(void *argument)
{
	struct scribble *s = argument;

	while (!is_over()) {
		for (int i = 0; i < 1000; i++) {
			uint64_t r = random_next(&s->random);
			size_t room = r & 1                        ? s->size
				      : s->size < 3 * CO_RING_PAGE ? s->size
								   : 3 * CO_RING_PAGE;
			uint8_t *at = s->from + (r >> 8) % (room - 8);
			uint64_t value = random_next(&s->random);

			if (r & 2)
				value &= 0x7f;
			if (r & 4)
				__atomic_store_n((uint64_t *) ((uintptr_t) at & ~7UL),
						 value, __ATOMIC_RELAXED);
			else
				__atomic_store_n(at, (uint8_t) value, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

/* Others scribble there, too. */
#define ANY(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELAXED)

/* Makes entries that are there as far as their tickets tell: otherwise nobody reads them. */
static void *post_nonsense(void *argument)
{
	struct co_ring_client *own = argument;
	uint64_t random = 4711;

	for (uint64_t ticket = 0; !is_over(); ticket++) {
		struct co_ring_entry *entry = &own->entries[ticket % CO_RING_SLOTS];

		ANY(entry->slot, (uint8_t) random_next(&random));
		ANY(entry->slots, (uint8_t) (random_next(&random) % 20));
		ANY(entry->kind, (uint8_t) random_next(&random));
		ANY(entry->flags, (uint16_t) random_next(&random));
		ANY(entry->size, (uint32_t) random_next(&random));
		__atomic_store_n(&entry->ticket, ticket + 1, __ATOMIC_SEQ_CST);
		ring_os_yield();
	}
	return NULL;
}

static pthread_t start(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument) != 0)
		fail("pthread_create");
	return thread;
}

/* ---- the two cases ---- */

static void collect(pid_t child, const char *who)
{
	int status;

	if (waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "ring-hostile: the %s ended with %#x\n", who, status);
		exit(1);
	}
}

static pid_t make(void)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0)
		alarm((unsigned int) seconds + PATIENCE_S * 3);
	return child;
}

static void hostile_client(void)
{
	struct pair *pair = pair_new(2);
	pid_t server, client, enemy;

	pair_inherit(pair);
	end_ns = ring_os_now() + (uint64_t) seconds * 1000000000;
	enemy = make();
	if (enemy == 0) {
		struct co_ring_client *own = pair->clients[1].own_client;
		struct scribble s = { (uint8_t *) own, sizeof(*own), 31337 };
		pthread_t nonsense;

		until_ready();
		nonsense = start(post_nonsense, own);
		(void) scribble(&s);
		pthread_join(nonsense, NULL);
		_exit(0);
	}
	client = make();
	if (client == 0) {
		uint64_t calls;

		pair_open(pair, 0);
		calls = honest(&pair->clients[0].client, true);
		printf("hostile client: %llu calls of the other, all right\n",
		       (unsigned long long) calls);
		fflush(stdout);
		_exit(calls ? 0 : 1);
	}
	server = make();
	if (server == 0) {
		uint64_t over;

		pair_serve(pair);
		__atomic_store_n(ready, 1, __ATOMIC_RELEASE);
		/* somewhat longer, so that the last message is answered */
		for (over = end_ns + 3000000000; ring_os_now() < over;)
			receive(pair);
		_exit(0);
	}
	collect(enemy, "enemy");
	collect(client, "honest client");
	collect(server, "server");
	pair_free(pair);
}

static void hostile_server(void)
{
	struct pair *pair = pair_new(1);
	pid_t client, enemy;

	pair_inherit(pair);
	end_ns = ring_os_now() + (uint64_t) seconds * 1000000000;
	client = make();
	if (client == 0) {
		pair_open(pair, 0);
		__atomic_store_n(ready, 1, __ATOMIC_RELEASE);
		(void) honest(&pair->clients[0].client, false);
		_exit(0);
	}
	until_ready();
	enemy = make();
	if (enemy == 0) {
		struct co_ring_server *own = pair->clients[0].own_server;
		struct scribble s = { (uint8_t *) own, sizeof(*own), 31337 };
		struct scribble page = { (uint8_t *) pair->peer, sizeof(*pair->peer),
					 5 };
		pthread_t bells = start(scribble, &page);

		(void) scribble(&s);
		pthread_join(bells, NULL);
		_exit(0);
	}
	collect(enemy, "enemy");
	collect(client, "client of a hostile server");
	printf("hostile server: its client lives\n");
	pair_free(pair);
}

int main(int argc, char **argv)
{
	seconds = argc > 1 ? (int) strtol(argv[1], NULL, 10) : 2;
	if (seconds < 1)
		return 2;
	ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ready == MAP_FAILED)
		fail("mmap");
	hostile_client();
	*ready = 0;
	hostile_server();
	return 0;
}
