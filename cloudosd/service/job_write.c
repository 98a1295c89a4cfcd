/* SPDX-License-Identifier: MIT */
/* Jobs to the store.  HOST.  A transition and what comes with it are one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/job_inside.h"
#include "lib/cleanup.h"

struct job_write *job_write_new(struct job *job, enum job_write_kind kind)
{
	struct job_write *write = calloc(1, sizeof(*write));

	if (!write)
		return NULL;
	write->jobs = job->jobs;
	write->job = job;
	write->kind = kind;
	write->after = job->record;
	return write;
}

void job_write_free(struct job_write *write)
{
	for (uint32_t i = 0; i < write->nfresh; i++)
		(void) job_free(write->fresh[i]); /* is NULL */
	free(write);
}

static void on_committed(void *arg, const struct store_result *result)
{
	struct job_write *write = arg;
	struct jobs *jobs = write->jobs;

	if (!jobs) { /* and the job, too */
		free(write);
		return;
	}
	DL_DELETE(jobs->writes, write);
	if (write->job)
		write->job->write = NULL;
	job_written(write, result);
	job_write_free(write);
	jobs_wake(jobs);
}

enum { OPS = CO_LIMIT_JOB_CATCH_UP + 4 };

/* The operations of a write and what they point to. */
struct batch {
	struct store_op ops[OPS];
	char keys[OPS][JOB_KEY_SIZE];
	struct co_buf texts[OPS];
	size_t n;
};

static void batch_add(struct batch *b, enum store_op_kind kind, const char *what,
		      const char *id)
{
	job_key(b->keys[b->n], what, id);
	b->ops[b->n] = (struct store_op){ .kind = kind, .key = b->keys[b->n] };
	b->n++;
}

static void batch_add_record(struct batch *b, const struct job *job,
			     const struct job_record *record)
{
	struct co_buf *text = &b->texts[b->n];

	job_encode(text, job, record);
	batch_add(b, STORE_PUT, "meta", record->id);
	b->ops[b->n - 1].value = text->data;
	b->ops[b->n - 1].size = text->size;
}

int job_write_submit(struct job_write *write)
{
	struct batch *b = calloc(1, sizeof(*b));
	struct job *job = write->job;
	struct store_txn txn = { 0 };
	int r = CO_NO_MEMORY;
	bool failed = false;

	if (!b)
		return CO_NO_MEMORY;
	batch_add_record(b, job, &write->after);
	if (write->kind == JOB_WRITE_END && job->outcome->json.data) {
		batch_add(b, STORE_PUT, "outcome", write->after.id);
		b->ops[b->n - 1].value = job->outcome->json.data;
		b->ops[b->n - 1].size = job->outcome->json.size;
	}
	if (write->kind == JOB_WRITE_START && job->has_params)
		batch_add(b, STORE_GET, "params", write->after.params);
	for (uint32_t i = 0; i < write->nfresh; i++)
		batch_add_record(b, write->fresh[i], &write->fresh[i]->record);
	for (size_t i = 0; i < b->n; i++)
		failed |= b->texts[i].failed;
	txn.then = b->ops;
	txn.nthen = b->n;
	if (!failed)
		r = store_txn(job->jobs->store, &txn, on_committed, write);
	if (r == 0) {
		DL_APPEND(job->jobs->writes, write);
		job->write = write;
	}
	for (size_t i = 0; i < OPS; i++)
		co_buf_done(&b->texts[i]);
	free(b);
	return r;
}

static void on_erased(void *arg, const struct store_result *result)
{
	(void) arg;
	(void) result; /* what is still there is erased after the next start */
}

void job_erase(struct job *job)
{
	char keys[3][JOB_KEY_SIZE];
	struct store_op ops[3];
	struct store_txn txn = { .then = ops, .nthen = 3 };

	job_key(keys[0], "meta", job->record.id);
	job_key(keys[1], "params", job->record.id);
	job_key(keys[2], "outcome", job->record.id);
	for (size_t i = 0; i < co_countof(ops); i++)
		ops[i] = (struct store_op){ .kind = STORE_DELETE, .key = keys[i] };
	(void) store_txn(job->jobs->store, &txn, on_erased, NULL); /* as above */
	(void) job_free(job);                                      /* is NULL */
}
