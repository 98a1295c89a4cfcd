/* SPDX-License-Identifier: MIT */
/*
 * Makes the files of elf_files.h.  HOST.  Used by the test of shim/elf.c, which also writes
 * them for exec.test.
 */
#include "tests/trap/elf_files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "shim/elf.h"

#define BASE    0x20000000UL
#define PAGE    0x1000UL
#define POOL    0x700100000000UL
#define CODE    0x800 /* in the first page */
#define NAME    0xf00 /* of the interpreter, likewise */

#define RX (PF_R | PF_X)
#define RW (PF_R | PF_W)

/* the first page, executable, at an address */
#define TEXT(at) { PT_LOAD, RX, 0, (at), PAGE, PAGE, PAGE }
#define DATA(at, in_file, in_memory)                                                   \
	{ PT_LOAD, RW, PAGE, (at), (in_file), (in_memory), PAGE }
#define INTERP(n) { PT_INTERP, PF_R, NAME, 0, (n), (n), 1 }

/* clang-format off: a table */
const struct elf_file elf_files[] = {
	/* nothing wrong */
	{ "good", .segment = { TEXT(BASE) } },
	{ "good-pie", .dynamic = true, .segment = { TEXT(0) } },
	{ "good-bss", .segment = { TEXT(BASE), DATA(BASE + PAGE, 0x800, 0x3800) } },
	{ "good-bss-alone", .segment = { TEXT(BASE), { PT_LOAD, RW, 0, BASE + 0x10000, 0, 0x3000, PAGE } } },
	{ "good-hole", .dynamic = true, .segment = { TEXT(0), DATA(0x200000, 0x800, 0x800) } },
	{ "good-386", .i386 = true, .segment = { TEXT(BASE) } },
	{ "good-linked-386-pie", .i386 = true, .dynamic = true, .segment = { TEXT(0) } },
	{ "good-aligned", .dynamic = true, .segment = { { PT_LOAD, RX, 0, 0, PAGE, PAGE, 0x200000 } } },
	{ "good-aligned-inside", .dynamic = true, .segment = { { PT_LOAD, RX, 0, 0x3000, PAGE, PAGE, 0x10000 } } },
	{ "good-interp", .interp = "interp-good", .segment = { INTERP(0), TEXT(BASE) } },
	{ "good-interp-pie", .dynamic = true, .interp = "interp-pie", .segment = { INTERP(0), TEXT(0) } },
	{ "good-interp-interp", .interp = "good-interp", .segment = { INTERP(0), TEXT(BASE + 0x1000000) } },
	{ "good-empty-segment", .segment = { TEXT(BASE), { PT_LOAD, RW, 0, BASE + 0x10000, 0, 0, PAGE } } },
	{ "good-many-headers", .headers = 1170, .headers_at = 0x2000, .size = 0x13000, .segment = { TEXT(BASE) } },
	{ "good-high", .segment = { TEXT(0x500000000000) } },
	{ "good-text-behind-the-end", .segment = { { PT_LOAD, RX, 0, BASE, 0x100000, 0x100000, PAGE } } },
	{ "good-rodata-tail", .segment = { { PT_LOAD, RX, 0, BASE, 0xa00, 0x5000, PAGE } } },
	{ "good-backwards", .segment = { DATA(BASE + 0x10000, 0x800, 0x3800), TEXT(BASE) } },
	{ "strange-class", .segment = { TEXT(BASE) }, .status = 44 },
	{ "strange-alignment", .dynamic = true, .segment = { { PT_LOAD, RX, 0, 0, PAGE, PAGE, 12345 } } },

	/* overlapping */
	{ "overlap-same-page", .segment = { { PT_LOAD, RX, 0, BASE, 2 * PAGE, 2 * PAGE, PAGE }, DATA(BASE + PAGE, 0x800, 0x1800) } },
	{ "overlap-hides-code", .segment = { TEXT(BASE), DATA(BASE, 0x1000, 0x1000) } },
	{ "overlap-bss-over-code", .segment = { TEXT(BASE), { PT_LOAD, RW, 0, BASE, 0, PAGE, PAGE } } },
	{ "overlap-code-last", .segment = { DATA(BASE, 0x1000, 0x1000), TEXT(BASE) } },

	/* wrapping, huge */
	{ "wrap-end", .fault = SHIM_ELF_WRAPS, .segment = { TEXT(BASE), DATA(0xfffffffffffff000, 0x800, 0x2000) } },
	{ "wrap-memory", .fault = SHIM_ELF_WRAPS, .segment = { TEXT(BASE), DATA(BASE + PAGE, 0x800, 0xfffffffffffff800) } },
	{ "wrap-noncanonical", .fault = SHIM_ELF_WRAPS, .segment = { TEXT(BASE), DATA(0x800000000000, 0x800, 0x800) } },
	{ "wrap-file-offset", .fault = -EOVERFLOW, .segment = { TEXT(BASE), { PT_LOAD, PF_R, 0xfffffffffffff000, BASE + PAGE, PAGE, PAGE, PAGE } } },
	{ "wrap-pie", .dynamic = true, .fault = SHIM_ELF_WRAPS, .segment = { TEXT(0), DATA(0xffffffffffff0000, 0x800, 0x800) } },
	{ "huge-all", .fault = SHIM_ELF_POOL, .segment = { TEXT(BASE), DATA(BASE + PAGE, 0x800, 0x7f0000000000) } },
	{ "huge-pie", .dynamic = true, .fault = -ENOMEM, .segment = { TEXT(0), { PT_LOAD, PF_R, 0, 0x7ffffffe0000, PAGE, PAGE, PAGE } } },
	{ "huge-386", .i386 = true, .fault = SHIM_ELF_WRAPS, .segment = { TEXT(BASE), DATA(0xfffff000, 0x800, 0x2000) } },

	/* truncated */
	{ "truncated-data", .fault = SHIM_ELF_TRUNCATED, .segment = { TEXT(BASE), { PT_LOAD, RW, 0x4000, BASE + PAGE, 0x800, 0x3800, PAGE } } },
	{ "truncated-header", .size = 40, .segment = { TEXT(BASE) } },
	{ "truncated-magic", .size = 4, .segment = { TEXT(BASE) } },
	{ "truncated-headers", .headers = 100, .size = 0x1000, .segment = { TEXT(BASE) } },
	{ "truncated-empty", .size = ELF_NONE, .segment = { TEXT(BASE) } },

	/* headers */
	{ "headers-none", .headers = ELF_NONE, .segment = { TEXT(BASE) } },
	{ "headers-65535", .headers = 65535, .size = 0x400000, .segment = { TEXT(BASE) } },
	{ "headers-1171", .headers = 1171, .headers_at = 0x2000, .size = 0x13000, .segment = { TEXT(BASE) } },
	{ "headers-size", .header_size = 57, .segment = { TEXT(BASE) } },
	{ "headers-size-0", .header_size = ELF_NONE, .segment = { TEXT(BASE) } },
	{ "headers-far", .headers_at = 0x100000, .segment = { TEXT(BASE) } },
	{ "headers-wrap", .headers_at = 0xfffffffffffffff0, .segment = { TEXT(BASE) } },
	{ "type-relocatable", .type = ET_REL, .segment = { TEXT(BASE) } },
	{ "type-core", .type = ET_CORE, .segment = { TEXT(BASE) } },
	{ "type-none", .type = 0xfe00, .segment = { TEXT(BASE) } },
	{ "machine-arm", .machine = EM_AARCH64, .segment = { TEXT(BASE) } },
	{ "machine-386-wide", .machine = EM_386, .segment = { TEXT(BASE) } },

	/* segments */
	{ "segment-none", .fault = SHIM_ELF_NOTHING, .segment = { { PT_NOTE, PF_R, 0, 0, 0, 0, 1 } } },
	{ "segment-none-pie", .dynamic = true, .fault = SHIM_ELF_NOTHING, .segment = { { PT_NOTE, PF_R, 0, 0, 0, 0, 1 } } },
	{ "segment-sizes", .fault = SHIM_ELF_SIZES, .segment = { TEXT(BASE), DATA(BASE + PAGE, 0x900, 0x800) } },
	{ "segment-misaligned", .fault = SHIM_ELF_MISALIGNED, .segment = { TEXT(BASE), DATA(BASE + PAGE + 0x10, 0x800, 0x800) } },
	{ "segment-over-stack", .fault = SHIM_ELF_OCCUPIED, .segment = { { PT_LOAD, RX, 0, 0x7ff000000000, 0xfffffe000, 0xfffffe000, PAGE } } },
	{ "segment-not-readable", .segment = { { PT_LOAD, 0, 0, BASE, PAGE, PAGE, PAGE } } },

	/* the interpreter */
	{ "interp-missing", .interp = "/nonexistent/ld.so", .segment = { INTERP(0), TEXT(BASE) } },
	{ "interp-folder", .interp = "/", .segment = { INTERP(0), TEXT(BASE) } },
	{ "interp-device", .interp = "/dev/null", .segment = { INTERP(0), TEXT(BASE) } },
	{ "interp-is-script", .interp = "script", .segment = { INTERP(0), TEXT(BASE) } },
	{ "interp-is-not-executable", .interp = "plain", .segment = { INTERP(0), TEXT(BASE) } },
	{ "interp-is-empty", .interp = "truncated-empty", .segment = { INTERP(0), TEXT(BASE) } },
	{ "interp-is-short", .interp = "truncated-header", .segment = { INTERP(0), TEXT(BASE) } },
	{ "interp-is-386", .interp = "good-386", .segment = { INTERP(0), TEXT(BASE + 0x1000000) } },
	{ "interp-is-arm", .interp = "machine-arm", .segment = { INTERP(0), TEXT(BASE + 0x1000000) } },
	{ "interp-has-no-headers", .interp = "headers-none", .segment = { INTERP(0), TEXT(BASE + 0x1000000) } },
	{ "interp-is-relocatable", .interp = "type-relocatable", .segment = { INTERP(0), TEXT(BASE + 0x1000000) } },
	{ "interp-has-sizes", .interp = "segment-sizes", .segment = { INTERP(0), TEXT(BASE + 0x1000000) } },
	{ "interp-has-no-segment", .interp = "segment-none-pie", .segment = { INTERP(0), TEXT(BASE + 0x1000000) } },
	{ "interp-not-terminated", .interp = "interp-good", .segment = { INTERP(5), TEXT(BASE) } },
	{ "interp-of-one-byte", .interp = "interp-good", .segment = { INTERP(1), TEXT(BASE) } },
	{ "interp-too-long", .interp = "interp-good", .segment = { INTERP(4097), TEXT(BASE) } },
	{ "interp-behind-the-end", .interp = "interp-good", .segment = { { PT_INTERP, PF_R, 0x100000, 0, 16, 16, 1 }, TEXT(BASE) } },
	{ "interp-wraps", .interp = "interp-good", .segment = { { PT_INTERP, PF_R, 0xfffffffffffffff0, 0, 16, 16, 1 }, TEXT(BASE) } },
	{ "interp-without-name", .interp = "interp-good", .segment = { { PT_INTERP, PF_R, 0x600, 0, 2, 2, 1 }, TEXT(BASE) } },
	{ "interp-twice", .interp = "interp-good", .segment = { INTERP(0), { PT_INTERP, PF_R, 0x100000, 0, 16, 16, 1 }, TEXT(BASE) } },

	/* nothing the kernel minds, but the engine */
	{ "pool", .fault = SHIM_ELF_POOL, .why = "would cover cloudos itself", .segment = { TEXT(POOL + 0x10000000) } },
	{ "pool-of-a-window", .fault = SHIM_ELF_POOL, .why = "would cover cloudos itself", .segment = { TEXT(BASE), { PT_LOAD, PF_R, 0, POOL + 5 * 0x200000000 - PAGE, 2 * PAGE, 2 * PAGE, PAGE } } },
	{ "pool-low", .fault = SHIM_ELF_CODE_IN_LOW_POOL, .why = "below 4 GiB", .segment = { TEXT(0x48000000) } },
	{ "pool-low-data", .segment = { TEXT(BASE), DATA(0x48000000, 0x800, 0x800) } },

	/* interpreters */
	{ "interp-good", .status = ELF_STATUS_INTERP, .segment = { TEXT(BASE + 0x2000000) } },
	{ "interp-pie", .status = ELF_STATUS_INTERP, .dynamic = true, .segment = { TEXT(0) } },
};
/* clang-format on */

const size_t elf_files_count = sizeof(elf_files) / sizeof(elf_files[0]);

/* ---- bytes ---- */

static void put_code(const struct elf_file *f, unsigned char *bytes)
{
	static const unsigned char wide[] = { 0xb8, 60, 0, 0, 0, 0xbf, 0, 0, 0, 0, 0x0f, 5 };
	static const unsigned char narrow[] = { 0xb8, 1, 0, 0, 0, 0xbb, 0, 0, 0, 0, 0xcd, 0x80 };

	memcpy(bytes + CODE, f->i386 ? narrow : wide, sizeof(wide));
	bytes[CODE + 6] = (unsigned char) (f->status ? f->status : ELF_STATUS);
}

/* The code is in the first page, which is mapped by the segment at offset 0. */
static uint64_t entry(const struct elf_file *f)
{
	for (size_t i = 0; i < co_countof(f->segment); i++)
		if (f->segment[i].flags == RX)
			return f->segment[i].address + CODE;
	return BASE + CODE;
}

static uint32_t or_else(uint32_t value, uint32_t usual)
{
	return value == ELF_NONE ? 0 : value ? value : usual;
}

static size_t segments(const struct elf_file *f)
{
	size_t n = 0;

	while (n < co_countof(f->segment) && f->segment[n].type)
		n++;
	return n;
}

static void put_headers(const struct elf_file *f, size_t name_size, unsigned char *bytes,
			size_t size)
{
	uint64_t at = f->headers_at ? f->headers_at : f->i386 ? 52 : 64;

	for (size_t i = 0; i < segments(f); i++) {
		const struct elf_segment *s = &f->segment[i];
		uint64_t n = s->type == PT_INTERP && !s->in_file ? name_size : s->in_file;
		Elf64_Phdr wide = { s->type, s->flags, s->offset,    s->address,
				    0,       n,        s->in_memory, s->alignment };
		Elf32_Phdr narrow = { .p_type = s->type,
				      .p_flags = s->flags,
				      .p_offset = (uint32_t) s->offset,
				      .p_vaddr = (uint32_t) s->address,
				      .p_filesz = (uint32_t) n,
				      .p_memsz = (uint32_t) s->in_memory,
				      .p_align = (uint32_t) s->alignment };
		size_t each = f->i386 ? sizeof(narrow) : sizeof(wide);

		if (at < size && each <= size - at)
			memcpy(bytes + at, f->i386 ? (void *) &narrow : (void *) &wide,
			       each);
		at += each;
	}
}

static void put_header(const struct elf_file *f, unsigned char *bytes)
{
	uint16_t n = (uint16_t) or_else(f->headers, (uint32_t) segments(f));
	uint16_t type = f->type ? f->type : f->dynamic ? ET_DYN : ET_EXEC;
	Elf64_Ehdr wide = { .e_type = type,
			    .e_machine = f->machine ? f->machine : EM_X86_64,
			    .e_version = 1,
			    .e_entry = f->entry ? f->entry : entry(f),
			    .e_phoff = f->headers_at ? f->headers_at : 64,
			    .e_ehsize = sizeof(wide),
			    .e_phentsize = (uint16_t) or_else(f->header_size,
							      sizeof(Elf64_Phdr)),
			    .e_phnum = n };
	Elf32_Ehdr narrow = { .e_type = type,
			      .e_machine = EM_386,
			      .e_version = 1,
			      .e_entry = (uint32_t) entry(f),
			      .e_phoff = 52,
			      .e_ehsize = sizeof(narrow),
			      .e_phentsize = sizeof(Elf32_Phdr),
			      .e_phnum = n };

	memcpy(bytes, f->i386 ? (void *) &narrow : (void *) &wide,
	       f->i386 ? sizeof(narrow) : sizeof(wide));
	memcpy(bytes, ELFMAG, SELFMAG);
	bytes[EI_CLASS] = f->i386 ? ELFCLASS32 : ELFCLASS64;
	if (f->status == 44) /* the kernel does not look at it */
		bytes[EI_CLASS] = 77;
	bytes[EI_DATA] = ELFDATA2LSB;
	bytes[EI_VERSION] = 1;
}

/* ---- files ---- */

static int write_file(const char *folder, const char *name, const void *bytes, size_t size,
		      mode_t mode)
{
	char path[4096];
	autoclose int fd = -1;

	(void) snprintf(path, sizeof(path), "%s/%s", folder, name); /* open tells */
	(void) unlink(path); /* it may be running */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	if (fd < 0 || fchmod(fd, mode) < 0)
		return -1;
	return write(fd, bytes, size) == (ssize_t) size ? 0 : -1;
}

static int write_elf(const char *folder, const struct elf_file *f)
{
	size_t size = f->size == ELF_NONE ? 0 : f->size ? f->size : 2 * PAGE;
	size_t room = size < 2 * PAGE ? 2 * PAGE : size;
	autofree unsigned char *bytes = calloc(1, room);
	char interp[4096] = "";
	size_t n = 0;

	if (!bytes)
		return -1;
	if (f->interp) {
		(void) snprintf(interp, sizeof(interp), "%s%s%s",
				*f->interp == '/' ? "" : folder,
				*f->interp == '/' ? "" : "/", f->interp);
		n = strnlen(interp, sizeof(interp) - 1) + 1;
		if (n > PAGE - NAME)
			return -1;
		memcpy(bytes + NAME, interp, n);
	}
	put_code(f, bytes);
	put_headers(f, n, bytes, room);
	put_header(f, bytes);
	/* what bss must not show */
	memset(bytes + PAGE + 0x800, 0xee, 0x800);
	return write_file(folder, f->name, bytes, size, 0755);
}

int elf_files_write(const char *folder)
{
	static const char script[] = "#!/bin/sh\nexit 45\n";

	for (size_t i = 0; i < elf_files_count; i++)
		if (write_elf(folder, &elf_files[i]))
			return -1;
	if (write_file(folder, "script", script, sizeof(script) - 1, 0755))
		return -1;
	return write_file(folder, "plain", script, sizeof(script) - 1, 0644);
}
