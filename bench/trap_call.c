/* SPDX-License-Identifier: MIT */
/*
 * bench-trap-call KIND BATCHES CALLS: what one call costs at a site of this program's own,
 * where `mov $number, %eax` stands right before the two bytes, as in a C library.  GUEST;
 * bench/run starts it natively, under the trap engine and under its peers.
 *
 *	passthrough   getppid: the engine lets it through where it is
 *	dispatch      prctl(PR_GET_DUMPABLE): prctl has a handler, which says KERNEL
 *	answered      io_uring_setup: a handler answers without the kernel
 */
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { BATCHES_MAX = 1000 };

/* One site per kind: `number` is a constant of the instruction, not a variable. */
#define SITE(name, number, first)                                                      \
	static __attribute__((noinline)) long name(void)                               \
	{                                                                              \
		long result;                                                           \
                                                                                       \
		__asm__ volatile("mov %[nr], %%eax\n\tsyscall"                         \
				 : "=a"(result)                                        \
				 : [nr] "i"(number), "D"(first), "S"(0L), "d"(0L)      \
				 : "rcx", "r11", "memory");                            \
		return result;                                                         \
	}

SITE(call_passthrough, SYS_getppid, 0L)
SITE(call_dispatch, SYS_prctl, (long) PR_GET_DUMPABLE)
SITE(call_answered, SYS_io_uring_setup, 0L)

static const struct kind {
	const char *name;
	long (*call)(void);
} kinds[] = {
	{ "passthrough", call_passthrough },
	{ "dispatch", call_dispatch },
	{ "answered", call_answered },
};

static int measure(const struct kind *kind, int batches, int calls)
{
	static double wall[BATCHES_MAX];
	static double cpu[BATCHES_MAX];
	struct loop_times times;
	long first = kind->call();

	/* the first calls of a site trap until it is patched */
	for (int i = 0; i < 100; i++) {
		if (kind->call() != first) {
			fprintf(stderr, "bench-trap-call: %s answers differently\n",
				kind->name);
			return 1;
		}
	}
	for (int batch = 0; batch < batches; batch++) {
		double cpu_start = loop_cpu_ns();
		double wall_start = loop_wall_ns();

		for (int i = 0; i < calls; i++)
			(void) kind->call(); /* compared above */
		wall[batch] = (loop_wall_ns() - wall_start) / calls;
		cpu[batch] = (loop_cpu_ns() - cpu_start) / calls;
	}
	times.wall_ns = loop_median(wall, batches);
	times.cpu_ns = loop_median(cpu, batches);
	loop_print(&times);
	return 0;
}

int main(int argc, char **argv)
{
	int batches = argc == 4 ? atoi(argv[2]) : 0;
	int calls = argc == 4 ? atoi(argv[3]) : 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (batches > 0 && batches <= BATCHES_MAX && calls > 0 &&
		    strcmp(argv[1], kinds[i].name) == 0)
			return measure(&kinds[i], batches, calls);
	}
	fputs("usage: bench-trap-call passthrough|dispatch|answered BATCHES CALLS\n",
	      stderr);
	return 2;
}
