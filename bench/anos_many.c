/* SPDX-License-Identifier: MIT */
/*
 * bench-anos-many.elf KIND NUMBER [CALLS]: channels by the dozen.  GUEST.  KIND:
 *
 *	find      looks up a name NUMBER times; ticks of one
 *	fresh     NUMBER channels, one after the other: two messages on each, answered
 *	open      sends those, to a receiver that sleeps; ticks of the first and the second
 *	serve     NUMBER threads, each with a channel; a message with tag 0 ends one
 *	call      NUMBER threads, each with CALLS messages for one of those; ticks of all
 *	hold      receives NUMBER messages and answers none
 *	blocked   NUMBER threads send those; the tick at which the last is free again
 *	create    NUMBER channels, and sleeps
 */
#include "anos_bench.h"

enum { MOST = 64, PAGE = 4096, STACK = 2 * PAGE, SAMPLES = 256 };
#define SECOND_NS 1000000000UL

/* In these ticks a thread that is about to receive has come to sleep. */
enum { ASLEEP = 4000000 };

static unsigned char stacks[MOST][STACK] __attribute__((aligned(4096)));
static unsigned char page[PAGE] __attribute__((aligned(4096)));
static uint64_t samples[SAMPLES], again[SAMPLES];
static uint64_t many, calls, shared_channel;
static volatile uint64_t ready, done, failed, last;

/* "MANY-0" and so on. */
static const char *name_of(char *name, uint64_t n)
{
	const char *from = "MANY-";
	char *to = name;

	while (*from)
		*to++ = *from++;
	*to++ = (char) ('0' + n / 10);
	*to++ = (char) ('0' + n % 10);
	*to = 0;
	return name;
}

static uint64_t own_number(void)
{
	return __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
}

static void finish(void)
{
	uint64_t now = ticks(), before = last;

	while (before < now &&
	       !__atomic_compare_exchange_n(&last, &before, now, 0, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

/* One that ends may have the name still. */
static void take_name(uint64_t channel, const char *name)
{
	while (register_channel_name(channel, name).type != OK)
		(void) task_sleep_current(10000000);
}

/* Starts `many` threads, waits until all of them have ended. */
static void in_threads(void (*run)(void))
{
	for (uint64_t i = 0; i < many; i++)
		if (create_thread(run, stacks[i] + STACK - 8, NORMAL).type != OK) {
			kprint("no thread\n");
			return;
		}
	while (done < many)
		(void) task_sleep_current(10000000);
}

/* ---- what KIND says ---- */

static void find(void)
{
	uint64_t n = 0;

	take_name(create_channel().value, "bench-find");
	for (; n < SAMPLES; n++) {
		uint64_t start = ticks();

		for (uint64_t i = 0; i < many; i++)
			if (!find_named_channel("bench-find").value)
				failed++;
		samples[n] = (ticks() - start) / many;
	}
	print("{\"ticks\": ", median(samples, n));
	print(", \"failed\": ", failed);
	kprint("}\n");
}

static void fresh(void)
{
	for (uint64_t i = 0; i < many; i++) {
		uint64_t channel = create_channel().value, tag, size;
		struct result message;

		take_name(channel, "FRESH");
		for (int n = 0; n < 2; n++) {
			message = recv_message(channel, &tag, &size, page);
			(void) reply_message(message.value, tag);
		}
		(void) remove_channel_name("FRESH");
		(void) destroy_channel(channel);
	}
}

static uint64_t sent_to_sleeper(uint64_t channel)
{
	uint64_t start = ticks();

	while (ticks() - start < ASLEEP)
		;
	start = ticks();
	if (send_message(channel, 5, 0, 0).value != 5)
		failed++;
	return ticks() - start;
}

static void open(void)
{
	uint64_t before = 0, some = many < SAMPLES ? many : SAMPLES;

	for (uint64_t n = 0; n < many && n < SAMPLES; n++) {
		uint64_t channel;

		while ((channel = find_named_channel("FRESH").value) == before ||
		       !channel)
			(void) task_sleep_current(10000000);
		before = channel;
		samples[n] = sent_to_sleeper(channel);
		again[n] = sent_to_sleeper(channel);
	}
	print("{\"first\": ", median(samples, some));
	print(", \"second\": ", median(again, some));
	print(", \"failed\": ", failed);
	kprint("}\n");
}

static void serve_one(void)
{
	char name[16];
	uint64_t channel = create_channel().value, tag, size;

	take_name(channel, name_of(name, own_number()));
	do {
		struct result message = recv_message(channel, &tag, &size, 0);

		if (message.type != OK)
			break;
		(void) reply_message(message.value, tag + 1);
	} while (tag);
	finish();
}

static void call_one(void)
{
	char name[16];
	uint64_t own = own_number(), channel = await_name(name_of(name, own));

	(void) send_message(channel, 1, 0, 0); /* the connection is open */
	__atomic_fetch_add(&shared_channel, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared_channel, __ATOMIC_SEQ_CST) < many)
		(void) task_sleep_current(0);
	if (own == 0)
		samples[0] = ticks();
	for (uint64_t i = 1; i <= calls; i++)
		if (send_message(channel, i, 0, 0).value != i + 1)
			__atomic_fetch_add(&failed, 1, __ATOMIC_SEQ_CST);
	finish();
}

static void call(void)
{
	char name[16];

	in_threads(call_one);
	print("{\"ticks\": ", last - samples[0]);
	print(", \"failed\": ", failed);
	kprint("}\n");
	for (uint64_t i = 0; i < many; i++)
		(void) send_message(await_name(name_of(name, i)), 0, 0, 0);
}

static void hold(void)
{
	uint64_t channel = create_channel().value, tag, size;

	take_name(channel, "HOLD");
	for (uint64_t i = 0; i < many; i++)
		(void) recv_message(channel, &tag, &size, page);
	kprint("held\n");
	for (;;)
		(void) task_sleep_current(SECOND_NS);
}

static void block_one(void)
{
	if (send_message(shared_channel, 7, 0, 0).type != FAILURE)
		__atomic_fetch_add(&failed, 1, __ATOMIC_SEQ_CST);
	finish();
}

static void blocked(void)
{
	shared_channel = await_name("HOLD");
	in_threads(block_one);
	print("{\"tick\": ", last);
	print(", \"failed\": ", failed);
	kprint("}\n");
}

static void create(void)
{
	for (uint64_t i = 0; i < many; i++)
		if (create_channel().type != OK)
			failed++;
	print("{\"failed\": ", failed);
	kprint("}\n");
	for (;;)
		(void) task_sleep_current(SECOND_NS);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";

	many = argc > 2 ? number(argv[2]) : 1;
	calls = argc > 3 ? number(argv[3]) : 1;
	if (equal(kind, "find"))
		find();
	else if (equal(kind, "fresh"))
		fresh();
	else if (equal(kind, "open"))
		open();
	else if (equal(kind, "create"))
		create();
	else if (many > MOST)
		kprint("too many\n");
	else if (equal(kind, "serve"))
		in_threads(serve_one);
	else if (equal(kind, "call"))
		call();
	else if (equal(kind, "hold"))
		hold();
	else if (equal(kind, "blocked"))
		blocked();
	else
		kprint("no such kind\n");
	return 0;
}
