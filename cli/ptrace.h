/* SPDX-License-Identifier: MIT */
/*
 * The ptrace engine: for where notification cannot be had.  HOST.
 *
 * A tracer process of its own, so that the launcher's waiting and the shell's job control
 * stay as they are: it traces the guest and all that comes of it, hands private calls to
 * the daemon over the session channel and lives until its last tracee has ended.
 */
#ifndef CO_PTRACE_H
#define CO_PTRACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"
#include "personality/personality.h"

/*
 * Forks the tracer and waits until it has seized pid, which must wait meanwhile.  With
 * every_call it stops at every system call instead of relying on the guest's filter.
 * Descriptors are borrowed.
 */
int ptrace_start(pid_t pid, int link, int trace_fd, const struct co_personality *p,
		 bool every_call, struct co_err *err);

#endif
