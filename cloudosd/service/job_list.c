/* SPDX-License-Identifier: MIT */
/* Lists of jobs: what matches is in memory, its texts are read from the store.  HOST. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/job_inside.h"

enum { LIST_PAGE = 8 }; /* jobs whose texts, which may be large, are read at once */

static bool matches(const struct job *job, const struct job_filter *f)
{
	if (f->service && strcmp(job->service, f->service) != 0)
		return false;
	if (!f->parent.data ? *job->record.parent != '\0'
			    : !co_span_is(f->parent, job->record.parent))
		return false;
	if (f->name.data && !co_span_is(f->name, job->name))
		return false;
	return !f->has_status || job_status(job) == f->status;
}

static bool is_behind(const struct job *job, struct co_span after)
{
	size_t n = strlen(job->record.id);
	int order;

	if (!after.data)
		return true;
	order = memcmp(job->record.id, after.data, n < after.size ? n : after.size);
	return order < 0 || (order == 0 && n < after.size);
}

static bool collect(const struct jobs *jobs, const struct job_filter *f,
		    struct job_op *op)
{
	struct job *job;

	op->ids = calloc(f->limit, sizeof(*op->ids));
	if (!op->ids)
		return false;
	for (job = jobs->all ? jobs->all->prev : NULL; job;
	     job = job == jobs->all ? NULL : job->prev) {
		if (!matches(job, f))
			continue;
		op->total++;
		if (!is_behind(job, f->after))
			continue;
		if (op->nids < f->limit)
			memcpy(op->ids[op->nids++], job->record.id, JOB_ID_SIZE);
		else
			op->more = true;
	}
	return true;
}

static void read_page(struct job_op *op);

static void on_page(void *arg, const struct store_result *result)
{
	struct job_op *op = arg;
	uint32_t n;

	if (!op->jobs) {
		job_op_free(op);
		return;
	}
	if (result->status < 0) {
		job_op_fail(op, result->status, NULL, result->reason);
		return;
	}
	n = op->nids - op->at < LIST_PAGE ? op->nids - op->at : LIST_PAGE;
	for (uint32_t i = 0; i < n; i++) {
		struct job *job;

		HASH_FIND_STR(op->jobs->by_id, op->ids[op->at + i], job);
		if (!job)
			continue; /* gone meanwhile */
		if (op->text.data[op->text.size - 1] != '[')
			co_buf_char(&op->text, ',');
		job_json(&op->text, job, job_op_found(result, i * 2),
			 job_op_found(result, i * 2 + 1));
		if (op->text.failed)
			break;
		if (op->text.size >= CO_LIMIT_JOB_LIST_BYTES) {
			op->more |= op->at + i + 1 < op->nids;
			op->nids = op->at + n; /* the rest is another page */
			break;
		}
	}
	op->at += n;
	read_page(op);
}

static void list_end(struct job_op *op)
{
	co_buf_format(&op->text, "],\"total\":%" PRIu64 ",\"more\":%s}", op->total,
		      op->more ? "true" : "false");
	if (op->text.failed) {
		job_op_fail(op, CO_NO_MEMORY, NULL,
			    "cloudosd has no memory left for it");
		return;
	}
	job_op_tell(op->done, op->arg,
		    (struct co_span){ op->text.data, op->text.size });
	job_op_free(op);
}

static void read_page(struct job_op *op)
{
	char keys[LIST_PAGE * 2][JOB_KEY_SIZE];
	struct store_op ops[LIST_PAGE * 2];
	struct store_txn txn = { .then = ops };
	int r;

	if (op->at >= op->nids || op->text.failed) {
		list_end(op);
		return;
	}
	for (uint32_t i = op->at; i < op->nids && txn.nthen < LIST_PAGE * 2; i++) {
		struct job *job;

		HASH_FIND_STR(op->jobs->by_id, op->ids[i], job);
		job_key(keys[txn.nthen], "params",
			job && job->has_params ? job->record.params : op->ids[i]);
		job_key(keys[txn.nthen + 1], "outcome", op->ids[i]);
		for (int k = 0; k < 2; k++, txn.nthen++)
			ops[txn.nthen] = (struct store_op){ .kind = STORE_GET,
							    .key = keys[txn.nthen] };
	}
	r = store_txn(op->jobs->store, &txn, on_page, op);
	if (r < 0)
		job_op_refused(op, r);
}

void jobs_list(struct jobs *jobs, const struct job_filter *filter, jobs_done *done,
	       void *arg)
{
	struct job_op *op = job_op_new(jobs, done, arg);

	if (!op)
		return;
	co_buf_text(&op->text, "{\"jobs\":[");
	if (!collect(jobs, filter, op) || op->text.failed) {
		job_op_fail(op, CO_NO_MEMORY, NULL,
			    "cloudosd has no memory left for it");
		return;
	}
	read_page(op);
}
