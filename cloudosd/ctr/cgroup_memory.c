/* SPDX-License-Identifier: MIT */
/*
 * Limits of memory.  HOST.
 *
 * OCI's "swap" is memory and swap together, as in v1; v2 counts swap alone.  A box without
 * any swap keeps every limit of it, whether the kernel counts or not.
 */
#include <inttypes.h>

#include "cloudosd/ctr/cgroup_inside.h"

static bool box_has_swap(void)
{
	autobuf struct co_buf b = { 0 };
	const char *at;

	if (group_read("/proc", "meminfo", &b) < 0)
		return true;
	at = strstr(b.data, "SwapTotal:");
	return !at || strtoull(at + 10, NULL, 10) > 0;
}

static int write_max(const char *folder, const char *file, int64_t value,
		     struct co_err *err)
{
	if (value < 0)
		return group_write(folder, file, "max", err);
	return group_write_i64(folder, file, value, err);
}

static int unmet_swap(struct group_limits *l)
{
	if (!box_has_swap())
		return 0;
	return group_unmet(l, "swap", "the kernel does not count it (swapaccount=1)");
}

/* ---- v2 ---- */

static int swap_v2(struct group_limits *l, const char *folder)
{
	int64_t both = l->r->memory_swap, memory = l->r->memory;
	uint64_t is = 0;

	if (both == CTR_UNSET || both == 0)
		return 0;
	if (!group_has(folder, "memory.swap.max"))
		return both < 0 ? 0 : unmet_swap(l);
	if (both < 0)
		return write_max(folder, "memory.swap.max", -1, l->err);
	if (memory == CTR_UNSET && group_read_u64(folder, "memory.max", &is))
		memory = (int64_t) is;
	if (memory <= 0 || both < memory)
		return co_fail(
			l->err, CO_INVALID,
			"linux.resources.memory.swap (memory and swap together) is %" PRId64
			", less than the limit of memory",
			both);
	return write_max(folder, "memory.swap.max", both - memory, l->err);
}

static int set_v2(struct group_limits *l, const char *folder)
{
	const struct ctr_resources *r = l->r;
	int rc = 0;

	if (r->memory != CTR_UNSET && r->memory != 0)
		rc = write_max(folder, "memory.max", r->memory, l->err);
	if (rc == 0)
		rc = swap_v2(l, folder);
	if (rc == 0 && r->memory_reservation != CTR_UNSET && r->memory_reservation != 0)
		rc = write_max(folder, "memory.low", r->memory_reservation, l->err);
	if (rc == 0 && r->memory_tcp > 0)
		rc = group_unmet(l, "kernelTCP", "cgroup v2 does not have it");
	if (rc == 0 && r->memory_swappiness >= 0)
		rc = group_unmet(l, "swappiness", "cgroup v2 does not have it");
	if (rc == 0 && r->oom_kill_disabled)
		rc = group_unmet(l, "disableOOMKiller", "cgroup v2 does not have it");
	/* half of a container is of use to nobody */
	if (rc == 0 && l->fresh)
		(void) group_write(folder, "memory.oom.group", "1", NULL); /* 4.19 */
	return rc;
}

/* ---- v1 ---- */

static int pair_v1(struct group_limits *l, const char *folder, int64_t memory,
		   int64_t both)
{
	static const char one[] = "memory.limit_in_bytes";
	static const char two[] = "memory.memsw.limit_in_bytes";
	struct co_err first = { 0 };
	int rc;

	if (memory == 0 || memory == CTR_UNSET)
		return group_write_i64(folder, two, both, l->err);
	if (both == 0 || both == CTR_UNSET)
		return group_write_i64(folder, one, memory, l->err);
	/* the second may never be below the first: which way depends on what is there */
	rc = group_write_i64(folder, one, memory, &first);
	if (rc == 0)
		return group_write_i64(folder, two, both, l->err);
	rc = group_write_i64(folder, two, both, l->err);
	return rc < 0 ? rc : group_write_i64(folder, one, memory, l->err);
}

static int set_v1(struct group_limits *l, const char *folder)
{
	const struct ctr_resources *r = l->r;
	int64_t both = r->memory_swap;
	int rc = 0;

	if (both != CTR_UNSET && both != 0 &&
	    !group_has(folder, "memory.memsw.limit_in_bytes")) {
		rc = both < 0 ? 0 : unmet_swap(l);
		both = CTR_UNSET;
	}
	if (rc == 0 && (r->memory != CTR_UNSET || both != CTR_UNSET) &&
	    (r->memory != 0 || both != CTR_UNSET))
		rc = pair_v1(l, folder, r->memory, both);
	if (rc == 0 && r->memory_reservation != CTR_UNSET && r->memory_reservation != 0)
		rc = group_write_i64(folder, "memory.soft_limit_in_bytes",
				     r->memory_reservation, l->err);
	if (rc == 0 && r->memory_tcp != CTR_UNSET && r->memory_tcp != 0)
		rc = group_write_i64(folder, "memory.kmem.tcp.limit_in_bytes",
				     r->memory_tcp, l->err);
	if (rc == 0 && r->memory_swappiness >= 0)
		rc = group_write_i64(folder, "memory.swappiness", r->memory_swappiness,
				     l->err);
	if (rc == 0 && r->oom_kill_disabled)
		rc = group_write(folder, "memory.oom_control", "1", l->err);
	return rc;
}

static bool asks(const struct group_limits *l)
{
	const struct ctr_resources *r = l->r;

	return r->memory > 0 || r->memory_reservation > 0 || r->memory_swap > 0 ||
	       r->memory_tcp > 0 || r->memory_swappiness >= 0 || r->oom_kill_disabled;
}

int group_set_memory(struct group_limits *l)
{
	bool v2;
	const char *folder = group_of(l->g, GROUP_MEMORY, &v2);

	if (folder)
		return v2 ? set_v2(l, folder) : set_v1(l, folder);
	if (!asks(l))
		return 0;
	return group_unmet(l, "memory", "there is no memory controller for us");
}
