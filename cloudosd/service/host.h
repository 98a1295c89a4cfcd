/* SPDX-License-Identifier: MIT */
/*
 * What a service may ask of the program that hosts it.  HOST.
 *
 * Services own no loop and no thread.  All of their code, including every callback made
 * through this table, runs under the daemon's core lock: a service is single-threaded by
 * that lock, whoever calls it.  So it never blocks, never sleeps and does no file I/O.
 */
#ifndef CO_SERVICE_HOST_H
#define CO_SERVICE_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct co_timer; /* opaque, made by the host */
struct co_watch;

struct co_host {
	void *ctx; /* first argument of every function below */

	/* CLOCK_MONOTONIC in milliseconds; CLOCK_REALTIME in nanoseconds. */
	uint64_t (*now_ms)(void *ctx);
	uint64_t (*wall_ns)(void *ctx);

	/* A random number that nobody can guess. */
	uint64_t (*random)(void *ctx);

	/* One-shot timer.  new may return NULL (no memory); start replaces an earlier
	 * start; free is allowed inside its own callback. */
	struct co_timer *(*timer_new)(void *ctx, void (*fire)(void *arg), void *arg);
	void (*timer_start)(struct co_timer *timer, uint64_t delay_ms);
	void (*timer_stop)(struct co_timer *timer);
	void (*timer_free)(struct co_timer *timer);

	/* Calls ready(arg) whenever fd is readable or hung up, or, if writable is set,
	 * writable; until watch_free, which is allowed inside ready.  fd is borrowed and
	 * must stay open until then.
	 * NULL when it cannot be watched. */
	struct co_watch *(*watch_new)(void *ctx, int fd, bool writable,
				      void (*ready)(void *arg), void *arg);
	void (*watch_free)(struct co_watch *watch);

	/* Runs run(arg) soon, from the loop, under the core lock.  Order is kept. */
	void (*post)(void *ctx, void (*run)(void *arg), void *arg);

	/* Runs work(arg) on a worker thread WITHOUT the core lock, then done(arg) from
	 * the loop under it.  0 or CO_NO_MEMORY / CO_BUSY when too much is queued. */
	int (*offload)(void *ctx, void (*work)(void *arg), void (*done)(void *arg),
		       void *arg);
};

#endif
