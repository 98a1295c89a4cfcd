/* SPDX-License-Identifier: MIT */
/*
 * What ring/ needs of the kernel.  Linked into CloudOS programs.
 *
 * One word and FUTEX_WAIT, no futex_waitv: a signal ends it whatever its handler's flags
 * are, as it ends ipc_receive under the daemon.  The daemon's kicks wake the doorbells,
 * too; one that comes in between is seen when the wait is over, which is soon.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "direct.h"

long ring_os_wait(void *context, const uint32_t *word, uint32_t expected,
		  const uint32_t *kick, uint32_t kick_expected, uint64_t timeout_ns)
{
	struct timespec time = { 0, DIRECT_SLICE_NS };

	(void) context;
	if (kick && __atomic_load_n(kick, __ATOMIC_ACQUIRE) != kick_expected)
		return -EAGAIN;
	if (timeout_ns && timeout_ns < DIRECT_SLICE_NS)
		time.tv_nsec = (long) timeout_ns;
	return syscall(SYS_futex, word, FUTEX_WAIT, expected, &time, NULL, 0) < 0
		       ? -errno
		       : 0;
}

long ring_os_wake(const uint32_t *word, uint32_t count)
{
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);

	return woken < 0 ? -errno : woken;
}

void ring_os_yield(void)
{
	(void) sched_yield(); /* cannot fail */
}

uint64_t ring_os_now(void)
{
	struct timespec now = { 0, 0 };

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* it exists */
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}
