/* SPDX-License-Identifier: MIT */
/* GUEST.  exec.c: what start.c needs of it besides the handlers. */
#ifndef SHIM_EXEC_H
#define SHIM_EXEC_H

/*
 * Called by the loader before the guest runs, with AT_EXECFN as the kernel gave it: learns
 * which file the loader is.
 */
void shim_exec_init(const char *execfn);

#endif
