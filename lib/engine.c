/* SPDX-License-Identifier: MIT */
/* Names of the engines.  HOST. */
#include "lib/engine.h"

#include <string.h>

#include "lib/cleanup.h"

static const char *const names[] = {
	[CO_ENGINE_AUTO] = "auto",
	[CO_ENGINE_NOTIFY] = "notify",
	[CO_ENGINE_TRAP] = "trap",
	[CO_ENGINE_PTRACE] = "ptrace",
};

const char *co_engine_name(enum co_engine engine)
{
	return (size_t) engine < co_countof(names) ? names[engine] : "unknown";
}

int co_engine_find(const char *name)
{
	for (size_t i = 0; i < co_countof(names); i++)
		if (!strcmp(names[i], name))
			return (int) i;
	return -1;
}
