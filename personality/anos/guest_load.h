/* SPDX-License-Identifier: MIT */
/* GUEST.  How an Anos program comes into memory; tests load them into a process of Linux. */
#ifndef ANOS_GUEST_LOAD_H
#define ANOS_GUEST_LOAD_H

#include <co/anos.h>
#include <stdint.h>

/* Maps the program: 0, a negative error, or a fault that shim_elf_sentence explains. */
int anos_load(int fd, uint64_t stack_size, uint64_t *out_entry);

/* Code of the program lies there.  guest_patch.c */
void anos_text(uint64_t start, uint64_t end);

/*
 * What the program finds on its stack, which is mapped from `bottom` to CO_ANOS_STACK_TOP:
 * where it begins, a multiple of 16; 0: it does not fit.
 */
uint64_t anos_stack_make(const struct co_anos_start *start, uint64_t bottom,
			 uint64_t argc, char **argv);

#endif
