/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The engine as it begins in a process: slots for calls on their way, the SIGSYS
 * handler, the filter, the statistics that others read.  Called by the loaders.
 */
#include <shim/filter.h>
#include <shim/gate.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/site.h>
#include <shim/start.h>
#include <shim/sud.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { PAGE = 4096, SLOTS_MAX = 1024, SLOTS_MIN = 16, WIPE_ON_FORK = 18 };

struct shim_state shim __attribute__((section(".bss.state")));
SHIM_HOT uint64_t shim_slots, shim_slots_first, shim_slots_end, shim_slots_mask;

static struct co_trap_stats stats __attribute__((section(".bss.stats"), used));
struct co_trap_stats *const shim_stats = &stats;

/* Where they begin is the session's mark: one mapping less. */
static void make_slots(void)
{
	uint64_t mark = co_trap_mark(shim.config.folder, shim.config.session);
	uint64_t first = (mark + SHIM_SLOT_SIZE - 1) & -SHIM_SLOT_SIZE;

	for (uint64_t n = SLOTS_MAX; n >= SLOTS_MIN; n /= 4) {
		uint64_t end = first + n * SHIM_SLOT_SIZE;
		/* behind them a page for words that a forked child finds cleared */
		long size = (long) (end + PAGE - mark);
		long at = shim_syscall(__NR_mmap, (long) mark, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
					       MAP_FIXED_NOREPLACE,
				       -1, 0);

		if (at != (long) mark)
			continue;
		(void) shim_syscall(__NR_madvise, at, size, WIPE_ON_FORK, 0, 0, 0);
		shim_slots = first;
		shim_slots_first = first + SLOT_HEADER;
		shim_slots_end = end;
		shim_slots_mask = (n - 1) * SHIM_SLOT_SIZE;
		return;
	}
	shim_die("there is no memory for what cloudos keeps in a program (ulimit -v?)", 0);
}

static void handle_sigsys(void)
{
	struct sigaction action = {
		.sa_handler = (__sighandler_t) (uint64_t) shim_sigsys_entry,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_RESTORER |
			    (shim.onstack ? SA_ONSTACK : 0),
		.sa_restorer = (__sigrestore_t) (uint64_t) shim_restorer,
	};
	uint64_t sigsys = SHIM_SIGSET_BIT(SIGSYS);

	memset(&action.sa_mask, 0xff, sizeof(action.sa_mask));
	(void) shim_syscall(__NR_rt_sigaction, SIGSYS, (long) &action, 0,
			    sizeof(sigsys), 0, 0);
	(void) shim_syscall(__NR_rt_sigprocmask, SIG_UNBLOCK, (long) &sigsys, 0,
			    sizeof(sigsys), 0, 0);
}

static void install_filter(const struct shim_filter_spec *spec)
{
	const char *why = "";
	long r = shim_filter_install(spec, &why);

	if (r)
		shim_die(why, (uint64_t) -r);
}

/* Exec has disarmed it. */
static void arm_dispatch(void)
{
	long r = shim_sud_arm();

	if (shim.i386) /* its own calls come from elsewhere, and there is one range only */
		shim_die("a 32-bit program needs --trap=seccomp", 0);
	if (r < 0)
		shim_die(
			"the kernel has no syscall user dispatch (error %): it needs Linux "
			"5.11; --trap=seccomp does without",
			(uint64_t) -r);
	if (!shim_probe())
		shim_die("syscall user dispatch does not catch calls here; use "
			 "--trap=seccomp",
			 0);
}

void shim_arm(const struct shim_filter_spec *spec)
{
	make_slots();
	handle_sigsys();
	if (shim.config.flags & CO_TRAP_SUD) {
		arm_dispatch();
		return;
	}
	(void) shim_probe();
	if (!shim_inherited)
		install_filter(spec);
}

void shim_publish(void)
{
	stats.version = 1;
	stats.personality = shim.config.personality;
	stats.flags = shim.config.flags;
	stats.sites = (uint64_t) shim_sites;
	stats.sites_max = SHIM_SITES;
	stats.mark = CO_TRAP_STATS_MARK;
}
