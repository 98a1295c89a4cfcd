/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The seccomp filter of the trap engine: which system call instructions go through
 * and which raise SIGSYS.  Called by start.c, which is in a pool itself.
 *
 * The filter knows an instruction by the address behind it, and of a pool of 4 GiB it
 * looks at the upper half alone: an instruction in the last two bytes below a pool would
 * count as inside.  Place code so that it ends at least two bytes below.  The low pools are
 * exact.
 *
 * The order is that of the calls that matter most:
 *	a number of the list: goes through, from anywhere.  The kernel sees that these
 *	                      depend on the number alone and keeps them in a bitmap
 *	in a pool:            goes through, except io_uring's and x32 numbers: ENOSYS
 *	else:                 SIGSYS with CO_TRAP_DATA
 * 32-bit calls go through from low pools only.
 */
#ifndef SHIM_FILTER_H
#define SHIM_FILTER_H

#include <stddef.h>
#include <stdint.h>

struct sock_filter;

enum shim_filter_flag {
	SHIM_FILTER_NUMBER_BLIND = 1U << 0, /* rax is no number: the address decides */
	SHIM_FILTER_X32 = 1U << 1,          /* x32 numbers go through to the kernel */
	SHIM_FILTER_I386_TRAPPED = 1U << 2, /* 32-bit calls always raise SIGSYS */
	SHIM_FILTER_HIGH_ONLY = 1U << 3     /* in low pools the guest may have code */
};

struct shim_filter_spec {
	uint32_t flags;
	uint32_t allowed_count;
	const uint32_t *allowed; /* numbers, each greater than the one before */
};

#define SHIM_FILTER_MAX 1100U /* instructions; enough for any list of Linux's numbers */

/*
 * The number of instructions, at most `max`.  0: they do not fit; or the list is not in
 * order, has a number that must never go through by number alone (io_uring's, x32), or
 * comes with NUMBER_BLIND.
 */
size_t shim_filter_build(struct sock_filter *out, size_t max,
			 const struct shim_filter_spec *spec);

/*
 * Builds the filter and installs it for the calling thread and all that comes from it,
 * after no_new_privs.  0, or the kernel's error (-EINVAL for a spec as above) and in
 * *out_why a sentence for shim_die, with `%` where the error's number goes.
 */
long shim_filter_install(const struct shim_filter_spec *spec, const char **out_why);

#endif
