/* SPDX-License-Identifier: MIT */
/*
 * Where a container's root comes from: a folder, or an overlay of layers.  HOST.
 *
 * An overlay of root is made outside and detached, so no mount table ever has it: its
 * layers are copies of their mounts with the ids of the container, and so is the folder
 * that holds upper and work, so that what the container's root writes is root's on the
 * disk.  The kernel makes work folders as whoever mounts; in a mapped folder that must be
 * an id of the container, whence the change of fsuid.  Without root the overlay is made
 * inside, with its marks in user.overlay.*.  Where no overlay can be made, upper becomes a
 * copy of all layers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

/* fsuid and fsgid, keeping the capabilities that a change of fsuid takes away. */
static int become_for_files(uint32_t uid, uint32_t gid)
{
	struct __user_cap_header_struct head = { .version =
							 _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct had[2];

	if (syscall(SYS_capget, &head, had) < 0)
		return -errno;
	(void) setfsgid(gid); /* tells nothing of use */
	(void) setfsuid(uid);
	return syscall(SYS_capset, &head, had) < 0 ? -errno : 0;
}

/* One layer and nothing above it: an overlay wants two. */
static int single(struct rootfs_source *from, int *out, struct co_err *err)
{
	const char *path = from->config->cloudos.layers.at[0];
	struct rootfs_options o = { .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV };
	autoclose int tree = rootfs_tree_open(path, false);
	int status = 0;

	if (tree < 0)
		return co_fail_errno(err, errno, "cannot open the layer %s", path);
	if (from->maps >= 0)
		status = rootfs_tree_idmap(tree, false, from->maps, path, err);
	if (status == 0)
		status = rootfs_tree_set(tree, &o, path, err);
	if (status == 0)
		*out = take_fd(tree);
	return status;
}

static int folder(struct rootfs_source *from, int *out, struct co_err *err)
{
	const char *path = from->config->root;
	/* its nodes open nothing for ids that are not the host's */
	struct rootfs_options o = { .recursive = true,
				    .set_all = from->own_ids ? MOUNT_ATTR_NODEV : 0 };
	autoclose int tree = rootfs_tree_open(path, true);
	int status = 0;

	if (tree < 0)
		return co_fail_errno(err, errno, "cannot open the root %s", path);
	if (from->maps >= 0)
		status = rootfs_tree_idmap(tree, true, from->maps, path, err);
	if (status == 0)
		status = rootfs_tree_set(tree, &o, path, err);
	if (status == 0)
		*out = take_fd(tree);
	return status;
}

/* upper and work: "" and a sentence unless they are two folders of one. */
static int check_upper(const struct ctr_extension *x, struct co_err *err)
{
	const char *a = x->upper, *b = x->work;
	const char *end_a = a ? strrchr(a, '/') : NULL,
		   *end_b = b ? strrchr(b, '/') : NULL;

	if (!a)
		return 0;
	if (end_a && end_b && end_a - a == end_b - b && end_a - a < 4096 &&
	    memcmp(a, b, (size_t) (end_a - a)) == 0 && strcmp(a, b) != 0 && end_a[1] &&
	    end_b[1])
		return 0;
	return co_fail(err, CO_CONFLICT,
		       "cloudos.upper and cloudos.work are not two folders beside each "
		       "other: %s and %s",
		       a, b ? b : "none");
}

/* The overlay as whoever is root inside.  A change of fsuid makes a process one that cannot
 * be looked at and forgets what it wants to hear of its parent's death. */
static int as_the_containers_root(struct rootfs_source *from, int *out,
				  struct co_err *err)
{
	const struct ctr_config *config = from->config;
	uint32_t uid = geteuid(), gid = getegid();
	int dumpable = prctl(PR_GET_DUMPABLE), death = 0, status;

	(void) prctl(PR_GET_PDEATHSIG, &death); /* 0 then */
	status = become_for_files(rootfs_outside_id(&config->uids, 0),
				  rootfs_outside_id(&config->gids, 0));
	if (status < 0)
		return co_fail_errno(err, -status,
				     "cannot act for the container's root");
	status = rootfs_overlay(from, out, err);
	if (become_for_files(uid, gid) < 0 && status == 0)
		status = co_fail(err, CO_ACCESS, "cannot act for ourselves again");
	if (dumpable == 1)
		(void) prctl(PR_SET_DUMPABLE, 1); /* it was */
	if (death > 0)
		(void) prctl(PR_SET_PDEATHSIG, death); /* likewise */
	return status;
}

static int layers(struct rootfs_source *from, int *out, struct co_err *err)
{
	return from->maps < 0 ? rootfs_overlay(from, out, err)
			      : as_the_containers_root(from, out, err);
}

/* A confined program's root is empty but for what is mounted in it; it is the container's,
 * and so made inside. */
static int empty(bool outside, int *out, struct co_err *err)
{
	static char size[] = "size=1m", mode[] = "mode=0755";
	char *at[] = { size, mode, NULL };
	struct ctr_texts data = { at, 2 };
	struct rootfs_new what = { .type = "tmpfs",
				   .source = "root",
				   .name = "the root",
				   .data = &data,
				   .attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID };
	char why[256];
	int status;

	*out = -1;
	if (outside)
		return 0;
	status = rootfs_fs_new(&what, out, why);
	return status < 0 ? co_fail_errno(err, -status, "cannot make an empty root")
			  : 0;
}

int rootfs_root_open(struct rootfs_source *from, int *out, struct co_err *err)
{
	const struct ctr_extension *x = &from->config->cloudos;
	int status;

	if (x->layers.count == 0 && !from->config->root && x->confined)
		return empty(!from->inside, out, err);
	if (x->layers.count == 0 && !from->config->root)
		return co_fail(err, CO_INVALID, "the configuration has no root");
	if (x->layers.count == 0)
		return folder(from, out, err);
	if (x->layers.count == 1 && !x->upper)
		return single(from, out, err);
	status = check_upper(x, err);
	if (status < 0)
		return status;
	if (rootfs_was_copied(x))
		return rootfs_copied(from, out, err);
	status = layers(from, out, err);
	if (x->upper &&
	    (status == CO_INVALID || status == CO_ACCESS || status == CO_UNSUPPORTED))
		status = rootfs_copied(from, out, err);
	return status;
}
