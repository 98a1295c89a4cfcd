/* SPDX-License-Identifier: MIT */
/* Scripts, links and the like for trap-exec.  A GUEST program of the tests: see exec.c. */
#ifndef CO_TESTS_TRAP_EXEC_FILES_H
#define CO_TESTS_TRAP_EXEC_FILES_H

extern const char *exec_folder;

/* A path in the folder; good for eight calls. */
char *exec_in(const char *name);

void exec_write_files(void);

#endif
