/* SPDX-License-Identifier: MIT */
/*
 * A process in new name spaces whose files cloudosd/ctr/rootfs.h has built.  HOST.
 *
 *	struct box b;
 *
 *	box_init(&b, BOX_MAPPED);
 *	box_mount(&b, "/proc", "proc", "proc", "nosuid", NULL);
 *	ck_assert_int_eq(box_run(&b, look), 0);
 *	box_done(&b);
 */
#ifndef CO_TESTS_BOX_H
#define CO_TESTS_BOX_H

#include "cloudosd/ctr/rootfs.h"
#include "tests/run.h"

enum box_kind {
	BOX_ROOT,     /* root, no user name space */
	BOX_MAPPED,   /* root, with a user name space; ids mapped */
	BOX_ROOTLESS, /* an unprivileged user */
	BOX_KINDS,
};

struct box {
	enum box_kind kind;
	char folder[64]; /* holds root, and what a test likes */
	char root[80];
	struct ctr_config config;
	struct ctr_mount mounts[32];
	struct ctr_namespace spaces[8];
	struct ctr_id_map uid, gid;
	struct ctr_device devices[8];
	struct co_err err; /* of what failed */
	char notes[1024];  /* what was told, a line each */
	char outside_note[256];
	bool terminal;    /* the program gets one */
	bool no_standard; /* box_run adds no /proc, /dev and so on */
	int (*before_pivot)(void *arg, struct co_err *err);
	void *arg;
};

/* False, and said, when this machine does not allow such name spaces. */
bool box_can(enum box_kind kind);

void box_init(struct box *b, enum box_kind kind);
void box_done(struct box *b);

/* The way the folder of a path below b->folder is written: "%s/x". */
void box_path(const struct box *b, const char *name, char out[256]);
void box_make_folder(const struct box *b, const char *name);
void box_make_file(const struct box *b, const char *name, const char *text);
void box_make_link(const struct box *b, const char *name, const char *target);

/* The options end with NULL; the mount is there to be given maps. */
struct ctr_mount *box_mount(struct box *b, const char *destination, const char *type,
			    const char *source, ...);
void box_without(struct box *b, int name_space);

/* The status of building it, or what look() returned inside (>= 0). */
int box_run(struct box *b, int (*look)(void));

/* As box_run without look, and true when it was refused with `part` in the sentence. */
bool box_is_refused(struct box *b, const char *part);

/* box_run that must return 0; says which line of look() was not so. */
#define RUN(box, look)                                                                 \
	do {                                                                           \
		int got_ = box_run(box, look);                                         \
                                                                                       \
		ck_assert_msg(got_ == 0, "%s: %d: %s", got_ < 0 ? "failed" : "line",   \
			      got_, (box)->err.message);                               \
	} while (0)

/* ---- for look(): 0 or the number of the line that was not so ---- */
#define LOOK(condition)                                                                \
	do {                                                                           \
		if (!(condition))                                                      \
			return __LINE__;                                               \
	} while (0)
bool look_text(const char *path, const char *text);
bool look_mount(const char *path, const char *type, const char *options);

/* What mountinfo says about its propagation: "shared:", "master:"; NULL: nothing. */
bool look_propagation(const char *path, const char *word);
bool look_device(const char *path, unsigned int major, unsigned int minor);

#endif
