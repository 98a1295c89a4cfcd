/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The beginning and the end of a thread: where it has no stack to return on.
 */
	.text

/* long anos_clone(flags, stack, thread, begin) */
	.globl anos_clone
	.hidden anos_clone
anos_clone:
	andq $-16, %rsi
	subq $16, %rsi
	movq %rcx, (%rsi)
	movq %rdx, %r10
	xorl %edx, %edx
	xorl %r8d, %r8d
	movl $56, %eax /* clone */
	syscall
	testq %rax, %rax
	jz 1f
	ret
1:	movq (%rsp), %rdi
	xorl %ebp, %ebp
	call *(%rdi) /* anos_begin.run */
	ud2

/* void anos_exit(busy): whoever claims the slot next has this stack */
	.globl anos_exit
	.hidden anos_exit
anos_exit:
	testq %rdi, %rdi
	jz 1f
	movl $0, (%rdi)
1:	xorl %edi, %edi
	movl $60, %eax /* exit */
	syscall
	ud2

	.section .note.GNU-stack, "", @progbits
