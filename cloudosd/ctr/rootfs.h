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
	int spare
		[CTR_ROOTFS_FDS]; /* not for the inside; kept because closing takes time */
	size_t spare_count;
	char note[256];       /* what is there instead of what was asked for; "" */
	bool may_be_unmapped; /* gather's own */
};

/*
 * Outside.  user_ns: of the container, or -1 when it has none of its own.  Opens what only
 * the outside can; without root's rights that is nothing, and the inside opens it all.
 * Call ctr_rootfs_done when the inside has been sent them, in both processes.
 */
int ctr_rootfs_gather(const struct ctr_config *config, int user_ns,
		      struct ctr_rootfs *out, struct co_err *err);
void ctr_rootfs_done(struct ctr_rootfs *r);

/* What step 2 is given from whoever starts the process. */
struct ctr_rootfs_inside {
	const struct ctr_rootfs *from_outside;
	int console;       /* the terminal's slave for /dev/console; -1: none */
	int *out_terminal; /* not NULL, and process.terminal: a terminal of the container's
			    * own /dev/pts is made, [0] its master, [1] its slave, which
			    * is /dev/console; `console` is passed over */
	bool own_user;     /* in a user name space of its own */
	bool rootless;     /* whose creator is not root */
	/* Called when all is mounted and the old root is still there (hooks); may be NULL. */
	int (*before_pivot)(void *arg, struct co_err *err);
	void *arg;
	bool no_pivot;
	/* What could not be had as asked and what is there instead; may be NULL. */
	void (*note)(void *arg, const char *sentence);
};

/*
 * Inside: as the container's root, in its new mount name space (and pid, ipc, net and
 * cgroup name spaces).  Afterwards "/" and the current folder are the container's root and
 * nothing of the host is reachable.  Refuses a root whose /dev, /proc or /sys is no folder;
 * links in the way to a mount point are followed inside the root and never out of it.
 */
int ctr_rootfs_enter(const struct ctr_config *config,
		     const struct ctr_rootfs_inside *inside, struct co_err *err);

/* The i-th word of a mount's options that means something to us; NULL ends. */
const char *ctr_rootfs_option(size_t i);

/* Sets config->sysctl through a detached /proc; each must belong to a name space that the
 * container has for itself. */
int ctr_rootfs_sysctl(const struct ctr_config *config, struct co_err *err);

/*
 * For a root file system that another runtime is going to use: /dev, /proc, /sys and the
 * parents of mount points are real folders.
 */
int ctr_rootfs_check(const char *root, const struct ctr_config *config,
		     struct co_err *err);

/*
 * Layers for a runtime that knows of none: mounts the root (ids mapped, if the configuration
 * says so) on the folder `at`, and checks it as above.  The caller is root in a mount name
 * space of its own, whose end is the end of the mount.  note: as in struct ctr_rootfs.
 */
int ctr_rootfs_mount(const struct ctr_config *config, const char *at, char note[256],
		     struct co_err *err);

#endif
