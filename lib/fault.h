/* SPDX-License-Identifier: MIT */
/*
 * Named places where a test can make a program fail or die.  HOST.
 *
 *	if (co_fault("store.commit"))
 *		return co_fail(err, CO_IO, "...");     as if the disk had failed
 *	(void) co_fault("store.committed");            a place to be killed at
 *
 * CO_FAULT=ITEM[,ITEM...] arms them:
 *	name:n         true at the n-th visit (from 1), once
 *	name:n+        true from the n-th visit on
 *	name:kill:n    the process gets SIGKILL at the n-th visit
 *
 * Names are rows of fault.def.  Off, a place costs one load and one branch.
 */
#ifndef CO_FAULT_H
#define CO_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "lib/err.h"

extern atomic_bool co_fault_armed;

bool co_fault_visit(const char *name);

/* Must this visit of the place fail?  Any thread. */
static inline bool co_fault(const char *name)
{
	return __builtin_expect(
		       atomic_load_explicit(&co_fault_armed, memory_order_relaxed),
		       0) &&
	       co_fault_visit(name);
}

/*
 * Arms what spec says instead of what was armed before; NULL and "" disarm.  To be called
 * before threads start.  0 or CO_INVALID with a sentence; then nothing is armed.
 */
int co_fault_arm(const char *spec, struct co_err *err);

/* As above with $CO_FAULT; CO_ACCESS when it is set in a set-uid or set-gid program. */
int co_fault_arm_from_environment(struct co_err *err);

#endif
