/* SPDX-License-Identifier: MIT */
/*
 * Limits: which controllers they need, and setting those of pids, devices, networks and what
 * the configuration names by the file of v2.  HOST.
 */
#include <errno.h>

#include "cloudosd/ctr/cgroup_inside.h"

static bool asked(int64_t value)
{
	return value != CTR_UNSET && value > 0;
}

static unsigned wanted_unified(const struct ctr_resources *r)
{
	unsigned bits = 0;

	for (size_t i = 0; i < r->unified.count; i++)
		for (unsigned c = 0; c < GROUP_COUNT; c++) {
			const char *name = group_names[0][c];
			size_t n = strlen(name);

			if (n && strncmp(r->unified.at[i].name, name, n) == 0 &&
			    r->unified.at[i].name[n] == '.')
				bits |= 1U << c;
		}
	return bits;
}

unsigned group_wanted(const struct ctr_resources *r)
{
	unsigned bits = wanted_unified(r);

	if (asked(r->memory) || asked(r->memory_reservation) || asked(r->memory_swap) ||
	    asked(r->memory_tcp) || r->memory_swappiness >= 0 || r->oom_kill_disabled)
		bits |= GROUP_MEMORY;
	if (asked(r->cpu_shares) || asked(r->cpu_quota) || asked(r->cpu_period) ||
	    asked(r->cpu_burst) || asked(r->cpu_rt_runtime) ||
	    asked(r->cpu_rt_period) || asked(r->cpu_idle))
		bits |= GROUP_CPU;
	if ((r->cpus && *r->cpus) || (r->mems && *r->mems))
		bits |= GROUP_CPUSET;
	if (asked(r->pids))
		bits |= GROUP_PIDS;
	if (asked(r->io_weight) || r->read_bps.count || r->write_bps.count ||
	    r->read_iops.count || r->write_iops.count || r->weights.count)
		bits |= GROUP_IO;
	if (r->hugepage_count)
		bits |= GROUP_HUGETLB;
	if (asked(r->net_classid))
		bits |= GROUP_NET_CLS;
	if (r->net_priorities.count)
		bits |= GROUP_NET_PRIO;
	return bits;
}

int group_unmet(struct group_limits *l, const char *what, const char *why)
{
	struct co_buf *names = &l->g->unenforced;

	if (!l->g->allow_unenforced)
		return co_fail(
			l->err, CO_ACCESS,
			"the limit of %s cannot be enforced: %s; leave it out, or allow "
			"limits that are not enforced",
			what, why);
	if (names->data && group_word(names->data, what))
		return 0;
	co_buf_text(names, names->size ? ", " : "");
	co_buf_text(names, what);
	return 0;
}

static int set_pids(struct group_limits *l)
{
	bool v2;
	const char *folder = group_of(l->g, GROUP_PIDS, &v2);
	int64_t pids = l->r->pids;

	if (pids == CTR_UNSET || (pids <= 0 && (l->fresh || !folder)))
		return 0;
	if (!folder)
		return group_unmet(l, "pids", "there is no pids controller for us");
	if (pids <= 0)
		return group_write(folder, "pids.max", "max", l->err);
	return group_write_i64(folder, "pids.max", pids, l->err);
}

/* Nobody may make device nodes in a user name space of a user: there is nothing to guard. */
static int set_devices(struct group_limits *l)
{
	bool v2;
	const char *folder = group_of(l->g, GROUP_DEVICES, &v2);

	if (!l->r->device_rule_count || l->g->rootless)
		return 0;
	if (!folder)
		return group_unmet(l, "devices",
				   "the kernel takes no program for it and there is no "
				   "devices controller for us");
	return v2 ? group_device_program(folder, l->r, l->err)
		  : group_device_rules(folder, l->r, l->err);
}

static int set_network(struct group_limits *l)
{
	bool v2;
	const char *class = group_of(l->g, GROUP_NET_CLS, &v2);
	const char *priority = group_of(l->g, GROUP_NET_PRIO, &v2);
	int rc = 0;

	if (asked(l->r->net_classid))
		rc = class ? group_write_i64(class, "net_cls.classid",
					     l->r->net_classid, l->err)
			   : group_unmet(l, "network class",
					 "there is no net_cls controller for us");
	if (rc == 0 && l->r->net_priorities.count && !priority)
		rc = group_unmet(l, "network priority",
				 "there is no net_prio controller for us");
	for (size_t i = 0; rc == 0 && priority && i < l->r->net_priorities.count; i++) {
		char text[96];

		(void) snprintf(text, sizeof(text), "%.40s %.40s",
				l->r->net_priorities.at[i].name,
				l->r->net_priorities.at[i].value);
		rc = group_write(priority, "net_prio.ifpriomap", text, l->err);
	}
	return rc;
}

static int set_unified(struct group_limits *l)
{
	for (size_t i = 0; i < l->r->unified.count; i++) {
		const struct ctr_pair *p = &l->r->unified.at[i];
		int rc;

		if (strchr(p->name, '/') || !strchr(p->name, '.'))
			return co_fail(
				l->err, CO_INVALID,
				"linux.resources.unified: \"%.100s\" is not the name "
				"of a file of cgroup v2",
				p->name);
		if (l->g->v2.path && group_has(l->g->v2.path, p->name))
			rc = group_write(l->g->v2.path, p->name, p->value, l->err);
		else
			rc = group_unmet(l, p->name,
					 "cgroup v2 does not have that file here");
		if (rc < 0)
			return rc;
	}
	return 0;
}

int group_set_all(struct group_limits *l)
{
	static int (*const all[])(struct group_limits * l) = {
		group_set_memory, group_set_cpu, group_set_cpuset, group_set_io,
		set_pids,         set_devices,   set_network,      set_unified,
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < co_countof(all); i++)
		rc = all[i](l);
	return rc;
}
