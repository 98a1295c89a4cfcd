/* SPDX-License-Identifier: MIT */
/* How a process of sandbox.h walls itself in.  HOST. */
#include "cloudosd/image/sandbox_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#ifdef __SANITIZE_ADDRESS__
enum { MEMORY_MIB = 0 }; /* shadow memory is address space, too */
#else
enum { MEMORY_MIB = 1024 };
#endif
enum { CPU_S = 1800, FILES = 300 };

#define KEPT(cap) (1U << (cap))

/* ---- owners ---- */

static int write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	autoclose int fd = -1;

	(void) snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
		return -errno;
	return 0;
}

int sandbox_map(pid_t pid)
{
	char text[64];
	int r;

	if (geteuid() == 0) {
		/* all that the caller itself can give files to */
		r = write_proc(pid, "uid_map", "0 0 4294967295\n");
		return r ? r : write_proc(pid, "gid_map", "0 0 4294967295\n");
	}
	r = write_proc(pid, "setgroups", "deny");
	(void) snprintf(text, sizeof(text), "0 %u 1\n", geteuid());
	if (!r)
		r = write_proc(pid, "uid_map", text);
	(void) snprintf(text, sizeof(text), "0 %u 1\n", getegid());
	return r ? r : write_proc(pid, "gid_map", text);
}

static int be_mapped(int link, struct co_err *err)
{
	char c = 'u';

	if (send(link, &c, 1, MSG_NOSIGNAL) != 1 || recv(link, &c, 1, 0) != 1 ||
	    c != 'y')
		return co_fail(err, CO_ACCESS,
			       "the ids of a user name space cannot be set");
	return 0;
}

/* ---- files ---- */

static int private_mounts(struct co_err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return co_fail_errno(err, errno, "cannot make mounts private");
	return 0;
}

static int add_folder(struct co_buf *options, const char *prefix, const char *path,
		      struct co_err *err)
{
	/* by descriptor: no path has a colon, a comma or too many bytes for the page; it is
	 * closed with all others */
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	co_buf_format(options, "%s/proc/self/fd/%d", prefix, fd);
	return 0;
}

static int mount_layers(const struct sandbox *s, bool rootless, struct co_err *err)
{
	autobuf struct co_buf options = { 0 };
	int r = 0;

	co_buf_text(&options, "lowerdir=");
	for (size_t i = 0; !r && i < s->layer_count; i++)
		r = add_folder(&options, i ? ":" : "", s->layers[i], err);
	if (!r && !s->layer_count)
		r = add_folder(&options, "", s->folder, err); /* it is empty */
	if (!r && s->upper)
		r = add_folder(&options, ",upperdir=", s->upper, err);
	if (!r && s->upper)
		r = add_folder(&options, ",workdir=", s->work, err);
	if (rootless)
		co_buf_text(&options, ",userxattr");
	if (r || options.failed)
		return r ? r : CO_NO_MEMORY;
	if (mount("overlay", s->folder, "overlay", MS_NOSUID | MS_NODEV, options.data))
		return co_fail_errno(err, errno,
				     "cannot lay %zu layers upon each other",
				     s->layer_count);
	return 0;
}

/* The folder becomes "/", and nothing else is left. */
static int change_root(const char *folder, struct co_err *err)
{
	autoclose int tree = open_tree(AT_FDCWD, folder,
				       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					       (unsigned) AT_RECURSIVE);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC };

	if (tree < 0)
		return co_fail_errno(err, errno, "cannot clone the mount of %s",
				     folder);
	/* nothing depends on it: there is no exec under the filter */
	(void) mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
	if (move_mount(tree, "", AT_FDCWD, folder, MOVE_MOUNT_F_EMPTY_PATH) ||
	    fchdir(tree) || syscall(SYS_pivot_root, ".", ".") ||
	    umount2(".", MNT_DETACH) || chdir("/"))
		return co_fail_errno(err, errno, "cannot make %s the root", folder);
	return 0;
}

static bool overlaid(const struct sandbox *s)
{
	return s->layers || s->upper;
}

static int wall_user(const struct sandbox *s, int link, struct co_err *err)
{
	bool root = geteuid() == 0;
	int r = 0;

	/* of root, as the kernel does it for containers: marks of layers are trusted.* */
	if (overlaid(s) && root) {
		if (unshare(CLONE_NEWNS))
			return co_fail_errno(err, errno, "no mount name space");
		r = private_mounts(err);
		if (!r)
			r = mount_layers(s, false, err);
	}
	if (!r && unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC))
		r = co_fail_errno(err, errno, "user name spaces are not allowed");
	if (!r)
		r = be_mapped(link, err);
	if (!r)
		r = private_mounts(err);
	if (!r && overlaid(s) && !root)
		r = mount_layers(s, true, err);
	return r ? r : change_root(s->folder, err);
}

static int wall_mount(const struct sandbox *s, struct co_err *err)
{
	int r;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC))
		return co_fail_errno(err, errno, "mount name spaces are not allowed");
	r = private_mounts(err);
	if (!r && overlaid(s))
		r = mount_layers(s, false, err);
	return r ? r : change_root(s->folder, err);
}

/* Where everything is that the container's own programs could reach, and nothing else. */
static int wall_live(const struct sandbox *s, struct co_err *err)
{
	/* a container without a user name space of its own shares ours: EINVAL */
	if (setns(s->live, CLONE_NEWUSER | CLONE_NEWNS) &&
	    (errno != EINVAL || setns(s->live, CLONE_NEWNS)))
		return co_fail_errno(err, errno, "cannot enter the container");
	/* our groups are none of its; EPERM: it keeps them, too, where one maps himself */
	if (setgroups(0, NULL) && errno != EPERM)
		return co_fail_errno(err, errno, "cannot leave the groups of outside");
	if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
		return co_fail_errno(err, errno, "cannot become root of the container");
	if (chdir("/"))
		return co_fail_errno(err, errno, "the container has no files");
	return 0;
}

/* ---- the rest ---- */

static int compare_fds(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/* All but these, standard output included: it is not for the job. */
static void close_others(const struct sandbox *s, int lines, int root)
{
	int keep[SANDBOX_FDS + 4] = { 2, lines, root };
	size_t n = 3;
	unsigned from = 0;

	for (size_t i = 0; i < SANDBOX_FDS && s->fds[i] >= 0; i++)
		keep[n++] = s->fds[i];
	qsort(keep, n, sizeof(*keep), compare_fds);
	for (size_t i = 0; i < n; i++) {
		if (from < (unsigned) keep[i])
			/* fails for no range of numbers that is one */
			(void) close_range(from, (unsigned) keep[i] - 1, 0);
		from = (unsigned) keep[i] + 1;
	}
	(void) close_range(from, ~0U, 0); /* as above */
}

static int limit(int what, uint64_t value)
{
	struct rlimit now, want = { value, value };

	if (getrlimit((__rlimit_resource_t) what, &now))
		return -errno;
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
		want.rlim_max = want.rlim_cur = now.rlim_max;
	return setrlimit((__rlimit_resource_t) what, &want) ? -errno : 0;
}

static int limits(struct co_err *err)
{
	int r = limit(RLIMIT_CORE, 0);

	if (!r)
		r = limit(RLIMIT_CPU, CPU_S);
	if (!r)
		r = limit(RLIMIT_NOFILE, FILES);
	if (!r && MEMORY_MIB > 0)
		r = limit(RLIMIT_AS, (uint64_t) MEMORY_MIB << 20);
	return r ? co_fail_errno(err, -r, "cannot set limits") : 0;
}

/* What files need: any owner, any mode, capabilities of programs. */
static int capabilities(struct co_err *err)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return co_fail_errno(err, errno, "cannot read capabilities");
	data[0].permitted &= KEPT(CAP_CHOWN) | KEPT(CAP_DAC_OVERRIDE) |
			     KEPT(CAP_FOWNER) | KEPT(CAP_FSETID) | KEPT(CAP_SETFCAP);
	data[0].effective = data[0].permitted;
	data[0].inheritable = data[1].permitted = data[1].effective = 0;
	data[1].inheritable = 0;
	if (syscall(SYS_capset, &header, data))
		return co_fail_errno(err, errno, "cannot drop capabilities");
	return 0;
}

static int walls(const struct sandbox *s, const struct sandbox_way *way,
		 struct co_err *err)
{
	if (s->live)
		return wall_live(s, err);
	if (way->walls == WALLS_USER)
		return wall_user(s, way->link, err);
	if (way->walls == WALLS_MOUNT)
		return wall_mount(s, err);
	if (!overlaid(s))
		return 0;
	return co_fail(err, CO_UNSUPPORTED,
		       "layers cannot be laid upon each other here: neither user name "
		       "spaces nor mounting are allowed");
}

int sandbox_enter(const struct sandbox *s, const struct sandbox_way *way, int *out_root,
		  struct co_err *err)
{
	int r = walls(s, way, err), root;

	if (r)
		return r;
	root = open(way->walls == WALLS_NONE && !s->live ? s->folder : "/",
		    O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return co_fail_errno(err, errno, "cannot open %s", s->folder);
	if (send(way->link, "w", 1, MSG_NOSIGNAL) != 1)
		return co_fail(err, CO_GONE, "who wanted it has ended");
	(void) shutdown(way->link, SHUT_RDWR); /* the other side goes on */
	close_others(s, way->lines, root);
	(void) umask(0);
	r = limits(err);
	if (!r)
		r = capabilities(err);
	/* after the last change of credentials, which would clear it */
	if (!r && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != way->parent))
		r = co_fail(err, CO_GONE, "who wanted it has ended");
	if (!r && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		r = co_fail_errno(err, errno, "cannot set no_new_privs");
	if (!r) {
		r = sandbox_filter();
		if (r)
			r = co_fail_errno(err, -r, "cannot load a filter");
	}
	*out_root = root;
	return r;
}
