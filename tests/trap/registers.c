/* SPDX-License-Identifier: MIT */
/* HOST.  See registers.h. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/trap/registers.h"

_Noreturn void wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("wrong: ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	_exit(1);
}

__asm__(".text\n"
	".globl call_with\n"
	"call_with:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	push %rsi\n"
	"	mov %rdi, %rcx\n"
	"	mov 8(%rcx), %rbx; mov 16(%rcx), %rdx; mov 24(%rcx), %rsi\n"
	"	mov 32(%rcx), %rdi; mov 40(%rcx), %rbp; mov 48(%rcx), %r8\n"
	"	mov 56(%rcx), %r9; mov 64(%rcx), %r10; mov 72(%rcx), %r12\n"
	"	mov 80(%rcx), %r13; mov 88(%rcx), %r14; mov 96(%rcx), %r15\n"
	"	push 104(%rcx); popfq\n"
	"	mov 0(%rcx), %rax\n"
	"	movq $0x1234567, -64(%rsp)\n" /* in the red zone */
	"	syscall\n"
	"	mov %rax, %r11\n"
	"	mov -64(%rsp), %rcx\n"
	"	pushfq\n"
	"	cld\n"
	"	pop %rax\n"
	"	xchg %rcx, (%rsp)\n" /* rcx: out; the red zone's word on the stack */
	"	mov %r11, 0(%rcx)\n"
	"	mov %rbx, 8(%rcx); mov %rdx, 16(%rcx); mov %rsi, 24(%rcx)\n"
	"	mov %rdi, 32(%rcx); mov %rbp, 40(%rcx); mov %r8, 48(%rcx)\n"
	"	mov %r9, 56(%rcx); mov %r10, 64(%rcx); mov %r12, 72(%rcx)\n"
	"	mov %r13, 80(%rcx); mov %r14, 88(%rcx); mov %r15, 96(%rcx)\n"
	"	mov %rax, 104(%rcx)\n"
	"	pop %rax\n"
	"	cmp $0x1234567, %rax\n"
	"	je 1f\n"
	"	ud2\n"
	"1:	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static uint64_t seed = 88172645463325252;

uint64_t registers_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

void registers_fill(struct registers *in)
{
	in->rbx = registers_random();
	in->rbp = registers_random();
	in->r12 = registers_random();
	in->r13 = registers_random();
	in->r14 = registers_random();
	in->r15 = registers_random();
	/* carry, parity, adjust, zero, sign, overflow; now and then direction */
	in->flags = 0x202 | (registers_random() & 0x8d5) |
		    (registers_random() % 4 == 0 ? 0x400 : 0);
}

void registers_compare(const char *what, const struct registers *in,
		       const struct registers *out)
{
	const uint64_t *before = (const uint64_t *) in, *after = (const uint64_t *) out;

	for (size_t i = 1; i < sizeof(*in) / 8; i++)
		if (before[i] != after[i])
			wrong("%s, number %ld: register %zu was %lx, is %lx", what,
			      (long) in->rax, i, before[i], after[i]);
}
