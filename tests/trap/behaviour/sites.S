/* SPDX-License-Identifier: MIT */
/*
 * trap-sites.so: system call sites of every shape that can be patched, at every alignment.
 * Each is `long site(long number, long zero)`.  GUEST; patching.c loads fresh copies of it.
 *
 *	sites: .long count, then for each: .long function - sites, .long expects
 *
 * expects 0: getppid; 1: -EBADF (read from nothing); 2: getppid, entered at the system call
 * instruction itself, number already in rax
 */
	.text
	.globl	sites

	.macro	SITE text, expects
	.skip	\@ % 16 + 1, 0x90
	.cfi_startproc
site\@:
	\text
	syscall
	ret
	.cfi_endproc
	.pushsection .rodata
	.long	site\@ - sites, \expects
	.popsection
	.endm

	/* two ways to one system call: falling into it and jumping to it */
	.macro	JUMPED
	.skip	\@ % 16 + 1, 0x90
	.cfi_startproc
fall\@:
	mov	$110, %eax
there\@:
	syscall
	ret
	.cfi_endproc
	.cfi_startproc
jump\@:
	mov	%rdi, %rax
	jmp	there\@
	.cfi_endproc
	.pushsection .rodata
	.long	fall\@ - sites, 0
	.long	jump\@ - sites, 2
	.popsection
	.endm

	.section .rodata
	.balign	4
sites:
	.long	(sites_end - sites - 4) / 8
	.text
	.rept	16
	SITE "mov $110, %eax", 0
	SITE "xor %eax, %eax", 1
	SITE "mov %rdi, %rax", 0
	SITE "lea (%rdi,%rsi), %rax", 0
	SITE ".byte 0x48, 0xc7, 0xc0, 110, 0, 0, 0", 0
	JUMPED
	SITE "mov $110, %eax; mov %esi, %edx", 0
	SITE "mov $110, %eax; mov %rsi, %r10", 0
	SITE "mov $110, %eax; xor %r9d, %r9d", 0
	.endr
	.section .rodata
sites_end:
	.size	sites, . - sites
	.section .note.GNU-stack, "", @progbits
