/* SPDX-License-Identifier: MIT */
/* Notify threads.  HOST. */
#include "cloudosd/notify.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/call.h"
#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/link.h"
#include "cloudosd/member.h"
#include "cloudosd/pending.h"
#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/log.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum { IDLE_MS = 10000, TICK_MS = 2, FULL_MS = 20, STOP_MS = 2000, STOP_EVERY_MS = 10 };
#define ID_QUEUE UINT64_MAX

/*
 * A notify thread, seen by the one that ends its waiting.  A thread that stays with a
 * program waits in RECV itself, which has no time limit; when its round is the same at
 * two ticks it gets a signal.
 */
struct thread {
	pthread_t id;
	atomic_bool inside; /* RECV */
	atomic_uint round;
	unsigned seen; /* round at the last tick; the ticker's */
	struct thread *prev, *next;
};

struct notify {
	struct daemon *daemon;
	int epoll, wake; /* wake: a semaphore, one per queued call, and for stopping */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct co_call *queue; /* answered, or received under ptrace and not begun */
	struct thread *all;
	unsigned threads, threads_min;
	atomic_uint idle; /* written under the mutex, read without */
	bool stopping;
	struct starved *starved; /* sessions that are to be listened to again */
	atomic_uint nstarved;    /* written under the mutex, read without */
	struct co_timer *tick;   /* under the core lock */
	atomic_bool ticking;
	atomic_ullong owed;
};

struct starved {
	struct session *session; /* a reference */
	struct starved *next;
};

/* ---- slots ---- */

/* Each thread begins to look where it last found one: the same few stay warm. */
CALL_PATH static struct table_call *slot_claim(struct notify *n, uint64_t session)
{
	static _Thread_local uint32_t hint;
	struct table_call *calls = n->daemon->table->calls;

	for (uint32_t i = 0; i < CO_LIMIT_CALLS_PENDING; i++) {
		uint32_t k = (hint + i) % CO_LIMIT_CALLS_PENDING;
		uint32_t is_free = TABLE_FREE;

		if (atomic_compare_exchange_strong(&calls[k].phase, &is_free,
						   TABLE_RECEIVING)) {
			hint = k;
			__atomic_store_n(&calls[k].session, session, __ATOMIC_RELAXED);
			atomic_fetch_add(&n->owed, 1);
			return &calls[k];
		}
	}
	return NULL;
}

CALL_PATH static void slot_release(struct notify *n, struct table_call *slot)
{
	/* the kernel wants it zeroed; call_is_over may be looking at it */
	__atomic_store_n(&slot->notif.id, 0, __ATOMIC_RELAXED);
	memset(&slot->notif.pid, 0,
	       sizeof(slot->notif) - offsetof(struct seccomp_notif, pid));
	__atomic_store_n(&slot->session, 0, __ATOMIC_RELAXED);
	slot->effect = 0;
	atomic_store(&slot->phase, TABLE_FREE);
	atomic_fetch_sub(&n->owed, 1);
}

/* ---- ending a wait in RECV ---- */

static void tick(void *arg)
{
	struct notify *n = arg;
	struct thread *t;
	bool inside = false;

	(void) pthread_mutex_lock(&n->mutex);
	DL_FOREACH (n->all, t) {
		unsigned round = atomic_load(&t->round);

		if (!atomic_load(&t->inside))
			continue;
		inside = true;
		if (round == t->seen)
			(void) pthread_kill(t->id, SIGURG); /* again, until it is out */
		t->seen = round;
	}
	if (!inside) {
		/* whoever goes inside from here on sees that nobody ticks */
		atomic_store(&n->ticking, false);
		DL_FOREACH (n->all, t)
			inside |= atomic_load(&t->inside);
		inside = inside && !atomic_exchange(&n->ticking, true);
	}
	(void) pthread_mutex_unlock(&n->mutex);
	if (inside)
		n->daemon->host->timer_start(n->tick, TICK_MS);
}

/* RECV into the slot; false when there was nothing, or nothing for a while. */
CALL_PATH static bool wait_inside(struct notify *n, struct thread *t, struct session *s,
				  struct table_call *slot)
{
	bool got;

	atomic_fetch_add_explicit(&t->round, 1, memory_order_relaxed);
	atomic_store(&t->inside, true);
	if (!atomic_load(&n->ticking) && !atomic_exchange(&n->ticking, true)) {
		core_lock();
		n->daemon->host->timer_start(n->tick, TICK_MS);
		core_unlock();
	}
	/* ENOENT: the caller was killed before we came.  That is life. */
	got = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &slot->notif) == 0;
	atomic_store_explicit(&t->inside, false, memory_order_relaxed);
	return got;
}

/* ---- flow of one session ---- */

/*
 * May it have one more slot?  Whoever has some, its whole container, gets no more than half
 * of what others leave: so however many want all of them, each new one finds some.
 */
CALL_PATH static bool may_owe(const struct session *s)
{
	unsigned used = atomic_load_explicit(&s->share->owed, memory_order_relaxed);
	uint64_t all =
		atomic_load_explicit(&s->daemon->notify->owed, memory_order_relaxed);
	uint64_t left = all < CO_LIMIT_CALLS_PENDING ? CO_LIMIT_CALLS_PENDING - all : 0;

	return atomic_load_explicit(&s->flow.owed, memory_order_relaxed) <
		       CO_LIMIT_SESSION_CALLS &&
	       (!used || 2 * (uint64_t) (used + 1) <= left + used);
}

CALL_PATH static void owe(struct session *s)
{
	atomic_fetch_add(&s->flow.owed, 1);
	atomic_fetch_add_explicit(&s->share->owed, 1, memory_order_relaxed);
}

/* Under s->flow.mutex: it is listened to again when somebody is answered. */
static void starve(struct session *s)
{
	struct notify *n = s->daemon->notify;
	struct starved *one = s->flow.starved ? NULL : malloc(sizeof(*one));

	if (!one)
		return; /* it is, already; or its own answers do it, or its end */
	one->session = session_ref(s);
	s->flow.starved = true;
	(void) pthread_mutex_lock(&n->mutex);
	one->next = n->starved;
	n->starved = one;
	atomic_fetch_add(&n->nstarved, 1);
	(void) pthread_mutex_unlock(&n->mutex);
}

/* Under s->flow.mutex. */
static void arm(struct session *s)
{
	struct session_flow *f = &s->flow;
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT,
				     .data.u64 = s->id };

	if (s->listener < 0 || f->armed || f->receiving || f->ended ||
	    f->holding >= CO_LIMIT_SESSION_THREADS)
		return;
	if (!may_owe(s)) {
		starve(s);
		return;
	}
	f->armed = epoll_ctl(s->daemon->notify->epoll, EPOLL_CTL_MOD, s->listener,
			     &event) == 0;
}

/* Somebody has been answered: whoever waited for that is listened to, if he may. */
static void feed(struct notify *n)
{
	struct starved *list, *next;

	(void) pthread_mutex_lock(&n->mutex);
	list = n->starved;
	n->starved = NULL;
	atomic_store(&n->nstarved, 0);
	(void) pthread_mutex_unlock(&n->mutex);
	for (; list; list = next) {
		struct session *s = list->session;

		next = list->next;
		(void) pthread_mutex_lock(&s->flow.mutex);
		s->flow.starved = false;
		arm(s);
		(void) pthread_mutex_unlock(&s->flow.mutex);
		(void) session_unref(s);
		free(list);
	}
}

/* A thread takes up a queued call; false if its session holds enough threads already, and
 * then the call comes back when one is let go. */
static bool hold(struct co_call *call)
{
	struct session_flow *f = &call->session->flow;
	bool may;

	(void) pthread_mutex_lock(&f->mutex);
	may = f->holding < CO_LIMIT_SESSION_THREADS;
	if (may)
		f->holding++;
	else
		DL_APPEND(f->waiting, call);
	(void) pthread_mutex_unlock(&f->mutex);
	return may;
}

static void enqueue(struct notify *n, struct co_call *call)
{
	uint64_t one = 1;

	(void) pthread_mutex_lock(&n->mutex);
	DL_APPEND(n->queue, call);
	(void) pthread_mutex_unlock(&n->mutex);
	(void) !write(n->wake, &one, sizeof(one)); /* a full counter is awake enough */
}

static void let_go(struct session *s)
{
	struct co_call *next;

	(void) pthread_mutex_lock(&s->flow.mutex);
	s->flow.holding--;
	next = s->flow.waiting;
	if (next)
		DL_DELETE(s->flow.waiting, next);
	arm(s);
	(void) pthread_mutex_unlock(&s->flow.mutex);
	if (next)
		enqueue(s->daemon->notify, next);
}

void notify_keep(struct daemon *d, struct table_call *slot, enum table_phase phase)
{
	atomic_store(&slot->phase, phase);
	atomic_fetch_sub(&d->notify->owed, 1);
}

void notify_forget(struct daemon *d, struct table_call *slot)
{
	atomic_fetch_add(&d->notify->owed, 1); /* which it is not any more */
	slot_release(d->notify, slot);
}

CALL_PATH void notify_answered(struct co_call *call, bool over)
{
	struct session *s = call->session;

	struct notify *n = s->daemon->notify;

	if (over)
		slot_release(n, call->slot);
	atomic_fetch_sub(&s->flow.owed, 1);
	atomic_fetch_sub_explicit(&s->share->owed, 1, memory_order_relaxed);
	if (atomic_load(&n->nstarved))
		feed(n);
}

void notify_finish(struct co_call *call)
{
	enqueue(call->session->daemon->notify, call_ref(call));
}

int notify_still_there(const struct co_call *call)
{
	const struct session *s = call->session;

	if (s->listener < 0)
		return 0;
	return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) == 0
		       ? 0
		       : CO_GONE;
}

/* ---- threads ---- */

static void *thread_main(void *arg);

/* Under n->mutex. */
static void thread_start(struct notify *n)
{
	pthread_t thread;
	pthread_attr_t attr;

	(void) pthread_attr_init(&attr);
	(void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void) pthread_attr_setstacksize(&attr, 256 * 1024);
	if (pthread_create(&thread, &attr, thread_main, n) == 0) {
		n->threads++;
		n->idle++; /* it counts itself out when it takes work */
	}
	(void) pthread_attr_destroy(&attr);
}

/* A thread turns from waiting to work; if it was the last, somebody must wait. */
static void busy(struct notify *n)
{
	(void) pthread_mutex_lock(&n->mutex);
	if (--n->idle == 0 && n->threads < CO_LIMIT_CALL_THREADS && !n->stopping)
		thread_start(n);
	(void) pthread_mutex_unlock(&n->mutex);
}

static struct session *session_by_id(struct notify *n, uint64_t id)
{
	struct session *s;

	core_lock();
	s = session_find(n->daemon, id, NULL);
	if (s)
		(void) session_ref(s);
	core_unlock();
	return s;
}

/* Another thread may receive for this session now; with `listen` one is looked for. */
static void receive_no_more(struct session *s, bool listen)
{
	(void) pthread_mutex_lock(&s->flow.mutex);
	s->flow.receiving = false;
	if (listen)
		arm(s);
	(void) pthread_mutex_unlock(&s->flow.mutex);
}

static bool receive_again(struct session *s)
{
	struct session_flow *f = &s->flow;
	bool may;

	(void) pthread_mutex_lock(&f->mutex);
	may = !f->armed && !f->receiving && !f->ended && may_owe(s);
	f->receiving |= may;
	(void) pthread_mutex_unlock(&f->mutex);
	return may;
}

/* Is there a thread for other programs?  If not, none may stay with one: it takes its turn
 * through the epoll set. */
static bool others_wait(struct notify *n)
{
	return atomic_load_explicit(&n->idle, memory_order_relaxed) > 0;
}

/* One call.  True when this thread is still the one that receives for the session. */
CALL_PATH static bool receive(struct notify *n, struct thread *t, struct session *s)
{
	struct table_call *slot = slot_claim(n, s->id);
	struct co_call *call;

	if (!slot || !wait_inside(n, t, s, slot)) {
		/* Without a slot the listener stays ready; coming back at once would only
		 * turn in circles until somebody is answered. */
		if (slot)
			slot_release(n, slot);
		else
			(void) poll(NULL, 0, FULL_MS);
		receive_no_more(s, false);
		return false;
	}
	owe(s);
	(void) co_fault("notify.received");
	slot->phase = TABLE_OWED;
	call = call_new(s, slot);
	if (!call) {
		co_log_session(notify, ERROR, s->id, (int32_t) slot->notif.pid,
			       "no memory for a call: it waits for the next daemon");
		receive_no_more(s, false);
		return false;
	}
	if (!call_copies_memory(call) && may_owe(s)) {
		call_run(call); /* nothing in it can be held up by the guest */
		if (others_wait(n))
			return true;
		receive_no_more(s, false);
		return false;
	}
	receive_no_more(s, true); /* this thread may not be back for long */
	call_run(call);
	return others_wait(n) && receive_again(s);
}

/*
 * A program that has just called often calls again at once.  Its thread waits for that on
 * the listener itself, which costs less than the way through the epoll set and lets the
 * kernel hand the CPU over; until nothing has come for two ticks.
 */
CALL_PATH static void serve(struct notify *n, struct thread *t, struct session *s)
{
	(void) pthread_mutex_lock(&s->flow.mutex);
	s->flow.armed = false;
	s->flow.receiving = true;
	s->flow.holding++;
	(void) pthread_mutex_unlock(&s->flow.mutex);
	while (receive(n, t, s))
		continue;
	let_go(s);
}

static void listener_event(struct notify *n, struct thread *t, uint64_t id,
			   uint32_t events)
{
	struct session *s = session_by_id(n, id);

	if (!s)
		return;
	if (events & EPOLLIN) {
		serve(n, t, s);
	} else {
		core_lock();
		session_end(s, "its last process has ended");
		core_unlock();
	}
	(void) session_unref(s);
}

static void queue_event(struct notify *n)
{
	struct co_call *call;
	uint64_t one;

	if (read(n->wake, &one, sizeof(one)) < 0)
		return; /* another thread was faster */
	(void) pthread_mutex_lock(&n->mutex);
	call = n->queue;
	if (call)
		DL_DELETE(n->queue, call);
	(void) pthread_mutex_unlock(&n->mutex);
	if (!call)
		return;
	if (!hold(call))
		return;
	{
		struct session *s = session_ref(call->session);

		if (call->state == CALL_ANSWERED) {
			call_finish(call);
			(void) call_unref(call); /* the queue's */
		} else {
			call_run(call);
		}
		let_go(s);
		(void) session_unref(s);
	}
}

static void *thread_main(void *arg)
{
	struct notify *n = arg;
	struct thread self = { .id = pthread_self() };
	sigset_t others;

	(void) sigfillset(&others);
	(void) sigdelset(&others, SIGURG);
	(void) pthread_sigmask(SIG_SETMASK, &others, NULL); /* they are the loop's */
	(void) prctl(PR_SET_NAME, "notify");
	call_thread_begin();
	(void) pthread_mutex_lock(&n->mutex);
	DL_APPEND(n->all, &self);
	(void) pthread_mutex_unlock(&n->mutex);
	for (;;) {
		struct epoll_event event;
		int got = epoll_wait(n->epoll, &event, 1, IDLE_MS);

		(void) pthread_mutex_lock(&n->mutex);
		if (n->stopping || (got == 0 && n->idle > n->threads_min)) {
			DL_DELETE(n->all, &self);
			n->idle--;
			n->threads--;
			(void) pthread_cond_broadcast(&n->changed);
			(void) pthread_mutex_unlock(&n->mutex);
			call_thread_end();
			return NULL;
		}
		(void) pthread_mutex_unlock(&n->mutex);
		if (got <= 0)
			continue;
		busy(n);
		if (event.data.u64 == ID_QUEUE)
			queue_event(n);
		else
			listener_event(n, &self, event.data.u64, event.events);
		(void) pthread_mutex_lock(&n->mutex);
		n->idle++;
		(void) pthread_mutex_unlock(&n->mutex);
	}
}

/* ---- ptrace ---- */

/* The slot that a predecessor of this daemon filled for the same call. */
static struct table_call *slot_again(struct notify *n, const struct session *s,
				     uint64_t id)
{
	struct table_call *calls = n->daemon->table->calls;

	if (s->resend != RESEND_COMING)
		return NULL;
	for (uint32_t i = 0; i < CO_LIMIT_CALLS_PENDING; i++)
		if (calls[i].phase == TABLE_INHERITED && calls[i].session == s->id &&
		    calls[i].notif.id == id)
			return &calls[i];
	return NULL;
}

/* What a predecessor received and nobody asks for any more: it was answered. */
static void slots_forget(struct session *s)
{
	struct table_call *calls = s->daemon->table->calls;

	for (uint32_t i = 0; i < CO_LIMIT_CALLS_PENDING; i++)
		if (calls[i].phase == TABLE_INHERITED && calls[i].session == s->id)
			slot_release(s->daemon->notify, &calls[i]);
}

/* Calls come between two marks of this daemon's round; what is in front of them was said
 * to a predecessor and is said again there. */
void notify_resent(struct session *s, const struct wire_resend_calls_note *note)
{
	if (s->resend == RESEND_DONE || note->round != s->daemon->table->restarts)
		return;
	if (!note->over) {
		s->resend = RESEND_COMING;
	} else if (s->resend == RESEND_COMING) {
		s->resend = RESEND_DONE;
		slots_forget(s);
	}
}

static void start_later(struct notify *n, struct session *s, struct table_call *slot,
			bool taken_over)
{
	struct co_call *call = call_new(s, slot);

	owe(s);
	if (!call) {
		co_log_session(notify, ERROR, s->id, (int32_t) slot->notif.pid,
			       "no memory for a call: it waits for the next daemon");
		return;
	}
	call->taken_over = taken_over;
	enqueue(n, call);
}

/* A slot for a call that comes in a note; NULL: the session or the table is full. */
static struct table_call *slot_for(struct notify *n, struct session *s)
{
	struct table_call *slot;

	if (!may_owe(s))
		return NULL;
	slot = slot_claim(n, s->id);
	if (!slot && members_forget(s->daemon))
		slot = slot_claim(n, s->id);
	return slot;
}

static void slot_fill(struct table_call *slot, const struct wire_call_note *note,
		      int32_t tid)
{
	__atomic_store_n(&slot->notif.id, note->id, __ATOMIC_RELAXED);
	slot->notif.pid = (uint32_t) tid;
	slot->notif.data.nr = note->number;
	memcpy(slot->notif.data.args, &note->a0, sizeof(slot->notif.data.args));
	(void) co_fault("notify.received");
	slot->phase = TABLE_OWED;
}

void notify_call(struct session *s, const struct wire_call_note *note)
{
	struct notify *n = s->daemon->notify;
	struct table_call *again = slot_again(n, s, note->id), *slot = again;

	if (s->resend == RESEND_ASKED)
		return;
	if (!slot)
		slot = slot_for(n, s);
	if (!slot) {
		/* a launcher that is gone takes its guests along */
		(void) link_result(s->link, note->id, s->host->raw_error(CO_BUSY));
		return;
	}
	slot_fill(slot, note, note->tid);
	start_later(n, s, slot, again != NULL);
}

/* ---- trap ---- */

struct co_call *notify_begin(struct session *s, const struct wire_call_note *note,
			     int32_t tid, struct table_call *again)
{
	struct notify *n = s->daemon->notify;
	struct table_call *slot = again;
	struct co_call *call;

	if (slot)
		atomic_fetch_add(&n->owed, 1);
	else
		slot = slot_for(n, s);
	if (!slot)
		return NULL;
	slot_fill(slot, note, tid);
	call = call_new(s, slot);
	if (!call) {
		slot_release(n, slot);
		return NULL;
	}
	(void) call_ref(call);
	owe(s);
	call->taken_over = again != NULL;
	enqueue(n, call);
	return call;
}

/* ---- taking over ---- */

void notify_inherit(struct daemon *d)
{
	struct table_call *calls = d->table->calls;

	for (uint32_t i = 0; i < CO_LIMIT_CALLS_PENDING; i++) {
		if (calls[i].phase == TABLE_FREE)
			continue;
		calls[i].phase = TABLE_INHERITED;
		d->notify->owed++;
	}
}

void notify_take_over(struct daemon *d)
{
	struct table_call *calls = d->table->calls;
	unsigned taken = 0;

	for (uint32_t i = 0; i < CO_LIMIT_CALLS_PENDING; i++) {
		struct table_call *slot = &calls[i];
		struct session *s;

		if (slot->phase != TABLE_INHERITED)
			continue;
		s = session_by_id(d->notify, slot->session);
		if (s && s->engine == CO_ENGINE_PTRACE) {
			/* its launcher asks for it again */
		} else if (s && s->engine == CO_ENGINE_TRAP) {
			notify_keep(d, slot, TABLE_KEPT); /* its thread says it again */
		} else if (s && slot->notif.id &&
			   ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID,
				 &slot->notif.id) == 0) {
			taken++;
			slot->phase = TABLE_OWED;
			start_later(d->notify, s, slot, true);
		} else {
			slot_release(d->notify, slot); /* answered, or nobody waits */
		}
		(void) session_unref(s);
	}
	core_lock(); /* sessions that have ended meanwhile are being forgotten already */
	for (struct session *s = d->sessions; s; s = s->hh.next)
		if (s->resend == RESEND_ASKED)
			link_resend(s->link, d->table->restarts);
	core_unlock();
	feed(d->notify);
	if (taken)
		co_log(notify, INFO, "answering %u calls that the previous daemon owed",
		       taken);
}

/* ---- life ---- */

/* What else came may be a file whose owner answers an ioctl as late as he likes; its name
 * is looked at first, which asks nobody. */
static bool is_listener(int fd)
{
	static const char name[] = "anon_inode:seccomp notify";
	char path[48], target[64];
	ssize_t n;

	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	return n == (ssize_t) strlen(name) && !memcmp(target, name, strlen(name));
}

int notify_add(struct session *s, struct co_err *err)
{
	struct epoll_event event = { .events = EPOLLONESHOT, .data.u64 = s->id };
	uint64_t sync_wake_up = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, no_id = 0;

	if (s->listener < 0)
		return 0;
	/* anything else would be ready for ever and give nothing */
	if (!is_listener(s->listener) ||
	    ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &no_id) == 0 ||
	    errno != ENOENT)
		return co_fail(
			err, CO_INVALID,
			"the descriptor beside the channel listens to no filter");
	/* Wakes us on the caller's CPU, which does nothing but wait anyway; kernels before
	 * 6.6 do not know it and are merely slower. */
	(void) ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, sync_wake_up);
	event.events = EPOLLONESHOT;
	if (epoll_ctl(s->daemon->notify->epoll, EPOLL_CTL_ADD, s->listener, &event) < 0)
		return co_fail_errno(err, errno, "cannot listen to the program");
	(void) pthread_mutex_lock(&s->flow.mutex);
	arm(s);
	(void) pthread_mutex_unlock(&s->flow.mutex);
	return 0;
}

void notify_cancel(struct session *s, uint64_t id)
{
	struct co_call *call = pending_find(s->daemon->pending, s->id, id);

	if (call)
		call_interrupt(call);
}

void notify_performed(struct session *s, uint64_t id, int64_t raw)
{
	struct co_call *call = pending_find(s->daemon->pending, s->id, id);

	if (call && call->performed)
		call->performed(call, raw);
}

void notify_remove(struct session *s)
{
	(void) pthread_mutex_lock(&s->flow.mutex);
	s->flow.ended = true;
	(void) pthread_mutex_unlock(&s->flow.mutex);
	if (s->listener >= 0)
		(void) epoll_ctl(s->daemon->notify->epoll, EPOLL_CTL_DEL, s->listener,
				 NULL);
	if (s->resend != RESEND_DONE)
		slots_forget(s);
}

static void out_of_recv(int number)
{
	(void) number; /* that the call returns is all that is wanted */
}

int notify_new(struct notify **out, struct daemon *d, struct co_err *err)
{
	struct notify *n = calloc(1, sizeof(*n));
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = ID_QUEUE };
	struct sigaction interrupt = { .sa_handler = out_of_recv };

	if (!n)
		return co_fail(err, CO_NO_MEMORY,
			       "cannot start notify threads: no memory");
	n->daemon = d;
	(void) sigaction(SIGURG, &interrupt, NULL); /* fails only for no signal */
	n->tick = d->host->timer_new(d->host->ctx, tick, n);
	n->threads_min = d->config.notify_threads_min;
	(void) pthread_mutex_init(&n->mutex, NULL);
	(void) pthread_cond_init(&n->changed, NULL);
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (!n->tick || n->epoll < 0 || n->wake < 0 ||
	    epoll_ctl(n->epoll, EPOLL_CTL_ADD, n->wake, &event) < 0) {
		co_fail_errno(err, errno, "cannot start notify threads");
		free(n);
		return err ? err->code : CO_IO;
	}
	(void) pthread_mutex_lock(&n->mutex);
	while (n->threads < n->threads_min) {
		unsigned before = n->threads;

		thread_start(n);
		if (n->threads == before)
			break;
	}
	(void) pthread_mutex_unlock(&n->mutex);
	if (!n->threads) {
		free(n);
		return co_fail(err, CO_NO_MEMORY, "cannot start notify threads");
	}
	*out = n;
	return 0;
}

/* Ends one round of waiting for the threads; true when none is left. */
static bool threads_ended(struct notify *n)
{
	struct timespec until;
	struct thread *t;

	DL_FOREACH (n->all, t)
		if (atomic_load(&t->inside))
			(void) pthread_kill(t->id, SIGURG);
	(void) clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STOP_EVERY_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	if (n->threads)
		(void) pthread_cond_timedwait(&n->changed, &n->mutex, &until);
	return n->threads == 0;
}

struct notify *notify_free(struct notify *n)
{
	uint64_t many = CO_LIMIT_CALL_THREADS;
	bool ended = false;

	if (!n)
		return NULL;
	(void) pthread_mutex_lock(&n->mutex);
	n->stopping = true;
	(void) !write(n->wake, &many, sizeof(many)); /* wakes all of them, one each */
	for (int i = 0; !ended && i < STOP_MS / STOP_EVERY_MS; i++)
		ended = threads_ended(n);
	(void) pthread_mutex_unlock(&n->mutex);
	if (!ended) /* held up by a guest's memory; the process ends without them */
		return NULL;
	core_lock();
	n->daemon->host->timer_free(n->tick);
	core_unlock();
	while (n->starved) {
		struct starved *one = n->starved;

		n->starved = one->next;
		(void) session_unref(one->session);
		free(one);
	}
	(void) close(n->epoll);
	(void) close(n->wake);
	(void) pthread_mutex_destroy(&n->mutex);
	(void) pthread_cond_destroy(&n->changed);
	free(n);
	return NULL;
}

void notify_numbers(struct notify *n, uint64_t *out_owed, uint32_t *out_threads)
{
	(void) pthread_mutex_lock(&n->mutex);
	*out_owed = n->owed;
	*out_threads = n->threads;
	(void) pthread_mutex_unlock(&n->mutex);
}
