/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  Calls that make a thread or a process, under syscall user dispatch.  One stub for
 * each site: in the child no memory says where it came from, and all registers but rcx, r11
 * and rax are the guest's.  The child enters the gate with a call of ours, whose handler
 * arms it, and goes on behind its site.
 */
#include <shim/macros.h>
#include <shim/sud.h>

	.text
label shim_forks
	.set i, 0
	.rept SHIM_FORKS
	syscall
	.byte 0xb9 /* movl $i, %ecx */
	.long i
	.byte 0xe9 /* jmp shim_forked */
	.long shim_forked - . - 4
	.set i, i + 1
	.endr

	/* without flags, which are the guest's: is rax 0? */
label shim_forked
	movq %rcx, %r11
label shim_forked_kept
	movq %rax, %rcx
	jrcxz 1f
	leaq shim_fork_backs(%rip), %rcx
	movq (%rcx,%r11,8), %rcx
	jmp *%rcx
1:	leaq shim_fork_ids(%rip), %rcx
	movl (%rcx,%r11,4), %ecx
	movl $SHIM_SUD_ARM, %eax
	jmp shim_gate
label shim_forks_end

	.section .note.GNU-stack, "", @progbits
