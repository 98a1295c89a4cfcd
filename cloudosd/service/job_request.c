/* SPDX-License-Identifier: MIT */
/* What is asked of jobs from outside.  HOST.  Answers come after the commit. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/job_inside.h"
#include "lib/cleanup.h"

/* ---- answers ---- */

void job_op_tell(jobs_done *done, void *arg, struct co_span json)
{
	done(arg, &(struct job_answer){ .reason = "", .json = json });
}

static void fail(jobs_done *done, void *arg, int status, const char *code,
		 const char *reason)
{
	done(arg,
	     &(struct job_answer){ .status = status, .code = code, .reason = reason });
}

void job_refuse(jobs_done *done, void *arg, int status, const char *code,
		const char *format, ...)
{
	char reason[512];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	fail(done, arg, status, code, reason);
}

void job_waiters_answer(struct job *job, struct job_waiter *waiters, int status,
			const char *code, const char *reason)
{
	while (waiters) {
		struct job_waiter *waiter = waiters;

		waiters = waiter->next;
		if (status == 0)
			job_answer(job->jobs, job->record.id, waiter->done,
				   waiter->arg);
		else
			fail(waiter->done, waiter->arg, status, code, reason);
		free(waiter);
	}
}

struct job_op *job_op_new(struct jobs *jobs, jobs_done *done, void *arg)
{
	struct job_op *op = calloc(1, sizeof(*op));

	if (!op) {
		fail(done, arg, CO_NO_MEMORY, NULL,
		     "cloudosd has no memory left for it");
		return NULL;
	}
	op->jobs = jobs;
	op->done = done;
	op->arg = arg;
	DL_APPEND(jobs->ops, op);
	return op;
}

void job_op_free(struct job_op *op)
{
	if (op->jobs) {
		DL_DELETE(op->jobs->ops, op);
		op->jobs->creating -= op->fresh != NULL;
	}
	(void) job_free(op->fresh); /* is NULL */
	co_buf_done(&op->params);
	co_buf_done(&op->text);
	free(op->ids);
	free(op);
}

void job_op_fail(struct job_op *op, int status, const char *code, const char *reason)
{
	jobs_done *done = op->done;
	void *arg = op->arg;

	fail(done, arg, status, code, reason);
	job_op_free(op);
}

void job_op_refused(struct job_op *op, int status)
{
	job_op_fail(op, status, NULL,
		    status == CO_TOO_BIG
			    ? "the job is larger than a value of the store can be"
			    : "the store takes no more requests; try again");
}

void job_ops_free(struct jobs *jobs)
{
	struct job_op *op, *next;

	DL_FOREACH_SAFE (jobs->ops, op, next) {
		fail(op->done, op->arg, CO_GONE, NULL, "cloudosd is stopping");
		op->fresh = job_free(op->fresh);
		op->jobs = NULL; /* the answer of the store frees it */
	}
	jobs->ops = NULL;
}

struct co_span job_op_found(const struct store_result *result, size_t i)
{
	if (i >= result->nresults || !result->results[i].found)
		return (struct co_span){ NULL, 0 };
	return (struct co_span){ result->results[i].item.value,
				 result->results[i].item.size };
}

static void on_texts(void *arg, const struct store_result *result)
{
	struct job_op *op = arg;
	autobuf struct co_buf json = { 0 };
	struct job *job = NULL;

	if (!op->jobs) {
		job_op_free(op);
		return;
	}
	if (result->status < 0) {
		job_op_fail(op, result->status, NULL, result->reason);
		return;
	}
	HASH_FIND_STR(op->jobs->by_id, op->id, job);
	if (!job) {
		job_op_fail(op, CO_NOT_FOUND, "JOB_NOT_FOUND",
			    "the job is not kept any more");
		return;
	}
	job_json(&json, job, job_op_found(result, 0), job_op_found(result, 1));
	if (json.failed) {
		job_op_fail(op, CO_NO_MEMORY, NULL,
			    "cloudosd has no memory left for it");
		return;
	}
	job_op_tell(op->done, op->arg, (struct co_span){ json.data, json.size });
	job_op_free(op);
}

/* The job with its texts, as it is by then. */
void job_answer(struct jobs *jobs, const char *id, jobs_done *done, void *arg)
{
	char keys[2][JOB_KEY_SIZE];
	struct store_op ops[2] = { { .kind = STORE_GET, .key = keys[0] },
				   { .kind = STORE_GET, .key = keys[1] } };
	struct store_txn txn = { .then = ops, .nthen = 2 };
	struct job_op *op;
	struct job *job;
	int r;

	HASH_FIND_STR(jobs->by_id, id, job);
	if (!job) {
		fail(done, arg, CO_NOT_FOUND, "JOB_NOT_FOUND",
		     "the job is not kept any more");
		return;
	}
	op = job_op_new(jobs, done, arg);
	if (!op)
		return;
	(void) snprintf(op->id, sizeof(op->id), "%s", id);
	job_key(keys[0], "params", job->has_params ? job->record.params : id);
	job_key(keys[1], "outcome", id);
	r = store_txn(jobs->store, &txn, on_texts, op);
	if (r < 0)
		job_op_refused(op, r);
}

/* ---- creating ---- */

static void on_created(void *arg, const struct store_result *result)
{
	struct job_op *op = arg;
	struct jobs *jobs = op->jobs;
	autobuf struct co_buf json = { 0 };
	struct co_span params = { NULL, 0 };
	struct job *job = op->fresh;

	if (!jobs) {
		job_op_free(op);
		return;
	}
	if (result->status < 0) {
		job_op_fail(op, result->status, NULL, result->reason);
		return;
	}
	jobs->creating--;
	op->fresh = NULL;
	job_insert(job);
	job_emit(job, "job:created");
	if (op->params.data)
		params = (struct co_span){ op->params.data, op->params.size };
	job_json(&json, job, params, (struct co_span){ NULL, 0 });
	if (json.failed)
		fail(op->done, op->arg, CO_NO_MEMORY, NULL,
		     "the job was created, but cloudosd has no memory to say so");
	else
		job_op_tell(op->done, op->arg,
			    (struct co_span){ json.data, json.size });
	job_op_free(op);
	jobs_wake(jobs);
}

/* Everything about op->fresh is known. */
static void create(struct job_op *op)
{
	struct job *job = op->fresh;
	struct jobs *jobs = op->jobs;
	autobuf struct co_buf record = { 0 };
	char keys[2][JOB_KEY_SIZE];
	struct store_op ops[2] = { { .kind = STORE_PUT, .key = keys[0] },
				   { .kind = STORE_PUT, .key = keys[1] } };
	struct store_txn txn = { .then = ops, .nthen = 1 };
	int r;

	job_id_make(jobs, job->record.id);
	job->record.created = job_wall(jobs);
	if (job->schedule)
		job->record.next_run = job_next_tick(job, job->record.created);
	if (op->params.data) {
		memcpy(job->record.params, job->record.id, JOB_ID_SIZE);
		job->has_params = true;
		ops[1].value = op->params.data;
		ops[1].size = op->params.size;
		txn.nthen = 2;
	}
	job_encode(&record, job, &job->record);
	job_key(keys[0], "meta", job->record.id);
	job_key(keys[1], "params", job->record.id);
	ops[0].value = record.data;
	ops[0].size = record.size;
	r = record.failed ? CO_NO_MEMORY : store_txn(jobs->store, &txn, on_created, op);
	if (r < 0)
		job_op_refused(op, r);
}

static void on_zone(void *arg, const struct zone *zone, int status, const char *reason)
{
	struct job_op *op = arg;

	if (!zone) {
		job_op_fail(op, status,
			    status == CO_INVALID || status == CO_NOT_FOUND ||
					    status == CO_CORRUPT
				    ? "INVALID_SCHEDULE"
				    : NULL,
			    reason);
		return;
	}
	op->fresh->zone = zone;
	if (!job_next_tick(op->fresh, job_wall(op->jobs))) {
		job_op_fail(op, CO_INVALID, "INVALID_SCHEDULE",
			    "the schedule is not due any more before the year 10000");
		return;
	}
	create(op);
}

/* Reads the schedule and whose clock it means.  0 or CO_INVALID with a sentence. */
static int set_schedule(struct job *job, const struct job_spec *spec,
			struct co_err *err)
{
	struct co_span zone = spec->timezone;
	int r = cron_parse(&job->cron, spec->schedule, err);

	if (r < 0)
		return r;
	if (zone.data && !zone_name_is_valid(zone.data, zone.size))
		return co_fail(
			err, CO_INVALID,
			"\"%.*s\" is not the name of a time zone; names are like "
			"Europe/Berlin",
			(int) (zone.size < 64 ? zone.size : 64), zone.data);
	if (zone.data && *job->cron.zone && !co_span_is(zone, job->cron.zone))
		return co_fail(
			err, CO_INVALID,
			"the schedule is for %s and the timezone is %.*s: say one "
			"of them",
			job->cron.zone, (int) zone.size, zone.data);
	if (zone.data)
		memcpy(job->timezone, zone.data, zone.size);
	else
		(void) snprintf(job->timezone, sizeof(job->timezone), "%s",
				*job->cron.zone ? job->cron.zone : "UTC");
	return 0;
}

static bool name_is_valid(struct co_span name)
{
	for (size_t i = 0; i < name.size; i++)
		if ((unsigned char) name.data[i] < ' ' || name.data[i] == 0x7f)
			return false;
	return name.size && name.size <= 255;
}

/* Whether it can be at all; CO_INVALID, CO_NOT_FOUND, CO_BUSY with code and sentence. */
static int check_spec(const struct jobs *jobs, const struct job_spec *spec,
		      const char **code, struct co_err *err)
{
	*code = "INVALID_REQUEST";
	if (!name_is_valid(spec->name))
		return co_fail(err, CO_INVALID,
			       "name is the name of a handler: 1 to 255 bytes without "
			       "control characters");
	if (spec->schedule.data && spec->run_at_ms)
		return co_fail(err, CO_INVALID,
			       "a job has a schedule or a runAt, not both");
	if (spec->timezone.data && !spec->schedule.data)
		return co_fail(err, CO_INVALID, "a timezone belongs to a schedule");
	if (spec->max_attempts > CO_LIMIT_JOB_ATTEMPTS)
		return co_fail(err, CO_INVALID, "maxAttempts is 1 to %d",
			       CO_LIMIT_JOB_ATTEMPTS);
	if (spec->params.size > CO_LIMIT_STORE_VALUE) {
		*code = NULL;
		return co_fail(err, CO_TOO_BIG,
			       "the params of a job have %d bytes at most",
			       CO_LIMIT_STORE_VALUE);
	}
	*code = "HANDLER_NOT_FOUND";
	if (!handlers_exists(jobs->options.handlers, spec->service, HANDLER_JOB,
			     spec->name))
		return co_fail(err, CO_NOT_FOUND,
			       "there is no handler for the job \"%.*s\" of %s: a "
			       "program has to offer it first",
			       (int) spec->name.size, spec->name.data, spec->service);
	*code = NULL;
	if (!jobs->loaded || jobs->numbers.open + jobs->creating >= CO_LIMIT_JOBS)
		return co_fail(err, CO_BUSY,
			       "%d jobs are not over yet, which is the limit",
			       CO_LIMIT_JOBS);
	return 0;
}

static struct job *job_of_spec(struct jobs *jobs, const struct job_spec *spec)
{
	struct job *job =
		job_new(jobs, co_span(spec->service), spec->name, spec->schedule);

	if (!job)
		return NULL;
	job->record.misfire = spec->misfire;
	job->record.overlap = spec->overlap;
	job->record.max_attempts = spec->max_attempts ? spec->max_attempts : 1;
	job->record.timeout_ms = spec->timeout_ms;
	job->record.lease_ms = spec->lease_ms;
	job->record.run_at = spec->run_at_ms;
	if (spec->key.data)
		job->key = strndup(spec->key.data, spec->key.size);
	return spec->key.data && !job->key ? job_free(job) : job;
}

/* The job that was created with that key, if it is not a day old. */
static const struct job *find_key(const struct jobs *jobs, const struct job_spec *spec)
{
	const struct job *job = jobs->all ? jobs->all->prev : NULL;
	uint64_t wall = job_wall(jobs);

	for (; job; job = job == jobs->all ? NULL : job->prev)
		if (job->key && co_span_is(spec->key, job->key) &&
		    strcmp(job->service, spec->service) == 0 &&
		    job->record.created + JOB_WINDOW_MS > wall)
			return job;
	return NULL;
}

void jobs_create(struct jobs *jobs, const struct job_spec *spec, jobs_done *done,
		 void *arg)
{
	const struct job *same = spec->key.data ? find_key(jobs, spec) : NULL;
	struct co_err err = { 0 };
	const char *code;
	struct job_op *op;
	int r = same ? 0 : check_spec(jobs, spec, &code, &err);

	if (same) {
		job_answer(jobs, same->record.id, done, arg);
		return;
	}
	if (r < 0) {
		fail(done, arg, r, code, err.message);
		return;
	}
	op = job_op_new(jobs, done, arg);
	if (!op)
		return;
	op->fresh = job_of_spec(jobs, spec);
	if (spec->params.data)
		co_buf_span(&op->params, spec->params);
	if (!op->fresh || op->params.failed) {
		jobs->creating += op->fresh != NULL;
		job_op_fail(op, CO_NO_MEMORY, NULL,
			    "cloudosd has no memory left for it");
		return;
	}
	jobs->creating++;
	if (!spec->schedule.data) {
		create(op);
	} else if (set_schedule(op->fresh, spec, &err) < 0) {
		job_op_fail(op, CO_INVALID, "INVALID_SCHEDULE", err.message);
	} else {
		zones_get(jobs->zones, op->fresh->timezone, on_zone, op);
	}
}

/* ---- one job ---- */

static struct job *find(struct jobs *jobs, const char *service, struct co_span id,
			jobs_done *done, void *arg)
{
	struct job *job = job_find(jobs, service, id);

	if (!job)
		job_refuse(done, arg, CO_NOT_FOUND, "JOB_NOT_FOUND",
			   "there is no job \"%.*s\" of %s",
			   (int) (id.size < 64 ? id.size : 64), id.data, service);
	return job;
}

void jobs_get(struct jobs *jobs, const char *service, struct co_span id,
	      jobs_done *done, void *arg)
{
	struct job *job = find(jobs, service, id, done, arg);

	if (job)
		job_answer(jobs, job->record.id, done, arg);
}

static struct job_waiter *waiter_new(jobs_done *done, void *arg)
{
	struct job_waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter) {
		fail(done, arg, CO_NO_MEMORY, NULL,
		     "cloudosd has no memory left for it");
		return NULL;
	}
	waiter->done = done;
	waiter->arg = arg;
	return waiter;
}

static bool is_over(const struct job *job, jobs_done *done, void *arg, const char *what)
{
	if (job->record.state != JOB_AT_END)
		return false;
	job_refuse(done, arg, CO_INVALID, "JOB_FINAL",
		   "job %s cannot be %s: it is %s already", job->record.id, what,
		   job_status_name(job->record.end));
	return true;
}

void jobs_cancel(struct jobs *jobs, const char *service, struct co_span id,
		 jobs_done *done, void *arg)
{
	struct job *job = find(jobs, service, id, done, arg);
	struct job_waiter *waiter;

	if (!job || is_over(job, done, arg, "cancelled"))
		return;
	waiter = waiter_new(done, arg);
	if (!waiter)
		return;
	LL_APPEND(job->cancels, waiter);
	job_cancel(job);
}

static void retry(struct jobs *jobs, struct job *job, jobs_done *done, void *arg);

void jobs_run(struct jobs *jobs, const char *service, struct co_span id,
	      jobs_done *done, void *arg)
{
	struct job *job = find(jobs, service, id, done, arg);
	struct job_waiter *waiter;

	if (!job)
		return;
	if (job->schedule && is_over(job, done, arg, "run"))
		return;
	if (job->record.state == JOB_AT_END) {
		retry(jobs, job, done, arg);
		return;
	}
	if (job->record.state == JOB_AT_RUNNING) {
		job_refuse(done, arg, CO_INVALID, "JOB_RUNNING",
			   "job %s is running already", job->record.id);
		return;
	}
	if (jobs->numbers.open >= CO_LIMIT_JOBS) {
		job_refuse(done, arg, CO_BUSY, NULL,
			   "%d jobs are not over yet, which is the limit",
			   CO_LIMIT_JOBS);
		return;
	}
	waiter = waiter_new(done, arg);
	if (!waiter)
		return;
	LL_APPEND(job->wishes, waiter);
	job_step(job);
}

static void on_params(void *arg, const struct store_result *result)
{
	struct job_op *op = arg;
	struct co_span params;

	if (!op->jobs) {
		job_op_free(op);
		return;
	}
	if (result->status < 0) {
		job_op_fail(op, result->status, NULL, result->reason);
		return;
	}
	params = job_op_found(result, 0);
	if (params.data)
		co_buf_span(&op->params, params);
	if (op->params.failed) {
		job_op_fail(op, CO_NO_MEMORY, NULL,
			    "cloudosd has no memory left for it");
		return;
	}
	create(op);
}

/* A new run with the params of one that is over. */
static void retry(struct jobs *jobs, struct job *job, jobs_done *done, void *arg)
{
	struct job_spec spec = { .service = job->service,
				 .name = co_span(job->name),
				 .max_attempts = job->record.max_attempts,
				 .timeout_ms = job->record.timeout_ms,
				 .lease_ms = job->record.lease_ms };
	char key[JOB_KEY_SIZE];
	struct store_op get = { .kind = STORE_GET, .key = key };
	struct store_txn txn = { .then = &get, .nthen = 1 };
	struct co_err err = { 0 };
	const char *code;
	struct job_op *op;
	int r = check_spec(jobs, &spec, &code, &err);

	if (r < 0) {
		fail(done, arg, r, code, err.message);
		return;
	}
	op = job_op_new(jobs, done, arg);
	if (!op)
		return;
	op->fresh = job_of_spec(jobs, &spec);
	if (!op->fresh) {
		job_op_fail(op, CO_NO_MEMORY, NULL,
			    "cloudosd has no memory left for it");
		return;
	}
	jobs->creating++;
	memcpy(op->fresh->record.retry_of, job->record.id, JOB_ID_SIZE);
	if (!job->has_params) {
		create(op);
		return;
	}
	job_key(key, "params", job->record.params);
	r = store_txn(jobs->store, &txn, on_params, op);
	if (r < 0)
		job_op_refused(op, r);
}

void jobs_retry(struct jobs *jobs, const char *service, struct co_span id,
		jobs_done *done, void *arg)
{
	struct job *job = find(jobs, service, id, done, arg);

	if (!job)
		return;
	if (job->schedule || job->record.state != JOB_AT_END ||
	    job->record.end == JOB_COMPLETED) {
		job_refuse(done, arg, CO_INVALID, "JOB_NOT_FAILED",
			   "job %s is %s: only what has failed or was cancelled can be "
			   "tried again",
			   job->record.id, job_status_name(job_status(job)));
		return;
	}
	retry(jobs, job, done, arg);
}
