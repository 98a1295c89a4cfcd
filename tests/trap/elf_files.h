/* SPDX-License-Identifier: MIT */
/* Programs of a page or two, most of them broken in one way each.  HOST. */
#ifndef CO_TESTS_TRAP_ELF_FILES_H
#define CO_TESTS_TRAP_ELF_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_STATUS        42 /* what those that run exit with */
#define ELF_STATUS_INTERP 43 /* and those that are run by an interpreter */

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, address, in_file, in_memory, alignment;
};

struct elf_file {
	const char *name;
	const char
		*why; /* said by the engine where the kernel has nothing against it */
	int fault;    /* enum shim_elf_fault that mapping answers, 0: none */
	bool i386, dynamic;
	uint16_t type, machine;        /* 0: as it ought to be */
	uint64_t entry;                /* 0: the code */
	uint64_t headers_at;           /* 0: behind the file's header */
	uint32_t headers, header_size; /* 0: as it ought to be; ELF_NONE: 0 */
	uint32_t size;                 /* of the file; 0: two pages */
	const char *interp;            /* in the folder, or absolute */
	int status;                    /* of its code; 0: ELF_STATUS */
	struct elf_segment segment[5];
};

#define ELF_NONE UINT32_MAX

extern const struct elf_file elf_files[];
extern const size_t elf_files_count;

/* Writes them all, and what they name as interpreters, into the folder.  0 or -1. */
int elf_files_write(const char *folder);

#endif
