/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The only file of guest code that includes kernel headers, because some of
 * them need others first (asm/ucontext.h wants asm/signal.h, asm/siginfo.h and
 * asm/sigcontext.h before it) and one place is enough to get that right.
 */
#ifndef SHIM_RT_KERNEL_H
#define SHIM_RT_KERNEL_H

/* clang-format off: the order matters */
#include <asm/unistd.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/stat.h>
#include <asm/poll.h>
#include <asm/socket.h>
#include <asm/resource.h>
#include <asm/statfs.h>
#include <linux/audit.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/signal.h>
#include <linux/stat.h>
#include <linux/sysinfo.h>
#include <linux/resource.h>
#include <linux/time_types.h>
/* clang-format on */

#define SHIM_SIGSET_BIT(number) (1UL << ((number) - 1))

#endif
