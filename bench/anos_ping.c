/* SPDX-License-Identifier: MIT */
/*
 * bench-anos-ping.elf SIZE CALLS: sends that many messages to the channel "PONG" and prints
 * how many ticks of the processor's clock one took, and a sum over all answers.  GUEST.
 */
#include "anos_bench.h"

enum { BATCH = 64, BATCHES = 4096 };

static unsigned char page[4096] __attribute__((aligned(4096)));
static uint64_t batches[BATCHES];

int main(int argc, char **argv)
{
	uint64_t size = argc > 1 ? number(argv[1]) : 0,
		 calls = argc > 2 ? number(argv[2]) : 64;
	uint64_t channel = await_name("PONG");
	uint64_t n = 0, sum = 0;

	for (; n < calls / BATCH && n < BATCHES; n++) {
		uint64_t start = ticks();

		for (uint64_t i = 0; i < BATCH; i++) {
			unsigned char before = page[1];
			uint64_t answer;

			page[0]++;
			answer = send_message(channel, n + 1, size, page).value;
			if (answer != n + 2 ||
			    (size && page[1] != (unsigned char) (before + 1))) {
				kprint("a wrong answer\n");
				return 1;
			}
			sum = sum * 31 + answer + page[1];
		}
		batches[n] = (ticks() - start) / BATCH;
	}
	print("{\"ticks\": ", median(batches, n));
	print(", \"sum\": ", sum);
	kprint("}\n");
	send_message(channel, 0, 0, 0);
	return 0;
}
