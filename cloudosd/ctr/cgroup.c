/* SPDX-License-Identifier: MIT */
/* A container's groups: making, opening, filling, removing them.  HOST. */
#include "cloudosd/ctr/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "cloudosd/ctr/cgroup_inside.h"
#include "lib/json_scan.h"

void ctr_cgroup_free(struct ctr_cgroup *g)
{
	if (!g)
		return;
	if (g->clone_fd >= 0)
		(void) close(g->clone_fd); /* a folder */
	free(g->v2.path);
	for (size_t i = 0; i < g->v1_count; i++)
		free(g->v1[i].path);
	free(g->wish);
	free(g->place);
	co_buf_done(&g->unenforced);
	free(g);
}

static void free_group(struct ctr_cgroup **g)
{
	ctr_cgroup_free(*g);
}
#define autogroup __attribute__((cleanup(free_group)))

const char *ctr_cgroup_unenforced(const struct ctr_cgroup *g)
{
	return g->unenforced.data ? g->unenforced.data : "";
}

const char *ctr_cgroup_path(const struct ctr_cgroup *g)
{
	return g->place ? g->place : "";
}

int ctr_cgroup_clone_fd(const struct ctr_cgroup *g)
{
	return g->clone_fd;
}

const char *group_of(const struct ctr_cgroup *g, unsigned controller, bool *out_v2)
{
	*out_v2 = g->v2.path && (g->v2.controllers & controller);
	if (*out_v2)
		return g->v2.path;
	for (size_t i = 0; i < g->v1_count; i++)
		if (g->v1[i].controllers & controller)
			return g->v1[i].path;
	return NULL;
}

/* ---- the path that was wished for ---- */

/* "a-b-c.slice" lies in "a.slice/a-b.slice". */
static void add_slices(struct co_buf *out, struct co_span slice)
{
	static const char end[] = ".slice";
	size_t n = slice.size > strlen(end) ? slice.size - strlen(end) : 0;

	for (size_t i = 1; i < n; i++) {
		if (slice.data[i] != '-')
			continue;
		co_buf_char(out, '/');
		co_buf_add(out, slice.data, i);
		co_buf_text(out, end);
	}
	co_buf_char(out, '/');
	co_buf_span(out, slice);
}

static bool slice_path(const char *path, struct co_buf *out)
{
	const char *prefix = strchr(path, ':');
	const char *name = prefix ? strchr(prefix + 1, ':') : NULL;

	if (!name || strchr(name + 1, ':') || *path == '/')
		return false;
	if (prefix == path)
		add_slices(out, co_span("system.slice"));
	else
		add_slices(out, (struct co_span){ path, (size_t) (prefix - path) });
	co_buf_char(out, '/');
	co_buf_add(out, prefix + 1, (size_t) (name - prefix - 1));
	co_buf_text(out, name - prefix > 1 ? "-" : "");
	co_buf_text(out, name + 1);
	co_buf_text(out, strstr(name + 1, ".slice") ? "" : ".scope");
	return true;
}

static bool leads_out(const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		size_t n;

		at += *at == '/';
		n = strcspn(at, "/");
		if ((n == 1 && at[0] == '.') || (n == 2 && memcmp(at, "..", 2) == 0))
			return true;
	}
	return strchr(path, '\n') != NULL;
}

static int choose_path(const struct ctr_cgroup_spec *spec, struct ctr_cgroup *g,
		       struct co_err *err)
{
	autobuf struct co_buf b = { 0 };
	const char *path = spec->path && *spec->path ? spec->path : NULL;

	g->own = !path || *path != '/';
	if (path && slice_path(path, &b)) {
		g->own = false;
	} else {
		co_buf_text(&b, g->own ? "cloudos/" : "");
		co_buf_text(&b, path ? path : spec->id);
	}
	if (b.failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for a cgroup's path");
	while (b.size && b.data[b.size - 1] == '/')
		b.data[--b.size] = 0;
	if (!b.size || leads_out(b.data))
		return co_fail(err, CO_INVALID,
			       "cgroupsPath \"%.200s\" is not a path to a group", path);
	g->wish = co_buf_take(&b, &(size_t){ 0 });
	/* the mount's path comes in front of it */
	memmove(g->wish, g->wish + strspn(g->wish, "/"),
		strlen(g->wish + strspn(g->wish, "/")) + 1);
	return 0;
}

/* ---- making ---- */

static int open_clone(struct ctr_cgroup *g)
{
	g->clone_fd = open(g->v2.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return g->clone_fd;
}

static const struct group_mount *mount_of(const struct group_box *box, unsigned bit)
{
	for (size_t i = 0; i < box->v1_count; i++)
		if (box->v1[i].controllers & bit)
			return &box->v1[i];
	return NULL;
}

static int add_v1(struct ctr_cgroup *g, const struct group_mount *m)
{
	struct group_folder *f = &g->v1[g->v1_count];
	int rc;

	if (g->v1_count == GROUP_V1)
		return -E2BIG;
	*f = (struct group_folder){ .controllers = m->controllers };
	rc = group_place(g, m, f);
	if (rc < 0)
		return rc;
	g->v1_count++;
	if (m->controllers & GROUP_CPUSET)
		group_inherit_cpuset(f->path, f->base);
	return 0;
}

/* Gets every controller of `wanted` from v2 or else from v1; those that could not be had are
 * found missing when their limit is set. */
static void gather(struct ctr_cgroup *g, const struct group_box *box, unsigned wanted)
{
	if (g->v2.path) {
		unsigned had = g->v2.controllers & GROUP_DEVICES;

		g->v2.controllers =
			group_enable(&g->v2, wanted & group_available(&g->v2)) | had;
		wanted &= ~g->v2.controllers;
	}
	for (unsigned i = 0; i < GROUP_COUNT; i++) {
		const struct group_mount *m = mount_of(box, wanted & 1U << i);
		bool v2;

		if (m && !group_of(g, 1U << i, &v2))
			(void) add_v1(g, m); /* told by who misses it */
	}
}

/* A program on v2 costs no wait for a grace period, as a further v1 group does. */
static void gather_devices(struct ctr_cgroup *g, const struct group_box *box,
			   const struct ctr_resources *r)
{
	bool v2;

	if (!r->device_rule_count || g->rootless || group_of(g, GROUP_DEVICES, &v2))
		return;
	if (g->v2.path && group_takes_program(g->v2.path))
		g->v2.controllers |= GROUP_DEVICES;
	else
		gather(g, box, GROUP_DEVICES);
}

static bool is_taken(const struct ctr_cgroup *g)
{
	struct group_pids pids = { 0 };
	const char *folder = group_tracker(g);

	if (folder)
		group_pids_of(folder, "cgroup.procs", &pids);
	free(pids.at);
	return pids.count > 0;
}

static void unmake(struct ctr_cgroup *g)
{
	if (g->v2.path)
		(void) group_unplace(&g->v2); /* nothing is in it */
	for (size_t i = 0; i < g->v1_count; i++)
		(void) group_unplace(&g->v1[i]); /* as well */
}

static void remember_place(struct ctr_cgroup *g, const struct group_box *box)
{
	const char *path = group_tracker(g), *mount = box->v2.at;

	for (size_t i = 0; !g->v2.path && i < box->v1_count; i++)
		if (path && strncmp(path, box->v1[i].at, strlen(box->v1[i].at)) == 0)
			mount = box->v1[i].at;
	if (path)
		g->place = strdup(path + strlen(mount));
}

/* v1 without v2: a freezer to find and stop all, and what usage is counted by. */
static unsigned always(const struct ctr_cgroup_spec *spec, const struct ctr_cgroup *g)
{
	unsigned counting =
		GROUP_MEMORY | GROUP_CPU | GROUP_CPUACCT | GROUP_PIDS | GROUP_IO;

	return (g->v2.path ? 0 : GROUP_FREEZER | GROUP_CPUACCT) |
	       (spec->accounted ? counting : 0);
}

int ctr_cgroup_create(const struct ctr_cgroup_spec *spec, struct ctr_cgroup **out,
		      struct co_err *err)
{
	autogroup struct ctr_cgroup *g = calloc(1, sizeof(*g));
	struct group_box box = { 0 };
	int rc;

	if (!g)
		return co_fail(err, CO_NO_MEMORY, "no memory for a cgroup");
	g->clone_fd = -1;
	g->rootless = spec->rootless;
	g->allow_unenforced = spec->allow_unenforced || spec->disabled;
	rc = choose_path(spec, g, err);
	if (rc < 0)
		return rc;
	if (!spec->disabled)
		group_box_read(&box);
	if (box.v2.at[0] && group_place(g, &box.v2, &g->v2) == 0)
		(void) open_clone(g); /* else processes are put into it afterwards */
	gather(g, &box, group_wanted(spec->resources) | always(spec, g));
	gather_devices(g, &box, spec->resources);
	remember_place(g, &box);
	if (spec->leftover) {
		*out = take(g);
		return 0;
	}
	if (is_taken(g))
		return co_fail(err, CO_BUSY,
			       "there are processes in the group %s already: another "
			       "container's, or give it another cgroupsPath",
			       ctr_cgroup_path(g));
	rc = group_set_all(&(struct group_limits){
		.g = g, .r = spec->resources, .err = err, .fresh = true });
	if (rc < 0) {
		unmake(g);
		return rc;
	}
	*out = take(g);
	return 0;
}

/* ---- state ---- */

static void save_folder(const struct group_folder *f, struct co_buf *out)
{
	co_buf_text(out, "{\"path\":");
	co_buf_json_text(out, co_span(f->path));
	co_buf_format(out, ",\"base\":%zu,\"keep\":%zu,\"controllers\":[", f->base,
		      f->keep);
	for (unsigned i = 0, n = 0; i < GROUP_COUNT; i++)
		if (f->controllers & 1U << i)
			co_buf_format(out, "%s\"%s\"", n++ ? "," : "",
				      group_names[1][i]);
	co_buf_text(out, "]}");
}

void ctr_cgroup_save(const struct ctr_cgroup *g, struct co_buf *out_json)
{
	co_buf_text(out_json, "{\"wish\":");
	co_buf_json_text(out_json, co_span(g->wish));
	co_buf_text(out_json, ",\"place\":");
	co_buf_json_text(out_json, co_span(ctr_cgroup_path(g)));
	co_buf_format(out_json, ",\"own\":%s,\"rootless\":%s,\"allowUnenforced\":%s",
		      g->own ? "true" : "false", g->rootless ? "true" : "false",
		      g->allow_unenforced ? "true" : "false");
	co_buf_format(out_json, ",\"first\":%d,\"firstStart\":%llu", (int) g->first,
		      (unsigned long long) g->first_start);
	co_buf_text(out_json, ",\"unenforced\":");
	co_buf_json_text(out_json, co_span(ctr_cgroup_unenforced(g)));
	if (g->v2.path) {
		co_buf_text(out_json, ",\"v2\":");
		save_folder(&g->v2, out_json);
	}
	co_buf_text(out_json, ",\"v1\":[");
	for (size_t i = 0; i < g->v1_count; i++) {
		co_buf_text(out_json, i ? "," : "");
		save_folder(&g->v1[i], out_json);
	}
	co_buf_text(out_json, "]}");
}

static char *text_of(struct co_span object, const char *name)
{
	autobuf struct co_buf b = { 0 };
	struct co_span value;

	if (!co_json_member(object, name, &value) || co_json_unescape(value, &b) < 0)
		return NULL;
	co_buf_text(&b, ""); /* terminated also when empty */
	return co_buf_take(&b, &(size_t){ 0 });
}

static bool truth_of(struct co_span object, const char *name)
{
	struct co_span value;

	return co_json_member(object, name, &value) && co_span_is(value, "true");
}

static int64_t number_of(struct co_span object, const char *name)
{
	struct co_span value;
	int64_t n;

	return co_json_member(object, name, &value) && co_json_whole(value, &n) ? n : 0;
}

static bool open_folder(struct co_span object, struct group_folder *out)
{
	struct co_span list, value;
	struct co_json_walk w;
	int64_t base = number_of(object, "base"), keep = number_of(object, "keep");

	out->path = text_of(object, "path");
	if (!out->path || out->path[0] != '/' || strlen(out->path) >= GROUP_PATH ||
	    leads_out(out->path + 1) || base < 0 || keep < 0 ||
	    (size_t) base > strlen(out->path) || (size_t) keep > strlen(out->path))
		return false;
	out->base = (size_t) base;
	out->keep = (size_t) keep;
	if (!co_json_member(object, "controllers", &list))
		return true;
	w = co_json_walk(list);
	while (co_json_next(&w, &(struct co_span){ 0 }, &value))
		for (unsigned i = 0; i < GROUP_COUNT; i++)
			if (co_json_string_is(value, group_names[1][i]))
				out->controllers |= 1U << i;
	return true;
}

static bool open_folders(struct ctr_cgroup *g, struct co_span json)
{
	struct co_span value, list;
	struct co_json_walk w;

	if (co_json_member(json, "v2", &value) && !open_folder(value, &g->v2))
		return false;
	if (!co_json_member(json, "v1", &list))
		return true;
	w = co_json_walk(list);
	while (co_json_next(&w, &(struct co_span){ 0 }, &value)) {
		if (g->v1_count == GROUP_V1)
			return false;
		if (!open_folder(value, &g->v1[g->v1_count++]))
			return false;
	}
	return true;
}

int ctr_cgroup_open(struct co_span json, struct ctr_cgroup **out, struct co_err *err)
{
	autogroup struct ctr_cgroup *g = calloc(1, sizeof(*g));
	autofree char *unenforced = NULL;
	struct co_span value;

	if (!g)
		return co_fail(err, CO_NO_MEMORY, "no memory for a cgroup");
	g->clone_fd = -1;
	if (co_json_check(json, &value, &(struct co_json_fault){ 0 }) < 0 ||
	    co_json_kind(value) != CO_JSON_OBJECT || !open_folders(g, value))
		return co_fail(
			err, CO_CORRUPT,
			"the kept description of a container's groups is damaged");
	g->wish = text_of(value, "wish");
	g->place = text_of(value, "place");
	unenforced = text_of(value, "unenforced");
	co_buf_text(&g->unenforced, unenforced ? unenforced : "");
	g->own = truth_of(value, "own");
	g->rootless = truth_of(value, "rootless");
	g->allow_unenforced = truth_of(value, "allowUnenforced");
	g->first = (pid_t) number_of(value, "first");
	g->first_start = (uint64_t) number_of(value, "firstStart");
	if (!g->wish)
		return co_fail(
			err, CO_CORRUPT,
			"the kept description of a container's groups is damaged");
	if (g->v2.path)
		(void) open_clone(g); /* gone with the container's end */
	*out = take(g);
	return 0;
}

/* ---- filling ---- */

static int put(const struct group_folder *f, pid_t pid, struct co_err *err)
{
	return group_write_i64(f->path, "cgroup.procs", pid, err);
}

/* Cloning has put it there, unless whoever cloned did without. */
static bool is_in_v2(const struct ctr_cgroup *g, pid_t pid)
{
	autobuf struct co_buf b = { 0 };
	char folder[32];
	const char *line;
	size_t n = strlen(ctr_cgroup_path(g));

	(void) snprintf(folder, sizeof(folder), "/proc/%d", (int) pid); /* it fits */
	if (group_read(folder, "cgroup", &b) < 0)
		return false;
	line = strncmp(b.data, "0::", 3) == 0 ? b.data : strstr(b.data, "\n0::");
	if (!line)
		return false;
	line += *line == '\n' ? 4 : 3;
	return n && strncmp(line, ctr_cgroup_path(g), n) == 0 &&
	       (line[n] == '\n' || !line[n]);
}

int ctr_cgroup_add(const struct ctr_cgroup *g, pid_t pid, struct co_err *err)
{
	struct ctr_cgroup *remembers = (struct ctr_cgroup *) g;
	int rc = 0;

	if (!g->first) {
		remembers->first = pid;
		remembers->first_start = group_start_time(pid);
	}
	if (g->v2.path && !is_in_v2(g, pid))
		rc = put(&g->v2, pid, err);
	for (size_t i = 0; rc == 0 && i < g->v1_count; i++)
		rc = put(&g->v1[i], pid, err);
	return rc;
}

/* Processes that fork meanwhile are found in the next round. */
static int fill(struct ctr_cgroup *g, const struct group_folder *f, struct co_err *err)
{
	size_t before = 0;

	for (int round = 0; round < 100; round++) {
		autofree pid_t *pids = NULL;
		struct group_pids in = { 0 };
		size_t count = 0;
		int rc = ctr_cgroup_pids(g, &pids, &count, err);

		if (rc < 0)
			return rc;
		for (size_t i = 0; i < count; i++)
			(void) put(f, pids[i], NULL); /* gone */
		group_pids_of(f->path, "cgroup.procs", &in);
		free(in.at);
		if (in.count >= count && count == before)
			return 0;
		before = count;
	}
	return co_fail(err, CO_BUSY,
		       "the container's processes could not all be moved to %s",
		       f->path);
}

int ctr_cgroup_update(struct ctr_cgroup *g, const struct ctr_resources *resources,
		      struct co_err *err)
{
	struct group_box box = { 0 };
	size_t had = g->v1_count;
	int rc = 0;

	if (g->v2.path || g->v1_count)
		group_box_read(&box);
	gather(g, &box, group_wanted(resources));
	gather_devices(g, &box, resources);
	for (size_t i = had; rc == 0 && i < g->v1_count; i++)
		rc = fill(g, &g->v1[i], err);
	if (rc < 0)
		return rc;
	return group_set_all(
		&(struct group_limits){ .g = g, .r = resources, .err = err });
}

/* ---- the end ---- */

static void await_empty(const struct group_folder *f, int64_t end)
{
	char path[GROUP_PATH + 32], text[256];
	autoclose int fd = -1;
	uint64_t populated = 1;

	(void) snprintf(path, sizeof(path), "%s/cgroup.events", f->path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && pread(fd, text, sizeof(text), 0) > 0) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		int64_t left = end - group_now();

		if (!group_read_named(f->path, "cgroup.events", "populated",
				      &populated) ||
		    !populated || left <= 0)
			return;
		(void) poll(&p, 1, (int) left); /* looked at again anyway */
	}
}

static int remove_folder(const struct group_folder *f, int64_t end, struct co_err *err)
{
	int rc = group_unplace(f);

	for (int us = 50; rc == -EBUSY && group_now() < end; us *= us < 5000 ? 2 : 1) {
		group_pause(us); /* v1 has nothing to wait for */
		rc = group_unplace(f);
	}
	if (rc == -EBUSY)
		return co_fail(err, CO_BUSY, "there are still processes in %s",
			       f->path);
	if (rc < 0)
		return co_fail_errno(err, -rc, "cannot remove %s", f->path);
	return 0;
}

int ctr_cgroup_remove(struct ctr_cgroup *g, int timeout_ms, struct co_err *err)
{
	int64_t end = group_now() + timeout_ms;
	int rc = 0;

	if (g->v2.path) {
		await_empty(&g->v2, end);
		rc = remove_folder(&g->v2, end, err);
	}
	for (size_t i = 0; i < g->v1_count; i++) {
		int one = remove_folder(&g->v1[i], end, rc < 0 ? NULL : err);

		rc = rc < 0 ? rc : one;
	}
	return rc;
}
