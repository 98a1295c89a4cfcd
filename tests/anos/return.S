/* SPDX-License-Identifier: MIT */
/*
 * anos-return: begins as programs of libanos do, whose start-up code has no end: after main
 * comes what the linker put there.  That ends the thread.
 */
	.text
	.globl begin
begin:
	popq %rdi
	popq %rsi
	popq %r12
	popq %r13
	xorq %rbp, %rbp
	pushq %rbp
	subq $8, %rsp
	call initialise
	call nothing
	movq %r12, %rdi
	movq %r13, %rsi
	call returns
	call nothing
	.p2align 4, 0x90
bad:	leaq text_bad(%rip), %rdi
	movq token(%rip), %r9
	syscall
	ud2

	/* the token of kprint is the first */
initialise:
	movq 8(%rsi), %rax
	movq %rax, token(%rip)
	ret
nothing:
	ret
returns:
	leaq text_good(%rip), %rdi
	movq token(%rip), %r9
	syscall
	ret

text_good: .asciz "main returns\n"
text_bad: .asciz "NOT OK: and something else runs\n"
	.bss
token:	.skip 8
	.section .note.GNU-stack, "", @progbits
