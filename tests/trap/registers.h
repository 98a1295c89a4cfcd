/* SPDX-License-Identifier: MIT */
/* HOST.  A system call with all registers known, before and behind it. */
#ifndef CO_TESTS_TRAP_REGISTERS_H
#define CO_TESTS_TRAP_REGISTERS_H

#include <stdint.h>

struct registers {
	uint64_t rax, rbx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15, flags;
};

/* Makes the call with all these registers; what they are behind it. */
void call_with(const struct registers *in, struct registers *out);

uint64_t registers_random(void);

/* Something in all that are no arguments, and in the flags. */
void registers_fill(struct registers *in);

/* All have to be the same, but for rax. */
void registers_compare(const char *what, const struct registers *in,
		       const struct registers *out);

/* Prints the sentence and ends the program. */
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
