/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What the kernel calls instead of the guest's signal handlers, and the system
 * calls that are made with a mask of ours.
 *
 * The handlers are registered with all signals blocked, SIGSYS too: so never more than one
 * frame lies on a slot, nothing comes in between here, and what the guest wants blocked is
 * set in the last moment, by a system call.  From there to the jump another signal may
 * come; deliver.c then makes it look as if the handler had just been entered.
 */
#include <shim/macros.h>
#include <shim/signal.h>

	.text

/* As the kernel's handler: rdi signal, rsi siginfo, rdx ucontext.  No flags, no stack. */
label shim_stubs
	.set i, 0
	.rept SHIM_STUBS_ALL
	.byte 0xb8 /* movl $i, %eax */
	.long i
	.byte 0xe9 /* jmp shim_wrapper */
	.long shim_wrapper - . - 4
	.set i, i + 1
	.endr
label shim_stubs_end

/*
 * At the entry of a handler every register is free (sigreturn brings the guest's back), so
 * callee-saved ones keep what is needed.  The guest's handler is entered with rsp as the
 * kernel left it: on the guest's own restorer.
 */
label shim_wrapper
	movl %edi, %ebx
	movq %rsi, %rbp
	movq %rdx, %r12
	movq %rsp, %r13
	movl %eax, %ecx
	subq $16, %rsp
	andq $-16, %rsp
	movq %rsp, %r8
	call shim_deliver
	testq %rax, %rax
	jz 1f
	movq %rax, %r14
	movl $2, %edi /* SIG_SETMASK */
	movq %rsp, %rsi
	xorl %edx, %edx
	movl $8, %r10d
	movl $14, %eax /* rt_sigprocmask */
	syscall
label shim_wrapper_unmasked
	movq %r13, %rsp
	movl %ebx, %edi
	movq %rbp, %rsi
	movq %r12, %rdx
	xorl %eax, %eax
	jmp *%r14
label shim_wrapper_end
1:	leaq 8(%r13), %rsp
	jmp shim_sigreturn_stub

/*
 * The guest's own call, with the guest's stack, but \reg points to a struct shim_tail.
 * Afterwards \reg is the guest's again.  A system call leaves flags alone, so this does.
 */
	.macro tail reg, argument, delta, old=0
1:	syscall
	.if \old
	/* 64 is SIGSYS in the fourth byte; the kernel has never set it */
	movq %rax, %rcx
	jrcxz 3f
	jmp 4f
3:	movzbl 3(%rdx), %ecx
	leal 64(%rcx), %ecx
	movb %cl, 3(%rdx)
4:
	.endif
	movq TAIL_BACK - \delta(\reg), %rcx
	movq TAIL_ORIG - \delta(\reg), %r11
2:	movl $0, TAIL_OWNER - \delta(\reg)
	movq %r11, \reg
	jmp *%rcx
5:
	.pushsection .data.rel.ro.shim_tails, "aw", @progbits
	.quad 1b, 2b, 5b
	.long \argument, \delta
	.popsection
	.endm

	.pushsection .data.rel.ro.shim_tails, "aw", @progbits
	.p2align 3
label shim_tail_stubs
	.popsection

label shim_tails_begin
	tail %rdi, 0, 0
	tail %rsi, 1, 0
	tail %r10, 3, 0
	tail %r8, 4, 0
	tail %r9, 5, TAIL_PAIR
	tail %rsi, 1, 0, 1
label shim_tails_end

	.section .note.GNU-stack, "", @progbits
