/* SPDX-License-Identifier: MIT */
/* The time stamp counter, which programs put beside their messages.  HOST. */
#ifndef CO_DAEMON_TICKS_H
#define CO_DAEMON_TICKS_H

#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
static inline uint64_t ticks_now(void)
{
	return __builtin_ia32_rdtsc();
}
#else
static inline uint64_t ticks_now(void)
{
	return 0;
}
#endif

#endif
