/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  `#!` chains, and whether a file may be executed; see program.h.  The order of the
 * checks is the kernel's (fs/exec.c, fs/binfmt_script.c), so that the first error is the
 * same.
 */
#include <shim/program.h>
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>

#include <stddef.h>

#ifndef AT_EXECVE_CHECK /* Linux 6.14 */
#define AT_EXECVE_CHECK 0x10000
#endif

/* lsm_list_modules (6.8), and who is in uapi/linux/lsm.h: from Yama to Landlock none of
 * them judges programs */
enum { LIST_MODULES = 461, CAPABILITY = 100, YAMA = 105, LANDLOCK = 110, MODULES_MAX = 32 };
enum { NOWHERE = -8 }; /* no address of any program */

static void close(long fd)
{
	if (fd >= 0)
		(void) shim_syscall(__NR_close, fd, 0, 0, 0, 0, 0); /* only read from */
}

/*
 * exec needs no descriptor, but this does: where the soft limit is reached it is raised for
 * a moment.  What was opened meanwhile stays open.
 */
static int open_at(int folder, const char *path, long flags)
{
	struct rlimit64 limit, more;
	long fd = shim_syscall(__NR_openat, folder, (long) path, flags, 0, 0, 0);

	if (fd != -EMFILE ||
	    shim_syscall(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, (long) &limit, 0, 0))
		return (int) fd;
	more = limit;
	more.rlim_cur = limit.rlim_max;
	(void) shim_syscall(__NR_prlimit64, 0, RLIMIT_NOFILE, (long) &more, 0, 0,
			    0); /* openat tells */
	fd = shim_syscall(__NR_openat, folder, (long) path, flags, 0, 0, 0);
	(void) shim_syscall(__NR_prlimit64, 0, RLIMIT_NOFILE, (long) &limit, 0, 0,
			    0); /* downwards it cannot fail */
	return (int) fd;
}

int shim_open_program(int folder, const char *path)
{
	/* a program is a regular file, so this never waits; what is not has been refused */
	return open_at(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* ---- may a file be executed? ---- */

/*
 * Is there a security module that has a say when a program is executed?  Before Linux 6.8
 * nobody tells, and then it cannot be asked either.
 */
static bool module_judges(void)
{
	uint64_t ids[MODULES_MAX];
	uint32_t size = sizeof(ids);
	long n = shim_syscall(LIST_MODULES, (long) ids, (long) &size, 0, 0, 0, 0);

	for (long i = 0; i < n; i++)
		if (ids[i] != CAPABILITY && (ids[i] < YAMA || ids[i] > LANDLOCK))
			return true;
	return n < 0;
}

/*
 * An exec that goes as far as its words, which nobody can read: then all is well with the
 * file.  To ask (6.14) takes twice the time, but asks security modules too.
 */
int shim_may_execute(int folder, const char *path, int flags)
{
	/* without any word the kernel would write to its log */
	static const char *const words[] = { "", NULL };
	long r = -EINVAL;

	if (module_judges())
		r = shim_syscall(__NR_execveat, folder, (long) path, (long) words, 0,
				 flags | AT_EXECVE_CHECK, 0);
	if (r == -EINVAL)
		r = shim_syscall(__NR_execveat, folder, (long) path, NOWHERE, 0, flags, 0);
	return r == -EFAULT ? 0 : (int) r;
}

/* The file that another one names. */
static int judge_named(const char *path)
{
	/* no name at all is the current folder to the kernel */
	return *path == '\0' ? -EACCES : shim_may_execute(AT_FDCWD, path, 0);
}

/* ---- scripts ---- */

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The first character that is not blank, or the first that ends a word; NULL: none. */
static char *skip_blanks(char *at, const char *last)
{
	while (at <= last && blank(*at))
		at++;
	return at <= last ? at : NULL;
}

static char *skip_word(char *at, const char *last)
{
	while (at <= last && !blank(*at) && *at != '\0')
		at++;
	return at <= last ? at : NULL;
}

static char *end_of_line(char *line)
{
	char *last = line + SHIM_SCRIPT_LINE - 1;
	char *name;

	for (char *at = line; at <= last; at++)
		if (*at == '\n')
			return at;
	/* No newline: the argument may be cut off, the interpreter's name may not. */
	name = skip_blanks(line + 2, last);
	return name != NULL && skip_word(name, last) != NULL ? last : NULL;
}

/* Takes the line apart in its place: 0 or -ENOEXEC.  `argument` may be NULL. */
static int parse_line(char *line, const char **name, const char **argument)
{
	char *end = end_of_line(line);
	char *start, *word_end;

	if (end == NULL)
		return -ENOEXEC;
	while (blank(end[-1]))
		end--;
	start = skip_blanks(line + 2, end);
	if (start == NULL || start == end)
		return -ENOEXEC;
	*argument = NULL;
	word_end = skip_word(start, end);
	if (word_end != NULL && *word_end != '\0')
		*argument = skip_blanks(word_end, end);
	*end = '\0';
	if (word_end != NULL)
		*word_end = '\0';
	*name = start;
	return 0;
}

/* [interpreter, argument,] in front of what is there; `script` in place of its argv[0]. */
static void add_words(struct shim_program *out, const char *script, const char *name,
		      const char *argument)
{
	uint32_t more = argument != NULL ? 2 : 1;

	if (out->nwords == 0)
		out->nwords = 1;
	out->words[0] = script;
	memmove(out->words + more, out->words, out->nwords * sizeof(out->words[0]));
	out->words[0] = name;
	if (argument != NULL)
		out->words[1] = argument;
	out->nwords += more;
}

/*
 * From the file in out->fd to that of its interpreter.  1: it is no script; 0: another
 * file is there now.
 */
static int follow(struct shim_program *out, uint32_t depth,
		  const struct shim_program_check *check)
{
	char head[SHIM_SCRIPT_LINE] = { 0 };
	char *line = depth < SHIM_SCRIPT_DEPTH ? out->lines[depth] : head;
	const char *name, *argument;
	long r;

	memset(line, 0, SHIM_SCRIPT_LINE);
	r = shim_syscall(__NR_pread64, out->fd, (long) line, SHIM_SCRIPT_LINE, 0, 0, 0);
	if (r < 0)
		return (int) r;
	if (line[0] != '#' || line[1] != '!')
		return 1;
	r = parse_line(line, &name, &argument);
	if (r)
		return (int) r;
	if (check != NULL && check->inaccessible)
		return -ENOENT;
	r = check != NULL ? judge_named(name) : 0;
	if (r)
		return (int) r;
	if (depth == SHIM_SCRIPT_DEPTH)
		return -ELOOP;
	close(out->fd);
	out->fd = shim_open_program(AT_FDCWD, name);
	if (out->fd < 0)
		return out->fd;
	add_words(out, out->path, name, argument);
	out->path = name;
	return 0;
}

/* ---- the ELF interpreter ---- */

SHIM_HOT static struct shim_file known;

void shim_interp_known(const struct shim_file *file)
{
	known = *file;
}

/* For everybody, as root and others become one another. */
static bool is_known(const char *path)
{
	struct shim_file file;
	struct stat st;

	if (known.inode == 0 ||
	    shim_syscall(__NR_stat, (long) path, (long) &st, 0, 0, 0, 0) != 0)
		return false;
	file = shim_file_from(&st);
	return memcmp(&file, &known, sizeof(file)) == 0 && (st.st_mode & 0555) == 0555;
}

static int judge_elf(const struct shim_program *program,
		     const struct shim_program_check *check)
{
	int r = shim_elf_read(program->fd, check->elf);
	int fd;

	if (r || (check->elf->flags & SHIM_ELF_INTERP) == 0 ||
	    is_known(check->elf->interp))
		return r;
	r = judge_named(check->elf->interp);
	if (r)
		return r;
	fd = shim_open_program(AT_FDCWD, check->elf->interp);
	if (fd < 0)
		return fd;
	r = shim_elf_read_interp(fd, check->elf, check->interp);
	close(fd);
	return r;
}

int shim_program_judge(const char *path, int fd, const struct shim_program_check *check,
		       struct shim_program *out)
{
	int r = 0;

	out->nwords = 0;
	out->path = path;
	out->fd = fd < 0 ? shim_open_program(AT_FDCWD, path) : fd;
	if (out->fd < 0)
		return out->fd;
	for (uint32_t depth = 0; r == 0; depth++)
		r = follow(out, depth, check);
	if (r == 1)
		r = check != NULL ? judge_elf(out, check) : 0;
	if (r)
		close(out->fd);
	return r;
}

int shim_program_open(const char *path, int fd, struct shim_program *out)
{
	int r = shim_program_judge(path, fd, NULL, out);

	/* a descriptor that came with exec has to be closed by itself next time */
	if (r == 0 && fd >= 0)
		(void) shim_syscall(__NR_fcntl, out->fd, F_SETFD, FD_CLOEXEC, 0, 0, 0);
	return r;
}
