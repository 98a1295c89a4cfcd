/* SPDX-License-Identifier: MIT */
/* Kernel parameters of a container's name spaces.  HOST, inside. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

/* Names with a trailing dot are the beginning of many. */
static const struct {
	const char *name;
	int kind;
	const char *kind_name;
} owners[] = {
	{ "net.", CLONE_NEWNET, "network" },
	{ "fs.mqueue.", CLONE_NEWIPC, "ipc" },
	{ "kernel.msgmax", CLONE_NEWIPC, "ipc" },
	{ "kernel.msgmnb", CLONE_NEWIPC, "ipc" },
	{ "kernel.msgmni", CLONE_NEWIPC, "ipc" },
	{ "kernel.msg_next_id", CLONE_NEWIPC, "ipc" },
	{ "kernel.sem", CLONE_NEWIPC, "ipc" },
	{ "kernel.sem_next_id", CLONE_NEWIPC, "ipc" },
	{ "kernel.shmall", CLONE_NEWIPC, "ipc" },
	{ "kernel.shmmax", CLONE_NEWIPC, "ipc" },
	{ "kernel.shmmni", CLONE_NEWIPC, "ipc" },
	{ "kernel.shm_next_id", CLONE_NEWIPC, "ipc" },
	{ "kernel.shm_rmid_forced", CLONE_NEWIPC, "ipc" },
	{ "kernel.domainname", CLONE_NEWUTS, "uts" },
	{ "user.", CLONE_NEWUSER, "user" },
};

/* As sysctl(8): whichever of '.' and '/' comes first separates, the other is part of a
 * name. */
static int normal_name(const char *name, char dots[256], char path[264])
{
	size_t n = strlen(name), first = strcspn(name, "./");
	bool slashes = name[first] == '/';

	if (n == 0 || n >= 256 || strstr(name, ".."))
		return -EINVAL;
	(void) snprintf(path, 264, "sys/%s", name); /* compared */
	memcpy(dots, name, n + 1);
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		if (c == '.' || c == '/') {
			dots[i] = slashes == (c == '/') ? '.' : '/';
			path[i + 4] = slashes == (c == '/') ? '/' : '.';
		}
	}
	return strstr(path, "/../") || strstr(path, "//") ? -EINVAL : 0;
}

static int is_ours(const struct ctr_config *config, const char *dots,
		   struct co_err *err)
{
	if (strcmp(dots, "kernel.hostname") == 0)
		return co_fail(
			err, CO_INVALID,
			"the parameter kernel.hostname is what \"hostname\" is for");
	for (size_t i = 0; i < co_countof(owners); i++) {
		size_t n = strlen(owners[i].name);
		bool many = owners[i].name[n - 1] == '.';

		if (many ? strncmp(dots, owners[i].name, n) != 0
			 : strcmp(dots, owners[i].name) != 0)
			continue;
		if (ctr_config_namespace(config, owners[i].kind))
			return 0;
		return co_fail(
			err, CO_ACCESS,
			"the parameter %s is the host's: the container has no %s "
			"name space of its own",
			dots, owners[i].kind_name);
	}
	return co_fail(err, CO_ACCESS,
		       "the parameter %s is of the whole machine and no container may "
		       "set it",
		       dots);
}

/* A /proc that nobody can have mounted something on. */
static int open_proc(int *out, struct co_err *err)
{
	struct rootfs_new what = { .type = "proc", .source = "proc" };
	autoclose int host = -1;
	struct statfs fs;
	char why[256];

	if (rootfs_fs_new(&what, out, why) == 0)
		return 0;
	host = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (host < 0 || fstatfs(host, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return co_fail(err, CO_NOT_FOUND,
			       "there is no /proc for setting kernel parameters");
	*out = take_fd(host);
	return 0;
}

static int set(int proc, const char *dots, const char *path, const char *value,
	       struct co_err *err)
{
	autoclose int fd =
		rootfs_openat2(proc, path, O_WRONLY,
			       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	size_t n = strlen(value);

	if (fd < 0 && errno == ENOENT)
		return co_fail(err, CO_NOT_FOUND,
			       "this kernel has no parameter %s (or the name space has "
			       "not)",
			       dots);
	if (fd < 0 || write(fd, value, n) != (ssize_t) n)
		return co_fail_errno(err, errno, "cannot set the parameter %s to %s",
				     dots, value);
	return 0;
}

int ctr_rootfs_sysctl(const struct ctr_config *config, struct co_err *err)
{
	autoclose int proc = -1;
	int status = 0;

	for (size_t i = 0; status == 0 && i < config->sysctl.count; i++) {
		const struct ctr_pair *p = &config->sysctl.at[i];
		char dots[256], path[264];

		if (normal_name(p->name, dots, path) < 0)
			return co_fail(err, CO_INVALID, "%s is no name of a parameter",
				       p->name);
		status = is_ours(config, dots, err);
		if (status == 0 && proc < 0)
			status = open_proc(&proc, err);
		if (status == 0)
			status = set(proc, dots, path, p->value, err);
	}
	return status;
}
