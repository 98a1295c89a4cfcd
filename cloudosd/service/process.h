/* SPDX-License-Identifier: MIT */
/*
 * Who a process is, and what its pid is called elsewhere.  HOST.
 *
 * A pid alone names nobody: it is reused.  pid, start time and boot together do.  All of
 * this reads /proc, which never waits for a disk.  Thread-safe.  Who calls it: the
 * registry, the personalities (pids in and out of a guest's name space), the daemon.
 */
#ifndef CO_SERVICE_PROCESS_H
#define CO_SERVICE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct process_id {
	int32_t pid;         /* thread group, as this program sees it; 0: nobody */
	uint64_t start_time; /* clock ticks since boot, /proc/PID/stat field 22 */
	uint64_t boot;       /* process_boot() when it was read */
};

/* Half of the kernel's boot id; never 0; the same for as long as the machine runs. */
uint64_t process_boot(void);

/* Reads the identity of a process.  CO_NOT_FOUND when there is no such process; a tid
 * that is no thread group is taken for its process. */
int process_read(int32_t pid, struct process_id *out, struct co_err *err);

bool process_same(const struct process_id *a, const struct process_id *b);

/* A pidfd of exactly that process, close-on-exec; readable when it has ended.  CO_GONE
 * when it has ended (also as a zombie) or its pid is somebody else's by now. */
int process_open(const struct process_id *id, int *out_pidfd, struct co_err *err);

bool process_is_alive(const struct process_id *id);

/* The process of a thread; CO_NOT_FOUND. */
int process_of_thread(int32_t tid, int32_t *out_pid);

/* The start time of one thread (a reused tid has another); CO_NOT_FOUND. */
int process_thread_start(int32_t tid, uint64_t *out_start_time);

/* Has that thread neither ended nor become a zombie? */
bool process_thread_is_alive(int32_t tid);

/* Outcome of the two translations below: there is no such pid over there. */
#define PROCESS_NOT_VISIBLE 1

/*
 * What host_pid is called in the pid name space of viewer_tid.  0; PROCESS_NOT_VISIBLE
 * (the caller then uses an opaque id, SERVICE_OPAQUE_PID | instance id); CO_NOT_FOUND when
 * one of the two has ended.
 */
int process_pid_seen_by(int32_t host_pid, int32_t viewer_tid, uint32_t *out);

/* The reverse: the process that viewer_tid calls `pid`.  0; PROCESS_NOT_VISIBLE;
 * CO_NOT_FOUND when the viewer has ended.  Looks through all of /proc if the viewer lives
 * in another name space than this program. */
int process_pid_from(int32_t viewer_tid, int32_t pid, int32_t *out_host_pid);

/* The effective user of a thread, as this program counts users; CO_NOT_FOUND.  Here and
 * below, who lives in a user name space that this program's user made is that user: a
 * container's processes belong to who runs the container. */
int process_user(int32_t tid, uint32_t *out_uid);

/* What one look at a thread tells, for whoever needs all of it at once. */
struct process_look {
	int32_t pid;      /* of its process */
	uint32_t uid;     /* effective */
	uint32_t own_pid; /* what that process calls itself */
	bool is_nested;   /* in a pid name space below this program's */
};
int process_look(int32_t tid, struct process_look *out); /* CO_NOT_FOUND */

/* What a process uses: resident bytes, and processor time since it began. */
struct process_usage {
	uint64_t rss, cpu_ms;
};
int process_usage(int32_t pid, struct process_usage *out); /* CO_NOT_FOUND */

/* What a thread may: effective user and group, and further groups, as many as fit. */
#define PROCESS_GROUPS 64
struct process_credentials {
	uint32_t uid, gid, ngroups;
	uint32_t groups[PROCESS_GROUPS];
};
int process_credentials(int32_t tid,
			struct process_credentials *out); /* CO_NOT_FOUND */

/* Does the process live in a pid name space below this program's? */
bool process_is_nested(int32_t pid);

/* Is the task in a container, or confined: in a pid or user name space that is not this
 * program's?  Also when that cannot be told. */
bool process_is_contained(int32_t tid);

/* The thread of a nested process that it calls `tid` itself; CO_NOT_FOUND. */
int process_thread_from(int32_t pid, int32_t tid, int32_t *out_tid);

#endif
