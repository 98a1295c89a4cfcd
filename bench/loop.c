/* SPDX-License-Identifier: MIT */
/*
 * The timing loop shared by the benches, so that the two sides of a ratio differ in the
 * call alone.  HOST and GUEST; called by notify_call.c, notify_bare.c, trap_call.c and launch.c.
 */
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now_ns(clockid_t clock)
{
	struct timespec now;

	(void) clock_gettime(clock, &now); /* these clocks always exist */
	return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *) a;
	double right = *(const double *) b;

	return (left > right) - (left < right);
}

double loop_wall_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

double loop_cpu_ns(void)
{
	return now_ns(CLOCK_THREAD_CPUTIME_ID);
}

double loop_median(double *values, int count)
{
	qsort(values, (size_t) count, sizeof(values[0]), by_value);
	return values[count / 2];
}

int loop_run(long number, long argument, int calls_per_batch,
	     struct loop_times *out_times)
{
	double wall[LOOP_BATCHES];
	double cpu[LOOP_BATCHES];

	if (syscall(number, argument) < 0)
		return -1;
	for (int batch = 0; batch < LOOP_BATCHES; batch++) {
		double cpu_start = now_ns(CLOCK_THREAD_CPUTIME_ID);
		double wall_start = now_ns(CLOCK_MONOTONIC);

		for (int i = 0; i < calls_per_batch; i++) {
			if (syscall(number, argument) < 0)
				return -1;
		}
		wall[batch] = (now_ns(CLOCK_MONOTONIC) - wall_start) / calls_per_batch;
		cpu[batch] =
			(now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start) / calls_per_batch;
	}
	out_times->wall_ns = loop_median(wall, LOOP_BATCHES);
	out_times->cpu_ns = loop_median(cpu, LOOP_BATCHES);
	return 0;
}

void loop_print(const struct loop_times *times)
{
	printf("{\"wall_ns\": %.2f, \"cpu_ns\": %.2f}\n", times->wall_ns,
	       times->cpu_ns);
}
