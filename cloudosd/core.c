/* SPDX-License-Identifier: MIT */
/* The core lock.  HOST. */
#include "cloudosd/core.h"

#include <pthread.h>
#include <stdlib.h>

static struct {
	pthread_mutex_t mutex;
	pthread_t owner;
	int held;
} core = { .mutex = PTHREAD_MUTEX_INITIALIZER };

__attribute__((hot)) void core_lock(void)
{
	/* fails only for a mutex that is not one */
	if (pthread_mutex_lock(&core.mutex))
		abort();
	core.owner = pthread_self();
	core.held = 1;
}

__attribute__((hot)) void core_unlock(void)
{
	core_assert_locked();
	core.held = 0;
	if (pthread_mutex_unlock(&core.mutex))
		abort();
}

__attribute__((hot)) void core_assert_locked(void)
{
	if (!core.held || !pthread_equal(core.owner, pthread_self()))
		abort();
}
