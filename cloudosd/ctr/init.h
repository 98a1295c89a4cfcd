/* SPDX-License-Identifier: MIT */
/*
 * Our pid 1: reaps, forwards signals, ends as its program does.  HOST.
 *
 * It is cloudos-ctr, executed anew without arguments, environment and descriptors of ours,
 * so that nothing of the host can be read from it; a program that only has libctr.a runs
 * it in the memory of the creator, hidden from the container.
 */
#ifndef CTR_INIT_H
#define CTR_INIT_H

#include <stdbool.h>
#include <sys/types.h>

/* cloudos-ctr says so at its start: our own file can be executed as init. */
void ctr_init_offer(int exe);
int ctr_init_fd(void); /* -1: it was not offered */

/* All signals are blocked.  `ready` gets a byte when nobody inside can trace us any more:
 * the program is not executed before. */
_Noreturn void ctr_init_become(pid_t child, int ready, bool die_with_parent);

/* What main calls when argv[0] is CTR_INIT_NAME: argv[1] is the pid, argv[2] `ready`. */
#define CTR_INIT_NAME "cloudos-init"
int ctr_init_main(int argc, char *argv[]);

#endif
