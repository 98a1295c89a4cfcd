/* SPDX-License-Identifier: MIT */
/* The job endpoints: creating, looking, cancelling, running now, trying again.  HOST. */
#include <co/limits.h>
#include <stdlib.h>

#include "cloudosd/service/job.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/time.h"
#include "personality/blackroad/blackroad.h"

/* A request that waits for the store. */
struct waiting {
	struct http_call *call; /* NULL: the client has gone */
	int status;             /* what success is */
	char id[64]; /* of the job asked for; another one in the answer is new */
};

static void gone(struct http_call *call, void *arg)
{
	struct waiting *w = arg;

	(void) call;
	w->call = NULL;
}

static struct waiting *waiting_new(struct http_call *call, int status)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return NULL;
	}
	w->call = call;
	w->status = status;
	http_pend(call, gone, w);
	return w;
}

/* For a request about one job. */
static struct waiting *waiting_for(struct http_call *call, struct co_span id)
{
	struct waiting *w = waiting_new(call, 200);

	if (w && id.size < sizeof(w->id))
		memcpy(w->id, id.data, id.size);
	return w;
}

static bool is_new(const struct waiting *w, struct co_span job)
{
	struct co_span id;

	return *w->id && co_json_member(job, "id", &id) &&
	       !co_json_string_is(id, w->id);
}

static void answer(void *arg, const struct job_answer *a)
{
	struct waiting *w = arg;
	struct co_buf body = { 0 };

	if (!w->call) {
		free(w);
		return;
	}
	if (a->status == 0) {
		co_buf_span(&body, a->json);
		http_answer(w->call, is_new(w, a->json) ? 201 : w->status, &body);
	} else if (a->code) {
		http_fail(w->call, a->status == CO_NOT_FOUND ? 404 : 400, a->code, "%s",
			  a->reason);
	} else {
		http_fail_status(w->call, a->status, a->reason);
	}
	free(w);
}

/* ---- POST /v1/sys/job ---- */

static bool read_numbers(struct http_call *call,
			 const struct blackroad_job_create_args *with,
			 struct job_spec *spec)
{
	int64_t attempts, timeout, lease;

	if (!blackroad_json_number(call, "maxAttempts", with->maxAttempts, 1, 1,
				   CO_LIMIT_JOB_ATTEMPTS, &attempts) ||
	    !blackroad_json_number(call, "timeout", with->timeout, 0, 0,
				   CO_LIMIT_JOB_TIMEOUT_MS, &timeout) ||
	    !blackroad_json_number(call, "lease", with->lease, 0, 0,
				   CO_LIMIT_JOB_TIMEOUT_MS, &lease))
		return false;
	spec->max_attempts = (uint32_t) attempts;
	spec->timeout_ms = (uint64_t) timeout;
	spec->lease_ms = (uint64_t) lease;
	return true;
}

static bool read_words(struct http_call *call,
		       const struct blackroad_job_create_args *with,
		       struct job_spec *spec)
{
	if (with->misfire.data && !job_misfire_find(with->misfire, &spec->misfire)) {
		blackroad_invalid(call, "misfire is once, skip or all");
		return false;
	}
	if (with->overlap.data && !job_overlap_find(with->overlap, &spec->overlap)) {
		blackroad_invalid(call, "overlap is skip, queue, allow or replace");
		return false;
	}
	if (with->runAt.data &&
	    (!co_time_parse(with->runAt, &spec->run_at_ms) || !spec->run_at_ms)) {
		blackroad_invalid(call,
				  "runAt is a moment such as 2026-11-20T12:00:00Z");
		return false;
	}
	return true;
}

void blackroad_on_job_create(struct http_call *call,
			     const struct blackroad_job_create_args *with)
{
	struct job_spec spec = { .service = http_service(call),
				 .name = with->name,
				 .params = with->params,
				 .schedule = with->schedule,
				 .timezone = with->timezone };
	struct waiting *w;

	/* the router keeps answers by it; a job has it in its own record as well, so that one
	 * that was created is not created again even if the daemon died over its answer */
	(void) http_header(call, "idempotency-key", &spec.key);
	if (!read_numbers(call, with, &spec) || !read_words(call, with, &spec))
		return;
	w = waiting_new(call, 201);
	if (w)
		jobs_create(http_services(call)->jobs, &spec, answer, w);
}

/* ---- one job ---- */

typedef void job_request(struct jobs *jobs, const char *service, struct co_span id,
			 jobs_done *done, void *arg);

static void ask(struct http_call *call, struct co_span id, job_request *request)
{
	struct waiting *w = waiting_for(call, id);

	if (w)
		request(http_services(call)->jobs, http_service(call), id, answer, w);
}

void blackroad_on_job_get(struct http_call *call,
			  const struct blackroad_job_get_args *with)
{
	ask(call, with->id, jobs_get);
}

void blackroad_on_job_cancel(struct http_call *call,
			     const struct blackroad_job_cancel_args *with)
{
	ask(call, with->id, jobs_cancel);
}

void blackroad_on_job_run(struct http_call *call,
			  const struct blackroad_job_run_args *with)
{
	ask(call, with->id, jobs_run);
}

void blackroad_on_job_retry(struct http_call *call,
			    const struct blackroad_job_retry_args *with)
{
	ask(call, with->id, jobs_retry);
}

/* ---- GET /v1/sys/jobs ---- */

void blackroad_on_jobs(struct http_call *call, const struct blackroad_jobs_args *with)
{
	struct job_filter filter = { .service = http_service(call),
				     .parent = with->parent,
				     .name = with->name,
				     .after = with->after };
	struct waiting *w;
	int64_t limit;

	if (!blackroad_number(call, "limit", with->limit, 100, 1, CO_LIMIT_JOB_LIST,
			      &limit))
		return;
	filter.limit = (uint32_t) limit;
	filter.has_status = with->status.data != NULL;
	if (filter.has_status && !job_status_find(with->status, &filter.status)) {
		blackroad_invalid(call,
				  "status is pending, queued, running, completed, "
				  "failed or cancelled");
		return;
	}
	w = waiting_new(call, 200);
	if (w)
		jobs_list(http_services(call)->jobs, &filter, answer, w);
}
