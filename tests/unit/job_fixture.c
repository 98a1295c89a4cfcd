/* SPDX-License-Identifier: MIT */
/* A world for tests of jobs.  HOST. */
#include "tests/unit/job_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_scan.h"
#include "lib/time.h"

struct world world;
int world_status;
char world_code[64], world_answer[65536];
static char *long_answer;

/* ---- the clock ---- */

static uint64_t wall_ns(void *ctx)
{
	(void) ctx;
	return (world.fake.now_ms + (uint64_t) world.ahead_ms) * 1000000;
}

uint64_t world_moment(const char *moment)
{
	uint64_t ms;

	ck_assert_msg(co_time_parse(co_span(moment), &ms), "%s", moment);
	return ms;
}

void world_set(const char *moment)
{
	world.ahead_ms = (int64_t) (world_moment(moment) - world.fake.now_ms);
}

void world_advance_to(const char *moment)
{
	fake_advance(&world.fake, world_moment(moment) - wall_ns(NULL) / 1000000);
	fake_settle(&world.fake);
}

/* ---- handlers ---- */

static void text_of(char *to, size_t size, struct co_span from)
{
	(void) snprintf(to, size, "%.*s", (int) from.size, from.data ? from.data : "");
}

static int begin(void *ctx, const struct handler_task *task)
{
	const struct handler_request *r = task->request;
	struct world_task *t = &world.tasks[world.ntasks];

	(void) ctx;
	if (world.refuse)
		return world.refuse;
	ck_assert_uint_lt(world.ntasks++, WORLD_TASKS);
	t->id = task->id;
	t->attempt = r->attempt;
	text_of(t->run, sizeof(t->run), r->run);
	text_of(t->token, sizeof(t->token), r->token);
	text_of(t->params, sizeof(t->params), r->params);
	if (world.answer_at_once)
		world_complete(world.ntasks - 1, "1");
	return 0;
}

static void cancel(void *ctx, uint64_t id)
{
	(void) ctx;
	(void) id;
	world.ncancelled++;
}

static const struct handler_provider_ops ops = { .kind = HANDLER_ATTACHED,
						 .begin = begin,
						 .cancel = cancel };

void world_attach(void)
{
	struct handler_provider_spec spec = { .service = "cloudosd",
					      .label = "process 7",
					      .max_calls = 1000,
					      .ops = &ops };

	ck_assert_int_eq(handlers_provide(world.handlers, &spec, &world.worker, NULL),
			 0);
	ck_assert_int_eq(
		handler_offer(world.worker, HANDLER_JOB, co_span("work"), NULL), 0);
	fake_settle(&world.fake);
}

void world_detach(void)
{
	struct handler_provider *worker = world.worker;

	world.worker = NULL;
	handlers_remove(worker, 500, "HANDLER_CRASHED", "the handler has ended");
	fake_settle(&world.fake);
}

void world_complete(unsigned task, const char *result)
{
	struct handler_result r = { .status = 200, .result = co_span(result) };

	ck_assert_uint_lt(task, world.ntasks);
	(void) handler_answer(world.worker, world.tasks[task].id, &r);
	if (!world.answer_at_once)
		fake_settle(&world.fake);
}

void world_fail(unsigned task, const char *code)
{
	struct handler_result r = { .status = 500,
				    .code = code,
				    .message = co_span("it did not work") };

	(void) handler_answer(world.worker, world.tasks[task].id, &r);
	fake_settle(&world.fake);
}

/* ---- begin and end ---- */

static void emit(void *arg, const char *service, const char *event, struct co_span data)
{
	struct co_json_fault fault;
	struct co_span value;
	size_t n = strlen(world.events);

	(void) arg;
	ck_assert_str_eq(service, "cloudosd");
	ck_assert_int_eq(co_json_check(data, &value, &fault), 0);
	ck_assert_int_eq(strncmp(event, "job:", 4), 0);
	if (n < sizeof(world.events) - 64)
		(void) snprintf(world.events + n, 64, "%s%s", n ? " " : "", event + 4);
}

static void note(void *arg, const char *sentence)
{
	(void) arg;
	(void) snprintf(world.logged, sizeof(world.logged), "%s", sentence);
}

static void loaded(void *arg, int status, const char *reason)
{
	(void) arg;
	ck_assert_msg(status == 0, "%s", reason);
}

void world_start(void)
{
	struct jobs_options options = { .emit = emit, .log = note };

	world.handlers = handlers_new(&world.host);
	ck_assert_ptr_nonnull(world.handlers);
	options.handlers = world.handlers;
	world.jobs = jobs_new(&world.host, &world.store, &options);
	ck_assert_ptr_nonnull(world.jobs);
	ck_assert_int_eq(jobs_load(world.jobs, loaded, NULL), 0);
	fake_settle(&world.fake);
}

void world_begin(const char *moment)
{
	memset(&world, 0, sizeof(world));
	fake_init(&world.fake);
	world.host = world.fake.host;
	world.host.wall_ns = wall_ns;
	world_set(moment);
	memory_store_init(&world.store, &world.fake);
	world_start();
	world_attach();
}

static void stop(void)
{
	world.jobs = jobs_free(world.jobs);
	world.worker = NULL;
	world.handlers = handlers_free(world.handlers);
	memory_store_cut(&world.store);
	fake_settle(&world.fake);
}

void world_kill(void)
{
	/* what jobs_free tells the handlers and the store is not heard any more */
	unsigned ncancelled = world.ncancelled;

	world.store.refuse = CO_GONE;
	world.store.hold = true;
	stop();
	world.store.refuse = world.store.fail = 0;
	world.store.hold = world.store.mute = false;
	world.ncancelled = ncancelled;
	for (unsigned i = 0; i < world.ntasks; i++)
		world.tasks[i].id = 0;
}

void world_end(void)
{
	world.store.hold = false;
	stop();
	free(long_answer);
	long_answer = NULL;
	fake_done(&world.fake);
	memory_store_done(&world.store);
}

/* ---- requests ---- */

static bool answered;

void collect_answer(void *arg, const struct job_answer *answer)
{
	struct co_json_fault fault;
	struct co_span value;

	(void) arg;
	answered = true;
	world_status = answer->status;
	(void) snprintf(world_code, sizeof(world_code), "%s",
			answer->code ? answer->code : "");
	if (answer->status) {
		(void) snprintf(world_answer, sizeof(world_answer), "%s",
				answer->reason);
		return;
	}
	ck_assert_msg(co_json_check(answer->json, &value, &fault) == 0, "%.*s",
		      (int) answer->json.size, answer->json.data);
	text_of(world_answer, sizeof(world_answer), answer->json);
}

static void wait_for_it(void)
{
	fake_settle(&world.fake);
	ck_assert(answered || world.store.hold);
	answered = false;
}

static struct co_span text_member(struct co_span object, const char *name,
				  struct co_buf *out)
{
	struct co_span value;

	if (!co_json_member(object, name, &value))
		return (struct co_span){ NULL, 0 };
	ck_assert_int_eq(co_json_unescape(value, out), 0);
	return (struct co_span){ out->data ? out->data : "", out->size };
}

static uint64_t number_member(struct co_span object, const char *name)
{
	struct co_span value;
	int64_t number = 0;

	if (co_json_member(object, name, &value))
		ck_assert(co_json_whole(value, &number));
	return (uint64_t) number;
}

const char *world_create(const char *text)
{
	static char id[64];
	autobuf struct co_buf schedule = { 0 }, timezone = { 0 }, word = { 0 },
			      name = { 0 };
	autobuf struct co_buf word2 = { 0 }, at = { 0 }, key = { 0 };
	struct job_spec spec = { .service = "cloudosd", .name = co_span("work") };
	struct co_json_fault fault;
	struct co_span object, value;
	const char *got;

	ck_assert_int_eq(co_json_check(co_span(text), &object, &fault), 0);
	if (co_json_member(object, "name", &value))
		spec.name = text_member(object, "name", &name);
	(void) co_json_member(object, "params", &spec.params);
	spec.schedule = text_member(object, "schedule", &schedule);
	spec.timezone = text_member(object, "timezone", &timezone);
	value = text_member(object, "misfire", &word);
	ck_assert(!value.data || job_misfire_find(value, &spec.misfire));
	value = text_member(object, "overlap", &word2);
	ck_assert(!value.data || job_overlap_find(value, &spec.overlap));
	value = text_member(object, "runAt", &at);
	ck_assert(!value.data || co_time_parse(value, &spec.run_at_ms));
	spec.key = text_member(object, "key", &key);
	spec.max_attempts = (uint32_t) number_member(object, "maxAttempts");
	spec.timeout_ms = number_member(object, "timeout");
	spec.lease_ms = number_member(object, "lease");
	jobs_create(world.jobs, &spec, collect_answer, NULL);
	wait_for_it();
	got = world_status || world.store.hold ? "\"\"" : world_member("id");
	(void) snprintf(id, sizeof(id), "%.*s", (int) strlen(got) - 2, got + 1);
	return id;
}

const char *world_get(const char *id)
{
	jobs_get(world.jobs, "cloudosd", co_span(id), collect_answer, NULL);
	wait_for_it();
	return world_answer;
}

int world_cancel(const char *id)
{
	jobs_cancel(world.jobs, "cloudosd", co_span(id), collect_answer, NULL);
	wait_for_it();
	return world_status;
}

int world_run(const char *id)
{
	jobs_run(world.jobs, "cloudosd", co_span(id), collect_answer, NULL);
	wait_for_it();
	return world_status;
}

int world_retry(const char *id)
{
	jobs_retry(world.jobs, "cloudosd", co_span(id), collect_answer, NULL);
	wait_for_it();
	return world_status;
}

const char *world_list(const char *parent)
{
	struct job_filter filter = { .service = "cloudosd", .limit = 100 };

	if (parent)
		filter.parent = co_span(parent);
	jobs_list(world.jobs, &filter, collect_answer, NULL);
	wait_for_it();
	ck_assert_int_eq(world_status, 0);
	return world_answer;
}

static void collect_long(void *arg, const struct job_answer *answer)
{
	(void) arg;
	answered = true;
	ck_assert_int_eq(answer->status, 0);
	free(long_answer);
	long_answer = strndup(answer->json.data, answer->json.size);
	ck_assert_ptr_nonnull(long_answer);
}

void world_listed(const struct job_filter *filter)
{
	jobs_list(world.jobs, filter, collect_long, NULL);
	wait_for_it();
}

unsigned world_count(const char *text)
{
	unsigned n = 0;

	for (const char *at = long_answer; (at = strstr(at, text)); at++)
		n++;
	return n;
}

bool world_has(const char *text)
{
	return strstr(long_answer, text) != NULL;
}

const char *world_member(const char *name)
{
	static char out[8][512];
	static unsigned next;
	struct co_json_fault fault;
	struct co_span object, value;
	char *to = out[next++ % 8];

	ck_assert_int_eq(co_json_check(co_span(world_answer), &object, &fault), 0);
	if (!co_json_member(object, name, &value))
		return "";
	text_of(to, sizeof(out[0]), value);
	return to;
}

const char *world_member_of(const char *id, const char *name)
{
	(void) world_get(id);
	ck_assert_msg(world_status == 0, "%s: %s", id, world_answer);
	return world_member(name);
}

char *keep(const char *id)
{
	static char kept[16][64];
	static unsigned next;
	char *out = kept[next++ % 16];

	(void) snprintf(out, 64, "%s", id);
	return out;
}

const char *task_run(unsigned n)
{
	ck_assert_uint_lt(n, world.ntasks);
	return world.tasks[n].run;
}
