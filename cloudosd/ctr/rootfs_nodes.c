/* SPDX-License-Identifier: MIT */
/*
 * Device nodes for a container that cannot make its own.  HOST, outside.
 *
 * Root makes them on a tmpfs that is mounted nowhere, as files 0, 1, 2..., with the owner
 * that the configuration says, as the outside knows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

/* 0, or a negative errno. */
static int make(const struct ctr_config *config, int folder, size_t i,
		const struct ctr_device *d)
{
	char name[32];

	(void) snprintf(name, sizeof(name), "%zu", i); /* fits */
	if (mknodat(folder, name, d->type | 0600,
		    makedev((unsigned int) d->major, (unsigned int) d->minor)) < 0)
		return -errno;
	if (fchownat(folder, name, rootfs_outside_id(&config->uids, d->uid),
		     rootfs_outside_id(&config->gids, d->gid), AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* the umask is not asked */
	return fchmodat(folder, name, d->mode & 07777, 0) < 0 ? -errno : 0;
}

int rootfs_nodes_make(const struct ctr_config *config)
{
	struct rootfs_new what = { .type = "tmpfs", .source = "tmpfs" };
	const struct ctr_device *d;
	char why[256];
	int folder, status = rootfs_fs_new(&what, &folder, why);

	if (status < 0)
		return -1;
	for (size_t i = 0; status == 0 && (d = rootfs_device_at(config, i)); i++)
		if (d->type != S_IFIFO)
			status = make(config, folder, i, d);
	if (status == 0)
		return folder;
	(void) close(folder); /* a detached mount */
	return -1;
}
