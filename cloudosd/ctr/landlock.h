/* SPDX-License-Identifier: MIT */
/*
 * Landlock: a second wall around a confined program's files, and one around abstract
 * sockets and signals where the kernel has it.  HOST.
 *
 * What the kernel knows is found out by asking it.  Without Landlock the mounts are the only
 * wall, which is no failure.
 */
#ifndef CTR_LANDLOCK_H
#define CTR_LANDLOCK_H

#include <stddef.h>

#include "lib/err.h"

/* The version of its interface; 0: this kernel has none. */
int ctr_landlock_version(void);

/*
 * For this thread and all that come of it, with no_new_privs set: everything may be read and
 * executed that can be seen, and written to what is below the n paths (which may be
 * missing).
 */
int ctr_landlock_apply(const char *const *writable, size_t n, struct co_err *err);

#endif
