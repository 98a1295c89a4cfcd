/* SPDX-License-Identifier: MIT */
/*
 * A root without an overlay: upper holds a copy of all layers.  HOST.
 *
 * Blocks are shared where the file system can (FICLONE).  Once made, it is the root for
 * good: what the container changed is in it.  A file beside upper tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

static void mark_path(const struct ctr_extension *x, char out[4096])
{
	(void) snprintf(out, 4096, "%s/copied",
			x->work); /* a longer one is not there */
}

bool rootfs_was_copied(const struct ctr_extension *x)
{
	char path[4096];

	if (!x->upper)
		return false;
	mark_path(x, path);
	return access(path, F_OK) == 0;
}

static int merge(const struct rootfs_source *from, int upper, struct co_err *err)
{
	const struct ctr_texts *layers = &from->config->cloudos.layers;
	struct rootfs_copying how = { .is_layer = true };

	if (from->maps >= 0) {
		how.uids = &from->config->uids;
		how.gids = &from->config->gids;
	}
	for (size_t i = layers->count; i-- > 0;) {
		autoclose int layer =
			open(layers->at[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int status;

		if (layer < 0)
			return co_fail_errno(err, errno, "cannot open the layer %s",
					     layers->at[i]);
		status = rootfs_copy(&how, layer, upper, layers->at[i], err);
		if (status < 0)
			return status;
	}
	return 0;
}

static int make_copy(const struct rootfs_source *from, struct co_err *err)
{
	const struct ctr_extension *x = &from->config->cloudos;
	autoclose int upper = open(x->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int mark = -1;
	char path[4096];
	int status;

	if (upper < 0)
		return co_fail_errno(err, errno, "cannot open %s", x->upper);
	status = merge(from, upper, err);
	if (status < 0)
		return status;
	mark_path(x, path);
	mark = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (mark < 0)
		return co_fail_errno(err, errno, "cannot make %s", path);
	return 0;
}

int rootfs_copied(struct rootfs_source *from, int *out, struct co_err *err)
{
	const struct ctr_extension *x = &from->config->cloudos;
	struct rootfs_options o = { .set = MOUNT_ATTR_NODEV };
	autoclose int tree = -1;
	struct co_err why = err ? *err : (struct co_err){ 0 };
	int status;

	if (!rootfs_was_copied(x)) {
		status = make_copy(from, err);
		if (status < 0)
			return status;
		(void) snprintf(from->note, sizeof(from->note),
				"the image was copied (%.180s)", why.message); /* cut */
	}
	tree = rootfs_tree_open(x->upper, false);
	if (tree < 0)
		return co_fail_errno(err, errno, "cannot open %s", x->upper);
	status = rootfs_tree_set(tree, &o, x->upper, err);
	if (status == 0)
		*out = take_fd(tree);
	return status;
}
