/* SPDX-License-Identifier: MIT */
/* What a file is, before it is run.  HOST. */
#include "launch/classify.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { HEADERS_MAX = 512, DYNAMIC_MAX = 65536, NAME_MAX_BYTES = 256 };
#define ANOS_BASE 0x2000000ULL

/* ---- finding ---- */

static int executable(const char *path, struct co_err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return co_fail_errno(err, errno, "cannot run %s", path);
	if (S_ISDIR(st.st_mode))
		return co_fail(err, CO_IS_DIR, "cannot run %s: it is a directory",
			       path);
	if (!S_ISREG(st.st_mode))
		return co_fail(err, CO_ACCESS, "cannot run %s: it is no regular file",
			       path);
	if (access(path, X_OK) < 0)
		return co_fail(err, CO_ACCESS,
			       "cannot run %s: it is not executable (chmod +x %s)",
			       path, path);
	return 0;
}

int classify_find(const char *name, char *out, size_t n, struct co_err *err)
{
	const char *path = getenv("PATH");
	struct co_err first = { 0 };

	if (strchr(name, '/')) {
		(void) snprintf(out, n, "%s", name);
		return executable(name, err);
	}
	if (!path)
		path = "/bin:/usr/bin";
	while (*name) {
		size_t length = strcspn(path, ":");

		(void) snprintf(out, n, "%.*s%s%s", (int) length, path,
				length ? "/" : "./", name);
		if (access(out, F_OK) == 0) {
			struct co_err failed = { 0 };

			if (executable(out, &failed) == 0)
				return 0;
			if (!first.code)
				first = failed; /* as execvp: go on, but remember */
		}
		if (!path[length])
			break;
		path += length + 1;
	}
	if (first.code) {
		if (err)
			*err = first;
		return first.code;
	}
	return co_fail(err, CO_NOT_FOUND, "cannot run %s: not found in PATH", name);
}

/* ---- classifying ---- */

/* big: the file is of the other byte order than this machine. */
static const char *machine_name(unsigned machine, bool big)
{
	static const struct {
		unsigned machine;
		const char *name;
	} names[] = { { EM_AARCH64, "aarch64" },     { EM_ARM, "arm" },
		      { EM_RISCV, "riscv" },         { EM_PPC64, "ppc64" },
		      { EM_S390, "s390" },           { EM_MIPS, "mips" },
		      { EM_LOONGARCH, "loongarch" }, { EM_386, "i386" } };

	if (big)
		machine = (machine & 0xff) << 8 | machine >> 8;
	for (size_t i = 0; i < co_countof(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another machine";
}

struct elf {
	int fd;
	Elf64_Ehdr header;
	Elf64_Phdr segments[HEADERS_MAX];
	unsigned count;
};

static const Elf64_Phdr *segment(const struct elf *e, uint32_t type)
{
	for (unsigned i = 0; i < e->count; i++)
		if (e->segments[i].p_type == type)
			return &e->segments[i];
	return NULL;
}

/* The file offset of a virtual address; 0 if it is in no segment of the file. */
static uint64_t file_offset(const struct elf *e, uint64_t address)
{
	for (unsigned i = 0; i < e->count; i++) {
		const Elf64_Phdr *p = &e->segments[i];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr &&
		    address - p->p_vaddr < p->p_filesz)
			return p->p_offset + (address - p->p_vaddr);
	}
	return 0;
}

/* Is a library of that name prefix needed?  Bounded reads; a damaged file says no. */
static bool needs(const struct elf *e, const char *library)
{
	const Elf64_Phdr *dynamic = segment(e, PT_DYNAMIC);
	autofree Elf64_Dyn *entries = NULL;
	uint64_t strings = 0;
	size_t n;

	if (!dynamic || dynamic->p_filesz > DYNAMIC_MAX)
		return false;
	n = dynamic->p_filesz / sizeof(*entries);
	entries = calloc(n + 1, sizeof(*entries));
	if (!entries ||
	    pread(e->fd, entries, n * sizeof(*entries), (off_t) dynamic->p_offset) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (entries[i].d_tag == DT_STRTAB)
			strings = file_offset(e, entries[i].d_un.d_ptr);
	for (size_t i = 0; strings && i < n; i++) {
		char name[NAME_MAX_BYTES] = "";

		if (entries[i].d_tag != DT_NEEDED || entries[i].d_un.d_val > INT32_MAX)
			continue;
		if (pread(e->fd, name, sizeof(name) - 1,
			  (off_t) (strings + entries[i].d_un.d_val)) > 0 &&
		    !strncmp(name, library, strlen(library)))
			return true;
	}
	return false;
}

static bool looks_like_anos(const struct elf *e)
{
	const Elf64_Phdr *load = segment(e, PT_LOAD);

	return e->header.e_type == ET_EXEC && load && load->p_vaddr == ANOS_BASE &&
	       !segment(e, PT_INTERP) && !segment(e, PT_DYNAMIC) &&
	       !segment(e, PT_NOTE);
}

static int classify_elf(struct elf *e, const char *path, struct classified *out,
			struct co_err *err)
{
	const Elf64_Ehdr *h = &e->header;

	/* 32-bit programs of this machine are Linux's business: they run as they are */
	if (h->e_ident[EI_CLASS] == ELFCLASS32 && h->e_machine == EM_386)
		return 0;
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
	    h->e_machine != EM_X86_64)
		return co_fail(
			err, CO_UNSUPPORTED,
			"cannot run %s: it is a program for %s and this machine is "
			"x86-64; run it on such a machine or under qemu-user",
			path,
			machine_name(h->e_machine, h->e_ident[EI_DATA] == ELFDATA2MSB));
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return 0; /* the kernel will say what it thinks of it */
	e->count = h->e_phnum < HEADERS_MAX ? h->e_phnum : HEADERS_MAX;
	if (pread(e->fd, e->segments, e->count * sizeof(Elf64_Phdr),
		  (off_t) h->e_phoff) != (ssize_t) (e->count * sizeof(Elf64_Phdr)))
		return 0;
	if (looks_like_anos(e))
		out->personality = "anos";
	else if (needs(e, "libplaysys.so"))
		out->personality = "playsys";
	return 0;
}

int classify_file(const char *path, struct classified *out, struct co_err *err)
{
	autofree struct elf *e = calloc(1, sizeof(*e));
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	*out = (struct classified){ .personality = "cloudos" };
	if (!e)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	if (fd < 0)
		return 0; /* executable but not readable: legal, and then it is Linux's */
	e->fd = fd;
	n = pread(fd, &e->header, sizeof(e->header), 0);
	if (n >= 4 && !memcmp(&e->header, "\0asm", 4)) {
		out->personality = "playsys";
		return 0;
	}
	if (n >= 2 && !memcmp(&e->header, "#!", 2))
		return 0;
	if (n < SELFMAG || memcmp(&e->header, ELFMAG, SELFMAG)) {
		out->script = true;
		return 0;
	}
	if (n < (ssize_t) sizeof(e->header))
		return co_fail(err, CO_INVALID, "cannot run %s: the file is cut off",
			       path);
	return classify_elf(e, path, out, err);
}
