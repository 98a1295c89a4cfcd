/* SPDX-License-Identifier: MIT */
/* Fuzz target: the configuration file.  HOST.  Input: the file. */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/config.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "tests/fuzz/target.h"

/* What the daemon relies on after a good answer: every key within its bounds. */
static void demand_bounds(const struct config *c)
{
	struct co_log_levels levels;

	if (co_log_parse(&levels, c->log, NULL) < 0 || c->guest_memory >= CONFIG_WORDS)
		abort();
	if (c->idle_timeout > 604800 || c->notify_threads_min < 1 ||
	    c->notify_threads_min > CO_LIMIT_CALL_THREADS || c->health_interval < 1 ||
	    c->health_interval > 3600 || c->health_timeout < 1 ||
	    c->health_timeout > 60 || c->health_jitter > 50 || c->health_rise < 1 ||
	    c->health_rise > 100 || c->health_fall < 1 || c->health_fall > 100 ||
	    c->store_history < 100 || c->store_history > CO_LIMIT_STORE_HISTORY)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = malloc(size ? size : 1); /* ends where the input ends */
	struct config config, before;
	struct co_err err = { 0 };
	int rc;

	if (!text)
		return 0;
	memcpy(text, data, size);
	memset(&config, 0x5a, sizeof(config));
	before = config;
	rc = config_parse(&config, "fuzz.yaml", text, size, &err);
	if (rc == 0)
		demand_bounds(&config);
	else if (err.code != rc || strncmp(err.message, "fuzz.yaml", 9) != 0 ||
		 memcmp(&config, &before, sizeof(config)) != 0)
		abort();
	return 0;
}
