/* SPDX-License-Identifier: MIT */
/* A job as it is kept, and as it is told.  HOST.  Stored records are not trusted. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/job_inside.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define LAYOUT 1

static const char *const statuses[] = { "pending",   "queued", "running",
					"completed", "failed", "cancelled" };
static const char *const misfires[] = { "once", "skip", "all" };
static const char *const overlaps[] = { "skip", "queue", "allow", "replace" };

const char *job_status_name(enum job_status status)
{
	return statuses[status];
}

const char *job_misfire_name(enum job_misfire misfire)
{
	return misfires[misfire];
}

const char *job_overlap_name(enum job_overlap overlap)
{
	return overlaps[overlap];
}

static int find(const char *const *names, size_t n, struct co_span name)
{
	for (size_t i = 0; i < n; i++)
		if (co_span_is(name, names[i]))
			return (int) i;
	return -1;
}

bool job_status_find(struct co_span name, enum job_status *out)
{
	int i = find(statuses, co_countof(statuses), name);

	if (i >= 0)
		*out = (enum job_status) i;
	return i >= 0;
}

bool job_misfire_find(struct co_span name, enum job_misfire *out)
{
	int i = find(misfires, co_countof(misfires), name);

	if (i >= 0)
		*out = (enum job_misfire) i;
	return i >= 0;
}

bool job_overlap_find(struct co_span name, enum job_overlap *out)
{
	int i = find(overlaps, co_countof(overlaps), name);

	if (i >= 0)
		*out = (enum job_overlap) i;
	return i >= 0;
}

void job_key(char out[JOB_KEY_SIZE], const char *kind, const char *id)
{
	(void) snprintf(out, JOB_KEY_SIZE, "/job/%s/%s", kind, id);
}

/* ---- the record ---- */

/* Members of a record that are texts of a fixed size, or numbers. */
static const struct {
	const char *name;
	size_t at, size;
} texts[] = {
#define TEXT_(member)                                                                  \
	{                                                                              \
#member, offsetof(struct job_record, member),                          \
			sizeof(((struct job_record *) NULL)->member)                   \
	}
	TEXT_(id),       TEXT_(parent),   TEXT_(params),
	TEXT_(retry_of), TEXT_(last_run), TEXT_(token),
#undef TEXT_
};

static const struct {
	const char *name;
	size_t at;
} numbers[] = {
#define NUMBER_(member)                                                                \
	{                                                                              \
#member, offsetof(struct job_record, member)                           \
	}
	NUMBER_(timeout_ms),    NUMBER_(lease_ms),  NUMBER_(created),
	NUMBER_(started),       NUMBER_(completed), NUMBER_(run_at),
	NUMBER_(scheduled_for), NUMBER_(backoff),   NUMBER_(next_run),
	NUMBER_(last_tick),     NUMBER_(run_count), NUMBER_(missed),
	NUMBER_(skipped),
#undef NUMBER_
};

static void add_member(struct co_buf *out, const char *name, const char *text)
{
	co_buf_format(out, ",\"%s\":", name);
	co_buf_json_text(out, co_span(text));
}

void job_encode(struct co_buf *out, const struct job *job,
		const struct job_record *record)
{
	co_buf_format(out, "{\"layout\":%d", LAYOUT);
	add_member(out, "service", job->service);
	add_member(out, "name", job->name);
	if (job->schedule) {
		add_member(out, "schedule", job->schedule);
		add_member(out, "timezone", job->timezone);
	}
	if (job->key)
		add_member(out, "key", job->key);
	add_member(out, "status",
		   statuses[record->state == JOB_AT_END       ? record->end
			    : record->state == JOB_AT_RUNNING ? JOB_RUNNING
							      : JOB_QUEUED]);
	add_member(out, "misfire", misfires[record->misfire]);
	add_member(out, "overlap", overlaps[record->overlap]);
	co_buf_format(out, ",\"attempt\":%" PRIu32 ",\"max_attempts\":%" PRIu32,
		      record->attempt, record->max_attempts);
	for (size_t i = 0; i < co_countof(texts); i++)
		if (*((const char *) record + texts[i].at))
			add_member(out, texts[i].name,
				   (const char *) record + texts[i].at);
	for (size_t i = 0; i < co_countof(numbers); i++) {
		uint64_t value;

		memcpy(&value, (const char *) record + numbers[i].at, sizeof(value));
		if (value)
			co_buf_format(out, ",\"%s\":%" PRIu64, numbers[i].name, value);
	}
	co_buf_char(out, '}');
}

static bool read_text(struct co_span object, const char *name, struct co_buf *out)
{
	struct co_span value;

	return co_json_member(object, name, &value) &&
	       co_json_unescape(value, out) == 0 && !out->failed && out->data;
}

static bool read_number(struct co_span object, const char *name, uint64_t *out)
{
	struct co_span value;
	int64_t number;

	if (!co_json_member(object, name, &value))
		return true; /* it is 0 */
	if (!co_json_whole(value, &number) || number < 0)
		return false;
	*out = (uint64_t) number;
	return true;
}

static bool read_members(struct co_span object, struct job_record *record)
{
	uint64_t attempt = 0, max_attempts = 0;

	for (size_t i = 0; i < co_countof(texts); i++) {
		autobuf struct co_buf text = { 0 };

		if (!read_text(object, texts[i].name, &text))
			continue;
		if (text.size >= texts[i].size)
			return false;
		memcpy((char *) record + texts[i].at, text.data, text.size + 1);
	}
	for (size_t i = 0; i < co_countof(numbers); i++) {
		uint64_t value = 0;

		if (!read_number(object, numbers[i].name, &value))
			return false;
		memcpy((char *) record + numbers[i].at, &value, sizeof(value));
	}
	if (!read_number(object, "attempt", &attempt) ||
	    !read_number(object, "max_attempts", &max_attempts))
		return false;
	record->attempt = (uint32_t) attempt;
	record->max_attempts = (uint32_t) max_attempts;
	return *record->id != '\0';
}

static bool read_words(struct co_span object, struct job_record *record)
{
	autobuf struct co_buf status = { 0 }, misfire = { 0 }, overlap = { 0 };

	if (!read_text(object, "status", &status) ||
	    !read_text(object, "misfire", &misfire) ||
	    !read_text(object, "overlap", &overlap) ||
	    !job_status_find(co_span(status.data), &record->end) ||
	    !job_misfire_find(co_span(misfire.data), &record->misfire) ||
	    !job_overlap_find(co_span(overlap.data), &record->overlap))
		return false;
	record->state = record->end == JOB_RUNNING  ? JOB_AT_RUNNING
			: record->end > JOB_RUNNING ? JOB_AT_END
						    : JOB_AT_WAITING;
	return true;
}

static bool read_schedule(struct job *job, struct co_span object)
{
	autobuf struct co_buf zone = { 0 };

	if (!job->schedule)
		return true;
	if (!read_text(object, "timezone", &zone) || zone.size >= sizeof(job->timezone))
		return false;
	memcpy(job->timezone, zone.data, zone.size + 1);
	return cron_parse(&job->cron, co_span(job->schedule), NULL) == 0;
}

struct job *job_decode(struct jobs *jobs, struct co_span text)
{
	autobuf struct co_buf service = { 0 }, name = { 0 }, schedule = { 0 },
			      key = { 0 };
	struct co_json_fault fault;
	struct co_span object;
	uint64_t layout = 0;
	struct job *job;
	size_t size;

	if (co_json_check(text, &object, &fault) < 0 ||
	    !read_number(object, "layout", &layout) || layout != LAYOUT ||
	    !read_text(object, "service", &service) ||
	    !read_text(object, "name", &name))
		return NULL;
	(void) read_text(object, "schedule", &schedule); /* a run has none */
	job = job_new(jobs, co_span(service.data), co_span(name.data),
		      co_span(schedule.data));
	if (!job || !read_members(object, &job->record) ||
	    !read_words(object, &job->record) || !read_schedule(job, object))
		return job_free(job);
	job->has_params = *job->record.params != '\0';
	if (read_text(object, "key", &key))
		job->key = co_buf_take(&key, &size);
	return job;
}

/* ---- what is told ---- */

static void add_time(struct co_buf *out, const char *name, uint64_t ms)
{
	if (!ms)
		return;
	co_buf_format(out, ",\"%s\":", name);
	co_buf_json_time(out, ms);
}

static void add_raw(struct co_buf *out, const char *name, struct co_span value)
{
	if (!value.data)
		return;
	co_buf_format(out, ",\"%s\":", name);
	co_buf_span(out, value);
}

/* The last run of a definition that has begun or ended. */
static const struct job *last_run(const struct job *job)
{
	const struct job *run = NULL;

	HASH_FIND_STR(job->jobs->by_id, job->record.last_run, run);
	return run;
}

static void add_definition(struct co_buf *out, const struct job *job)
{
	const struct job_record *r = &job->record;
	const struct job *last = last_run(job);

	add_member(out, "schedule", job->schedule);
	add_member(out, "timezone", job->timezone);
	add_member(out, "misfire", misfires[r->misfire]);
	add_member(out, "overlap", overlaps[r->overlap]);
	add_time(out, "nextRunAt", r->state == JOB_AT_END ? 0 : r->next_run);
	if (last) {
		add_time(out, "lastRunAt",
			 last->record.started ? last->record.started
					      : last->record.created);
		add_member(out, "lastStatus", statuses[job_status(last)]);
		add_member(out, "lastRun", r->last_run);
	}
	co_buf_format(out,
		      ",\"runCount\":%" PRIu64 ",\"missed\":%" PRIu64
		      ",\"skipped\":%" PRIu64,
		      r->run_count, r->missed, r->skipped);
}

static void add_run(struct co_buf *out, const struct job *job)
{
	const struct job_record *r = &job->record;

	if (*r->parent)
		add_member(out, "parent", r->parent);
	if (*r->retry_of)
		add_member(out, "retryOf", r->retry_of);
	add_time(out, "scheduledFor", r->scheduled_for);
	add_time(out, "runAt", r->run_at);
	co_buf_format(out, ",\"attempt\":%" PRIu32, r->attempt);
	if (job_status(job) == JOB_PENDING && r->backoff > r->run_at)
		add_time(out, "nextRunAt", r->backoff);
	else if (job_status(job) == JOB_PENDING)
		add_time(out, "nextRunAt", r->run_at);
	if (r->state == JOB_AT_RUNNING && job->progress.size)
		add_raw(out, "progress",
			(struct co_span){ job->progress.data, job->progress.size });
	if (r->state == JOB_AT_RUNNING && job->by)
		add_member(out, "handler", job->by);
}

void job_json(struct co_buf *out, const struct job *job, struct co_span params,
	      struct co_span outcome)
{
	const struct job_record *r = &job->record;
	enum job_status status = job_status(job);

	co_buf_text(out, "{\"id\":");
	co_buf_json_text(out, co_span(r->id));
	add_member(out, "name", job->name);
	add_raw(out, "params", params);
	if (job->schedule)
		add_definition(out, job);
	add_member(out, "status", statuses[status]);
	add_time(out, "createdAt", r->created);
	add_time(out, "startedAt", r->started);
	add_time(out, "completedAt", r->completed);
	if (status == JOB_COMPLETED)
		add_raw(out, "result", outcome);
	else if (outcome.data)
		add_raw(out, "error", outcome);
	if (!job->schedule)
		add_run(out, job);
	co_buf_format(out, ",\"maxAttempts\":%" PRIu32, r->max_attempts);
	if (r->timeout_ms)
		co_buf_format(out, ",\"timeout\":%" PRIu64, r->timeout_ms);
	if (r->lease_ms)
		co_buf_format(out, ",\"lease\":%" PRIu64, r->lease_ms);
	add_member(out, "service", job->service);
	co_buf_char(out, '}');
}
