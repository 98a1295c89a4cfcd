/* SPDX-License-Identifier: MIT */
/* What the tests of the registry share: one registry on a fake host and store.  HOST. */
#ifndef CO_TESTS_REGISTRY_FIXTURE_H
#define CO_TESTS_REGISTRY_FIXTURE_H

#include <check.h>
#include <sys/types.h>

#include "cloudosd/service/registry.h"
#include "tests/unit/fake_host.h"
#include "tests/unit/fake_store.h"

extern struct fake_host fake;
extern struct store store;
extern struct registry *reg;
extern char events[8192]; /* "registered web; removed web; ..." */
extern char last_reason[512];

void registry_set_up(void);
void registry_tear_down(void);
/* Another daemon on the same store. */
void registry_restart(void);

struct answer {
	int runs, status;
	bool is_healthy;
	char reason[256];
	size_t count_then; /* instances of `name` when it ran */
	const char *name;
};

void on_answer(void *arg, int status, const char *reason);
void on_health_answer(void *arg, int status, bool is_healthy, const char *reason);

struct service_spec spec_of(const char *name, const char *check, uint32_t ttl);

/* A real process that waits to be killed. */
struct process_id child_start(void);
void child_kill(const struct process_id *id); /* and waits until it is a zombie */
void child_reap(const struct process_id *id);
void child_stop(const struct process_id *id); /* both */

/* Registers, settles, expects success. */
void must_register(const struct service_spec *spec, const struct process_id *owner);
void must_register_name(const char *name, const struct process_id *owner);
/* Loads, settles, expects success. */
void must_load(void);

/* The health of the first instance in discovery, "gone" if there is none. */
const char *health_of(const char *name);

TCase *registry_tests(void);
TCase *registry_life_tests(void);
TCase *registry_load_tests(void);

#endif
