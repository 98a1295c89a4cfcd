/* SPDX-License-Identifier: MIT */
/*
 * Jobs: work that is kept until it is done, at once, later or again and again.  HOST.
 *
 * A job without schedule is a run: one piece of work with one end.  A job with a schedule is
 * a definition; each of its ticks makes a run, whose parent it is.  Runs are given to the
 * handlers of handler.h.  What is promised:
 *
 *	answered is committed: what `done` has told survives whatever ends the daemon
 *	a run is on the disk as running, with a token, before a handler hears of it; if the
 *	daemon dies then, the run goes on with the handler that comes back with the token, or
 *	it is lost and says so; it is begun again only if maxAttempts allows it
 *	a tick has one run at most: the run and the next tick are written together
 *	the end of a run is final; what comes later is dropped
 *
 * Keys in the store: /job/meta/ID the record, /job/params/ID, /job/outcome/ID as they came.
 */
#ifndef CO_SERVICE_JOB_H
#define CO_SERVICE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudosd/service/handler.h"
#include "cloudosd/service/host.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/span.h"
#include "store/store.h"

struct jobs;

enum job_status {
	JOB_PENDING, /* it is not time yet */
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_CANCELLED
};

/* What becomes of ticks that nobody was there for. */
enum job_misfire {
	JOB_MISFIRE_ONCE, /* the newest is made up for, if it is not a day old */
	JOB_MISFIRE_SKIP,
	JOB_MISFIRE_ALL /* all, CO_LIMIT_JOB_CATCH_UP at most */
};

/* What becomes of a tick while an earlier run is not over. */
enum job_overlap {
	JOB_OVERLAP_SKIP,
	JOB_OVERLAP_QUEUE, /* one may wait */
	JOB_OVERLAP_ALLOW,
	JOB_OVERLAP_REPLACE /* the earlier one is cancelled */
};

const char *job_status_name(enum job_status status); /* "pending" ... */
const char *job_misfire_name(enum job_misfire misfire);
const char *job_overlap_name(enum job_overlap overlap);

/* By its name; false: there is none. */
bool job_status_find(struct co_span name, enum job_status *out);
bool job_misfire_find(struct co_span name, enum job_misfire *out);
bool job_overlap_find(struct co_span name, enum job_overlap *out);

struct jobs_options {
	struct handlers *handlers;
	/* "job:created" and so on, after the commit; data is a JSON object. */
	void (*emit)(void *arg, const char *service, const char *event,
		     struct co_span data);
	void (*log)(void *arg, const char *sentence);
	/* There is something to stay alive for now, or nothing any more. */
	void (*changed)(void *arg);
	void *arg;
};

/* Nothing runs before jobs_load.  NULL: no memory. */
struct jobs *jobs_new(const struct co_host *host, struct store *store,
		      const struct jobs_options *options);

/* Who waits is answered CO_GONE.  What runs stays so on the disk; its handlers are told to
 * stop: a daemon that ends leaves this out.  Returns NULL. */
struct jobs *jobs_free(struct jobs *jobs);

/* Reads what an earlier daemon has left and begins.  Once. */
int jobs_load(struct jobs *jobs,
	      void (*done)(void *arg, int status, const char *reason), void *arg);

/* Nothing is begun any more; what runs may end.  NULL is allowed. */
void jobs_stop(struct jobs *jobs);

/* Is there a job that is not over?  NULL: no. */
bool jobs_keep_alive(const struct jobs *jobs);

struct job_spec {
	const char *service;               /* whose handler it is, in full */
	struct co_span name;               /* of the handler */
	struct co_span params;             /* checked JSON; {NULL, 0}: none */
	struct co_span schedule, timezone; /* may be {NULL, 0} */
	uint64_t run_at_ms;                /* 0: now; not together with a schedule */
	enum job_misfire misfire;
	enum job_overlap overlap;
	uint32_t max_attempts; /* 0: 1 */
	uint64_t timeout_ms;   /* of each attempt; 0: as long as it takes */
	uint64_t
		lease_ms; /* an attempt without progress for so long is lost; 0: none */
	/* Idempotency-Key: a job of that service with the same key, not a day old, is the
	 * answer instead of another one.  {NULL, 0}: none. */
	struct co_span key;
};

/* How a request has ended.  Valid during `done`. */
struct job_answer {
	int status;          /* 0, or a co_status */
	const char *code;    /* INVALID_SCHEDULE, HANDLER_NOT_FOUND ..., or NULL */
	const char *reason;  /* a sentence if status is not 0 */
	struct co_span json; /* a job; for jobs_list {"jobs":[...],"total":n,...} */
};

/* Once, perhaps before the function returns. */
typedef void jobs_done(void *arg, const struct job_answer *answer);

void jobs_create(struct jobs *jobs, const struct job_spec *spec, jobs_done *done,
		 void *arg);
void jobs_get(struct jobs *jobs, const char *service, struct co_span id,
	      jobs_done *done, void *arg);

/* Final at once, whatever the handler does.  A definition takes what is open of its runs
 * with it. */
void jobs_cancel(struct jobs *jobs, const char *service, struct co_span id,
		 jobs_done *done, void *arg);

/* One more run of a definition, now; or a run that waits for its time begins now. */
void jobs_run(struct jobs *jobs, const char *service, struct co_span id,
	      jobs_done *done, void *arg);

/* A run that has failed or was cancelled once more, as a new one with retryOf. */
void jobs_retry(struct jobs *jobs, const char *service, struct co_span id,
		jobs_done *done, void *arg);

struct job_filter {
	const char *service; /* NULL: all services */
	struct co_span
		parent; /* the runs of that definition; otherwise what has none */
	struct co_span name, after;
	bool has_status;
	enum job_status status;
	uint32_t limit; /* 1 to CO_LIMIT_JOB_LIST */
};

/* The newest first; `after` continues behind that one. */
void jobs_list(struct jobs *jobs, const struct job_filter *filter, jobs_done *done,
	       void *arg);

struct jobs_numbers {
	uint32_t open, running, kept, definitions;
	uint64_t started, completed, failed, cancelled, lost, missed, skipped;
};
struct jobs_numbers jobs_numbers(const struct jobs *jobs);

#endif
