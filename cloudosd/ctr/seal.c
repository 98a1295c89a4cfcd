/* SPDX-License-Identifier: MIT */
/* Running from a file that a container cannot change.  HOST. */
#include "cloudosd/ctr/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SEALED_MARK "CLOUDOS_CTR_SEALED"

/* A sealed copy, a read-only mount, or a file that our user cannot write to. */
static bool is_safe(int exe)
{
	int seals = fcntl(exe, F_GET_SEALS);
	struct statvfs fs;

	if (seals >= 0)
		return (seals & F_SEAL_WRITE) != 0;
	if (fstatvfs(exe, &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return true;
	return geteuid() != 0 && access("/proc/self/exe", W_OK) < 0;
}

static bool is_owner(int exe)
{
	struct stat st;

	return fstat(exe, &st) < 0 || st.st_uid == geteuid();
}

static int read_only_mount(const char *path)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	autoclose int fd = (int) syscall(SYS_open_tree, AT_FDCWD, path,
					 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return -1;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		return -1;
	return take_fd(fd);
}

static int sealed_copy(int exe, struct co_err *err)
{
	autoclose int fd =
		memfd_create("cloudos-ctr", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	struct stat st;
	off_t done = 0;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("cloudos-ctr", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fstat(exe, &st) < 0)
		return co_fail_errno(err, errno, "no memory for a copy of ourselves");
	while (done < st.st_size) {
		ssize_t n = sendfile(fd, exe, &done, (size_t) (st.st_size - done));

		if (n <= 0)
			return co_fail_errno(err, n < 0 ? errno : EIO,
					     "no copy of ourselves could be made");
	}
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return co_fail_errno(err, errno,
				     "a copy of ourselves cannot be sealed");
	return take_fd(fd);
}

int ctr_seal_open(const char *path, int *out_fd, struct co_err *err)
{
	autoclose int exe = open(path, O_RDONLY | O_CLOEXEC);
	int safe;

	if (exe < 0)
		return co_fail_errno(err, errno, "%s cannot be opened", path);
	safe = read_only_mount(path);
	if (safe < 0)
		safe = sealed_copy(exe, err);
	if (safe < 0)
		return safe;
	*out_fd = safe;
	return 0;
}

/* The copy does not know where it came from; programs beside it are still wanted. */
static void remember_folder(const char *program)
{
	char path[4096];
	char *slash;

	if (strlen(program) >= sizeof(path))
		return;
	memcpy(path, program, strlen(program) + 1);
	slash = strrchr(path, '/');
	if (!slash || slash == path)
		return;
	*slash = 0;
	(void) setenv("CLOUDOS_LIBEXECDIR", path,
		      0); /* no memory: they are not found */
}

int ctr_seal_self(char *const argv[], struct co_err *err)
{
	autoclose int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	autoclose int safe = -1;
	char path[4096];
	ssize_t n;

	if (exe < 0)
		return co_fail_errno(
			err, errno,
			"/proc/self/exe cannot be opened: is /proc mounted?");
	if (is_safe(exe) &&
	    (geteuid() == 0 || !is_owner(exe) || fcntl(exe, F_GET_SEALS) >= 0)) {
		if (argv[0][0] == '/') /* whoever has sealed us says what we are */
			remember_folder(argv[0]);
		return 0;
	}
	if (getenv(SEALED_MARK)) /* we were here: it did not help */
		return co_fail(err, CO_ACCESS, "we cannot run from a protected copy");
	safe = read_only_mount("/proc/self/exe");
	if (safe < 0)
		safe = sealed_copy(exe, err);
	if (safe < 0)
		return safe;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	remember_folder(path);
	(void) setenv(SEALED_MARK, "1", 1); /* without it we might go round */
	(void) syscall(SYS_execveat, safe, "", argv, environ, AT_EMPTY_PATH);
	return co_fail_errno(err, errno,
			     "we cannot execute a protected copy of ourselves");
}
