/* SPDX-License-Identifier: MIT */
/*
 * The insides of jobs.  HOST.  Memory follows the store: a transition is written first and
 * takes place when it is committed; a job has one write in flight at most.
 */
#ifndef CO_SERVICE_JOB_INSIDE_H
#define CO_SERVICE_JOB_INSIDE_H

#include <co/limits.h>
#include <uthash.h>
#include <utlist.h>

#include "cloudosd/service/cron.h"
#include "cloudosd/service/job.h"
#include "cloudosd/service/zones.h"

#define JOB_ID_SIZE    40
#define JOB_TOKEN_SIZE 33
#define JOB_KEY_SIZE   64
#define JOB_SLEEP_MS   30000    /* the longest, so that a changed clock is seen */
#define JOB_RESUME_MS  15000    /* for handlers to come back after a restart */
#define JOB_GRACE_MS   60000    /* a tick so late is still on time */
#define JOB_WINDOW_MS  86400000 /* a missed tick so old is made up for */
#define JOB_FALSE_MS   10800000 /* a clock set back by more was wrong before */
#define JOB_BACKOFF_MS 300000   /* the longest between two attempts */

enum job_state { JOB_AT_WAITING, JOB_AT_RUNNING, JOB_AT_END };

enum job_write_kind {
	JOB_WRITE_NONE,
	JOB_WRITE_START,
	JOB_WRITE_END,
	JOB_WRITE_CANCEL,
	JOB_WRITE_TICK,
	JOB_WRITE_RUN_NOW
};

/* What a record keeps, as it is on the disk. */
struct job_record {
	char id[JOB_ID_SIZE], parent[JOB_ID_SIZE], params[JOB_ID_SIZE];
	char retry_of[JOB_ID_SIZE], last_run[JOB_ID_SIZE], token[JOB_TOKEN_SIZE];
	enum job_state state;
	enum job_status end; /* if it is at its end */
	enum job_misfire misfire;
	enum job_overlap overlap;
	uint32_t attempt, max_attempts;
	uint64_t timeout_ms, lease_ms;
	/* of the wall clock, in milliseconds; 0: none */
	uint64_t created, started, completed, run_at, scheduled_for, backoff;
	/* of a definition */
	uint64_t next_run, last_tick, run_count, missed, skipped;
};

/* A request that waits for a write. */
struct job_waiter {
	jobs_done *done;
	void *arg;
	struct job_waiter *next;
};

/* What a handler has said, until it is written. */
struct job_outcome {
	enum job_status status; /* JOB_PENDING: again */
	uint64_t backoff_ms;
	struct co_buf json; /* the result, or the error object */
	bool lost;
};

struct job {
	struct jobs *jobs;
	struct job_record record;
	char *service, *name, *schedule; /* schedule NULL: a run */
	char *key;                       /* of its creation; or NULL */
	char timezone[ZONE_NAME_SIZE];
	struct cron cron;
	const struct zone *zone; /* NULL: not read yet, or there is none */
	bool zone_asked;
	struct job *parent;
	/* a run that is going on */
	struct handler_call *call;
	char *by;
	struct co_buf progress;
	uint64_t lease_until, resume_until; /* of the monotonic clock; 0: none */
	bool begun;
	struct job_outcome *outcome;
	/* waiting */
	uint64_t ready_at; /* monotonic: not before */
	uint32_t refusals; /* of the store or the handlers, one after the other */
	/* requests */
	struct job_write *write;
	struct job_waiter *cancels, *wishes; /* wishes: to run now */
	bool cancel_wanted;
	struct job *children;
	UT_hash_handle hh;
	struct job *prev, *next;     /* all, by id */
	struct job *o_prev, *o_next; /* what is not over */
	struct job *c_prev, *c_next; /* of one parent, by id */
	bool is_open, has_params;
};

struct job_write {
	struct jobs *jobs; /* NULL: they are gone */
	struct job *job;
	enum job_write_kind kind;
	struct job_record after; /* what the job will be when it is committed */
	struct job *fresh[CO_LIMIT_JOB_CATCH_UP]; /* runs that come with it */
	uint32_t nfresh;
	struct job_waiter *waiters; /* of RUN_NOW, one for each of the runs */
	struct job_write *prev, *next;
};

/* A request that waits for the store or a file. */
struct job_op {
	struct jobs *jobs; /* NULL: it has been answered already */
	jobs_done *done;
	void *arg;
	struct job *fresh;    /* to be created */
	struct co_buf params; /* of it */
	char id[JOB_ID_SIZE]; /* to be told; of a retry: the one before */
	/* a list */
	char (*ids)[JOB_ID_SIZE];
	uint32_t nids, at;
	uint64_t total;
	bool more;
	struct co_buf text;
	struct job_op *prev, *next;
};

struct jobs {
	const struct co_host *host;
	struct store *store;
	struct jobs_options options;
	struct zones *zones;
	struct job *by_id, *all, *open;
	struct job_write *writes;
	struct job_op *ops;
	struct job_load *load;
	struct co_timer *timer;
	struct jobs_numbers numbers;
	struct handlers_watch watch;
	uint64_t last_id_ms;
	uint32_t starting, creating;
	bool loaded, kept_alive, stopping;
};

/* ---- job.c: lists and time ---- */

uint64_t job_wall(const struct jobs *jobs);
uint64_t job_now(const struct jobs *jobs);

/* A job of that record's kind, in no list.  NULL: no memory. */
struct job *job_new(struct jobs *jobs, struct co_span service, struct co_span name,
		    struct co_span schedule);
struct job *job_free(struct job *job); /* out of all lists; returns NULL */
void job_insert(struct job *job);      /* into the lists, by its record */
void job_id_make(struct jobs *jobs, char out[JOB_ID_SIZE]); /* later ones sort later */
void job_close(struct job *job); /* it has come to its end: may be trimmed */
struct job *job_find(const struct jobs *jobs, const char *service, struct co_span id);
enum job_status job_status(const struct job *job);
void job_want_zone(struct job *job);

/* Looks, soon, at what is due. */
void jobs_wake(struct jobs *jobs);
void job_log(const struct jobs *jobs, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void job_emit(const struct job *job, const char *event);
void jobs_changed(struct jobs *jobs);

static inline uint64_t job_until(uint64_t at, uint64_t now)
{
	return at > now ? at - now : 0;
}

/* ---- job_record.c ---- */

void job_encode(struct co_buf *out, const struct job *job,
		const struct job_record *record);
/* NULL: it is none of ours. */
struct job *job_decode(struct jobs *jobs, struct co_span text);
void job_json(struct co_buf *out, const struct job *job, struct co_span params,
	      struct co_span outcome);
void job_key(char out[JOB_KEY_SIZE], const char *kind, const char *id);

/* ---- job_write.c ---- */

/*
 * Writes what the job is to be, the runs that come with it (taken) and the outcome; then
 * job_written.  Negative: it does not, and nothing is taken.
 */
struct job_write *job_write_new(struct job *job, enum job_write_kind kind);
int job_write_submit(struct job_write *write);
void job_write_free(struct job_write *write); /* with its runs */
void job_erase(struct job *job);              /* out of the store; it is freed */

/* ---- job_run.c ---- */

void job_step(struct job *job); /* something has changed: what is next? */
void job_written(struct job_write *write, const struct store_result *result);
void job_cancel(struct job *job);
void job_lose(struct job *job, const char *code, const char *reason);
/* In how many milliseconds something is to be done, of its own accord. */
uint64_t job_run_due(const struct job *job, uint64_t wall, uint64_t now);
void job_run_wake(struct job *job, uint64_t wall, uint64_t now);
struct handler_call *job_resume(void *arg, struct handler_provider *provider,
				struct co_span run, struct co_span token);

/* ---- job_tick.c ---- */

/* A run of the definition, in no list.  NULL: no memory. */
struct job *job_child(struct job *parent, uint64_t scheduled_for);
void job_tick_wake(struct job *job, uint64_t wall, uint64_t now);
uint64_t job_tick_due(const struct job *job, uint64_t wall, uint64_t now);
void job_ticked(struct job *job, struct job_write *write);
uint64_t job_next_tick(const struct job *job, uint64_t after); /* 0: never */

/* ---- job_request.c ---- */

void job_answer(struct jobs *jobs, const char *id, jobs_done *done, void *arg);
void job_refuse(jobs_done *done, void *arg, int status, const char *code,
		const char *format, ...) __attribute__((format(printf, 5, 6)));
void job_waiters_answer(struct job *job, struct job_waiter *waiters, int status,
			const char *code, const char *reason);
void job_ops_free(struct jobs *jobs);

/* NULL: it has been answered already. */
struct job_op *job_op_new(struct jobs *jobs, jobs_done *done, void *arg);
void job_op_free(struct job_op *op);
void job_op_fail(struct job_op *op, int status, const char *code, const char *reason);
void job_op_refused(struct job_op *op, int status); /* by store_txn */
void job_op_tell(jobs_done *done, void *arg, struct co_span json);
/* The value of the i-th STORE_GET. */
struct co_span job_op_found(const struct store_result *result, size_t i);

#endif
