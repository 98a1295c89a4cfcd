/* SPDX-License-Identifier: MIT */
/*
 * What a ring needs of the kernel, for programs with a libc.  HOST.
 */
#include <ring/ring.h>

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { KICK_NS = 50000000 }; /* without futex_waitv a kick is seen after that */

static long result_of(long result)
{
	return result < 0 ? -errno : 0;
}

static struct timespec in(uint64_t ns, clockid_t clock)
{
	struct timespec at = { 0, 0 };

	if (clock >= 0)
		(void) clock_gettime(clock, &at); /* it exists */
	ns += (uint64_t) at.tv_nsec;
	at.tv_sec += (time_t) (ns / 1000000000);
	at.tv_nsec = (long) (ns % 1000000000);
	return at;
}

static long wait_one(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
	struct timespec time = in(timeout_ns, -1);

	return result_of(syscall(SYS_futex, word, FUTEX_WAIT, expected,
				 timeout_ns ? &time : NULL, NULL, 0));
}

long ring_os_wait(void *context, const uint32_t *word, uint32_t expected,
		  const uint32_t *kick, uint32_t kick_expected, uint64_t timeout_ns)
{
	struct futex_waitv words[2] = {
		{ .val = expected, .uaddr = (uintptr_t) word, .flags = FUTEX_32 },
		{ .val = kick_expected, .uaddr = (uintptr_t) kick, .flags = FUTEX_32 },
	};
	struct timespec time;
	long result;

	(void) context;
	if (!kick)
		return wait_one(word, expected, timeout_ns);
	time = in(timeout_ns, CLOCK_MONOTONIC);
	result = result_of(syscall(SYS_futex_waitv, words, 2, 0,
				   timeout_ns ? &time : NULL, CLOCK_MONOTONIC));
	if (result != -ENOSYS)
		return result;
	result = wait_one(word, expected,
			  timeout_ns && timeout_ns < KICK_NS ? timeout_ns : KICK_NS);
	return result;
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
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* it exists */
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}
