/* SPDX-License-Identifier: MIT */
/* The words in a mount's `options`, as OCI and mount(8) have them.  HOST. */
#include <string.h>

#include "cloudosd/ctr/rootfs_inside.h"

enum kind {
	SET,     /* bits of the mount */
	CLEAR,   /* the opposite */
	TIME,    /* one of several, set in the place of all */
	ALL_SET, /* the same of everything below */
	ALL_CLEAR,
	ALL_TIME,
	SPREAD, /* propagation */
	SPREAD_ALL,
	BIND,
	IDMAP,
	COPY_UP,
	FILL,
	DATA,    /* of the file system, as words that we do not know */
	NOTHING, /* known and without meaning here */
};

struct word {
	const char *name;
	enum kind kind;
	uint64_t bits;
};

static const struct word words[] = {
	{ "acl", NOTHING, 0 },
	{ "async", NOTHING, 0 },
	{ "atime", TIME, MOUNT_ATTR_RELATIME },
	{ "bind", BIND, 0 },
	{ "copyup", FILL, 0 },
	{ "defaults", NOTHING, 0 },
	{ "dev", CLEAR, MOUNT_ATTR_NODEV },
	{ "diratime", CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "dirsync", DATA, 0 },
	{ "exec", CLEAR, MOUNT_ATTR_NOEXEC },
	{ "idmap", IDMAP, 0 },
	{ "iversion", NOTHING, 0 },
	{ "lazytime", DATA, 0 },
	{ "loud", NOTHING, 0 },
	{ "mand", NOTHING, 0 },
	{ "noatime", TIME, MOUNT_ATTR_NOATIME },
	{ "nodev", SET, MOUNT_ATTR_NODEV },
	{ "nodiratime", SET, MOUNT_ATTR_NODIRATIME },
	{ "noexec", SET, MOUNT_ATTR_NOEXEC },
	{ "noiversion", NOTHING, 0 },
	{ "nolazytime", DATA, 0 },
	{ "nomand", NOTHING, 0 },
	{ "norelatime", TIME, MOUNT_ATTR_RELATIME },
	{ "nostrictatime", TIME, MOUNT_ATTR_RELATIME },
	{ "nosuid", SET, MOUNT_ATTR_NOSUID },
	{ "nosymfollow", SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "private", SPREAD, MS_PRIVATE },
	{ "ratime", ALL_TIME, MOUNT_ATTR_RELATIME },
	{ "rbind", BIND, MS_REC },
	{ "rdev", ALL_CLEAR, MOUNT_ATTR_NODEV },
	{ "rdiratime", ALL_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "relatime", TIME, MOUNT_ATTR_RELATIME },
	{ "remount", NOTHING, 0 },
	{ "rexec", ALL_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "ridmap", IDMAP, MS_REC },
	{ "rnoatime", ALL_TIME, MOUNT_ATTR_NOATIME },
	{ "rnodev", ALL_SET, MOUNT_ATTR_NODEV },
	{ "rnodiratime", ALL_SET, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", ALL_SET, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", ALL_TIME, MOUNT_ATTR_RELATIME },
	{ "rnostrictatime", ALL_TIME, MOUNT_ATTR_RELATIME },
	{ "rnosuid", ALL_SET, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", ALL_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", SET, MOUNT_ATTR_RDONLY },
	{ "rprivate", SPREAD_ALL, MS_PRIVATE },
	{ "rrelatime", ALL_TIME, MOUNT_ATTR_RELATIME },
	{ "rro", ALL_SET, MOUNT_ATTR_RDONLY },
	{ "rrw", ALL_CLEAR, MOUNT_ATTR_RDONLY },
	{ "rshared", SPREAD_ALL, MS_SHARED },
	{ "rslave", SPREAD_ALL, MS_SLAVE },
	{ "rstrictatime", ALL_TIME, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", ALL_CLEAR, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", ALL_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", SPREAD_ALL, MS_UNBINDABLE },
	{ "rw", CLEAR, MOUNT_ATTR_RDONLY },
	{ "shared", SPREAD, MS_SHARED },
	{ "silent", NOTHING, 0 },
	{ "slave", SPREAD, MS_SLAVE },
	{ "strictatime", TIME, MOUNT_ATTR_STRICTATIME },
	{ "suid", CLEAR, MOUNT_ATTR_NOSUID },
	{ "symfollow", CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "sync", DATA, 0 },
	{ "tmpcopyup", COPY_UP, 0 },
	{ "unbindable", SPREAD, MS_UNBINDABLE },
};

static const struct word *find(const char *text)
{
	size_t low = 0, high = co_countof(words);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(text, words[middle].name);

		if (order == 0)
			return &words[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

bool rootfs_option_known(const char *word)
{
	const struct word *w = find(word);

	return w && w->kind != DATA;
}

const char *ctr_rootfs_option(size_t i)
{
	return i < co_countof(words) ? words[i].name : NULL;
}

/* The last word about a thing counts. */
static void attribute(uint64_t *set, uint64_t *clear, uint64_t mask, uint64_t bits)
{
	*set = (*set & ~mask) | bits;
	*clear |= mask;
}

static void apply(struct rootfs_options *o, const struct word *w)
{
	switch (w->kind) {
	case SET:
		attribute(&o->set, &o->clear, w->bits, w->bits);
		break;
	case CLEAR:
		attribute(&o->set, &o->clear, w->bits, 0);
		break;
	case TIME:
		attribute(&o->set, &o->clear, MOUNT_ATTR__ATIME, w->bits);
		break;
	case ALL_SET:
		attribute(&o->set_all, &o->clear_all, w->bits, w->bits);
		break;
	case ALL_CLEAR:
		attribute(&o->set_all, &o->clear_all, w->bits, 0);
		break;
	case ALL_TIME:
		attribute(&o->set_all, &o->clear_all, MOUNT_ATTR__ATIME, w->bits);
		break;
	case SPREAD:
	case SPREAD_ALL:
		o->propagation = w->bits;
		o->propagation_all = w->kind == SPREAD_ALL;
		break;
	case BIND:
		o->bind = true;
		o->recursive = o->recursive || w->bits != 0;
		break;
	case IDMAP:
		o->idmap = true;
		o->idmap_all = w->bits != 0;
		break;
	case COPY_UP:
		o->copy_up = true;
		break;
	case FILL:
		o->fill = true;
		break;
	case DATA:
	case NOTHING:
		break;
	}
}

int rootfs_options_read(const struct ctr_mount *mount, struct rootfs_options *out,
			struct co_err *err)
{
	const char *type = mount->type ? mount->type : "";
	bool recursive = strcmp(type, "rbind") == 0;
	struct rootfs_options o = { .bind = recursive || strcmp(type, "bind") == 0,
				    .recursive = recursive };

	for (size_t i = 0; i < mount->options.count; i++) {
		const struct word *w = find(mount->options.at[i]);

		if (w)
			apply(&o, w);
	}
	if (mount->uids.count > 0 || mount->gids.count > 0)
		o.idmap = true;
	if (o.copy_up && (o.bind || strcmp(type, "tmpfs") != 0))
		return co_fail(err, CO_INVALID,
			       "the mount on %s has tmpcopyup and is no tmpfs",
			       mount->destination);
	if (o.fill && (!o.bind || (o.set & MOUNT_ATTR_RDONLY)))
		return co_fail(
			err, CO_INVALID,
			"the mount on %s has copyup and is no bind mount that can "
			"be written to",
			mount->destination);
	if (o.idmap && !o.bind)
		return co_fail(err, CO_INVALID,
			       "the mount on %s maps ids and is no bind mount",
			       mount->destination);
	if (o.bind && !mount->source)
		return co_fail(err, CO_INVALID, "the bind mount on %s has no source",
			       mount->destination);
	*out = o;
	return 0;
}
