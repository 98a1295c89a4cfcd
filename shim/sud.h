/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  --trap=sud: syscall user dispatch in place of the filter.  The kernel forgets it
 * for each new thread and process, so these arm themselves before their first instruction.
 * Read by assembler and C.
 */
#ifndef SHIM_SUD_H
#define SHIM_SUD_H

#define SHIM_FORKS     64 /* sites that make threads or processes */
#define SHIM_FORK_SIZE 12
#define SHIM_SUD_ARM                                                                   \
	0xc05fa2ed /* a call that no system has: a child asks to be armed */

#ifndef __ASSEMBLER__
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>

/* Arms the calling thread: 0 or the kernel's error. */
static inline long shim_sud_arm(void)
{
	enum { SET_SYSCALL_USER_DISPATCH = 59, DISPATCH_ON = 1 };

	return shim_syscall(__NR_prctl, SET_SYSCALL_USER_DISPATCH, DISPATCH_ON,
			    (long) CO_TRAP_BASE, (long) CO_TRAP_POOL_SIZE, 0, 0);
}

/* The guest makes that call, and its child is armed before it goes on. */
enum shim_verdict shim_sud_fork(struct shim_call *call);

/* What a new child calls: SHIM_SUD_ARM. */
shim_handler shim_on_sud_arm;

/* fork.S; `kept`: from here r11 holds the stub's index, before that rcx or rip */
extern const char shim_forks[], shim_forked[], shim_forked_kept[], shim_forks_end[];

/* For a thread that a signal finds there: back to its own code, armed. */
void shim_fork_back(struct sigcontext *m);

/* The same for one that was about to ask; its rip is the site's. */
void shim_sud_armed_late(struct sigcontext *m);
#endif

#endif
