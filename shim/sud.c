/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Syscall user dispatch: see sud.h.  Called by start.c, process.c for calls that
 * make threads and processes, deliver.c when a signal comes before a child is armed.
 *
 * The kernel takes one range from which calls go through: pool 0, where this text and all
 * records lie.  Trampolines elsewhere only jump there, so patched sites work as ever.
 */
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/site.h>
#include <shim/sud.h>

uint64_t shim_fork_backs[SHIM_FORKS];
uint32_t shim_fork_ids[SHIM_FORKS];
static uint32_t forks_used;

static void arm_or_die(void)
{
	long r = shim_sud_arm();

	if (r < 0)
		shim_die("the kernel refuses syscall user dispatch to a new thread "
			 "(error %); --trap=seccomp does without",
			 (uint64_t) -r);
}

/* Under the lock; -1: there are too many. */
static int intern(uint64_t back, uint32_t id)
{
	for (uint32_t i = 0; i < forks_used; i++)
		if (shim_fork_backs[i] == back)
			return (int) i;
	if (forks_used == SHIM_FORKS)
		return -1;
	shim_fork_backs[forks_used] = back;
	shim_fork_ids[forks_used] = id;
	return (int) forks_used++;
}

enum shim_verdict shim_sud_fork(struct shim_call *call)
{
	int index;

	shim_lock();
	index = intern(call->site + 2, (uint32_t) call->id);
	shim_unlock();
	if (index < 0) {
		shim_say("the program makes processes from more than % places; "
			 "--trap=seccomp does without that bound",
			 SHIM_FORKS);
		return shim_answer(call, -EAGAIN);
	}
	call->target = (uint64_t) shim_forks + (uint32_t) index * SHIM_FORK_SIZE;
	return SHIM_TAIL;
}

enum shim_verdict shim_on_sud_arm(struct shim_call *call)
{
	arm_or_die();
	return shim_answer(call, 0);
}

void shim_fork_back(struct sigcontext *m)
{
	uint64_t offset = m->rip - (uint64_t) shim_forks, index;

	if (m->rip < (uint64_t) shim_forked)
		index = offset / SHIM_FORK_SIZE;
	else
		index = m->rip < (uint64_t) shim_forked_kept ? m->rcx : m->r11;
	m->rip = shim_fork_backs[index % SHIM_FORKS];
	if (offset % SHIM_FORK_SIZE == 0 && offset < SHIM_FORKS * SHIM_FORK_SIZE) {
		m->rip -= 2; /* not made yet, or to be made again */
	} else if (m->rax == 0 || m->rax == SHIM_SUD_ARM) {
		arm_or_die();
		m->rax = 0;
	}
}

void shim_sud_armed_late(struct sigcontext *m)
{
	arm_or_die();
	m->rax = 0;
	m->rip += 2;
}
