/* SPDX-License-Identifier: MIT */
/* GUEST.  The first instructions of the loader. */
	.text
/* The first instruction of the process. */
	.globl _start
_start:
	xorl %ebp, %ebp
	movq %rsp, %rdi
	/* elsewhere: what lies below the program's stack may have to be written */
	leaq shim_start_stack(%rip), %rsp
	call shim_start
	/* shim_start never returns: it jumps by shim_enter */
	ud2

	.section .note.GNU-stack, "", @progbits
