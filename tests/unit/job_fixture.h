/* SPDX-License-Identifier: MIT */
/*
 * A world for tests of jobs: a clock that can be set, a store that can fail, handlers that do
 * what a test says.  HOST.
 */
#ifndef CO_TESTS_JOB_FIXTURE_H
#define CO_TESTS_JOB_FIXTURE_H

#include "cloudosd/service/job.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/memory_store.h"

enum { WORLD_TASKS = 4096 };

/* What a handler was given. */
struct world_task {
	uint64_t id; /* of the registry; 0: over */
	char run[48], token[48], params[128];
	uint32_t attempt;
};

struct world {
	struct fake_host fake;
	struct co_host host; /* of fake, but for the wall clock */
	struct store store;
	struct handlers *handlers;
	struct handler_provider *worker; /* offers "work" of "cloudosd"; NULL: none */
	struct jobs *jobs;
	int64_t ahead_ms; /* of the wall clock */
	struct world_task tasks[WORLD_TASKS];
	unsigned ntasks, ncancelled;
	bool answer_at_once;
	int refuse;        /* what handlers say to a call, without having begun */
	char events[8192]; /* "created started completed ..." */
	char logged[512];
};

extern struct world world;

/* At that moment of the wall clock, with a worker, loaded. */
void world_begin(const char *moment);
void world_end(void);

/* The daemon ends without a word and is started again; what the store has not committed is
 * lost.  Handlers live on, but have to attach again. */
void world_kill(void);
void world_start(void); /* after world_kill */

void world_attach(void);
void world_detach(void);

/* To that moment, timer by timer; the clock itself is set by world_set. */
void world_advance_to(const char *moment);
void world_set(const char *moment);
uint64_t world_moment(const char *moment);

/* The answer of a request, its status in world_status, its code in world_code. */
extern int world_status;
extern char world_code[64], world_answer[65536];
const char *world_create(const char *spec); /* {"schedule":..,...} -> the id */
const char *world_get(const char *id);
int world_cancel(const char *id);
int world_run(const char *id);
int world_retry(const char *id);
const char *world_list(const char *parent);

/* A list that may be long: how often has it that text? */
void world_listed(const struct job_filter *filter);
unsigned world_count(const char *text);
bool world_has(const char *text);

/* A member of the last answer, as it stands there; "" without. */
const char *world_member(const char *name);
const char *world_member_of(const char *id, const char *name); /* world_get before */

/* The task with that number ends. */
void world_complete(unsigned task, const char *result);
void world_fail(unsigned task, const char *code);

void collect_answer(void *arg, const struct job_answer *answer);

/* A member of that job, as it stands in its JSON. */
#define is(id, name, value) ck_assert_str_eq(world_member_of(id, name), value)

/* An id that outlives the next answers. */
char *keep(const char *id);

/* The run that the n-th task is of. */
const char *task_run(unsigned n);

#endif
