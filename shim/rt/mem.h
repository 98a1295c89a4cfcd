/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The four functions that compilers call on their own, even for freestanding
 * code: clang copies and clears larger structs with them at every optimisation level.
 */
#ifndef SHIM_RT_MEM_H
#define SHIM_RT_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);

#endif
