/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The SIGSYS handler for Anos programs: a system call has been caught.  Called by
 * gate.S on a slot, with all signals blocked.  It sends the thread to the gate, from which
 * the call is made.  There is no signal of the program's that could be about to come.
 */
#include <personality/anos/guest.h>
#include <shim/gate.h>
#include <shim/rt/kernel.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/site.h>
#include <shim/start.h>

enum { CODE_SECCOMP = 1, CODE_USER_DISPATCH = 2, PATCH_AFTER = 4 };

bool shim_inherited;

void anos_caught(struct sigcontext *m)
{
	int index = shim_site_index(m->rip - 2, false);
	struct co_trap_site *site;

	if (index < 0)
		shim_die(
			"the program makes system calls from too many places, the last at "
			"%",
			m->rip - 2);
	site = &shim_sites[index];
	shim_stats->traps++;
	site->traps++;
	if (site->state == CO_SITE_TRAPPING &&
	    (site->traps >= PATCH_AFTER || shim.config.flags & CO_TRAP_EAGER))
		anos_patch(site, (uint32_t) index);
	m->rip = shim_site_enter((uint32_t) index);
}

static bool is_call(const struct siginfo *info, uint64_t rip)
{
	if ((uint64_t) info->_sifields._sigsys._call_addr != rip)
		return false;
	return info->si_code == CODE_SECCOMP ? info->si_errno == CO_TRAP_DATA
					     : info->si_code == CODE_USER_DISPATCH &&
						       shim.config.flags & CO_TRAP_SUD;
}

uint64_t shim_sigsys(const struct siginfo *info, struct ucontext *uc);

uint64_t shim_sigsys(const struct siginfo *info, struct ucontext *uc)
{
	struct sigcontext *m = &uc->uc_mcontext;

	if (!is_call(info, m->rip))
		return 0; /* somebody sent it, and no program here knows what that is */
	if (m->rip == (uint64_t) shim_outside_probe) {
		shim_inherited = true;
		m->rax = 1;
	} else if (info->_sifields._sigsys._arch == AUDIT_ARCH_I386) {
		shim_say("the program has used int 0x80 at %, which Anos does not have",
			 m->rip - 2);
		anos_end_by(SIGSEGV);
	} else {
		anos_caught(m);
	}
	return 0;
}
