/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  What is a thread's own, found by gs, which Anos programs do not use; and memory of
 * the program, touched so that a fault is an answer.
 */
#ifndef ANOS_GUEST_GUARD_H
#define ANOS_GUEST_GUARD_H

#define ANOS_SELF_GUARD 0

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

struct anos_self {
	uint64_t guard;  /* rsp to go back to when there is a fault; 0: none */
	uint32_t thread; /* its number */
	uint32_t class;
};

/* gs holds the address of a thread's struct anos_self. */
#define ANOS_SELF(type, member)                                                        \
	(*(__seg_gs volatile type *) __builtin_offsetof(struct anos_self, member))

/* Calls it; false if that touched memory which is not there, or not writable. */
bool anos_guarded(void (*function)(void *), void *argument);
extern const char anos_guard_fault[];

#endif

#endif
