/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Touching memory of the program that may not be there: guest_fault.c brings a fault
 * back here.  What a thread's guard is lies in its place (guest_task.c), which gs points to.
 * The function may use xmm0 to xmm3 (ring/page.c), which are the program's.
 */
#include <personality/anos/guest_guard.h>

	.text

/* bool anos_guarded(function, argument) */
	.globl anos_guarded
	.hidden anos_guarded
anos_guarded:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	subq $64, %rsp
	movups %xmm0, (%rsp)
	movups %xmm1, 16(%rsp)
	movups %xmm2, 32(%rsp)
	movups %xmm3, 48(%rsp)
	pushq %gs:ANOS_SELF_GUARD
	movq %rsp, %gs:ANOS_SELF_GUARD
	movq %rdi, %rax
	movq %rsi, %rdi
	call *%rax
	movl $1, %eax
1:	popq %gs:ANOS_SELF_GUARD
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
	movups 32(%rsp), %xmm2
	movups 48(%rsp), %xmm3
	addq $64, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

/* where a fault goes on, with rsp as it was when the guard was set */
	.globl anos_guard_fault
	.hidden anos_guard_fault
anos_guard_fault:
	xorl %eax, %eax
	jmp 1b

	.section .note.GNU-stack, "", @progbits
