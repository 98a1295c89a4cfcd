/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  shim_dispatch as the gate calls it: rdi the call, eax its number, ecx its site's
 * id.  A Linux call with a handler, from one of the first sites, while no child shares this
 * memory, gets to its handler from here; all others by dispatch.c, which does the same.
 */
#include <shim/gate.h>

	.text
	.globl shim_dispatch
	.hidden shim_dispatch
shim_dispatch:
	cmpl $SHIM_RECORDS * SHIM_RECORD_SIZE, %ecx
	jae shim_dispatch_any
	cmpl $ROUTE_NUMBERS, %eax
	jae shim_dispatch_any
	leaq shim_route(%rip), %rdx
	movzbl (%rdx,%rax), %eax
	cmpb $ROUTE_OWN, %al
	jae shim_dispatch_any
	cmpl $0, shim_sharing(%rip)
	jne shim_dispatch_any
	movl %ecx, %edx
	shrl $2, %edx
	addl %ecx, %edx /* the site's offset: 40 bytes for 32 */
	leaq shim_sites(%rip), %rcx
	movq (%rcx,%rdx), %rdx
	movq %rdx, CALL_SITE(%rdi)
	leaq shim_handlers(%rip), %rdx
	shll $4, %eax
	pushq %rdi
	call *8(%rdx,%rax)
	popq %rdi
	/* SHIM_ANSWER, SHIM_KERNEL, SHIM_TAIL */
	cmpl $1, %eax
	jb 1f
	movq CALL_NUMBER(%rdi), %rdx
	movq %rdx, CALL_RESULT(%rdi)
	ja 2f
	leaq shim_records + SHIM_RECORD_PASS(%rip), %rcx
	addq CALL_ID(%rdi), %rcx
	movq %rcx, CALL_TARGET(%rdi)
	ret
1:	movq CALL_SITE(%rdi), %rcx
	addq $2, %rcx
	movq %rcx, CALL_TARGET(%rdi)
2:	ret

	.section .note.GNU-stack, "", @progbits
