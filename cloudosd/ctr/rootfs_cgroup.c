/* SPDX-License-Identifier: MIT */
/*
 * /sys/fs/cgroup as a container sees it: its own groups only.  HOST, inside.
 *
 * On a host with v2 alone both types are that.  Otherwise `cgroup` is a folder with one
 * mount for each hierarchy of the host, v2 among them as `unified`.  With a cgroup name
 * space the mounts are new and begin at the container's group; without, that group is
 * bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "cloudosd/ctr/rootfs_inside.h"

/* One line of /proc/self/cgroup and where the host has it mounted. */
struct hierarchy {
	char names[256]; /* "cpu,cpuacct", "name=systemd", "" for v2 */
	char path[2048]; /* of our group in it */
	char mount[512]; /* "" if it is not mounted */
};

bool rootfs_type_is_cgroup(const char *type)
{
	return strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0;
}

/* Whether the list, separated by commas, has the first name of `names`. */
static bool has_first(const char *list, const char *names)
{
	size_t n = strcspn(names, ",");

	while (*list) {
		size_t word = strcspn(list, ",");

		if (word == n && memcmp(list, names, n) == 0)
			return true;
		list += word + strspn(list + word, ",");
	}
	return false;
}

/* Fills in h->mount. */
static void find_mount(struct hierarchy *h)
{
	autofclose FILE *f = fopen("/proc/self/mountinfo", "re");
	autofree char *line = NULL;
	size_t room = 0;

	h->mount[0] = 0;
	while (f && getline(&line, &room, f) > 0) {
		char *end = strstr(line, " - "), type[32], options[1024];
		char where[512];

		/* a v1 mount lists its controllers behind its source */
		if (!end || sscanf(end, " - %31s %*s %1023s", type, options) != 2 ||
		    sscanf(line, "%*s %*s %*s / %511s", where) != 1)
			continue;
		if (h->names[0] ? strcmp(type, "cgroup") != 0 ||
					  !has_first(options, h->names)
				: strcmp(type, "cgroup2") != 0)
			continue;
		(void) snprintf(h->mount, sizeof(h->mount), "%s", where); /* as large */
	}
}

/* The next line of /proc/self/cgroup. */
static bool next_hierarchy(FILE *f, struct hierarchy *h)
{
	char line[sizeof(h->names) + sizeof(h->path)];
	char *names, *path;

	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		names = strchr(line, ':');
		path = names ? strchr(names + 1, ':') : NULL;
		if (!path || (size_t) (path - names) > sizeof(h->names) ||
		    strlen(path) > sizeof(h->path))
			continue;
		*path++ = 0;
		names++;
		memcpy(h->names, names, strlen(names) + 1);
		memcpy(h->path, path, strlen(path) + 1);
		find_mount(h);
		return true;
	}
	return false;
}

/* A new mount of it, which the cgroup name space makes ours alone. */
static int new_view(const struct hierarchy *h, uint64_t attributes, int *out)
{
	char *words[2] = { NULL, NULL }, names[256], why[256];
	struct ctr_texts data = { .at = words, .count = 0 };
	struct rootfs_new what = { .type = h->names[0] ? "cgroup" : "cgroup2",
				   .source = "cgroup",
				   .data = &data,
				   .attributes = attributes };
	int status;

	if (!h->names[0])
		return rootfs_fs_new(&what, out, why);
	/* the first controller tells the hierarchy; a named one has none */
	(void) snprintf(names, sizeof(names), "%.*s", (int) strcspn(h->names, ","),
			h->names); /* as large */
	words[data.count++] = names;
	if (strncmp(names, "name=", 5) == 0)
		words[data.count++] = (char *) "none";
	status = rootfs_fs_new(&what, out, why);
	/* one with two controllers wants both */
	if (status < 0 && strchr(h->names, ',')) {
		char both[256], *rest;

		(void) snprintf(both, sizeof(both), "%s", h->names); /* as large */
		rest = strchr(both, ',');
		*rest++ = 0;
		words[0] = both;
		words[1] = rest;
		data.count = 2;
		status = strchr(rest, ',') ? status : rootfs_fs_new(&what, out, why);
	}
	return status;
}

static int bound_view(const struct hierarchy *h, uint64_t attributes, int *out)
{
	struct rootfs_options o = { .set_all = attributes };
	char path[sizeof(h->mount) + sizeof(h->path)];
	autoclose int tree = -1;
	int status;

	if (!h->mount[0])
		return -ENOENT;
	(void) snprintf(path, sizeof(path), "%s%s", h->mount, h->path); /* as large */
	tree = rootfs_tree_open(path, true);
	/* a group outside our name space has a path that begins above it */
	if (tree < 0 && strncmp(h->path, "/..", 3) == 0)
		tree = rootfs_tree_open(h->mount, true);
	if (tree < 0)
		return -errno;
	status = rootfs_tree_set(tree, &o, path, NULL);
	if (status == 0)
		*out = take_fd(tree);
	return status;
}

/* 0, or why not. */
static int view(const struct rootfs *r, const struct hierarchy *h, uint64_t attributes,
		int *out)
{
	int status = -EPERM;

	if (ctr_config_namespace(r->config, CLONE_NEWCGROUP))
		status = new_view(h, attributes, out);
	return status == 0 ? 0 : bound_view(h, attributes, out);
}

static int mount_v2(struct rootfs *r, const struct ctr_mount *mount,
		    const struct rootfs_options *o, int target, struct co_err *err)
{
	autofclose FILE *f = fopen("/proc/self/cgroup", "re");
	autoclose int tree = -1;
	struct hierarchy h;
	int status = -ENOENT;

	while (f && next_hierarchy(f, &h))
		if (!h.names[0])
			status = view(r, &h, o->set | o->set_all, &tree);
	if (status == 0)
		return rootfs_tree_move(tree, target, mount->destination, err);
	if (!r->inside->own_user)
		return co_fail_errno(err, -status, "cannot mount a cgroup2 on %s",
				     mount->destination);
	rootfs_note(r, "%s is empty: a cgroup2 cannot be mounted here (%s)",
		    mount->destination, strerror(-status));
	return 0;
}

/* "cpu" beside "cpu,cpuacct". */
static void link_names(int folder, const char *names)
{
	char name[256];

	for (const char *at = names; strchr(names, ',') && *at;) {
		size_t n = strcspn(at, ",");

		(void) snprintf(name, sizeof(name), "%.*s", (int) n, at); /* as large */
		if (symlinkat(names, folder, name) < 0)
			return; /* a convenience */
		at += n + strspn(at + n, ",");
	}
}

static int mount_one(struct rootfs *r, const struct hierarchy *h, int folder,
		     uint64_t attributes, struct co_err *err)
{
	const char *name = !h->names[0]                         ? "unified"
			   : strncmp(h->names, "name=", 5) == 0 ? h->names + 5
								: h->names;
	autoclose int tree = -1, target = -1;
	int status;

	if (!h->mount[0])
		return 0;
	status = view(r, h, attributes, &tree);
	if (status < 0) {
		rootfs_note(r, "the control groups of %s are not visible inside: %s",
			    name, strerror(-status));
		return 0;
	}
	status = rootfs_open(folder, name, ROOTFS_FOLDER, &target, err);
	if (status == 0)
		status = rootfs_tree_move(tree, target, name, err);
	link_names(folder, h->names);
	return status;
}

static int mount_v1(struct rootfs *r, const struct ctr_mount *mount,
		    const struct rootfs_options *o, int target, struct co_err *err)
{
	char *const mode = (char *) "mode=755";
	struct ctr_texts data = { .at = (char **) &mode, .count = 1 };
	uint64_t attributes = o->set | o->set_all;
	struct mount_attr ro = { .attr_set = attributes & MOUNT_ATTR_RDONLY };
	struct rootfs_new what = { .type = "tmpfs",
				   .source = "tmpfs",
				   .data = &data,
				   .attributes =
					   attributes & ~(uint64_t) MOUNT_ATTR_RDONLY };
	autofclose FILE *f = fopen("/proc/self/cgroup", "re");
	autoclose int folder = -1;
	struct hierarchy h;
	char why[256];
	int status = rootfs_fs_new(&what, &folder, why);

	if (status < 0)
		return co_fail_errno(err, -status, "cannot mount a tmpfs on %s",
				     mount->destination);
	status = rootfs_tree_move(folder, target, mount->destination, err);
	while (status == 0 && f && next_hierarchy(f, &h))
		status = mount_one(r, &h, folder, attributes, err);
	if (status == 0 && ro.attr_set &&
	    mount_setattr(folder, "", AT_EMPTY_PATH, &ro, sizeof(ro)) < 0)
		status = co_fail_errno(err, errno, "cannot make %s read-only",
				       mount->destination);
	return status;
}

int rootfs_mount_cgroup(struct rootfs *r, const struct ctr_mount *mount,
			const struct rootfs_options *o, int target, struct co_err *err)
{
	struct statfs fs;
	bool v2 = strcmp(mount->type, "cgroup2") == 0 ||
		  (statfs("/sys/fs/cgroup", &fs) == 0 &&
		   fs.f_type == CGROUP2_SUPER_MAGIC);

	return v2 ? mount_v2(r, mount, o, target, err)
		  : mount_v1(r, mount, o, target, err);
}
