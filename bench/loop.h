/* SPDX-License-Identifier: MIT */
/*
 * One system call in a loop, timed in batches.  HOST and GUEST programs of the benches.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

enum { LOOP_BATCHES = 101 };

struct loop_times {
	double wall_ns; /* per call, the median of the batches */
	double cpu_ns;  /* the same of this thread's CPU time */
};

/* Fails with -1 and errno when the call itself answers below 0. */
int loop_run(long number, long argument, int calls_per_batch,
	     struct loop_times *out_times);

void loop_print(const struct loop_times *times);

/* The clocks that loop_run reads, for loops of another shape. */
double loop_wall_ns(void);
double loop_cpu_ns(void);

/* The median of values, which it sorts. */
double loop_median(double *values, int count);

#endif
