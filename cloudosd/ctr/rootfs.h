/* SPDX-License-Identifier: MIT */
/*
 * The container's files: root, mounts, devices, masks.  HOST.
 *
 * In two steps, because what only the outside may do (opening sources, idmapping them,
 * overlays of a root daemon) cannot be done from inside the new user name space, and what
 * is done inside may not trust one path of the image.  Descriptors go from one to the
 * other.  Every path of the image is opened with openat2, RESOLVE_IN_ROOT and
 * RESOLVE_NO_MAGICLINKS, and mounted on as a descriptor; /dev is put together detached.
 */
#ifndef CTR_ROOTFS_H
#define CTR_ROOTFS_H

#include "cloudosd/ctr/config.h"

enum { CTR_ROOTFS_FDS = 200 };

struct ctr_rootfs {
	int fds[CTR_ROOTFS_FDS]; /* in an order that config and this module decide; -1: none */
	size_t count;
};

/*
 * Outside.  user_ns: of the container, or -1 when it has none of its own.  Refuses a root
 * whose /dev, /proc, /sys or parents of mount points are no folders.
 */
int ctr_rootfs_gather(const struct ctr_config *config, int user_ns,
		      struct ctr_rootfs *out, struct co_err *err);
void ctr_rootfs_done(struct ctr_rootfs *r);

/* What step 2 is given from whoever starts the process. */
struct ctr_rootfs_inside {
	const struct ctr_rootfs *from_outside;
	int console;   /* the terminal's slave for /dev/console; -1: none */
	bool own_user; /* in a user name space of its own */
	bool rootless; /* whose creator is not root */
	/* Called when all is mounted and the old root is still there (hooks); may be NULL. */
	int (*before_pivot)(void *arg, struct co_err *err);
	void *arg;
	bool no_pivot;
};

/*
 * Inside: as the container's root, in its new mount name space (and pid, ipc, net and
 * cgroup name spaces).  Afterwards "/" and the current folder are the container's root and
 * nothing of the host is reachable.
 */
int ctr_rootfs_enter(const struct ctr_config *config,
		     const struct ctr_rootfs_inside *inside, struct co_err *err);

/* Sets config->sysctl through a detached /proc; each must belong to a name space that the
 * container has for itself. */
int ctr_rootfs_sysctl(const struct ctr_config *config, struct co_err *err);

/*
 * The check alone (rule 3 of our threat model: /dev, /proc, /sys and parents of mount points
 * are real folders), for a root file system that another runtime is going to use.
 */
int ctr_rootfs_check(const char *root, const struct ctr_config *config,
		     struct co_err *err);

#endif
