/* SPDX-License-Identifier: MIT */
/*
 * bench-anos-pong.elf [parts]: an Anos program that answers each message of the channel
 * "PONG"; one with tag 0 ends it.  With `parts` it waits until a message is there before it
 * receives it, and prints in the end what receiving and replying took, in ticks.  GUEST.
 */
#include "anos_bench.h"

enum {
	SAMPLES = 4096,
	THERE = 4000 /* ticks, after which the next message has come */
};

static unsigned char page[4096] __attribute__((aligned(4096)));
static uint64_t received[SAMPLES], replied[SAMPLES];

static void wait(uint64_t start)
{
	while (ticks() - start < THERE)
		;
}

int main(int argc, char **argv)
{
	int parts = argc > 1 && equal(argv[1], "parts");
	struct result channel = create_channel();
	uint64_t tag, size, n = 0, begin, middle, end;

	if (channel.type != OK ||
	    register_channel_name(channel.value, "PONG").type != OK) {
		kprint("no channel\n");
		return 1;
	}
	for (;;) {
		struct result message;

		begin = ticks();
		message = recv_message(channel.value, &tag, &size, page);
		middle = ticks();
		if (message.type != OK) {
			kprint("no message\n");
			continue;
		}
		received[n] = middle - begin;
		if (size)
			page[1]++;
		middle = ticks();
		reply_message(message.value, tag + 1);
		end = ticks();
		replied[n] = end - middle;
		if (tag == 0)
			break;
		if (parts) {
			n = n + 1 < SAMPLES ? n + 1 : n;
			wait(end);
		}
	}
	if (parts) {
		print("{\"recv\": ", median(received, n));
		print(", \"reply\": ", median(replied, n));
		kprint("}\n");
	}
	destroy_channel(channel.value);
	return 0;
}
