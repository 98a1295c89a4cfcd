/* SPDX-License-Identifier: MIT */
/* What the files of cgroup*.c share.  HOST. */
#ifndef CTR_CGROUP_INSIDE_H
#define CTR_CGROUP_INSIDE_H

#include <stddef.h>

#include "cloudosd/ctr/cgroup.h"
#include "lib/cleanup.h"

enum { GROUP_PATH = 1024, GROUP_V1 = 16, GROUP_TEXT = 65536, GROUP_DEPTH = 32 };

/* Controllers, and their names in both versions; "" where a version has none. */
#define GROUP_CONTROLLERS(X)                                                           \
	X(MEMORY, "memory", "memory")                                                  \
	X(CPU, "cpu", "cpu")                                                           \
	X(CPUACCT, "", "cpuacct")                                                      \
	X(CPUSET, "cpuset", "cpuset")                                                  \
	X(PIDS, "pids", "pids")                                                        \
	X(IO, "io", "blkio")                                                           \
	X(HUGETLB, "hugetlb", "hugetlb")                                               \
	X(DEVICES, "", "devices")                                                      \
	X(NET_CLS, "", "net_cls")                                                      \
	X(NET_PRIO, "", "net_prio")                                                    \
	X(FREEZER, "", "freezer")

enum group_index {
#define X(name, v2, v1) GROUP_INDEX_##name,
	GROUP_CONTROLLERS(X)
#undef X
		GROUP_COUNT
};

enum group_controller {
#define X(name, v2, v1) GROUP_##name = 1 << GROUP_INDEX_##name,
	GROUP_CONTROLLERS(X)
#undef X
};

extern const char *const group_names[2][GROUP_COUNT]; /* [0]: v2, [1]: v1 */

/* A mounted hierarchy. */
struct group_mount {
	char at[256];         /* where; "": not there */
	char own[512];        /* our own group in it, "/" or "/a/b" */
	unsigned controllers; /* enum group_controller */
};

struct group_box {
	struct group_mount v2, v1[GROUP_V1];
	size_t v1_count;
};

/* What is mounted; nothing is tried. */
void group_box_read(struct group_box *out);

/* A folder of one container in one hierarchy. */
struct group_folder {
	char *path;
	size_t base; /* bytes of path: the mount, or our own group in it */
	size_t keep; /* bytes of path: what stays when it is removed */
	unsigned controllers;
};

struct ctr_cgroup {
	struct group_folder v2; /* path NULL: none */
	struct group_folder v1[GROUP_V1];
	size_t v1_count;
	char *wish; /* the path below a mount that all folders have */
	bool own;   /* wish is below a folder of ours */
	bool rootless, allow_unenforced;
	int clone_fd;
	pid_t first; /* what is tracked without any group; 0: nothing yet */
	uint64_t first_start;
	char *place; /* for ctr_cgroup_path */
	struct co_buf unenforced;
};

/* ---- cgroup_file.c ---- */

/* Writes text into folder/file; a sentence says what could not be set to what. */
int group_write(const char *folder, const char *file, const char *text,
		struct co_err *err);
int group_write_i64(const char *folder, const char *file, int64_t value,
		    struct co_err *err);
bool group_has(const char *folder, const char *file);

/* At most GROUP_TEXT bytes, terminated; -errno. */
int group_read(const char *folder, const char *file, struct co_buf *out);
bool group_read_u64(const char *folder, const char *file, uint64_t *out);

/* "name 5" of a file with such lines. */
bool group_read_named(const char *folder, const char *file, const char *name,
		      uint64_t *out);

/* Is word one of those in text, which blanks, commas and newlines separate? */
bool group_word(const char *text, const char *word);

/* ---- cgroup_place.c ---- */

/* The container's folder in that hierarchy, made with all above it.  -errno. */
int group_place(struct ctr_cgroup *g, const struct group_mount *m,
		struct group_folder *out);

/* Those of v2 that could reach the folder; making them do so, and which of them do then. */
unsigned group_available(const struct group_folder *f);
unsigned group_enable(const struct group_folder *f, unsigned controllers);

/* Removes it, what the container made in it, and what we made above it.  -errno. */
int group_unplace(const struct group_folder *f);

/* ---- cgroup_limits.c and what it calls ---- */

struct group_limits {
	struct ctr_cgroup *g;
	const struct ctr_resources *r;
	struct co_err *err;
	bool fresh; /* nothing was ever set: what means "no limit" needs no words */
};

/* Where that controller is; NULL: nowhere. */
const char *group_of(const struct ctr_cgroup *g, unsigned controller, bool *out_v2);

/* A limit cannot be had: refuses, or notes it where that was allowed. */
int group_unmet(struct group_limits *l, const char *what, const char *why);

unsigned group_wanted(const struct ctr_resources *r);
int group_set_all(struct group_limits *l);
int group_set_memory(struct group_limits *l);
int group_set_cpu(struct group_limits *l);
int group_set_cpuset(struct group_limits *l);
int group_set_io(struct group_limits *l);

/* The first of a v1 cpuset folder, which is of no use empty. */
void group_inherit_cpuset(const char *folder, size_t keep);

/* Device rules as a program on a v2 folder, in place of the one that is there; as the files
 * of a v1 folder.  Can the first be had (it lets everything pass)? */
bool group_takes_program(const char *folder);
int group_device_program(const char *folder, const struct ctr_resources *r,
			 struct co_err *err);
int group_device_rules(const char *folder, const struct ctr_resources *r,
		       struct co_err *err);

/* ---- cgroup_pids.c ---- */

struct group_pids {
	pid_t *at;
	size_t count, room;
	bool failed;
};
/* Those in the folder and below it. */
void group_pids_of(const char *folder, const char *file, struct group_pids *out);

/* Those of a container without groups. */
void group_pids_tracked(const struct ctr_cgroup *g, struct group_pids *out);
bool group_first_alive(const struct ctr_cgroup *g);
/* Is it the init of a pid name space of its own, which takes all others in it along? */
bool group_first_is_init(const struct ctr_cgroup *g);
uint64_t group_start_time(pid_t pid); /* of /proc/PID/stat; 0: gone */

/* The folder that knows all processes; NULL: none does. */
const char *group_tracker(const struct ctr_cgroup *g);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t group_now(void);
void group_pause(int us);

#endif
