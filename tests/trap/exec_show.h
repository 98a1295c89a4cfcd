/* SPDX-License-Identifier: MIT */
/* What a program is given by exec, printed.  A GUEST program of the tests: see exec.c. */
#ifndef CO_TESTS_TRAP_EXEC_SHOW_H
#define CO_TESTS_TRAP_EXEC_SHOW_H

/* Arguments, environment, auxiliary vector, signals, descriptors: the exit status, 46. */
int exec_show(int argc, char **argv);

#endif
