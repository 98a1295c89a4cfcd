/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The way in and out of C code, and the records on which a guest goes on.
 *
 * A guest arrives here with all its registers, at an address that stands for one site; only
 * rcx and r11 are free (a system call destroys them).  Its stack is not touched: what is
 * below rsp may be a red zone, or not there at all.  So until a slot is claimed there are
 * two registers to work with, and flags count as a third once they are saved in ax.
 *
 * A signal may arrive between any two instructions.  wrapper.S and signal.c undo or finish
 * what was begun, told by the labels (gate.h).
 */
#include <shim/macros.h>

	.text

/*
 * One record per site: `enter` (0) goes to the gate with the site's id, `pass` (10) makes
 * the system call and returns behind the site.
 */
label shim_records
	.set i, 0
	.rept SHIM_RECORDS
	.byte 0xb9 /* movl $id, %ecx */
	.long i * SHIM_RECORD_SIZE
	.byte 0xe9 /* jmp shim_gate */
	.long shim_gate - . - 4
	syscall
	jmp *shim_sites + SITE_BACK + i * SITE_SIZE(%rip)
	.skip SHIM_RECORD_SIZE - SHIM_RECORD_END, 0xcc
	.set i, i + 1
	.endr
label shim_records_end

	.p2align 6
label shim_gate
	/* number < 65536?  Without flags: its upper half, bytes swapped, must be 0 */
	movl %eax, %r11d
	bswapl %r11d
	movzwl %r11w, %r11d
	xchgq %r11, %rcx
label shim_gate_swapped
	jrcxz 1f
	jmp shim_gate_slow
1:	movl %eax, %eax
	leaq shim_plain(%rip), %rcx
	movzbl (%rcx,%rax), %ecx
	jrcxz shim_gate_slow
	leaq shim_records + SHIM_RECORD_PASS(%rip), %rcx
	leaq (%rcx,%r11), %rcx
	jmp *%rcx

label shim_gate_slow
	movl %eax, %eax
	bswapq %r11
	leaq (%r11,%rax), %rcx
label shim_gate_packed
	lahf
	seto %al
label shim_gate_flags
	slot_first %r11, %r11d
	/* alone in this memory, without the prefix, which costs as much as all the rest */
	cmpb $0, shim + STATE_THREADS(%rip)
	je 9f
2:	lock
9:	btsl $0, CALL_BUSY(%r11)
label shim_gate_tried
	jc shim_gate_next
label shim_gate_claimed
	movq %rsp, CALL_RSP(%r11)
	leaq SLOT_STACK(%r11), %rsp
label shim_gate_stack
	movq %rdi, CALL_ARGS + 0(%r11)
	movq %rsi, CALL_ARGS + 8(%r11)
	movq %rdx, CALL_ARGS + 16(%r11)
	movq %r10, CALL_ARGS + 24(%r11)
	movq %r8, CALL_ARGS + 32(%r11)
	movq %r9, CALL_ARGS + 40(%r11)
	movzwl %ax, %eax
	movq %rax, CALL_FLAGS(%r11)
	/* the direction flag, without pushf, which costs as much as all of this */
	leaq CALL_TARGET(%r11), %rsi
	lodsb
	subq %r11, %rsi
	movq %rsi, CALL_DIRECTION(%r11)
	cmpl $CALL_TARGET + 1, %esi
	jne 7f
8:
	movl %ecx, %eax
	movq %rax, CALL_NUMBER(%r11)
	shrq $32, %rcx
	bswapl %ecx
	movq %rcx, CALL_ID(%r11)
	movq %r11, %rdi
	call shim_dispatch /* which may use eax and ecx as they are */

label shim_gate_exit
	movq %rsp, %r11
	andq $-SLOT_BYTES, %r11
	orq $SLOT_HEADER, %r11
	movq CALL_ARGS + 0(%r11), %rdi
	movq CALL_ARGS + 8(%r11), %rsi
	movq CALL_ARGS + 16(%r11), %rdx
	movq CALL_ARGS + 24(%r11), %r10
	movq CALL_ARGS + 32(%r11), %r8
	movq CALL_ARGS + 40(%r11), %r9
	cmpl $CALL_TARGET + 1, CALL_DIRECTION(%r11)
	jne 6f
	cmpl $0, CALL_DEFERRED(%r11)
	jne 5f
3:	movq CALL_FLAGS(%r11), %rax
	addb $0x7f, %al /* overflow again if it was */
	sahf
	movq CALL_RESULT(%r11), %rax
	movq CALL_TARGET(%r11), %rcx
	movq CALL_RSP(%r11), %rsp
label shim_gate_left
	movl $0, CALL_BUSY(%r11)
label shim_gate_released
	jmp *%rcx
label shim_gate_end

label shim_gate_next
	slot_next %r11, 2b

	/* Signals wait, all blocked: the handler of this trap lets them in where the guest
	 * goes on. */
label shim_gate_flush
5:	movq CALL_FLAGS(%r11), %rax
	addb $0x7f, %al
	sahf
	movq %r11, %rax
	movq CALL_RSP(%r11), %rsp
	jmp shim_outside_flush_call
	/* the exit for guests with the direction flag set */
label shim_gate_down
6:	cmpl $0, CALL_DEFERRED(%r11)
	std
	jne 5b
	jmp 3b
label shim_gate_down_end
7:	cld
	jmp 8b

/* long shim_wait(number, a, b, c, d, e, f, call): see shim.h */
	.globl shim_wait
	.hidden shim_wait
shim_wait:
	movq %rdi, %rax
	movq %rsi, %rdi
	movq %rdx, %rsi
	movq %rcx, %rdx
	movq %r8, %r10
	movq %r9, %r8
	movq 8(%rsp), %r9
	movq 16(%rsp), %rcx
label shim_wait_begin
	cmpl $0, CALL_DEFERRED(%rcx)
	jne shim_wait_abort
	syscall
label shim_wait_end
	ret
label shim_wait_abort
	movq $-4, %rax /* EINTR */
	ret

/*
 * SIGSYS: rdi number, rsi siginfo, rdx ucontext, all other signals blocked, on whatever
 * stack the guest is.  shim_sigsys returns 0, or the handler of the guest for a signal that
 * somebody sent.
 */
	.p2align 4
label shim_sigsys_entry
	slot_claim %r11, %r11d
	movq %rsp, CALL_RSP(%r11)
	movq %rdi, CALL_ARGS + 0(%r11)
	movq %rsi, CALL_ARGS + 8(%r11)
	movq %rdx, CALL_ARGS + 16(%r11)
	leaq SLOT_STACK(%r11), %rsp
	movq %rsi, %rdi
	movq %rdx, %rsi
	call shim_sigsys
	movq %rsp, %r11
	andq $-SLOT_BYTES, %r11
	orq $SLOT_HEADER, %r11
	movq CALL_ARGS + 0(%r11), %rdi
	movq CALL_ARGS + 8(%r11), %rsi
	movq CALL_ARGS + 16(%r11), %rdx
	movq CALL_RSP(%r11), %rsp
	movl $0, CALL_BUSY(%r11)
	testq %rax, %rax
	jnz 3f
	ret
3:	jmp *%rax

	/* how unwinders know a signal frame: exactly these bytes */
	.p2align 4
	nop
label shim_restorer
label shim_sigreturn_stub
	movq $15, %rax
	syscall
label shim_sigreturn_end

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

	.globl shim_probe
	.hidden shim_probe
shim_probe:
	movl $0x0c050c05, %eax
	jmp shim_outside_probe_call

/* The loader's stack, its upper part by the names under which it serves later. */
	.section .bss.stack, "aw", @nobits
	.skip 65536 - SHIM_SPARE_TEXT - SHIM_SPARE_EDITS
label shim_spare_text
	.skip SHIM_SPARE_TEXT
label shim_spare_edits
	.skip SHIM_SPARE_EDITS
label shim_start_stack

/* Outside the pools: what traps on purpose. */
	.section .outside, "ax", @progbits
	.globl shim_outside_flush_call
	.hidden shim_outside_flush_call
shim_outside_probe_call:
	syscall
label shim_outside_probe
	ret
	.p2align 4
shim_outside_flush_call:
	syscall
label shim_outside_flush
	ud2

	.section .note.GNU-stack, "", @progbits
