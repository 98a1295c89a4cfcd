/* SPDX-License-Identifier: MIT */
/*
 * Programs that mean no good, or do what few programs do: what the cases of trap-hostile
 * share.  HOST.  Each case prints what it finds; hostile.sh holds it against a native run.
 */
#ifndef CO_TESTS_TRAP_HOSTILE_H
#define CO_TESTS_TRAP_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void hostile_case(void);

/* hostile_signals.c */
hostile_case block_every_signal, own_sigsys_handler, sigsys_from_others, sigsys_ignored,
	forged_sigreturn, sigsys_in_every_mask, handler_on_small_stack;
/* hostile_memory.c */
hostile_case unmap_shim, map_over_shim, protect_shim, discard_shim, move_shim,
	overwrite_shim, no_room, no_memory, system_break;
/* hostile_code.c */
hostile_case registers_survive, jump_to_the_call, jump_into_the_middle, tiny_stack,
	patched_then_no_stack, no_stack, int80_from_64_bits, x32_numbers, io_uring,
	vsyscall_page, strange_numbers, many_sites, changing_code, strange_segments,
	code_at_the_edge;
/* hostile_children.c */
hostile_case children_are_caught, is_caught, signals_at_birth, children_of_threads,
	killed_children;
/* hostile_files.c */
hostile_case close_everything, no_descriptors, own_dispatch, own_filter;

/* One line; number where % stands. */
void say(const char *sentence, long number);

/* Ends the program with status 3: the box lacks something, the case means nothing. */
_Noreturn void cannot(const char *why);

/* "exited 3", "killed by signal 31" of a child that runs the function and ends. */
void in_child(const char *name, void (*run)(void));

/* Bytes as code in memory of their own, readable and executable. */
void *code(const void *bytes, size_t size);

#endif
