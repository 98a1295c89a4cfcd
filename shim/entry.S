/* SPDX-License-Identifier: MIT */
/* GUEST.  The first and the last instructions of the loader. */
	.text
/* The first instruction of the process. */
	.globl _start
_start:
	xorl %ebp, %ebp
	movq %rsp, %rdi
	/* elsewhere: what lies below the program's stack may have to be written */
	leaq stack_end(%rip), %rsp
	call shim_start
	/* shim_start never returns: it jumps by shim_enter */
	ud2

/* void shim_enter(entry, stack) */
	.globl shim_enter
	.hidden shim_enter
shim_enter:
	movq %rdi, %rcx
	movq %rsi, %rsp
	xorl %eax, %eax
	xorl %ebx, %ebx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %ebp, %ebp
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	xorl %r12d, %r12d
	xorl %r13d, %r13d
	xorl %r14d, %r14d
	xorl %r15d, %r15d
	cmpl %eax, %eax
	jmp *%rcx

	.local stack
	.comm stack, 65536, 16
	.set stack_end, stack + 65536

	.section .note.GNU-stack, "", @progbits
