/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The labels of gate.S, and the offsets of struct shim_call that it uses.  Read by
 * assembler and C; dispatch.c holds the offsets against the struct.
 */
#ifndef SHIM_GATE_H
#define SHIM_GATE_H

#define SHIM_RECORDS      64   /* in text; more are made when they are needed */
#define SHIM_RECORD_SIZE  32   /* a site's id is the offset of its record */
#define SHIM_RECORD_PASS  10 /* its syscall instruction */
#define SHIM_RECORD_AFTER 12
#define SHIM_RECORD_END   18

#define SLOT_BYTES    32768
#define SLOT_HEADER   0x7e00 /* where the call lies in a slot: one page with its stack */
#define SLOT_STACK    0      /* from there: where its stack begins, growing down */
#define CALL_BUSY     0
#define CALL_DEFERRED 4
#define CALL_RSP      8
#define CALL_NUMBER   16
#define CALL_ARGS     24
#define CALL_RESULT   72
#define CALL_TARGET   80
#define CALL_SITE     88
#define CALL_FLAGS    96
#define CALL_ID       104
#define CALL_MASK     112
#define CALL_DIRECTION 120

#define SHIM_SPARE_TEXT  4608 /* bytes of the loader's stack that serve again later */
#define SHIM_SPARE_EDITS 2560

#define STATE_THREADS 48 /* in struct shim_state */
#define ROUTE_OWN     254 /* the first that is no index of shim_handlers */
#define ROUTE_NUMBERS 512

#define SITE_BACK 8  /* in struct co_trap_site */
#define SITE_SIZE 40

#ifndef __ASSEMBLER__
#include <stdint.h>

/* text of the gate, by what has happened up to there (addresses, not functions) */
extern const char shim_gate[];         /* rcx: id; rax: number; flags the guest's */
extern const char shim_gate_swapped[]; /* r11: id */
extern const char shim_gate_slow[];    /* r11: id, as it is or swapped; rax: number */
extern const char shim_gate_packed[];  /* rcx: id and number, packed; rax still number */
extern const char shim_gate_flags[];   /* rcx packed; ax: flags; rax is number no more */
extern const char shim_gate_tried[];   /* r11: slot, claimed if carry is clear */
extern const char shim_gate_claimed[]; /* r11: slot, claimed; rsp the guest's */
extern const char shim_gate_stack[];   /* rsp on the slot from here */
extern const char shim_gate_exit[];    /* all of the guest is in the slot; restartable */
extern const char shim_gate_left[];    /* rsp the guest's; r11: slot still claimed; rcx: target */
extern const char shim_gate_released[]; /* rcx: target */
extern const char shim_gate_end[];
extern const char shim_gate_next[];  /* like flags: this slot was taken, try the next */
extern const char shim_gate_flush[]; /* like exit, with signals held and all blocked */
extern const char shim_gate_down[], shim_gate_down_end[]; /* like exit */

extern const char shim_wait_begin[], shim_wait_end[], shim_wait_abort[];
extern const char shim_records[], shim_records_end[];
extern const char shim_sigsys_entry[], shim_restorer[];
extern const char shim_sigreturn_stub[], shim_sigreturn_end[];
extern const char shim_outside_probe[], shim_outside_flush[]; /* behind the syscall */
extern const char shim_text[], shim_text_end[];               /* linker script */

long shim_probe(void); /* the probe call: 1 if it was answered by our handler */
#endif

#endif
