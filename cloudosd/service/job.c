/* SPDX-License-Identifier: MIT */
/* The lists of jobs, one timer for all that is due, loading.  HOST. */
#include "cloudosd/service/job.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/job_inside.h"
#include "lib/cleanup.h"

enum { LOAD_PAGE = 500 };

#define GOING "cloudosd is stopping"

struct job_load {
	struct jobs *jobs; /* NULL: they are gone */
	void (*done)(void *arg, int status, const char *reason);
	void *arg;
	char after[JOB_KEY_SIZE];
	uint64_t rev, damaged;
};

/* ---- time and words ---- */

uint64_t job_wall(const struct jobs *jobs)
{
	return jobs->host->wall_ns(jobs->host->ctx) / 1000000;
}

uint64_t job_now(const struct jobs *jobs)
{
	return jobs->host->now_ms(jobs->host->ctx);
}

void job_log(const struct jobs *jobs, const char *format, ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (jobs->options.log)
		jobs->options.log(jobs->options.arg, sentence);
}

void job_emit(const struct job *job, const char *event)
{
	const struct jobs_options *o = &job->jobs->options;
	autobuf struct co_buf data = { 0 };

	if (!o->emit)
		return;
	job_json(&data, job, (struct co_span){ NULL, 0 }, (struct co_span){ NULL, 0 });
	if (!data.failed)
		o->emit(o->arg, job->service, event,
			(struct co_span){ data.data, data.size });
}

void jobs_changed(struct jobs *jobs)
{
	bool alive = jobs_keep_alive(jobs);

	if (alive == jobs->kept_alive)
		return;
	jobs->kept_alive = alive;
	if (jobs->options.changed)
		jobs->options.changed(jobs->options.arg);
}

void jobs_stop(struct jobs *jobs)
{
	if (jobs)
		jobs->stopping = true;
}

bool jobs_keep_alive(const struct jobs *jobs)
{
	return jobs && (jobs->open || jobs->writes);
}

struct jobs_numbers jobs_numbers(const struct jobs *jobs)
{
	return jobs->numbers;
}

/* ---- jobs in lists ---- */

void job_id_make(struct jobs *jobs, char out[JOB_ID_SIZE])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	struct job *other;

	uint64_t wall = job_wall(jobs);

	jobs->last_id_ms = wall > jobs->last_id_ms ? wall : jobs->last_id_ms + 1;
	do {
		uint64_t n = jobs->host->random(jobs->host->ctx);
		char tail[9] = "";

		for (int i = 0; i < 8; i++, n /= 36)
			tail[i] = digits[n % 36];
		(void) snprintf(out, JOB_ID_SIZE, "job-%013" PRIu64 "-%s",
				jobs->last_id_ms % 10000000000000, tail);
		HASH_FIND_STR(jobs->by_id, out, other);
	} while (other);
}

struct job *job_new(struct jobs *jobs, struct co_span service, struct co_span name,
		    struct co_span schedule)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->jobs = jobs;
	job->service = strndup(service.data, service.size);
	job->name = strndup(name.data, name.size);
	if (schedule.data)
		job->schedule = strndup(schedule.data, schedule.size);
	if (!job->service || !job->name || (schedule.data && !job->schedule))
		return job_free(job);
	return job;
}

static int by_id(const struct job *a, const struct job *b)
{
	return strcmp(a->record.id, b->record.id);
}

/* New ones come last: the place is looked for from the end. */
#define INSERT(list, job, prev_, next_)                                                \
	do {                                                                           \
		struct job *at_ = (list) ? (list)->prev_ : NULL;                       \
		while (at_ && by_id(at_, job) > 0)                                     \
			at_ = at_ == (list) ? NULL : at_->prev_;                       \
		if (at_)                                                               \
			DL_APPEND_ELEM2(list, at_, job, prev_, next_);                 \
		else                                                                   \
			DL_PREPEND2(list, job, prev_, next_);                          \
	} while (0)

static void open_insert(struct job *job)
{
	struct jobs *jobs = job->jobs;

	INSERT(jobs->open, job, o_prev, o_next);
	job->is_open = true;
	jobs->numbers.open++;
	jobs->numbers.definitions += job->schedule != NULL;
}

void job_insert(struct job *job)
{
	struct jobs *jobs = job->jobs;

	HASH_ADD_STR(jobs->by_id, record.id, job);
	INSERT(jobs->all, job, prev, next);
	if (*job->record.parent)
		HASH_FIND_STR(jobs->by_id, job->record.parent, job->parent);
	if (job->parent)
		INSERT(job->parent->children, job, c_prev, c_next);
	if (job->record.state != JOB_AT_END)
		open_insert(job);
	else
		jobs->numbers.kept++;
	jobs_changed(jobs);
}

static void open_remove(struct job *job)
{
	struct jobs *jobs = job->jobs;

	if (!job->is_open)
		return;
	DL_DELETE2(jobs->open, job, o_prev, o_next);
	job->is_open = false;
	jobs->numbers.open--;
	jobs->numbers.definitions -= job->schedule != NULL;
}

struct job *job_free(struct job *job)
{
	struct job *child;

	if (!job)
		return NULL;
	if (job->prev) { /* it is in the lists */
		if (!job->is_open)
			job->jobs->numbers.kept--;
		HASH_DEL(job->jobs->by_id, job);
		DL_DELETE(job->jobs->all, job);
		if (job->parent)
			DL_DELETE2(job->parent->children, job, c_prev, c_next);
		DL_FOREACH2(job->children, child, c_next)
		child->parent = NULL;
		open_remove(job);
	}
	if (job->outcome)
		co_buf_done(&job->outcome->json);
	free(job->outcome);
	co_buf_done(&job->progress);
	free(job->by);
	free(job->service);
	free(job->name);
	free(job->schedule);
	free(job->key);
	free(job);
	return NULL;
}

struct job *job_find(const struct jobs *jobs, const char *service, struct co_span id)
{
	struct job *job;

	HASH_FIND(hh, jobs->by_id, id.data, id.size, job);
	return job && strcmp(job->service, service) == 0 ? job : NULL;
}

static bool has_running(const struct job *definition)
{
	const struct job *run;

	DL_FOREACH2(definition->children, run, c_next)
	if (run->record.state == JOB_AT_RUNNING)
		return true;
	return false;
}

enum job_status job_status(const struct job *job)
{
	const struct job_record *r = &job->record;

	if (r->state == JOB_AT_END)
		return r->end;
	if (r->state == JOB_AT_RUNNING)
		return JOB_RUNNING;
	if (job->schedule)
		return has_running(job) ? JOB_RUNNING : JOB_QUEUED;
	if (r->run_at > job_wall(job->jobs) || job->ready_at > job_now(job->jobs))
		return JOB_PENDING;
	return JOB_QUEUED;
}

/* ---- what is kept of what is over ---- */

static bool may_go(const struct job *job)
{
	return !job->is_open && !job->children && !job->write;
}

/* The oldest of these that is over. */
static struct job *oldest(struct job *list, bool of_parent)
{
	struct job *job = list;

	while (job && !may_go(job))
		job = of_parent ? job->c_next : job->next;
	return job;
}

static uint32_t runs_over(const struct job *parent)
{
	const struct job *run;
	uint32_t n = 0;

	DL_FOREACH2(parent->children, run, c_next)
	n += !run->is_open;
	return n;
}

static void trim(struct jobs *jobs, const struct job *parent)
{
	uint64_t age = CO_LIMIT_JOB_DAYS * 86400000ULL, wall = job_wall(jobs);
	struct job *old;

	if (parent && runs_over(parent) > CO_LIMIT_JOB_HISTORY)
		job_erase(oldest(parent->children, true));
	for (int i = 0; i < 16; i++) { /* the rest another time */
		old = oldest(jobs->all, false);
		if (!old || (jobs->numbers.kept <= CO_LIMIT_JOBS_KEPT &&
			     (wall < age || old->record.completed >= wall - age)))
			break;
		job_erase(old);
	}
}

void job_close(struct job *job)
{
	struct jobs *jobs = job->jobs;

	open_remove(job);
	jobs->numbers.kept++;
	job->call = NULL;
	co_buf_done(&job->progress);
	free(job->by);
	job->by = NULL;
	trim(jobs, job->parent);
	jobs_changed(jobs);
}

/* ---- zones ---- */

struct zone_wish {
	struct jobs *jobs;
	char id[JOB_ID_SIZE];
};

static void zone_there(void *arg, const struct zone *zone, int status,
		       const char *reason)
{
	struct zone_wish *wish = arg;
	struct job *job;

	(void) status; /* the sentence says it */
	HASH_FIND_STR(wish->jobs->by_id, wish->id, job);
	if (job) {
		job->zone = zone;
		job->zone_asked = false;
		if (!zone) {
			job->ready_at = job_now(job->jobs) + 600000;
			job_log(job->jobs, "job %s (%s) cannot go on: %s", wish->id,
				job->name, reason);
		}
		jobs_wake(job->jobs);
	}
	free(wish);
}

void job_want_zone(struct job *job)
{
	struct zone_wish *wish;

	if (job->zone || job->zone_asked || job->ready_at > job_now(job->jobs))
		return;
	wish = calloc(1, sizeof(*wish));
	if (!wish)
		return; /* the next look asks again */
	wish->jobs = job->jobs;
	memcpy(wish->id, job->record.id, sizeof(wish->id));
	job->zone_asked = true;
	zones_get(job->jobs->zones, job->timezone, zone_there, wish);
}

/* ---- the timer ---- */

void jobs_wake(struct jobs *jobs)
{
	if (jobs->loaded)
		jobs->host->timer_start(jobs->timer, 0);
}

/* Looks at everything that is not over: the number of jobs is bounded, and most have
 * nothing to do.  The list does not change meanwhile: that waits for the store. */
static void look(void *arg)
{
	struct jobs *jobs = arg;
	uint64_t wall = job_wall(jobs), now = job_now(jobs), sleep = JOB_SLEEP_MS;
	struct job *job;

	DL_FOREACH2(jobs->open, job, o_next)
	{
		if (job->schedule)
			job_tick_wake(job, wall, now);
		else
			job_run_wake(job, wall, now);
	}
	DL_FOREACH2(jobs->open, job, o_next)
	{
		uint64_t wait = job->schedule ? job_tick_due(job, wall, now)
					      : job_run_due(job, wall, now);

		if (wait && wait < sleep)
			sleep = wait;
	}
	jobs->host->timer_start(jobs->timer, sleep);
}

/* A run may have waited for that handler. */
static void handlers_changed(void *arg, const char *service,
			     enum handler_subject subject, const char *name,
			     bool offered)
{
	(void) service;
	(void) name;
	if (offered && subject == HANDLER_JOB)
		jobs_wake(arg);
}

/* ---- begin and end ---- */

struct jobs *jobs_new(const struct co_host *host, struct store *store,
		      const struct jobs_options *options)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return NULL;
	jobs->host = host;
	jobs->store = store;
	jobs->options = *options;
	jobs->zones = zones_new(host);
	jobs->timer = host->timer_new(host->ctx, look, jobs);
	if (!jobs->zones || !jobs->timer)
		return jobs_free(jobs);
	jobs->watch.changed = handlers_changed;
	jobs->watch.arg = jobs;
	handlers_watch(options->handlers, &jobs->watch);
	handlers_on_resume(options->handlers, job_resume, jobs);
	return jobs;
}

/* The store still has them and frees them with its answer. */
static void writes_leave(struct jobs *jobs)
{
	struct job_write *write;

	DL_FOREACH (jobs->writes, write) {
		for (uint32_t i = 0; i < write->nfresh; i++)
			(void) job_free(write->fresh[i]); /* is NULL */
		write->nfresh = 0;
		job_waiters_answer(NULL, write->waiters, CO_GONE, NULL, GOING);
		write->jobs = NULL;
	}
	jobs->writes = NULL;
}

struct jobs *jobs_free(struct jobs *jobs)
{
	struct job *job, *next;

	if (!jobs)
		return NULL;
	jobs->loaded = false;
	jobs->options.changed = NULL;
	if (jobs->watch.changed) {
		handlers_on_resume(jobs->options.handlers, NULL, NULL);
		handlers_unwatch(jobs->options.handlers, &jobs->watch);
	}
	if (jobs->load)
		jobs->load->jobs = NULL;
	(void) zones_free(jobs->zones); /* is NULL */
	job_ops_free(jobs);
	writes_leave(jobs);
	DL_FOREACH_SAFE (jobs->all, job, next) {
		job_waiters_answer(NULL, job->cancels, CO_GONE, NULL, GOING);
		job_waiters_answer(NULL, job->wishes, CO_GONE, NULL, GOING);
		if (job->call)
			handlers_cancel(job->call);
		(void) job_free(job); /* is NULL */
	}
	if (jobs->timer)
		jobs->host->timer_free(jobs->timer);
	free(jobs);
	return NULL;
}

static void adopt_children(struct jobs *jobs)
{
	struct job *job;

	/* a parent is older than its runs, but clocks may have been set back */
	DL_FOREACH (jobs->all, job) {
		if (!*job->record.parent || job->parent)
			continue;
		HASH_FIND_STR(jobs->by_id, job->record.parent, job->parent);
		if (job->parent)
			INSERT(job->parent->children, job, c_prev, c_next);
	}
}

static void load_done(struct job_load *load, int status, const char *reason)
{
	struct jobs *jobs = load->jobs;
	uint64_t now = job_now(jobs), wall = job_wall(jobs);
	struct job *job;

	jobs->load = NULL;
	if (status == 0) {
		adopt_children(jobs);
		DL_FOREACH2(jobs->open, job, o_next)
		{
			uint64_t wait = job_until(job->record.backoff, wall);

			if (job->record.state == JOB_AT_RUNNING) {
				job->resume_until = now + JOB_RESUME_MS;
				jobs->numbers.running++;
			}
			job->ready_at =
				now + (wait < JOB_BACKOFF_MS ? wait : JOB_BACKOFF_MS);
		}
		if (load->damaged)
			job_log(jobs, "%" PRIu64 " jobs in the store cannot be read",
				load->damaged);
		jobs->loaded = true;
		jobs_wake(jobs);
	}
	load->done(load->arg, status, reason);
	free(load);
}

static void on_page(void *arg, const struct store_list *list)
{
	struct job_load *load = arg;
	struct jobs *jobs = load->jobs;
	int r;

	if (!jobs) {
		free(load);
		return;
	}
	if (list->status < 0) {
		load_done(load, list->status, list->reason);
		return;
	}
	for (size_t i = 0; i < list->nitems; i++) {
		struct co_span text = { list->items[i].value, list->items[i].size };
		struct job *job = job_decode(jobs, text);
		char key[JOB_KEY_SIZE] = "";

		if (job)
			job_key(key, "meta", job->record.id);
		if (strcmp(key, list->items[i].key) == 0) {
			job_insert(job);
		} else {
			(void) job_free(job); /* is NULL */
			load->damaged++;
		}
	}
	if (!list->more || !list->nitems) {
		load_done(load, 0, "");
		return;
	}
	load->rev = list->rev;
	(void) snprintf(load->after, sizeof(load->after), "%s",
			list->items[list->nitems - 1].key);
	r = store_list(jobs->store, "/job/meta/", load->after, LOAD_PAGE, load->rev,
		       on_page, load);
	if (r < 0)
		load_done(load, r, "the store takes no more requests");
}

int jobs_load(struct jobs *jobs,
	      void (*done)(void *arg, int status, const char *reason), void *arg)
{
	struct job_load *load = calloc(1, sizeof(*load));
	int r;

	if (!load)
		return CO_NO_MEMORY;
	load->jobs = jobs;
	load->done = done;
	load->arg = arg;
	r = store_list(jobs->store, "/job/meta/", NULL, LOAD_PAGE, 0, on_page, load);
	if (r < 0) {
		free(load);
		return r;
	}
	jobs->load = load;
	return 0;
}
