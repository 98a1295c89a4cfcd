/* SPDX-License-Identifier: MIT */
/* The mounts of a configuration, one after the other.  HOST, inside. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

void rootfs_note(const struct rootfs *r, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!r->inside->note)
		return;
	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args); /* cut if it must be */
	va_end(args);
	r->inside->note(r->inside->arg, text);
}

/* "/dev", "/dev/" and "//dev". */
static bool is_path(const char *path, const char *what)
{
	for (;;) {
		path += strspn(path, "/");
		what += strspn(what, "/");
		size_t n = strcspn(path, "/");

		if (n != strcspn(what, "/") || memcmp(path, what, n) != 0)
			return false;
		if (n == 0)
			return true;
		path += n;
		what += n;
	}
}

static const char *option_value(const struct ctr_mount *mount, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < mount->options.count; i++)
		if (strncmp(mount->options.at[i], key, n) == 0 &&
		    mount->options.at[i][n] == '=')
			return mount->options.at[i] + n + 1;
	return NULL;
}

/*
 * Where a mount goes.  A link of the image may lead it elsewhere inside, but not onto the
 * kernel's own files, whose masks and meaning somebody else relies on.
 */
static int open_target(struct rootfs *r, const char *destination, enum rootfs_want want,
		       int *out, struct co_err *err)
{
	autoclose int target = -1;
	struct statfs fs;
	struct stat st;
	int status = rootfs_open(r->root, destination, want, &target, err);

	if (status < 0)
		return status;
	if (fstatfs(target, &fs) < 0 || fstat(target, &st) < 0)
		return co_fail_errno(err, errno, "cannot look at %s of the container",
				     destination);
	if (st.st_ino == r->top.st_ino && st.st_dev == r->top.st_dev)
		return co_fail(err, CO_INVALID,
			       "the mount on %s would hide the whole root; root.path "
			       "says what the root is",
			       destination);
	if (fs.f_type == PROC_SUPER_MAGIC && !rootfs_path_below(destination, "/proc"))
		return co_fail(
			err, CO_ACCESS,
			"%s of the image is a link that leads into /proc: nothing "
			"is mounted there",
			destination);
	*out = take_fd(target);
	return 0;
}

/* In a user name space, how times are kept is the host's to say. */
static int set_options(const struct rootfs *r, int tree, const struct rootfs_options *o,
		       const struct ctr_mount *mount, struct co_err *err)
{
	const uint64_t times = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;
	struct rootfs_options less = *o;
	int status = rootfs_tree_set(tree, o, mount->source, err);

	if (status != CO_ACCESS || !((o->clear | o->clear_all) & times))
		return status;
	less.set &= ~times;
	less.clear &= ~times;
	less.set_all &= ~times;
	less.clear_all &= ~times;
	status = rootfs_tree_set(tree, &less, mount->source, err);
	if (status == 0)
		rootfs_note(r, "access times in %s are kept as they are outside",
			    mount->destination);
	return status;
}

static int bind_one(struct rootfs *r, const struct ctr_mount *mount,
		    const struct rootfs_options *o, int from_outside,
		    struct co_err *err)
{
	autoclose int opened = -1, target = -1;
	int tree = from_outside, status;
	struct stat st;

	if (tree < 0) {
		opened = tree = rootfs_tree_open(mount->source, o->recursive);
		/* what is locked together cannot be taken apart */
		if (tree < 0 && errno == EINVAL)
			opened = tree = rootfs_tree_open(mount->source, true);
		if (tree < 0)
			return co_fail_errno(err, errno,
					     "cannot open %s, which is to be at %s",
					     mount->source, mount->destination);
		status = set_options(r, tree, o, mount, err);
		if (status < 0)
			return status;
	}
	if (fstat(tree, &st) < 0)
		return co_fail_errno(err, errno, "cannot look at %s", mount->source);
	status = open_target(r, mount->destination,
			     S_ISDIR(st.st_mode) ? ROOTFS_FOLDER : ROOTFS_FILE, &target,
			     err);
	if (status < 0)
		return status;
	if (is_path(mount->destination, "/dev"))
		r->dev_is_foreign = true;
	if (o->fill && S_ISDIR(st.st_mode))
		status = rootfs_fill(target, tree, mount->destination, err);
	if (status < 0)
		return status;
	return rootfs_tree_move(tree, target, mount->destination, err);
}

int rootfs_instead(struct rootfs *r, const struct ctr_mount *mount,
		   const struct rootfs_options *o, int target, struct co_err *err)
{
	static const struct {
		const char *type, *path;
	} hosts[] = {
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "mqueue", "/dev/mqueue" },
	};
	struct rootfs_options all = *o;
	const char *path = NULL;
	autoclose int tree = -1;
	int status;

	for (size_t i = 0; i < co_countof(hosts); i++)
		if (strcmp(mount->type, hosts[i].type) == 0)
			path = hosts[i].path;
	if (!path)
		return 1;
	tree = rootfs_tree_open(path, true);
	if (tree < 0 && errno == ENOENT && strcmp(mount->type, "mqueue") == 0) {
		rootfs_note(r, "%s is not there: message queues cannot be mounted here",
			    mount->destination);
		return 0;
	}
	if (tree < 0)
		return 1;
	/* what is below the host's is not to be written to through it either */
	all.set_all |= o->set & MOUNT_ATTR_RDONLY;
	status = rootfs_tree_set(tree, &all, path, err);
	if (status == 0)
		status = rootfs_tree_move(tree, target, mount->destination, err);
	if (status == 0)
		rootfs_note(
			r,
			"%s is the %s from outside: a new one cannot be mounted here",
			mount->destination, path);
	return status;
}

/* Ids that the container does not have cannot own its terminals. */
static int devpts_without_gid(const struct rootfs_new *what, int *out, char why[256])
{
	struct ctr_texts kept = { .at = calloc(what->data->count + 1, sizeof(char *)) };
	struct rootfs_new again = *what;
	int status;

	if (!kept.at)
		return -ENOMEM;
	for (size_t i = 0; i < what->data->count; i++)
		if (strncmp(what->data->at[i], "gid=", 4) != 0)
			kept.at[kept.count++] = what->data->at[i];
	again.data = &kept;
	status = rootfs_fs_new(&again, out, why);
	free(kept.at);
	return status;
}

static int make_fs(const struct rootfs_new *what, int *out, char why[256])
{
	int status = rootfs_fs_new(what, out, why);

	if (status == -EINVAL && strcmp(what->type, "devpts") == 0)
		status = devpts_without_gid(what, out, why);
	return status;
}

/* A tmpfs looks like the folder it hides unless the options say otherwise. */
static int tmpfs_begin(const struct ctr_mount *mount, const struct rootfs_options *o,
		       int fs, int target, struct co_err *err)
{
	static const struct rootfs_copying as_it_is;
	autoclose int from = -1;
	struct stat st;

	if (!option_value(mount, "mode") &&
	    (fstat(target, &st) < 0 || fchmodat(fs, ".", st.st_mode & 07777, 0) < 0))
		return co_fail_errno(err, errno, "cannot set the mode of %s",
				     mount->destination);
	if (!o->copy_up)
		return 0;
	from = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return co_fail_errno(err, errno, "cannot read %s of the image",
				     mount->destination);
	return rootfs_copy(&as_it_is, from, fs, mount->destination, err);
}

/* Mounted writable now, because mount points below are still to be made. */
static int later_read_only(struct rootfs *r, int fs, struct co_err *err)
{
	int copy;

	if (r->late_count == co_countof(r->late))
		return co_fail(err, CO_TOO_BIG,
			       "there are more than %zu read-only tmpfs",
			       co_countof(r->late));
	copy = fcntl(fs, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return co_fail_errno(err, errno, "cannot keep a mount");
	r->late[r->late_count++] = copy;
	return 0;
}

static int place_fs(struct rootfs *r, const struct ctr_mount *mount,
		    const struct rootfs_options *o, int fs, int target,
		    struct co_err *err)
{
	struct mount_attr spread = { .propagation = o->propagation };
	bool is_tmpfs = strcmp(mount->type, "tmpfs") == 0;
	int status = 0;

	if (is_tmpfs)
		status = tmpfs_begin(mount, o, fs, target, err);
	if (status == 0 && is_tmpfs && is_path(mount->destination, "/dev")) {
		status = rootfs_dev_fill(r, fs, err);
		r->dev = fcntl(fs, F_DUPFD_CLOEXEC, 3);
	}
	if (status == 0 && is_tmpfs && ((o->set | o->set_all) & MOUNT_ATTR_RDONLY))
		status = later_read_only(r, fs, err);
	if (status == 0)
		status = rootfs_tree_move(fs, target, mount->destination, err);
	if (status == 0 && o->propagation &&
	    mount_setattr(fs, "", AT_EMPTY_PATH, &spread, sizeof(spread)) < 0)
		status = co_fail_errno(err, errno, "cannot set the propagation of %s",
				       mount->destination);
	return status;
}

static int mount_fs(struct rootfs *r, const struct ctr_mount *mount,
		    const struct rootfs_options *o, struct co_err *err)
{
	struct rootfs_new what = { .type = mount->type,
				   .source =
					   mount->source ? mount->source : mount->type,
				   .name = mount->destination,
				   .data = &mount->options,
				   .attributes = o->set | o->set_all };
	autoclose int fs = -1, target = -1;
	char why[256];
	int status = open_target(r, mount->destination, ROOTFS_FOLDER, &target, err);

	if (status < 0)
		return status;
	if (rootfs_type_is_cgroup(mount->type))
		return rootfs_mount_cgroup(r, mount, o, target, err);
	if (strcmp(mount->type, "tmpfs") == 0)
		what.attributes &= ~(uint64_t) MOUNT_ATTR_RDONLY;
	status = make_fs(&what, &fs, why);
	if (status == 0)
		return place_fs(r, mount, o, fs, target, err);
	if (status == -EPERM || status == -EACCES || status == -EBUSY) {
		int instead = rootfs_instead(r, mount, o, target, err);

		if (instead <= 0)
			return instead;
	}
	return co_fail_errno(err, -status, "cannot mount a %s on %s%s%s", mount->type,
			     mount->destination, why[0] ? ": " : "", why);
}

int rootfs_mount_all(struct rootfs *r, struct co_err *err)
{
	const struct ctr_rootfs *outside = r->inside->from_outside;
	size_t bind = 2; /* behind the root and the devices */

	for (size_t i = 0; i < r->config->mount_count; i++) {
		const struct ctr_mount *mount = &r->config->mounts[i];
		struct rootfs_options o;
		int status = rootfs_options_read(mount, &o, err);

		if (status == 0 && o.bind) {
			int tree = bind < outside->count ? outside->fds[bind] : -1;

			bind++;
			status = bind_one(r, mount, &o, tree, err);
		} else if (status == 0 && !mount->type) {
			status = co_fail(err, CO_INVALID, "the mount on %s has no type",
					 mount->destination);
		} else if (status == 0) {
			status = mount_fs(r, mount, &o, err);
		}
		if (status < 0)
			return status;
	}
	return 0;
}
