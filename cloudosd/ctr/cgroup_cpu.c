/* SPDX-License-Identifier: MIT */
/* Limits of processor time, and of which processors and memory nodes.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "cloudosd/ctr/cgroup_inside.h"

static bool given(int64_t value)
{
	return value != CTR_UNSET && value != 0;
}

/* Shares of v1, 2 to 262144, as a weight of v2, 1 to 10000. */
static int64_t weight_of(int64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

static int set_v2(struct group_limits *l, const char *folder)
{
	const struct ctr_resources *r = l->r;
	char text[64];
	int rc = 0;

	if (given(r->cpu_shares))
		rc = group_write_i64(folder, "cpu.weight", weight_of(r->cpu_shares),
				     l->err);
	if (rc == 0 && (given(r->cpu_quota) || given(r->cpu_period))) {
		autobuf struct co_buf is = { 0 };

		if (r->cpu_quota > 0)
			(void) snprintf(text, sizeof(text), "%" PRId64, r->cpu_quota);
		else if (given(r->cpu_quota) || group_read(folder, "cpu.max", &is) < 0)
			(void) snprintf(text, sizeof(text), "max");
		else
			(void) snprintf(text, sizeof(text), "%.*s",
					(int) strcspn(is.data, " \n"), is.data);
		if (r->cpu_period > 0)
			(void) snprintf(text + strlen(text),
					sizeof(text) - strlen(text), " %" PRId64,
					r->cpu_period);
		rc = group_write(folder, "cpu.max", text, l->err);
	}
	if (rc == 0 && given(r->cpu_burst))
		rc = group_write_i64(folder, "cpu.max.burst", r->cpu_burst, l->err);
	if (rc == 0 && (r->cpu_rt_runtime > 0 || r->cpu_rt_period > 0))
		rc = group_unmet(l, "real-time cpu", "cgroup v2 does not have it");
	return rc;
}

/* A quota and a period are judged together: the other order may be the right one. */
static int quota_v1(struct group_limits *l, const char *folder)
{
	static const char quota[] = "cpu.cfs_quota_us", period[] = "cpu.cfs_period_us";
	const struct ctr_resources *r = l->r;
	bool later = false;
	int rc = 0;

	if (given(r->cpu_period)) {
		rc = group_write_i64(folder, period, r->cpu_period, l->err);
		later = rc < 0 && given(r->cpu_quota);
		if (rc < 0 && !later)
			return rc;
	}
	if (given(r->cpu_quota))
		rc = group_write_i64(folder, quota, r->cpu_quota, l->err);
	if (rc == 0 && later)
		rc = group_write_i64(folder, period, r->cpu_period, l->err);
	return rc;
}

/* Each group above must have been given as much before this one can. */
static int real_time_v1(struct group_limits *l, const char *folder)
{
	const struct ctr_resources *r = l->r;
	autofree char *path = strdup(folder);
	size_t base = 0;
	int rc = 0;

	if (!path)
		return co_fail(l->err, CO_NO_MEMORY, "no memory for a cgroup's path");
	for (size_t i = 0; i < l->g->v1_count; i++)
		if (l->g->v1[i].path == folder)
			base = l->g->v1[i].base;
	for (size_t at = base + 1; rc == 0 && at <= strlen(folder); at++) {
		if (folder[at] != '/' && folder[at])
			continue;
		path[at] = 0;
		if (r->cpu_rt_period > 0)
			rc = group_write_i64(path, "cpu.rt_period_us", r->cpu_rt_period,
					     l->err);
		if (rc == 0 && r->cpu_rt_runtime > 0)
			rc = group_write_i64(path, "cpu.rt_runtime_us",
					     r->cpu_rt_runtime, l->err);
		path[at] = folder[at];
	}
	return rc;
}

static int set_v1(struct group_limits *l, const char *folder)
{
	const struct ctr_resources *r = l->r;
	int rc = 0;

	if (given(r->cpu_shares))
		rc = group_write_i64(folder, "cpu.shares", r->cpu_shares, l->err);
	if (rc == 0)
		rc = quota_v1(l, folder);
	if (rc == 0 && given(r->cpu_burst))
		rc = group_write_i64(folder, "cpu.cfs_burst_us", r->cpu_burst, l->err);
	if (rc == 0 && (r->cpu_rt_runtime > 0 || r->cpu_rt_period > 0))
		rc = real_time_v1(l, folder);
	return rc;
}

int group_set_cpu(struct group_limits *l)
{
	const struct ctr_resources *r = l->r;
	bool v2;
	const char *folder = group_of(l->g, GROUP_CPU, &v2);
	int rc = 0;

	if (!folder) {
		if (group_wanted(r) & GROUP_CPU)
			return group_unmet(l, "cpu",
					   "there is no cpu controller for us");
		return 0;
	}
	if (r->cpu_idle != CTR_UNSET && (r->cpu_idle || !l->fresh))
		rc = group_write_i64(folder, "cpu.idle", r->cpu_idle, l->err);
	if (rc < 0)
		return rc;
	return v2 ? set_v2(l, folder) : set_v1(l, folder);
}

/* ---- cpuset ---- */

static void inherit(char *path, char *end, const char *file)
{
	autobuf struct co_buf mine = { 0 }, above = { 0 };
	char cut = *end;

	if (group_read(path, file, &mine) == 0 && mine.data[strspn(mine.data, "\n")])
		return;
	*end = 0;
	if (group_read(path, file, &above) == 0) {
		*end = cut;
		(void) group_write(path, file, above.data, NULL); /* the add tells */
	}
	*end = cut;
}

void group_inherit_cpuset(const char *folder, size_t base)
{
	autofree char *path = strdup(folder);
	size_t last = base;

	if (!path)
		return;
	for (size_t at = base + 1; at <= strlen(folder); at++) {
		if (folder[at] != '/' && folder[at])
			continue;
		path[at] = 0;
		inherit(path, path + last, "cpuset.cpus");
		inherit(path, path + last, "cpuset.mems");
		path[at] = folder[at];
		last = at;
	}
}

int group_set_cpuset(struct group_limits *l)
{
	const struct ctr_resources *r = l->r;
	bool v2, cpus = r->cpus && *r->cpus, mems = r->mems && *r->mems;
	const char *folder = group_of(l->g, GROUP_CPUSET, &v2);
	int rc = 0;

	if (!cpus && !mems)
		return 0;
	if (!folder)
		return group_unmet(l, "cpuset", "there is no cpuset controller for us");
	if (cpus)
		rc = group_write(folder, "cpuset.cpus", r->cpus, l->err);
	if (rc == 0 && mems)
		rc = group_write(folder, "cpuset.mems", r->mems, l->err);
	return rc;
}
