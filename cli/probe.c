/* SPDX-License-Identifier: MIT */
/* Probes of the box: name spaces, cgroups, Landlock, descriptors of processes.  HOST. */
#include "cli/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

static void probe_kernel(struct co_probe_box *out)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	(void) snprintf(out->release, sizeof(out->release), "%s", u.release);
	(void) sscanf(u.release, "%u.%u", &out->major, &out->minor); /* else 0.0 */
}

/* ---- user name spaces ---- */

static bool write_once(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);
}

/* In the child; the exit status is the errno that stopped it. */
__attribute__((noreturn)) static void enter_userns(void)
{
	char map[64];

	(void) snprintf(map, sizeof(map), "0 %u 1\n", (unsigned) geteuid());
	if (unshare(CLONE_NEWUSER) < 0)
		_exit(errno & 0x7f);
	if (!write_once("/proc/self/uid_map", map))
		_exit(errno & 0x7f);
	_exit(0);
}

static void probe_userns(struct co_probe_box *out)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		enter_userns();
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		(void) snprintf(out->userns_why, sizeof(out->userns_why),
				"the probe could not run");
		return;
	}
	out->userns = WEXITSTATUS(status) == 0;
	if (!out->userns)
		(void) snprintf(out->userns_why, sizeof(out->userns_why),
				"unshare says: %s", strerror(WEXITSTATUS(status)));
}

/* ---- control groups ---- */

/* The path of our group in the hierarchy whose line in /proc/self/cgroup begins so. */
static bool own_group(const char *begin, const char *mount, char *out, size_t n)
{
	autofclose FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f)) {
		char *path = strstr(line, begin);

		if (!path || (begin[0] != ':' && path != line))
			continue;
		path += strlen(begin);
		path[strcspn(path, "\n")] = 0;
		return (size_t) snprintf(out, n, "%s%s", mount, path) < n;
	}
	return false;
}

/* mkdir is the only honest question; the group is removed at once. */
static bool can_make_group(const char *group, int *out_errno)
{
	char probe[8192];

	(void) snprintf(probe, sizeof(probe), "%s/cloudos-probe-%d", group,
			(int) getpid());
	if (mkdir(probe, 0755) < 0) {
		*out_errno = errno;
		return false;
	}
	(void) rmdir(probe); /* empty, ours: cannot fail */
	return true;
}

static enum co_cgroup cgroup_kind(void)
{
	struct statfs fs;

	if (statfs(CGROUP_ROOT, &fs) < 0)
		return CO_CGROUP_NONE;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		return CO_CGROUP_V2;
	if (statfs(CGROUP_ROOT "/unified", &fs) == 0 &&
	    fs.f_type == CGROUP2_SUPER_MAGIC)
		return CO_CGROUP_HYBRID;
	if (statfs(CGROUP_ROOT "/pids", &fs) == 0 && fs.f_type == CGROUP_SUPER_MAGIC)
		return CO_CGROUP_V1;
	return CO_CGROUP_NONE;
}

static void probe_cgroup(struct co_probe_box *out)
{
	char group[4200] = "";
	bool found;
	int why = ENOENT;

	out->cgroup = cgroup_kind();
	if (out->cgroup == CO_CGROUP_V2)
		found = own_group("0::", CGROUP_ROOT, group, sizeof(group));
	else /* limits live in the v1 hierarchies, also on a hybrid box */
		found = own_group(":pids:", CGROUP_ROOT "/pids", group, sizeof(group));
	out->cgroup_delegated =
		out->cgroup != CO_CGROUP_NONE && found && can_make_group(group, &why);
	if (!out->cgroup_delegated)
		(void) snprintf(out->cgroup_why, sizeof(out->cgroup_why),
				"cannot make a group below %.120s: %s",
				found ? group : CGROUP_ROOT, strerror(why));
}

/* ---- small things ---- */

static void probe_pidfd(struct co_probe_box *out)
{
	autoclose int pidfd = (int) syscall(SYS_pidfd_open, getpid(), 0);
	autoclose int copy = -1;

	out->pidfd = pidfd >= 0;
	if (pidfd < 0)
		return;
	copy = (int) syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
	out->pidfd_getfd = copy >= 0;
}

static void probe_memfd(struct co_probe_box *out)
{
	autoclose int fd =
		memfd_create("cloudos probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	out->memfd_seal = fd >= 0 && ftruncate(fd, 4096) == 0 &&
			  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0 &&
			  ftruncate(fd, 8192) < 0 && errno == EPERM;
}

void co_probe_box(struct co_probe_box *out)
{
	long abi;

	memset(out, 0, sizeof(*out));
	probe_kernel(out);
	probe_userns(out);
	probe_cgroup(out);
	probe_pidfd(out);
	probe_memfd(out);
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
		      LANDLOCK_CREATE_RULESET_VERSION);
	out->landlock = abi > 0 ? (int) abi : 0;
}

void co_probe(struct co_probe *out)
{
	co_probe_notify(&out->notify);
	co_probe_trap(&out->trap);
	co_probe_ptrace(&out->ptrace);
	co_probe_box(&out->box);
}
