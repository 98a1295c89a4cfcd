/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What the assembler files share: labels that C sees too, and how a slot is claimed
 * (gate.h has the offsets).
 */
#ifndef SHIM_MACROS_H
#define SHIM_MACROS_H

#include <shim/gate.h>

	.macro label name
	.globl \name
	.hidden \name
\name:
	.endm

	/* Where to begin looking: threads differ in their stacks, and one stack always gets
	 * one slot: each slot has pages that must be there.  Destroys flags. */
	.macro slot_first r, r32
	movl %esp, \r32
	shrl $16, \r32
	imull $0x9e3779b1, \r32, \r32
	shrl $7, \r32
	andq shim_slots_mask(%rip), \r
	addq shim_slots_first(%rip), \r
	.endm

	/* That slot was taken: on to the next, to `again`. */
	.macro slot_next r, again
	addq $SLOT_BYTES, \r
	cmpq shim_slots_end(%rip), \r
	jb \again
	movq shim_slots_first(%rip), \r
	pause
	jmp \again
	.endm

	/* All of it, where no signal comes in between. */
	.macro slot_claim r, r32
	slot_first \r, \r32
771:	lock btsl $0, CALL_BUSY(\r)
	jnc 772f
	slot_next \r, 771b
772:
	.endm

#endif
