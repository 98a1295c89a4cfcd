/* SPDX-License-Identifier: MIT */
/* GUEST.  From the kernel's exec of cloudos-loader to the program's first instruction. */
#ifndef SHIM_START_H
#define SHIM_START_H

#include <stdbool.h>
#include <stdint.h>

extern bool shim_inherited; /* sigsys.c: the filter was there already */

/* arm.c: from here on calls are caught; with that filter, where none is there yet. */
struct shim_filter_spec;
void shim_arm(const struct shim_filter_spec *spec);

/* arm.c: statistics for others to read, and the mark of the session. */
void shim_publish(void);

/* dispatch.c: finds the personality, fills shim_plain. */
void shim_dispatch_init(void);
extern uint8_t shim_plain[65536]; /* 1: a record makes that call without asking */

/* gate.S: jumps to the program with cleared registers. */
_Noreturn void shim_enter(uint64_t entry, uint64_t stack);

/* place.c: where the next file of that size with code should lie; 0: anywhere. */
uint64_t shim_place(uint64_t size);
void shim_place_seed(uint64_t random);

#endif
