/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  32-bit programs: the way from their code into C code and back, and the code
 * that is copied below 4 GiB for them.
 *
 * r8 to r15 are not there for 32-bit code, so they are free here: nothing of the guest's
 * has to be put aside before a slot is claimed, and its stack is not touched.  All handlers
 * of signals are 64-bit ones (i386_signal.c), so whatever is interrupted here is kept whole.
 */
#include <shim/i386.h>
#include <shim/macros.h>

	.text

	.p2align 4
label shim_i386_spin
	slot_next %r10, 1f

	.p2align 6
label shim_i386_gate
	movl %eax, %r8d
label shim_i386_saved
	lahf
	seto %al
	movzwl %ax, %r9d
label shim_i386_flags
	slot_first %r10, %r10d
	cmpb $0, shim + STATE_THREADS(%rip) /* as in gate.S */
	je 2f
1:	lock
2:	btsl $0, CALL_BUSY(%r10)
label shim_i386_tried
	jc shim_i386_spin
label shim_i386_claimed
	movl %esp, %eax
	movq %rax, CALL_RSP(%r10)
	leaq SLOT_STACK(%r10), %rsp
label shim_i386_on_slot
	/* the upper halves are not the guest's: undefined after 64-bit mode */
	movl %ebx, %eax
	movq %rax, CALL_ARGS + 0(%r10)
	movl %ecx, %eax
	movq %rax, CALL_ARGS + 8(%r10)
	movl %edx, %eax
	movq %rax, CALL_ARGS + 16(%r10)
	movl %esi, %eax
	movq %rax, CALL_ARGS + 24(%r10)
	movl %edi, %eax
	movq %rax, CALL_ARGS + 32(%r10)
	movl %ebp, %eax
	movq %rax, CALL_ARGS + 40(%r10)
	movq %r8, CALL_NUMBER(%r10)
	movq %r9, CALL_FLAGS(%r10)
	movq %r11, CALL_ID(%r10)
	leaq CALL_TARGET(%r10), %rsi
	lodsb
	subq %r10, %rsi
	movq %rsi, CALL_DIRECTION(%r10)
	cld
	movq %r10, %rdi
	call shim_i386_dispatch

label shim_i386_exit
	movq %rsp, %r10
	andq $-SLOT_BYTES, %r10
	orq $SLOT_HEADER, %r10
	movl CALL_ARGS + 0(%r10), %ebx
	movl CALL_ARGS + 8(%r10), %ecx
	movl CALL_ARGS + 16(%r10), %edx
	movl CALL_ARGS + 24(%r10), %esi
	movl CALL_ARGS + 32(%r10), %edi
	movl CALL_ARGS + 40(%r10), %ebp
	movq CALL_TARGET(%r10), %r11
	cmpl $CALL_TARGET + 1, CALL_DIRECTION(%r10)
	je 2f
	std
2:	cmpl $0, CALL_DEFERRED(%r10)
	je 3f
	/* signals wait, all blocked: the handler of this trap lets them in where the guest
	 * goes on */
	movq CALL_FLAGS(%r10), %rax
	addb $0x7f, %al
	sahf
	movq %r10, %rax
	movq CALL_RSP(%r10), %rsp
	jmp shim_outside_flush_call
3:	movq CALL_FLAGS(%r10), %rax
	addb $0x7f, %al /* overflow again if it was */
	sahf
	movl CALL_RESULT(%r10), %eax
	movq CALL_RSP(%r10), %rsp
label shim_i386_left
	movl $0, CALL_BUSY(%r10)
label shim_i386_released
	ljmp *(%r11)
label shim_i386_end

/*
 * Every signal of a 32-bit program that it handles: rsp is the kernel's 64-bit frame, on
 * the guest's stack.  Up to `masked` nothing has been changed but the red zone.
 */
	.p2align 4
label shim_i386_signal
	movl $14, %eax /* rt_sigprocmask(SIG_SETMASK, all, what it was, 8) */
	movl $2, %edi
	leaq everything(%rip), %rsi
	leaq -64(%rsp), %rdx
	movl $8, %r10d
	syscall
label shim_i386_signal_masked
	cld
	movq %rsp, %rdi
	movq -64(%rsp), %rsi
	slot_claim %r12, %r12d
	leaq SLOT_STACK(%r12), %rsp
	call shim_i386_deliver
	movq %rax, %rsp
	movl $0, CALL_BUSY(%r12)
	movl $15, %eax /* rt_sigreturn */
	syscall
	ud2

/* void shim_i386_enter(entry, stack) */
	.globl shim_i386_enter
	.hidden shim_i386_enter
shim_i386_enter:
	movl $I386_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movq %rsi, %rsp
	movl %edi, I386_GATE + 8
	movl $I386_CS, I386_GATE + 12
	xorl %eax, %eax
	xorl %ebx, %ebx
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %ebp, %ebp
	ljmp *I386_GATE + 8

	.section .rodata
	.p2align 3
everything:
	.quad -1

/*
 * The page that AT_SYSINFO names.  Copied to I386_PAGE, outside of the pools: what is not
 * plain traps here like anywhere else.  A function's stack is there to be used, and flags
 * are the callee's.
 */
	.code32
	.globl shim_i386_page
	.hidden shim_i386_page
shim_i386_page:
	cmpl $I386_NUMBERS, %eax
	jae 1f
	cmpb $0, I386_CLASSES(%eax)
	je 1f
	jmp *I386_FAST
1:	jmp *I386_FAST + 4
label shim_i386_page_call
	int $0x80
	ret
	/* how unwinders know the ends of signal handlers: exactly these bytes */
	.p2align 4
	nop
label shim_i386_sigreturn
	popl %eax
	movl $119, %eax
	int $0x80
	.p2align 4
	nop
label shim_i386_rt_sigreturn
	movl $173, %eax
	int $0x80
	/* where a sysenter returns, which has pushed what the kernel's vdso pushes */
	.p2align 4
label shim_i386_sysenter
	int $0x80
	popl %ebp
	popl %edx
	popl %ecx
	ret
label shim_i386_page_end

/* Copied to I386_TAILS: one for each register that an argument is in (i386_call.c). */
	.p2align 4
label shim_i386_tails
	.irp register, ebx, ecx, edx, esi, edi, ebp
	.p2align 4
	int $0x80
	movl 4(%esp), %\register
	ret $(I386_TAIL_FRAME - 4)
	.endr
label shim_i386_tails_end
	.code64

	.section .note.GNU-stack, "", @progbits
