/* SPDX-License-Identifier: MIT */
/* Who a process is, from /proc and pidfds.  HOST. */
#include "cloudosd/service/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* The kernel nests pid name spaces at most 32 deep (MAX_PID_NS_LEVEL). */
#define DEPTH_MAX 33

/* Reads a whole small file; -1 with errno.  The result is terminated. */
static ssize_t read_small(const char *path, char *out, size_t size)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;

	if (fd < 0)
		return -1;
	while (have < size - 1) {
		ssize_t n = read(fd, out + have, size - 1 - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		have += (size_t) n;
	}
	out[have] = 0;
	return (ssize_t) have;
}

static uint64_t boot_id;

static void read_boot_id(void)
{
	char text[64];
	uint64_t value = 0;
	int digits = 0;

	if (read_small("/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 0)
		text[0] = 0; /* without /proc no process can be identified anyway */
	for (const char *p = text; *p && digits < 16; p++) {
		int c = *p;
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
						   : -1;

		if (digit >= 0) {
			value = value << 4 | (uint64_t) digit;
			digits++;
		}
	}
	boot_id = value ? value : 1;
}

uint64_t process_boot(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void) pthread_once(&once, read_boot_id); /* cannot fail with a valid once */
	return boot_id;
}

/* Field 22 of a stat file.  The name in field 2 may hold anything, so count from the
 * last ')'. */
static int start_time_of(const char *path, uint64_t *out)
{
	char text[1024];
	const char *p;
	char *end;

	if (read_small(path, text, sizeof(text)) < 0)
		return co_status_from_errno(errno); /* ENOENT, ESRCH: not found */
	p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	if (!p)
		return CO_NOT_FOUND;
	errno = 0;
	*out = strtoull(p, &end, 10);
	return end == p || errno ? CO_NOT_FOUND : 0;
}

int process_usage(int32_t pid, struct process_usage *out)
{
	char path[64], text[1024];
	uint64_t pages, user, system;
	long ticks = sysconf(_SC_CLK_TCK);
	const char *p;

	(void) snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (read_small(path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%*u %" SCNu64, &pages) != 1)
		return CO_NOT_FOUND;
	(void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_small(path, text, sizeof(text)) < 0)
		return CO_NOT_FOUND;
	p = strrchr(text, ')');
	if (!p || ticks <= 0 ||
	    sscanf(p + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
		   &user, &system) != 2)
		return CO_NOT_FOUND;
	out->rss = pages * (uint64_t) sysconf(_SC_PAGESIZE);
	out->cpu_ms = (user + system) * 1000 / (uint64_t) ticks;
	return 0;
}

struct status {
	int32_t tgid;
	int32_t nspid
		[DEPTH_MAX]; /* of the thread; as seen by /proc first, innermost last */
	int32_t nstgid[DEPTH_MAX];
	size_t depth;
};

/* The numbers behind "Name:\t"; returns how many. */
static size_t numbers_of(const char *text, const char *name, int32_t *out, size_t max)
{
	const char *p = strstr(text, name);
	size_t n = 0;

	if (!p)
		return 0;
	p += strlen(name);
	while (n < max) {
		char *end;
		long value;

		while (*p == ' ' || *p == '\t')
			p++;
		if (*p < '0' || *p > '9')
			break;
		value = strtol(p, &end, 10);
		if (value > INT32_MAX)
			break;
		out[n++] = (int32_t) value;
		p = end;
	}
	return n;
}

/* The name comes first in the file; the kernel escapes newlines in it, so that no
 * process can write a line of its own. */
static int parse_status(const char *text, struct status *out)
{
	int32_t tgid = 0;
	size_t depth;

	if (numbers_of(text, "\nTgid:", &tgid, 1) != 1)
		return CO_NOT_FOUND;
	depth = numbers_of(text, "\nNSpid:", out->nspid, DEPTH_MAX);
	if (depth == 0 ||
	    numbers_of(text, "\nNStgid:", out->nstgid, DEPTH_MAX) != depth)
		return CO_NOT_FOUND;
	out->tgid = tgid;
	out->depth = depth;
	return 0;
}

static ssize_t read_status_text(int32_t tid, char *text, size_t size)
{
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/status", tid);
	return tid <= 0 ? -1 : read_small(path, text, size);
}

static int read_status(int32_t tid, struct status *out)
{
	char text[8192];

	return read_status_text(tid, text, sizeof(text)) < 0 ? CO_NOT_FOUND
							     : parse_status(text, out);
}

int process_of_thread(int32_t tid, int32_t *out_pid)
{
	struct status status;
	int r = read_status(tid, &status);

	if (r == 0)
		*out_pid = status.tgid;
	return r;
}

int process_thread_start(int32_t tid, uint64_t *out_start_time)
{
	char path[64];

	if (tid <= 0)
		return CO_NOT_FOUND;
	/* /proc/TID/stat is the thread group's if TID is a leader; this is the thread's. */
	(void) snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", tid, tid);
	return start_time_of(path, out_start_time);
}

bool process_thread_is_alive(int32_t tid)
{
	char path[64], text[512];
	const char *p;

	if (tid <= 0)
		return false;
	(void) snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", tid, tid);
	if (read_small(path, text, sizeof(text)) < 0)
		return false;
	p = strrchr(text, ')'); /* the name before it may hold anything */
	return p && p[1] == ' ' && p[2] != 'Z' && p[2] != 'X';
}

static int process_start(int32_t pid, uint64_t *out)
{
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return start_time_of(path, out);
}

int process_read(int32_t pid, struct process_id *out, struct co_err *err)
{
	struct process_id id = { .boot = process_boot() };

	if (pid <= 0 || process_of_thread(pid, &id.pid) < 0 ||
	    process_start(id.pid, &id.start_time) < 0)
		return co_fail(err, CO_NOT_FOUND, "there is no process %d", pid);
	*out = id;
	return 0;
}

bool process_same(const struct process_id *a, const struct process_id *b)
{
	return a->pid == b->pid && a->start_time == b->start_time && a->boot == b->boot;
}

int process_open(const struct process_id *id, int *out_pidfd, struct co_err *err)
{
	autoclose int fd = -1;
	struct pollfd ended;
	uint64_t start;
	int r;

	if (id->pid <= 0 || id->boot != process_boot())
		return co_fail(err, CO_GONE, "process %d was of an earlier boot",
			       id->pid);
	fd = (int) syscall(SYS_pidfd_open, id->pid, 0);
	if (fd < 0 && (errno == ESRCH || errno == EINVAL))
		return co_fail(err, CO_GONE, "process %d has ended", id->pid);
	if (fd < 0)
		return co_fail_errno(err, errno, "process %d cannot be watched",
				     id->pid);

	/* Only now: the descriptor holds the pid, so what /proc says is of the same one
	 * unless it has ended, and that the descriptor tells. */
	r = process_start(id->pid, &start);
	if (r < 0 && r != CO_NOT_FOUND)
		return co_fail(err, r, "process %d cannot be looked at: %s", id->pid,
			       co_status_text(r));
	if (r < 0)
		return co_fail(err, CO_GONE, "process %d has ended", id->pid);
	if (start != id->start_time)
		return co_fail(err, CO_GONE,
			       "process %d has ended and its number is in use again",
			       id->pid);
	ended = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (poll(&ended, 1, 0) != 0)
		return co_fail(err, CO_GONE, "process %d has ended", id->pid);
	*out_pidfd = take_fd(fd);
	return 0;
}

bool process_is_alive(const struct process_id *id)
{
	autoclose int fd = -1;

	return process_open(id, &fd, NULL) == 0;
}

/* ---- pid name spaces ---- */

/* Whether the name space `up` levels above that of `inner` is the one of `outer`.  The
 * walk ends with EPERM where it would leave this program's own. */
static bool is_ancestor_space(int32_t inner, size_t up, int32_t outer)
{
	char path[64];
	struct stat a, b;
	autoclose int fd = -1;

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", outer);
	if (stat(path, &b) < 0)
		return false;
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", inner);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && up > 0) {
		int parent = ioctl(fd, NS_GET_PARENT);

		(void) close(fd); /* a name space descriptor has nothing to flush */
		fd = parent;
		up--;
	}
	return fd >= 0 && fstat(fd, &a) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* Whether a task lives in the viewer's name space or below it. */
static bool is_seen(const struct status *task, int32_t tid, const struct status *viewer,
		    int32_t viewer_tid)
{
	if (viewer->depth == 1) /* this program's own: it sees whatever /proc shows */
		return true;
	if (task->depth < viewer->depth)
		return false;
	if (task->tgid == viewer->tgid)
		return true;
	return is_ancestor_space(tid, task->depth - viewer->depth, viewer_tid);
}

int process_pid_seen_by(int32_t host_pid, int32_t viewer_tid, uint32_t *out)
{
	struct status task, viewer;

	if (read_status(host_pid, &task) < 0 || read_status(viewer_tid, &viewer) < 0)
		return CO_NOT_FOUND;
	if (!is_seen(&task, host_pid, &viewer, viewer_tid))
		return PROCESS_NOT_VISIBLE;
	*out = (uint32_t) task.nspid[viewer.depth - 1];
	return 0;
}

/* Looks for the process that has that pid at the viewer's depth. */
static int find_pid(const struct status *viewer, int32_t viewer_tid, int32_t pid,
		    int32_t *out)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int r = PROCESS_NOT_VISIBLE;

	if (!dir)
		return CO_NOT_FOUND;
	while (r != 0 && (entry = readdir(dir))) {
		struct status task;
		char *end;
		long number = strtol(entry->d_name, &end, 10);

		if (*end || number <= 0 || number > INT32_MAX)
			continue;
		if (read_status((int32_t) number, &task) < 0 ||
		    task.depth < viewer->depth ||
		    task.nstgid[viewer->depth - 1] != pid ||
		    !is_seen(&task, (int32_t) number, viewer, viewer_tid))
			continue;
		*out = task.tgid;
		r = 0;
	}
	(void) closedir(dir); /* was only read */
	return r;
}

int process_pid_from(int32_t viewer_tid, int32_t pid, int32_t *out_host_pid)
{
	struct status viewer, task;

	if (read_status(viewer_tid, &viewer) < 0)
		return CO_NOT_FOUND;
	if (pid <= 0)
		return PROCESS_NOT_VISIBLE;
	if (viewer.nstgid[viewer.depth - 1] == pid) {
		*out_host_pid = viewer.tgid;
		return 0;
	}
	if (viewer.depth > 1)
		return find_pid(&viewer, viewer_tid, pid, out_host_pid);
	if (read_status(pid, &task) < 0 || task.tgid != pid)
		return PROCESS_NOT_VISIBLE;
	*out_host_pid = pid;
	return 0;
}

/* The second number behind "Name:\t", which is the effective one of ids. */
static bool effective(const char *text, const char *name, uint32_t *out)
{
	const char *line = strstr(text, name);

	line = line ? strchr(line + strlen(name), '\t') : NULL;
	if (line)
		*out = (uint32_t) strtoul(line, NULL, 10);
	return line != NULL;
}

/* ---- users ---- */

/*
 * Whoever lives in a user name space that this program's user has made is that user, by
 * whatever number it goes there: a container's processes are of who runs the container.
 * The kernel sees it so, too: he may do anything to them.
 */
static uint32_t user_behind(int32_t tid, uint32_t uid)
{
	char path[64];
	uint32_t own = geteuid(), owner;
	struct stat here, there;
	autoclose int fd = -1;

	if (uid == own || stat("/proc/self/ns/user", &here) < 0)
		return uid;
	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int depth = 0; fd >= 0 && depth < DEPTH_MAX; depth++) {
		int parent;

		if (fstat(fd, &there) < 0 ||
		    (there.st_ino == here.st_ino && there.st_dev == here.st_dev))
			return uid;
		if (ioctl(fd, NS_GET_OWNER_UID, &owner) < 0)
			return uid;
		if (owner == own)
			return own;
		parent =
			ioctl(fd, NS_GET_PARENT); /* one that was made in a container */
		(void) close(fd); /* a name space descriptor has nothing to flush */
		fd = parent;
	}
	return uid;
}

int process_credentials(int32_t tid, struct process_credentials *out)
{
	uint32_t uid;

	char text[8192];
	int32_t groups[PROCESS_GROUPS];

	if (read_status_text(tid, text, sizeof(text)) < 0 ||
	    !effective(text, "\nUid:\t", &out->uid) ||
	    !effective(text, "\nGid:\t", &out->gid))
		return CO_NOT_FOUND;
	out->ngroups = (uint32_t) numbers_of(text, "\nGroups:", groups, PROCESS_GROUPS);
	for (uint32_t i = 0; i < out->ngroups; i++)
		out->groups[i] = (uint32_t) groups[i];
	uid = user_behind(tid, out->uid);
	if (uid != out->uid) {
		out->uid = uid;
		out->gid = getegid();
		out->ngroups = 0;
	}
	return 0;
}

int process_look(int32_t tid, struct process_look *out)
{
	struct status status;
	char text[8192];

	if (read_status_text(tid, text, sizeof(text)) < 0 ||
	    parse_status(text, &status) < 0 || !effective(text, "\nUid:\t", &out->uid))
		return CO_NOT_FOUND;
	out->pid = status.tgid;
	out->own_pid = (uint32_t) status.nstgid[status.depth - 1];
	out->is_nested = status.depth > 1;
	out->uid = user_behind(tid, out->uid);
	return 0;
}

int process_user(int32_t tid, uint32_t *out_uid)
{
	struct process_credentials credentials;
	int r = process_credentials(tid, &credentials);

	if (!r)
		*out_uid = credentials.uid;
	return r;
}

bool process_is_nested(int32_t pid)
{
	struct status status;

	return read_status(pid, &status) == 0 && status.depth > 1;
}

bool process_is_contained(int32_t tid)
{
	struct stat here, there;
	struct status status;
	char path[64];

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/user", tid);
	if (read_status(tid, &status) < 0 || status.depth > 1)
		return true;
	if (stat("/proc/self/ns/user", &here) < 0)
		return errno != ENOENT; /* a kernel without them */
	return stat(path, &there) < 0 || here.st_ino != there.st_ino ||
	       here.st_dev != there.st_dev;
}

int process_thread_from(int32_t pid, int32_t tid, int32_t *out_tid)
{
	char path[64];
	struct dirent *entry;
	int r = CO_NOT_FOUND;
	DIR *dir;

	(void) snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && r && (entry = readdir(dir))) {
		int32_t number = (int32_t) strtol(entry->d_name, NULL, 10);
		struct status task;

		if (read_status(number, &task) == 0 && task.tgid == pid &&
		    task.nspid[task.depth - 1] == tid) {
			*out_tid = number;
			r = 0;
		}
	}
	if (dir)
		(void) closedir(dir); /* was only read */
	return r;
}
