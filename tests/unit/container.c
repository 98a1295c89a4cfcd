/* SPDX-License-Identifier: MIT */
/* Containers on a fake runtime: their lives, their records, what survives a daemon.  HOST. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/container.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "tests/run.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/memory_store.h"

enum { MONITORS = 64 };

/* What outlives a daemon: a monitor, or the record of an end. */
struct monitor {
	uint32_t users;
	enum container_seen seen;
	bool committed, files;
	int32_t pid;
	unsigned starts, kills, probes, updates;
	int last_signal;
	struct container_end end;
};

/* An answer of the runtime on its way. */
struct answer {
	container_reported *done;
	void *arg;
	struct container_report report;
	unsigned life; /* of which daemon */
};

static struct world {
	struct fake_host fake;
	struct store store;
	struct containers *all;
	struct monitor monitors[MONITORS];
	void (*ended)(void *arg, uint32_t id, const struct container_end *end);
	void *ended_arg;
	int fail_make, fail_start, fail_unmake, exec_code;
	bool deaf; /* adopt answers that the monitor says nothing */
	bool ignore_term;
	const char *boot;
	unsigned image_uses;
	char events[4096], logged[512];
	int status;
	uint32_t id;
	char answer[16384];
	unsigned answers, life;
} w;

/* ---- the runtime ---- */

static void deliver(void *arg)
{
	struct answer *a = arg;

	if (a->life == w.life)
		a->done(a->arg, &a->report);
	free(a);
}

static struct container_report *reply(container_reported *done, void *arg)
{
	struct answer *a = calloc(1, sizeof(*a));

	ck_assert_ptr_nonnull(a);
	a->done = done;
	a->arg = arg;
	a->life = w.life;
	a->report.reason = "it is told to";
	w.fake.host.post(w.fake.host.ctx, deliver, a);
	return &a->report;
}

static void make(void *ctx, const struct container_make *what, container_reported *done,
		 void *arg)
{
	struct container_report *r = reply(done, arg);
	struct monitor *m = &w.monitors[what->id];

	(void) ctx;
	m->files = true;
	m->users = what->users;
	r->status = w.fail_make;
	if (r->status)
		return;
	ck_assert_int_ne(m->seen, CONTAINER_SEEN_RUNNING);
	m->seen = CONTAINER_SEEN_CREATED;
	m->pid = r->pid = 1000 + (int32_t) what->id;
	r->facts = co_span("\"network\":{\"mode\":\"none\"}");
}

static void end(uint32_t id, int code, int signal)
{
	struct monitor *m = &w.monitors[id];

	m->seen = CONTAINER_SEEN_ENDED;
	m->end = (struct container_end){ .exit_code = code,
					 .signal = signal,
					 .finished_ns = w.fake.host.wall_ns(&w.fake),
					 .error = "" };
	if (w.ended)
		w.ended(w.ended_arg, id, &m->end);
}

struct killing {
	uint32_t id;
	int signal;
};

static void killed(void *arg)
{
	struct killing *k = arg;
	struct monitor *m = &w.monitors[k->id];

	if (m->seen == CONTAINER_SEEN_RUNNING &&
	    (k->signal == SIGKILL || !w.ignore_term))
		end(k->id, 128 + k->signal, k->signal);
	free(k);
}

static void act(void *ctx, uint32_t id, const struct container_act *what,
		container_reported *done, void *arg)
{
	struct container_report *r = reply(done, arg);
	struct monitor *m = &w.monitors[id];
	struct killing *k;

	(void) ctx;
	if (m->seen == CONTAINER_SEEN_NOTHING || m->seen == CONTAINER_SEEN_ENDED) {
		r->status = CO_GONE;
		return;
	}
	switch (what->kind) {
	case CONTAINER_ACT_START:
		r->status = w.fail_start;
		if (r->status)
			return;
		m->seen = r->seen = CONTAINER_SEEN_RUNNING;
		m->starts++;
		r->pid = m->pid;
		break;
	case CONTAINER_ACT_KILL:
		m->kills++;
		m->last_signal = what->signal;
		k = calloc(1, sizeof(*k));
		ck_assert_ptr_nonnull(k);
		*k = (struct killing){ id, what->signal };
		w.fake.host.post(w.fake.host.ctx, killed, k);
		break;
	case CONTAINER_ACT_PAUSE:
		m->seen = CONTAINER_SEEN_PAUSED;
		break;
	case CONTAINER_ACT_RESUME:
		m->seen = CONTAINER_SEEN_RUNNING;
		break;
	case CONTAINER_ACT_UPDATE:
		m->updates++;
		break;
	case CONTAINER_ACT_EXEC:
		m->probes++;
		r->exit_code = w.exec_code;
		break;
	case CONTAINER_ACT_USAGE:
		r->text = co_span("{\"cpu\":1}");
		break;
	case CONTAINER_ACT_COMMIT:
		m->committed = true;
		break;
	}
}

static void adopt(void *ctx, uint32_t id, container_reported *done, void *arg)
{
	struct container_report *r = reply(done, arg);
	struct monitor *m = &w.monitors[id];

	(void) ctx;
	r->status = w.deaf ? CO_TIMED_OUT : 0;
	r->seen = m->seen;
	r->pid = m->pid;
	r->end = m->end;
}

static void unmake(void *ctx, uint32_t id, bool files, container_reported *done,
		   void *arg)
{
	struct container_report *r = reply(done, arg);
	struct monitor *m = &w.monitors[id];

	(void) ctx;
	r->status = w.fail_unmake;
	if (r->status)
		return;
	m->seen = CONTAINER_SEEN_NOTHING;
	if (files)
		m->files = false;
}

static void sweep(void *ctx, const uint32_t *ids, size_t n, uint32_t below)
{
	(void) ctx;
	for (uint32_t id = 0; id < below; id++) {
		bool known = false;

		for (size_t i = 0; i < n; i++)
			known |= ids[i] == id;
		if (!known)
			w.monitors[id] = (struct monitor){ 0 };
	}
}

static void describe(void *ctx, uint32_t id, struct co_buf *out)
{
	(void) ctx;
	co_buf_format(out, ",\"bundle\":\"/b/%u\"", id);
}

static void listen_to(void *ctx,
		      void (*ended)(void *arg, uint32_t id,
				    const struct container_end *end),
		      void (*oom)(void *arg, uint32_t id), void *arg)
{
	(void) ctx;
	(void) oom;
	w.ended = ended;
	w.ended_arg = arg;
}

static const struct container_runtime runtime = { .make = make,
						  .act = act,
						  .adopt = adopt,
						  .unmake = unmake,
						  .sweep = sweep,
						  .describe = describe,
						  .listen = listen_to };

/* ---- the world ---- */

static int find_image(void *arg, const char *name, struct container_image *out,
		      struct co_err *err)
{
	static const char *const layers[] = { "/layer", NULL };

	(void) arg;
	if (strcmp(name, "box") != 0 && strcmp(name, "sha256:1") != 0)
		return co_fail(err, CO_NOT_FOUND, "there is no image %s", name);
	*out = (struct container_image){
		.id = "sha256:1",
		.layers = layers,
		.config = co_span("{\"Cmd\":[\"sh\"],\"Entrypoint\":[\"/e\"],"
				  "\"StopSignal\":\"SIGINT\"}")
	};
	return 0;
}

static void use(void *arg, const char *id, bool used)
{
	(void) arg;
	ck_assert_str_eq(id, "sha256:1");
	w.image_uses += used ? 1 : -1U;
}

static void emit(void *arg, const char *event, struct co_span data)
{
	struct co_json_fault fault;
	size_t n = strlen(w.events);

	(void) arg;
	ck_assert_int_eq(co_json_check(data, &data, &fault), 0);
	(void) snprintf(w.events + n, sizeof(w.events) - n, "%s ", event + 10);
}

static void note(void *arg, const char *sentence)
{
	(void) arg;
	(void) snprintf(w.logged, sizeof(w.logged), "%s", sentence);
}

static void loaded(void *arg, int status, const char *reason)
{
	(void) arg;
	ck_assert_msg(status == 0, "%s", reason);
}

static void start_daemon(void)
{
	struct containers_options options = { .runtime = &runtime,
					      .image = find_image,
					      .use = use,
					      .emit = emit,
					      .log = note };

	(void) snprintf(options.boot, sizeof(options.boot), "%s", w.boot);
	w.image_uses = 0;
	w.all = containers_new(&w.fake.host, &w.store, &options);
	ck_assert_ptr_nonnull(w.all);
	ck_assert_int_eq(containers_load(w.all, loaded, NULL), 0);
	fake_settle(&w.fake);
}

static void begin(void)
{
	memset(&w, 0, sizeof(w));
	w.boot = "boot-1";
	fake_init(&w.fake);
	memory_store_init(&w.store, &w.fake);
	start_daemon();
}

/* The daemon ends without a word: what the store has not committed is lost. */
static void kill_daemon(void)
{
	w.life++;
	memory_store_cut(&w.store);
	w.all = containers_free(w.all);
	fake_settle(&w.fake);
}

static void finish(void)
{
	fake_settle(&w.fake);
	w.all = containers_free(w.all);
	ck_assert_uint_eq(w.image_uses, 0);
	memory_store_done(&w.store);
	fake_done(&w.fake);
}

static void collect(void *arg, const struct container_answer *a)
{
	(void) arg;
	w.answers++;
	w.status = a->status;
	w.id = a->id;
	(void) snprintf(w.answer, sizeof(w.answer), "%.*s",
			(int) (a->status ? strlen(a->reason) : a->json.size),
			a->status ? a->reason : a->json.data);
}

static const struct container_asker asker = { .done = collect };

static int create(const char *config)
{
	w.status = 99;
	containers_create(w.all, co_span(config), (struct co_span){ 0 }, &asker);
	fake_settle(&w.fake);
	return w.status;
}

static void ask_only(enum container_verb verb, const char *which)
{
	w.status = 99;
	containers_ask(
		w.all,
		&(struct container_request){ .verb = verb, .which = co_span(which) },
		&asker);
}

static int ask(enum container_verb verb, const char *which)
{
	ask_only(verb, which);
	fake_settle(&w.fake);
	return w.status;
}

static int ask_with(const struct container_request *request)
{
	w.status = 99;
	containers_ask(w.all, request, &asker);
	fake_settle(&w.fake);
	return w.status;
}

static int update(const char *which, const char *config)
{
	return ask_with(&(struct container_request){ .verb = CONTAINER_UPDATE,
						     .which = co_span(which),
						     .config = co_span(config) });
}

/* A member as it stands in the JSON of that container. */
static const char *member(const char *which, const char *name)
{
	static char out[1024];
	struct co_span value;

	ck_assert_int_eq(ask(CONTAINER_INSPECT, which), 0);
	if (!co_json_member(co_span(w.answer), name, &value))
		return "";
	(void) snprintf(out, sizeof(out), "%.*s", (int) value.size, value.data);
	return out;
}

#define is(which, name, value) ck_assert_str_eq(member(which, name), value)
#define ROOT                   "\"rootfs\":\"/r\""

static void stop_with(const char *which, uint32_t timeout_s)
{
	containers_ask(w.all,
		       &(struct container_request){ .verb = CONTAINER_STOP,
						    .which = co_span(which),
						    .has_timeout = true,
						    .timeout_s = timeout_s },
		       &asker);
}

/* ---- tests ---- */

START_TEST(a_container_is_created_started_stopped_and_removed)
{
	begin();
	ck_assert_int_eq(
		create("{" ROOT ",\"name\":\"one\",\"command\":\"sleep 'a b'\"}"), 0);
	ck_assert_uint_eq(w.id, 1);
	is("one", "state", "\"created\"");
	is("1", "command", "[\"sleep\",\"a b\"]");
	ck_assert(w.monitors[1].committed);
	ck_assert_uint_eq(w.monitors[1].starts, 0);
	ck_assert_int_eq(ask(CONTAINER_START, "one"), 0);
	is("one", "state", "\"running\"");
	is("one", "pid", "1001");
	is("one", "exitCode", "null");
	ck_assert_int_eq(ask(CONTAINER_START, "one"), 0);
	ck_assert_uint_eq(w.monitors[1].starts, 1);
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "one"), CO_BUSY);
	ck_assert_int_eq(ask(CONTAINER_STOP, "one"), 0);
	ck_assert_int_eq(w.monitors[1].last_signal, SIGTERM);
	is("one", "state", "\"exited\"");
	is("one", "exitCode", "143");
	ck_assert_int_eq(ask(CONTAINER_STOP, "one"), 0);
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "one"), 0);
	ck_assert_int_eq(ask(CONTAINER_INSPECT, "one"), CO_NOT_FOUND);
	ck_assert(!w.monitors[1].files);
	ck_assert_uint_eq(memory_store_count(&w.store, "/container/"), 0);
	ck_assert_str_eq(w.events, "created started exited stopped removed ");
	finish();
}
END_TEST

START_TEST(outside_ids_are_given_in_turn_and_kept)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), 0);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"b\"}"), 0);
	ck_assert_uint_eq(w.monitors[1].users, 0);
	ck_assert_uint_eq(w.monitors[2].users, 1);
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "a"), 0);
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "b"), 0);
	/* what these have left is not the next one's, nor after a restart */
	kill_daemon();
	start_daemon();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"c\"}"), 0);
	ck_assert_uint_eq(w.monitors[3].users, 2);
	ck_assert_int_eq(ask(CONTAINER_START, "c"), 0);
	end(3, 0, 0);
	fake_settle(&w.fake);
	w.monitors[3].users = 77;
	ck_assert_int_eq(ask(CONTAINER_START, "c"), 0);
	ck_assert_uint_eq(w.monitors[3].users, 2); /* its files are theirs */
	finish();
}
END_TEST

START_TEST(answered_is_committed)
{
	begin();
	w.store.hold = true;
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), 99);
	memory_store_release(&w.store);
	fake_settle(&w.fake);
	ck_assert_int_eq(w.status, 0);
	w.store.hold = true;
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 99);
	ck_assert_uint_eq(w.monitors[1].starts, 1);
	ck_assert_ptr_null(strstr(w.events, "started"));
	memory_store_release(&w.store);
	fake_settle(&w.fake);
	ck_assert_int_eq(w.status, 0);
	finish();
}
END_TEST

START_TEST(what_the_store_refuses_is_not_created)
{
	begin();
	w.store.fail = CO_NO_SPACE;
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), CO_NO_SPACE);
	w.store.fail = 0;
	ck_assert_int_eq(ask(CONTAINER_INSPECT, "a"), CO_NOT_FOUND);
	ck_assert(!w.monitors[1].files);
	w.fail_make = CO_ACCESS;
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), CO_ACCESS);
	w.fail_make = 0;
	ck_assert_int_eq(ask(CONTAINER_INSPECT, "a"), CO_NOT_FOUND);
	ck_assert_uint_eq(memory_store_count(&w.store, "/container/"), 0);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), 0);
	ck_assert_uint_eq(w.id, 3); /* an id is never given twice */
	finish();
}
END_TEST

START_TEST(a_state_that_could_not_be_written_is_written_later)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	w.store.fail = CO_IO;
	end(1, 3, 0);
	fake_settle(&w.fake);
	w.store.fail = 0;
	fake_advance(&w.fake, 1000);
	kill_daemon();
	start_daemon();
	is("a", "state", "\"exited\"");
	is("a", "exitCode", "3");
	finish();
}
END_TEST

START_TEST(names_are_unique_and_have_a_form)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), 0);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), CO_EXISTS);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"-a\"}"), CO_INVALID);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"17\"}"), CO_INVALID);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a/b\"}"), CO_INVALID);
	ck_assert_int_eq(create("{" ROOT "}"), 0);
	is("container-2", "id", "2");
	containers_create(w.all, co_span("{" ROOT ",\"name\":\"lost\"}"),
			  co_span("wins"), &asker);
	fake_settle(&w.fake);
	is("wins", "id", "3");
	ck_assert_int_eq(ask(CONTAINER_INSPECT, "lost"), CO_NOT_FOUND);
	ck_assert_int_eq(update("wins", "{\"name\":\"a\"}"), CO_EXISTS);
	ck_assert_int_eq(update("wins", "{\"name\":\"b\"}"), 0);
	is("b", "id", "3");
	ck_assert_int_eq(ask(CONTAINER_INSPECT, "wins"), CO_NOT_FOUND);
	finish();
}
END_TEST

START_TEST(what_is_wrong_with_a_configuration_is_said)
{
	static const struct {
		const char *config, *what;
	} bad[] = {
		{ "{}", "neither an image nor a rootfs" },
		{ "[]", "not a JSON object" },
		{ "{" ROOT ",\"image\":\"box\"}", "exclude" },
		{ "{\"image\":\"none\"}", "no image none" },
		{ "{\"rootfs\":\"r\"}", "rootfs" },
		{ "{\"rootfs\":\"/a/../b\"}", "rootfs" },
		{ "{" ROOT ",\"memory\":1}", "\"memory\" is no member" },
		{ "{" ROOT ",\"memoryLimit\":-1}", "memoryLimit" },
		{ "{" ROOT ",\"memoryLimit\":\"1\"}", "memoryLimit" },
		{ "{" ROOT ",\"command\":\"'\"}", "quote" },
		{ "{" ROOT ",\"env\":[\"A\"]}", "NAME=value" },
		{ "{" ROOT ",\"env\":[\"=b\"]}", "NAME=value" },
		{ "{" ROOT ",\"networkMode\":\"lan\"}", "networkMode" },
		{ "{" ROOT ",\"ports\":[\"80\"]}", "ports" },
		{ "{" ROOT ",\"ports\":[\"80:99999\"]}", "ports" },
		{ "{" ROOT ",\"ports\":[\"1.2.3:80:80\"]}", "ports" },
		{ "{" ROOT ",\"networkMode\":\"container:x\",\"ports\":[\"80:80\"]}",
		  "ports" },
		{ "{" ROOT ",\"volumes\":[\"/a\"]}", "volumes" },
		{ "{" ROOT ",\"volumes\":[\"/a:/b:wo\"]}", "volumes" },
		{ "{" ROOT ",\"volumes\":[\"/a:/../b\"]}", "volumes" },
		{ "{" ROOT ",\"tmpfs\":[\"t\"]}", "absolute path" },
		{ "{" ROOT ",\"tmpfs\":[\"/t:\"]}", "64m" },
		{ "{" ROOT ",\"tmpfs\":[\"/t:0\"]}", "64m" },
		{ "{" ROOT ",\"tmpfs\":[\"/t:1x\"]}", "64m" },
		{ "{" ROOT ",\"tmpfs\":[\"/t:9999999999999999999\"]}", "64m" },
		{ "{" ROOT ",\"restart\":\"on-failure:0\"}", "restart" },
		{ "{" ROOT ",\"restart\":\"always\",\"rm\":true}", "exclude" },
		{ "{" ROOT ",\"health\":{\"interval\":1}}", "health" },
		{ "{" ROOT ",\"health\":{\"command\":\"x\",\"often\":1}}", "health" },
		{ "{" ROOT ",\"stopSignal\":\"SIGFOO\"}", "stopSignal" },
		{ "{" ROOT ",\"runtime\":\"docker\"}", "runtime" },
		{ "{" ROOT ",\"privileged\":1}", "privileged" },
		{ "{" ROOT ",\"labels\":{\"a\":1}}", "labels" },
	};

	begin();
	for (size_t i = 0; i < co_countof(bad); i++) {
		ck_assert_msg(create(bad[i].config) < 0, "%s", bad[i].config);
		ck_assert_msg(strstr(w.answer, bad[i].what), "%s: %s", bad[i].config,
			      w.answer);
	}
	ck_assert_uint_eq(memory_store_count(&w.store, "/container/"), 0);
	finish();
}
END_TEST

START_TEST(an_image_says_what_is_not_said)
{
	begin();
	ck_assert_int_eq(create("{\"image\":\"box\",\"name\":\"a\"}"), 0);
	is("a", "command", "[\"/e\",\"sh\"]");
	is("a", "imageId", "\"sha256:1\"");
	ck_assert_uint_eq(w.image_uses, 1);
	ck_assert_int_eq(
		create("{\"image\":\"box\",\"name\":\"b\",\"entrypoint\":\"x y\"}"), 0);
	is("b", "command", "[\"x\",\"y\"]");
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	ck_assert_int_eq(ask(CONTAINER_STOP, "a"), 0);
	ck_assert_int_eq(w.monitors[1].last_signal, SIGINT);
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "b"), 0);
	ck_assert_uint_eq(w.image_uses, 1);
	finish();
}
END_TEST

START_TEST(what_does_not_stop_is_killed_after_its_time)
{
	begin();
	w.ignore_term = true;
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\",\"stopTimeout\":3}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	ask_only(CONTAINER_STOP, "a");
	fake_advance(&w.fake, 2900);
	is("a", "state", "\"running\"");
	fake_advance(&w.fake, 200);
	is("a", "state", "\"exited\"");
	is("a", "exitCode", "137");
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	stop_with("a", 0);
	fake_settle(&w.fake);
	ck_assert_int_eq(w.monitors[1].last_signal, SIGKILL);
	is("a", "state", "\"exited\"");
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	ask_only(CONTAINER_STOP, "a");
	fake_settle(&w.fake);
	ck_assert_int_eq(ask_with(&(struct container_request){ .verb = CONTAINER_REMOVE,
							       .which = co_span("a"),
							       .force = true }),
			 0); /* a removal by force does not wait for three seconds */
	finish();
}
END_TEST

START_TEST(a_policy_begins_again_later_and_later)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\",\"restart\":\"always\"}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t delay = 100ULL << i < 60000 ? 100ULL << i : 60000;

		end(1, 1, 0);
		fake_settle(&w.fake);
		is("a", "state", "\"restarting\"");
		fake_advance(&w.fake, delay - 1);
		ck_assert_uint_eq(w.monitors[1].starts, i + 1);
		fake_advance(&w.fake, 1);
		ck_assert_uint_eq(w.monitors[1].starts, i + 2);
		is("a", "state", "\"running\"");
	}
	is("a", "restarts", "12");
	fake_advance(&w.fake, 10000);
	end(1, 0, 0);
	fake_advance(&w.fake, 100);
	ck_assert_uint_eq(w.monitors[1].starts, 14); /* it has been steady */
	ck_assert_int_eq(ask(CONTAINER_STOP, "a"), 0);
	fake_advance(&w.fake, 120000);
	ck_assert_uint_eq(w.monitors[1].starts, 14);
	is("a", "state", "\"exited\"");
	finish();
}
END_TEST

START_TEST(on_failure_counts_and_success_ends)
{
	begin();
	ck_assert_int_eq(
		create("{" ROOT ",\"name\":\"a\",\"restart\":\"on-failure:2\"}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	end(1, 0, 0);
	fake_advance(&w.fake, 120000);
	ck_assert_uint_eq(w.monitors[1].starts, 1);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	for (int i = 0; i < 5; i++) {
		if (w.monitors[1].seen == CONTAINER_SEEN_RUNNING)
			end(1, 7, 0);
		fake_advance(&w.fake, 120000);
	}
	ck_assert_uint_eq(w.monitors[1].starts, 4);
	is("a", "exitCode", "7");
	is("a", "state", "\"exited\"");
	finish();
}
END_TEST

START_TEST(a_program_that_cannot_be_run_is_told)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), 0);
	w.fail_start = CO_NOT_FOUND;
	ck_assert_int_eq(ask(CONTAINER_START, "a"), CO_NOT_FOUND);
	is("a", "state", "\"exited\"");
	is("a", "exitCode", "127");
	is("a", "error", "\"it is told to\"");
	w.fail_start = 0;
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	is("a", "error", "\"\"");
	finish();
}
END_TEST

START_TEST(pause_suspends_health_and_stop)
{
	begin();
	ck_assert_int_eq(create("{" ROOT
				",\"name\":\"a\",\"health\":{\"command\":\"x\","
				"\"interval\":1,\"retries\":2,\"startPeriod\":5}}"),
			 0);
	is("a", "health", "\"none\"");
	ck_assert_int_eq(ask(CONTAINER_PAUSE, "a"), CO_BUSY);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	is("a", "health", "\"starting\"");
	w.exec_code = 1;
	fake_advance(&w.fake, 4500);
	is("a", "health", "\"starting\""); /* it may fail as long as it starts */
	fake_advance(&w.fake, 3000);
	is("a", "health", "\"unhealthy\"");
	w.exec_code = 0;
	fake_advance(&w.fake, 1500);
	is("a", "health", "\"healthy\"");
	ck_assert_int_eq(ask(CONTAINER_PAUSE, "a"), 0);
	is("a", "state", "\"paused\"");
	w.monitors[1].probes = 0;
	fake_advance(&w.fake, 10000);
	ck_assert_uint_eq(w.monitors[1].probes, 0);
	ck_assert_int_eq(ask(CONTAINER_UNPAUSE, "a"), 0);
	ck_assert_int_eq(ask(CONTAINER_UNPAUSE, "a"), CO_BUSY);
	fake_advance(&w.fake, 1500);
	ck_assert_uint_gt(w.monitors[1].probes, 0);
	ck_assert_int_eq(ask(CONTAINER_PAUSE, "a"), 0);
	ck_assert_int_eq(ask(CONTAINER_STOP, "a"), 0); /* thawed first */
	is("a", "state", "\"exited\"");
	ck_assert_ptr_nonnull(strstr(w.events, "health health paused unpaused paused"));
	finish();
}
END_TEST

START_TEST(who_waits_hears_of_the_end)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\",\"rm\":true}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	ck_assert_int_eq(ask(CONTAINER_WAIT, "a"), 99);
	end(1, 5, 0);
	fake_settle(&w.fake);
	ck_assert_int_eq(w.status, 0);
	ck_assert_str_eq(w.answer,
			 "{\"id\":1,\"exitCode\":5,\"oomKilled\":false,\"signal\":0}");
	ck_assert_int_eq(ask(CONTAINER_INSPECT, "a"), CO_NOT_FOUND); /* rm */
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"b\"}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "b"), 0);
	end(2, 6, 0);
	fake_settle(&w.fake);
	ck_assert_int_eq(ask(CONTAINER_WAIT, "b"), 0);
	ck_assert_ptr_nonnull(strstr(w.answer, "\"exitCode\":6"));
	finish();
}
END_TEST

START_TEST(update_changes_what_can_be_changed)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\",\"memoryLimit\":64}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "a"), 0);
	ck_assert_int_eq(update("a", "{\"memoryLimit\":128,\"cpuLimit\":50}"), 0);
	ck_assert_uint_eq(w.monitors[1].updates, 1);
	ck_assert_ptr_nonnull(strstr(w.answer, "\"memoryLimit\":128,\"cpuLimit\":50"));
	ck_assert_int_eq(update("a", "{\"command\":\"x\"}"), CO_BUSY);
	ck_assert_int_eq(update("a", "{\"rootfs\":\"/x\"}"), CO_INVALID);
	ck_assert_int_eq(update("a", "{\"cpuLimit\":null}"), 0);
	ck_assert_ptr_null(strstr(w.answer, "cpuLimit"));
	ck_assert_int_eq(ask(CONTAINER_STOP, "a"), 0);
	ck_assert_int_eq(update("a", "{\"command\":\"x\"}"), 0);
	is("a", "command", "[\"x\"]");
	ck_assert_int_eq(ask(CONTAINER_STATS, "a"), CO_BUSY);
	ck_assert_int_eq(ask(CONTAINER_KILL, "a"), CO_BUSY);
	finish();
}
END_TEST

START_TEST(the_next_daemon_finds_what_runs)
{
	begin();
	ck_assert_int_eq(create("{\"image\":\"box\",\"name\":\"runs\"}"), 0);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"ends\"}"), 0);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"lost\",\"restart\":\"always\"}"),
			 0);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"waits\"}"), 0);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"gone\"}"), 0);
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "gone"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "runs"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "ends"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "lost"), 0);
	ck_assert(containers_keep_alive(w.all));
	kill_daemon();
	end(2, 9, 0);
	w.monitors[3].seen = CONTAINER_SEEN_NOTHING;
	w.monitors[5].seen = CONTAINER_SEEN_RUNNING; /* of nobody */
	w.monitors[6].seen = CONTAINER_SEEN_RUNNING; /* may just be made */
	start_daemon();
	is("runs", "state", "\"running\"");
	is("runs", "pid", "1001");
	ck_assert_uint_eq(w.image_uses, 1);
	is("ends", "state", "\"exited\"");
	is("ends", "exitCode", "9");
	is("lost", "exitCode", "255");
	fake_advance(&w.fake, 100);
	is("lost", "state", "\"running\"");
	is("waits", "state", "\"created\"");
	ck_assert_int_eq(w.monitors[5].seen, CONTAINER_SEEN_NOTHING);
	ck_assert_int_eq(w.monitors[6].seen, CONTAINER_SEEN_RUNNING);
	w.monitors[6].seen = CONTAINER_SEEN_NOTHING;
	end(1, 4, 0);
	fake_settle(&w.fake);
	is("runs", "exitCode", "4");
	ck_assert_int_eq(create("{" ROOT "}"), 0);
	ck_assert_uint_eq(w.id, 6);
	finish();
}
END_TEST

START_TEST(a_start_that_was_not_written_down_is_found)
{
	begin();
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\",\"restart\":\"always\"}"), 0);
	w.store.hold = true;
	ask_only(CONTAINER_START, "a");
	fake_settle(&w.fake);
	kill_daemon();
	w.store.hold = false;
	start_daemon();
	is("a", "state", "\"running\"");
	ck_assert_uint_eq(w.monitors[1].starts, 1);
	end(1, 1, 0);
	fake_advance(&w.fake, 200);
	ck_assert_uint_eq(w.monitors[1].starts, 2); /* it was wanted */
	finish();
}
END_TEST

START_TEST(a_half_done_create_or_remove_is_finished)
{
	begin();
	w.store.hold = false;
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"a\"}"), 0);
	w.fail_unmake = CO_IO;
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "a"), CO_IO);
	is("a", "state", "\"dead\"");
	ck_assert_int_eq(ask(CONTAINER_START, "a"), CO_BUSY);
	w.fail_unmake = 0;
	ck_assert_int_eq(ask(CONTAINER_REMOVE, "a"), 0);
	/* a create whose second write is never made */
	containers_create(w.all, co_span("{" ROOT ",\"name\":\"b\"}"),
			  (struct co_span){ 0 }, &asker);
	while (!w.monitors[2].files)
		ck_assert(fake_turn(&w.fake));
	kill_daemon();
	ck_assert_uint_eq(memory_store_count(&w.store, "/container/"), 1);
	start_daemon();
	ck_assert_uint_eq(memory_store_count(&w.store, "/container/"), 0);
	ck_assert(!w.monitors[2].files);
	ck_assert_int_eq(create("{" ROOT ",\"name\":\"b\"}"), 0);
	ck_assert_uint_eq(w.id, 3);
	finish();
}
END_TEST

START_TEST(a_reboot_begins_what_was_wanted)
{
	static const char *const policies[] = {
		"no",     "on-failure",     "unless-stopped",
		"always", "unless-stopped", "always"
	};
	char config[128];

	begin();
	for (size_t i = 0; i < co_countof(policies); i++) {
		(void) snprintf(config, sizeof(config),
				"{" ROOT ",\"name\":\"c%zu\",\"restart\":\"%s\"}", i,
				policies[i]);
		ck_assert_int_eq(create(config), 0);
		(void) snprintf(config, sizeof(config), "c%zu", i);
		ck_assert_int_eq(ask(CONTAINER_START, config), 0);
	}
	ck_assert_int_eq(ask(CONTAINER_STOP, "c4"), 0);
	ck_assert_int_eq(ask(CONTAINER_STOP, "c5"), 0);
	kill_daemon();
	start_daemon(); /* of the same boot: what was stopped stays so */
	is("c5", "state", "\"exited\"");
	kill_daemon();
	for (int i = 0; i < MONITORS; i++)
		w.monitors[i].seen = CONTAINER_SEEN_NOTHING;
	w.boot = "boot-2";
	start_daemon();
	fake_advance(&w.fake, 100);
	is("c0", "state", "\"exited\"");
	ck_assert_ptr_nonnull(strstr(w.answer, "restarted while it ran"));
	is("c1", "state", "\"running\""); /* it has failed */
	is("c2", "state", "\"running\"");
	is("c3", "state", "\"running\"");
	is("c4", "state", "\"exited\"");
	is("c5", "state", "\"running\"");
	finish();
}
END_TEST

START_TEST(prune_removes_what_does_not_run)
{
	begin();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(create("{" ROOT "}"), 0);
	ck_assert_int_eq(ask(CONTAINER_START, "2"), 0);
	containers_prune(w.all, &asker);
	fake_settle(&w.fake);
	ck_assert_int_eq(w.status, 0);
	ck_assert_str_eq(w.answer, "{\"removed\":[\"container-1\",\"container-3\","
				   "\"container-4\"]}");
	is("2", "state", "\"running\"");
	containers_prune(w.all, &asker);
	fake_settle(&w.fake);
	ck_assert_str_eq(w.answer, "{\"removed\":[]}");
	finish();
}
END_TEST

static void is_put(void *arg, const struct store_result *result)
{
	(void) arg;
	ck_assert_int_eq(result->status, 0);
}

START_TEST(damaged_records_are_left_alone)
{
	static const char value[] = "{\"layout\":1,\"id\":9}";
	struct store_op op = { .kind = STORE_PUT,
			       .key = "/container/0000000009",
			       .value = value,
			       .size = sizeof(value) - 1 };
	struct store_txn txn = { .then = &op, .nthen = 1 };

	begin();
	kill_daemon();
	ck_assert_int_eq(store_txn(&w.store, &txn, is_put, NULL), 0);
	fake_settle(&w.fake);
	start_daemon();
	ck_assert_ptr_nonnull(strstr(w.logged, "damaged"));
	finish();
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("container");

	tcase_add_test(tests, a_container_is_created_started_stopped_and_removed);
	tcase_add_test(tests, outside_ids_are_given_in_turn_and_kept);
	tcase_add_test(tests, answered_is_committed);
	tcase_add_test(tests, what_the_store_refuses_is_not_created);
	tcase_add_test(tests, a_state_that_could_not_be_written_is_written_later);
	tcase_add_test(tests, names_are_unique_and_have_a_form);
	tcase_add_test(tests, what_is_wrong_with_a_configuration_is_said);
	tcase_add_test(tests, an_image_says_what_is_not_said);
	tcase_add_test(tests, what_does_not_stop_is_killed_after_its_time);
	tcase_add_test(tests, a_policy_begins_again_later_and_later);
	tcase_add_test(tests, on_failure_counts_and_success_ends);
	tcase_add_test(tests, a_program_that_cannot_be_run_is_told);
	tcase_add_test(tests, pause_suspends_health_and_stop);
	tcase_add_test(tests, who_waits_hears_of_the_end);
	tcase_add_test(tests, update_changes_what_can_be_changed);
	tcase_add_test(tests, the_next_daemon_finds_what_runs);
	tcase_add_test(tests, a_start_that_was_not_written_down_is_found);
	tcase_add_test(tests, a_half_done_create_or_remove_is_finished);
	tcase_add_test(tests, a_reboot_begins_what_was_wanted);
	tcase_add_test(tests, prune_removes_what_does_not_run);
	tcase_add_test(tests, damaged_records_are_left_alone);
	return run_tests(tests);
}
