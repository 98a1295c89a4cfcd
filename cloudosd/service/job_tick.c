/* SPDX-License-Identifier: MIT */
/* Definitions: their ticks become runs.  HOST. */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/job_inside.h"
#include "lib/fault.h"

/* Ticks that nobody was there for are counted up to here. */
enum { COUNT_MAX = 10000 };

uint64_t job_next_tick(const struct job *job, uint64_t after)
{
	int64_t at = cron_next(&job->cron, job->zone, (int64_t) (after / 1000));

	return at == CRON_NEVER || at < 0 ? 0 : (uint64_t) at * 1000;
}

struct job *job_child(struct job *parent, uint64_t scheduled_for)
{
	struct co_span none = { NULL, 0 };
	struct job *run = job_new(parent->jobs, co_span(parent->service),
				  co_span(parent->name), none);
	struct job_record *r;

	if (!run)
		return NULL;
	r = &run->record;
	job_id_make(parent->jobs, r->id);
	memcpy(r->parent, parent->record.id, JOB_ID_SIZE);
	memcpy(r->params, parent->record.params, JOB_ID_SIZE);
	r->created = job_wall(parent->jobs);
	r->scheduled_for = scheduled_for;
	r->max_attempts = parent->record.max_attempts;
	r->timeout_ms = parent->record.timeout_ms;
	r->lease_ms = parent->record.lease_ms;
	run->has_params = parent->has_params;
	return run;
}

static uint32_t open_runs(const struct job *job)
{
	const struct job *run;
	uint32_t n = 0;

	DL_FOREACH2(job->children, run, c_next)
	n += run->is_open;
	return n;
}

/* Is there room for one more run, as the overlap of the job has it? */
static bool has_room(const struct job *job)
{
	static const uint32_t most[] = { [JOB_OVERLAP_SKIP] = 1,
					 [JOB_OVERLAP_QUEUE] = 2,
					 [JOB_OVERLAP_ALLOW] = CO_LIMIT_JOB_CATCH_UP,
					 [JOB_OVERLAP_REPLACE] =
						 CO_LIMIT_JOB_CATCH_UP };

	return open_runs(job) < most[job->record.overlap] &&
	       job->jobs->numbers.open < CO_LIMIT_JOBS;
}

/* The ticks that are due, the newest of them last; at most COUNT_MAX are counted. */
struct due {
	uint64_t count, newest;
	uint64_t last[CO_LIMIT_JOB_CATCH_UP]; /* of the tick n: last[n % ...] */
};

static void find_due(const struct job *job, uint64_t wall, struct due *due)
{
	uint64_t at = job->record.next_run;
	int64_t newest;

	*due = (struct due){ 0 };
	newest = cron_last(&job->cron, job->zone, (int64_t) (at / 1000) - 1,
			   (int64_t) (wall / 1000));
	if (newest == CRON_NEVER)
		return; /* the rules of the zone have changed meanwhile */
	due->newest = (uint64_t) newest * 1000;
	at -= 1000;
	while (due->count < COUNT_MAX) {
		at = job_next_tick(job, at);
		if (!at || at > wall)
			return;
		due->last[due->count++ % CO_LIMIT_JOB_CATCH_UP] = at;
	}
	due->last[due->count % CO_LIMIT_JOB_CATCH_UP] = due->newest;
	due->count++;
}

/* How many of these are made up for. */
static uint64_t wanted(const struct job *job, uint64_t wall, const struct due *due)
{
	uint64_t late = wall - due->newest;

	if (!due->count)
		return 0;
	switch (job->record.misfire) {
	case JOB_MISFIRE_ONCE:
		return late <= JOB_WINDOW_MS;
	case JOB_MISFIRE_SKIP:
		return late <= JOB_GRACE_MS;
	case JOB_MISFIRE_ALL:
		break;
	}
	return due->count < CO_LIMIT_JOB_CATCH_UP ? due->count : CO_LIMIT_JOB_CATCH_UP;
}

/* The runs of these ticks, and what that makes of the definition.  false: no memory. */
static bool add_runs(struct job *job, uint64_t wall, const struct due *due,
		     struct job_write *write)
{
	uint64_t n = wanted(job, wall, due);

	write->after.missed += due->count - n;
	if (n == 1 && !has_room(job)) {
		write->after.skipped++;
		return true;
	}
	for (uint64_t i = due->count - n; i < due->count; i++) {
		uint64_t at =
			n == 1 ? due->newest : due->last[i % CO_LIMIT_JOB_CATCH_UP];
		struct job *run = job_child(job, at);

		if (!run)
			return false;
		write->fresh[write->nfresh++] = run;
		write->after.run_count++;
		memcpy(write->after.last_run, run->record.id, JOB_ID_SIZE);
	}
	return true;
}

static void tick(struct job *job, uint64_t wall)
{
	struct job_write *write = job_write_new(job, JOB_WRITE_TICK);
	struct due due;

	find_due(job, wall, &due);
	if (write) {
		write->after.last_tick =
			due.count ? due.newest : write->after.last_tick;
		write->after.next_run =
			job_next_tick(job, due.count ? due.newest : wall);
	}
	if (write && add_runs(job, wall, &due, write) && job_write_submit(write) == 0)
		return;
	if (write)
		job_write_free(write);
	job->ready_at = job_now(job->jobs) + 1000;
}

/*
 * The clock was hours ahead and has been set right: what was a tick then was none.  After
 * less than that the ticks are not repeated, as everybody expects of cron.
 */
static bool was_false(const struct job *job, uint64_t wall)
{
	const struct job_record *r = &job->record;
	uint64_t base = r->last_tick > r->created ? r->last_tick : r->created;

	return base > wall + JOB_FALSE_MS && r->next_run > job_next_tick(job, wall);
}

static void set_right(struct job *job, uint64_t wall)
{
	struct job_write *write = job_write_new(job, JOB_WRITE_TICK);

	if (write) {
		write->after.next_run = job_next_tick(job, wall);
		write->after.last_tick = 0;
		job_log(job->jobs,
			"the clock has been set back: %s (%s) is due by the new time",
			job->record.id, job->name);
		if (job_write_submit(write) == 0)
			return;
		job_write_free(write);
	}
	job->ready_at = job_now(job->jobs) + 1000;
}

void job_tick_wake(struct job *job, uint64_t wall, uint64_t now)
{
	if (job->write || job->ready_at > now || job->jobs->stopping)
		return;
	if (job->cancel_wanted || job->wishes)
		job_step(job);
	else if (!job->zone)
		job_want_zone(job);
	else if (was_false(job, wall))
		set_right(job, wall);
	else if (job->record.next_run && job->record.next_run <= wall)
		tick(job, wall);
}

uint64_t job_tick_due(const struct job *job, uint64_t wall, uint64_t now)
{
	uint64_t ready = job_until(job->ready_at, now);
	uint64_t next = job_until(job->record.next_run, wall);

	if (job->write || (!job->record.next_run && !ready))
		return JOB_SLEEP_MS;
	if (!job->zone || job->cancel_wanted)
		return ready;
	return ready > next ? ready : next;
}

void job_ticked(struct job *job, struct job_write *write)
{
	struct job *run, *next;

	(void) co_fault("job.ticked");
	if (write->nfresh && job->record.overlap == JOB_OVERLAP_REPLACE)
		DL_FOREACH_SAFE2(job->children, run, next, c_next)
	if (run->is_open)
		job_cancel(run);
	for (uint32_t i = 0; i < write->nfresh; i++) {
		job_insert(write->fresh[i]);
		job_emit(write->fresh[i], "job:created");
	}
	write->nfresh = 0;
}
