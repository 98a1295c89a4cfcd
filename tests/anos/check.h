/* SPDX-License-Identifier: MIT */
/* What the test programs for Anos share: a line for each thing that is so, or is not. */
#ifndef CHECK_H
#define CHECK_H

#include "anos.h"

static inline void say(const char *first, const char *second)
{
	kprint(first);
	kprint(second);
	kputchar('\n');
}

static inline void say_number(const char *what, uint64_t number)
{
	static const char digits[] = "0123456789abcdef";
	char text[17];
	int at = 16;

	text[16] = 0;
	do
		text[--at] = digits[number & 15];
	while (number >>= 4);
	say(what, text + at);
}

static inline void check(const char *what, int holds)
{
	say(holds ? "ok: " : "NOT OK: ", what);
}

/* Did a call end so? */
static inline void is(const char *what, struct result got, int64_t type, uint64_t value)
{
	if (got.type == type && got.value == value) {
		say("ok: ", what);
		return;
	}
	say("NOT OK: ", what);
	say_number("  type ", (uint64_t) got.type);
	say_number("  value ", got.value);
}

static inline uint64_t cycles(void)
{
	return __builtin_ia32_rdtsc();
}

/* The slowest processors that count these have a thousand in a microsecond. */
enum { CYCLES_PER_US = 1000 };

#define KERNEL 0xffff800000000000UL

#endif
