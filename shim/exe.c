/* SPDX-License-Identifier: MIT */
/*
 * GUEST.  /proc/self/exe: the kernel would name the loader there.  Called by dispatch.c
 * for calls that follow a path; those that do not follow its last link, make a file or
 * want a folder are let through unread.
 */
#include <shim/rt/fmt.h>
#include <shim/rt/kernel.h>
#include <shim/rt/mem.h>
#include <shim/rt/syscall_x86_64.h>
#include <shim/shim.h>
#include <shim/site.h>

enum { LONGEST = 40 }; /* "/proc/4194304/task/4194304/exe" and its NUL */

static size_t length_of(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

static const char *skip(const char *at, const char *word)
{
	while (*word && *at == *word) {
		at++;
		word++;
	}
	return *word ? NULL : at;
}

static const char *skip_number(const char *at, long number)
{
	char digits[24];
	struct shim_fmt out = shim_fmt_init(digits, sizeof(digits));

	shim_fmt_dec(&out, number);
	return skip(at, digits);
}

static const char *skip_process(const char *at)
{
	const char *behind = skip(at, "self");

	if (!behind)
		behind = skip(at, "thread-self");
	return behind ? behind
		      : skip_number(at, shim_syscall(__NR_getpid, 0, 0, 0, 0, 0, 0));
}

bool shim_is_own_exe(const char *path)
{
	const char *at = skip(path, "/proc/");
	const char *task;

	at = at ? skip_process(at) : NULL;
	task = at ? skip(at, "/task/") : NULL;
	if (task)
		at = skip_number(task, shim_syscall(__NR_gettid, 0, 0, 0, 0, 0, 0));
	at = at ? skip(at, "/exe") : NULL;
	return at && *at == '\0';
}

static char own[4096];

void shim_own_path_know(int fd)
{
	char link[48];
	struct shim_fmt out = shim_fmt_init(link, sizeof(link));

	shim_fmt_text(&out, "/proc/self/fd/");
	shim_fmt_dec(&out, fd);
	(void) shim_syscall(__NR_readlink, (long) link, (long) own, sizeof(own) - 1, 0, 0,
			    0);
}

const char *shim_own_path(void)
{
	const char *path;

	shim_lock();
	path = own[0] ? NULL : shim_mapped_path(shim.program);
	if (path) {
		struct shim_fmt out = shim_fmt_init(own, sizeof(own));

		shim_fmt_text(&out, path);
	}
	shim_unlock();
	return own[0] ? own : NULL;
}

/* Is it the path of the guest's own program? */
static bool named(uint64_t path)
{
	char text[LONGEST];

	/* nearly every path is told by its first word, in one copy */
	if ((path & 4095) <= 4096 - 8) {
		if (shim_peek(text, path, 8) || memcmp(text, "/proc/", 6) != 0)
			return false;
	}
	return shim_read_string(text, path, sizeof(text)) > 0 && shim_is_own_exe(text);
}

static enum shim_verdict readlink(struct shim_call *call, uint64_t path, uint64_t to,
				  uint64_t size)
{
	const char *own_path = named(path) ? shim_own_path() : NULL;
	size_t length;

	if (!own_path)
		return SHIM_KERNEL;
	if ((int64_t) size <= 0)
		return shim_answer(call, -EINVAL);
	length = length_of(own_path);
	if (length > size)
		length = size;
	return shim_answer(call, shim_write(to, own_path, length) ? -EFAULT
								  : (long) length);
}

enum shim_verdict shim_on_readlink(struct shim_call *call)
{
	return readlink(call, call->args[0], call->args[1], (uint64_t) (int) call->args[2]);
}

enum shim_verdict shim_on_readlinkat(struct shim_call *call)
{
	return readlink(call, call->args[1], call->args[2], (uint64_t) (int) call->args[3]);
}

/* The same call, with the program's path in place of argument `which`. */
static enum shim_verdict instead(struct shim_call *call, unsigned which)
{
	uint64_t a[6];

	memcpy(a, call->args, sizeof(a));
	a[which] = (uint64_t) own;
	return shim_answer(call, shim_syscall((long) call->number, (long) a[0],
					      (long) a[1], (long) a[2], (long) a[3],
					      (long) a[4], (long) a[5]));
}

static enum shim_verdict by_path(struct shim_call *call, unsigned which)
{
	return named(call->args[which]) && shim_own_path() ? instead(call, which)
							   : SHIM_KERNEL;
}

static enum shim_verdict open_by(struct shim_call *call, unsigned which, uint64_t flags)
{
	if (flags & (O_CREAT | O_DIRECTORY | O_NOFOLLOW))
		return SHIM_KERNEL;
	return by_path(call, which);
}

enum shim_verdict shim_on_open(struct shim_call *call)
{
	return open_by(call, 0, call->args[1]);
}

enum shim_verdict shim_on_openat(struct shim_call *call)
{
	return open_by(call, 1, call->args[2]);
}

enum shim_verdict shim_on_stat(struct shim_call *call)
{
	return by_path(call, 0);
}

enum shim_verdict shim_on_newfstatat(struct shim_call *call)
{
	return call->args[3] & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ? SHIM_KERNEL
								     : by_path(call, 1);
}

enum shim_verdict shim_on_statx(struct shim_call *call)
{
	return call->args[2] & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ? SHIM_KERNEL
								     : by_path(call, 1);
}
