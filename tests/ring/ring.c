/* SPDX-License-Identifier: MIT */
/*
 * unit-ring: what a ring promises to both of its sides.  HOST.
 */
#include "../run.h"
#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <ring/segment.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 30000000000UL /* ns: longer than any machine is busy */

static struct pair *pair;
static struct ring_client *client;

static void set_up(void)
{
	pair = pair_new(2);
	pair_serve(pair);
	pair_open(pair, 0);
	pair_open(pair, 1);
	client = &pair->clients[0].client;
}

static void tear_down(void)
{
	pair_free(pair);
}

/* ---- short words ---- */

static struct ring_call post(struct ring_client *from, uint64_t tag, uint16_t flags,
			     uint32_t size)
{
	struct ring_call call = { .tag = tag, .flags = flags, .size = size, .tid = 77 };

	ck_assert_int_eq(ring_begin(from, &call, 0), RING_OK);
	ring_post(from, &call);
	return call;
}

static struct ring_message receive(void)
{
	struct ring_message message;

	ck_assert_int_eq(ring_receive(&pair->port, NULL, pair->control,
				      pair->control->kick, PATIENCE, &message),
			 RING_OK);
	ck_assert(!ring_put(&message.server->users));
	return message;
}

static bool nothing_to_receive(void)
{
	struct ring_message message;

	return ring_receive(&pair->port, NULL, NULL, 0, 1, &message) == RING_TIMEOUT;
}

static bool reply(struct ring_server *server, uint64_t cookie, uint64_t value)
{
	struct ring_reply answer;
	bool gone;

	if (!ring_answer_begin(server, cookie, &answer, &gone))
		return false;
	answer.value = value;
	(void) ring_answer_end(&answer, &gone);
	ck_assert(!gone);
	return true;
}

static struct ring_answer await(struct ring_client *from, struct ring_call *call)
{
	struct ring_answer answer;

	ck_assert_int_eq(
		ring_wait(from, call, NULL, pair->control->kick, PATIENCE, &answer),
		RING_OK);
	return answer;
}

static bool is_answered(struct ring_client *from, struct ring_call *call)
{
	struct ring_answer answer;

	return ring_wait(from, call, NULL, pair->control->kick, 1, &answer) == RING_OK;
}

/* A receiver of its own that answers each message with its tag plus one, until the port
 * stops; echoes payloads with one added to each byte. */
static void *echo(void *argument)
{
	static uint8_t copies[8][CO_RING_RUN * CO_RING_PAGE];
	static uint32_t used;
	uint8_t *copy = copies[__atomic_fetch_add(&used, 1, __ATOMIC_SEQ_CST) % 8];
	struct ring_message message;

	(void) argument;
	for (;;) {
		enum ring_outcome outcome = ring_receive(
			&pair->port, NULL, pair->control,
			__atomic_load_n(&pair->control->kick, __ATOMIC_ACQUIRE), 0,
			&message);
		struct ring_reply answer;
		bool gone;

		if (outcome == RING_DEAD)
			return NULL;
		if (outcome != RING_OK)
			continue;
		if (message.flags & CO_RING_PAYLOAD)
			memcpy(copy, message.page, message.size);
		(void) ring_put(&message.server->users); /* detached by nobody here */
		if (!ring_answer_begin(message.server, message.cookie, &answer, &gone))
			abort();
		for (uint32_t i = 0;
		     (message.flags & CO_RING_PAYLOAD) && i < message.size; i++)
			answer.page[i] = (uint8_t) (copy[i] + 1);
		answer.value = message.tag + 1;
		answer.size = message.size;
		answer.flags = message.flags;
		answer.type = message.type;
		(void) ring_answer_end(&answer, &gone);
	}
}

static void stop(pthread_t thread)
{
	ring_port_stop(&pair->port);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* ---- messages ---- */

START_TEST(a_message_of_any_size_and_its_answer_arrive_whole)
{
	static const uint32_t sizes[] = { 0,    1,     63,    64,    4095, 4096,
					  4097, 12288, 50000, 65535, 65536 };
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, echo, NULL), 0);
	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		struct ring_call call = { .tag = 1000 + n,
					  .size = sizes[n],
					  .type = (uint8_t) n,
					  .flags = CO_RING_PAYLOAD };
		struct ring_answer answer;

		ck_assert_int_eq(ring_begin(client, &call, 0), RING_OK);
		for (uint32_t i = 0; i < sizes[n]; i++)
			call.page[i] = (uint8_t) (i * 7 + n);
		ring_post(client, &call);
		answer = await(client, &call);
		ck_assert_uint_eq(answer.status, CO_RING_OK);
		ck_assert_uint_eq(answer.value, 1001 + n);
		ck_assert_uint_eq(answer.size, sizes[n]);
		ck_assert_uint_eq(answer.type, n);
		for (uint32_t i = 0; i < sizes[n]; i++)
			ck_assert_uint_eq(answer.page[i], (uint8_t) (i * 7 + n + 1));
		ring_end(client, &call);
	}
	ck_assert_uint_eq(client->busy, 0);
	stop(thread);
}
END_TEST

START_TEST(a_message_tells_who_sent_what)
{
	struct ring_call call = { .tag = 5,
				  .trace = 6,
				  .size = 1234567,
				  .flags = CO_RING_WHOLE,
				  .tid = 8,
				  .type = 9,
				  .kind = 2 };
	struct ring_message message;

	ck_assert_int_eq(ring_begin(&pair->clients[1].client, &call, 0), RING_OK);
	ring_post(&pair->clients[1].client, &call);
	message = receive();
	ck_assert_ptr_eq(message.server, &pair->servers[1]);
	ck_assert_uint_eq(message.tag, 5);
	ck_assert_uint_eq(message.trace, 6);
	ck_assert_uint_eq(message.size, 1234567); /* but a number */
	ck_assert_uint_eq(message.tid, 8);
	ck_assert_uint_eq(message.type, 9);
	ck_assert_uint_eq(message.kind, 2);
	ck_assert_uint_eq(ring_cookie_number(message.cookie), 1);
	ck_assert_uint_ne(message.sent, 0);
}
END_TEST

START_TEST(a_message_beyond_a_run_is_refused_to_its_sender)
{
	struct ring_call call = { .size = CO_RING_RUN * CO_RING_PAGE + 1,
				  .flags = CO_RING_PAYLOAD };

	ck_assert_int_eq(ring_begin(client, &call, 0), RING_STRANGE);
	call.size = 10;
	ck_assert_int_eq(ring_begin(client, &call, CO_RING_RUN * CO_RING_PAGE + 1),
			 RING_STRANGE);
	ck_assert_int_eq(ring_begin(client, &call, 8192), RING_OK);
	ck_assert_uint_eq(call.slots, 2);
}
END_TEST

/* The sender's page after an answer is the receiver's, however little of it has changed. */
START_TEST(a_whole_page_comes_back_as_the_receiver_left_it)
{
	static uint8_t there[4096], copy[4096];
	unsigned int seed = 1;

	for (int round = 0; round < 3000; round++) {
		struct ring_call call = { .flags = CO_RING_PAYLOAD | CO_RING_WHOLE };
		struct ring_message message;
		struct ring_reply answer;
		struct ring_answer seen;
		bool gone;
		/* little, much, everything; for long enough to change the way */
		int changes = round % 300 < 100 ? 3 : round % 300 < 200 ? 90 : 4096;

		for (int i = 0; i < changes; i++)
			there[changes == 4096 ? i : rand_r(&seed) % 4096] =
				(uint8_t) rand_r(&seed);
		ck_assert_int_eq(ring_begin(client, &call, 0), RING_OK);
		ring_page_post(client, &call, there);
		ring_post(client, &call);
		message = receive();
		memcpy(copy, message.page, sizeof(copy));
		ck_assert_mem_eq(copy, there, sizeof(copy));
		changes = (round / 100) % 4 == 3 ? 4096 : round % 7;
		for (int i = 0; i < changes; i++)
			copy[changes == 4096 ? i : rand_r(&seed) % 4096] =
				(uint8_t) rand_r(&seed);
		ck_assert(ring_answer_begin(message.server, message.cookie, &answer,
					    &gone));
		ring_page_answer(&answer, copy);
		(void) ring_answer_end(&answer, &gone);
		seen = await(client, &call);
		ck_assert_uint_eq(seen.size, 4096);
		ring_page_back(there, &seen);
		ck_assert_mem_eq(there, copy, sizeof(copy));
		ring_end(client, &call);
	}
}
END_TEST

START_TEST(what_has_not_changed_is_not_written_again)
{
	static uint8_t buffer[4096];
	uint64_t lines = 0;

	for (int round = 0; round < 2; round++) {
		struct ring_call call = { .flags = CO_RING_PAYLOAD | CO_RING_WHOLE };
		struct ring_message message;
		struct ring_reply answer;
		struct ring_answer seen;
		bool gone;

		buffer[100] = (uint8_t) round;
		ck_assert_int_eq(ring_begin(client, &call, 0), RING_OK);
		ring_page_post(client, &call, buffer);
		ring_post(client, &call);
		message = receive();
		ck_assert(ring_answer_begin(message.server, message.cookie, &answer,
					    &gone));
		buffer[4095]++;
		ring_page_answer(&answer, buffer);
		(void) ring_answer_end(&answer, &gone);
		seen = await(client, &call);
		lines = seen.lines;
		ring_end(client, &call);
	}
	ck_assert_uint_eq(lines, 1UL << 63);
}
END_TEST

/* ---- answering ---- */

START_TEST(a_message_is_answered_once_and_by_its_cookie_only)
{
	struct ring_call call = post(client, 1, 0, 0);
	struct ring_message message = receive();

	ck_assert(!reply(message.server, 0, 9));
	ck_assert(!reply(message.server, message.cookie ^ 1, 9));
	ck_assert(!reply(message.server, message.cookie ^ (1UL << 42), 9));
	ck_assert(!reply(&pair->servers[1], message.cookie, 9));
	ck_assert(!is_answered(client, &call));
	ck_assert(reply(message.server, message.cookie, 3));
	ck_assert(!reply(message.server, message.cookie, 4));
	ck_assert_uint_eq(await(client, &call).value, 3);
	ring_end(client, &call);

	/* the same slot's next message has another */
	call = post(client, 2, 0, 0);
	ck_assert(!reply(message.server, message.cookie, 5));
	ck_assert_uint_eq(receive().tag, 2);
	ck_assert(!reply(message.server, message.cookie, 5));
	ck_assert(!is_answered(client, &call));
}
END_TEST

START_TEST(answers_find_their_message_in_any_order)
{
	struct ring_call calls[CO_RING_SLOTS];
	struct ring_message messages[CO_RING_SLOTS];

	for (uint32_t i = 0; i < CO_RING_SLOTS; i++)
		calls[i] = post(client, i, 0, 0);
	for (uint32_t i = 0; i < CO_RING_SLOTS; i++)
		messages[i] = receive();
	for (uint32_t i = 0; i < CO_RING_SLOTS; i++) {
		uint32_t other = (i * 29 + 3) % CO_RING_SLOTS;

		ck_assert(reply(messages[other].server, messages[other].cookie,
				messages[other].tag + 100));
	}
	for (uint32_t i = 0; i < CO_RING_SLOTS; i++) {
		ck_assert_uint_eq(await(client, &calls[i]).value, i + 100);
		ring_end(client, &calls[i]);
	}
	ck_assert_uint_eq(client->busy, 0);
	ck_assert_uint_eq(pair->servers[0].busy, 0);
}
END_TEST

START_TEST(higher_classes_are_received_first_and_each_in_its_order)
{
	static const uint8_t kinds[] = { 1, 0, 3, 2, 1, 3, 0, 255 };
	static const uint64_t expected[] = { 2, 5, 7, 3, 0, 4, 1, 6 };

	for (uint64_t i = 0; i < sizeof(kinds); i++) {
		struct ring_call call = { .tag = i, .kind = kinds[i] };

		ck_assert_int_eq(ring_begin(client, &call, 0), RING_OK);
		ring_post(client, &call);
	}
	for (size_t i = 0; i < sizeof(kinds); i++)
		ck_assert_uint_eq(receive().tag, expected[i]);
}
END_TEST

START_TEST(a_message_of_the_lowest_class_is_not_kept_waiting_for_ever)
{
	struct ring_call call = { .tag = 1000, .kind = 0 };
	int received = 0;

	ck_assert_int_eq(ring_begin(&pair->clients[1].client, &call, 0), RING_OK);
	ring_post(&pair->clients[1].client, &call);
	for (;;) {
		struct ring_call busy = { .kind = 3 };
		struct ring_message message;

		ck_assert_int_eq(ring_begin(client, &busy, 0), RING_OK);
		ring_post(client, &busy);
		message = receive();
		if (message.tag == 1000)
			break;
		ck_assert(reply(message.server, message.cookie, 1));
		(void) await(client, &busy);
		ring_end(client, &busy);
		ck_assert_int_lt(++received, 1000);
	}
}
END_TEST

START_TEST(clients_are_served_in_turn)
{
	for (uint64_t i = 0; i < 20; i++)
		(void) post(client, i, 0, 0);
	(void) post(&pair->clients[1].client, 1000, 0, 0);
	for (int i = 0; i < 21; i++) {
		if (receive().tag == 1000)
			return;
	}
	ck_abort_msg("the second client's message never came");
}
END_TEST

/* ---- slots ---- */

START_TEST(a_full_connection_says_so_until_something_is_answered)
{
	struct ring_call calls[CO_RING_SLOTS];
	struct ring_call more = { 0 };
	struct ring_message message;

	for (uint32_t i = 0; i < CO_RING_SLOTS; i++)
		calls[i] = post(client, i, 0, 0);
	ck_assert_int_eq(ring_begin(client, &more, 0), RING_FULL);
	ck_assert_int_eq(ring_room(client, &more, NULL, 0, 1000000), RING_TIMEOUT);
	message = receive();
	ck_assert(reply(message.server, message.cookie, 0));
	ck_assert_int_eq(ring_begin(client, &more, 0), RING_FULL);
	(void) await(client, &calls[0]);
	ring_end(client, &calls[0]);
	ck_assert_int_eq(ring_room(client, &more, NULL, 0, PATIENCE), RING_OK);
	ck_assert_int_eq(ring_begin(client, &more, 0), RING_OK);
	ck_assert_uint_eq(client->own->counts.depth_max, CO_RING_SLOTS);
}
END_TEST

static void *end_one(void *argument)
{
	struct ring_message message = receive();

	ck_assert(reply(message.server, message.cookie, 0));
	(void) await(client, argument);
	ring_end(client, argument);
	return NULL;
}

START_TEST(who_waits_for_room_is_woken_when_there_is)
{
	struct ring_call calls[CO_RING_SLOTS];
	struct ring_call more = { 0 };
	pthread_t thread;

	for (uint32_t i = 0; i < CO_RING_SLOTS; i++)
		calls[i] = post(client, i, 0, 0);
	ck_assert_int_eq(ring_begin(client, &more, 0), RING_FULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, end_one, &calls[0]), 0);
	while (ring_begin(client, &more, 0) != RING_OK)
		ck_assert_int_eq(ring_room(client, &more, NULL, 0, PATIENCE), RING_OK);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(nobody_waits_for_asynchronous_messages_and_they_are_not_lost)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct ring_message message;

		(void) post(client, i, CO_RING_ASYNC, 0);
		message = receive();
		ck_assert_uint_eq(message.tag, i);
		ck_assert(message.flags & CO_RING_ASYNC);
		ck_assert(reply(message.server, message.cookie, 0));
	}
	for (uint64_t i = 0; i < CO_RING_SLOTS - 1; i++)
		(void) post(client, i, CO_RING_ASYNC, 0);
	for (uint64_t i = 0; i < CO_RING_SLOTS - 1; i++)
		ck_assert_uint_eq(receive().tag, i);
}
END_TEST

START_TEST(a_cancelled_message_is_not_delivered_and_its_slot_comes_back)
{
	struct ring_call first = post(client, 1, 0, 0);
	struct ring_call second = post(client, 2, 0, 0);
	struct ring_message message;

	ring_cancel(client, &first);
	message = receive();
	ck_assert_uint_eq(message.tag, 2);
	ck_assert(nothing_to_receive());

	/* one that has been delivered is answered to nobody */
	ring_cancel(client, &second);
	ck_assert(reply(message.server, message.cookie, 1));
	for (uint32_t i = 0; i < CO_RING_SLOTS; i++)
		(void) post(client, i, 0, 0);
	for (uint32_t i = 0; i < CO_RING_SLOTS; i++)
		ck_assert_uint_eq(receive().tag, i);
}
END_TEST

/* ---- the end of things ---- */

START_TEST(what_a_detached_connection_had_is_gone_and_its_last_user_is_told_once)
{
	struct ring_call held = post(client, 1, 0, 0);
	struct ring_message message;
	struct ring_reply answer;
	bool gone;

	(void) held;
	ck_assert_int_eq(ring_receive(&pair->port, NULL, NULL, 0, PATIENCE, &message),
			 RING_OK);
	(void) post(client, 2, 0, 0);
	(void) post(&pair->clients[1].client, 3, 0, 0);
	(void) post(client, 4, 0, 0);
	ck_assert(!ring_detach(&pair->servers[0])); /* the message's page is in use */
	ck_assert(
		!ring_answer_begin(&pair->servers[0], message.cookie, &answer, &gone));
	ck_assert(!gone);
	ck_assert(ring_put(&message.server->users));
	ck_assert_uint_eq(receive().tag, 3);
	ck_assert(nothing_to_receive());
}
END_TEST

START_TEST(pending_messages_of_a_detached_connection_are_forgotten)
{
	static const uint64_t tags[] = { 10, 11 };

	for (int i = 0; i < 3; i++)
		(void) post(client, 1, 0, 0);
	(void) post(&pair->clients[1].client, 9, 0, 0);
	(void) post(&pair->clients[1].client, tags[0], 0, 0);
	(void) post(&pair->clients[1].client, tags[1], 0, 0);
	while (receive().tag != 9)
		;
	ck_assert(ring_detach(&pair->servers[0]));
	ck_assert_uint_eq(receive().tag, tags[0]);
	ck_assert_uint_eq(receive().tag, tags[1]);
	ck_assert(nothing_to_receive());
}
END_TEST

START_TEST(a_stopped_port_ends_its_receivers_and_refuses_what_is_pending)
{
	struct ring_call first = post(client, 1, 0, 0);
	struct ring_call second = post(client, 2, 0, 0);
	struct ring_message held = receive();
	struct ring_message message;
	pthread_t thread;

	ring_port_stop(&pair->port);
	ck_assert_int_eq(ring_receive(&pair->port, NULL, NULL, 0, 0, &message),
			 RING_DEAD);
	ring_port_refuse(&pair->port);
	ck_assert_uint_eq(await(client, &second).status, CO_RING_CLOSED);
	ck_assert(reply(held.server, held.cookie, 8)); /* may still be answered */
	ck_assert_uint_eq(await(client, &first).value, 8);
	ck_assert_int_eq(pthread_create(&thread, NULL, echo, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static void *wait_for_ever(void *argument)
{
	struct ring_answer answer;

	return (void *) (uintptr_t) ring_wait(client, argument, NULL,
					      pair->control->kick, 0, &answer);
}

/* Until somebody has gone to sleep since then. */
static void until_asleep(uint32_t before)
{
	while (__atomic_load_n(&pair_sleeps, __ATOMIC_SEQ_CST) == before)
		usleep(1000);
}

START_TEST(a_kick_wakes_sender_and_receiver_and_they_can_go_on)
{
	struct ring_message message;
	struct ring_call call;
	pthread_t thread;
	void *outcome;
	uint32_t asleep = pair_sleeps;

	/* a receiver: `echo` would go on, so see it by hand */
	ck_assert_int_eq(ring_receive(&pair->port, NULL, pair->control,
				      pair->control->kick + 1, 0, &message),
			 RING_KICKED);
	call = post(client, 1, 0, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_ever, &call), 0);
	until_asleep(asleep);
	pair_kick(pair);
	ck_assert_int_eq(pthread_join(thread, &outcome), 0);
	ck_assert_uint_eq((uintptr_t) outcome, RING_KICKED);
	message = receive();
	ck_assert(reply(message.server, message.cookie, 5));
	ck_assert_uint_eq(await(client, &call).value, 5);
}
END_TEST

static void *receive_once(void *argument)
{
	struct ring_message message;

	(void) argument;
	return (void *) (uintptr_t) ring_receive(&pair->port, NULL, pair->control,
						 pair->control->kick, 0, &message);
}

START_TEST(a_sleeping_receiver_is_kicked)
{
	uint32_t asleep = pair_sleeps;
	pthread_t thread;
	void *outcome;

	pair_patience_ns = PATIENCE;
	ck_assert_int_eq(pthread_create(&thread, NULL, receive_once, NULL), 0);
	until_asleep(asleep);
	pair_kick(pair);
	ck_assert_int_eq(pthread_join(thread, &outcome), 0);
	ck_assert_uint_eq((uintptr_t) outcome, RING_KICKED);
	ck_assert_uint_eq(pair->peer->bells[7].sleepers, 0);
}
END_TEST

START_TEST(who_waits_for_an_answer_of_a_dead_receiver_hears_of_it)
{
	uint32_t asleep = pair_sleeps;
	struct ring_call call = post(client, 1, 0, 0);
	pthread_t thread;
	void *outcome;

	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_ever, &call), 0);
	until_asleep(asleep);
	ck_assert(ring_client_stop(client));
	pair_kick(pair);
	ck_assert_int_eq(pthread_join(thread, &outcome), 0);
	ck_assert_uint_eq((uintptr_t) outcome, RING_DEAD);
	ck_assert_int_eq(ring_begin(client, &call, 0), RING_DEAD);
}
END_TEST

/* ---- waking ---- */

/* Sleeps are as long as patience: a bell that is not heard fails the test. */
START_TEST(a_sleeping_receiver_in_another_process_is_woken_through_a_read_only_mapping)
{
	struct pair *own = pair_new(1);
	pid_t child;
	int status;

	pair_patience_ns = PATIENCE;
	pair_inherit(own);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct ring_message message;
		struct ring_reply answer;
		bool gone;

		pair_serve(own);
		for (int i = 0; i < 20; i++) {
			if (ring_receive(&own->port, NULL, NULL, 0, 0, &message) !=
				    RING_OK ||
			    !ring_answer_begin(message.server, message.cookie, &answer,
					       &gone))
				_exit(1);
			answer.value = message.tag;
			(void) ring_answer_end(&answer, &gone);
		}
		_exit(0);
	}
	pair_open(own, 0);
	client = &own->clients[0].client;
	for (uint64_t i = 0; i < 20; i++) {
		struct ring_call call;
		uint64_t start;

		while (__atomic_load_n(&client->bell->sleepers, __ATOMIC_SEQ_CST) == 0)
			usleep(100);
		usleep(2000); /* most likely asleep by now; if not, it is another case */
		start = ring_os_now();
		call = post(client, i, 0, 0);
		ck_assert_uint_eq(await(client, &call).value, i);
		ck_assert_uint_lt(ring_os_now() - start, PATIENCE);
		ring_end(client, &call);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_gt(client->own->counts.wakes, 0);
}
END_TEST

static struct ring_call late;

/* After the receiver's last look and before it sleeps. */
static void post_late(void *argument)
{
	(void) argument;
	__atomic_store_n(&pair_before_sleep, NULL, __ATOMIC_RELEASE);
	late = post(client, 42, 0, 0);
}

static void *wait_late(void *argument)
{
	(void) argument;
	while (!__atomic_load_n(&late.seq, __ATOMIC_ACQUIRE))
		usleep(100);
	ck_assert_uint_eq(await(client, &late).value, 43);
	return NULL;
}

START_TEST(a_message_between_the_last_look_and_the_sleep_is_not_lost)
{
	struct ring_message message;
	pthread_t thread;
	uint64_t start;

	late = (struct ring_call){ 0 };
	pair_patience_ns = PATIENCE;
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_late, NULL), 0);
	pair_before_sleep = post_late;
	start = ring_os_now();
	message = receive();
	ck_assert_uint_lt(ring_os_now() - start, PATIENCE);
	ck_assert_uint_eq(message.tag, 42);
	ck_assert(reply(message.server, message.cookie, 43));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* ---- what a neighbour may write ---- */

START_TEST(segments_cannot_be_written_by_others_nor_change_their_size)
{
	char path[64];
	int fd = pair->clients[0].client_fd;
	int again;

	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
			 MAP_FAILED);
	ck_assert_int_ne(ftruncate(fd, 0), 0);
	ck_assert_int_ne(ftruncate(fd, 1 << 20), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR);
	ck_assert_int_ge(again, 0);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0),
			 MAP_FAILED);
	ck_assert_int_ne(mprotect((void *) (uintptr_t) pair->servers[0].client, 4096,
				  PROT_READ | PROT_WRITE),
			 0);
	close(again);
}
END_TEST

START_TEST(a_segment_without_its_seals_or_of_another_size_is_not_mapped)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, sizeof(struct co_ring_peer)), 0);
	ck_assert_ptr_null(ring_segment_map(fd, sizeof(struct co_ring_peer)));
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, CO_RING_SEALS & ~F_SEAL_SEAL), 0);
	ck_assert_ptr_null(ring_segment_map(fd, sizeof(struct co_ring_peer)));
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	ck_assert_ptr_null(ring_segment_map(fd, sizeof(struct co_ring_peer) * 2));
	ck_assert_ptr_nonnull(ring_segment_map(fd, sizeof(struct co_ring_peer)));
	close(fd);
}
END_TEST

START_TEST(segments_of_another_version_or_kind_are_refused)
{
	struct ring_client fresh = { 0 };
	struct ring_server server = { 0 };
	struct co_ring_client *own = pair->clients[0].own_client;

	ck_assert_int_eq(ring_client_open(&fresh, own, client->server, pair->peer,
					  CO_RING_BELLS),
			 RING_STRANGE);
	pair->peer->version++;
	ck_assert_int_eq(ring_client_open(&fresh, own, client->server, pair->peer, 7),
			 RING_STRANGE);
	pair->peer->version--;
	pair->clients[0].own_server->mark++;
	ck_assert_int_eq(ring_client_open(&fresh, own, client->server, pair->peer, 7),
			 RING_STRANGE);
	own->version++;
	ck_assert_int_eq(ring_attach(&pair->port, &server, 5,
				     pair->clients[0].own_server,
				     pair->servers[0].client),
			 RING_STRANGE);
	own->version--;
	ck_assert_int_eq(ring_attach(&pair->port, &server, RING_NUMBERS,
				     pair->clients[0].own_server,
				     pair->servers[0].client),
			 RING_STRANGE);
}
END_TEST

/* An entry as a program writes it that does not use our code. */
static void forge(uint32_t slot, uint32_t slots, uint32_t size, uint8_t kind)
{
	uint64_t ticket = client->ticket++;
	struct co_ring_entry *entry =
		&pair->clients[0].own_client->entries[ticket % CO_RING_SLOTS];

	entry->slot = (uint8_t) slot;
	entry->slots = (uint8_t) slots;
	entry->size = size;
	entry->kind = kind;
	entry->seq = 1;
	entry->flags = CO_RING_PAYLOAD;
	entry->tag = 666;
	__atomic_store_n(&entry->ticket, ticket + 1, __ATOMIC_SEQ_CST);
}

START_TEST(entries_that_point_outside_are_dropped_and_the_next_is_served)
{
	forge(64, 1, 0, 0);
	forge(255, 255, 0, 0);
	forge(60, 5, 0, 0);
	forge(0, 0, 0, 0);
	forge(0, CO_RING_RUN + 1, 0, 0);
	(void) post(client, 1, 0, 0);
	ck_assert_uint_eq(receive().tag, 1);
	ck_assert_uint_eq(pair->servers[0].own->counts.errors, 5);
}
END_TEST

START_TEST(a_slot_is_not_taken_twice)
{
	struct ring_message message;

	forge(3, 2, 10, 0);
	forge(4, 1, 10, 0); /* in the middle of the other */
	forge(2, 2, 10, 0);
	message = receive();
	ck_assert_uint_eq(message.tag, 666);
	ck_assert(nothing_to_receive());
	ck_assert(reply(message.server, message.cookie, 0));
	forge(4, 1, 10, 0);
	ck_assert_uint_eq(receive().tag, 666);
}
END_TEST

START_TEST(lengths_are_clamped_on_both_sides)
{
	struct ring_call call = post(client, 1, CO_RING_PAYLOAD, 10);
	struct ring_message message;
	struct ring_answer answer;

	pair->clients[0].own_client->entries[0].size = UINT32_MAX;
	pair->clients[0].own_client->entries[0].kind = 200;
	message = receive();
	ck_assert_uint_eq(message.size, CO_RING_PAGE);
	ck_assert(reply(message.server, message.cookie, 0));
	pair->servers[0].own->answers[call.slot].size = UINT32_MAX;
	answer = await(client, &call);
	ck_assert_uint_eq(answer.size, CO_RING_PAGE);
}
END_TEST

/* ---- what others may see ---- */

START_TEST(counts_tell_what_has_happened)
{
	const struct co_ring_client *seen = pair->servers[0].client;
	const struct co_ring_server *server = client->server;
	uint64_t there = 0, back = 0;

	for (int i = 0; i < 5; i++) {
		struct ring_call call = post(client, 1, CO_RING_PAYLOAD, 100);
		struct ring_message message = receive();

		ck_assert(reply(message.server, message.cookie, 1));
		(void) await(client, &call);
		ring_end(client, &call);
	}
	for (uint32_t i = 0; i < CO_RING_BUCKETS; i++) {
		there += seen->latency[i];
		back += server->latency[i];
	}
	ck_assert_uint_eq(seen->counts.messages, 5);
	/* one after the other: all of them in the first slot */
	ck_assert_uint_eq(seen->slots[0].answers, 5);
	ck_assert_uint_eq(seen->slots[0].bytes, 500);
	ck_assert_uint_eq(server->counts.messages, 5);
	ck_assert_uint_eq(server->counts.answers, 5);
	ck_assert_uint_eq(server->consumed, 5);
	ck_assert_uint_eq(there, 5);
	ck_assert_uint_eq(back, 5);
}
END_TEST

START_TEST(messages_are_captured_only_while_somebody_asks)
{
	struct co_ring_capture *capture = calloc(1, sizeof(*capture));
	struct ring_call call;
	struct ring_message message;

	ck_assert_ptr_nonnull(capture);
	ring_capture_format(capture, 1);
	client->capture = capture;
	pair->servers[0].capture = capture;
	pair->servers[0].control = pair->control;
	client->connection = 99;
	call = post(client, 1, 0, 0);
	ck_assert_uint_eq(capture->next, 0);
	pair->control->flags = CO_RING_CAPTURE;
	message = receive();
	ck_assert(reply(message.server, message.cookie, 7));
	(void) await(client, &call);
	call = (struct ring_call){ .tag = 3, .size = 5, .flags = CO_RING_PAYLOAD };
	ck_assert_int_eq(ring_begin(client, &call, 0), RING_OK);
	memcpy(call.page, "hello", 5);
	ring_post(client, &call);
	ck_assert_uint_eq(capture->next, 4);
	ck_assert_uint_eq(capture->records[0].event, CO_RING_EVENT_RECEIVE);
	ck_assert_uint_eq(capture->records[1].event, CO_RING_EVENT_REPLY);
	ck_assert_uint_eq(capture->records[1].tag, 7);
	ck_assert_uint_eq(capture->records[2].event, CO_RING_EVENT_ANSWER);
	ck_assert_uint_eq(capture->records[3].event, CO_RING_EVENT_POST);
	ck_assert_uint_eq(capture->records[3].connection, 99);
	ck_assert_uint_eq(capture->records[3].size, 5);
	ck_assert_mem_eq(capture->records[3].data, "hello", 5);
	ck_assert_uint_eq(capture->records[3].number, 4);
	free(capture);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ring");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_message_of_any_size_and_its_answer_arrive_whole);
	tcase_add_test(tc, a_message_tells_who_sent_what);
	tcase_add_test(tc, a_message_beyond_a_run_is_refused_to_its_sender);
	tcase_add_test(tc, a_whole_page_comes_back_as_the_receiver_left_it);
	tcase_add_test(tc, what_has_not_changed_is_not_written_again);
	tcase_add_test(tc, a_message_is_answered_once_and_by_its_cookie_only);
	tcase_add_test(tc, answers_find_their_message_in_any_order);
	tcase_add_test(tc, higher_classes_are_received_first_and_each_in_its_order);
	tcase_add_test(tc, a_message_of_the_lowest_class_is_not_kept_waiting_for_ever);
	tcase_add_test(tc, clients_are_served_in_turn);
	tcase_add_test(tc, a_full_connection_says_so_until_something_is_answered);
	tcase_add_test(tc, who_waits_for_room_is_woken_when_there_is);
	tcase_add_test(tc,
		       nobody_waits_for_asynchronous_messages_and_they_are_not_lost);
	tcase_add_test(tc,
		       a_cancelled_message_is_not_delivered_and_its_slot_comes_back);
	tcase_add_test(
		tc,
		what_a_detached_connection_had_is_gone_and_its_last_user_is_told_once);
	tcase_add_test(tc, pending_messages_of_a_detached_connection_are_forgotten);
	tcase_add_test(tc,
		       a_stopped_port_ends_its_receivers_and_refuses_what_is_pending);
	tcase_add_test(tc, a_kick_wakes_sender_and_receiver_and_they_can_go_on);
	tcase_add_test(tc, a_sleeping_receiver_is_kicked);
	tcase_add_test(tc, who_waits_for_an_answer_of_a_dead_receiver_hears_of_it);
	tcase_add_test(
		tc,
		a_sleeping_receiver_in_another_process_is_woken_through_a_read_only_mapping);
	tcase_add_test(tc, a_message_between_the_last_look_and_the_sleep_is_not_lost);
	tcase_add_test(tc, segments_cannot_be_written_by_others_nor_change_their_size);
	tcase_add_test(tc,
		       a_segment_without_its_seals_or_of_another_size_is_not_mapped);
	tcase_add_test(tc, segments_of_another_version_or_kind_are_refused);
	tcase_add_test(tc,
		       entries_that_point_outside_are_dropped_and_the_next_is_served);
	tcase_add_test(tc, a_slot_is_not_taken_twice);
	tcase_add_test(tc, lengths_are_clamped_on_both_sides);
	tcase_add_test(tc, counts_tell_what_has_happened);
	tcase_add_test(tc, messages_are_captured_only_while_somebody_asks);
	return run_tests(tc);
}
