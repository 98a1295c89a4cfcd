/* SPDX-License-Identifier: MIT */
/*
 * Who is in a container.  HOST.
 *
 * From its groups; without any, from /proc: whoever is in the pid name space of its first
 * process, or descends from it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cloudosd/ctr/cgroup_inside.h"

int64_t group_now(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void group_pause(int us)
{
	(void) nanosleep(&(struct timespec){ .tv_nsec = us * 1000L },
			 NULL); /* or less */
}

static void add(struct group_pids *p, pid_t pid)
{
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		pid_t *more = reallocarray(p->at, room, sizeof(*more));

		if (!more) {
			p->failed = true;
			return;
		}
		p->at = more;
		p->room = room;
	}
	p->at[p->count++] = pid;
}

/* A line each; the file of a full group is larger than any buffer. */
static int add_lines(const char *path, struct group_pids *out)
{
	autofclose FILE *f = fopen(path, "re");
	char line[32];

	if (!f)
		return -errno;
	errno = 0;
	while (fgets(line, sizeof(line), f)) {
		long pid = strtol(line, NULL, 10);

		if (pid > 0) /* 0: one that our pid name space does not have */
			add(out, (pid_t) pid);
		errno = 0;
	}
	return errno ? -errno : 0;
}

static void add_folder(const char *folder, const char *file, struct group_pids *out,
		       int depth)
{
	char path[GROUP_PATH + 256];
	DIR *dir;
	int n = snprintf(path, sizeof(path), "%s/%s", folder, file);

	if (n < 0 || (size_t) n >= sizeof(path) || depth == GROUP_DEPTH)
		return;
	if (add_lines(path, out) ==
	    -EOPNOTSUPP) { /* a threaded group of the container */
		(void) snprintf(path, sizeof(path), "%s/cgroup.threads", folder);
		(void) add_lines(path, out); /* gone meanwhile */
	}
	dir = opendir(folder);
	if (!dir)
		return;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		n = snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (n > 0 && (size_t) n < sizeof(path))
			add_folder(path, file, out, depth + 1);
	}
	(void) closedir(dir);
}

void group_pids_of(const char *folder, const char *file, struct group_pids *out)
{
	add_folder(folder, file, out, 0);
}

/* ---- without groups ---- */

struct found {
	pid_t pid, parent;
	uint64_t start;
	ino_t name_space;
	bool in;
};

static bool read_stat(pid_t pid, pid_t *out_parent, uint64_t *out_start)
{
	char folder[32], *at;
	autobuf struct co_buf b = { 0 };

	(void) snprintf(folder, sizeof(folder), "/proc/%d", (int) pid); /* it fits */
	if (group_read(folder, "stat", &b) < 0)
		return false;
	at = strrchr(b.data, ')');
	if (!at)
		return false;
	at++;
	for (int field = 3; *at && field <= 22; field++) {
		while (*at == ' ')
			at++;
		if (field == 4)
			*out_parent = (pid_t) strtol(at, NULL, 10);
		if (field == 22)
			*out_start = strtoull(at, NULL, 10);
		at += strcspn(at, " ");
	}
	return true;
}

uint64_t group_start_time(pid_t pid)
{
	pid_t parent;
	uint64_t start = 0;

	return read_stat(pid, &parent, &start) ? start : 0;
}

bool group_first_alive(const struct ctr_cgroup *g)
{
	return g->first > 0 && group_start_time(g->first) == g->first_start;
}

static ino_t name_space_of(pid_t pid)
{
	char path[48];
	struct stat st;

	(void) snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int) pid); /* it fits */
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

bool group_first_is_init(const struct ctr_cgroup *g)
{
	ino_t theirs = group_first_alive(g) ? name_space_of(g->first) : 0;

	return theirs && theirs != name_space_of(getpid());
}

/* Who belongs to it is found in rounds: a process does when its parent does. */
static void mark(struct found *all, size_t count, const struct ctr_cgroup *g)
{
	ino_t theirs = name_space_of(g->first), ours = name_space_of(getpid());
	bool more = true;

	for (size_t i = 0; i < count; i++)
		all[i].in = all[i].pid == g->first ||
			    (theirs && theirs != ours && all[i].name_space == theirs);
	while (more) {
		more = false;
		for (size_t i = 0; i < count; i++)
			for (size_t j = 0; !all[i].in && j < count; j++)
				if (all[j].in && all[j].pid == all[i].parent)
					more = all[i].in = true;
	}
}

void group_pids_tracked(const struct ctr_cgroup *g, struct group_pids *out)
{
	struct group_pids pids = { 0 };
	autofree struct found *all = NULL;
	size_t count = 0;
	DIR *dir = group_first_alive(g) ? opendir("/proc") : NULL;

	if (!dir)
		return;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		long pid = strtol(e->d_name, NULL, 10);

		if (pid > 0)
			add(&pids, (pid_t) pid);
	}
	(void) closedir(dir);
	all = calloc(pids.count + 1, sizeof(*all));
	out->failed |= pids.failed || !all;
	for (size_t i = 0; all && i < pids.count; i++) {
		struct found *f = &all[count];

		f->pid = pids.at[i];
		f->name_space = name_space_of(f->pid);
		if (read_stat(f->pid, &f->parent, &f->start))
			count++;
	}
	free(pids.at);
	if (all)
		mark(all, count, g);
	for (size_t i = 0; i < count; i++)
		if (all[i].in)
			add(out, all[i].pid);
}

/* ---- both ---- */

const char *group_tracker(const struct ctr_cgroup *g)
{
	if (g->v2.path)
		return g->v2.path;
	for (size_t i = 0; i < g->v1_count; i++)
		if (g->v1[i].controllers & GROUP_FREEZER)
			return g->v1[i].path;
	return g->v1_count ? g->v1[0].path : NULL;
}

int ctr_cgroup_pids(const struct ctr_cgroup *g, pid_t **out, size_t *out_count,
		    struct co_err *err)
{
	struct group_pids pids = { 0 };
	const char *folder = group_tracker(g);

	if (folder)
		group_pids_of(folder, "cgroup.procs", &pids);
	else
		group_pids_tracked(g, &pids);
	if (pids.failed) {
		free(pids.at);
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the list of a container's processes");
	}
	*out = pids.at;
	*out_count = pids.count;
	return 0;
}
