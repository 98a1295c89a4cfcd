/* SPDX-License-Identifier: MIT */
/* struct co_host on libuv and epoll.  HOST. */
#include "cloudosd/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "cloudosd/core.h"
#include "lib/cleanup.h"

enum { OFFLOAD_MAX = 256, EVENTS = 64 };
enum { ID_TIMER = 1, ID_POST = 2, ID_FIRST = 16 };

struct co_timer {
	struct loop *loop;
	void (*fire)(void *arg);
	void *arg;
	uint64_t due_ms;
	size_t index; /* in the heap, from 1; 0: not running */
};

struct co_watch {
	struct loop *loop;
	uint64_t id;
	int fd;
	void (*ready)(void *arg);
	void *arg;
	UT_hash_handle hh;
};

struct posted {
	void (*run)(void *arg);
	void *arg;
	struct posted *prev, *next;
};

struct offload {
	uv_work_t work;
	struct loop *loop;
	void (*run)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct loop {
	struct co_host host;
	uv_loop_t *uv;
	uv_poll_t poll;
	int epoll, timerfd, eventfd;

	/* under the core lock */
	struct co_timer **heap; /* heap[1..count], earliest first */
	size_t count, space;
	struct co_watch *watches;
	uint64_t next_id;
	unsigned offloads;

	pthread_mutex_t post_mutex;
	struct posted *posted;
};

/* ---- clock ---- */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	(void) clock_gettime(id, &ts); /* cannot fail for these clocks */
	return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}

static uint64_t now_ms(void *ctx)
{
	(void) ctx;
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static uint64_t wall_ns(void *ctx)
{
	(void) ctx;
	return clock_ns(CLOCK_REALTIME);
}

static uint64_t random_u64(void *ctx)
{
	uint64_t r;

	(void) ctx;
	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		abort(); /* the kernel promises up to 256 bytes once it is seeded */
	return r;
}

/* ---- timers: a binary heap and one timerfd ---- */

static void heap_set(struct loop *l, size_t i, struct co_timer *t)
{
	l->heap[i] = t;
	t->index = i;
}

static void heap_up(struct loop *l, size_t i)
{
	struct co_timer *t = l->heap[i];

	for (; i > 1 && l->heap[i / 2]->due_ms > t->due_ms; i /= 2)
		heap_set(l, i, l->heap[i / 2]);
	heap_set(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
	struct co_timer *t = l->heap[i];

	for (size_t k; (k = i * 2) <= l->count; i = k) {
		if (k < l->count && l->heap[k + 1]->due_ms < l->heap[k]->due_ms)
			k++;
		if (l->heap[k]->due_ms >= t->due_ms)
			break;
		heap_set(l, i, l->heap[k]);
	}
	heap_set(l, i, t);
}

static void heap_remove(struct loop *l, struct co_timer *t)
{
	struct co_timer *last = l->heap[l->count--];
	size_t i = t->index;

	t->index = 0;
	if (last == t)
		return;
	heap_set(l, i, last);
	heap_up(l, i);
	heap_down(l, last->index);
}

/* The timerfd follows the earliest timer. */
static void timers_arm(struct loop *l)
{
	struct itimerspec when = { 0 };

	if (l->count) {
		uint64_t due = l->heap[1]->due_ms;

		when.it_value.tv_sec = (time_t) (due / 1000);
		when.it_value.tv_nsec = (long) (due % 1000) * 1000000 + 1;
	}
	/* fails only for a descriptor that is not a timer */
	(void) timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &when, NULL);
}

static struct co_timer *timer_new(void *ctx, void (*fire)(void *arg), void *arg)
{
	struct loop *l = ctx;
	struct co_timer *t = calloc(1, sizeof(*t));

	core_assert_locked();
	if (!t)
		return NULL;
	t->loop = l;
	t->fire = fire;
	t->arg = arg;
	return t;
}

static void timer_stop(struct co_timer *t)
{
	core_assert_locked();
	if (!t->index)
		return;
	heap_remove(t->loop, t);
	timers_arm(t->loop);
}

static void timer_start(struct co_timer *t, uint64_t delay_ms)
{
	struct loop *l = t->loop;

	core_assert_locked();
	if (t->index)
		heap_remove(l, t);
	if (l->count + 2 > l->space) {
		size_t space = l->space ? l->space * 2 : 64;
		struct co_timer **heap =
			realloc(l->heap, space * sizeof(struct co_timer *));

		if (!heap)
			abort(); /* a timer that never fires would be worse */
		l->heap = heap;
		l->space = space;
	}
	t->due_ms = now_ms(NULL) + delay_ms;
	l->heap[++l->count] = t;
	heap_up(l, l->count);
	timers_arm(l);
}

static void timer_free(struct co_timer *t)
{
	if (!t)
		return;
	timer_stop(t);
	free(t);
}

static void timers_run(struct loop *l)
{
	uint64_t ticks, now = now_ms(NULL);

	(void) !read(l->timerfd, &ticks, sizeof(ticks)); /* only clears it */
	while (l->count && l->heap[1]->due_ms <= now) {
		struct co_timer *t = l->heap[1];

		heap_remove(l, t);
		t->fire(t->arg); /* may free t */
	}
	timers_arm(l);
}

/* ---- watched descriptors ---- */

static struct co_watch *watch_new(void *ctx, int fd, bool writable,
				  void (*ready)(void *arg), void *arg)
{
	struct loop *l = ctx;
	struct co_watch *w = calloc(1, sizeof(*w));
	struct epoll_event event = { .events = writable ? EPOLLOUT : EPOLLIN };

	core_assert_locked();
	if (!w)
		return NULL;
	w->loop = l;
	w->id = l->next_id++;
	w->fd = fd;
	w->ready = ready;
	w->arg = arg;
	event.data.u64 = w->id;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(w);
		return NULL;
	}
	HASH_ADD(hh, l->watches, id, sizeof(w->id), w);
	return w;
}

static void watch_free(struct co_watch *w)
{
	if (!w)
		return;
	core_assert_locked();
	(void) epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd,
			 NULL); /* may be closed */
	HASH_DEL(w->loop->watches, w);
	free(w);
}

/* ---- posted and offloaded work ---- */

static void post(void *ctx, void (*run)(void *arg), void *arg)
{
	struct loop *l = ctx;
	struct posted *p = malloc(sizeof(*p));
	uint64_t one = 1;

	if (!p)
		abort(); /* an answer that is never delivered would hang a guest */
	p->run = run;
	p->arg = arg;
	(void) pthread_mutex_lock(&l->post_mutex); /* cannot fail: a plain mutex */
	DL_APPEND(l->posted, p);
	(void) pthread_mutex_unlock(&l->post_mutex);
	(void) !write(l->eventfd, &one, sizeof(one)); /* full means already awake */
}

static void posted_run(struct loop *l)
{
	uint64_t count;
	struct posted *list, *p, *next;

	(void) !read(l->eventfd, &count, sizeof(count)); /* only clears it */
	(void) pthread_mutex_lock(&l->post_mutex);
	list = l->posted;
	l->posted = NULL;
	(void) pthread_mutex_unlock(&l->post_mutex);
	DL_FOREACH_SAFE (list, p, next) {
		p->run(p->arg);
		free(p);
	}
}

static void offload_work(uv_work_t *work)
{
	struct offload *o = container_of(work, struct offload, work);

	o->run(o->arg);
}

static void offload_done(uv_work_t *work, int status)
{
	struct offload *o = container_of(work, struct offload, work);

	(void) status; /* work is never cancelled */
	core_lock();
	o->loop->offloads--;
	o->done(o->arg);
	core_unlock();
	free(o);
}

static void offload_start(void *arg)
{
	struct offload *o = arg;

	/* fails only without a work function */
	(void) uv_queue_work(o->loop->uv, &o->work, offload_work, offload_done);
}

static int offload(void *ctx, void (*work)(void *arg), void (*done)(void *arg),
		   void *arg)
{
	struct loop *l = ctx;
	struct offload *o;

	core_assert_locked();
	if (l->offloads >= OFFLOAD_MAX)
		return CO_BUSY;
	o = calloc(1, sizeof(*o));
	if (!o)
		return CO_NO_MEMORY;
	o->loop = l;
	o->run = work;
	o->done = done;
	o->arg = arg;
	l->offloads++;
	post(l, offload_start, o);
	return 0;
}

/* ---- the loop ---- */

static void ready(uv_poll_t *poll, int status, int events)
{
	struct loop *l = container_of(poll, struct loop, poll);
	struct epoll_event list[EVENTS];
	int n;

	(void) status;
	(void) events;
	n = epoll_wait(l->epoll, list, EVENTS, 0);
	core_lock();
	for (int i = 0; i < n; i++) {
		uint64_t id = list[i].data.u64;
		struct co_watch *w;

		if (id == ID_TIMER) {
			timers_run(l);
		} else if (id == ID_POST) {
			posted_run(l);
		} else {
			/* an earlier callback of this round may have freed it */
			HASH_FIND(hh, l->watches, &id, sizeof(id), w);
			if (w)
				w->ready(w->arg);
		}
	}
	core_unlock();
}

static int add_own(struct loop *l, int fd, uint64_t id)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = id };

	return fd < 0 ? -1 : epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event);
}

int loop_new(struct loop **out, uv_loop_t *uv, struct co_err *err)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return co_fail(err, CO_NO_MEMORY,
			       "cannot set up the loop: out of memory");
	l->uv = uv;
	l->next_id = ID_FIRST;
	(void) pthread_mutex_init(&l->post_mutex, NULL); /* default: cannot fail */
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epoll < 0 || add_own(l, l->timerfd, ID_TIMER) < 0 ||
	    add_own(l, l->eventfd, ID_POST) < 0 ||
	    uv_poll_init(uv, &l->poll, l->epoll) < 0 ||
	    uv_poll_start(&l->poll, UV_READABLE, ready) < 0) {
		(void) loop_free(l);
		return co_fail_errno(err, errno, "cannot set up the loop");
	}
	l->host = (struct co_host){ .ctx = l,
				    .now_ms = now_ms,
				    .wall_ns = wall_ns,
				    .random = random_u64,
				    .timer_new = timer_new,
				    .timer_start = timer_start,
				    .timer_stop = timer_stop,
				    .timer_free = timer_free,
				    .watch_new = watch_new,
				    .watch_free = watch_free,
				    .post = post,
				    .offload = offload };
	*out = l;
	return 0;
}

struct loop *loop_free(struct loop *l)
{
	struct posted *p, *next;

	if (!l)
		return NULL;
	DL_FOREACH_SAFE (l->posted, p, next)
		free(p);
	if (l->epoll >= 0)
		(void) close(l->epoll);
	if (l->timerfd >= 0)
		(void) close(l->timerfd);
	if (l->eventfd >= 0)
		(void) close(l->eventfd);
	(void) pthread_mutex_destroy(&l->post_mutex);
	free(l->heap);
	free(l);
	return NULL;
}

const struct co_host *loop_host(struct loop *l)
{
	return &l->host;
}
