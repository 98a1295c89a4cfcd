/* SPDX-License-Identifier: MIT */
/*
 * A struct co_host for tests: a virtual clock, a loop that is turned by hand.  HOST.
 * Time only moves by fake_advance.  Worker jobs run in fake_turn unless held back.
 */
#ifndef CO_TESTS_FAKE_HOST_H
#define CO_TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "cloudosd/service/host.h"

struct fake_host {
	struct co_host host;
	uint64_t now_ms;
	uint64_t random_next; /* what random answers; then goes up by one */
	bool hold_work;       /* offloaded work waits */
	int refuse_work;      /* what offload answers instead */
	struct co_timer *timers;
	struct co_watch *watches;
	struct fake_task *posts, *work;
};

void fake_init(struct fake_host *fake);
/* Fails the test when timers, watches, posts or work are left. */
void fake_done(struct fake_host *fake);

/* One turn of the loop: posts, work, descriptors (waits up to 10 ms real time if nothing
 * was ready), timers that are due.  False if nothing happened. */
bool fake_turn(struct fake_host *fake);

/* Turns until nothing happens any more. */
void fake_settle(struct fake_host *fake);

/* Moves the clock, timer by timer, settling after each. */
void fake_advance(struct fake_host *fake, uint64_t ms);

size_t fake_timers(const struct fake_host *fake); /* that are running */
size_t fake_watches(const struct fake_host *fake);

#endif
