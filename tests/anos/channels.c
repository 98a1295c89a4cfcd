/* SPDX-License-Identifier: MIT */
/* anos-channels: messages between threads of one program, and all that can be wrong. */
#include "check.h"

enum { PAGE = 4096, MANY = 8, EACH = 2000 };

static unsigned char stacks[MANY][2 * PAGE] __attribute__((aligned(4096)));
static unsigned char page[PAGE] __attribute__((aligned(4096)));
static unsigned char other[PAGE] __attribute__((aligned(4096)));
static unsigned char pages[MANY][PAGE] __attribute__((aligned(4096)));
static volatile uint64_t channel, second;
static volatile int next, done, wrong, sent;
static struct result seen;

static void run(void (*thread)(void))
{
	(void) create_thread(thread, stacks[next] + sizeof(stacks[0]) - 8, NORMAL);
	next = (next + 1) % MANY;
}

static void wait_for(volatile int *what, int n)
{
	while (*what < n)
		(void) task_sleep_current(0);
}

/* ---- vector registers ---- */

static uint64_t vectors[8], vectors_after[8];

/* No code of this program uses xmm0 to xmm3 but these two. */
static void vectors_fill(void)
{
	for (uint64_t i = 0; i < 8; i++)
		vectors[i] = 0x0123456789abcdefUL * (i + 3);
	__asm__ volatile("movups %0, %%xmm0\n\tmovups 16+%0, %%xmm1\n\t"
			 "movups 32+%0, %%xmm2\n\tmovups 48+%0, %%xmm3"
			 :
			 : "m"(vectors));
}

static int vectors_are_kept(void)
{
	int good = 1;

	__asm__ volatile("movups %%xmm0, %0\n\tmovups %%xmm1, 16+%0\n\t"
			 "movups %%xmm2, 32+%0\n\tmovups %%xmm3, 48+%0"
			 : "=m"(vectors_after));
	for (int i = 0; i < 8; i++)
		good &= vectors_after[i] == vectors[i];
	return good;
}

/* ---- a server that does as its messages say ---- */

enum { ADD = 1, FILL, COUNT, ZERO, STOP };

static void serve(void)
{
	unsigned char *buffer = other;
	uint64_t tag, size;

	for (;;) {
		struct result m = recv_message(channel, &tag, &size, buffer);
		uint64_t answer = size + 100;

		if (m.type != OK)
			break;
		if (tag == ADD)
			for (int i = 0; i < PAGE; i++)
				buffer[i]++;
		if (tag == FILL)
			for (int i = 0; i < PAGE; i++)
				buffer[i] = (unsigned char) (i * 7);
		if (tag == ZERO)
			answer = 0;
		(void) reply_message(m.value, answer);
		if (tag == STOP)
			break;
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

static void exchange(void)
{
	int good = 1;

	done = 0;
	channel = create_channel().value;
	run(serve);
	is("a message without a page", send_message(channel, COUNT, 0, 0), OK, 100);
	is("its size is a number", send_message(channel, COUNT, 77, page), OK, 177);
	is("an answer of 0 is a failure", send_message(channel, ZERO, 0, 0), FAILURE,
	   0);
	for (int i = 0; i < PAGE; i++)
		page[i] = (unsigned char) i;
	vectors_fill();
	is("a page", send_message(channel, ADD, PAGE, page), OK, 100 + PAGE);
	check("vector registers are as before", vectors_are_kept());
	for (int i = 0; i < PAGE; i++)
		good &= page[i] == (unsigned char) (i + 1);
	check("comes back as the receiver has left it", good);
	is("26 bytes", send_message(channel, FILL, 26, page), OK, 126);
	for (int i = 0, ok = 1; i < PAGE; i++) {
		ok &= page[i] == (unsigned char) (i * 7);
		good &= ok;
	}
	check("are answered with a whole page", good);
	is("the server is told to stop", send_message(channel, STOP, 0, 0), OK, 100);
	wait_for(&done, 1);
}

/* ---- arguments ---- */

static void arguments(void)
{
	is("send: a buffer that is not aligned", send_message(channel, 1, 8, page + 8),
	   BAD_ARGUMENTS, 0);
	is("send: one of the kernel", send_message(channel, 1, 8, (void *) KERNEL),
	   BAD_ARGUMENTS, 0);
	is("send: more than a page", send_message(channel, 1, PAGE + 1, page), FAILURE,
	   0);
	is("send: no such channel", send_message(12345, 1, 8, page), FAILURE, 0);
	is("send: channel 0", send_message(0, 1, 8, page), FAILURE, 0);
	is("send: size 2^63", send_message(channel, 1, 1UL << 63, page), FAILURE, 0);
	is("recv: a buffer that is not aligned",
	   recv_message(channel, &(uint64_t){ 0 }, &(uint64_t){ 0 }, page + 1),
	   BAD_ARGUMENTS, 0);
	is("recv: the tag to the kernel",
	   recv_message(channel, (void *) KERNEL, &(uint64_t){ 0 }, page),
	   BAD_ARGUMENTS, 0);
	is("recv: no such channel",
	   recv_message(12345, &(uint64_t){ 0 }, &(uint64_t){ 0 }, page), FAILURE, 0);
	is("reply: to nothing", reply_message(0, 1), FAILURE, 0);
	is("reply: to a number", reply_message(0x123456789abcdef, 1), FAILURE, 0);
	is("destroy: what is not there", destroy_channel(4711), OK, 0);
}

/* ---- names ---- */

static void names(void)
{
	static char name[300];
	uint64_t mine = create_channel().value;

	is("a name", register_channel_name(mine, "anos-channels"), OK, 0);
	is("is found", find_named_channel("anos-channels"), OK, mine);
	is("and found again", find_named_channel("anos-channels"), OK, mine);
	is("a name that is taken", register_channel_name(channel, "anos-channels"),
	   BAD_NUMBER, 0);
	is("a name for no channel", register_channel_name(99, "anos-none"), BAD_NUMBER,
	   0);
	is("a name that nobody has", find_named_channel("anos-none"), OK, 0);
	is("to remove it", remove_channel_name("anos-none"), BAD_NAME, 0);
	is("to remove the other", remove_channel_name("anos-channels"), OK, 0);
	is("and it is gone", find_named_channel("anos-channels"), OK, 0);
	is("a name in the kernel", find_named_channel((char *) KERNEL), BAD_ARGUMENTS,
	   0);
	for (int i = 0; i < 299; i++)
		name[i] = 'n';
	is("a name of 299 bytes", register_channel_name(mine, name), OK, 0);
	name[255] = 0;
	is("is the same as its first 255", find_named_channel(name), OK, mine);
	name[254] = 0;
	is("but not as 254 of them", find_named_channel(name), OK, 0);
	is("its channel is destroyed", destroy_channel(mine), OK, 0);
	name[254] = 'n';
	is("and the name is gone with it", find_named_channel(name), OK, 0);
}

/* ---- answering ---- */

static void send_one(void)
{
	int mine = __atomic_fetch_add(&sent, 1, __ATOMIC_SEQ_CST);

	pages[mine][0] = (unsigned char) mine;
	seen = send_message(channel, (uint64_t) mine, 1, pages[mine]);
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

static void answers(void)
{
	uint64_t tag, size;
	struct result m;

	channel = create_channel().value;
	done = sent = 0;
	run(send_one);
	m = recv_message(channel, &tag, &size, (void *) 0xa0000000);
	check("a message to where there was no memory",
	      m.type == OK && size == 1 && *(unsigned char *) 0xa0000000 == 0);
	*(unsigned char *) 0xa0000000 = 42;
	is("an answer of somebody else's", reply_message(m.value ^ 1, 1), FAILURE, 0);
	is("the answer", reply_message(m.value, 5), OK, m.value);
	is("once more", reply_message(m.value, 6), FAILURE, 0);
	wait_for(&done, 1);
	is("the sender has the first", seen, OK, 5);
	check("and what was written", pages[0][0] == 42);
}

static void memory(void)
{
	uint64_t tag, size;
	struct result m;

	done = sent = 0;
	(void) map_virtual(PAGE, 0xb0000000, READ);
	run(send_one);
	is("a receiver's buffer that cannot be written",
	   recv_message(channel, &tag, &size, (void *) 0xb0000000), BAD_ARGUMENTS, 0);
	wait_for(&done, 1);
	is("and its sender fails", seen, FAILURE, 0);
	is("a sender's buffer where there is nothing",
	   send_message(channel, 1, 5, (void *) 0xb1000000), FAILURE, 0);
	done = sent = 0;
	run(send_one);
	m = recv_message(channel, &tag, &size, (void *) 0xa0000000);
	(void) unmap_virtual(PAGE, 0xa0000000);
	is("a page that has vanished when it is answered", reply_message(m.value, 9),
	   OK, m.value);
	wait_for(&done, 1);
	is("is answered as it was", seen, OK, 9);
	check("with nothing changed", pages[0][0] == 0);
}

/* ---- the end of channels ---- */

static void receive_one(void)
{
	uint64_t tag, size;

	__atomic_fetch_add(&sent, 1, __ATOMIC_SEQ_CST);
	seen = recv_message(second, &tag, &size, other);
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

static void ends(void)
{
	uint64_t tag, size;
	struct result m;

	second = create_channel().value;
	done = sent = 0;
	run(receive_one);
	wait_for(&sent, 1);
	(void) task_sleep_current(20000000); /* most likely it waits by now */
	is("a channel that somebody receives from is destroyed",
	   destroy_channel(second), OK, 0);
	wait_for(&done, 1);
	check("the receiver fails", seen.type == FAILURE);
	is("nobody can send to it", send_message(second, 1, 0, 0), FAILURE, 0);
	is("nor receive", recv_message(second, &tag, &size, page), FAILURE, 0);

	channel = create_channel().value;
	done = sent = 0;
	run(send_one);
	run(send_one);
	m = recv_message(channel, &tag, &size, page);
	wait_for(&sent, 2);
	(void) task_sleep_current(20000000);
	is("a channel with a message that waits, and one received, is destroyed",
	   destroy_channel(channel), OK, 0);
	wait_for(&done, 1);
	check("who waited fails", seen.type == FAILURE);
	seen.type = 1;
	is("the other may still be answered", reply_message(m.value, 8), OK, m.value);
	wait_for(&done, 2);
	is("and is", seen, OK, 8);
}

/* ---- many ---- */

/* So large that what is left in rax is never a call that no filter sees (programs.sh). */
enum { FIRST = 1100 };

static void adder(void)
{
	int mine = __atomic_fetch_add(&sent, 1, __ATOMIC_SEQ_CST);

	for (int i = FIRST; i < FIRST + EACH; i++) {
		unsigned char before = pages[mine][PAGE - 1];
		uint64_t size = (uint64_t) (i % 3 ? i % PAGE + 1 : 0);
		struct result r =
			send_message(channel, (uint64_t) i + 10, size, pages[mine]);

		if (r.type != OK || r.value != (uint64_t) i + 11 + size ||
		    (size && pages[mine][PAGE - 1] != (unsigned char) (before + 1)))
			wrong++;
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

static void add(void)
{
	int mine = __atomic_fetch_add(&sent, 1, __ATOMIC_SEQ_CST);
	uint64_t tag, size;
	struct result m;

	while ((m = recv_message(channel, &tag, &size, pages[mine])).type == OK) {
		pages[mine][PAGE - 1]++;
		(void) reply_message(m.value, tag + 1 + size);
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	(void) kill_current_task();
}

static void many(void)
{
	channel = create_channel().value;
	done = sent = wrong = 0;
	for (int i = 0; i < 3; i++)
		run(add);
	wait_for(&sent, 3);
	for (int i = 0; i < 4; i++)
		run(adder);
	wait_for(&done, 4);
	check("four senders and three receivers: each has its own answers", !wrong);
	is("the channel is destroyed", destroy_channel(channel), OK, 0);
	wait_for(&done, 7);
	check("and all receivers have heard of it", 1);
}

int main(void)
{
	exchange();
	arguments();
	names();
	answers();
	memory();
	ends();
	many();
	return 0;
}
