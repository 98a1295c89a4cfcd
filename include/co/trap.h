/* SPDX-License-Identifier: MIT */
/*
 * What the trap engine's two worlds agree on: where things lie in a guest's address
 * space, how cloudos-loader is told what to do, and the statistics that others read out of
 * a guest.  SHARED by guest and host.
 *
 * Address space.  Window i (0 <= i < CO_TRAP_WINDOWS) is 8 GiB: code is put right below
 * CO_TRAP_POOL(i), so that a jump with a fixed upper displacement lands in the 4 GiB pool
 * above.  System calls go through only from pools, which is why the filter needs to look
 * at the upper half of the instruction pointer alone.  The loader itself lies at the
 * beginning of pool 0.  Programs that are linked to fixed low addresses, and i386
 * programs, use the low pools.
 */
#ifndef CO_TRAP_H
#define CO_TRAP_H

#include <stdint.h>

#define CO_TRAP_WINDOWS   64U
#define CO_TRAP_STRIDE    0x200000000UL
#define CO_TRAP_BASE      0x700100000000UL /* the loader's image; pool of window 0 */
#define CO_TRAP_POOL(i)   (CO_TRAP_BASE + (uint64_t) (i) * CO_TRAP_STRIDE)
#define CO_TRAP_POOL_SIZE 0x100000000UL
#define CO_TRAP_OWN_SIZE  0x1200000UL  /* the image and what belongs to it */
#define CO_TRAP_CODE_SIZE 0x05000000UL /* 80 MiB below each pool */
#define CO_TRAP_CODE(i)   (CO_TRAP_POOL(i) - CO_TRAP_CODE_SIZE)

/* an address is in a pool if (its upper half & HIGH_MASK) == HIGH_VALUE */
#define CO_TRAP_HIGH_MASK  0xffffff81U
#define CO_TRAP_HIGH_VALUE 0x00007001U

/* LOW_POOL(first, end): below 4 GiB, page-aligned */
#define CO_TRAP_LOW_POOLS(LOW_POOL)                                                    \
	LOW_POOL(0x05000000U, 0x08000000U) /* 3 bytes before syscall: +80.9 MiB */     \
	LOW_POOL(0x48000000U, 0x50000000U) /* 2 bytes (+1.2 GiB), 5 bytes */

/* SECCOMP_RET_DATA of our traps: tells our filter from another */
#define CO_TRAP_DATA 0x0c05U

/* ---- starting cloudos-loader ----
 *
 *	argv[0]  "cloudos1;PERSONALITY;FLAGS;SESSION;FD;LENGTH;LOADER-PATH FOLDER"
 *	         personality as index, FLAGS .. LENGTH in hex without 0x; FD is a descriptor
 *	         of the program or ffffffff; LENGTH that of the loader's path; the folder of
 *	         the domain follows it without anything between
 *	argv[1]  the program's path, as AT_EXECFN will say it
 *	argv[2]  the program's argv[0] and so on
 */
#define CO_TRAP_CONFIG_MARK "cloudos1;"
#define CO_TRAP_CONFIG_MAX  8704U /* bytes with NUL */

enum co_trap_flag {
	CO_TRAP_NO_PATCH = 1U << 0,       /* --no-patch */
	CO_TRAP_SUD = 1U << 1,            /* --trap=sud: syscall user dispatch, no filter */
	CO_TRAP_GUEST_SECCOMP = 1U << 2,  /* --allow-guest-seccomp */
	CO_TRAP_SIGSYS_IGNORED = 1U << 3, /* the program that called exec ignored SIGSYS */
	CO_TRAP_EAGER = 1U << 4,          /* patch at the first trap; for tests */
	CO_TRAP_SIGSYS_BLOCKED = 1U << 5, /* the thread that called exec had it blocked */
	CO_TRAP_SECCOMP = 1U << 6         /* Anos: --trap=seccomp, see guest_start.c */
};

/* ---- statistics, read with process_vm_readv at CO_TRAP_STATS ---- */

#define CO_TRAP_STATS      0x700100ff0000UL /* struct co_trap_stats, one page */
#define CO_TRAP_STATS_MARK 0x7470617274736f63UL

/*
 * Where the guest engine's memory for calls begins (shim/start.c).  The address says whose
 * session a process belongs to, for the daemon, which reads /proc/PID/maps when the launcher
 * is gone.  Above what short jumps of the last window reach.
 */
#define CO_TRAP_MARKS     (CO_TRAP_POOL(CO_TRAP_WINDOWS - 1) + 0x80000000UL)
#define CO_TRAP_MARKS_END (CO_TRAP_MARKS + 0x40000000UL)

/* What the folder of the domain is called inside of containers. */
#define CO_CONTAINED        "/run/cloudos"
#define CO_CONTAINED_FOLDER CO_CONTAINED "/run"

static inline uint64_t co_trap_mark(const char *folder, uint64_t session)
{
	uint64_t hash = 0xcbf29ce484222325UL ^ session;

	for (; *folder; folder++)
		hash = (hash ^ (unsigned char) *folder) * 0x100000001b3UL;
	hash ^= hash >> 32;
	return CO_TRAP_MARKS + (hash & 0x3ffffUL) * 4096;
}

enum co_trap_site_state {
	CO_SITE_TRAPPING,  /* each call traps; may be patched later */
	CO_SITE_PATCHED,   /* jumps */
	CO_SITE_NEVER      /* cannot or must not be patched: `why` */
};

/* Why a site is not patched: WHY(name, words for cloudosctl trace --sites) */
#define CO_TRAP_WHY(WHY)                                                               \
	WHY(NONE, "")                                                                  \
	WHY(OFF, "--no-patch")                                                         \
	WHY(TRACED, "a tracer is attached")                                            \
	WHY(NO_TEXT, "not in read-only code of a file")                                \
	WHY(NO_TABLE, "no site table, and no safe pattern")                            \
	WHY(REACH, "no trampoline within reach")                                       \
	WHY(MEMORY, "the kernel gave no memory")                                       \
	WHY(SIGRETURN, "the end of a signal handler")

struct co_trap_site { /* 40 bytes */
	uint64_t address; /* of the two bytes of the system call instruction */
	uint64_t back;    /* address + 2 */
	uint64_t traps;
	uint32_t number; /* of the last trap */
	uint8_t state, length, why, kind; /* length: of the predecessor that was replaced */
	uint64_t reserved;
};

struct co_trap_stats {
	uint64_t mark;
	uint32_t version, personality;
	uint64_t flags;
	uint64_t sites;       /* address of struct co_trap_site[] */
	uint32_t sites_used, sites_max;
	uint64_t traps, patched, patch_failed, deferred, sent; /* counts since exec */
};

#endif
