/* SPDX-License-Identifier: MIT */
/*
 * What every engine of the store does, told through store.h alone.  HOST.
 * Called by the main() of each engine; see engine.h.
 */
#include "tests/conformance/suite.h"

#include "tests/conformance/engine.h"

#include <stdatomic.h>

struct store *s;
struct answer a, b;
struct watched w;

static const struct store_engine *engine;
static atomic_ullong clock_ms;

static uint64_t test_clock(void *ctx)
{
	(void) ctx; /* there is one clock */
	return atomic_load(&clock_ms);
}

static const struct store_options options = { .now_ms = test_clock };

void conformance_reopen(void)
{
	s = engine->reopen(s, &options);
}

void conformance_pass_ms(uint64_t ms)
{
	atomic_fetch_add(&clock_ms, ms);
	client_get(&a, s, "any");
}

static void setup(void)
{
	atomic_store(&clock_ms, 1000000);
	s = engine->open(&options);
	watched_init(&w);
}

static void teardown(void)
{
	engine->destroy(s);
}

int store_conformance(const struct store_engine *which)
{
	TCase *cases[] = { conformance_keys(), conformance_txns(), conformance_leases(),
			   conformance_watches() };
	Suite *suite = suite_create("store conformance");
	SRunner *runner;
	int failed;

	engine = which;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		tcase_set_timeout(cases[i], 300);
		suite_add_tcase(suite, cases[i]);
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
