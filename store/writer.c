/* SPDX-License-Identifier: MIT */
/*
 * The writer thread: everything that waits becomes one SQLite transaction, one
 * fdatasync; then the answers.  HOST.
 *
 * Should a group fail, each of its requests runs again alone, so that only the one that
 * cannot be done is refused.
 */
#include "store/internal.h"

#include <errno.h>
#include <time.h>
#include <utlist.h>

#include "lib/fault.h"

enum {
	GROUP_MAX = 1024,
	ANSWERS_MAX = 64,
	LAPSE_AGAIN_MS = 1000,
	GATHER_LEAST_NS = 20000,
	GATHER_MOST_NS = 1000000
};

uint64_t writer_now(const struct store *s)
{
	struct timespec t;

	if (s->options.now_ms)
		return s->options.now_ms(s->options.ctx);
	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
	return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

uint64_t writer_wall(const struct store *s)
{
	struct timespec t;

	if (s->options.wall_ms)
		return s->options.wall_ms(s->options.ctx);
	(void) clock_gettime(CLOCK_REALTIME, &t); /* always there */
	return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

static size_t weight(const struct request *r)
{
	return r->in.bytes + sizeof(*r);
}

/* With s->lock. */
static void enqueue(struct store *s, struct request *r)
{
	DL_APPEND(s->queue, r);
	s->queued++;
	s->queued_bytes += weight(r);
}

int writer_queue(struct store *s, struct request *r)
{
	int status = 0;

	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	if (s->closing)
		status = CO_GONE;
	else if (s->queued >= CO_LIMIT_STORE_QUEUE ||
		 (s->queued &&
		  s->queued_bytes + weight(r) > CO_LIMIT_STORE_QUEUE_BYTES))
		status = CO_BUSY;
	if (status == 0) {
		enqueue(s, r);
		if (s->queued >= s->awaited)
			(void) pthread_cond_signal(&s->wake); /* cannot fail */
	}
	(void) pthread_mutex_unlock(&s->lock); /* held */
	if (status < 0)
		request_unref(r);
	return status;
}

/* ---- answers ---- */

void store_deliver(struct store *s, void (*callback)(void *arg), void *arg)
{
	(void) pthread_mutex_lock(&s->callbacks); /* never from inside a callback */
	if (s->options.deliver)
		s->options.deliver(s->options.ctx, callback, arg);
	else
		callback(arg);
	(void) pthread_mutex_unlock(&s->callbacks); /* held */
}

void writer_answer(void *request)
{
	struct request *r = request;

	if (r->list_done)
		r->list_done(r->arg, &r->list);
	else if (r->sites_done)
		r->sites_done(r->arg, r->result.status ? NULL : r->sites.rows,
			      r->sites.size);
	else if (r->done)
		r->done(r->arg, &r->result);
	request_unref(r);
}

static void answer_all(void *arg)
{
	struct request *all = arg, *r, *next;

	DL_FOREACH_SAFE (all, r, next)
		writer_answer(r);
}

/* Delivered together: one lock, one wake-up of whoever waits. */
static void tell(struct store *s)
{
	struct request *all = s->answers;

	s->answers = NULL;
	s->nanswers = 0;
	if (all)
		store_deliver(s, answer_all, all);
}

static void settle_lease(struct store *s, struct request *r)
{
	uint64_t now = writer_now(s);

	switch (r->kind) {
	case REQUEST_GRANT:
		if (leases_set(&s->leases, r->result.rev, r->number, now) < 0)
			request_fail(r, CO_NO_MEMORY, "out of memory");
		break;
	case REQUEST_KEEPALIVE:
		leases_touch(&s->leases, r->number, now);
		break;
	case REQUEST_REVOKE:
	case REQUEST_LAPSE:
		if (r->result.succeeded)
			leases_drop(&s->leases, r->number);
		break;
	default:
		break;
	}
}

/* After the commit, or after r was refused: who waits for it learns.  Takes r. */
static void settle(struct store *s, struct request *r)
{
	if (r->result.status == 0) {
		settle_lease(s, r);
		if (r->kind == REQUEST_TXN && r->txn.journal && r->result.succeeded)
			journal_note(s, r->txn.journal);
		if (r->nevents) {
			tell(s); /* the answers before; events come before their own */
			watch_publish(s, r);
		}
	}
	r->prev = r->next = NULL;
	DL_APPEND(s->answers, r);
	if (++s->nanswers == ANSWERS_MAX)
		tell(s);
}

/* ---- groups ---- */

int writer_begin(struct store *s)
{
	s->draft = (struct draft){ .revision = s->revision,
				   .keys = s->keys,
				   .history = s->history,
				   .history_bytes = s->history_bytes,
				   .leases = s->leases.count };
	s->wrote = false;
	s->wall_ms = writer_wall(s);
	return sql_run(s, SQL_BEGIN);
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
	return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

int writer_commit(struct store *s)
{
	uint64_t began;
	int status;

	if (s->wrote && co_fault("store.commit"))
		return co_fail(&s->failure, CO_IO, "cannot write %s: a fault is armed",
			       s->path);
	began = clock_ns();
	status = sql_run(s, SQL_COMMIT);
	if (status < 0)
		return status;
	s->commit_ns = s->wrote ? clock_ns() - began : 0;
	s->commits_ns += s->commit_ns;
	if (s->wrote)
		(void) co_fault("store.committed");
	s->commits += s->wrote ? 1 : 0;
	s->revision = s->draft.revision;
	s->keys = s->draft.keys;
	s->history = s->draft.history;
	s->history_bytes = s->draft.history_bytes;
	return 0;
}

void writer_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db)) {
		(void) sqlite3_step(s->sql[SQL_ROLLBACK]); /* no way but forward */
		sql_reset(s, SQL_ROLLBACK);
	}
}

static int execute(struct store *s, struct request *r)
{
	if (r->grows && !s->ballast_held && !s->ballast_off) {
		request_fail(
			r, CO_NO_SPACE,
			"cannot write %s: the disk is full; free some space, what was "
			"acknowledged is safe",
			s->path);
		return 0;
	}
	switch (r->kind) {
	case REQUEST_TXN:
		return txn_run(s, r);
	case REQUEST_LIST:
		return txn_list(s, r);
	case REQUEST_EXPIRE:
		return txn_expire(s, r);
	case REQUEST_COUNT:
		return txn_count(s, r);
	case REQUEST_GRANT:
		return txn_grant(s, r);
	case REQUEST_KEEPALIVE:
		return txn_keepalive(s, r);
	case REQUEST_REVOKE:
	case REQUEST_LAPSE:
		return txn_revoke(s, r);
	case REQUEST_SITES_GET:
		return sites_get(s, r);
	case REQUEST_SITES_PUT:
		return sites_put(s, r);
	default:
		return 0;
	}
}

static int attempt(struct store *s, struct request *group)
{
	int status = writer_begin(s);
	struct request *r;

	DL_FOREACH (group, r) {
		if (status < 0)
			break;
		request_reset(r);
		status = execute(s, r);
	}
	if (status == 0)
		status = writer_commit(s);
	if (status < 0)
		writer_rollback(s);
	return status;
}

static void run_alone(struct store *s, struct request *r)
{
	int status = attempt(s, r);

	if (status == CO_NO_SPACE) {
		space_reclaim(s);
		status = attempt(s, r);
	}
	if (status == CO_NO_SPACE && !r->grows) {
		space_release(s);
		status = attempt(s, r);
		space_tidy(s);
	}
	if (status < 0)
		request_fail(r, status, "%s", s->failure.message);
	settle(s, r);
}

static void run_group(struct store *s, struct request *group)
{
	bool together = attempt(s, group) == 0;
	struct request *r, *next;

	DL_FOREACH_SAFE (group, r, next) {
		DL_DELETE(group, r);
		r->prev = r;
		r->next = NULL;
		if (together)
			settle(s, r);
		else
			run_alone(s, r);
	}
}

static void run_single(struct store *s, struct request *r)
{
	switch (r->kind) {
	case REQUEST_WATCH:
		watch_attach(s, r);
		request_unref(r);
		return;
	case REQUEST_COMPACT:
		space_compact(s, r);
		break;
	case REQUEST_BACKUP:
		space_backup(s, r);
		break;
	default:
		break;
	}
	settle(s, r);
}

/* ---- the loop ---- */

static bool runs_alone(const struct request *r)
{
	return r->kind >= REQUEST_WATCH;
}

/* Keepalives count when they are committed: lapses wait for that. */
static bool goes_with(const struct request *first, const struct request *r)
{
	return !runs_alone(r) &&
	       (first->kind == REQUEST_LAPSE) == (r->kind == REQUEST_LAPSE);
}

/* With s->lock: what can run together, from the front of the queue. */
static struct request *take_group(struct store *s)
{
	struct request *group = NULL, *r, *next;
	size_t n = 0;

	DL_FOREACH_SAFE (s->queue, r, next) {
		if (n == GROUP_MAX || (n && !goes_with(group, r)))
			break;
		DL_DELETE(s->queue, r);
		DL_APPEND(group, r);
		s->queued--;
		s->queued_bytes -= weight(r);
		n++;
		if (runs_alone(r))
			break;
	}
	return group;
}

static bool lease_is_due(const struct store *s, uint64_t *out_deadline)
{
	return leases_next(&s->leases, out_deadline) && *out_deadline <= writer_now(s);
}

/* With s->lock: until there is work, or the time of the first lease has come. */
static void wait_for_work(struct store *s)
{
	uint64_t deadline;

	while (!s->queue && !s->closing && !lease_is_due(s, &deadline)) {
		if (!leases_next(&s->leases, &deadline) || s->options.now_ms) {
			(void) pthread_cond_wait(&s->wake,
						 &s->lock); /* looked at again */
		} else {
			struct timespec until = {
				.tv_sec = (time_t) (deadline / 1000),
				.tv_nsec = (long) (deadline % 1000) * 1000000,
			};

			/* The time is looked at again as well. */
			(void) pthread_cond_timedwait(&s->wake, &s->lock, &until);
		}
	}
}

/*
 * With s->lock: clients that were answered together ask again together, but the first of
 * them is here before the others.  Going with it alone would make them all wait for two
 * commits; so a little of what a commit takes is spent on waiting for as many as last time.
 */
static void gather(struct store *s)
{
	uint64_t wait = s->commit_ns / 4, until;
	struct timespec t;

	if (wait < GATHER_LEAST_NS || s->options.now_ms)
		return;
	until = clock_ns() + (wait < GATHER_MOST_NS ? wait : GATHER_MOST_NS);
	t.tv_sec = (time_t) (until / 1000000000);
	t.tv_nsec = (long) (until % 1000000000);
	s->awaited = s->group;
	while (s->queue && !s->closing && s->queued < s->awaited &&
	       pthread_cond_timedwait(&s->wake, &s->lock, &t) == 0)
		continue;
	s->awaited = 1;
}

/* With s->lock: leases whose time has come queue up behind whoever asked before; a
 * keepalive among those still saves them.  Each is put off first: should the disk not
 * take it, it comes again. */
static void queue_lapsed(struct store *s)
{
	uint64_t deadline;

	for (size_t n = 0; n < GROUP_MAX && lease_is_due(s, &deadline); n++) {
		struct request *r = request_new(REQUEST_LAPSE, NULL, NULL);
		uint64_t id = leases_next(&s->leases, &deadline);
		uint64_t again = writer_now(s) + LAPSE_AGAIN_MS;

		leases_postpone(&s->leases, id, again);
		if (!r)
			break;
		r->number = id;
		r->deadline = again;
		enqueue(s, r);
	}
}

static void after_group(struct store *s, size_t requests)
{
	if (s->history > CO_LIMIT_STORE_HISTORY ||
	    s->history_bytes > CO_LIMIT_STORE_HISTORY_BYTES)
		space_trim_history(s);
	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	s->status.revision = s->revision;
	s->status.compacted = s->compacted;
	s->status.keys = (uint64_t) s->keys;
	s->status.leases = s->leases.count;
	s->status.requests += requests;
	s->status.commits = s->commits;
	s->status.commit_ns = s->commits_ns;
	(void) pthread_mutex_unlock(&s->lock); /* held */
}

static void run(struct store *s, struct request *group)
{
	struct request *r;
	bool grows = false;
	size_t n;

	if (!group)
		return;
	DL_FOREACH (group, r)
		grows = grows || r->grows;
	DL_COUNT(group, r, n);
	s->group = n;
	if (grows && !s->ballast_held && !s->ballast_off)
		(void) space_restore(s); /* execute() looks at what came of it */
	if (runs_alone(group))
		run_single(s, group);
	else
		run_group(s, group);
	tell(s);
	after_group(s, n);
}

void *writer_main(void *store)
{
	struct store *s = store;
	bool over = false;

	while (!over) {
		struct request *group;

		(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
		wait_for_work(s);
		gather(s);
		queue_lapsed(s);
		group = take_group(s);
		over = !group && s->closing;
		(void) pthread_mutex_unlock(&s->lock); /* held */
		run(s, group);
	}
	return NULL;
}
