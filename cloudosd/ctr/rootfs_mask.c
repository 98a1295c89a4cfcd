/* SPDX-License-Identifier: MIT */
/*
 * What a container may not see or not write: masked and read-only paths.  HOST, inside.
 *
 * A mask is the host's /dev/null, of which we know that it is, or an empty folder that was
 * never part of an image.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

static int read_only(struct rootfs *r, const char *path, struct co_err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	autoclose int target = -1, tree = -1;
	int status = rootfs_open(r->root, path, ROOTFS_ANY, &target, err);

	if (status == CO_NOT_FOUND)
		return 0;
	if (status < 0)
		return status;
	tree = open_tree(target, "",
			 AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE |
				 OPEN_TREE_CLOEXEC);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
				      sizeof(attr)) < 0)
		return co_fail_errno(err, errno, "cannot make %s read-only", path);
	return rootfs_tree_move(tree, target, path, err);
}

/* An empty folder to put over others; *empty is one that is mounted already, or -1. */
static int empty_folder(int *empty, struct co_err *err)
{
	static char *const data[] = { (char *) "mode=555", (char *) "size=4k",
				      (char *) "nr_inodes=1" };
	struct ctr_texts options = { .at = (char **) data, .count = co_countof(data) };
	struct rootfs_new what = { .type = "tmpfs",
				   .source = "tmpfs",
				   .data = &options,
				   .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						 MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	char why[256];
	int tree, status;

	if (*empty >= 0) {
		tree = open_tree(*empty, "",
				 AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		return tree >= 0 ? tree
				 : co_fail_errno(err, errno, "cannot copy a mask");
	}
	status = rootfs_fs_new(&what, &tree, why);
	if (status < 0)
		return co_fail_errno(err, -status,
				     "cannot make an empty folder as a mask");
	return tree;
}

static int mask(struct rootfs *r, const char *path, int *empty, struct co_err *err)
{
	autoclose int target = -1, tree = -1;
	int status = rootfs_open(r->root, path, ROOTFS_ANY, &target, err);
	struct stat st;

	if (status == CO_NOT_FOUND)
		return 0;
	if (status < 0)
		return status;
	if (fstat(target, &st) < 0)
		return co_fail_errno(err, errno, "cannot look at %s of the container",
				     path);
	if (S_ISDIR(st.st_mode)) {
		tree = empty_folder(empty, err);
		if (tree < 0)
			return tree;
	} else {
		tree = open_tree(r->null, "",
				 AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (tree < 0)
			return co_fail_errno(err, errno,
					     "cannot take the host's /dev/null");
	}
	status = rootfs_tree_move(tree, target, path, err);
	if (status == 0 && S_ISDIR(st.st_mode) && *empty < 0)
		*empty = take_fd(tree);
	return status;
}

int rootfs_mask_all(struct rootfs *r, struct co_err *err)
{
	const struct ctr_config *config = r->config;
	autoclose int empty = -1;
	int status = 0;

	for (size_t i = 0; status == 0 && i < config->readonly_paths.count; i++)
		status = read_only(r, config->readonly_paths.at[i], err);
	for (size_t i = 0; status == 0 && i < config->masked_paths.count; i++)
		status = mask(r, config->masked_paths.at[i], &empty, err);
	return status;
}
