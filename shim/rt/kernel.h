/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The only file of guest code that includes kernel headers, because some of
 * them need others first (asm/ucontext.h wants asm/signal.h, asm/siginfo.h and
 * asm/sigcontext.h before it) and one place is enough to get that right.
 */
#ifndef SHIM_RT_KERNEL_H
#define SHIM_RT_KERNEL_H

#include <asm/errno.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#endif
