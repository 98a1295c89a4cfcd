/* SPDX-License-Identifier: MIT */
/*
 * Control groups: v2, v1 and both at once, found out by trying.  HOST.
 *
 * With v2 mounted anywhere, even without controllers, a container is tracked, frozen and
 * killed there and its first process is cloned into it; v1 folders are made only for limits
 * that were asked for and that v2 does not have.  On v1 alone the freezer tracks.  With
 * none, processes are tracked by the pid name space and limits are refused.
 */
#ifndef CTR_CGROUP_H
#define CTR_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cloudosd/ctr/config.h"
#include "lib/buf.h"

struct ctr_cgroup; /* of one container */

/* What this box can do, for `features` and `cloudosctl doctor`. */
struct ctr_cgroup_probe {
	bool v2, v1;           /* mounted, and we can make folders there */
	char v2_root[256];     /* "/sys/fs/cgroup/unified"; "" without */
	char controllers[256]; /* that can be had, "cpu memory pids"; of both */
	bool freeze, kill, clone_into;
	char sentence[256]; /* what cannot be had, and why; "" when all can */
};
void ctr_cgroup_look(struct ctr_cgroup_probe *out);

/*
 * Makes the container's groups and sets its limits.  `path` as cgroupsPath of OCI (absolute:
 * from the mount; relative: below a folder of ours; "slice:prefix:name" for --systemd-cgroup
 * is made a path); NULL: "cloudos/ID".  A limit that cannot be enforced is CO_ACCESS with a
 * sentence unless allow_unenforced is set; then ctr_cgroup_unenforced names it.  CO_BUSY:
 * there are processes in a group of that path already.
 */
struct ctr_cgroup_spec {
	const char *id, *path;
	const struct ctr_resources *resources;
	bool rootless, allow_unenforced;
	bool disabled;  /* --cgroup-manager=disabled */
	bool accounted; /* somebody looks into the groups himself: in all that count */
	/* What another process has made and left, with whoever is in it, to be killed and
	 * removed: no limit is set. */
	bool leftover;
};
int ctr_cgroup_create(const struct ctr_cgroup_spec *spec, struct ctr_cgroup **out,
		      struct co_err *err);

/* That of a container that exists, from the text that ctr_cgroup_save wrote. */
void ctr_cgroup_save(const struct ctr_cgroup *g, struct co_buf *out_json);
int ctr_cgroup_open(struct co_span json, struct ctr_cgroup **out, struct co_err *err);
void ctr_cgroup_free(struct ctr_cgroup *g); /* NULL is allowed; the groups stay */

/* "memory, cpu"; "" when every limit that was asked for holds. */
const char *ctr_cgroup_unenforced(const struct ctr_cgroup *g);

/* For clone3's CLONE_INTO_CGROUP; -1: use ctr_cgroup_add. */
int ctr_cgroup_clone_fd(const struct ctr_cgroup *g);

/*
 * Puts the process into every group of g that cloning did not put it into.  The first one
 * is remembered: where there are no groups, it is what the container is found by, so save
 * afterwards.  Call it for every process, also for those of exec.
 */
int ctr_cgroup_add(const struct ctr_cgroup *g, pid_t pid, struct co_err *err);

/* Sets what is given, leaves what is not; -1 takes a limit away.  Also while frozen. */
int ctr_cgroup_update(struct ctr_cgroup *g, const struct ctr_resources *resources,
		      struct co_err *err);

/* Returns when all are frozen, or thawed; CO_TIMED_OUT after ten seconds. */
int ctr_cgroup_freeze(struct ctr_cgroup *g, bool frozen, struct co_err *err);
bool ctr_cgroup_frozen(const struct ctr_cgroup *g);

/*
 * Sends everything in it that signal.  SIGKILL works frozen or not (what v1 froze is
 * thawed, when it has been sent); other signals wait until it is thawed.
 */
int ctr_cgroup_kill(struct ctr_cgroup *g, int signal, struct co_err *err);

/* The pids in it (malloc), ours to free. */
int ctr_cgroup_pids(const struct ctr_cgroup *g, pid_t **out, size_t *out_count,
		    struct co_err *err);

/* Waits at most timeout_ms for it to be empty, then removes its folders and those inside
 * them.  CO_BUSY: somebody is still there. */
int ctr_cgroup_remove(struct ctr_cgroup *g, int timeout_ms, struct co_err *err);

struct ctr_usage {
	uint64_t cpu_ns, user_ns, system_ns, throttled_ns;
	uint64_t memory, memory_limit, memory_peak, swap; /* bytes; limit 0: none */
	uint64_t pids, pids_limit, oom_kills;
	uint64_t read_bytes, write_bytes;
	/* Measured at all.  Without a memory controller `memory` is what the processes hold
	 * for themselves, without one for pids `pids` are their threads. */
	bool has_memory, has_pids, has_io;
};
void ctr_cgroup_usage(const struct ctr_cgroup *g, struct ctr_usage *out);

/*
 * Readable (drain it: 8 bytes of an eventfd or inotify events) when something may have been
 * killed for want of memory, or the group is gone: usage.oom_kills tells, to be read before
 * ctr_cgroup_remove.  -1: cannot be told, as there is no limit of memory.  Ours to close.
 */
int ctr_cgroup_oom_fd(const struct ctr_cgroup *g);

/* The path of /proc/PID/cgroup's v2 line for it, or of the first v1 group. */
const char *ctr_cgroup_path(const struct ctr_cgroup *g);

#endif
