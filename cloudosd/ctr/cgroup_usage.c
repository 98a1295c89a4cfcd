/* SPDX-License-Identifier: MIT */
/* What a container uses, and the notice that something in it was killed for memory.  HOST. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "cloudosd/ctr/cgroup_inside.h"

/* v1 says "no limit" with the largest multiple of a page. */
static uint64_t limit(uint64_t value)
{
	return value >= INT64_MAX / 4096 * 4096 ? 0 : value;
}

static void cpu(const struct ctr_cgroup *g, struct ctr_usage *out)
{
	static const char stat[] = "cpu.stat";
	const char *account = group_of(g, GROUP_CPUACCT, &(bool){ 0 });
	const char *v1 = group_of(g, GROUP_CPU, &(bool){ 0 });
	uint64_t value;

	if (g->v2.path && group_read_named(g->v2.path, stat, "usage_usec", &value)) {
		out->cpu_ns = value * 1000;
		if (group_read_named(g->v2.path, stat, "user_usec", &value))
			out->user_ns = value * 1000;
		if (group_read_named(g->v2.path, stat, "system_usec", &value))
			out->system_ns = value * 1000;
		if (group_read_named(g->v2.path, stat, "throttled_usec", &value))
			out->throttled_ns = value * 1000;
	} else if (account) {
		(void) group_read_u64(account, "cpuacct.usage", &out->cpu_ns);
		(void) group_read_u64(account, "cpuacct.usage_user", &out->user_ns);
		(void) group_read_u64(account, "cpuacct.usage_sys", &out->system_ns);
	}
	if (v1 && group_read_named(v1, stat, "throttled_time", &value))
		out->throttled_ns = value;
}

static uint64_t status_kb(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Nobody counts for us: what its processes hold that is no file. */
static void memory_of_processes(const struct ctr_cgroup *g, struct ctr_usage *out)
{
	autofree pid_t *pids = NULL;
	size_t count = 0;
	bool count_pids = !out->has_pids;

	if (ctr_cgroup_pids(g, &pids, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		autobuf struct co_buf b = { 0 };
		char folder[32];

		(void) snprintf(folder, sizeof(folder), "/proc/%d", (int) pids[i]);
		if (group_read(folder, "status", &b) < 0)
			continue;
		if (!out->has_memory)
			out->memory += 1024 * (status_kb(b.data, "\nRssAnon:") +
					       status_kb(b.data, "\nRssShmem:"));
		if (!out->has_memory)
			out->swap += 1024 * status_kb(b.data, "\nVmSwap:");
		if (count_pids)
			out->pids += status_kb(b.data, "\nThreads:");
	}
	out->has_memory = out->has_pids = true;
}

static void memory_v2(const char *folder, struct ctr_usage *out)
{
	out->has_memory = group_read_u64(folder, "memory.current", &out->memory);
	(void) group_read_u64(folder, "memory.max", &out->memory_limit); /* "max" */
	(void) group_read_u64(folder, "memory.peak",
			      &out->memory_peak); /* Linux 5.19 */
	(void) group_read_u64(folder, "memory.swap.current", &out->swap);
	(void) group_read_named(folder, "memory.events", "oom_kill", &out->oom_kills);
}

static void memory_v1(const char *folder, struct ctr_usage *out)
{
	uint64_t both = 0;

	out->has_memory = group_read_u64(folder, "memory.usage_in_bytes", &out->memory);
	if (group_read_u64(folder, "memory.limit_in_bytes", &out->memory_limit))
		out->memory_limit = limit(out->memory_limit);
	(void) group_read_u64(folder, "memory.max_usage_in_bytes", &out->memory_peak);
	if (group_read_u64(folder, "memory.memsw.usage_in_bytes", &both) &&
	    both > out->memory)
		out->swap = both - out->memory;
	(void) group_read_named(folder, "memory.oom_control", "oom_kill",
				&out->oom_kills);
}

/* "8:0 rbytes=5 wbytes=7 ..." a line */
static void io_v2(const char *folder, struct ctr_usage *out)
{
	autobuf struct co_buf b = { 0 };

	if (group_read(folder, "io.stat", &b) < 0)
		return;
	out->has_io = true;
	for (const char *at = strstr(b.data, "rbytes="); at;
	     at = strstr(at + 1, "rbytes="))
		out->read_bytes += strtoull(at + 7, NULL, 10);
	for (const char *at = strstr(b.data, "wbytes="); at;
	     at = strstr(at + 1, "wbytes="))
		out->write_bytes += strtoull(at + 7, NULL, 10);
}

/* "8:0 Read 5" a line */
static void io_v1(const char *folder, struct ctr_usage *out)
{
	autobuf struct co_buf b = { 0 };

	if (group_read(folder, "blkio.throttle.io_service_bytes_recursive", &b) < 0)
		return;
	out->has_io = true;
	for (const char *at = strstr(b.data, " Read "); at;
	     at = strstr(at + 1, " Read "))
		out->read_bytes += strtoull(at + 6, NULL, 10);
	for (const char *at = strstr(b.data, " Write "); at;
	     at = strstr(at + 1, " Write "))
		out->write_bytes += strtoull(at + 7, NULL, 10);
}

void ctr_cgroup_usage(const struct ctr_cgroup *g, struct ctr_usage *out)
{
	bool v2 = false;
	const char *folder;

	*out = (struct ctr_usage){ 0 };
	cpu(g, out);
	folder = group_of(g, GROUP_MEMORY, &v2);
	if (folder)
		(v2 ? memory_v2 : memory_v1)(folder, out);
	folder = group_of(g, GROUP_PIDS, &v2);
	if (folder) {
		out->has_pids = group_read_u64(folder, "pids.current", &out->pids);
		(void) group_read_u64(folder, "pids.max", &out->pids_limit); /* "max" */
	}
	folder = group_of(g, GROUP_IO, &v2);
	if (folder)
		(v2 ? io_v2 : io_v1)(folder, out);
	if (!out->has_memory || !out->has_pids)
		memory_of_processes(g, out);
}

static int oom_v1(const char *folder)
{
	char path[GROUP_PATH + 32], text[32];
	autoclose int control = -1;
	autoclose int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void) snprintf(path, sizeof(path), "%s/memory.oom_control", folder);
	control = open(path, O_RDONLY | O_CLOEXEC);
	if (control < 0 || event < 0)
		return -1;
	(void) snprintf(text, sizeof(text), "%d %d", event, control); /* it fits */
	if (group_write(folder, "cgroup.event_control", text, NULL) < 0)
		return -1;
	return take_fd(event);
}

int ctr_cgroup_oom_fd(const struct ctr_cgroup *g)
{
	bool v2 = false;
	const char *folder = group_of(g, GROUP_MEMORY, &v2);
	char path[GROUP_PATH + 32];
	autoclose int fd = -1;

	if (!folder)
		return -1;
	if (!v2)
		return oom_v1(folder);
	(void) snprintf(path, sizeof(path), "%s/memory.events", folder);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return -1;
	return take_fd(fd);
}
