/* SPDX-License-Identifier: MIT */
/* What the files behind rootfs.h share.  HOST. */
#ifndef CTR_ROOTFS_INSIDE_H
#define CTR_ROOTFS_INSIDE_H

#include <sys/mount.h>
#include <sys/stat.h>

#include "cloudosd/ctr/rootfs.h"
#include "lib/cleanup.h"

/* ---- rootfs_option.c: the words in a mount's `options` ---- */

struct rootfs_options {
	uint64_t set, clear;         /* MOUNT_ATTR_* of the mount itself */
	uint64_t set_all, clear_all; /* of everything below it too */
	uint64_t propagation;        /* MS_SHARED and so on; 0: not said */
	bool propagation_all;
	bool bind, recursive;
	bool idmap, idmap_all;
	bool copy_up; /* a tmpfs begins as a copy of what it hides */
	bool fill;    /* so does an empty folder that is bound (a word of ours) */
};

/* 0 or CO_INVALID: words that contradict the kind of mount. */
int rootfs_options_read(const struct ctr_mount *mount, struct rootfs_options *out,
			struct co_err *err);

/* True when the word is ours or the mount's, false when it is for the file system. */
bool rootfs_option_known(const char *word);

/* ---- rootfs_path.c: paths of an image, never followed out of it ---- */

enum rootfs_want {
	ROOTFS_ANY,    /* what is there */
	ROOTFS_FOLDER, /* made if it is missing */
	ROOTFS_FILE,   /* likewise */
};

/* An O_PATH descriptor of `path` below root, links followed inside it.  0, CO_NOT_FOUND
 * (ROOTFS_ANY only; no sentence) or a sentence. */
int rootfs_open(int root, const char *path, enum rootfs_want want, int *out,
		struct co_err *err);

/* openat2; flags besides O_CLOEXEC, resolve as linux/openat2.h has it. */
int rootfs_openat2(int at, const char *path, uint64_t flags, uint64_t resolve);

/* /dev, /proc and /sys of it are folders or missing. */
int rootfs_check_root(int root, struct co_err *err);

/* True when path is `folder` or below it, both absolute. */
bool rootfs_path_below(const char *path, const char *folder);

/* ---- rootfs_layers.c: where the root comes from ---- */

struct rootfs_source {
	const struct ctr_config *config;
	int maps;     /* a user name space whose ids the layers get; -1 */
	bool own_ids; /* the container has a user name space */
	bool inside;  /* in the container's user name space, without root's rights */
	struct ctr_rootfs keep; /* its spare: what must stay open until later */
	char note[256];         /* what is there instead of an overlay; "" */
};

/* A detached mount of the root. */
int rootfs_root_open(struct rootfs_source *from, int *out, struct co_err *err);

/* ---- rootfs_overlay.c ---- */
int rootfs_overlay(struct rootfs_source *from, int *out, struct co_err *err);

/* For tests: as on a kernel that wants names. */
extern bool rootfs_overlay_by_name;

/* ---- rootfs_merge.c: without an overlay ---- */

/* Upper is a copy already, and stays one. */
bool rootfs_was_copied(const struct ctr_extension *x);

/* Makes the copy if need be; the root is upper itself then. */
int rootfs_copied(struct rootfs_source *from, int *out, struct co_err *err);

/* ---- rootfs_tree.c: detached mounts ---- */

/* A detached copy of the mount at path. */
int rootfs_tree_open(const char *path, bool recursive);

/* Gives a tree the options of a bind mount. */
int rootfs_tree_set(int tree, const struct rootfs_options *o, const char *name,
		    struct co_err *err);

int rootfs_tree_idmap(int tree, bool recursive, int user_ns, const char *name,
		      struct co_err *err);

/* A user name space with these maps, for mount_setattr alone. */
int rootfs_user_ns(const struct ctr_id_maps *uids, const struct ctr_id_maps *gids,
		   int *out, struct co_err *err);

/* A new file system, detached; `data` are its options, known words passed over. */
struct rootfs_new {
	const char *type, *source, *name; /* name: for sentences */
	const struct ctr_texts *data;     /* may be NULL */
	uint64_t attributes;
};

/* 0 or a negative errno; what the kernel said about it in out_reason. */
int rootfs_fs_new(const struct rootfs_new *what, int *out, char out_reason[256]);

/* Puts a detached mount on what target (O_PATH) is. */
int rootfs_tree_move(int tree, int target, const char *name, struct co_err *err);

/* ---- inside ---- */

struct rootfs {
	const struct ctr_config *config;
	const struct ctr_rootfs_inside *inside;
	int root;          /* the container's root */
	struct stat top;   /* of it */
	int null;          /* the host's /dev/null */
	int nodes;         /* of rootfs_nodes_make; -1 */
	bool is_on_top;    /* the root is on top of the host's, not in a folder of it */
	bool nodes_on_top; /* likewise the devices */
	int dev;           /* /dev if it is a tmpfs of ours; -1 */
	bool dev_is_foreign;  /* it is a bind mount */
	bool nodes_are_bound; /* they cannot be made */
	int late[32];         /* mounts that become read-only when all is built */
	size_t late_count;
};

/* ---- rootfs_mount.c ---- */
int rootfs_mount_all(struct rootfs *r, struct co_err *err);

/* Tells the creator what could not be had as it was asked for. */
void rootfs_note(const struct rootfs *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Mounts what takes the place of a file system that this process may not mount.  Positive:
 * nothing does. */
int rootfs_instead(struct rootfs *r, const struct ctr_mount *mount,
		   const struct rootfs_options *o, int target, struct co_err *err);

/* ---- rootfs_cgroup.c ---- */
bool rootfs_type_is_cgroup(const char *type);
int rootfs_mount_cgroup(struct rootfs *r, const struct ctr_mount *mount,
			const struct rootfs_options *o, int target, struct co_err *err);

/* ---- rootfs_dev.c ---- */

/* Makes nodes and links in a /dev that is not mounted yet; -1: in the image's own. */
int rootfs_dev_fill(struct rootfs *r, int dev, struct co_err *err);

/* Binds the host's nodes where nodes cannot be made; devices elsewhere; the console. */
int rootfs_dev_finish(struct rootfs *r, struct co_err *err);

/* The i-th device; NULL ends.  The configuration's own goes before the standard one. */
const struct ctr_device *rootfs_device_at(const struct ctr_config *config, size_t i);

/* ---- rootfs_nodes.c ---- */

/* Outside: a detached folder with a node for each device but pipes, named by its number.
 * -1: nodes cannot be made here. */
int rootfs_nodes_make(const struct ctr_config *config);

/* ---- rootfs_mask.c ---- */
int rootfs_mask_all(struct rootfs *r, struct co_err *err);

/* ---- rootfs_copy.c ---- */

/* What an id inside is outside; the first one's for those that are not mapped. */
uint32_t rootfs_outside_id(const struct ctr_id_maps *maps, uint32_t id);

struct rootfs_copying {
	bool is_layer; /* whiteouts and opaque folders remove, files replace */
	const struct ctr_id_maps *uids,
		*gids; /* of the copy's owners; NULL: as they are */
	bool top;      /* owner, mode and times of the folder itself, too */
};

/* Copies everything in the folder `from` into the folder `to`. */
int rootfs_copy(const struct rootfs_copying *how, int from, int to, const char *name,
		struct co_err *err);

/* Removes everything in a folder but the entry of that name (NULL: everything). */
int rootfs_empty(int folder, const char *but);

/* ---- rootfs_fill.c ---- */

/* What the folder `from` of the image has goes into the folder `to` if that is empty: once,
 * whoever else does it and whatever ends us meanwhile. */
int rootfs_fill(int from, int to, const char *name, struct co_err *err);

#endif
