/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  32-bit programs inside the 64-bit process: what i386_gate.S and the three i386 files
 * share.  Read by assembler and C.  shim/README.md tells how a call goes.
 *
 * The low area, the only thing of ours that a 32-bit program can reach:
 *
 *	VDSO      the kernel's own 32-bit vdso, in a low pool: its sysenter goes through
 *	RECORDS   one per site, in a low pool
 *	PAGE      what AT_SYSINFO names, and the ends of signal handlers; behind the pool,
 *	          so that its int 0x80 traps
 *	SITES     where each site goes on: far addresses for both modes, and the class of
 *	          each number
 */
#ifndef SHIM_I386_H
#define SHIM_I386_H

#define I386_VDSO        0x4fe00000
#define I386_WIDE        0x4ffe0000 /* records for int 0x80 of 64-bit code, and .. */
#define I386_WIDE_BACK   0x4ffe2000 /* .. where they go on; for 64-bit programs only */
#define I386_WIDE_END    0x4ffe4000
#define I386_RECORDS     0x4fff0000
#define I386_TAILS       0x4fff8000 /* calls whose mask is not quite the guest's */
#define I386_TAILS_END   0x4fff9000
#define I386_PAGE        0x50000000
#define I386_SITES       0x50001000
#define I386_CLASSES     0x50009000
#define I386_FAST        0x50009400 /* two addresses: of the fast way, of the other */
#define I386_GATE        0x50009410 /* address of shim_i386_gate */
#define I386_END         0x5000a000

#define I386_SITES_MAX 1024
#define I386_NUMBERS 1024 /* classes; beyond that no number is Linux's */

/* a record: int 0x80; jmp *back | jmp far to `enter` | mov $index, %r11d; jmp *gate */
#define I386_RECORD_SIZE  32
#define I386_RECORD_ENTER 8
#define I386_RECORD_WIDE  15
#define I386_RECORD_GATE  27 /* behind all of it */

#define I386_SITE_SIZE 32 /* struct low_site; its first four bytes: behind the site */

/* a tail: int 0x80; mov 4(%esp), REGISTER; ret over the rest of its frame */
#define I386_TAIL_SIZE  16
#define I386_TAIL_FRAME 64

#define I386_CS 0x23
#define I386_DS 0x2b
#define WIDE_CS 0x33

#ifndef __ASSEMBLER__

#include <shim/elf.h>
#include <shim/rt/kernel.h>
#include <shim/shim.h>

/* ---- i386_gate.S: text of the gate, by what has happened up to there ---- */

extern const char shim_i386_spin[];     /* all slots are busy; as `flags` */
extern const char shim_i386_gate[];     /* 64-bit; r11: index; all else the guest's */
extern const char shim_i386_saved[];    /* r8: eax */
extern const char shim_i386_flags[];    /* r9: flags as lahf and seto left them */
extern const char shim_i386_tried[];    /* r10: slot, claimed if carry is clear */
extern const char shim_i386_claimed[];  /* r10: slot, claimed; rsp the guest's */
extern const char shim_i386_on_slot[];  /* rsp on the slot from here */
extern const char shim_i386_exit[];     /* all of the guest is in the slot; restartable */
extern const char shim_i386_left[];     /* r10: slot still claimed; r11: far address */
extern const char shim_i386_released[]; /* r11: far address */
extern const char shim_i386_end[];
extern const char shim_i386_signal[], shim_i386_signal_masked[];
extern const char shim_i386_page[], shim_i386_page_end[];
extern const char shim_i386_tails[], shim_i386_tails_end[];
extern const char shim_i386_sigreturn[], shim_i386_rt_sigreturn[]; /* in the page */
extern const char shim_i386_page_call[], shim_i386_sysenter[];

/* ---- i386.c ---- */

/* A trap from 32-bit code, or of int 0x80 from 64-bit code. */
void shim_i386_sigsys(const struct siginfo *info, struct ucontext *uc);

/* Tells the low area where a site goes on. */
void shim_i386_site_init(uint32_t index);

/* Where a patched site jumps to; is the number known to be that one? */
uint32_t shim_i386_target(uint32_t index, uint64_t number, bool known);

/* Puts a jump before the site, under the lock: enum shim_why. */
int shim_i386_jump(uint64_t site, uint32_t length, uint32_t target);

/* Is rip in what such a jump leads to?  Then at the site, or before its predecessor. */
bool shim_i386_leave_trampoline(struct sigcontext *m);

/* Called by i386_gate.S on a slot. */
void shim_i386_dispatch(struct shim_call *call);

/* Where the guest goes on after signals were held; false: not a 32-bit call's slot. */
bool shim_i386_flush(struct ucontext *uc, struct shim_call *call);

/* ---- i386_call.c ---- */

/* The handler of a number, NULL: the kernel answers it as it is. */
shim_handler *shim_i386_handler(uint32_t number);

/* ---- i386_start.c ---- */

/* Where an ELF file may lie, at the first attempt and the next. */
uint64_t shim_i386_place(uint64_t size, unsigned attempt);

/* shim_elf_map for the program, then for its interpreter: below 4 GiB. */
int shim_i386_map(int fd, struct shim_elf *elf);

/* Starts it; `vdso`: the ELF header of the 64-bit one, or 0; `sp`: argc and so on. */
_Noreturn void shim_i386_start(const struct shim_elf *elf, uint64_t vdso, uint64_t entry,
			       const uint64_t *sp);

/* ds, es and cs as the kernel sets them (i386_gate.S). */
_Noreturn void shim_i386_enter(uint64_t entry, uint64_t stack);

extern uint64_t shim_i386_vdso; /* its ELF header; 0: there is none */
shim_handler shim_i386_brk;

/* ---- i386_signal.c ---- */

shim_handler shim_i386_sigaction, shim_i386_old_sigaction, shim_i386_old_signal,
	shim_i386_sigprocmask, shim_i386_rt_sigprocmask, shim_i386_ssetmask;

/* Takes SIGSYS out of the frame that a handler returns by. */
void shim_i386_clean_frame(struct ucontext *uc, bool rt);

/* Addresses in the page, from the symbols of i386_gate.S. */
static inline uint32_t shim_i386_page_at(const char *symbol)
{
	return I386_PAGE + (uint32_t) (symbol - shim_i386_page);
}

#endif

#endif
