/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The SIGSYS handler: a system call from outside the pools has been caught.
 * Called by gate.S on a slot, with all signals blocked.
 *
 * It makes no call of the guest itself.  It only says where the guest goes on: at the
 * record of its site, which makes the call with the guest's own stack, mask and registers,
 * or enters the gate.  That is what makes waiting, restarts, vfork and clone exact.
 */
#include <shim/gate.h>
#include <shim/i386.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/signal.h>
#include <shim/site.h>
#include <shim/start.h>

#define VSYSCALL_PAGE 0xffffffffff600000UL

enum {
	CODE_SECCOMP = 1,
	CODE_USER_DISPATCH = 2,
	PATCH_AFTER = 4,
	RETRY_EVERY = 64,
	SHORT_LIFE = 64,
	LONG_START = 32 /* a program with the C library alone begins with fewer */
};

SHIM_HOT bool shim_inherited; /* the probe was caught */

/* Signals were held while C code ran: they are let in where the guest goes on. */
static uint64_t flush(struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;
	struct shim_call *call = shim_slot_of(m->rax);
	uint64_t handler;

	if (!call)
		shim_die("the program has destroyed what cloudos keeps in it (%)",
			 m->rax);
	if (!shim_i386_flush(uc, call)) {
		m->rip = call->target;
		m->rax = call->result;
		m->rcx = call->target;
	}
	memcpy(&uc->uc_sigmask, &call->mask, sizeof(call->mask));
	shim_sigsys_flushed(m);
	handler = shim_signal_flushed(call, uc);
	call->deferred = 0;
	__atomic_store_n(&call->busy, 0, __ATOMIC_RELEASE);
	return handler;
}

/* How many calls have trapped in this process, or in its thread on that slot; at most
 * SHORT_LIFE. */
static uint32_t *life(void)
{
	return &shim_slot_of((uint64_t) __builtin_frame_address(0))->traps;
}

/*
 * A patch costs as much as several traps.  A program that has made few calls in all will
 * hardly make enough more of them to get that back; nor will a forked child, whose patches
 * are lost with it.
 */
bool shim_worth_patching(const struct co_trap_site *site)
{
	if (shim.config.flags & CO_TRAP_EAGER)
		return true;
	*life() += *life() < SHORT_LIFE;
	if ((*life() < SHORT_LIFE && !shim.threads) || site->traps < PATCH_AFTER)
		return false;
	return site->why == SHIM_WHY_NONE || site->traps % RETRY_EVERY == 0;
}

static void caught(struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;
	uint64_t number = (uint32_t) m->rax;
	int index = shim_site_index(m->rip - 2, false);
	struct co_trap_site *site;

	if (index < 0)
		shim_die("the program makes system calls from too many places, the last at "
			 "%; --engine=notify or ptrace run it",
			 m->rip - 2);
	site = &shim_sites[index];
	shim_stats->traps++;
	site->traps++;
	site->number = (uint32_t) number;
	if (number == __NR_rt_sigreturn) {
		site->state = CO_SITE_NEVER;
		site->why = SHIM_WHY_SIGRETURN;
		m->rip = shim_sigreturn(uc);
		return;
	}
	if (site->state == CO_SITE_TRAPPING && shim_worth_patching(site))
		shim_patch(site, (uint32_t) index, number);
	else if (m->rip >= shim.interp_start && m->rip < shim.interp_end &&
		 *life() >= LONG_START && shim_patch_page(site->address))
		shim.interp_end = 0; /* that is all */
	m->rip = number < 65536 && shim_plain[number] ? shim_site_pass((uint32_t) index)
						       : shim_site_enter((uint32_t) index);
}

/*
 * A call of the vsyscall page has returned already when we hear of it: its site is the
 * caller's, and its record makes the call in its place.
 */
static bool in_vsyscall_page(uint64_t where)
{
	return where >> 12 == VSYSCALL_PAGE >> 12;
}

/* Is it a call, caught by our filter or our dispatch? */
static bool is_call(const struct siginfo *info, uint64_t rip)
{
	uint64_t where = (uint64_t) info->_sifields._sigsys._call_addr;

	if (info->si_code == CODE_SECCOMP)
		return info->si_errno == CO_TRAP_DATA &&
		       (where == rip || in_vsyscall_page(where));
	return info->si_code == CODE_USER_DISPATCH && where == rip &&
	       shim.config.flags & CO_TRAP_SUD;
}

static uint64_t handle(const struct siginfo *info, struct ucontext *uc)
{
	const struct sigcontext *m = &uc->uc_mcontext;

	if (!is_call(info, m->rip))
		return shim_sigsys_sent(info, uc);
	if (m->rip == (uint64_t) shim_outside_flush)
		return flush(uc);
	if (m->rip == (uint64_t) shim_outside_probe) {
		shim_inherited = true;
		uc->uc_mcontext.rax = 1;
	} else if (info->_sifields._sigsys._arch == AUDIT_ARCH_I386)
		shim_i386_sigsys(info, uc);
	else
		caught(uc);
	return 0;
}

uint64_t shim_sigsys(const struct siginfo *info, struct ucontext *uc);

uint64_t shim_sigsys(const struct siginfo *info, struct ucontext *uc)
{
	struct shim_call *slot = shim_slot_of((uint64_t) __builtin_frame_address(0));
	uint64_t handler;

	shim_share_enter(slot);
	handler = handle(info, uc);
	shim_share_leave(slot);
	return handler;
}
