/* SPDX-License-Identifier: MIT */
/*
 * /dev: nodes, links, the console.  HOST, inside.
 *
 * A /dev of ours is filled while it is not mounted anywhere yet.  In a user name space
 * nodes cannot be made: files are, and nodes are bound on them afterwards.  Those are made
 * outside by root on a tmpfs that nobody else sees (rootfs_nodes.c), or else are the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

enum { ATTEMPTS = 100 }; /* while others change the same root */

static const struct ctr_device standard[] = {
	{ "/dev/null", S_IFCHR, 1, 3, 0666, 0, 0 },
	{ "/dev/zero", S_IFCHR, 1, 5, 0666, 0, 0 },
	{ "/dev/full", S_IFCHR, 1, 7, 0666, 0, 0 },
	{ "/dev/random", S_IFCHR, 1, 8, 0666, 0, 0 },
	{ "/dev/urandom", S_IFCHR, 1, 9, 0666, 0, 0 },
	{ "/dev/tty", S_IFCHR, 5, 0, 0666, 0, 0 },
};

static const char *const links[][2] = {
	{ "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

const struct ctr_device *rootfs_device_at(const struct ctr_config *config, size_t i)
{
	const struct ctr_device *d;

	if (i < config->device_count)
		return &config->devices[i];
	i -= config->device_count;
	if (i >= co_countof(standard))
		return NULL;
	d = &standard[i];
	for (size_t j = 0; j < config->device_count; j++)
		if (strcmp(config->devices[j].path, d->path) == 0)
			return &config->devices[j]; /* made already */
	return d;
}

static bool is_device(const struct stat *st, const struct ctr_device *d)
{
	if ((st->st_mode & S_IFMT) != d->type)
		return false;
	return d->type == S_IFIFO ||
	       st->st_rdev == makedev((unsigned int) d->major, (unsigned int) d->minor);
}

/* The folder of a path, made if need be, and the last name of it. */
static int open_folder(int root, const char *path, int *out, const char **out_name,
		       struct co_err *err)
{
	const char *slash = strrchr(path, '/');
	char folder[4096];

	*out_name = slash ? slash + 1 : path;
	if (!**out_name || strcmp(*out_name, ".") == 0 || strcmp(*out_name, "..") == 0)
		return co_fail(err, CO_INVALID, "%s is no path of a device", path);
	if (snprintf(folder, sizeof(folder), "%.*s",
		     slash && slash != path ? (int) (slash - path) : 1,
		     slash && slash != path ? path : ".") >= (int) sizeof(folder))
		return co_fail(err, CO_NAME_TOO_LONG,
			       "the path of a device is too long");
	return rootfs_open(root, folder, ROOTFS_FOLDER, out, err);
}

/* What is in the way of a node goes: 1, there is room.  0: the node itself is there, right in
 * all or where nothing can be changed. */
static int make_room(int folder, const char *name, const struct ctr_device *d)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : -errno;
	if (is_device(&st, d) && (st.st_mode & 07777) == (d->mode & 07777) &&
	    st.st_uid == d->uid && st.st_gid == d->gid)
		return 0;
	if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
		return 1;
	return is_device(&st, d) ? 0 : -errno;
}

/* A file for the host's node to be bound on.  Others may be making it in the same root. */
static int make_file(int folder, const char *name)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		struct stat st;
		int fd;

		if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
			return 0;
		if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
			return -errno;
		fd = openat(folder, name,
			    O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd >= 0) {
			(void) close(fd); /* nothing was written */
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* 0, or a negative errno.  Others may be making it in the same root. */
static int make_node(int folder, const char *name, const struct ctr_device *d)
{
	dev_t number = d->type == S_IFIFO ? 0
					  : makedev((unsigned int) d->major,
						    (unsigned int) d->minor);
	mode_t mode = d->type | (d->mode & 07777);

	for (int i = 0; i < ATTEMPTS; i++) {
		int room;

		if (mknodat(folder, name, mode, number) == 0) {
			if ((!d->uid && !d->gid) ||
			    fchownat(folder, name, d->uid, d->gid,
				     AT_SYMLINK_NOFOLLOW) == 0)
				return 0;
			if (errno != ENOENT)
				return -errno;
			continue;
		}
		if (errno != EEXIST)
			return -errno;
		room = make_room(folder, name, d);
		if (room <= 0)
			return room;
	}
	return -EEXIST;
}

static int make_device(struct rootfs *r, int root, const char *path,
		       const struct ctr_device *d, struct co_err *err)
{
	autoclose int folder = -1;
	const char *name;
	int status = open_folder(root, path, &folder, &name, err);

	if (status < 0)
		return status;
	status = -EPERM;
	if (!r->nodes_are_bound || d->type == S_IFIFO)
		status = make_node(folder, name, d);
	if (status == -EPERM && d->type != S_IFIFO) {
		r->nodes_are_bound = true;
		status = make_file(folder, name);
	}
	return status == 0 ? 0
			   : co_fail_errno(err, -status, "cannot make the device %s",
					   d->path);
}

static int make_links(int dev, struct co_err *err)
{
	for (size_t i = 0; i < co_countof(links); i++)
		if (symlinkat(links[i][1], dev, links[i][0]) < 0 && errno != EEXIST)
			return co_fail_errno(err, errno, "cannot make the link /dev/%s",
					     links[i][0]);
	return 0;
}

/* Where the path of a device begins: at a /dev of ours, or at the root of an image that has
 * its own, with whatever links. */
static int base_of(const struct rootfs *r, int dev, const char **path)
{
	if (dev < 0)
		return r->root;
	*path += strlen("/dev");
	return dev;
}

int rootfs_dev_fill(struct rootfs *r, int dev, struct co_err *err)
{
	const struct ctr_device *d;
	autoclose int images = -1;

	if (r->inside->own_user)
		r->nodes_are_bound = true;
	for (size_t i = 0; (d = rootfs_device_at(r->config, i)); i++) {
		const char *path = d->path;
		int base, status;

		if (!rootfs_path_below(path, "/dev"))
			continue;
		base = base_of(r, dev, &path);
		status = make_device(r, base, path, d, err);
		if (status < 0)
			return status;
	}
	if (dev < 0) {
		int status = rootfs_open(r->root, "/dev", ROOTFS_FOLDER, &images, err);

		if (status < 0)
			return status;
	}
	return make_links(dev < 0 ? images : dev, err);
}

/* The host's node of these numbers: at the same path, or where sysfs says. */
static int open_host_node(const struct ctr_device *d, struct co_err *err)
{
	char path[512], line[256];
	struct stat st;
	int fd = open(d->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &st) == 0 && is_device(&st, d))
		return fd;
	if (fd >= 0)
		(void) close(fd); /* O_PATH */
	(void) snprintf(path, sizeof(path), "/sys/dev/%s/%lld:%lld/uevent",
			d->type == S_IFBLK ? "block" : "char", (long long) d->major,
			(long long) d->minor); /* fits */
	autofclose FILE *uevent = fopen(path, "re");

	while (uevent && fgets(line, sizeof(line), uevent)) {
		if (strncmp(line, "DEVNAME=", 8) != 0)
			continue;
		line[strcspn(line, "\n")] = 0;
		(void) snprintf(path, sizeof(path), "/dev/%s", line + 8); /* fits */
		fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 && is_device(&st, d))
			return fd;
		if (fd >= 0)
			(void) close(fd); /* O_PATH */
	}
	return co_fail(err, CO_NOT_FOUND,
		       "the device %s (%lld:%lld) is not in the host's /dev, and a "
		       "container with a user name space can only have what is there",
		       d->path, (long long) d->major, (long long) d->minor);
}

/* The node of the i-th device, as a detached mount. */
static int node_tree(const struct rootfs *r, size_t i, const struct ctr_device *d,
		     struct co_err *err)
{
	const unsigned int how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	autoclose int host = -1;
	char name[32];
	int tree;

	if (r->nodes >= 0) {
		(void) snprintf(name, sizeof(name), "%zu", i); /* fits */
		tree = open_tree(r->nodes, name, how);
	} else {
		host = open_host_node(d, err);
		if (host < 0)
			return host;
		tree = open_tree(host, "", AT_EMPTY_PATH | how);
	}
	if (tree < 0)
		return co_fail_errno(err, errno, "cannot take the device %s", d->path);
	return tree;
}

static int bind_device(struct rootfs *r, int root, const char *path, size_t i,
		       struct co_err *err)
{
	const struct ctr_device *d = rootfs_device_at(r->config, i);
	autoclose int target = -1, tree = -1;
	struct stat st;
	int status;

	if (!r->nodes_are_bound || d->type == S_IFIFO)
		return 0;
	status = rootfs_open(root, path, ROOTFS_FILE, &target, err);
	if (status < 0)
		return status;
	if (fstat(target, &st) == 0 && is_device(&st, d))
		return 0; /* twice in the configuration */
	tree = node_tree(r, i, d, err);
	return tree < 0 ? tree : rootfs_tree_move(tree, target, d->path, err);
}

static int finish_devices(struct rootfs *r, struct co_err *err)
{
	const struct ctr_device *d;

	for (size_t i = 0; (d = rootfs_device_at(r->config, i)); i++) {
		int status = 0;

		if (rootfs_path_below(d->path, "/dev")) {
			const char *path = d->path;
			int base = base_of(r, r->dev, &path);

			if (!r->dev_is_foreign)
				status = bind_device(r, base, path, i, err);
		} else {
			status = make_device(r, r->root, d->path, d, err);
			if (status == 0)
				status = bind_device(r, r->root, d->path, i, err);
		}
		if (status < 0)
			return status;
	}
	return 0;
}

/* A terminal of the container's own /dev/pts. */
static int new_terminal(struct rootfs *r, int out[2], struct co_err *err)
{
	int unlocked = 0;
	struct statfs fs;
	autoclose int slave = -1;
	autoclose int master =
		rootfs_openat2(r->root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW,
			       RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	/* an image's own node must not be taken for it */
	if (master < 0 || fstatfs(master, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return co_fail(
			err, CO_NOT_FOUND,
			"there is no terminal for the container: it needs a devpts "
			"mounted on /dev/pts");
	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return co_fail_errno(err, errno,
				     "cannot unlock the container's terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return co_fail_errno(err, errno,
				     "cannot open the container's terminal");
	if (fchown(slave, r->config->process.user.uid, (gid_t) -1) < 0 &&
	    errno != EINVAL && errno != EPERM)
		return co_fail_errno(err, errno,
				     "cannot give the terminal to the program's user");
	out[0] = take_fd(master);
	out[1] = take_fd(slave);
	return 0;
}

static int finish_console(struct rootfs *r, struct co_err *err)
{
	int console = r->inside->console, status;
	autoclose int tree = -1, target = -1, folder = -1;

	if (r->inside->out_terminal && r->config->process.terminal) {
		status = new_terminal(r, r->inside->out_terminal, err);
		if (status < 0)
			return status;
		console = r->inside->out_terminal[1];
	}
	if (console < 0)
		return 0;
	tree = open_tree(console, "",
			 AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0) {
		rootfs_note(
			r, "there is no /dev/console: the terminal is of another mount "
			   "name space");
		return 0;
	}
	folder = rootfs_openat2(r->root, "dev", O_PATH | O_DIRECTORY,
				RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (folder < 0)
		return co_fail_errno(err, errno, "cannot open /dev of the container");
	status = make_file(folder, "console");
	if (status < 0)
		return co_fail_errno(err, -status, "cannot make /dev/console");
	status = rootfs_open(folder, "console", ROOTFS_FILE, &target, err);
	return status < 0 ? status
			  : rootfs_tree_move(tree, target, "/dev/console", err);
}

int rootfs_dev_finish(struct rootfs *r, struct co_err *err)
{
	int status = 0;

	if (r->dev < 0 && !r->dev_is_foreign)
		status = rootfs_dev_fill(r, -1, err);
	if (status == 0)
		status = finish_devices(r, err);
	return status < 0 ? status : finish_console(r, err);
}
