/* SPDX-License-Identifier: MIT */
/*
 * shim/elf.c, shim/program.c and shim/config.c, compiled for the host: each file and each
 * `#!` line is also given to the kernel's own exec, and both have to end the same.  HOST.
 * `trap-elf FOLDER` only writes the files.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "shim/config.h"
#include "shim/program.h"
#include "tests/run.h"
#include "tests/trap/elf_files.h"

#define KILLED 1000 /* and the signal */
#define PAGE   4096UL

extern char **environ;

static char folder[] = "/tmp/cloudos-elf.XXXXXX";
static bool has_i386;

/* Also where no test runs yet. */
static void demand(bool holds)
{
	if (holds)
		return;
	perror("trap-elf");
	abort();
}

static const char *in_folder(const char *name)
{
	static char paths[4][4096];
	static unsigned next;
	char *path = paths[next++ % 4];

	demand(snprintf(path, 4096, "%s/%s", folder, name) < 4096);
	return path;
}

/* ---- how a program ends ---- */

/* In a child, which says an error of its own by the pipe. */
static int outcome(void (*start)(const char *path, int tell), const char *path)
{
	int ends[2], status, error = 0;
	ssize_t got;
	pid_t pid;

	demand(pipe2(ends, O_CLOEXEC) == 0);
	pid = fork();
	demand(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		(void) setrlimit(RLIMIT_CORE, &none); /* only for tidiness */
		(void) signal(SIGSEGV, SIG_DFL);
		start(path, ends[1]);
		_exit(99);
	}
	(void) close(ends[1]);
	got = read(ends[0], &error, sizeof(error));
	(void) close(ends[0]);
	demand(waitpid(pid, &status, 0) == pid);
	if (got == sizeof(error))
		return error;
	return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static void tell(int fd, int error)
{
	if (write(fd, &error, sizeof(error)) != sizeof(error))
		_exit(98);
	_exit(0);
}

static void start_natively(const char *path, int fd)
{
	char *words[] = { (char *) path, NULL };

	(void) execve(path, words, environ); /* its error is in errno */
	tell(fd, -errno);
}

static char interp_name[SHIM_ELF_INTERP_MAX];

static void jump(uint64_t entry)
{
	__asm__ volatile("jmp *%0" : : "r"(entry));
}

/* As the loader does it, without an engine. */
static void start_as_loader(const char *path, int fd)
{
	static struct shim_elf elf = { .interp = interp_name }, interp;
	static struct shim_program program;
	struct shim_program_check check = { .elf = &elf, .interp = &interp };
	uint64_t entry;
	int err, file;

	err = shim_may_execute(AT_FDCWD, path, 0);
	if (!err)
		err = shim_program_judge(path, -1, &check, &program);
	if (err)
		tell(fd, err);
	err = shim_elf_map(program.fd, &elf, 0);
	entry = elf.entry;
	if (!err && elf.flags & SHIM_ELF_INTERP) {
		file = open(elf.interp, O_RDONLY | O_CLOEXEC);
		err = shim_elf_map(file, &interp, 0);
		entry = interp.entry;
	}
	if (err) /* the kernel kills with this one */
		(void) raise(SIGSEGV);
	if (elf.flags & SHIM_ELF_I386) /* nobody is here to run it */
		_exit(ELF_STATUS);
	jump(entry);
}

START_TEST(file_starts_or_fails_as_with_the_kernel)
{
	const struct elf_file *f = &elf_files[_i];
	int native = outcome(start_natively, in_folder(f->name));
	int ours = outcome(start_as_loader, in_folder(f->name));

	if (f->i386 && !has_i386)
		return;
	if (f->why && ours == KILLED + SIGSEGV)
		ours = native; /* refused by the engine alone: another test */
	ck_assert_msg(native == ours, "%s: the kernel ends with %d, the loader with %d",
		      f->name, native, ours);
}
END_TEST

START_TEST(good_file_runs)
{
	const struct elf_file *f = &elf_files[_i];
	int native = outcome(start_natively, in_folder(f->name));
	int expected = f->interp   ? ELF_STATUS_INTERP
		       : f->status ? f->status
				   : ELF_STATUS;

	if (strncmp(f->name, "good", 4) != 0 || (f->i386 && !has_i386))
		return;
	if (!strcmp(f->name, "good-interp-interp"))
		expected = ELF_STATUS;
	ck_assert_msg(native == expected, "%s: the kernel ends with %d", f->name,
		      native);
}
END_TEST

START_TEST(fault_is_named)
{
	static struct shim_elf elf = { .interp = interp_name };
	const struct elf_file *f = &elf_files[_i];
	autoclose int fd = open(in_folder(f->name), O_RDONLY | O_CLOEXEC);
	int got;

	if (!f->fault)
		return;
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	got = shim_elf_map(fd, &elf, 0);
	ck_assert_msg(got == f->fault, "%s: %d, not %d", f->name, got, f->fault);
	ck_assert_ptr_nonnull(shim_elf_sentence(got));
	if (f->why)
		ck_assert_ptr_nonnull(strstr(shim_elf_sentence(got), f->why));
}
END_TEST

/* ---- memory ---- */

/* Everything that is mapped outside of [start, end), as text. */
static void describe_memory(uint64_t start, uint64_t end, char *out, size_t n)
{
	autofclose FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	size_t used = 0;

	ck_assert_ptr_nonnull(maps);
	out[0] = '\0';
	while (fgets(line, sizeof(line), maps)) {
		uint64_t from = strtoull(line, NULL, 16);

		if ((from >= start && from < end) || strstr(line, "[heap]"))
			continue;
		ck_assert_uint_lt(used + strlen(line), n);
		memcpy(out + used, line, strlen(line) + 1);
		used += strlen(line);
	}
}

static const char *rights_at(uint64_t address)
{
	static char rights[5];
	autofclose FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	ck_assert_ptr_nonnull(maps);
	memcpy(rights, "none", 5);
	while (fgets(line, sizeof(line), maps)) {
		char *at;
		uint64_t from = strtoull(line, &at, 16);
		uint64_t to = strtoull(at + 1, &at, 16);

		if (address >= from && address < to)
			memcpy(rights, at + 1, 4);
	}
	return rights;
}

static struct shim_elf mapped(const char *name, uint64_t hint)
{
	static struct shim_elf elf = { .interp = interp_name };
	static char before[65536], after[65536];
	autoclose int fd = open(in_folder(name), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	describe_memory(0, 0, before, sizeof(before));
	ck_assert_int_eq(shim_elf_map(fd, &elf, hint), 0);
	describe_memory(elf.start, elf.end, after, sizeof(after));
	ck_assert_str_eq(before, after);
	return elf;
}

static bool all_are(const unsigned char *bytes, size_t n, unsigned char value)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

START_TEST(memory_behind_the_file_is_zero)
{
	struct shim_elf elf = mapped("good-bss", 0);
	unsigned char *data = (unsigned char *) elf.start + PAGE;

	ck_assert_uint_eq(elf.start, 0x20000000);
	ck_assert_uint_eq(elf.end, 0x20000000 + 5 * PAGE);
	ck_assert_uint_eq(elf.brk, 0x20000000 + PAGE + 0x3800);
	ck_assert_uint_eq(elf.phdrs, 0x20000000 + 64);
	ck_assert(all_are(data + 0x800, 4 * PAGE - 0x800, 0));
	ck_assert_str_eq(rights_at((uint64_t) data), "rw-p");
	ck_assert_str_eq(rights_at((uint64_t) data + 2 * PAGE), "rw-p");
	ck_assert_str_eq(rights_at(elf.start), "r-xp");
	data[4 * PAGE - 1] = 1;
}
END_TEST

START_TEST(page_that_cannot_be_written_is_not_cleared)
{
	struct shim_elf elf = mapped("good-rodata-tail", 0);
	const unsigned char *tail = (unsigned char *) elf.start;

	ck_assert_uint_eq(tail[0xf00], 0);
	ck_assert_str_eq(rights_at(elf.start), "r-xp");
	ck_assert_str_eq(rights_at(elf.start + PAGE), "rwxp");
}
END_TEST

START_TEST(holes_are_holes)
{
	struct shim_elf elf = mapped("good-hole", 0);

	ck_assert_str_eq(rights_at(elf.start + PAGE), "none");
	ck_assert_str_eq(rights_at(elf.start + 0x200000), "rw-p");
	/* whole pages of the file, like the kernel, when memory has no more than the file */
	ck_assert(all_are((unsigned char *) elf.start + 0x200800, 0x800, 0xee));
}
END_TEST

START_TEST(file_goes_where_the_hint_says)
{
	struct shim_elf elf = mapped("good-hole", 0x400000000000);

	ck_assert_uint_eq(elf.start, 0x400000000000);
	ck_assert_uint_eq(elf.bias, 0x400000000000);
	ck_assert_uint_eq(elf.entry, 0x400000000800);
	elf = mapped("good-aligned", 0x410000001000);
	ck_assert_uint_eq(elf.start, 0x410000200000);
	elf = mapped("good-aligned-inside", 0x420000001000);
	ck_assert_uint_eq(elf.start, 0x420000003000);
	ck_assert_uint_eq(elf.bias, 0x420000000000);
	elf = mapped("good-aligned-inside", 0);
	ck_assert_uint_eq(elf.bias % 0x10000, 0);
}
END_TEST

START_TEST(taken_hint_is_told_and_nothing_is_lost)
{
	static struct shim_elf elf = { .interp = interp_name };
	autoclose int fd = open(in_folder("good-pie"), O_RDONLY | O_CLOEXEC);
	char *mine = mmap((void *) 0x430000000000, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_ptr_eq(mine, (void *) 0x430000000000);
	*mine = 'x';
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	ck_assert_int_eq(shim_elf_map(fd, &elf, 0x430000000000), -EEXIST);
	ck_assert_int_eq(*mine, 'x');
	ck_assert_int_eq(shim_elf_map(fd, &elf, 0x430000001000), 0);
	ck_assert_uint_eq(elf.start, 0x430000001000);
}
END_TEST

START_TEST(what_lies_in_a_hole_at_a_hint_stays)
{
	static struct shim_elf elf = { .interp = interp_name };
	autoclose int fd = open(in_folder("good-hole"), O_RDONLY | O_CLOEXEC);
	char *hole = mmap((void *) 0x450000100000, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	char *data;

	ck_assert_ptr_eq(hole, (void *) 0x450000100000);
	*hole = 'x';
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	ck_assert_int_eq(shim_elf_map(fd, &elf, 0x450000000000), -EEXIST);
	ck_assert_int_eq(*hole, 'x');
	/* neither when the second segment has no room */
	data = mmap((void *) 0x450000200000, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ck_assert_ptr_eq(data, (void *) 0x450000200000);
	*data = 'y';
	ck_assert_int_eq(shim_elf_map(fd, &elf, 0x450000000000), -EEXIST);
	ck_assert_int_eq(*hole, 'x');
	ck_assert_int_eq(*data, 'y');
	ck_assert_str_eq(rights_at(0x450000000000), "none");
}
END_TEST

START_TEST(hint_in_a_pool_is_refused)
{
	static struct shim_elf elf = { .interp = interp_name };
	autoclose int fd = open(in_folder("good-pie"), O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	ck_assert_int_eq(shim_elf_map(fd, &elf, CO_TRAP_POOL(3) + 0x5000),
			 SHIM_ELF_POOL);
	ck_assert_int_eq(shim_elf_map(fd, &elf, CO_TRAP_POOL(3) - PAGE), 0);
}
END_TEST

START_TEST(program_that_covers_a_mapping_is_refused)
{
	static struct shim_elf elf = { .interp = interp_name };
	autoclose int fd = open(in_folder("good"), O_RDONLY | O_CLOEXEC);
	char *mine = mmap((void *) 0x20000000, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_ptr_eq(mine, (void *) 0x20000000);
	*mine = 'x';
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	ck_assert_int_eq(shim_elf_map(fd, &elf, 0), SHIM_ELF_OCCUPIED);
	ck_assert_int_eq(*mine, 'x');
}
END_TEST

START_TEST(program_with_a_hole_around_a_mapping_is_taken)
{
	/* its text and its bss are 16 pages apart */
	char *mine = mmap((void *) 0x20008000, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	static struct shim_elf elf = { .interp = interp_name };
	autoclose int fd = open(in_folder("good-bss-alone"), O_RDONLY | O_CLOEXEC);

	ck_assert_ptr_eq(mine, (void *) 0x20008000);
	*mine = 'x';
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	ck_assert_int_eq(shim_elf_map(fd, &elf, 0), 0);
	ck_assert_int_eq(*mine, 'x');
	ck_assert_str_eq(rights_at(0x20010000), "rw-p");
}
END_TEST

/* The headers that were judged are those of good-hole; then they are others. */
START_TEST(file_that_changes_maps_nothing_outside)
{
	static struct shim_elf elf = { .interp = interp_name };
	static char before[65536], after[65536], bytes[2 * PAGE];
	static const char *const others[] = { "good-bss",     "wrap-end",
					      "headers-none", "segment-sizes",
					      "huge-pie",     "truncated-empty",
					      "pool",         "segment-misaligned",
					      "wrap-pie" };
	autoclose int fd =
		open(in_folder("changing"), O_RDWR | O_CREAT | O_TRUNC, 0700);
	autoclose int first = open(in_folder("good-hole"), O_RDONLY | O_CLOEXEC);
	autoclose int second = open(in_folder(others[_i]), O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int got;

	ck_assert_int_eq(read(first, bytes, sizeof(bytes)), sizeof(bytes));
	ck_assert_int_eq(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	n = read(second, bytes, sizeof(bytes));
	ck_assert_int_ge(n, 0);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, bytes, (size_t) n, 0), n);
	describe_memory(0, 0, before, sizeof(before));
	got = shim_elf_map(fd, &elf, 0x440000000000);
	ck_assert_msg(got == SHIM_ELF_CHANGED, "%s: %d", others[_i], got);
	describe_memory(0x440000000000, 0x440000201000, after, sizeof(after));
	ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(facts_of_real_programs_are_found)
{
	static struct shim_elf elf = { .interp = interp_name };
	autoclose int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(shim_elf_read(fd, &elf), 0);
	ck_assert_uint_eq(elf.file.size, (uint64_t) st.st_size);
	ck_assert_int_eq(elf.fault, 0);
	ck_assert(elf.flags & SHIM_ELF_INTERP && elf.flags & SHIM_ELF_DYNAMIC);
	ck_assert(elf.flags & SHIM_ELF_STACK && !(elf.flags & SHIM_ELF_STACK_EXEC));
	ck_assert(!(elf.flags & SHIM_ELF_GO));
	ck_assert_ptr_nonnull(strstr(elf.interp, "ld-linux"));
	ck_assert_uint_eq(elf.ranges_used, 1);
	ck_assert_uint_ge(elf.entry, elf.range[0].start);
	ck_assert_uint_lt(elf.entry, elf.range[0].end);
}
END_TEST

START_TEST(overlapping_segments_have_no_text_to_patch)
{
	struct shim_elf elf = mapped("overlap-same-page", 0);

	ck_assert(elf.flags & SHIM_ELF_OVERLAPS);
	ck_assert_uint_eq(elf.ranges_used, 0);
}
END_TEST

/* ---- scripts ---- */

/* What the program at the end of a chain is told; `words` is this program again. */
static void print_words(char **argv)
{
	for (; *argv; argv++)
		(void) printf("[%s]", *argv); /* a lost one shows */
	(void) fflush(stdout);
}

static void words_by_kernel(const char *path, char *out, size_t n)
{
	char *words[] = { "zero", "one", "", "three", NULL };
	int ends[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void) dup2(ends[1], 1);
		(void) setenv("TRAP_WORDS", "1", 1);
		(void) execve(path, words, environ);  /* errno has it */
		(void) dprintf(1, "error %d", errno); /* a lost one shows */
		_exit(0);
	}
	(void) close(ends[1]);
	while ((got = read(ends[0], out + used, n - 1 - used)) > 0)
		used += (size_t) got;
	out[used] = '\0';
	(void) close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}

static void words_by_us(const char *path, bool judge, char *out, size_t n)
{
	static const char *const rest[] = { "one", "", "three" };
	static struct shim_elf elf = { .interp = interp_name }, interp;
	static struct shim_program program;
	struct shim_program_check check = { .elf = &elf, .interp = &interp };
	size_t used = 0;
	int err = judge ? shim_program_judge(path, -1, &check, &program)
			: shim_program_open(path, -1, &program);

	if (err) {
		(void) snprintf(out, n, "error %d", -err);
		return;
	}
	(void) close(program.fd);
	for (uint32_t i = 0; i < program.nwords; i++)
		used += (size_t) snprintf(out + used, n - used, "[%s]",
					  program.words[i]);
	if (program.nwords == 0)
		used += (size_t) snprintf(out + used, n - used, "[zero]");
	for (size_t i = 0; i < 3; i++)
		used += (size_t) snprintf(out + used, n - used, "[%s]", rest[i]);
}

static size_t put(char *to, const char *text)
{
	memcpy(to, text, strlen(text));
	return strlen(text);
}

static void write_script(const char *name, const char *bytes, size_t n)
{
	autoclose int fd =
		open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t) n);
}

static void compare_words(const char *name, const char *what)
{
	static char native[8192], ours[8192];

	words_by_kernel(in_folder(name), native, sizeof(native));
	words_by_us(in_folder(name), true, ours, sizeof(ours));
	ck_assert_msg(!strcmp(native, ours), "%s:\nthe kernel: %s\nthe shim: %s", what,
		      native, ours);
	if (strncmp(native, "error", 5) == 0)
		return;
	words_by_us(in_folder(name), false, ours, sizeof(ours));
	ck_assert_str_eq(native, ours);
}

START_TEST(lines_are_taken_apart_as_by_the_kernel)
{
	/* W stands for the program, Z for NUL, L for 300 characters, M for 240 */
	static const char *const lines[] = {
		"#!W\n",
		"#! W\n",
		"#!\t W \t\n",
		"#!W -x\n",
		"#!W  -x  \n",
		"#!W -x -y\n",
		"#!W\t-x\t-y \n",
		"#!W",
		"#!W ",
		"#!W -x",
		"#!W -x Z-y\n",
		"#!WZ -x\n",
		"#!W Z\n",
		"#!",
		"#!\n",
		"#! \n",
		"#!  ",
		"#!Z",
		"#!Z\n",
		"#! Z\n",
		"#!W L\n",
		"#!W M\n",
		"#!W ML\n",
		"#!L\n",
		"#!L",
		"#!M",
		"#!ML",
		"#! \t",
		"#!/nowhere\n",
		"#!/\n",
		"#!/dev/null\n",
		"#!W\r\n",
		"# !W\n",
		"#",
		"",
		"!#W\n",
		"#!relative\n",
		"#!W ZZZZ",
		"#!W LZ",
		"#!W\n\n",
		"#!W -x\nL",
		"#!W\nL",
		"#!W\t\n",
		"#!W -x\t \t\n",
	};
	char bytes[2048];
	size_t n = 0;

	for (const char *c = lines[_i]; *c; c++) {
		if (*c == 'W')
			n += put(bytes + n, in_folder("words"));
		else if (*c == 'Z')
			bytes[n++] = '\0';
		else if (*c == 'L' || *c == 'M')
			for (int i = 0; i < (*c == 'L' ? 300 : 240); i++)
				bytes[n++] = (char) ('a' + i % 26);
		else
			bytes[n++] = *c;
	}
	write_script("line", bytes, n);
	compare_words("line", lines[_i]);
}
END_TEST
enum { LINES = 44 };

START_TEST(random_lines_are_taken_apart_as_by_the_kernel)
{
	static const char alphabet[] = "  \t\t\n\0-x#!";
	static char bytes[600];

	srandom((unsigned) _i + 1);
	for (int round = 0; round < 100; round++) {
		size_t n = 2, until = (size_t) random() % 300 + 2;

		memcpy(bytes, "#!", 2);
		while (random() % 2)
			bytes[n++] = " \t"[random() % 2];
		n += put(bytes + n, in_folder("words"));
		while (n < until)
			bytes[n++] = alphabet[(size_t) random() %
					      (round % 2 ? 10 : sizeof(alphabet) - 1)];
		write_script("line", bytes, n);
		compare_words("line", "random");
	}
}
END_TEST

/* chain-N begins a chain of N scripts that ends with the program. */
START_TEST(chains_go_as_far_as_with_the_kernel)
{
	char bytes[4096], name[32];

	for (int i = 1; i <= 8; i++) {
		int n = snprintf(
			bytes, sizeof(bytes), "#!%s -%d\n",
			i == 1 ? in_folder("words")
			       : (snprintf(name, sizeof(name), "chain-%d", i - 1),
				  in_folder(name)),
			i);

		(void) snprintf(name, sizeof(name), "chain-%d", i); /* fits */
		write_script(name, bytes, (size_t) n);
		compare_words(name, name);
	}
	(void) snprintf(bytes, sizeof(bytes), "#!%s\n", in_folder("loop")); /* fits */
	write_script("loop", bytes, strlen(bytes));
	compare_words("loop", "a loop");
}
END_TEST

START_TEST(script_by_an_inaccessible_name_is_not_found)
{
	static struct shim_elf elf = { .interp = interp_name }, interp;
	static struct shim_program program;
	struct shim_program_check check = { true, &elf, &interp };
	int fd;

	write_script("line", "#!/bin/sh\n", 10);
	fd = open(in_folder("line"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(shim_program_judge("/dev/fd/9", fd, &check, &program),
			 -ENOENT);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	fd = open(in_folder("good"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(shim_program_judge("/dev/fd/9", fd, &check, &program), 0);
	ck_assert_int_eq(program.fd, fd);
	(void) close(fd);
}
END_TEST

START_TEST(no_descriptor_is_lost)
{
	static struct shim_elf elf = { .interp = interp_name }, interp;
	static struct shim_program program;
	struct shim_program_check check = { .elf = &elf, .interp = &interp };
	int before = dup(0), after;

	(void) close(before);
	for (size_t i = 0; i < elf_files_count; i++)
		if (!shim_program_judge(in_folder(elf_files[i].name), -1, &check,
					&program))
			(void) close(program.fd);
	after = dup(0);
	(void) close(after);
	ck_assert_int_eq(before, after);
}
END_TEST

/* ---- may it be executed? ---- */

START_TEST(permission_is_the_kernels)
{
	static const struct {
		const char *path;
		int flags, error;
	} cases[] = {
		{ "good", 0, 0 },
		{ "plain", 0, EACCES },
		{ ".", 0, EACCES },
		{ "link", 0, 0 },
		{ "link", AT_SYMLINK_NOFOLLOW, ELOOP },
		{ "circle", 0, ELOOP },
		{ "good/x", 0, ENOTDIR },
		{ "absent", 0, ENOENT },
		{ "", 0, ENOENT },
		{ "fifo", 0, EACCES },
		{ "busy", 0, ETXTBSY },
	};
	autoclose int busy =
		open(in_folder("busy"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int got;

	if (symlinkat("good", dir, "link") || symlinkat("circle", dir, "circle") ||
	    mkfifo(in_folder("fifo"), 0700))
		ck_assert_int_eq(errno, EEXIST); /* from the case before */
	ck_assert_int_ge(busy, 0);
	got = shim_may_execute(dir, cases[_i].path, cases[_i].flags);
	ck_assert_msg(got == -cases[_i].error, "%s: %d", cases[_i].path, got);
}
END_TEST
enum { PERMISSIONS = 11 };

/* ---- the loader's word ---- */

START_TEST(word_is_read_and_written)
{
	static struct shim_config config, again;
	static char text[CO_TRAP_CONFIG_MAX];

	ck_assert_int_eq(shim_config_parse(&config, "cloudos1;5;1f;fedcba9876543210;"
						    "ffffffff;9;/a/loader/the/folder"),
			 0);
	ck_assert_uint_eq(config.personality, 5);
	ck_assert_uint_eq(config.flags, 0x1f);
	ck_assert_uint_eq(config.session, 0xfedcba9876543210);
	ck_assert_int_eq(config.fd, -1);
	ck_assert_uint_eq(config.loader_length, 9);
	ck_assert_int_eq(strncmp(config.loader, "/a/loader", 9), 0);
	ck_assert_str_eq(config.folder, "/the/folder");
	(void) shim_config_print(text, &config, 0x10, 77);
	ck_assert_str_eq(text,
			 "cloudos1;5;10;fedcba9876543210;4d;9;/a/loader/the/folder");
	ck_assert_int_eq(shim_config_parse(&again, text), 0);
	ck_assert_int_eq(again.fd, 77);
	ck_assert_str_eq(again.folder, "/the/folder");
}
END_TEST

START_TEST(bad_word_is_refused)
{
	static const char *const words[] = {
		"",
		"cloudos1",
		"cloudos1;",
		"cloudos2;5;0;0;0;0;",
		"cloudos1;5;0;0;0",
		"cloudos1;5;0;0;0;",
		"cloudos1;;0;0;0;0;",
		"cloudos1;a;0;0;0;0;",
		"cloudos1;5;0;0;0;1;",
		"cloudos1;5;0;0;0;ffffffffffffffff;x",
		"cloudos1;5;0;10000000000000000;0;0;",
		"cloudos1;100000000000000000000;0;0;0;0;",
		"cloudos1;5;100000000;0;0;0;",
		"cloudos1;4294967296;0;0;0;0;",
		"cloudos1;5;0;0;-1;0;",
		"cloudos1;5;0x0;0;0;0;",
		"cloudos1;5;0;F;0;0;",
		"sh",
	};
	static struct shim_config config;
	static char text[CO_TRAP_CONFIG_MAX + 1];

	for (size_t i = 0; i < co_countof(words); i++)
		ck_assert_msg(shim_config_parse(&config, words[i]) == -EINVAL, "%s",
			      words[i]);
	ck_assert_int_eq(shim_config_parse(&config, "cloudos1;5;0;0;0;0;"), 0);
	memset(text, 'x', CO_TRAP_CONFIG_MAX);
	memcpy(text, "cloudos1;5;0;0;0;0;", 19);
	ck_assert_int_eq(shim_config_parse(&config, text), -EINVAL);
	text[CO_TRAP_CONFIG_MAX - 1] = '\0';
	ck_assert_int_eq(shim_config_parse(&config, text), 0);
}
END_TEST

/* ---- all of it ---- */

static int make_folder(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (!mkdtemp(folder) || n < 0 || elf_files_write(folder))
		return -1;
	self[n] = '\0';
	return symlink(self, in_folder("words"));
}

static int remove_folder(void)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, NULL);

	for (int i = 0; i < n; i++) {
		(void) unlink(in_folder(names[i]->d_name)); /* rmdir tells */
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return rmdir(folder);
}

static void add_elf_tests(TCase *tc)
{
	int files = (int) elf_files_count;

	tcase_add_loop_test(tc, file_starts_or_fails_as_with_the_kernel, 0, files);
	tcase_add_loop_test(tc, good_file_runs, 0, files);
	tcase_add_loop_test(tc, fault_is_named, 0, files);
	tcase_add_test(tc, memory_behind_the_file_is_zero);
	tcase_add_test(tc, page_that_cannot_be_written_is_not_cleared);
	tcase_add_test(tc, holes_are_holes);
	tcase_add_test(tc, what_lies_in_a_hole_at_a_hint_stays);
	tcase_add_test(tc, file_goes_where_the_hint_says);
	tcase_add_test(tc, taken_hint_is_told_and_nothing_is_lost);
	tcase_add_test(tc, hint_in_a_pool_is_refused);
	tcase_add_test(tc, program_that_covers_a_mapping_is_refused);
	tcase_add_test(tc, program_with_a_hole_around_a_mapping_is_taken);
	tcase_add_loop_test(tc, file_that_changes_maps_nothing_outside, 0, 9);
	tcase_add_test(tc, facts_of_real_programs_are_found);
	tcase_add_test(tc, overlapping_segments_have_no_text_to_patch);
}

int main(int argc, char **argv)
{
	TCase *tc = tcase_create("elf");
	int failed;

	if (getenv("TRAP_WORDS")) {
		print_words(argv);
		return 0;
	}
	if (argc > 1) /* for others: the files alone */
		return elf_files_write(argv[1]) != 0;
	if (make_folder()) {
		perror(folder);
		return 1;
	}
	has_i386 = outcome(start_natively, in_folder("good-386")) == ELF_STATUS;
	if (!has_i386)
		(void) puts(
			"this kernel runs no i386 programs: those are not compared");
	add_elf_tests(tc);
	tcase_add_loop_test(tc, lines_are_taken_apart_as_by_the_kernel, 0, LINES);
	tcase_add_loop_test(tc, random_lines_are_taken_apart_as_by_the_kernel, 0, 8);
	tcase_add_test(tc, chains_go_as_far_as_with_the_kernel);
	tcase_add_test(tc, script_by_an_inaccessible_name_is_not_found);
	tcase_add_test(tc, no_descriptor_is_lost);
	tcase_add_loop_test(tc, permission_is_the_kernels, 0, PERMISSIONS);
	tcase_add_test(tc, word_is_read_and_written);
	tcase_add_test(tc, bad_word_is_refused);
	tcase_set_timeout(tc, 300);
	failed = run_tests(tc);
	return remove_folder() || failed;
}
