/* SPDX-License-Identifier: MIT */
/* config.json: the member "linux".  HOST. */
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "cloudosd/ctr/config_read.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

/* Reads `value` as an array of TYPE into out->MEMBER and out->COUNT. */
#define LIST(r, value, read, out, member, counter)                                     \
	({                                                                             \
		struct ctr_list list_ = { NULL, 0 };                                   \
		int rc_ =                                                              \
			ctr_read_list(r, value, sizeof(*(out)->member), read, &list_); \
		if (rc_ == 0) {                                                        \
			(out)->member = list_.at;                                      \
			(out)->counter = list_.count;                                  \
		}                                                                      \
		rc_;                                                                   \
	})

/* ---- name spaces and ids ---- */

static int read_kind(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_word words[] = {
		{ "pid", CLONE_NEWPID },       { "network", CLONE_NEWNET },
		{ "mount", CLONE_NEWNS },      { "ipc", CLONE_NEWIPC },
		{ "uts", CLONE_NEWUTS },       { "user", CLONE_NEWUSER },
		{ "cgroup", CLONE_NEWCGROUP }, { "time", CLONE_NEWTIME },
	};

	return ctr_read_word(r, value, words, co_countof(words), out);
}

static int read_namespace(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_namespace, "type", read_kind, kind),
		CTR_FIELD(struct ctr_namespace, "path", ctr_read_text, path),
	};
	struct ctr_namespace *n = out;
	int rc = CTR_READ_OBJECT(r, value, fields, out);

	if (rc < 0)
		return rc;
	if (!n->kind)
		return ctr_read_fail(r, "has no type");
	if (n->path && n->path[0] == '\0')
		n->path = NULL;
	if (n->path && n->path[0] != '/')
		return ctr_read_fail(r, "has a path that is not absolute");
	return 0;
}

static int read_namespaces(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_config *c = out;
	int rc = LIST(r, value, read_namespace, c, namespaces, namespace_count);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < c->namespace_count; i++)
		for (size_t j = 0; j < i; j++)
			if (c->namespaces[i].kind == c->namespaces[j].kind)
				return ctr_read_fail(r, "names one kind twice");
	return 0;
}

static int read_id_map(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_id_map, "containerID", ctr_read_u32, inside),
		CTR_FIELD(struct ctr_id_map, "hostID", ctr_read_u32, outside),
		CTR_FIELD(struct ctr_id_map, "size", ctr_read_u32, count),
	};
	struct ctr_id_map *m = out;
	int rc = CTR_READ_OBJECT(r, value, fields, out);

	if (rc < 0)
		return rc;
	if (m->count == 0)
		return ctr_read_fail(r, "maps no id: its size is 0");
	if (m->count > UINT32_MAX - m->inside || m->count > UINT32_MAX - m->outside)
		return ctr_read_fail(r, "maps ids above 4294967294");
	return 0;
}

int ctr_read_id_maps(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_id_maps *maps = out;

	return LIST(r, value, read_id_map, maps, at, count);
}

/* ---- devices ---- */

static int read_device_type(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_word words[] = {
		{ "c", S_IFCHR },
		{ "u", S_IFCHR },
		{ "b", S_IFBLK },
		{ "p", S_IFIFO },
	};
	int type;
	int rc = ctr_read_word(r, value, words, co_countof(words), &type);

	if (rc == 0)
		*(mode_t *) out = (mode_t) type;
	return rc;
}

static int read_mode(struct ctr_read *r, struct co_span value, void *out)
{
	uint32_t mode;
	int rc = ctr_read_u32(r, value, &mode);

	if (rc == 0)
		*(mode_t *) out = (mode_t) (mode & 07777);
	return rc;
}

static int read_device(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_device, "path", ctr_read_text, path),
		CTR_FIELD(struct ctr_device, "type", read_device_type, type),
		CTR_FIELD(struct ctr_device, "major", ctr_read_i64, major),
		CTR_FIELD(struct ctr_device, "minor", ctr_read_i64, minor),
		CTR_FIELD(struct ctr_device, "fileMode", read_mode, mode),
		CTR_FIELD(struct ctr_device, "uid", ctr_read_u32, uid),
		CTR_FIELD(struct ctr_device, "gid", ctr_read_u32, gid),
	};
	struct ctr_device *d = out;
	int rc;

	d->mode = 0666;
	rc = CTR_READ_OBJECT(r, value, fields, out);
	if (rc < 0)
		return rc;
	if (!d->path || d->path[0] != '/')
		return ctr_read_fail(r, "has no absolute path");
	if (!d->type)
		return ctr_read_fail(r, "has no type");
	return 0;
}

static int read_devices(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_config *c = out;

	return LIST(r, value, read_device, c, devices, device_count);
}

static int read_rule_type(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_word words[] = { { "a", 'a' },
						 { "b", 'b' },
						 { "c", 'c' } };
	int type;
	int rc = ctr_read_word(r, value, words, co_countof(words), &type);

	if (rc == 0)
		*(char *) out = (char) type;
	return rc;
}

static int read_access(struct ctr_read *r, struct co_span value, void *out)
{
	char *text, *access = out;
	int rc = ctr_read_text(r, value, &text);

	if (rc < 0)
		return rc;
	if (strlen(text) > 3 || strspn(text, "rwm") != strlen(text))
		return ctr_read_fail(r, "is made of other letters than r, w and m");
	memcpy(access, text, strlen(text) + 1);
	return 0;
}

static int read_rule(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_device_rule, "allow", ctr_read_bool, allow),
		CTR_FIELD(struct ctr_device_rule, "type", read_rule_type, type),
		CTR_FIELD(struct ctr_device_rule, "major", ctr_read_i64, major),
		CTR_FIELD(struct ctr_device_rule, "minor", ctr_read_i64, minor),
		CTR_FIELD(struct ctr_device_rule, "access", read_access, access),
	};
	struct ctr_device_rule *d = out;

	d->type = 'a';
	d->major = -1;
	d->minor = -1;
	memcpy(d->access, "rwm", 4);
	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_rules(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_resources *c = out;

	return LIST(r, value, read_rule, c, device_rules, device_rule_count);
}

/* ---- limits ---- */

#define RESOURCE(name, read, member) CTR_FIELD(struct ctr_resources, name, read, member)

static int read_memory(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		RESOURCE("limit", ctr_read_i64, memory),
		RESOURCE("reservation", ctr_read_i64, memory_reservation),
		RESOURCE("kernelTCP", ctr_read_i64, memory_tcp),
		RESOURCE("swap", ctr_read_i64, memory_swap),
		RESOURCE("swappiness", ctr_read_i64, memory_swappiness),
		RESOURCE("disableOOMKiller", ctr_read_bool, oom_kill_disabled),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_cpu(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		RESOURCE("shares", ctr_read_i64, cpu_shares),
		RESOURCE("quota", ctr_read_i64, cpu_quota),
		RESOURCE("period", ctr_read_i64, cpu_period),
		RESOURCE("burst", ctr_read_i64, cpu_burst),
		RESOURCE("realtimeRuntime", ctr_read_i64, cpu_rt_runtime),
		RESOURCE("realtimePeriod", ctr_read_i64, cpu_rt_period),
		RESOURCE("idle", ctr_read_i64, cpu_idle),
		RESOURCE("cpus", ctr_read_text, cpus),
		RESOURCE("mems", ctr_read_text, mems),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_pids(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		RESOURCE("limit", ctr_read_i64, pids),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_rate(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_io_rate, "major", ctr_read_i64, major),
		CTR_FIELD(struct ctr_io_rate, "minor", ctr_read_i64, minor),
		CTR_FIELD(struct ctr_io_rate, "rate", ctr_read_u64, rate),
		CTR_FIELD(struct ctr_io_rate, "weight", ctr_read_u64, rate),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_rates(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_io_rates *rates = out;

	return LIST(r, value, read_rate, rates, at, count);
}

static int read_io(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		RESOURCE("weight", ctr_read_i64, io_weight),
		RESOURCE("weightDevice", read_rates, weights),
		RESOURCE("throttleReadBpsDevice", read_rates, read_bps),
		RESOURCE("throttleWriteBpsDevice", read_rates, write_bps),
		RESOURCE("throttleReadIOPSDevice", read_rates, read_iops),
		RESOURCE("throttleWriteIOPSDevice", read_rates, write_iops),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_hugepage(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_hugepage_limit, "pageSize", ctr_read_text, size),
		CTR_FIELD(struct ctr_hugepage_limit, "limit", ctr_read_u64, limit),
	};
	int rc = CTR_READ_OBJECT(r, value, fields, out);

	if (rc == 0 && !((struct ctr_hugepage_limit *) out)->size)
		return ctr_read_fail(r, "has no pageSize");
	return rc;
}

static int read_hugepages(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_resources *c = out;

	return LIST(r, value, read_hugepage, c, hugepages, hugepage_count);
}

struct priority {
	char *name;
	uint32_t priority;
};

static int read_priority(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct priority, "name", ctr_read_text, name),
		CTR_FIELD(struct priority, "priority", ctr_read_u32, priority),
	};
	struct priority p = { NULL, 0 };
	struct ctr_pair *pair = out;
	char number[16];
	int rc = CTR_READ_OBJECT(r, value, fields, &p);

	if (rc < 0)
		return rc;
	if (!p.name)
		return ctr_read_fail(r, "has no name");
	pair->name = p.name;
	(void) snprintf(number, sizeof(number), "%u", p.priority); /* 10 digits */
	pair->value = ctr_heap_text(r->heap, number, strlen(number));
	return pair->value ? 0 : co_fail(r->err, CO_NO_MEMORY, "out of memory");
}

static int read_priorities(struct ctr_read *r, struct co_span value, void *out)
{
	struct ctr_pairs *pairs = out;

	return LIST(r, value, read_priority, pairs, at, count);
}

static int read_network(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		RESOURCE("classID", ctr_read_i64, net_classid),
		RESOURCE("priorities", read_priorities, net_priorities),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

static int read_resources(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		{ "memory", read_memory, 0 },
		{ "cpu", read_cpu, 0 },
		{ "pids", read_pids, 0 },
		{ "blockIO", read_io, 0 },
		{ "hugepageLimits", read_hugepages, 0 },
		{ "network", read_network, 0 },
		{ "devices", read_rules, 0 },
		RESOURCE("unified", ctr_read_pairs, unified),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

void ctr_resources_unset(struct ctr_resources *r)
{
	*r = (struct ctr_resources){
		.memory = CTR_UNSET,
		.memory_reservation = CTR_UNSET,
		.memory_tcp = CTR_UNSET,
		.memory_swap = CTR_UNSET,
		.memory_swappiness = CTR_UNSET,
		.cpu_shares = CTR_UNSET,
		.cpu_quota = CTR_UNSET,
		.cpu_period = CTR_UNSET,
		.cpu_burst = CTR_UNSET,
		.cpu_rt_runtime = CTR_UNSET,
		.cpu_rt_period = CTR_UNSET,
		.cpu_idle = CTR_UNSET,
		.pids = CTR_UNSET,
		.io_weight = CTR_UNSET,
		.net_classid = CTR_UNSET,
	};
}

/* ---- the rest ---- */

static int read_propagation(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_word words[] = {
		{ "shared", MS_SHARED | MS_REC },
		{ "rshared", MS_SHARED | MS_REC },
		{ "slave", MS_SLAVE | MS_REC },
		{ "rslave", MS_SLAVE | MS_REC },
		{ "private", MS_PRIVATE | MS_REC },
		{ "rprivate", MS_PRIVATE | MS_REC },
		{ "unbindable", MS_UNBINDABLE | MS_REC },
		{ "runbindable", MS_UNBINDABLE | MS_REC },
	};
	int flags;
	int rc;

	if (co_json_string_is(value, ""))
		return 0;
	rc = ctr_read_word(r, value, words, co_countof(words), &flags);
	if (rc == 0)
		*(uint64_t *) out = (uint64_t) flags;
	return rc;
}

static int read_domain(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_word words[] = { { "LINUX", 0 }, { "LINUX32", 8 } };
	int domain;
	int rc = ctr_read_word(r, value, words, co_countof(words), &domain);

	if (rc == 0)
		*(uint64_t *) out = (uint64_t) domain;
	return rc;
}

static int read_personality(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
		CTR_FIELD(struct ctr_config, "domain", read_domain, personality),
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}

int ctr_read_linux(struct ctr_read *r, struct co_span value, void *out)
{
	static const struct ctr_field fields[] = {
#define FIELD(name, read, member) CTR_FIELD(struct ctr_config, name, read, member)
		{ "namespaces", read_namespaces, 0 },
		FIELD("uidMappings", ctr_read_id_maps, uids),
		FIELD("gidMappings", ctr_read_id_maps, gids),
		{ "devices", read_devices, 0 },
		FIELD("resources", read_resources, resources),
		FIELD("cgroupsPath", ctr_read_text, cgroups_path),
		FIELD("rootfsPropagation", read_propagation, rootfs_propagation),
		FIELD("maskedPaths", ctr_read_texts, masked_paths),
		FIELD("readonlyPaths", ctr_read_texts, readonly_paths),
		FIELD("sysctl", ctr_read_pairs, sysctl),
		FIELD("seccomp", ctr_read_raw, seccomp),
		FIELD("mountLabel", ctr_read_text, mount_label),
		{ "personality", read_personality, 0 },
#undef FIELD
	};

	return CTR_READ_OBJECT(r, value, fields, out);
}
