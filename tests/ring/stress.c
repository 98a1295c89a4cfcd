/* SPDX-License-Identifier: MIT */
/*
 * ring-stress SECONDS [SEED]: processes and threads that send and receive everything at once,
 * in random order.  HOST.  Several receivers of one port, several threads of each client;
 * sizes, classes, cancelled and asynchronous messages by chance.  The receivers' last net is
 * as long as patience: a wake-up that is lost hangs the test, and fails it.
 */
#include "pair.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLIENTS = 3, THREADS = 3, RECEIVERS = 3, PATIENCE_S = 60, OFTEN = 1000001 };

#define PATIENCE (PATIENCE_S * 1000000000UL)

static struct pair *pair;
static struct {
	uint64_t calls, cancelled, async, received;
	uint32_t over;
} * shared;
static uint64_t end_ns;
static unsigned int seed = 1;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "ring-stress: %s (seed %u)\n", what, seed);
	_exit(1);
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint8_t expected(uint64_t tag, uint32_t i)
{
	return (uint8_t) (tag * 31 + i);
}

/* ---- receivers ---- */

static void answer(struct ring_message *message, uint8_t *copy)
{
	struct ring_reply reply;
	bool gone;

	if (message->flags & CO_RING_PAYLOAD)
		memcpy(copy, message->page, message->size);
	(void) ring_put(&message->server->users); /* nobody is detached */
	if (!ring_answer_begin(message->server, message->cookie, &reply, &gone))
		fail("a message that cannot be answered");
	if (ring_answer_begin(message->server, message->cookie, &reply, &gone))
		fail("a message that can be answered twice");
	for (uint32_t i = 0; (message->flags & CO_RING_PAYLOAD) && i < message->size;
	     i++) {
		/* of one that was cancelled the page may be another's by now */
		reply.page[i] = (uint8_t) (copy[i] + 1);
	}
	reply.value = message->tag + 7;
	reply.size = message->size;
	reply.flags = message->flags;
	(void) ring_answer_end(&reply, &gone);
}

static void *receive(void *argument)
{
	uint8_t *copy = malloc(CO_RING_RUN * CO_RING_PAGE);
	struct ring_message message;

	(void) argument;
	if (!copy)
		fail("no memory");
	for (;;) {
		enum ring_outcome outcome =
			ring_receive(&pair->port, NULL, NULL, 0, 0, &message);

		if (outcome == RING_DEAD)
			break;
		if (outcome != RING_OK)
			fail("a receiver that ends");
		__atomic_fetch_add(&shared->received, 1, __ATOMIC_RELAXED);
		answer(&message, copy);
	}
	free(copy);
	return NULL;
}

/* ---- clients ---- */

static void check(const struct ring_call *call, const struct ring_answer *got)
{
	if (got->status != CO_RING_OK || got->value != call->tag + 7 ||
	    got->size != call->size)
		fail("a wrong answer");
	for (uint32_t i = 0; (call->flags & CO_RING_PAYLOAD) && i < call->size; i++)
		if (got->page[i] != (uint8_t) (expected(call->tag, i) + 1))
			fail("a wrong byte");
}

static void one(struct ring_client *client, uint64_t *random)
{
	uint64_t r = random_next(random);
	struct ring_call call = { .tag = r >> 16, .kind = (uint8_t) (r & 3) };
	struct ring_answer got;

	if (r & 4) {
		call.flags = CO_RING_PAYLOAD;
		call.size = (uint32_t) (random_next(random) % (r & 8 ? 100 : 20000));
	}
	if ((r & 0x1f0) == 0)
		call.flags |= CO_RING_ASYNC;
	while (ring_begin(client, &call, 0) != RING_OK)
		if (ring_room(client, &call, NULL, 0, PATIENCE) == RING_TIMEOUT)
			fail("there is never any room");
	for (uint32_t i = 0; (call.flags & CO_RING_PAYLOAD) && i < call.size; i++)
		call.page[i] = expected(call.tag, i);
	/* long and short ways to the answer: sleep at once, or stay awake */
	__atomic_store_n(&client->pace.spin_missed, r & 0x200 ? OFTEN : 0,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&client->pace.yield_missed, r & 0x200 ? OFTEN : 0,
			 __ATOMIC_RELAXED);
	ring_post(client, &call);
	__atomic_fetch_add(&shared->calls, 1, __ATOMIC_RELAXED);
	if (call.flags & CO_RING_ASYNC)
		return;
	if ((r & 0xfc00) == 0) {
		__atomic_fetch_add(&shared->cancelled, 1, __ATOMIC_RELAXED);
		ring_cancel(client, &call);
		return;
	}
	if (ring_wait(client, &call, NULL, 0, PATIENCE, &got) != RING_OK)
		fail("an answer that never comes");
	check(&call, &got);
	ring_end(client, &call);
}

struct sender {
	struct ring_client *client;
	uint64_t random;
};

static void *send_all(void *argument)
{
	struct sender *s = argument;

	while (ring_os_now() < end_ns)
		one(s->client, &s->random);
	return NULL;
}

static pthread_t start(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument) != 0)
		fail("pthread_create");
	return thread;
}

static void run_client(uint32_t number)
{
	struct sender senders[THREADS];
	pthread_t threads[THREADS];

	pair_open(pair, number);
	for (uint32_t i = 0; i < THREADS; i++) {
		senders[i].client = &pair->clients[number].client;
		senders[i].random = seed * 7919UL + number * 101 + i + 1;
		threads[i] = start(send_all, &senders[i]);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void run_server(void)
{
	pthread_t threads[RECEIVERS];

	pair_serve(pair);
	pair->port.pace.spin_missed = pair->port.pace.yield_missed = OFTEN;
	for (int i = 0; i < RECEIVERS; i++)
		threads[i] = start(receive, NULL);
	while (!__atomic_load_n(&shared->over, __ATOMIC_ACQUIRE))
		usleep(10000);
	ring_port_stop(&pair->port);
	for (int i = 0; i < RECEIVERS; i++)
		pthread_join(threads[i], NULL);
}

static void collect(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "ring-stress: a process ended with %#x (seed %u)\n",
			status, seed);
		exit(1);
	}
}

static pid_t make(int seconds)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0)
		alarm((unsigned int) seconds + PATIENCE_S * 3);
	return child;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? (int) strtol(argv[1], NULL, 10) : 2;
	pid_t server, clients[CLIENTS];

	seed = argc > 2 ? (unsigned int) strtoul(argv[2], NULL, 10)
			: (unsigned int) getpid();
	if (seconds < 1)
		return 2;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
	pair = pair_new(CLIENTS);
	pair_inherit(pair);
	pair_patience_ns = PATIENCE * 2;
	end_ns = ring_os_now() + (uint64_t) seconds * 1000000000;
	server = make(seconds);
	if (server == 0) {
		run_server();
		_exit(0);
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		clients[i] = make(seconds);
		if (clients[i] == 0) {
			run_client(i);
			_exit(0);
		}
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		collect(clients[i]);
	__atomic_store_n(&shared->over, 1, __ATOMIC_RELEASE);
	collect(server);
	printf("%llu calls, %llu of them cancelled; %llu received; seed %u\n",
	       (unsigned long long) shared->calls,
	       (unsigned long long) shared->cancelled,
	       (unsigned long long) shared->received, seed);
	if (shared->received + shared->cancelled < shared->calls)
		fail("messages that were never received");
	pair_free(pair);
	return 0;
}
