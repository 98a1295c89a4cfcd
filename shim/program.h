/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  From the name of a program to its ELF file, through `#!` lines as the kernel
 * follows them.  exec.c checks with it, in the process that calls exec; the loader opens
 * with it, in the process that has been started:
 *
 *	err = shim_program_open(argv[1], config.fd, &program);
 *	if (err == 0)
 *		err = shim_elf_read(program.fd, &elf);
 *	...                                     program.words go where argv[0] was, if any
 */
#ifndef SHIM_PROGRAM_H
#define SHIM_PROGRAM_H

#include <shim/elf.h>
#include <stdbool.h>
#include <stdint.h>

#define SHIM_SCRIPT_DEPTH 5U
#define SHIM_SCRIPT_LINE  256U

struct shim_program {
	int fd;          /* of the ELF file; close-on-exec, the caller's to close */
	uint32_t nwords; /* that replace argv[0]; 0: it is no script */
	const char *
		words[2 * SHIM_SCRIPT_DEPTH + 1]; /* in `lines`, or the caller's path */
	const char
		*path; /* of the ELF file, as the caller or the last script names it */
	char lines[SHIM_SCRIPT_DEPTH][SHIM_SCRIPT_LINE];
};

/*
 * Opens the program `path`, or the one that `fd` is, which it takes; -1: none.  0 or the
 * error of execve; then nothing is left open.  `path` has to last as long as `out`.
 */
int shim_program_open(const char *path, int fd, struct shim_program *out);

/* What to judge beyond that when a program is not started yet. */
struct shim_program_check {
	bool inaccessible; /* no script may be opened by this name after exec */
	struct shim_elf *elf, *interp; /* filled in */
};

/*
 * The same with every error that execve would return: for the interpreters of scripts that
 * they may be executed, for the last file what it and its ELF interpreter are.  Whether
 * `path` itself may be executed is shim_may_execute's.
 */
int shim_program_judge(const char *path, int fd, const struct shim_program_check *check,
		       struct shim_program *out);

/* Opens a file to read what it is; close-on-exec.  A negative result is the error. */
int shim_open_program(int folder, const char *path);

/* Would execveat go as far as to read the file?  0 or its error. */
int shim_may_execute(int folder, const char *path, int flags);

/*
 * The ELF interpreter of this process, or of the one it was forked from: judged once, and
 * the same file needs not be judged again.
 */
void shim_interp_known(const struct shim_file *file);

#endif
