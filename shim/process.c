/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Calls about the process itself that would undo the engine, or show it.  Called
 * by dispatch.c.
 */
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/site.h>
#include <shim/sud.h>

/* of the kernel's headers, where they are new enough */
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000UL
#endif
enum { SET_SYSCALL_USER_DISPATCH = 59, SECCOMP_OP_AVAIL = 2 };

static void note_threads(uint64_t flags)
{
	/* vfork stops the only thread there is: nobody runs beside its child */
	if (flags & CLONE_VM && !(flags & CLONE_VFORK))
		shim.threads = true;
	if (flags & CLONE_VM && !(flags & CLONE_THREAD))
		shim_share_begin(flags & CLONE_VFORK);
}

/* With memory of its own, unless flags say otherwise. */
static enum shim_verdict make_child(struct shim_call *call, uint64_t flags)
{
	if (!(flags & CLONE_VM))
		shim_forget_tables();
	note_threads(flags);
	return shim.config.flags & CO_TRAP_SUD ? shim_sud_fork(call) : SHIM_KERNEL;
}

enum shim_verdict shim_on_fork(struct shim_call *call)
{
	return make_child(call,
			  call->number == __NR_vfork ? CLONE_VM | CLONE_VFORK : 0);
}

enum shim_verdict shim_on_clone(struct shim_call *call)
{
	return make_child(call, call->args[0]);
}

enum shim_verdict shim_on_clone3(struct shim_call *call)
{
	uint64_t flags;

	if (shim_read(&flags, call->args[0], sizeof(flags)))
		return SHIM_KERNEL; /* whose business bad arguments are */
	/* It would take our handler from the child, which would die of its first call.
	 * Kernels before 5.5 do not know the flag, so callers have another way. */
	if (flags & CLONE_CLEAR_SIGHAND)
		return shim_answer(call, -EINVAL);
	return make_child(call, flags);
}

SHIM_HOT static bool own_no_new_privs;

enum shim_verdict shim_on_prctl(struct shim_call *call)
{
	bool allowed = shim.config.flags & CO_TRAP_GUEST_SECCOMP;
	long result;

	switch ((int) call->args[0]) {
	case PR_SET_SECCOMP:
		return allowed ? SHIM_KERNEL : shim_answer(call, -EINVAL);
	case PR_GET_SECCOMP:
		return allowed ? SHIM_KERNEL : shim_answer(call, 0);
	case SET_SYSCALL_USER_DISPATCH:
		return shim_answer(call, -EINVAL);
	case PR_SET_NO_NEW_PRIVS:
		result = shim_syscall(__NR_prctl, (long) call->args[0],
				      (long) call->args[1], (long) call->args[2],
				      (long) call->args[3], (long) call->args[4], 0);
		own_no_new_privs = own_no_new_privs || result == 0;
		return shim_answer(call, result);
	case PR_GET_NO_NEW_PRIVS:
		if (shim.config.flags & CO_TRAP_SUD)
			return SHIM_KERNEL;
		/* it is on, for our filter; the program is told of its own wish only */
		if (call->args[1] || call->args[2] || call->args[3] || call->args[4])
			return SHIM_KERNEL;
		return shim_answer(call, own_no_new_privs);
	default:
		return SHIM_KERNEL;
	}
}

enum shim_verdict shim_on_seccomp(struct shim_call *call)
{
	if (shim.config.flags & CO_TRAP_GUEST_SECCOMP ||
	    (int) call->args[0] == SECCOMP_OP_AVAIL)
		return SHIM_KERNEL;
	return shim_answer(call, -EINVAL);
}

/* Rings would make system calls that nobody sees. */
enum shim_verdict shim_on_io_uring(struct shim_call *call)
{
	return shim_answer(call, -ENOSYS);
}

enum { TRACEME = 0 };

/* What is traced must not find its code changed under it. */
enum shim_verdict shim_on_ptrace(struct shim_call *call)
{
	if (call->args[0] == TRACEME)
		shim.config.flags |= CO_TRAP_NO_PATCH;
	return SHIM_KERNEL;
}
