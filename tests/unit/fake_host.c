/* SPDX-License-Identifier: MIT */
/* A struct co_host for tests.  HOST. */
#include "tests/unit/fake_host.h"

#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

struct co_timer {
	struct fake_host *fake;
	void (*fire)(void *arg);
	void *arg;
	bool is_running;
	uint64_t at_ms, order;
	struct co_timer *prev, *next;
};

struct co_watch {
	struct fake_host *fake;
	int fd;
	bool writable, is_ready;
	void (*ready)(void *arg);
	void *arg;
	struct co_watch *prev, *next;
};

struct fake_task {
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	struct fake_task *prev, *next;
};

static uint64_t now_ms(void *ctx)
{
	return ((struct fake_host *) ctx)->now_ms;
}

static uint64_t wall_ns(void *ctx)
{
	return 1700000000000000000U + ((struct fake_host *) ctx)->now_ms * 1000000;
}

static uint64_t next_random(void *ctx)
{
	return ((struct fake_host *) ctx)->random_next++;
}

static struct co_timer *timer_new(void *ctx, void (*fire)(void *arg), void *arg)
{
	struct fake_host *fake = ctx;
	struct co_timer *timer = calloc(1, sizeof(*timer));

	ck_assert_ptr_nonnull(timer);
	timer->fake = fake;
	timer->fire = fire;
	timer->arg = arg;
	DL_APPEND(fake->timers, timer);
	return timer;
}

static void timer_start(struct co_timer *timer, uint64_t delay_ms)
{
	timer->is_running = true;
	timer->at_ms = timer->fake->now_ms + delay_ms;
	DL_DELETE(timer->fake->timers,
		  timer); /* equal times fire in order of starting */
	DL_APPEND(timer->fake->timers, timer);
}

static void timer_stop(struct co_timer *timer)
{
	timer->is_running = false;
}

static void timer_free(struct co_timer *timer)
{
	DL_DELETE(timer->fake->timers, timer);
	free(timer);
}

static struct co_watch *watch_new(void *ctx, int fd, bool writable,
				  void (*ready)(void *arg), void *arg)
{
	struct fake_host *fake = ctx;
	struct co_watch *watch = calloc(1, sizeof(*watch));

	ck_assert_ptr_nonnull(watch);
	*watch = (struct co_watch){
		.fake = fake, .fd = fd, .writable = writable, .ready = ready, .arg = arg
	};
	DL_APPEND(fake->watches, watch);
	return watch;
}

static void watch_free(struct co_watch *watch)
{
	DL_DELETE(watch->fake->watches, watch);
	free(watch);
}

static struct fake_task *task_new(void (*work)(void *arg), void (*done)(void *arg),
				  void *arg)
{
	struct fake_task *task = calloc(1, sizeof(*task));

	ck_assert_ptr_nonnull(task);
	task->work = work;
	task->done = done;
	task->arg = arg;
	return task;
}

static void post(void *ctx, void (*run)(void *arg), void *arg)
{
	struct fake_host *fake = ctx;
	struct fake_task *task = task_new(NULL, run, arg);

	DL_APPEND(fake->posts, task);
}

static int offload(void *ctx, void (*work)(void *arg), void (*done)(void *arg),
		   void *arg)
{
	struct fake_host *fake = ctx;
	struct fake_task *task;

	if (fake->refuse_work)
		return fake->refuse_work;
	task = task_new(work, done, arg);
	DL_APPEND(fake->work, task);
	return 0;
}

void fake_init(struct fake_host *fake)
{
	*fake = (struct fake_host){ .now_ms = 1000000,
				    .host = { .now_ms = now_ms,
					      .wall_ns = wall_ns,
					      .random = next_random,
					      .timer_new = timer_new,
					      .timer_start = timer_start,
					      .timer_stop = timer_stop,
					      .timer_free = timer_free,
					      .watch_new = watch_new,
					      .watch_free = watch_free,
					      .post = post,
					      .offload = offload } };
	fake->host.ctx = fake;
}

void fake_done(struct fake_host *fake)
{
	fake->hold_work = false;
	fake_settle(fake);
	ck_assert_ptr_null(fake->timers);
	ck_assert_ptr_null(fake->watches);
	ck_assert_ptr_null(fake->posts);
	ck_assert_ptr_null(fake->work);
}

static bool run_tasks(struct fake_task **list)
{
	struct fake_task *task = *list;

	if (!task)
		return false;
	DL_DELETE(*list, task);
	if (task->work)
		task->work(task->arg);
	task->done(task->arg);
	free(task);
	return true;
}

/* The first timer that is due until then; NULL if none is. */
static struct co_timer *timer_due(struct fake_host *fake, uint64_t until_ms)
{
	struct co_timer *timer, *first = NULL;

	DL_FOREACH (fake->timers, timer)
		if (timer->is_running && timer->at_ms <= until_ms &&
		    (!first || timer->at_ms < first->at_ms))
			first = timer;
	return first;
}

static bool run_timer(struct fake_host *fake, uint64_t until_ms)
{
	struct co_timer *timer = timer_due(fake, until_ms);

	if (!timer)
		return false;
	if (timer->at_ms > fake->now_ms)
		fake->now_ms = timer->at_ms;
	timer->is_running = false;
	timer->fire(timer->arg);
	return true;
}

#define WATCHES_MAX 256

/* One descriptor at a time: its callback may free the others. */
static bool run_watch(struct fake_host *fake, int wait_ms)
{
	struct pollfd fds[WATCHES_MAX];
	struct co_watch *watches[WATCHES_MAX], *watch;
	nfds_t n = 0;

	DL_FOREACH (fake->watches, watch) {
		ck_assert_uint_lt(n, WATCHES_MAX);
		fds[n] = (struct pollfd){ .fd = watch->fd,
					  .events = watch->writable ? POLLIN | POLLOUT
								    : POLLIN };
		watches[n++] = watch;
	}
	if (!n || poll(fds, n, wait_ms) <= 0)
		return false;
	for (nfds_t i = 0; i < n; i++) {
		if (!fds[i].revents)
			continue;
		ck_assert_int_eq(fds[i].revents & POLLNVAL, 0);
		DL_DELETE(fake->watches, watches[i]); /* the others first, next time */
		DL_APPEND(fake->watches, watches[i]);
		watches[i]->ready(watches[i]->arg);
		return true;
	}
	return false;
}

bool fake_turn(struct fake_host *fake)
{
	return run_tasks(&fake->posts) ||
	       (!fake->hold_work && run_tasks(&fake->work)) ||
	       run_timer(fake, fake->now_ms) || run_watch(fake, 10);
}

void fake_settle(struct fake_host *fake)
{
	while (fake_turn(fake))
		continue;
}

void fake_advance(struct fake_host *fake, uint64_t ms)
{
	uint64_t until = fake->now_ms + ms;

	fake_settle(fake);
	while (run_timer(fake, until))
		fake_settle(fake);
	fake->now_ms = until;
}

size_t fake_timers(const struct fake_host *fake)
{
	struct co_timer *timer;
	size_t n = 0;

	DL_FOREACH (fake->timers, timer)
		n += timer->is_running;
	return n;
}

size_t fake_watches(const struct fake_host *fake)
{
	struct co_watch *watch;
	size_t n = 0;

	DL_COUNT(fake->watches, watch, n);
	return n;
}
