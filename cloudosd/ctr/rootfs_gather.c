/* SPDX-License-Identifier: MIT */
/* What the outside opens for the container: its root and the sources of its binds.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

static int push(struct ctr_rootfs *r, int fd, struct co_err *err)
{
	if (r->count == CTR_ROOTFS_FDS) {
		if (fd >= 0)
			(void) close(fd); /* a detached mount */
		return co_fail(err, CO_TOO_BIG, "there are more than %d bind mounts",
			       CTR_ROOTFS_FDS - 2);
	}
	r->fds[r->count++] = fd;
	return 0;
}

/* Several may have something to say. */
static void note(struct ctr_rootfs *r, const char *format, const char *what)
{
	size_t n = strlen(r->note);

	if (n > 0)
		n += (size_t) snprintf(r->note + n, sizeof(r->note) - n, "; ");
	if (n < sizeof(r->note))
		(void) snprintf(r->note + n, sizeof(r->note) - n, format,
				what); /* cut */
}

/* A volume of the daemon on a file system that cannot map ids is mounted as it is: its
 * files can be read as anybody may.  Maps that a configuration spells out are demands. */
static int map_ids(struct ctr_rootfs *r, const struct ctr_mount *mount, int tree,
		   int user_ns, struct co_err *err)
{
	struct rootfs_options o;
	int status = rootfs_options_read(mount, &o, err);

	if (status == 0)
		status = rootfs_tree_idmap(tree, o.idmap_all, user_ns, mount->source,
					   err);
	if (status == 0 || mount->uids.count > 0 || !r->may_be_unmapped)
		return status;
	note(r, "the files in %.120s belong to nobody: its file system cannot map ids",
	     mount->destination);
	return 0;
}

/*
 * The order: the root, the devices of a container with ids of its own, then one of each
 * bind mount as config has them.  -1 is for the inside to open, which sees the same paths
 * with the same rights.
 */
static int bind_tree(struct ctr_rootfs *r, const struct ctr_mount *mount,
		     const struct rootfs_options *o, int user_ns, struct co_err *err)
{
	autoclose int tree = rootfs_tree_open(mount->source, o->recursive);
	autoclose int own = -1;
	int status = 0;

	if (tree < 0)
		return co_fail_errno(err, errno, "cannot open %s, which is to be at %s",
				     mount->source, mount->destination);
	if (o->idmap && mount->uids.count > 0) {
		status = rootfs_user_ns(&mount->uids, &mount->gids, &own, err);
		user_ns = own;
	}
	if (status == 0 && o->idmap && user_ns < 0)
		status =
			co_fail(err, CO_INVALID,
				"the mount on %s has idmap and neither maps of its own "
				"nor a container with a user name space",
				mount->destination);
	if (status == 0 && o->idmap)
		status = map_ids(r, mount, tree, user_ns, err);
	if (status == 0)
		status = rootfs_tree_set(tree, o, mount->source, err);
	return status < 0 ? status : push(r, take_fd(tree), err);
}

/* Whether we may copy mounts at all: that is asked before there is no such name.  A copy
 * of something else would cost a grace period of RCU when it is let go. */
static bool may_mount(void)
{
	autoclose int tree = rootfs_tree_open("", false);

	return tree >= 0 || errno == ENOENT;
}

static int root(const struct ctr_config *config, int user_ns, struct ctr_rootfs *r,
		int *out, struct co_err *err)
{
	struct rootfs_source from = { .config = config,
				      .maps = config->cloudos.idmap ? user_ns : -1,
				      .own_ids = user_ns >= 0 };
	int status = rootfs_root_open(&from, out, err);

	memcpy(r->spare, from.keep.spare, sizeof(r->spare));
	r->spare_count = from.keep.spare_count;
	memcpy(r->note, from.note, sizeof(r->note));
	return status;
}

/* Whether what is mounted in the root would be copied with a bind of that source. */
static bool is_above_root(const struct ctr_config *config, const char *source)
{
	autofree char *root = config->root ? realpath(config->root, NULL) : NULL;
	autofree char *above = realpath(source, NULL);
	size_t n = above ? strlen(above) : 0;

	if (!root || !above || n == 1)
		return true; /* not known, or "/" */
	return strncmp(root, above, n) == 0 && (!root[n] || root[n] == '/');
}

/* Whether the inside has our rights in a copy of our mounts.  Then it opens the sources
 * itself, and the kernel, which lists mounts by their age, lists them in the order of the
 * configuration. */
static bool inside_sees_it(const struct ctr_config *config, int user_ns,
			   const struct ctr_mount *mount,
			   const struct rootfs_options *o)
{
	const struct ctr_namespace *own = ctr_config_namespace(config, CLONE_NEWNS);

	return user_ns < 0 && !o->idmap && own && !own->path &&
	       (!o->recursive || !is_above_root(config, mount->source));
}

static int gather(const struct ctr_config *config, int user_ns, struct ctr_rootfs *r,
		  struct co_err *err)
{
	bool ours = may_mount();
	int fd = -1, status = 0;

	if (ours)
		status = root(config, user_ns, r, &fd, err);
	if (status == 0)
		status = push(r, fd, err);
	if (status == 0)
		status = push(r, ours && user_ns >= 0 ? rootfs_nodes_make(config) : -1,
			      err);
	for (size_t i = 0; status == 0 && i < config->mount_count; i++) {
		struct rootfs_options o;

		status = rootfs_options_read(&config->mounts[i], &o, err);
		if (status < 0 || !o.bind)
			continue;
		if (ours && !inside_sees_it(config, user_ns, &config->mounts[i], &o))
			status = bind_tree(r, &config->mounts[i], &o, user_ns, err);
		else if (o.idmap) /* who is not root has no rights for it */
			status = co_fail(
				err, CO_ACCESS,
				"%s cannot be mounted with mapped ids: only root "
				"may",
				config->mounts[i].source);
		else
			status = push(r, -1, err);
	}
	return status;
}

int ctr_rootfs_gather(const struct ctr_config *config, int user_ns,
		      struct ctr_rootfs *out, struct co_err *err)
{
	int status;

	out->count = out->spare_count = 0;
	out->note[0] = 0;
	out->may_be_unmapped = config->cloudos.idmap;
	status = gather(config, user_ns, out, err);
	if (status < 0)
		ctr_rootfs_done(out);
	return status;
}

void ctr_rootfs_done(struct ctr_rootfs *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->fds[i] >= 0)
			(void) close(r->fds[i]); /* detached mounts */
	for (size_t i = 0; i < r->spare_count; i++)
		(void) close(r->spare[i]); /* likewise */
	r->count = r->spare_count = 0;
}

/* Links in the way to a mount point are ours to follow safely; of another runtime that is
 * not known. */
static int check_parents(int root, const char *destination, struct co_err *err)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s", destination) >= (int) sizeof(path))
		return co_fail(err, CO_NAME_TOO_LONG,
			       "a mount point's name is too long");
	for (char *p = path + strspn(path, "/"); (p = strchr(p, '/')); p++) {
		autoclose int fd = -1;
		struct stat st;

		*p = 0;
		fd = rootfs_openat2(root, path, O_PATH | O_NOFOLLOW,
				    RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
		*p = '/';
		if (fd < 0 && errno == ENOENT)
			return 0;
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			continue;
		*p = 0;
		return co_fail(err, CO_ACCESS,
			       "%s of the image is no folder, and %s is to be mounted "
			       "below it: such an image is not run by another runtime",
			       path, destination);
	}
	return 0;
}

static int check_all(int root, const struct ctr_config *config, struct co_err *err)
{
	int status = rootfs_check_root(root, err);

	for (size_t i = 0; status == 0 && i < config->mount_count; i++)
		status = check_parents(root, config->mounts[i].destination, err);
	return status;
}

int ctr_rootfs_check(const char *root, const struct ctr_config *config,
		     struct co_err *err)
{
	autoclose int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return co_fail_errno(err, errno, "cannot open the root %s", root);
	return check_all(fd, config, err);
}

static int mount_on(struct rootfs_source *from, const char *at, struct co_err *err)
{
	autoclose int target = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int tree = -1;
	int status;

	if (target < 0)
		return co_fail_errno(err, errno, "cannot open %s", at);
	status = rootfs_root_open(from, &tree, err);
	if (status == 0)
		status = check_all(tree, from->config, err);
	return status < 0 ? status : rootfs_tree_move(tree, target, at, err);
}

int ctr_rootfs_mount(const struct ctr_config *config, const char *at, char note[256],
		     struct co_err *err)
{
	struct rootfs_source from = { .config = config,
				      .maps = -1,
				      .own_ids = config->uids.count > 0 };
	autoclose int ids = -1;
	int status = 0;

	if (config->cloudos.idmap && config->uids.count > 0) {
		status = rootfs_user_ns(&config->uids, &config->gids, &ids, err);
		from.maps = ids;
	}
	if (status == 0)
		status = mount_on(&from, at, err);
	ctr_rootfs_done(&from.keep);
	memcpy(note, from.note, sizeof(from.note));
	return status;
}
