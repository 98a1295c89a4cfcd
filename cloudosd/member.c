/* SPDX-License-Identifier: MIT */
/* Guests under trap.  HOST. */
#include "cloudosd/member.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/call.h"
#include "cloudosd/core.h"
#include "cloudosd/daemon.h"
#include "cloudosd/leftover.h"
#include "cloudosd/link.h"
#include "cloudosd/notify.h"
#include "cloudosd/pending.h"
#include "cloudosd/service/process.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/wire.h"

enum { SWEEP_MIN_MS = 200, SWEEP_MAX_MS = 5000 };

struct member {
	struct members *members;
	struct session *session;
	struct link *link;
	int32_t pid;
	int pidfd;
	bool nested;         /* its threads have other numbers over there */
	int32_t there, here; /* the last such number, and which it was */
	struct co_call
		*call; /* not answered yet; the list of calls has its reference */
	struct table_call *last; /* TABLE_ANSWERED */
	UT_hash_handle hh;       /* by the id of that, in members.answered */
	struct member *prev, *next;
};

struct members {
	struct daemon *daemon;
	struct co_msg *received;
	struct member *all; /* least recently used first */
	unsigned count, room;
	struct co_call *calls; /* of all, until they are answered */
	struct member *answered;
	unsigned kept; /* slots of the table, at least; without those of members */
	struct co_timer *sweep;
	uint64_t pause_ms; /* between sweeps */
	bool sweeping;
};

/* ---- what is kept ---- */

static void sweep_later(struct members *all)
{
	if (all->sweeping)
		return;
	all->sweeping = true;
	all->daemon->host->timer_start(all->sweep, all->pause_ms);
}

static void keep(struct members *all, struct table_call *slot)
{
	atomic_store(&slot->phase, TABLE_KEPT);
	all->kept++;
	all->pause_ms = SWEEP_MIN_MS;
	sweep_later(all);
}

/* The slot of the last call; it is not this member's any more. */
static struct table_call *take_last(struct member *m)
{
	struct table_call *slot = m->last;

	if (slot)
		HASH_DEL(m->members->answered, m);
	m->last = NULL;
	return slot;
}

/* The answer to its last call has arrived. */
static void forget_last(struct member *m)
{
	struct table_call *slot = take_last(m);

	if (slot)
		notify_forget(m->members->daemon, slot);
}

/* The slot of a call whose answer went to a connection that is still there. */
static struct table_call *answered_find(struct session *s, int32_t tid, uint64_t id)
{
	struct member *m;

	HASH_FIND(hh, s->daemon->members->answered, &id, sizeof(id), m);
	return m && m->session == s && (int32_t) m->last->notif.pid == tid
		       ? take_last(m)
		       : NULL;
}

bool members_forget(struct daemon *d)
{
	struct member *m;

	DL_FOREACH (d->members->all, m)
		if (m->last)
			break;
	if (m)
		forget_last(m);
	return m != NULL;
}

/*
 * The slot that is kept for a call that is said again.  Whatever else is kept for that
 * thread it does not wait for any more: a thread makes one call at a time.
 */
static struct table_call *kept_find(struct session *s, int32_t tid, uint64_t id)
{
	struct members *all = s->daemon->members;
	struct table_call *calls = s->daemon->table->calls, *found = NULL;

	for (uint32_t i = 0; all->kept && i < CO_LIMIT_CALLS_PENDING; i++) {
		if (calls[i].phase != TABLE_KEPT || calls[i].session != s->id ||
		    (int32_t) calls[i].notif.pid != tid)
			continue;
		all->kept--;
		if (calls[i].notif.id == id)
			found = &calls[i];
		else
			notify_forget(s->daemon, &calls[i]);
	}
	return found;
}

/* Does the table keep something for a living thread of that session? */
static bool kept_for(const struct session *s)
{
	const struct table_call *calls = s->daemon->table->calls;

	for (uint32_t i = 0; s->daemon->members->kept && i < CO_LIMIT_CALLS_PENDING;
	     i++)
		if (calls[i].phase == TABLE_KEPT && calls[i].session == s->id &&
		    process_thread_is_alive((int32_t) calls[i].notif.pid))
			return true;
	return false;
}

void members_look(struct daemon *d)
{
	struct members *all = d->members;
	struct table_call *calls = d->table->calls;
	struct session *s, *next;

	all->kept = 0;
	for (uint32_t i = 0; i < CO_LIMIT_CALLS_PENDING; i++) {
		if (calls[i].phase != TABLE_KEPT)
			continue;
		if (session_find(d, calls[i].session, NULL) &&
		    process_thread_is_alive((int32_t) calls[i].notif.pid))
			all->kept++;
		else
			notify_forget(d, &calls[i]);
	}
	HASH_ITER (hh, d->sessions, s, next)
		members_check(s);
}

static void sweep(void *arg)
{
	struct members *all = arg;

	all->sweeping = false;
	members_look(all->daemon);
	/* what lives on may do so for long */
	all->pause_ms = all->pause_ms < SWEEP_MAX_MS ? all->pause_ms * 2 : SWEEP_MAX_MS;
	if (all->kept)
		sweep_later(all);
}

void members_check(struct session *s)
{
	const struct co_call *call;

	if (s->engine != CO_ENGINE_TRAP || s->guests || !s->launcher_gone)
		return;
	DL_FOREACH2(s->daemon->members->calls, call, member_next)
	if (call->session == s) {
		sweep_later(s->daemon->members); /* look again */
		return;
	}
	if (!kept_for(s))
		leftover_look(s);
}

void members_restore(struct daemon *d)
{
	struct co_err err = { 0 };

	for (uint32_t i = 0; i < CO_LIMIT_SESSIONS; i++) {
		const struct table_session *row = &d->table->sessions[i];

		/* with a launcher it has been continued by the keeper's descriptors */
		if (row->id && row->engine == CO_ENGINE_TRAP &&
		    !session_find(d, row->id, NULL) &&
		    session_restore(d, i, -1, -1, &err))
			co_log(session, ERROR, "cannot continue a session: %s",
			       err.message);
	}
}

void members_take_over(struct daemon *d)
{
	sweep(d->members);
}

/* ---- calls ---- */

/* The calling thread as it is called here; CO_NOT_FOUND if it is not of that process. */
static int thread_of(struct member *m, int32_t tid, int32_t *out)
{
	struct pollfd ended = { .fd = m->pidfd, .events = POLLIN };

	if (m->nested && tid != m->there) {
		int r = process_thread_from(m->pid, tid, &m->here);

		if (r)
			return r;
		m->there = tid;
	}
	*out = m->nested ? m->here : tid;
	if (*out <= 0 || (syscall(SYS_tgkill, m->pid, *out, 0) < 0 && errno != EPERM))
		return CO_NOT_FOUND;
	/* as long as it lives the number is nobody else's */
	return poll(&ended, 1, 0) == 0 ? 0 : CO_NOT_FOUND;
}

static struct co_call *call_find(struct members *all, const struct session *s,
				 int32_t tid, uint64_t id)
{
	struct co_call *call;

	DL_FOREACH2(all->calls, call, member_next)
	if (call->session == s && call->tid == tid && call->id == id)
		return call;
	return NULL;
}

static void attach(struct member *m, struct co_call *call)
{
	if (call->member)
		call->member->call = NULL;
	call->member = m;
	m->call = call;
}

void member_perform(struct co_call *call)
{
	if (call->member && call->giving)
		link_give(call->member->link, call->id, call->return_fd);
	else if (call->member) /* otherwise when it is said again */
		link_perform(call->member->link, call->id, call->perform_number,
			     call->perform_words);
}

static int call_received(struct member *m, const struct wire_call_note *note,
			 struct co_err *err)
{
	struct members *all = m->members;
	struct session *s = m->session;
	struct table_call *again;
	struct co_call *call;
	int32_t tid;

	if (m->call)
		return co_fail(err, CO_PROTOCOL,
			       "it makes a call before the last one is answered");
	if (thread_of(m, note->tid, &tid))
		return co_fail(err, CO_PROTOCOL, "thread %d is not one of its own",
			       note->tid);
	DL_DELETE(all->all, m);
	DL_APPEND(all->all, m);
	forget_last(m);
	call = call_find(all, s, tid, note->id);
	if (call) { /* said again to the daemon that has it already */
		attach(m, call);
		if (call->performed)
			member_perform(call);
		return 0;
	}
	again = kept_find(s, tid, note->id);
	if (!again)
		again = answered_find(s, tid, note->id);
	call = notify_begin(s, note, tid, again);
	if (!call) /* one that does not read is noticed when it is written to again */
		return link_result(m->link, note->id, s->host->raw_error(CO_BUSY)) ==
				       CO_BUSY
			       ? co_fail(err, CO_PROTOCOL, "it does not read")
			       : 0;
	DL_APPEND2(all->calls, call, member_prev, member_next);
	attach(m, call);
	return 0;
}

static void cancelled(struct member *m, uint64_t id)
{
	struct co_call *call = m->call;

	if (!call || call->id != id)
		return; /* its answer is on the way */
	/* one that is not waiting yet is looked at when it does (pending.c) */
	atomic_store(&call->cancelled, true);
	call_interrupt(call);
}

bool member_is_sender(const struct member *m, const struct co_msg *in)
{
	return in->sender == m->pid;
}

int member_received(struct member *m, const struct co_msg *in, struct co_err *err)
{
	const struct wire_call_performed_note *performed = (const void *) in->bytes;

	if (!member_is_sender(m, in))
		return co_fail(err, CO_PROTOCOL, "process %d speaks for it",
			       in->sender);
	switch (in->header->type) {
	case WIRE_call_note:
		return call_received(m, (const void *) in->bytes, err);
	case WIRE_call_cancel_note:
		cancelled(m, ((const struct wire_call_cancel_note *) (const void *)
				      in->bytes)
				     ->id);
		return 0;
	case WIRE_call_performed_note:
		if (m->call && m->call->id == performed->id && m->call->performed &&
		    m->call->state == CALL_PENDING)
			m->call->performed(m->call, performed->raw);
		return 0;
	default:
		return co_fail(err, CO_PROTOCOL, "message %#x is not for us",
			       in->header->type);
	}
}

/* ---- answers: any thread ---- */

bool member_answer(struct co_call *call, int64_t raw)
{
	struct members *all = call->session->daemon->members;
	struct table_call *slot = call->slot;
	struct member *m;
	bool over;
	int r;

	core_lock();
	m = call->member;
	/* does not wait: a guest that reads has room */
	r = m ? link_result(m->link, call->id, raw) : CO_GONE;
	DL_DELETE2(all->calls, call, member_prev, member_next);
	if (r) {
		notify_keep(all->daemon, slot, TABLE_KEPT);
		keep(all, slot);
		over = false;
	} else if (slot->effect) {
		notify_keep(all->daemon, slot, TABLE_ANSWERED);
		m->last = slot;
		HASH_ADD_KEYPTR(hh, all->answered, &slot->notif.id,
				sizeof(slot->notif.id), m);
		over = false;
	} else {
		over = true;
	}
	if (m)
		m->call = NULL;
	call->member = NULL;
	if (m && r && r != CO_GONE)
		member_end(m, "it does not read");
	core_unlock();
	(void) call_unref(call); /* the list's; the caller has one, too */
	return over;
}

struct link *member_link(struct co_call *call)
{
	struct link *link = NULL;

	core_lock();
	if (call->member)
		link = link_ref(call->member->link);
	core_unlock();
	return link;
}

bool member_abandoned(const struct co_call *call)
{
	return atomic_load(&call->cancelled) || !process_thread_is_alive(call->tid);
}

/* ---- life ---- */

static bool make_room(struct members *all)
{
	struct member *m;

	if (all->count < all->room)
		return true;
	DL_FOREACH (all->all, m)
		if (!m->call)
			break;
	if (m)
		member_end(m, NULL); /* it opens another when it needs one */
	return m != NULL;
}

int member_session(struct daemon *d, const struct wire_join_req *req, int32_t pid,
		   struct session **out, struct co_err *err)
{
	struct session *s = req->session ? session_find(d, req->session, NULL) : NULL;
	size_t count;
	const struct co_personality *all = co_personalities(&count);

	if (req->version < CO_WIRE_VERSION_MIN || req->version > CO_WIRE_VERSION)
		return co_fail(err, CO_VERSION,
			       "this program was started by another version of "
			       "cloudos-exec than the daemon's; start it again");
	if (req->personality >= count)
		return co_fail(err, CO_INVALID, "there is no such personality");
	if (!s) {
		int r = session_revive(d, req->session, req->personality, pid, &s, err);

		if (r)
			return r;
	}
	if (s->engine != CO_ENGINE_TRAP || !s->host ||
	    s->personality != &all[req->personality])
		return co_fail(err, CO_INVALID,
			       "session %llu is not one of engine trap and %s",
			       (unsigned long long) s->id, all[req->personality].name);
	*out = s;
	return 0;
}

static struct member *member_free(struct member *m)
{
	if (m->pidfd >= 0)
		(void) close(m->pidfd);
	(void) link_unref(m->link);
	(void) session_unref(m->session);
	free(m);
	return NULL;
}

int member_new(struct session *s, int fd, int32_t pid, struct co_err *err)
{
	struct members *all = s->daemon->members;
	struct member *m;
	int r;

	core_assert_locked();
	m = make_room(all) ? calloc(1, sizeof(*m)) : NULL;
	if (!m) {
		(void) close(fd);
		return co_fail(err, CO_TABLE_FULL,
			       "no room for one more connection of a program");
	}
	m->members = all;
	m->session = session_ref(s);
	m->pid = pid;
	m->nested = process_is_nested(pid);
	m->pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
	if (m->pidfd < 0) {
		(void) close(fd);
		(void) member_free(m);
		return co_fail(err, CO_GONE, "process %d has ended", pid);
	}
	r = link_new_member(&m->link, m, s, fd, all->received, err);
	if (r) {
		(void) member_free(m);
		return r;
	}
	DL_APPEND(all->all, m);
	all->count++;
	s->guests++;
	return 0;
}

void member_end(struct member *m, const char *why)
{
	struct members *all = m->members;
	struct session *s = m->session;

	core_assert_locked();
	if (why)
		co_log_session(session, WARN, s->id, m->pid,
			       "the connection of process %d is closed: %s", m->pid,
			       why);
	link_close(m->link);
	if (m->call) {
		m->call->member = NULL;
		m->call = NULL;
	}
	if (m->last)
		keep(all, take_last(m));
	DL_DELETE(all->all, m);
	all->count--;
	s->guests--;
	(void) session_ref(s);
	(void) member_free(m);
	members_check(s);
	(void) session_unref(s);
}

int members_new(struct members **out, struct daemon *d, struct co_err *err)
{
	struct members *all = calloc(1, sizeof(*all));
	struct rlimit files = { 0 };

	(void) getrlimit(RLIMIT_NOFILE, &files); /* fails for no such limit only */
	if (all) {
		all->daemon = d;
		all->pause_ms = SWEEP_MIN_MS;
		/* each has two, and half of all is for others */
		all->room = files.rlim_cur / 4 < CO_LIMIT_GUEST_CONNECTIONS
				    ? (unsigned) (files.rlim_cur / 4)
				    : CO_LIMIT_GUEST_CONNECTIONS;
		all->received = co_msg_new();
		all->sweep = d->host->timer_new(d->host->ctx, sweep, all);
	}
	if (!all || !all->received || !all->sweep)
		return co_fail(err, CO_NO_MEMORY, "no memory for guests");
	*out = all;
	return 0;
}
