/* SPDX-License-Identifier: MIT */
/* From the host's files to the container's, in order, and no way back.  HOST, inside. */
#include "cloudosd/ctr/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

/* Nothing that is mounted from now on is seen outside. */
static int leave_the_others(struct co_err *err)
{
	struct mount_attr attr = { .propagation = MS_SLAVE };

	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return co_fail_errno(err, errno,
				     "cannot separate the container's mounts from the "
				     "host's");
	return 0;
}

static int open_null(int *out, struct co_err *err)
{
	autoclose int null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (null < 0 || fstat(null, &st) < 0)
		return co_fail_errno(err, errno, "cannot open the host's /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return co_fail(err, CO_ACCESS,
			       "the host's /dev/null is something else");
	*out = take_fd(null);
	return 0;
}

/*
 * A node can be taken out of a mount of ours only: so theirs is attached, out of the way, and
 * goes with the host's; after it, only hooks look for names of the host's.
 */
static int attach_nodes(struct rootfs *r, int root, struct co_err *err)
{
	autoclose int away = -1;

	if (r->nodes < 0)
		return 0;
	/* on / it would be let go of alone, which waits for a grace period once more */
	if (r->is_on_top && r->config->create_container.count == 0)
		away = open("/tmp", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r->nodes_on_top = r->is_on_top && away < 0;
	return rootfs_tree_move(r->nodes, away < 0 ? root : away, "the devices", err);
}

/* Hooks find the root where the configuration has it; without a folder there, it is on
 * top of the host's, where no name leads. */
static int attach_root(struct rootfs *r, struct co_err *err)
{
	const struct ctr_rootfs *outside = r->inside->from_outside;
	struct rootfs_source own = { .config = r->config,
				     .maps = -1,
				     .own_ids = r->inside->own_user,
				     .inside = true };
	autoclose int target = -1;
	int status;

	if (outside->count > 0 && outside->fds[0] >= 0) {
		r->root = fcntl(outside->fds[0], F_DUPFD_CLOEXEC, 3);
	} else {
		status = rootfs_root_open(&own, &r->root, err);
		ctr_rootfs_done(&own.keep);
		if (status < 0)
			return status;
		if (own.note[0])
			rootfs_note(r, "%s", own.note);
	}
	if (r->root < 0 || fstat(r->root, &r->top) < 0)
		return co_fail_errno(err, errno, "cannot keep the container's root");
	if (r->config->root && strspn(r->config->root, "/") < strlen(r->config->root))
		target = open(r->config->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r->is_on_top = target < 0;
	if (target < 0)
		target = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return co_fail_errno(err, errno, "cannot open /");
	status = attach_nodes(r, target, err);
	return status < 0 ? status : rootfs_tree_move(r->root, target, "the root", err);
}

static int finish_read_only(struct rootfs *r, struct co_err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	for (size_t i = 0; i < r->late_count; i++)
		if (mount_setattr(r->late[i], "", AT_EMPTY_PATH, &attr, sizeof(attr)) <
		    0)
			return co_fail_errno(err, errno,
					     "cannot make a tmpfs read-only");
	if (r->config->root_readonly &&
	    mount_setattr(r->root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return co_fail_errno(err, errno, "cannot make the root read-only");
	return 0;
}

static int spread(const struct rootfs *r, struct co_err *err)
{
	uint64_t how = r->config->rootfs_propagation;
	struct mount_attr attr = { .propagation = how & ~(uint64_t) MS_REC };

	if (!attr.propagation)
		return 0;
	if (mount_setattr(r->root, "",
			  AT_EMPTY_PATH | (how & MS_REC ? AT_RECURSIVE : 0u), &attr,
			  sizeof(attr)) < 0)
		return co_fail_errno(err, errno,
				     "cannot set the propagation of the root");
	return 0;
}

/* The old root ends up on top of the new one, and nodes that were on it on top of it. */
static int pivot(const struct rootfs *r, struct co_err *err)
{
	if (fchdir(r->root) < 0)
		return co_fail_errno(err, errno, "cannot go to the container's root");
	if (r->inside->no_pivot) {
		if (chroot(".") < 0)
			return co_fail_errno(err, errno,
					     "cannot make / the container's");
	} else if (syscall(SYS_pivot_root, ".", ".") < 0) {
		return co_fail_errno(
			err, errno,
			"cannot make / the container's (a root in an initial "
			"RAM file system needs --no-pivot)");
	} else if ((r->nodes_on_top && umount2(".", MNT_DETACH) < 0) ||
		   umount2(".", MNT_DETACH) < 0) {
		return co_fail_errno(err, errno, "cannot let go of the host's files");
	}
	if (chdir("/") < 0)
		return co_fail_errno(err, errno, "cannot go to the container's /");
	return 0;
}

/* The program's folder is made while the root can still be written to; one that cannot be
 * made is told by who enters it. */
static void make_folder(const struct rootfs *r)
{
	struct co_err quiet;
	int fd;

	if (r->config->has_process && r->config->process.cwd &&
	    rootfs_open(r->root, r->config->process.cwd, ROOTFS_FOLDER, &fd, &quiet) ==
		    0)
		(void) close(fd); /* O_PATH */
}

static int build(struct rootfs *r, struct co_err *err)
{
	int status = leave_the_others(err);

	if (status == 0)
		status = open_null(&r->null, err);
	if (status == 0)
		status = attach_root(r, err);
	if (status == 0)
		status = rootfs_check_root(r->root, err);
	if (status == 0)
		status = rootfs_mount_all(r, err);
	if (status == 0)
		status = rootfs_dev_finish(r, err);
	if (status == 0)
		make_folder(r);
	if (status == 0 && r->inside->before_pivot)
		status = r->inside->before_pivot(r->inside->arg, err);
	if (status == 0)
		status = rootfs_mask_all(r, err);
	if (status == 0)
		status = finish_read_only(r, err);
	if (status == 0)
		status = pivot(r, err);
	return status < 0 ? status : spread(r, err);
}

/* Whoever shares the host's mounts gets another root and nothing else. */
static int only_change_root(const struct ctr_config *config, struct co_err *err)
{
	if (config->mount_count > 0 || config->masked_paths.count > 0 ||
	    config->readonly_paths.count > 0 || config->root_readonly ||
	    config->cloudos.layers.count > 0)
		return co_fail(
			err, CO_INVALID,
			"mounts, layers, masked and read-only paths and a read-only "
			"root need a mount name space");
	if (!config->root || chroot(config->root) < 0 || chdir("/") < 0)
		return co_fail_errno(err, config->root ? errno : EINVAL,
				     "cannot make %s the root",
				     config->root ? config->root : "nothing");
	return 0;
}

int ctr_rootfs_enter(const struct ctr_config *config,
		     const struct ctr_rootfs_inside *inside, struct co_err *err)
{
	struct rootfs r = { .config = config,
			    .inside = inside,
			    .root = -1,
			    .null = -1,
			    .dev = -1,
			    .nodes = inside->from_outside->count > 1
					     ? inside->from_outside->fds[1]
					     : -1 };
	mode_t mask;
	int status;

	if (!ctr_config_namespace(config, CLONE_NEWNS))
		return only_change_root(config, err);
	mask = umask(0);
	status = build(&r, err);

	(void) umask(mask); /* cannot fail */
	for (size_t i = 0; i < r.late_count; i++)
		(void) close(r.late[i]); /* O_PATH, as all here */
	if (r.root >= 0)
		(void) close(r.root);
	if (r.null >= 0)
		(void) close(r.null);
	if (r.dev >= 0)
		(void) close(r.dev);
	return status;
}
