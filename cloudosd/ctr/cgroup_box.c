/* SPDX-License-Identifier: MIT */
/*
 * Which control groups this box has, and what of them we can have.  HOST.
 *
 * Versions of kernels and names of distributions say nothing: what counts is where
 * something is mounted and whether a folder can be made there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "cloudosd/ctr/cgroup_inside.h"

const char *const group_names[2][GROUP_COUNT] = {
	{
#define X(name, v2, v1) v2,
		GROUP_CONTROLLERS(X)
#undef X
	},
	{
#define X(name, v2, v1) v1,
		GROUP_CONTROLLERS(X)
#undef X
	},
};

static unsigned controllers_of(const char *words, int version)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < GROUP_COUNT; i++) {
		const char *name = group_names[version == 1][i];

		if (*name && group_word(words, name))
			bits |= 1U << i;
	}
	return bits;
}

/* A mount point may lie hidden under another mount. */
static bool is_mounted(const char *path, long magic)
{
	struct statfs st;

	return statfs(path, &st) == 0 && (long) st.f_type == magic;
}

/* One line of mountinfo: "36 35 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu". */
static void add_mount(struct group_box *box, char *line)
{
	char *fields[5], *save = NULL, *rest = strstr(line, " - "), *type, *options;
	struct group_mount *m;
	size_t n = 0;

	if (!rest)
		return;
	*rest = 0;
	for (char *f = strtok_r(line, " ", &save); f && n < 5;
	     f = strtok_r(NULL, " ", &save))
		fields[n++] = f;
	type = strtok_r(rest + 3, " ", &save);
	if (n < 5 || !type || strlen(fields[4]) >= sizeof(m->at))
		return;
	if (strcmp(type, "cgroup2") == 0 && !box->v2.at[0] &&
	    is_mounted(fields[4], CGROUP2_SUPER_MAGIC)) {
		m = &box->v2;
	} else if (strcmp(type, "cgroup") == 0 && box->v1_count < GROUP_V1 &&
		   is_mounted(fields[4], CGROUP_SUPER_MAGIC)) {
		if (!strtok_r(NULL, " ", &save))
			return;
		options = strtok_r(NULL, " ", &save);
		m = &box->v1[box->v1_count];
		m->controllers = options ? controllers_of(options, 1) : 0;
		for (size_t i = 0; i < box->v1_count; i++)
			if (m->controllers & box->v1[i].controllers)
				return; /* mounted twice */
		if (!m->controllers)
			return;
		box->v1_count++;
	} else {
		return;
	}
	(void) snprintf(m->at, sizeof(m->at), "%s", fields[4]); /* it fits */
}

/* "4:memory:/a/b" and "0::/a/b" of /proc/self/cgroup. */
static void add_own(struct group_box *box, char *line)
{
	char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
	struct group_mount *m = NULL;
	unsigned bits;

	if (!path)
		return;
	*path++ = 0;
	names++;
	bits = controllers_of(names, 1);
	if (!*names)
		m = &box->v2;
	for (size_t i = 0; !m && i < box->v1_count; i++)
		if (bits & box->v1[i].controllers)
			m = &box->v1[i];
	/* one above the root of our cgroup name space is of no use */
	if (m && strlen(path) < sizeof(m->own) && strncmp(path, "/..", 3) != 0)
		(void) snprintf(m->own, sizeof(m->own), "%s", path); /* it fits */
}

static void each_line(const char *folder, const char *file, struct group_box *box,
		      void (*use)(struct group_box *box, char *line))
{
	autobuf struct co_buf b = { 0 };
	char *save = NULL;

	if (group_read(folder, file, &b) < 0)
		return;
	for (char *line = strtok_r(b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		use(box, line);
}

void group_box_read(struct group_box *out)
{
	autobuf struct co_buf b = { 0 };

	*out = (struct group_box){ 0 };
	each_line("/proc/self", "mountinfo", out, add_mount);
	each_line("/proc/self", "cgroup", out, add_own);
	if (out->v2.at[0] && group_read(out->v2.at, "cgroup.controllers", &b) == 0)
		out->v2.controllers = controllers_of(b.data, 2);
	for (size_t i = 0; i < out->v1_count; i++)
		if (!out->v1[i].own[0])
			(void) snprintf(out->v1[i].own, sizeof(out->v1[i].own), "/");
}

/* ---- what can be had ---- */

static bool clones_into(int fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (unsigned int) fd,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return false;
	while (waitpid((pid_t) pid, NULL, 0) < 0 && errno == EINTR)
		;
	return true;
}

static void look_at_v2(struct ctr_cgroup *g, const struct group_box *box,
		       struct ctr_cgroup_probe *out, unsigned *bits)
{
	struct group_folder f = { 0 };
	autoclose int fd = -1;

	if (!box->v2.at[0] || group_place(g, &box->v2, &f) < 0)
		return;
	out->v2 = true;
	out->freeze = group_has(f.path, "cgroup.freeze");
	out->kill = group_has(f.path, "cgroup.kill");
	*bits |= group_available(&f);
	fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	out->clone_into = fd >= 0 && clones_into(fd);
	if (group_takes_program(f.path))
		*bits |= GROUP_DEVICES;
	(void) group_unplace(&f); /* nothing is in it */
	free(f.path);
}

static void look_at_v1(struct ctr_cgroup *g, const struct group_box *box,
		       struct ctr_cgroup_probe *out, unsigned *bits)
{
	for (size_t i = 0; i < box->v1_count; i++) {
		struct group_folder f = { 0 };

		if (group_place(g, &box->v1[i], &f) < 0)
			continue;
		out->v1 = true;
		out->freeze |= (box->v1[i].controllers & GROUP_FREEZER) != 0;
		*bits |= box->v1[i].controllers;
		(void) group_unplace(&f); /* nothing is in it */
		free(f.path);
	}
}

static void name_controllers(unsigned bits, char *out, size_t n)
{
	size_t used = 0;

	out[0] = 0;
	for (unsigned i = 0; i < GROUP_COUNT; i++) {
		const char *name = group_names[0][i];
		int length;

		if (!(bits & 1U << i))
			continue;
		if (!*name)
			name = group_names[1][i];
		length = snprintf(out + used, n - used, "%s%s", used ? " " : "", name);
		if (length < 0 || (size_t) length >= n - used)
			return;
		used += (size_t) length;
	}
}

static void explain(const struct group_box *box, unsigned bits,
		    struct ctr_cgroup_probe *out)
{
	static const unsigned usual = GROUP_MEMORY | GROUP_CPU | GROUP_PIDS;
	char missing[64];

	if (!box->v2.at[0] && !box->v1_count) {
		(void) snprintf(out->sentence, sizeof(out->sentence),
				"no control groups are mounted");
	} else if (!out->v1 && !out->v2) {
		(void) snprintf(out->sentence, sizeof(out->sentence),
				"this user may not make control groups: none were "
				"delegated to it");
	} else if (usual & ~bits) {
		name_controllers(usual & ~bits, missing, sizeof(missing));
		(void) snprintf(out->sentence, sizeof(out->sentence),
				"no limits of %s: the controllers are not there or not "
				"delegated",
				missing);
	} else if (!out->freeze) {
		(void) snprintf(out->sentence, sizeof(out->sentence),
				"no freezer: a pause stops every process by itself");
	}
}

void ctr_cgroup_look(struct ctr_cgroup_probe *out)
{
	struct group_box box;
	struct ctr_cgroup g = { .own = true, .clone_fd = -1 };
	char wish[64];
	unsigned bits = 0;

	*out = (struct ctr_cgroup_probe){ 0 };
	(void) snprintf(wish, sizeof(wish), "cloudos/probe-%d", (int) getpid());
	g.wish = wish;
	group_box_read(&box);
	look_at_v2(&g, &box, out, &bits);
	look_at_v1(&g, &box, out, &bits);
	(void) snprintf(out->v2_root, sizeof(out->v2_root), "%s",
			out->v2 ? box.v2.at : "");
	name_controllers(bits, out->controllers, sizeof(out->controllers));
	explain(&box, bits, out);
}
