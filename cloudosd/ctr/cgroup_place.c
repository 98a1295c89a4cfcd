/* SPDX-License-Identifier: MIT */
/*
 * Where a container's groups lie, and making and removing their folders.  HOST.
 *
 * First below the mount, then below our own group: the second is what systemd delegates to a
 * unit, and what a cgroup name space leaves of the first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "cloudosd/ctr/cgroup_inside.h"

/* Makes every folder of path behind `from`.  out_keep: how much was there already. */
static int make_path(char *path, size_t from, size_t *out_keep)
{
	size_t keep = from, n = strlen(path);

	for (size_t at = from + 1; at <= n; at++) {
		char end = path[at];
		int rc;

		if (end != '/' && end != 0)
			continue;
		path[at] = 0;
		rc = mkdir(path, 0755) < 0 ? errno : 0;
		path[at] = end;
		if (rc == 0)
			continue;
		if (rc != EEXIST)
			return -rc;
		keep = at;
	}
	*out_keep = keep;
	return 0;
}

static int place_below(struct ctr_cgroup *g, const char *base, struct group_folder *out)
{
	size_t from = strlen(base), keep = 0;
	autofree char *path = NULL;
	int rc = -ENOENT;

	if (from + strlen(g->wish) + 2 > GROUP_PATH)
		return -ENAMETOOLONG;
	if (asprintf(&path, "%s/%s", base, g->wish) < 0)
		return -ENOMEM;
	/* another container's end may take away what is above ours */
	for (int i = 0; i < 100 && rc == -ENOENT; i++)
		rc = make_path(path, from, &keep);
	if (rc < 0)
		return rc;
	if (!group_has(path, "cgroup.procs")) { /* not a group at all */
		(void) rmdir(path);
		return -ENOTDIR;
	}
	out->base = from;
	out->keep = g->own ? from : keep;
	out->path = take(path);
	return 0;
}

int group_place(struct ctr_cgroup *g, const struct group_mount *m,
		struct group_folder *out)
{
	char base[sizeof(m->at) + sizeof(m->own)];
	int rc = place_below(g, m->at, out);

	if (rc == 0 && access(out->path, W_OK) < 0) { /* somebody else's */
		rc = -errno;
		free(take(out->path));
	}
	if (rc == 0 || !m->own[0] || strcmp(m->own, "/") == 0)
		return rc;
	if (!g->own && rc != -EACCES && rc != -EPERM && rc != -EROFS)
		return rc;
	(void) snprintf(base, sizeof(base), "%s%s", m->at, m->own); /* it fits */
	return place_below(g, base, out);
}

/* ---- controllers of v2 ---- */

static unsigned controllers_in(const char *folder)
{
	autobuf struct co_buf b = { 0 };
	unsigned bits = 0;

	if (group_read(folder, "cgroup.controllers", &b) < 0)
		return 0;
	for (unsigned i = 0; i < GROUP_COUNT; i++)
		if (*group_names[0][i] && group_word(b.data, group_names[0][i]))
			bits |= 1U << i;
	return bits;
}

/*
 * A group with processes cannot pass controllers on.  Ours may be such a one when it was
 * delegated to us: its processes, when all are this user's, move one down.
 */
static void step_down(const char *folder)
{
	struct group_pids pids = { 0 };
	char *leaf = NULL;
	char text[32];
	bool ours = geteuid() == 0;
	struct stat st;

	if (!ours && stat(folder, &st) == 0)
		ours = st.st_uid == geteuid();
	if (!ours || asprintf(&leaf, "%s/cloudos-main", folder) < 0)
		return;
	if (mkdir(leaf, 0755) == 0 || errno == EEXIST) {
		group_pids_of(folder, "cgroup.procs", &pids);
		for (size_t i = 0; i < pids.count; i++) {
			(void) snprintf(text, sizeof(text), "%d", (int) pids.at[i]);
			(void) group_write(leaf, "cgroup.procs", text, NULL); /* gone */
		}
	}
	free(pids.at);
	free(leaf);
}

static void pass_on(const char *folder, unsigned bits)
{
	for (unsigned i = 0; i < GROUP_COUNT; i++) {
		struct co_err err = { 0 };
		char text[32];

		if (!(bits & 1U << i) || !*group_names[0][i])
			continue;
		(void) snprintf(text, sizeof(text), "+%s", group_names[0][i]);
		if (group_write(folder, "cgroup.subtree_control", text, &err) ==
		    CO_BUSY) {
			step_down(folder);
			(void) group_write(folder, "cgroup.subtree_control", text,
					   NULL);
		}
	}
}

unsigned group_available(const struct group_folder *f)
{
	autofree char *base = strndup(f->path, f->base);

	if (!base)
		return 0;
	return controllers_in(f->path) | controllers_in(base);
}

unsigned group_enable(const struct group_folder *f, unsigned controllers)
{
	autofree char *path = strdup(f->path);
	unsigned have = controllers_in(f->path);

	if (!path || !(controllers & ~have))
		return have;
	for (size_t at = f->base; path[at]; at++) {
		if (path[at] != '/')
			continue;
		path[at] = 0;
		pass_on(path, controllers & controllers_in(path) & ~have);
		path[at] = '/';
	}
	return controllers_in(f->path);
}

/* ---- removal ---- */

static int remove_below(int parent, const char *name, int depth)
{
	autoclose int fd = -1;
	DIR *dir;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if ((errno != EBUSY && errno != ENOTEMPTY) || depth == GROUP_DEPTH)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0)
			(void) remove_below(dirfd(dir), e->d_name, depth + 1);
	(void) closedir(dir);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0
									    : -errno;
}

int group_unplace(const struct group_folder *f)
{
	autofree char *path = f->path ? strdup(f->path) : NULL;
	int rc;

	if (!path)
		return f->path ? -ENOMEM : 0;
	rc = remove_below(AT_FDCWD, path, 0);
	if (rc < 0)
		return rc;
	for (size_t at = strlen(path) - 1; at > f->keep; at--)
		if (path[at] == '/') {
			path[at] = 0;
			if (rmdir(path) < 0)
				break; /* somebody is still in it */
		}
	return 0;
}
