/* SPDX-License-Identifier: MIT */
/*
 * Where a container's root comes from: a folder, or an overlay of layers.  HOST.
 *
 * An overlay of root is made outside and detached, so no mount table ever has it: its
 * layers are copies of their mounts with the ids of the container, and so is the folder
 * that holds upper and work, so that what the container's root writes is root's on the
 * disk.  The kernel makes work folders as whoever mounts; in a mapped folder that must be
 * an id of the container, whence the change of fsuid.  Without root the overlay is made
 * inside, by path, with its marks in user.overlay.*.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

/* The files of an overlay, opened or -1 for "by path". */
struct parts {
	int fs;
	int work_tree; /* the folder of upper and work */
	char reason[256];
};

static uint32_t outside_of_root(const struct ctr_id_maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		if (maps->at[i].inside == 0)
			return maps->at[i].outside;
	return maps->count > 0 ? maps->at[0].outside : 0;
}

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

/* The tree of one folder, mapped, and kept open until the overlay is no longer ours. */
static int part_tree(const char *path, int maps, struct ctr_rootfs *keep, int *out,
		     struct co_err *err)
{
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
	return maps < 0 ? 0 : rootfs_tree_idmap(tree, false, maps, path, err);
}

static int set_folder(struct parts *p, const char *key, const char *path, int fd,
		      struct co_err *err)
{
	int done = fd >= 0 ? fsconfig(p->fs, FSCONFIG_SET_FD, key, NULL, fd)
			   : fsconfig(p->fs, FSCONFIG_SET_STRING, key, path, 0);

	return done == 0
		       ? 0
		       : co_fail_errno(err, errno, "cannot use %s in an overlay", path);
}

static int add_layers(struct parts *p, const struct ctr_extension *x, int maps,
		      struct ctr_rootfs *keep, struct co_err *err)
{
	for (size_t i = 0; i < x->layers.count; i++) {
		int tree = -1, status = 0;

		if (maps >= 0)
			status = part_tree(x->layers.at[i], maps, keep, &tree, err);
		if (status == 0)
			status = set_folder(p, "lowerdir+", x->layers.at[i], tree, err);
		if (status < 0)
			return status;
	}
	return 0;
}

/* The folder that both are in; "" when they are in different ones. */
static void common_parent(const char *a, const char *b, char out[4096])
{
	const char *end_a = strrchr(a, '/'), *end_b = strrchr(b, '/');

	out[0] = 0;
	if (end_a && end_b && end_a - a == end_b - b && end_a - a < 4096 &&
	    memcmp(a, b, (size_t) (end_a - a)) == 0)
		(void) snprintf(out, 4096, "%.*s", (int) (end_a - a), a); /* compared */
}

static int add_upper(struct parts *p, const struct ctr_extension *x, int maps,
		     struct ctr_rootfs *keep, struct co_err *err)
{
	autoclose int upper = -1, work = -1;
	char parent[4096];
	int status;

	if (maps >= 0) {
		common_parent(x->upper, x->work, parent);
		if (!parent[0])
			return co_fail(err, CO_INVALID,
				       "cloudos.upper and cloudos.work are not beside "
				       "each other: %s and %s",
				       x->upper, x->work);
		status = part_tree(parent, maps, keep, &p->work_tree, err);
		if (status < 0)
			return status;
		upper = openat(p->work_tree, strrchr(x->upper, '/') + 1,
			       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		work = openat(p->work_tree, strrchr(x->work, '/') + 1,
			      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (upper < 0 || work < 0)
			return co_fail_errno(err, errno, "cannot open %s",
					     upper < 0 ? x->upper : x->work);
	}
	status = set_folder(p, "upperdir", x->upper, upper, err);
	if (status == 0)
		status = set_folder(p, "workdir", x->work, work, err);
	if (status == 0 && x->scratch &&
	    fsconfig(p->fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
		status = co_fail_errno(err, errno, "cannot make a volatile overlay");
	return status;
}

static int finish(struct parts *p, bool has_upper, int *out, struct co_err *err)
{
	autoclose int mount = -1;
	struct statvfs now;
	char text[256];
	ssize_t n;

	if (fsconfig(p->fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		int errnum = errno;

		n = read(p->fs, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = 0;
		text[strcspn(text, "\n")] = 0;
		return co_fail_errno(err, errnum, "cannot make the overlay%s%s",
				     text[0] ? ": " : "", text);
	}
	/* an image's own device nodes open nothing */
	mount = fsmount(p->fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
	if (mount < 0)
		return co_fail_errno(err, errno, "cannot mount the overlay");
	if (has_upper && (fstatvfs(mount, &now) < 0 || (now.f_flag & ST_RDONLY)))
		return co_fail(err, CO_UNSUPPORTED,
			       "the overlay cannot be written to: its work folder "
			       "cannot be made there");
	*out = take_fd(mount);
	return 0;
}

static int overlay(const struct ctr_config *config, int maps, struct ctr_rootfs *keep,
		   int *out, struct co_err *err)
{
	const struct ctr_extension *x = &config->cloudos;
	struct parts p = { .fs = fsopen("overlay", FSOPEN_CLOEXEC), .work_tree = -1 };
	autoclose int fs = p.fs;
	int status;

	if (fs < 0)
		return co_fail_errno(err, errno,
				     "this kernel has no overlay file system");
	status = add_layers(&p, x, maps, keep, err);
	if (status == 0 && x->upper)
		status = add_upper(&p, x, maps, keep, err);
	/* inside a user name space of our own, trusted.* is not ours to write */
	if (status == 0 && !keep &&
	    fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		status = co_fail_errno(err, errno,
				       "cannot make an overlay without root's rights");
	return status < 0 ? status : finish(&p, x->upper != NULL, out, err);
}

/* One layer and nothing above it: an overlay wants two. */
static int single(const struct ctr_config *config, int maps, int *out,
		  struct co_err *err)
{
	const char *path = config->cloudos.layers.at[0];
	struct rootfs_options o = { .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV };
	autoclose int tree = rootfs_tree_open(path, false);
	int status;

	if (tree < 0)
		return co_fail_errno(err, errno, "cannot open the layer %s", path);
	status = maps < 0 ? 0 : rootfs_tree_idmap(tree, false, maps, path, err);
	if (status == 0)
		status = rootfs_tree_set(tree, &o, path, err);
	if (status == 0)
		*out = take_fd(tree);
	return status;
}

static int folder(const struct ctr_config *config, int maps, int *out,
		  struct co_err *err)
{
	struct rootfs_options o = { .recursive = true };
	autoclose int tree = rootfs_tree_open(config->root, true);
	int status;

	if (tree < 0)
		return co_fail_errno(err, errno, "cannot open the root %s",
				     config->root);
	status = maps < 0 ? 0 : rootfs_tree_idmap(tree, true, maps, config->root, err);
	if (status == 0)
		status = rootfs_tree_set(tree, &o, config->root, err);
	if (status == 0)
		*out = take_fd(tree);
	return status;
}

int rootfs_root_open(const struct ctr_config *config, int maps, struct ctr_rootfs *keep,
		     int *out, struct co_err *err)
{
	const struct ctr_extension *x = &config->cloudos;
	uint32_t uid = geteuid(), gid = getegid();
	int status;

	if (x->layers.count == 0 && !config->root)
		return co_fail(err, CO_INVALID, "the configuration has no root");
	if (x->layers.count == 0)
		return folder(config, maps, out, err);
	if (x->layers.count == 1 && !x->upper)
		return single(config, maps, out, err);
	if (maps < 0)
		return overlay(config, maps, keep, out, err);
	status = become_for_files(outside_of_root(&config->uids),
				  outside_of_root(&config->gids));
	if (status < 0)
		return co_fail_errno(err, -status,
				     "cannot act for the container's root");
	status = overlay(config, maps, keep, out, err);
	if (become_for_files(uid, gid) < 0 && status == 0)
		status = co_fail_errno(err, errno, "cannot act for ourselves again");
	return status;
}
