/* SPDX-License-Identifier: MIT */
/* Landlock.  HOST. */
#include "cloudosd/ctr/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* Of linux/landlock.h, which in Debian 12 knows the first three versions only. */
enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_ALL_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,      /* 2 */
	FS_TRUNCATE = 1 << 14,   /* 3 */
	FS_IOCTL_DEV = 1 << 15,  /* 5 */
	SCOPE_ABSTRACT = 1 << 0, /* 6 */
	SCOPE_SIGNAL = 1 << 1,
	OF_FILES =
		FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
	RULE_PATH = 1,
	ASK_VERSION = 1
};

struct ruleset {
	uint64_t files, net, scoped;
};

struct rule {
	uint64_t allowed;
	int32_t folder;
} __attribute__((packed));

int ctr_landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);

	return version > 0 ? (int) version : 0;
}

static int allow(int set, const char *path, uint64_t what, struct co_err *err)
{
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	struct rule rule = { what, fd };
	struct stat st;

	if (fd < 0)
		return 0; /* not there: nothing to be allowed */
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= OF_FILES;
	if (syscall(SYS_landlock_add_rule, set, RULE_PATH, &rule, 0) < 0)
		return co_fail_errno(err, errno, "Landlock refuses a rule for %s",
				     path);
	return 0;
}

int ctr_landlock_apply(const char *const *writable, size_t n, struct co_err *err)
{
	int version = ctr_landlock_version(), r;
	size_t size = version < 4 ? 8 : version < 6 ? 16 : 24;
	struct ruleset all = { .files = FS_ALL_1 };
	autoclose int set = -1;

	if (!version)
		return 0;
	all.files |= (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0) |
		     (version >= 5 ? FS_IOCTL_DEV : 0);
	if (version >= 6)
		all.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	set = (int) syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (set < 0)
		return co_fail_errno(err, errno, "Landlock cannot be used");
	r = allow(set, "/", FS_EXECUTE | FS_READ_FILE | FS_READ_DIR, err);
	for (size_t i = 0; !r && i < n; i++)
		r = allow(set, writable[i], all.files, err);
	if (!r && syscall(SYS_landlock_restrict_self, set, 0) < 0)
		r = co_fail_errno(err, errno, "Landlock cannot be used");
	return r;
}
