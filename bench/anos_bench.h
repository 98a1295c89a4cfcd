/* SPDX-License-Identifier: MIT */
/* GUEST.  What the Anos programs of the benches share: numbers, read and printed. */
#ifndef BENCH_ANOS_H
#define BENCH_ANOS_H

#include <examples/anos/anos.h>

static inline uint64_t number(const char *text)
{
	uint64_t n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + (uint64_t) (*text++ - '0');
	return n;
}

/* `words`, and the number behind them. */
static inline void print(const char *words, uint64_t n)
{
	char text[24];
	char *at = text + sizeof(text) - 1;

	*at = 0;
	do
		*--at = (char) ('0' + n % 10);
	while (n /= 10);
	kprint(words);
	kprint(at);
}

static inline int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* The middle one; sorts them by insertion. */
static inline uint64_t median(uint64_t *numbers, uint64_t n)
{
	for (uint64_t i = 1; i < n; i++) {
		uint64_t value = numbers[i], at = i;

		for (; at > 0 && numbers[at - 1] > value; at--)
			numbers[at] = numbers[at - 1];
		numbers[at] = value;
	}
	return numbers[n / 2];
}

static inline uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* Waits for who registers it. */
static inline uint64_t await_name(const char *name)
{
	for (;;) {
		struct result channel = find_named_channel(name);

		if (channel.value)
			return channel.value;
		task_sleep_current(20000000);
	}
}

#endif
