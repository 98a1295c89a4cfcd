/* SPDX-License-Identifier: MIT */
/*
 * The core lock.  HOST.
 *
 * Everything in cloudosd/service and every handler of a personality runs under this one
 * lock, on whichever thread it is: the loop, a notify thread, the store's thread.  It is
 * held for microseconds and never across anything that can block.
 */
#ifndef CO_CORE_H
#define CO_CORE_H

void core_lock(void);
void core_unlock(void);

/* Ends the process if the caller does not hold the lock: a bug of ours. */
void core_assert_locked(void);

#endif
