/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Signals: what signal.c, wait.c, deliver.c and wrapper.S share, and what the
 * SIGSYS handler, the loader and exec need of them.  Read by assembler and C.
 */
#ifndef SHIM_SIGNAL_H
#define SHIM_SIGNAL_H

#define SHIM_STUBS     96  /* handlers that are wrapped for good */
#define SHIM_STUBS_ALL 160 /* and one for each signal, for whoever has more */
#define SHIM_STUB_SIZE 10

/* struct shim_tail */
#define TAIL_MASK  0
#define TAIL_ORIG  8
#define TAIL_BACK  16
#define TAIL_PAIR  24
#define TAIL_OWNER 40
#define TAIL_SIZE  64

#ifndef __ASSEMBLER__
#include <shim/rt/kernel.h>
#include <stdbool.h>
#include <stdint.h>

struct shim_call;

#define SHIM_SIGSYS     SHIM_SIGSET_BIT(SIGSYS)
#define SHIM_BUT_SIGSYS (~SHIM_SIGSYS)

/* ---- for sigsys.c, start.c and exec.c ---- */

/* Cleans SIGSYS out of the mask of the guest's frame; where to make the call. */
uint64_t shim_sigreturn(struct ucontext *uc);

/* A SIGSYS that somebody sent: 0, or where the handler has to go on instead of returning. */
uint64_t shim_sigsys_sent(const struct siginfo *info, struct ucontext *uc);

/*
 * The guest goes on from a call during which signals were held: 0, or where the SIGSYS
 * handler has to go on instead of returning.  And for SIGSYS, if it is not blocked there.
 */
uint64_t shim_signal_flushed(struct shim_call *call, struct ucontext *uc);
void shim_sigsys_flushed(struct sigcontext *m);

/* Does the guest ignore SIGSYS (which an exec inherits)? */
bool shim_sigsys_ignored(void);

/* ---- actions (signal.c) ---- */

/*
 * What a wrapped handler is: never changes once it is ready.  The kernel knows the stub of
 * that index instead, so its table stays the only truth: a child after vfork shares our
 * memory, but not the kernel's table.
 */
struct shim_action {
	uint64_t handler, mask; /* as the guest gave them */
	uint32_t flags;         /* SA_SIGINFO, SA_NODEFER */
	uint32_t state;         /* 0 free, 1 being written, 2 ready */
};

extern struct shim_action shim_actions[SHIM_STUBS_ALL];
extern const char shim_stubs[], shim_stubs_end[];

/* The stub for that handler of that signal. */
uint64_t shim_stub_of(int number, const struct sigaction *action);

/* What the guest says and has said about SIGSYS. */
void shim_sigsys_set(const struct sigaction *wanted, struct sigaction *old);

/* What the guest has said about SIGSYS; resets it if it was to be used once. */
struct sigaction shim_sigsys_action(bool use);

/* ---- SIGSYS in a thread's mask (mask.c): the kernel's never has it ---- */

bool shim_sigsys_blocked(void);
void shim_sigsys_block(bool blocked);

/* A SIGSYS for this thread that waits until it is let in. */
void shim_sigsys_hold(const struct siginfo *info);
bool shim_sigsys_take(struct siginfo *out_info);
bool shim_sigsys_held(void);
void shim_sigsys_release(void); /* sends it again */

/* ---- calls with a mask that is not quite the guest's (wait.c) ---- */

struct shim_tail {
	uint64_t mask;    /* what the kernel reads */
	uint64_t orig;    /* the guest's register, which points here during the call */
	uint64_t back;    /* behind the guest's system call instruction */
	uint64_t pair[2]; /* address and size of mask, where the call wants that */
	uint32_t owner;   /* a thread; 0: free */
	bool temporary;   /* the thread's mask, as long as the call lasts */
	bool had_sigsys;  /* mask, as the guest wrote it */
	bool undo, was;   /* if the call is not made: shim_sigsys_block(was) */
	uint64_t old;     /* where the guest wants to read SIGSYS, too; or 0 */
	uint64_t reserved;
};

/* One stub per register, generated in wrapper.S. */
struct shim_tail_stub {
	uint64_t start;   /* its `syscall` */
	uint64_t release; /* gives the tail back; its values are in rcx and r11 */
	uint64_t end;
	uint32_t argument; /* as in shim_call.args */
	uint32_t delta;    /* the register points that far into the tail */
};

enum shim_tail_kind { TAIL_RDI, TAIL_RSI, TAIL_R10, TAIL_R8, TAIL_R9, TAIL_OLD, TAIL_KINDS };

extern const struct shim_tail_stub shim_tail_stubs[TAIL_KINDS];
extern const char shim_tails_begin[], shim_tails_end[];

/*
 * Of a thread interrupted in such a stub: NULL if it is none or has none any more.  The
 * call is just being interrupted if *out_fresh.
 */
struct shim_tail *shim_tail_at(const struct sigcontext *m, bool *out_fresh);

/*
 * Is that thread about to wait with a mask that lets SIGSYS in?  Then a SIGSYS that was held
 * ends the call before it begins, as if it had just been interrupted.
 */
bool shim_tail_lets_sigsys(const struct sigcontext *m);
void shim_tail_interrupt(struct sigcontext *m);

/* Puts that thread back to its own code. */
void shim_tail_back(struct sigcontext *m);

/* ---- delivery (deliver.c) ---- */

extern const char shim_wrapper[], shim_wrapper_unmasked[], shim_wrapper_end[];

/*
 * Called by the wrapper with all signals blocked: the guest's handler, and in *out_mask
 * what is blocked while it runs; 0: the signal is held, return to where it came.
 */
uint64_t shim_deliver(int number, struct siginfo *info, struct ucontext *uc,
		      uint32_t index, uint64_t *out_mask);
#endif

#endif
