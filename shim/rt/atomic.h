/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  32-bit words that other threads or other processes read and write at the same
 * time.  Named after the order they give; there is no relaxed one on purpose.
 */
#ifndef SHIM_RT_ATOMIC_H
#define SHIM_RT_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

static inline uint32_t shim_load_acquire(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void shim_store_release(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Returns the value before. */
static inline uint32_t shim_add(uint32_t *word, uint32_t amount)
{
	return __atomic_fetch_add(word, amount, __ATOMIC_ACQ_REL);
}

/* Did the word hold `expected`, and holds `desired` now? */
static inline bool shim_replace(uint32_t *word, uint32_t expected, uint32_t desired)
{
	return __atomic_compare_exchange_n(word, &expected, desired, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#endif
