/* SPDX-License-Identifier: MIT */
/* Threads on stacks of one page: three count, the first waits for them. */
#include "anos.h"

enum { COUNTERS = 3, PAGE = 4096, MANY = 100000 };

static unsigned char stacks[COUNTERS][PAGE] __attribute__((aligned(4096)));
static volatile int counted, ended;

/* A thread has no argument, and nowhere to return to. */
static void count(void)
{
	for (int i = 0; i < MANY; i++)
		__atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
	kill_current_task();
}

int main(void)
{
	for (int i = 0; i < COUNTERS; i++) {
		void *top = stacks[i] + PAGE - 8; /* as functions expect it */

		if (create_thread(count, top, NORMAL).type != OK)
			return 1;
	}
	while (ended < COUNTERS)
		task_sleep_current(10000000);
	kprint(counted == COUNTERS * MANY ? "three threads have counted to 300000\n"
					  : "they have miscounted\n");
	return 0;
}
