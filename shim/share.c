/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Children that share our memory (vfork, posix_spawn, CLONE_VM without
 * CLONE_THREAD): one that is killed in C code leaves its slot claimed, and perhaps the lock
 * taken, in memory that lives on.  So as long as there may be such children, slots and the
 * lock say whose they are, and who makes children looks for what dead ones have left.
 * Called by dispatch.c, sigsys.c, process.c and site.c.
 */
#include <shim/rt/atomic.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>

enum { PARENTS = 8, COLLECT_EVERY = 256 };

SHIM_HOT uint32_t shim_sharing; /* how many parents may have a child here */
SHIM_HOT static uint32_t
	parents[PARENTS]; /* threads that wait for theirs: CLONE_VFORK */
SHIM_HOT static uint32_t made;

static uint32_t self(void)
{
	return (uint32_t) shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0);
}

/* Also one that nobody has waited for yet: it can be sent signals, but has no memory. */
bool shim_share_dead(uint32_t thread)
{
	uint8_t byte;
	uint64_t to[2] = { (uint64_t) &byte, 1 }, from[2] = { shim_slots, 1 };

	return shim_syscall(__NR_process_vm_readv, thread, (long) to, 1, (long) from, 1,
			    0) == -ESRCH;
}

static void collect(void)
{
	for (uint64_t at = shim_slots_first; at < shim_slots_end;
	     at += SHIM_SLOT_SIZE) {
		struct shim_call *call = (struct shim_call *) at;
		uint32_t thread =
			__atomic_load_n((uint32_t *) &call->tid, __ATOMIC_ACQUIRE);

		if (thread && shim_load_acquire(&call->busy) &&
		    shim_share_dead(thread) &&
		    shim_replace((uint32_t *) &call->tid, thread, 0)) {
			call->deferred = 0;
			shim_store_release(&call->busy, 0);
		}
	}
}

void shim_share_begin(bool waits)
{
	uint32_t thread = self();

	if (shim_add(&made, 1) % COLLECT_EVERY == COLLECT_EVERY - 1)
		collect();
	for (int i = 0; waits && i < PARENTS; i++) {
		uint32_t parent = shim_load_acquire(&parents[i]);

		if (parent == thread)
			return;
		if (parent && !shim_share_dead(parent))
			continue;
		if (shim_replace(&parents[i], parent, thread)) {
			if (!parent)
				(void) shim_add(&shim_sharing, 1);
			return;
		}
	}
	(void) shim_add(&shim_sharing, 1); /* from now on for ever */
}

/* A parent that makes a call again has its child no more. */
void shim_share_note(struct shim_call *call)
{
	uint32_t thread = self();

	call->tid = (int32_t) thread;
	for (int i = 0; i < PARENTS; i++)
		if (shim_replace(&parents[i], thread, 0))
			(void) shim_add(&shim_sharing, (uint32_t) -1);
}
