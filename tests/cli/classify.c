/* SPDX-License-Identifier: MIT */
/*
 * Which system a file is a program of: every ELF of this machine is taken for one of
 * CloudOS and Linux, and only what says so for another.  HOST.
 */
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/classify.h"
#include "lib/cleanup.h"
#include "tests/run.h"

static char folder[] = "/tmp/classify.XXXXXX";

/* A file of ours, with those bytes. */
static const char *file(const void *bytes, size_t n)
{
	static char path[64];
	FILE *f;

	(void) snprintf(path, sizeof(path), "%s/file", folder);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

static struct classified classify(const void *bytes, size_t n)
{
	struct classified out;
	struct co_err err = { 0 };

	ck_assert_msg(classify_file(file(bytes, n), &out, &err) == 0, "%s",
		      err.message);
	return out;
}

static bool is_elf(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char magic[SELFMAG];

	return fd >= 0 && read(fd, magic, SELFMAG) == SELFMAG &&
	       !memcmp(magic, ELFMAG, SELFMAG);
}

static unsigned look_through(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *entry;
	unsigned seen = 0;

	while (dir && (entry = readdir(dir))) {
		char path[512];
		struct stat st;
		struct classified out;
		struct co_err err = { 0 };

		(void) snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
		if (stat(path, &st) || !S_ISREG(st.st_mode) || !is_elf(path))
			continue;
		ck_assert_msg(classify_file(path, &out, &err) == 0, "%s", err.message);
		ck_assert_msg(!strcmp(out.personality, "cloudos") && !out.script,
			      "%s counts as %s", path, out.personality);
		seen++;
	}
	if (dir)
		(void) closedir(dir); /* only read */
	return seen;
}

START_TEST(every_program_of_this_box_is_one_of_linux)
{
	ck_assert_uint_gt(look_through("/usr/bin"), 10);
	(void) look_through("/usr/sbin");
	(void) look_through("/usr/local/bin"); /* may be empty */
}
END_TEST

START_TEST(texts_and_modules_are_told_by_their_first_bytes)
{
	ck_assert(classify("", 0).script);
	ck_assert(classify("e", 1).script);
	ck_assert(classify("echo x\n", 7).script);
	ck_assert(!classify("#!/bin/sh\n", 10).script);
	ck_assert(!classify("#!", 2).script);
	ck_assert_str_eq(classify("\0asm\1\0\0\0", 8).personality, "playsys");
	ck_assert(classify("\0as", 3).script);
}
END_TEST

struct image { /* a small program; what one test changes stands alone */
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	Elf64_Dyn dynamic[3];
	char strings[64];
};

static struct image image(void)
{
	struct image i = { .header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
						    ELFCLASS64, ELFDATA2LSB,
						    EV_CURRENT },
				       .e_type = ET_EXEC,
				       .e_machine = EM_X86_64,
				       .e_version = EV_CURRENT,
				       .e_ehsize = sizeof(Elf64_Ehdr),
				       .e_phoff = offsetof(struct image, segments),
				       .e_phentsize = sizeof(Elf64_Phdr),
				       .e_phnum = 1 } };

	i.segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
				      .p_vaddr = 0x400000,
				      .p_filesz = sizeof(i),
				      .p_memsz = sizeof(i) };
	return i;
}

static const char *personality(const struct image *i)
{
	return classify(i, sizeof(*i)).personality;
}

START_TEST(anos_is_told_by_its_base_and_what_is_missing)
{
	struct image i = image();

	ck_assert_str_eq(personality(&i), "cloudos");
	i.segments[0].p_vaddr = 0x2000000;
	ck_assert_str_eq(personality(&i), "anos");
	i.header.e_type = ET_DYN;
	ck_assert_str_eq(personality(&i), "cloudos");
	i.header.e_type = ET_EXEC;
	i.header.e_phnum = 2;
	for (unsigned type = PT_DYNAMIC; type <= PT_NOTE; type++) {
		i.segments[1].p_type = type; /* DYNAMIC, INTERP, NOTE */
		ck_assert_str_eq(personality(&i), "cloudos");
	}
	i.segments[1].p_type = PT_GNU_STACK;
	ck_assert_str_eq(personality(&i), "anos");
}
END_TEST

static struct image needing(const char *library)
{
	struct image i = image();

	i.header.e_phnum = 2;
	i.segments[1] = (Elf64_Phdr){ .p_type = PT_DYNAMIC,
				      .p_offset = offsetof(struct image, dynamic),
				      .p_filesz = sizeof(i.dynamic) };
	i.dynamic[0] = (Elf64_Dyn){ .d_tag = DT_NEEDED, .d_un.d_val = 1 };
	i.dynamic[1] =
		(Elf64_Dyn){ .d_tag = DT_STRTAB,
			     .d_un.d_ptr = 0x400000 + offsetof(struct image, strings) };
	(void) snprintf(i.strings + 1, sizeof(i.strings) - 1, "%s", library);
	return i;
}

START_TEST(playsys_is_told_by_its_library)
{
	struct image i = needing("libc.so.6");

	ck_assert_str_eq(personality(&i), "cloudos");
	i = needing("libplaysys.so.1");
	ck_assert_str_eq(personality(&i), "playsys");
	i.dynamic[0].d_un.d_val = 2; /* "ibplaysys.so.1" */
	ck_assert_str_eq(personality(&i), "cloudos");
}
END_TEST

START_TEST(damaged_files_are_left_to_the_kernel)
{
	struct image i = needing("libplaysys.so");

	i.dynamic[1].d_un.d_ptr = ~0ULL;
	ck_assert_str_eq(personality(&i), "cloudos");
	i = needing("libplaysys.so");
	i.dynamic[0].d_un.d_val = ~0ULL;
	ck_assert_str_eq(personality(&i), "cloudos");
	i = needing("libplaysys.so");
	i.segments[1].p_filesz = ~0ULL;
	ck_assert_str_eq(personality(&i), "cloudos");
	i = needing("libplaysys.so");
	i.segments[1].p_offset = ~0ULL;
	ck_assert_str_eq(personality(&i), "cloudos");
	i = needing("libplaysys.so");
	i.header.e_phoff = ~0ULL;
	ck_assert_str_eq(personality(&i), "cloudos");
	i = needing("libplaysys.so");
	i.header.e_phnum = 0xffff;
	ck_assert_str_eq(personality(&i), "cloudos");
	i = needing("libplaysys.so");
	i.header.e_phentsize = 1;
	ck_assert_str_eq(personality(&i), "cloudos");
}
END_TEST

START_TEST(other_machines_are_named)
{
	static const struct {
		unsigned machine;
		unsigned char class, order;
		const char *name;
	} all[] = {
		{ EM_AARCH64, ELFCLASS64, ELFDATA2LSB, "aarch64" },
		{ EM_RISCV, ELFCLASS64, ELFDATA2LSB, "riscv" },
		{ EM_ARM, ELFCLASS32, ELFDATA2LSB, "arm" },
		{ EM_S390 << 8, ELFCLASS64, ELFDATA2MSB, "s390" },
		{ 0x7777, ELFCLASS64, ELFDATA2LSB, "another machine" },
	};

	for (size_t k = 0; k < co_countof(all); k++) {
		struct image i = image();
		struct classified out;
		struct co_err err = { 0 };

		i.header.e_machine = (Elf64_Half) all[k].machine;
		i.header.e_ident[EI_CLASS] = all[k].class;
		i.header.e_ident[EI_DATA] = all[k].order;
		ck_assert_int_eq(classify_file(file(&i, sizeof(i)), &out, &err),
				 CO_UNSUPPORTED);
		ck_assert_msg(strstr(err.message, all[k].name) != NULL, "%s",
			      err.message);
	}
}
END_TEST

START_TEST(programs_of_32_bits_are_left_to_the_kernel)
{
	struct image i = image();

	i.header.e_machine = EM_386;
	i.header.e_ident[EI_CLASS] = ELFCLASS32;
	ck_assert_str_eq(personality(&i), "cloudos");
}
END_TEST

START_TEST(a_file_that_ends_in_its_header_is_cut_off)
{
	struct image i = image();

	for (size_t n = SELFMAG; n < sizeof(i.header); n++) {
		struct classified out;
		struct co_err err = { 0 };

		ck_assert_int_eq(classify_file(file(&i, n), &out, &err), CO_INVALID);
		ck_assert_msg(strstr(err.message, "cut off") != NULL, "%s",
			      err.message);
	}
}
END_TEST

static void make_folder(void)
{
	(void) snprintf(folder, sizeof(folder), "/tmp/classify.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
	char path[64];

	(void) snprintf(path, sizeof(path), "%s/file", folder);
	(void) unlink(path); /* some tests make none */
	ck_assert_int_eq(rmdir(folder), 0);
}

int main(void)
{
	TCase *t = tcase_create("classify");

	tcase_add_checked_fixture(t, make_folder, remove_folder);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, every_program_of_this_box_is_one_of_linux);
	tcase_add_test(t, texts_and_modules_are_told_by_their_first_bytes);
	tcase_add_test(t, anos_is_told_by_its_base_and_what_is_missing);
	tcase_add_test(t, playsys_is_told_by_its_library);
	tcase_add_test(t, damaged_files_are_left_to_the_kernel);
	tcase_add_test(t, other_machines_are_named);
	tcase_add_test(t, programs_of_32_bits_are_left_to_the_kernel);
	tcase_add_test(t, a_file_that_ends_in_its_header_is_cut_off);
	return run_tests(t);
}
