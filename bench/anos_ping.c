/* SPDX-License-Identifier: MIT */
/*
 * bench-anos-ping.elf SIZE CALLS: sends that many messages to the channel "PONG" and prints
 * how many ticks of the processor's clock one took.  GUEST.
 */
#include <examples/anos/anos.h>

enum { BATCH = 64, BATCHES = 4096 };

static unsigned char page[4096] __attribute__((aligned(4096)));
static uint64_t batches[BATCHES];

static uint64_t number(const char *text)
{
	uint64_t n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + (uint64_t) (*text++ - '0');
	return n;
}

static void print(uint64_t n)
{
	char text[24];
	char *at = text + sizeof(text) - 1;

	*at = 0;
	do
		*--at = (char) ('0' + n % 10);
	while (n /= 10);
	kprint(at);
}

/* Sorts by insertion into order; the middle one counts. */
static uint64_t median(uint64_t n)
{
	for (uint64_t i = 1; i < n; i++) {
		uint64_t value = batches[i], at = i;

		for (; at > 0 && batches[at - 1] > value; at--)
			batches[at] = batches[at - 1];
		batches[at] = value;
	}
	return batches[n / 2];
}

int main(int argc, char **argv)
{
	uint64_t size = argc > 1 ? number(argv[1]) : 0,
		 calls = argc > 2 ? number(argv[2]) : 64;
	struct result channel;
	uint64_t n = 0;

	do {
		channel = find_named_channel("PONG");
		if (!channel.value)
			task_sleep_current(20000000);
	} while (!channel.value);
	for (; n < calls / BATCH && n < BATCHES; n++) {
		uint64_t start = __builtin_ia32_rdtsc();

		for (uint64_t i = 0; i < BATCH; i++) {
			unsigned char before = page[1];

			page[0]++;
			if (send_message(channel.value, n + 1, size, page).value !=
				    n + 2 ||
			    (size && page[1] != (unsigned char) (before + 1))) {
				kprint("a wrong answer\n");
				return 1;
			}
		}
		batches[n] = (__builtin_ia32_rdtsc() - start) / BATCH;
	}
	kprint("{\"ticks\": ");
	print(median(n));
	kprint("}\n");
	send_message(channel.value, 0, 0, 0);
	return 0;
}
