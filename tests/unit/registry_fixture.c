/* SPDX-License-Identifier: MIT */
/* What the tests of the registry share.  HOST. */
#include "tests/unit/registry_fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct fake_host fake;
struct store store;
struct registry *reg;
char events[8192];
char last_reason[512];

static void on_event(void *arg, const struct registry_event *event)
{
	size_t n = strlen(events);

	(void) arg;
	ck_assert_str_ne(event->reason, "");
	ck_assert_uint_ge(event->at_ns, 1700000000000000000U);
	(void) snprintf(events + n, sizeof(events) - n, "%s%s%s%s", n ? "; " : "",
			registry_event_name(event->kind), event->instance ? " " : "",
			event->instance ? event->instance->spec.name : "");
	(void) snprintf(last_reason, sizeof(last_reason), "%s", event->reason);
}

static void open_registry(void)
{
	struct health_options options;

	health_options_default(&options);
	options.jitter_percent = 0;
	reg = registry_new(&fake.host, &store, &options);
	ck_assert_ptr_nonnull(reg);
	ck_assert_ptr_nonnull(registry_watch(reg, on_event, NULL));
	events[0] = 0;
}

void registry_set_up(void)
{
	fake_init(&fake);
	fake_store_init(&store, &fake);
	open_registry();
}

void registry_tear_down(void)
{
	reg = registry_free(reg);
	fake_store_release(&store);
	fake_done(&fake);
	fake_store_done(&store);
}

void registry_restart(void)
{
	reg = registry_free(reg);
	fake_settle(&fake);
	open_registry();
}

void on_answer(void *arg, int status, const char *reason)
{
	struct answer *answer = arg;

	answer->runs++;
	answer->status = status;
	(void) snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
	if (answer->name)
		answer->count_then = registry_count(reg, answer->name);
	ck_assert((status == 0) == (*reason == 0));
}

void on_health_answer(void *arg, int status, bool is_healthy, const char *reason)
{
	struct answer *answer = arg;

	answer->runs++;
	answer->status = status;
	answer->is_healthy = is_healthy;
	(void) snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
}

struct service_spec spec_of(const char *name, const char *check, uint32_t ttl)
{
	struct service_spec spec = { .version = "1.0", .port = 80, .ttl = ttl };

	(void) snprintf(spec.name, sizeof(spec.name), "%s", name);
	(void) snprintf(spec.health_check, sizeof(spec.health_check), "%s", check);
	return spec;
}

struct process_id child_start(void)
{
	struct process_id id = { 0 };
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* tidy if the test dies */
		for (;;)
			(void) pause(); /* only a signal ends it */
	}
	ck_assert_int_eq(process_read(pid, &id, NULL), 0);
	return id;
}

void child_kill(const struct process_id *id)
{
	struct pollfd end = { .events = POLLIN };

	ck_assert_int_eq(process_open(id, &end.fd, NULL), 0);
	ck_assert_int_eq(kill(id->pid, SIGKILL), 0);
	ck_assert_int_eq(poll(&end, 1, 60000), 1);
	ck_assert_int_eq(close(end.fd), 0);
}

void child_reap(const struct process_id *id)
{
	ck_assert_int_eq(waitpid(id->pid, NULL, 0), id->pid);
}

void child_stop(const struct process_id *id)
{
	child_kill(id);
	child_reap(id);
}

void must_register(const struct service_spec *spec, const struct process_id *owner)
{
	struct answer answer = { 0 };
	struct co_err err = { 0 };

	ck_assert_msg(registry_register(reg, spec, owner, 1, NULL, on_answer, &answer,
					&err) == 0,
		      "%s", err.message);
	while (answer.runs == 0)
		ck_assert(fake_turn(&fake));
	ck_assert_msg(answer.status == 0, "%s", answer.reason);
}

void must_register_name(const char *name, const struct process_id *owner)
{
	struct service_spec spec = spec_of(name, "", 0);

	must_register(&spec, owner);
}

void must_load(void)
{
	struct answer answer = { 0 };

	ck_assert_int_eq(registry_load(reg, on_answer, &answer), 0);
	fake_settle(&fake);
	ck_assert_int_eq(answer.runs, 1);
	ck_assert_int_eq(answer.status, 0);
}

const char *health_of(const char *name)
{
	const struct service_instance *instance;

	return registry_discover(reg, name, &instance, 1)
		       ? health_state_name(instance->health)
		       : "gone";
}
