/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  ELF files: what they say of themselves, and how they come into memory.  Called by
 * the loader, which maps, and by exec.c, which only wants the errors.
 *
 *	struct shim_elf elf = { .interp = text };
 *	int err = shim_elf_read(fd, &elf);              the errors of execve: ENOEXEC, ...
 *	if (err == 0)
 *		err = shim_elf_map(fd, &elf, hint);     what natively kills the process
 *	if (err != 0)
 *		shim_die(shim_elf_sentence(err), (uint64_t) -err);
 *
 * What is read comes from a file that may be hostile and may change meanwhile: nothing is
 * mapped outside of [start, end), whatever it says the second time.
 */
#ifndef SHIM_ELF_H
#define SHIM_ELF_H

#include <stdbool.h>
#include <stdint.h>

#define SHIM_ELF_RANGES     8U
#define SHIM_ELF_INTERP_MAX 4096U

/*
 * For mmap of code: a page of it that was writable for a moment is otherwise counted as if
 * it still were, and so stays a mapping of its own, which each fork and each exit pays for.
 */
#define SHIM_TEXT_FLAGS(prot)                                                          \
	(((prot) & (PROT_WRITE | PROT_EXEC)) == PROT_EXEC ? MAP_NORESERVE : 0)

/* Code that may be patched: mapped from the file, executable, not writable. */
struct shim_elf_range {
	uint64_t start,
		end; /* in memory; the bytes of the file, not the rest of the page */
	uint64_t offset; /* in the file, of `start` */
};

/* Which file it is, as fstat says it. */
struct shim_file {
	uint64_t device, inode, size, changed_ns;
};

struct stat;
struct shim_file shim_file_from(const struct stat *st);

enum shim_elf_flag {
	SHIM_ELF_FIXED = 1U << 0,      /* ET_EXEC */
	SHIM_ELF_I386 = 1U << 1,       /* ELFCLASS32 for EM_386 */
	SHIM_ELF_INTERP = 1U << 2,     /* interp is set */
	SHIM_ELF_STACK = 1U << 3,      /* there is a PT_GNU_STACK ... */
	SHIM_ELF_STACK_EXEC = 1U << 4, /* ... which wants an executable stack */
	SHIM_ELF_GO = 1U << 5,         /* made by the Go compiler: tiny stacks */
	SHIM_ELF_LOW = 1U << 6,        /* ET_EXEC that ends below 4 GiB */
	SHIM_ELF_LOW_POOL = 1U << 7,   /* its data take room in a low pool */
	SHIM_ELF_DYNAMIC = 1U << 8,    /* has a PT_DYNAMIC (static-PIE has one, too) */
	SHIM_ELF_OVERLAPS = 1U << 9,   /* segments over one another: no ranges */
	SHIM_ELF_HOLES = 1U << 10      /* something else fits between its segments */
};

struct shim_elf {
	uint32_t flags;
	uint16_t machine, phnum, phent;
	int32_t fault; /* what shim_elf_map will refuse it for */

	/* addresses as the file has them; in memory (bias added) after shim_elf_map */
	uint64_t entry;
	uint64_t start, end; /* first and last page of all segments */
	uint64_t phdrs; /* of the program headers; the bias if no segment holds them */
	uint64_t brk;   /* behind the last byte; the kernel would put the heap there */
	uint64_t start_code, end_code, start_data, end_data;
	uint64_t bias; /* 0 before */

	uint64_t phoff;     /* of the program headers in the file */
	uint64_t alignment; /* of `start`: a power of two, at least a page */
	struct shim_file file;
	uint32_t ranges_used;
	struct shim_elf_range range[SHIM_ELF_RANGES];
	char *interp; /* set by the caller, for a program: room for INTERP_MAX bytes */
};

/*
 * What the kernel accepts and then kills the process for (SIGSEGV, after the point of no
 * return), and what we must refuse.  shim_elf_map returns these or the negative result of
 * a kernel call.
 */
enum shim_elf_fault {
	SHIM_ELF_NOTHING = 1, /* no PT_LOAD */
	SHIM_ELF_TYPE,        /* an interpreter that is neither ET_EXEC nor ET_DYN */
	SHIM_ELF_WRAPS, /* a segment ends behind the end of memory, or before it begins */
	SHIM_ELF_SIZES,            /* more bytes in the file than in memory */
	SHIM_ELF_MISALIGNED,       /* offset and address differ within the page */
	SHIM_ELF_TRUNCATED,        /* the file ends before a writable segment does */
	SHIM_ELF_POOL,             /* a segment would cover cloudos itself */
	SHIM_ELF_CODE_IN_LOW_POOL, /* code where system calls are not trapped */
	SHIM_ELF_OCCUPIED, /* a segment would cover what is mapped: the stack, the vdso */
	SHIM_ELF_CHANGED   /* the file is not the one that was read */
};

/*
 * Reads and judges the headers of the file: 0 or -ENOEXEC, -EIO, ... as execve returns
 * them.  `out` is undefined after an error.  Offers nothing about the interpreter but its
 * name.
 */
int shim_elf_read(int fd, struct shim_elf *out);

/* The same for a program's ELF interpreter, with the errors of that: -ELIBBAD, -EIO. */
int shim_elf_read_interp(int fd, const struct shim_elf *program, struct shim_elf *out);

/*
 * Maps it, and adds the bias to the addresses in `elf`.  `hint` is where `start` shall lie,
 * rounded up to its alignment, when the file may lie anywhere; 0: wherever the kernel
 * wants.  0 or -EEXIST: something lies at the hint, another may be tried; or an enum
 * shim_elf_fault or another negative result of the kernel.  What was mapped before an
 * error stays when it is not -EEXIST or a fault: the process has to end.
 */
int shim_elf_map(int fd, struct shim_elf *elf, uint64_t hint);

/* For shim_die: why a program cannot be started, for a fault or a negative result. */
const char *shim_elf_sentence(int fault);

#endif
