/* SPDX-License-Identifier: MIT */
/*
 * The life of a run: waiting, running, over.  HOST.
 *
 * Cancelling, the handler's answer and a restart meet here in any order.  What is first on
 * the disk holds: a run that is cancelled there never hears of its result, and one that has
 * ended there cannot be cancelled.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/job_inside.h"
#include "lib/cleanup.h"
#include "lib/fault.h"

static void become(struct job *job, const struct job_record *record)
{
	struct jobs_numbers *n = &job->jobs->numbers;

	n->running += record->state == JOB_AT_RUNNING;
	n->running -= job->record.state == JOB_AT_RUNNING;
	job->record = *record;
}

static void outcome_drop(struct job *job)
{
	if (job->outcome)
		co_buf_done(&job->outcome->json);
	free(job->outcome);
	job->outcome = NULL;
}

/* The store or the handlers do not want it now: again in a while. */
static uint64_t refusal_delay(struct job *job)
{
	uint64_t delay = 1000ULL << (job->refusals < 5 ? job->refusals : 5);

	job->refusals++;
	return delay < JOB_SLEEP_MS ? delay : JOB_SLEEP_MS;
}

static void wait_after_refusal(struct job *job)
{
	job->ready_at = job_now(job->jobs) + refusal_delay(job);
}

static bool submit(struct job *job, struct job_write *write)
{
	if (write && job_write_submit(write) == 0)
		return true;
	if (write)
		job_write_free(write);
	wait_after_refusal(job);
	jobs_wake(job->jobs);
	return false;
}

/* ---- what handlers say ---- */

static void set_outcome(struct job *job, enum job_status status)
{
	job->outcome = calloc(1, sizeof(*job->outcome));
	if (job->outcome)
		job->outcome->status = status;
}

/* Between half of 1, 2, 4 ... seconds and all of it. */
static uint64_t retry_delay(const struct job *job)
{
	uint32_t n = job->record.attempt ? job->record.attempt - 1 : 0;
	uint64_t delay = n < 9 ? 1000ULL << n : JOB_BACKOFF_MS;
	uint64_t random = job->jobs->host->random(job->jobs->host->ctx);

	if (delay > JOB_BACKOFF_MS)
		delay = JOB_BACKOFF_MS;
	return delay / 2 + random % (delay / 2 + 1);
}

static void add_error(struct co_buf *out, const struct handler_result *result)
{
	char general[64];

	(void) snprintf(general, sizeof(general), "the handler answered with status %d",
			result->status);
	co_buf_text(out, "{\"code\":");
	co_buf_json_text(out, co_span(result->code ? result->code : "JOB_FAILED"));
	co_buf_text(out, ",\"message\":");
	co_buf_json_text(out,
			 result->message.size ? result->message : co_span(general));
	if (result->details.data) {
		co_buf_text(out, ",\"details\":");
		co_buf_span(out, result->details);
	}
	if (result->stack.data) {
		co_buf_text(out, ",\"stack\":");
		co_buf_json_text(out, result->stack);
	}
	co_buf_char(out, '}');
}

static void end_failed(struct job *job, const struct handler_result *result)
{
	bool again = job->record.attempt < job->record.max_attempts;

	set_outcome(job, again ? JOB_PENDING : JOB_FAILED);
	if (!job->outcome)
		return;
	if (again)
		job->outcome->backoff_ms = retry_delay(job);
	add_error(&job->outcome->json, result);
}

/* Nobody has begun with it: it waits again, and the attempt does not count. */
static void end_refused(struct job *job)
{
	set_outcome(job, JOB_QUEUED);
	if (job->outcome)
		job->outcome->backoff_ms = refusal_delay(job);
}

static void on_done(void *arg, const struct handler_result *result)
{
	struct job *job = arg;
	struct handler_result mine = *result;
	bool crashed = result->code && strcmp(result->code, "HANDLER_CRASHED") == 0;

	job->call = NULL;
	job->lease_until = 0;
	job->resume_until = UINT64_MAX;
	if (!job->jobs->loaded ||
	    (result->code && strcmp(result->code, "SHUTDOWN") == 0))
		return; /* the next daemon waits for the handler */
	(void) co_fault("job.answered");
	if (result->status == 200) {
		set_outcome(job, JOB_COMPLETED);
		if (job->outcome && result->result.data)
			co_buf_span(&job->outcome->json, result->result);
		else if (job->outcome)
			co_buf_text(&job->outcome->json, "null");
	} else if (!job->begun && (result->status == 503 || result->status == 404)) {
		end_refused(job);
	} else {
		if (crashed)
			mine.code = "HANDLER_LOST";
		end_failed(job, &mine);
	}
	if (job->outcome && job->outcome->json.size > CO_LIMIT_STORE_VALUE) {
		outcome_drop(job);
		mine = (struct handler_result){
			.status = 500,
			.code = "RESULT_TOO_LARGE",
			.message = co_span("the result is larger than a value of the "
					   "store can be")
		};
		end_failed(job, &mine);
	}
	if (!job->outcome || job->outcome->json.failed) {
		/* no memory to say how it ended: as if the handler had never answered */
		outcome_drop(job);
		job->resume_until = job_now(job->jobs) + 1000;
	}
	job_step(job);
}

static void on_begun(void *arg, const char *by)
{
	struct job *job = arg;

	job->begun = true;
	job->refusals = 0;
	free(job->by);
	job->by = strdup(by); /* without memory it is not told */
}

static void on_progress(void *arg, struct co_span value)
{
	struct job *job = arg;

	if (job->record.lease_ms)
		job->lease_until = job_now(job->jobs) + job->record.lease_ms;
	if (value.size > CO_LIMIT_JOB_PROGRESS)
		return;
	co_buf_done(&job->progress);
	co_buf_span(&job->progress, value);
	if (job->progress.failed)
		co_buf_done(&job->progress);
}

/* ---- giving it to a handler ---- */

static struct handler_request request_of(const struct job *job, struct co_span params)
{
	const struct job_record *r = &job->record;
	uint64_t wall = job_wall(job->jobs), timeout = r->timeout_ms;

	if (timeout && wall > r->started) /* a run that has been resumed */
		timeout =
			wall - r->started < timeout ? timeout - (wall - r->started) : 1;
	return (struct handler_request){ .service = job->service,
					 .subject = HANDLER_JOB,
					 .name = co_span(job->name),
					 .params = params,
					 .timeout_ms = timeout,
					 .caller.service = co_span(job->service),
					 .run = co_span(r->id),
					 .token = co_span(r->token),
					 .attempt = r->attempt };
}

static struct handler_listener listener_of(struct job *job)
{
	return (struct handler_listener){
		.begun = on_begun, .progress = on_progress, .done = on_done, .arg = job
	};
}

static void hold_lease(struct job *job)
{
	job->lease_until =
		job->record.lease_ms ? job_now(job->jobs) + job->record.lease_ms : 0;
}

/* It is running on the disk. */
static void begin(struct job *job, struct co_span params)
{
	struct handler_request request = request_of(job, params);
	struct handler_listener listener = listener_of(job);

	(void) co_fault("job.starting");
	job->begun = false;
	hold_lease(job);
	job->jobs->numbers.started++;
	job_emit(job, "job:started");
	if (!job->cancel_wanted)
		job->call =
			handlers_call(job->jobs->options.handlers, &request, &listener);
}

struct handler_call *job_resume(void *arg, struct handler_provider *provider,
				struct co_span run, struct co_span token)
{
	struct jobs *jobs = arg;
	struct handler_request request;
	struct handler_listener listener;
	struct job *job;

	HASH_FIND(hh, jobs->by_id, run.data, run.size, job);
	if (!job || job->record.state != JOB_AT_RUNNING || job->call || job->outcome ||
	    job->write || job->cancel_wanted || !*job->record.token ||
	    !co_span_is(token, job->record.token))
		return NULL;
	request = request_of(job, (struct co_span){ NULL, 0 });
	listener = listener_of(job);
	job->call = handlers_adopt(provider, &request, &listener);
	if (job->call) {
		job->begun = true;
		hold_lease(job);
	}
	return job->call;
}

static bool sibling_runs(const struct job *job)
{
	const struct job *other;

	if (!job->parent || job->parent->record.overlap == JOB_OVERLAP_ALLOW)
		return false;
	DL_FOREACH2(job->parent->children, other, c_next)
	if (other->record.state == JOB_AT_RUNNING ||
	    (other->write && other->write->kind == JOB_WRITE_START))
		return true;
	return false;
}

static bool may_start(const struct job *job, uint64_t wall, uint64_t now)
{
	const struct jobs *jobs = job->jobs;

	return !jobs->stopping && job->record.run_at <= wall && job->ready_at <= now &&
	       jobs->numbers.running + jobs->starting < CO_LIMIT_JOBS_RUNNING &&
	       handlers_exists(jobs->options.handlers, job->service, HANDLER_JOB,
			       co_span(job->name)) &&
	       !sibling_runs(job);
}

static void start(struct job *job, uint64_t wall)
{
	struct job_write *write = job_write_new(job, JOB_WRITE_START);
	const struct co_host *host = job->jobs->host;

	if (write) {
		write->after.state = JOB_AT_RUNNING;
		write->after.attempt++;
		write->after.started = wall;
		write->after.backoff = 0;
		(void) snprintf(write->after.token, sizeof(write->after.token),
				"%016" PRIx64 "%016" PRIx64, host->random(host->ctx),
				host->random(host->ctx));
	}
	if (submit(job, write))
		job->jobs->starting++;
}

void job_run_wake(struct job *job, uint64_t wall, uint64_t now)
{
	if (job->write)
		return;
	if (job->cancel_wanted || job->wishes || job->outcome) {
		if (job->ready_at <= now)
			job_step(job);
	} else if (job->record.state == JOB_AT_WAITING) {
		if (may_start(job, wall, now))
			start(job, wall);
	} else if (job->call) {
		if (job->lease_until && job->lease_until <= now)
			job_lose(job, "HANDLER_LOST",
				 "the handler has not told of any progress within the "
				 "lease of the job");
	} else if (job->resume_until <= now) {
		job_lose(
			job, "DAEMON_RESTART",
			"cloudosd was started again while the job was running, and its "
			"handler has not come back; it may have had an effect all the "
			"same");
	}
}

uint64_t job_run_due(const struct job *job, uint64_t wall, uint64_t now)
{
	uint64_t ready = job_until(job->ready_at, now);
	uint64_t run = job_until(job->record.run_at, wall);

	if (job->write)
		return JOB_SLEEP_MS;
	if (job->cancel_wanted || job->wishes || job->outcome)
		return ready;
	if (job->record.state == JOB_AT_WAITING)
		return ready > run ? ready : run; /* 0: for somebody else */
	if (job->call)
		return job->lease_until ? job_until(job->lease_until, now) : 0;
	return job_until(job->resume_until, now);
}

void job_lose(struct job *job, const char *code, const char *reason)
{
	struct handler_result result = { .status = 500,
					 .code = code,
					 .message = co_span(reason) };

	if (job->call)
		handlers_cancel(job->call);
	job->call = NULL;
	job->jobs->numbers.lost++;
	job_log(job->jobs, "%s (%s) is lost: %s", job->record.id, job->name, reason);
	end_failed(job, &result);
	job_step(job);
}

/* ---- the steps ---- */

void job_cancel(struct job *job)
{
	job->cancel_wanted = true;
	job_step(job);
}

static void write_cancel(struct job *job)
{
	struct job_write *write = job_write_new(job, JOB_WRITE_CANCEL);

	if (write) {
		write->after.state = JOB_AT_END;
		write->after.end = JOB_CANCELLED;
		write->after.completed = job_wall(job->jobs);
	}
	if (!submit(job, write)) {
		struct job_waiter *waiters = job->cancels;

		job->cancels = NULL;
		job->cancel_wanted = !waiters; /* by ourselves: again later */
		job_waiters_answer(job, waiters, CO_BUSY, NULL,
				   "the store takes no more requests; try again");
	}
}

static void write_end(struct job *job)
{
	struct job_write *write = job_write_new(job, JOB_WRITE_END);
	const struct job_outcome *outcome = job->outcome;
	uint64_t wall = job_wall(job->jobs);

	if (write && outcome->status >= JOB_COMPLETED) {
		write->after.state = JOB_AT_END;
		write->after.end = outcome->status;
		write->after.completed = wall;
	} else if (write) {
		write->after.state = JOB_AT_WAITING;
		write->after.backoff = wall + outcome->backoff_ms;
		write->after.token[0] = '\0';
		write->after.attempt -= outcome->status == JOB_QUEUED;
	}
	(void) submit(job, write); /* again later */
}

/* A run that waits begins now, a definition gets a run for each wish. */
static void write_run_now(struct job *job)
{
	struct job_write *write = job_write_new(job, JOB_WRITE_RUN_NOW);
	struct job *run;

	while (write && job->wishes && write->nfresh < CO_LIMIT_JOB_CATCH_UP) {
		struct job_waiter *waiter = job->wishes;

		if (job->schedule) {
			run = job_child(job, 0);
			if (!run)
				break;
			write->fresh[write->nfresh++] = run;
			write->after.run_count++;
			memcpy(write->after.last_run, run->record.id, JOB_ID_SIZE);
		}
		LL_DELETE(job->wishes, waiter);
		LL_APPEND(write->waiters, waiter);
	}
	write = write && !write->waiters ? (job_write_free(write), NULL) : write;
	if (write && !job->schedule)
		write->after.run_at = write->after.backoff = 0;
	if (!write || job_write_submit(write) < 0) {
		struct job_waiter *waiters = write ? write->waiters : job->wishes;

		job->wishes = write ? job->wishes : NULL;
		if (write)
			job_write_free(write);
		job_waiters_answer(job, waiters, CO_BUSY, NULL,
				   "the store takes no more requests; try again");
	}
}

void job_step(struct job *job)
{
	if (job->write || job->record.state == JOB_AT_END)
		return;
	if (job->cancel_wanted)
		write_cancel(job);
	else if (job->outcome)
		write_end(job);
	else if (job->wishes)
		write_run_now(job);
}

/* ---- what the store says ---- */

static void started(struct job *job, struct job_write *write,
		    const struct store_result *result)
{
	struct co_span params = { NULL, 0 };

	job->jobs->starting--;
	if (result->status < 0) {
		wait_after_refusal(job);
		return;
	}
	become(job, &write->after);
	if (result->nresults > 1 && result->results[1].found)
		params = (struct co_span){ result->results[1].item.value,
					   result->results[1].item.size };
	begin(job, params);
}

static void refuse_waiters(struct job *job)
{
	struct job_waiter *cancels = job->cancels, *wishes = job->wishes;

	job->cancels = job->wishes = NULL;
	job->cancel_wanted = false;
	job_waiters_answer(job, cancels, CO_INVALID, "JOB_FINAL",
			   "the job is over and cannot be cancelled any more");
	job_waiters_answer(job, wishes, CO_INVALID, "JOB_FINAL", "the job is over");
}

static void ended(struct job *job, struct job_write *write,
		  const struct store_result *result)
{
	struct jobs_numbers *n = &job->jobs->numbers;
	uint64_t backoff = job->outcome ? job->outcome->backoff_ms : 0;

	if (result->status < 0) {
		wait_after_refusal(job);
		return;
	}
	become(job, &write->after);
	outcome_drop(job);
	if (job->record.state == JOB_AT_WAITING) {
		job->ready_at = job_now(job->jobs) + backoff;
		return;
	}
	(void) co_fault("job.finished");
	n->completed += job->record.end == JOB_COMPLETED;
	n->failed += job->record.end == JOB_FAILED;
	job_emit(job,
		 job->record.end == JOB_COMPLETED ? "job:completed" : "job:failed");
	refuse_waiters(job);
	job_close(job);
}

static void cancelled(struct job *job, struct job_write *write,
		      const struct store_result *result)
{
	struct job_waiter *waiters = job->cancels;
	struct job *run, *next;

	job->cancels = NULL;
	job->cancel_wanted = false;
	if (result->status < 0) {
		job_waiters_answer(job, waiters, result->status, NULL, result->reason);
		return;
	}
	become(job, &write->after);
	if (job->outcome)
		job_log(job->jobs,
			"%s (%s) was cancelled; the result that came later is "
			"dropped",
			job->record.id, job->name);
	outcome_drop(job);
	if (job->call)
		handlers_cancel(job->call);
	job->call = NULL;
	job->jobs->numbers.cancelled++;
	job_emit(job, "job:cancelled");
	job_waiters_answer(job, waiters, 0, NULL, NULL);
	refuse_waiters(job);
	DL_FOREACH_SAFE2(job->children, run, next, c_next)
	if (run->is_open)
		job_cancel(run);
	job_close(job);
}

static void run_now(struct job *job, struct job_write *write,
		    const struct store_result *result)
{
	struct job_waiter *waiters = write->waiters, *waiter;

	write->waiters = NULL;
	if (result->status < 0) {
		job_waiters_answer(job, waiters, result->status, NULL, result->reason);
		return;
	}
	become(job, &write->after);
	job->ready_at = job->schedule ? job->ready_at : 0;
	if (!job->schedule) {
		job_waiters_answer(job, waiters, 0, NULL, NULL);
		return;
	}
	for (uint32_t i = 0; i < write->nfresh; i++) {
		struct job *run = write->fresh[i];

		job_insert(run);
		job_emit(run, "job:created");
		waiter = waiters;
		LL_DELETE(waiters, waiter);
		job_waiters_answer(run, waiter, 0, NULL, NULL);
	}
	write->nfresh = 0;
}

static void ticked(struct job *job, struct job_write *write)
{
	struct jobs_numbers *n = &job->jobs->numbers;

	n->missed += write->after.missed - job->record.missed;
	n->skipped += write->after.skipped - job->record.skipped;
	job->refusals = 0;
	become(job, &write->after);
	job_ticked(job, write);
}

void job_written(struct job_write *write, const struct store_result *result)
{
	struct job *job = write->job;
	struct jobs *jobs = job->jobs;
	char id[JOB_ID_SIZE];

	memcpy(id, job->record.id, sizeof(id));
	switch (write->kind) {
	case JOB_WRITE_START:
		started(job, write, result);
		break;
	case JOB_WRITE_END:
		ended(job, write, result);
		break;
	case JOB_WRITE_CANCEL:
		cancelled(job, write, result);
		break;
	case JOB_WRITE_TICK:
		if (result->status < 0)
			wait_after_refusal(job);
		else
			ticked(job, write);
		break;
	case JOB_WRITE_RUN_NOW:
		run_now(job, write, result);
		break;
	case JOB_WRITE_NONE:
		break;
	}
	HASH_FIND_STR(jobs->by_id, id, job); /* it may have been trimmed */
	if (job && (job->cancel_wanted || job->ready_at <= job_now(jobs)))
		job_step(job);
}
