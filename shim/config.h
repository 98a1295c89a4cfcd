/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  The loader's first word (include/co/trap.h), read by start.c and written by
 * exec.c for the next one.
 */
#ifndef SHIM_CONFIG_H
#define SHIM_CONFIG_H

#include <shim/shim.h>

/*
 * Takes the word apart; `out->text` keeps a copy that the pointers of `out` point into.  0
 * or -EINVAL; then `out` is undefined.
 */
int shim_config_parse(struct shim_config *out, const char *text);

/*
 * The word for a program that is started by this one: the same with other flags and
 * another descriptor (-1: none).  `to` has CO_TRAP_CONFIG_MAX bytes; returns how many of
 * them are used, with the NUL.
 */
uint32_t shim_config_print(char *to, const struct shim_config *config, uint32_t flags,
			   int32_t fd);

#endif
