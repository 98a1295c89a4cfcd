/* SPDX-License-Identifier: MIT */
/*
 * Overlays.  HOST.
 *
 * Layers are given to the kernel as descriptors of detached mounts.  Kernels before 6.15
 * want names: there a process in a mount name space of its own puts the same mounts into an
 * empty folder, 0, 1, 2..., which also keeps the list of many layers short.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

bool rootfs_overlay_by_name;

/* Everything of an overlay that is opened before it is made. */
struct parts {
	const struct ctr_extension *x;
	struct rootfs_source *from;
	int fs;
	int work_tree; /* the folder of upper and work; -1: by path */
};

/* The tree of one folder, its ids mapped if they are to be.  It stays open until the
 * container is under way: closing a detached mount takes time. */
static int part_tree(struct parts *p, const char *path, int *out, struct co_err *err)
{
	struct ctr_rootfs *keep = &p->from->keep;
	int tree = rootfs_tree_open(path, false);

	if (tree < 0)
		return co_fail_errno(err, errno, "cannot open the layer %s", path);
	if (keep->spare_count == CTR_ROOTFS_FDS) {
		(void) close(tree); /* a detached mount */
		return co_fail(err, CO_TOO_BIG, "an image has more than %d layers",
			       CTR_ROOTFS_FDS - 1);
	}
	keep->spare[keep->spare_count++] = tree;
	*out = tree;
	return p->from->maps < 0
		       ? 0
		       : rootfs_tree_idmap(tree, false, p->from->maps, path, err);
}

static int upper_tree(struct parts *p, struct co_err *err)
{
	char parent[4096];

	(void) snprintf(parent, sizeof(parent), "%.*s",
			(int) (strrchr(p->x->upper, '/') - p->x->upper),
			p->x->upper); /* looked at by rootfs_root_open */
	return part_tree(p, parent, &p->work_tree, err);
}

static const char *last_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* ---- with descriptors ---- */

static int set_folder(struct parts *p, const char *key, const char *path, int fd,
		      struct co_err *err)
{
	int done = fd >= 0 ? fsconfig(p->fs, FSCONFIG_SET_FD, key, NULL, fd)
			   : fsconfig(p->fs, FSCONFIG_SET_STRING, key, path, 0);

	if (done == 0)
		return 0;
	return co_fail_errno(err, errno, "cannot use %s in an overlay", path);
}

static int set_flag(struct parts *p, const char *flag, struct co_err *err)
{
	if (fsconfig(p->fs, FSCONFIG_SET_FLAG, flag, NULL, 0) == 0)
		return 0;
	return co_fail_errno(err, errno, "cannot make an overlay with %s", flag);
}

static int add_layers(struct parts *p, struct co_err *err)
{
	for (size_t i = 0; i < p->x->layers.count; i++) {
		const char *path = p->x->layers.at[i];
		int tree = -1, status = 0;

		if (p->from->maps >= 0)
			status = part_tree(p, path, &tree, err);
		if (status == 0)
			status = set_folder(p, "lowerdir+", path, tree, err);
		if (status < 0)
			return status;
	}
	return 0;
}

static int add_upper(struct parts *p, struct co_err *err)
{
	const uint64_t how = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	autoclose int upper = -1, work = -1;
	int status = 0;

	if (p->from->maps >= 0) {
		status = upper_tree(p, err);
		if (status < 0)
			return status;
		upper = openat(p->work_tree, last_name(p->x->upper), (int) how);
		work = openat(p->work_tree, last_name(p->x->work), (int) how);
		if (upper < 0 || work < 0)
			return co_fail_errno(err, errno, "cannot open %s",
					     upper < 0 ? p->x->upper : p->x->work);
	}
	status = set_folder(p, "upperdir", p->x->upper, upper, err);
	if (status == 0)
		status = set_folder(p, "workdir", p->x->work, work, err);
	if (status == 0 && p->x->scratch)
		status = set_flag(p, "volatile", err);
	return status;
}

static int create(struct parts *p, int *out, struct co_err *err)
{
	char text[256];
	int mount;

	if (fsconfig(p->fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		int errnum = errno;
		ssize_t n = read(p->fs, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = 0;
		text[strcspn(text, "\n")] = 0;
		return co_fail_errno(err, errnum, "cannot make the overlay%s%s",
				     text[0] ? ": " : "", text);
	}
	mount = fsmount(p->fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
	if (mount < 0)
		return co_fail_errno(err, errno, "cannot mount the overlay");
	*out = mount;
	return 0;
}

static int by_descriptors(struct parts *p, int *out, struct co_err *err)
{
	autoclose int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	int status;

	if (fs < 0)
		return co_fail(err, CO_UNSUPPORTED,
			       "this kernel has no overlay file system");
	p->fs = fs;
	status = add_layers(p, err);
	if (status == 0 && p->x->upper)
		status = add_upper(p, err);
	/* in a user name space, trusted.* is not ours to write */
	if (status == 0 && p->from->inside)
		status = set_flag(p, "userxattr", err);
	return status < 0 ? status : create(p, out, err);
}

/* ---- with names ---- */

enum { OPTIONS = 4096 }; /* a page, as mount(2) has it */

/* Puts a tree on a new folder of the current one. */
static int attach(int tree, const char *name)
{
	if (mkdir(name, 0700) < 0)
		return -errno;
	return move_mount(tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* An empty folder as the current one, in a mount name space that ends with us. */
static int empty_place(void)
{
	struct mount_attr apart = { .propagation = MS_PRIVATE };
	struct rootfs_new what = { .type = "tmpfs", .source = "tmpfs" };
	char why[256];
	int fs, status;

	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &apart, sizeof(apart)) < 0)
		return -errno;
	status = rootfs_fs_new(&what, &fs, why);
	if (status < 0)
		return status;
	if (move_mount(fs, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    fchdir(fs) < 0)
		return -errno;
	return 0;
}

/* The mount's descriptor, or a negative errno. */
static int mount_by_names(const struct parts *p, const int *trees)
{
	char options[OPTIONS], name[32];
	size_t used = (size_t) snprintf(options, sizeof(options), "lowerdir=");
	int status = empty_place();

	for (size_t i = 0; status == 0 && i < p->x->layers.count; i++) {
		(void) snprintf(name, sizeof(name), "%zu", i); /* fits */
		status = attach(trees[i], name);
		if (used + sizeof(name) > sizeof(options))
			return -E2BIG;
		used += (size_t) snprintf(options + used, sizeof(options) - used,
					  "%s%s", i ? ":" : "", name);
	}
	if (status == 0 && p->x->upper) {
		int n = snprintf(options + used, sizeof(options) - used,
				 ",upperdir=rw/%s,workdir=rw/%s%s",
				 last_name(p->x->upper), last_name(p->x->work),
				 p->x->scratch ? ",volatile" : "");

		status = attach(p->work_tree, "rw");
		used += (size_t) n;
		if (n < 0 || used >= sizeof(options))
			return -E2BIG;
	}
	if (status == 0 && p->from->inside &&
	    snprintf(options + used, sizeof(options) - used, ",userxattr") >=
		    (int) (sizeof(options) - used))
		return -E2BIG;
	if (status < 0)
		return status;
	if (mkdir("root", 0700) < 0 ||
	    mount("overlay", "root", "overlay", MS_NODEV, options) < 0)
		return -errno;
	status = rootfs_tree_open("root", false);
	return status < 0 ? -errno : status;
}

static int by_names(struct parts *p, int *out, struct co_err *err)
{
	int trees[CTR_ROOTFS_FDS], status = 0, got = -EIO, answer[2];
	pid_t pid;

	for (size_t i = 0; i < p->x->layers.count; i++) {
		if (i == CTR_ROOTFS_FDS)
			return co_fail(err, CO_TOO_BIG,
				       "an image has more than %d layers",
				       CTR_ROOTFS_FDS);
		status = part_tree(p, p->x->layers.at[i], &trees[i], err);
		if (status < 0)
			return status;
	}
	if (p->x->upper)
		status = upper_tree(p, err);
	if (status < 0)
		return status;
	if (pipe2(answer, O_CLOEXEC) < 0)
		return co_fail_errno(err, errno, "cannot make a pipe");
	/* it shares our descriptors: what it opens, we have */
	pid = (pid_t) syscall(SYS_clone, CLONE_FILES | CLONE_NEWNS | SIGCHLD, 0, 0, 0,
			      0);
	if (pid == 0) {
		int fd = mount_by_names(p, trees);

		_exit(write(answer[1], &fd, sizeof(fd)) != sizeof(fd));
	}
	if (pid < 0)
		got = -errno;
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	(void) close(answer[1]); /* read below */
	if (pid > 0 && read(answer[0], &got, sizeof(got)) != sizeof(got))
		got = -EIO;
	(void) close(answer[0]); /* nothing is in it */
	if (got < 0)
		return co_fail_errno(err, -got, "cannot make the overlay");
	*out = got;
	return 0;
}

static void forget(struct rootfs_source *from)
{
	while (from->keep.spare_count > 0)
		(void) close(from->keep.spare[--from->keep.spare_count]); /* mounts */
}

int rootfs_overlay(struct rootfs_source *from, int *out, struct co_err *err)
{
	struct parts p = { .x = &from->config->cloudos, .from = from, .work_tree = -1 };
	autoclose int mount = -1;
	struct statvfs now;
	int status = CO_INVALID;

	if (!rootfs_overlay_by_name)
		status = by_descriptors(&p, &mount, err);
	if (status == CO_INVALID || status == CO_ACCESS) {
		forget(from);
		status = by_names(&p, &mount, err);
	}
	if (status < 0)
		return status;
	/* the kernel makes it so when it cannot make the work folder */
	if (p.x->upper && (fstatvfs(mount, &now) < 0 || (now.f_flag & ST_RDONLY)))
		return co_fail(
			err, CO_UNSUPPORTED,
			"the overlay cannot be written to: its work folder cannot "
			"be made in %s",
			p.x->work);
	*out = take_fd(mount);
	return 0;
}
