/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Which call goes to whom.  Called by gate.S on a slot.
 *
 * A Linux call is plain (its record makes it, nobody looks) unless the list below has a
 * handler for it.  A personality's own calls are asked for first.
 */
#include <shim/gate.h>
#include <shim/guest.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/shim.h>
#include <shim/site.h>
#include <shim/sud.h>
#include <shim/start.h>

enum { X32_BIT = 1 << 30 };

#define AT(field, offset)                                                              \
	_Static_assert(offsetof(struct shim_call, field) == (offset), "gate.h is wrong")
AT(busy, CALL_BUSY);
AT(deferred, CALL_DEFERRED);
AT(rsp, CALL_RSP);
AT(number, CALL_NUMBER);
AT(args, CALL_ARGS);
AT(result, CALL_RESULT);
AT(target, CALL_TARGET);
AT(site, CALL_SITE);
AT(flags, CALL_FLAGS);
AT(id, CALL_ID);
AT(mask, CALL_MASK);
AT(direction, CALL_DIRECTION);
_Static_assert(SHIM_ANSWER == 0 && SHIM_KERNEL == 1 && SHIM_TAIL == 2, "direct.S knows them");
_Static_assert(offsetof(struct shim_state, threads) == STATE_THREADS, "gate.h is wrong");
_Static_assert(offsetof(struct shim_handled, handler) == 8 &&
		       sizeof(struct shim_handled) == 16,
	       "gate.S knows it");
_Static_assert(SHIM_SLOT_SIZE == SLOT_BYTES && SLOT_HEADER % 16 == 0 &&
		       SLOT_HEADER + sizeof(struct shim_call) <= SLOT_BYTES, "");

/* clang-format off */
const struct shim_handled shim_handlers[] = {
	{ __NR_execve, shim_on_execve },
	{ __NR_execveat, shim_on_execveat },
	{ __NR_rt_sigaction, shim_on_rt_sigaction },
	{ __NR_rt_sigprocmask, shim_on_rt_sigprocmask },
	{ __NR_rt_sigpending, shim_on_rt_sigpending },
	{ __NR_rt_sigsuspend, shim_on_rt_sigsuspend },
	{ __NR_rt_sigtimedwait, shim_on_rt_sigtimedwait },
	{ __NR_signalfd, shim_on_signalfd },
	{ __NR_signalfd4, shim_on_signalfd4 },
	{ __NR_ppoll, shim_on_ppoll },
	{ __NR_pselect6, shim_on_pselect6 },
	{ __NR_epoll_pwait, shim_on_epoll_pwait },
	{ __NR_epoll_pwait2, shim_on_epoll_pwait2 },
	{ __NR_io_pgetevents, shim_on_io_pgetevents },
	{ __NR_fork, shim_on_fork },
	{ __NR_vfork, shim_on_fork },
	{ __NR_clone, shim_on_clone },
	{ __NR_clone3, shim_on_clone3 },
	{ __NR_prctl, shim_on_prctl },
	{ __NR_seccomp, shim_on_seccomp },
	{ __NR_io_uring_setup, shim_on_io_uring },
	{ __NR_io_uring_enter, shim_on_io_uring },
	{ __NR_io_uring_register, shim_on_io_uring },
	{ __NR_ptrace, shim_on_ptrace },
	{ __NR_mmap, shim_on_mmap },
	{ __NR_mprotect, shim_on_mprotect },
	{ __NR_pkey_mprotect, shim_on_mprotect },
	{ __NR_mremap, shim_on_mremap },
	{ __NR_munmap, shim_on_munmap },
	{ __NR_madvise, shim_on_madvise },
	{ __NR_brk, shim_on_brk },
	{ __NR_shmdt, shim_on_brk },
	{ __NR_readlink, shim_on_readlink },
	{ __NR_readlinkat, shim_on_readlinkat },
	{ __NR_open, shim_on_open },
	{ __NR_openat, shim_on_openat },
	{ __NR_stat, shim_on_stat },
	{ __NR_newfstatat, shim_on_newfstatat },
	{ __NR_statx, shim_on_statx },
	{ __NR_chroot, shim_on_chroot },
	{ __NR_pivot_root, shim_on_chroot },
	{ __NR_unshare, shim_on_chroot },
	{ __NR_setns, shim_on_chroot },
};
/* clang-format on */

uint8_t shim_plain[65536] __attribute__((section(".bss.plain")));

SHIM_HOT static const struct shim_personality *personality;

/* Of Linux's numbers: an index into shim_handlers, ROUTE_OWN or this. */
enum { ROUTE_KERNEL = 255, HANDLERS = sizeof(shim_handlers) / sizeof(shim_handlers[0]) };
uint8_t shim_route[ROUTE_NUMBERS] __attribute__((section(".bss.route")));

_Static_assert(HANDLERS < ROUTE_OWN, "routes are bytes");

bool shim_has_handler(uint32_t number)
{
	return number < ROUTE_NUMBERS && shim_route[number] < ROUTE_OWN;
}

void shim_dispatch_init(void)
{
	personality = shim_personality_find(shim.config.personality);
	if (!personality)
		shim_die("this program is for a system that the trap engine does not know "
			 "(%)",
			 shim.config.personality);
	memset(shim_route, ROUTE_KERNEL, sizeof(shim_route));
	for (uint32_t i = 0; i < HANDLERS; i++)
		shim_route[shim_handlers[i].number] = (uint8_t) i;
	for (uint32_t i = 0; i < ROUTE_NUMBERS; i++) {
		/* the personality's, although Linux has that number too */
		if (personality->plane(i) != CO_PLANE_KERNEL)
			shim_route[i] = ROUTE_OWN;
		shim_plain[i] = shim_route[i] == ROUTE_KERNEL && i != __NR_rt_sigreturn;
	}
}

static enum shim_verdict decide(struct shim_call *call)
{
	uint32_t number = (uint32_t) call->number;

	if (number < ROUTE_NUMBERS) {
		uint8_t way = shim_route[number];

		if (way < ROUTE_OWN)
			return shim_handlers[way].handler(call);
		return way == ROUTE_OWN ? personality->dispatch(call) : SHIM_KERNEL;
	}
	if (number == SHIM_SUD_ARM && shim.config.flags & CO_TRAP_SUD)
		return shim_on_sud_arm(call);
	if (number & X32_BIT && shim.config.flags & CO_TRAP_SUD)
		return shim_answer(call, -ENOSYS); /* as the filter would */
	if (number >= personality->first && number < personality->end &&
	    personality->plane(number) != CO_PLANE_KERNEL)
		return personality->dispatch(call);
	return SHIM_KERNEL;
}

void shim_dispatch_any(struct shim_call *call)
{
	uint32_t index = shim_site_of_id(call->id);
	enum shim_verdict verdict;

	call->site = shim_sites[index].address;
	shim_share_enter(call);
	verdict = decide(call);
	if (verdict == SHIM_ANSWER)
		call->target = call->site + 2;
	else
		call->result = call->number;
	if (verdict == SHIM_KERNEL)
		call->target = shim_site_pass(index);
	shim_share_leave(call);
}
