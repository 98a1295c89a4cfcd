/* SPDX-License-Identifier: MIT */
/* --confine: what the program sees, as a container's configuration.  HOST. */
#include <co/limits.h>
#include <co/trap.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/confine_inside.h"
#include "lib/buf.h"
#include "lib/cleanup.h"

enum { IDS = 65536, PERIOD_US = 100000, THOUSAND = 1000 };

/* Users that nobody else has: containers.users (cloudosd/config.def) cannot come here. */
#define FIRST_ID 1879048192

static const char *const systems[] = { "/usr",   "/bin",   "/sbin",   "/lib",
				       "/lib32", "/lib64", "/libx32", "/etc" };
static const char *const own[] = { "/tmp", "/run", "/var/tmp", "/dev", "/proc" };

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) && (!path[n] || path[n] == '/');
}

static bool is_system(const char *path)
{
	for (size_t i = 0; i < co_countof(systems); i++)
		if (is_below(path, systems[i]))
			return true;
	return false;
}

static const struct confine_grant *granted(const struct confine *c, const char *path)
{
	for (size_t i = 0; i < c->ngrants; i++)
		if (is_below(path, c->grants[i].path))
			return &c->grants[i];
	return NULL;
}

/* ---- JSON ---- */

static void text(struct co_buf *b, const char *value)
{
	co_buf_json_text(b, co_span(value));
}

/* options: as they stand in JSON, with quotes. */
static void mount(struct co_buf *b, const char *to, const char *type,
		  const char *source, const char *options)
{
	co_buf_text(b, "{\"destination\":");
	text(b, to);
	co_buf_text(b, ",\"type\":");
	text(b, type);
	co_buf_text(b, ",\"source\":");
	text(b, source);
	co_buf_format(b, ",\"options\":[%s]},", options);
}

static void mount_own(struct co_buf *b)
{
	mount(b, "/proc", "proc", "proc", "\"nosuid\",\"nodev\",\"noexec\"");
	mount(b, "/dev", "tmpfs", "tmpfs", "\"nosuid\",\"mode=755\",\"size=64k\"");
	mount(b, "/dev/pts", "devpts", "devpts",
	      "\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"");
	mount(b, "/dev/shm", "tmpfs", "shm", "\"nosuid\",\"nodev\",\"mode=1777\"");
	mount(b, "/tmp", "tmpfs", "tmp", "\"nosuid\",\"nodev\",\"mode=1777\"");
	mount(b, "/var/tmp", "tmpfs", "tmp", "\"nosuid\",\"nodev\",\"mode=1777\"");
	mount(b, "/run", "tmpfs", "run", "\"nosuid\",\"nodev\",\"mode=755\"");
}

/* Where the host's name servers are, if that is behind a link out of /etc. */
static void mount_resolver(struct co_buf *b)
{
	autofree char *real = realpath("/etc/resolv.conf", NULL);

	if (real && !is_system(real))
		mount(b, real, "bind", real, "\"bind\",\"ro\",\"nosuid\",\"nodev\"");
}

static void mount_system(struct co_buf *b)
{
	struct stat st;

	for (size_t i = 0; i < co_countof(systems); i++)
		if (stat(systems[i], &st) == 0 && S_ISDIR(st.st_mode))
			mount(b, systems[i], "bind", systems[i],
			      "\"rbind\",\"rro\",\"rnosuid\",\"rnodev\"");
}

static void mount_grants(struct co_buf *b, const struct confine *c)
{
	/* root's files are root's there, too, who is somebody else outside */
	const char *idmap = geteuid() == 0 ? ",\"ridmap\"" : "";
	char options[80];

	for (size_t i = 0; i < c->ngrants; i++) {
		const struct confine_grant *g = &c->grants[i];

		(void) snprintf(options, sizeof(options),
				"\"rbind\",\"rnosuid\",\"rnodev\"%s%s",
				g->read_only ? ",\"rro\"" : "", idmap);
		mount(b, g->path, "bind", g->path, options);
	}
}

/* The daemon's folders, where a grant would show them. */
static int mount_hidden(struct co_buf *b, const struct confine *c,
			const struct co_paths *paths, struct co_err *err)
{
	const char *folders[] = { paths->run, paths->state, paths->config };

	for (size_t i = 0; i < co_countof(folders); i++) {
		autofree char *real = realpath(folders[i], NULL);
		const struct confine_grant *g = real ? granted(c, real) : NULL;

		for (size_t k = 0; real && k < c->ngrants; k++)
			if (is_below(c->grants[k].path, real))
				return co_fail(err, CO_ACCESS,
					       "--allow=%s would hand the program the "
					       "daemon's own files",
					       c->grants[k].path);
		if (g)
			mount(b, real, "tmpfs", "hidden",
			      "\"ro\",\"nosuid\",\"nodev\",\"noexec\",\"size=4k\","
			      "\"mode=555\"");
	}
	return 0;
}

static void mount_file(struct co_buf *b, const struct confine *c, const char *path)
{
	/* (a folder of ours that was mounted afresh does not have it) */
	if (path && !is_system(path) && !granted(c, path))
		mount(b, path, "bind", path,
		      geteuid() == 0 ? "\"bind\",\"ro\",\"nosuid\",\"nodev\",\"idmap\""
				     : "\"bind\",\"ro\",\"nosuid\",\"nodev\"");
}

static void mount_read_only(struct co_buf *b, const char *to, const char *from)
{
	mount(b, to, "bind", from, "\"bind\",\"ro\",\"nosuid\",\"nodev\"");
}

/* A cloudos-exec, its loaders, and the socket on which programs may begin and no more. */
static int mount_launcher(struct co_buf *b, const struct co_paths *paths,
			  struct co_err *err)
{
	char path[CO_PATH_SIZE + 16];
	int r;

	(void) snprintf(path, sizeof(path), "%s/guest.sock", paths->run);
	mount_read_only(b, CO_CONTAINED_FOLDER "/control.sock", path);
	r = co_program_path("cloudos-exec", path, CO_PATH_SIZE, err);
	if (r)
		return r;
	mount_read_only(b, CO_CONTAINED "/bin/cloudos-exec", path);
	r = co_program_path("cloudos-loader", path, CO_PATH_SIZE, err);
	if (r)
		return r;
	*strrchr(path, '/') = 0;
	mount_read_only(b, CO_CONTAINED "/libexec", path);
	return 0;
}

/* A list's last comma. */
static void no_comma(struct co_buf *b)
{
	if (b->size && b->data[b->size - 1] == ',')
		b->size--;
}

static void put_user(struct co_buf *b)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	/* root outside would be root of the host's files */
	if (uid == 0) {
		co_buf_format(b,
			      "\"uidMappings\":[{\"containerID\":0,\"hostID\":%d,"
			      "\"size\":%d}],\"gidMappings\":[{\"containerID\":0,"
			      "\"hostID\":%d,\"size\":%d}],",
			      FIRST_ID, IDS, FIRST_ID, IDS);
		return;
	}
	co_buf_format(
		b,
		"\"uidMappings\":[{\"containerID\":%u,\"hostID\":%u,\"size\":1}],"
		"\"gidMappings\":[{\"containerID\":%u,\"hostID\":%u,\"size\":1}],",
		uid, uid, gid, gid);
}

static void put_resources(struct co_buf *b, const struct confine *c)
{
	co_buf_text(b, "\"resources\":{");
	if (c->memory)
		co_buf_format(b, "\"memory\":{\"limit\":%llu,\"swap\":%llu},",
			      (unsigned long long) c->memory,
			      (unsigned long long) c->memory);
	if (c->cpus)
		co_buf_format(b, "\"cpu\":{\"quota\":%llu,\"period\":%d},",
			      (unsigned long long) c->cpus * PERIOD_US / THOUSAND,
			      PERIOD_US);
	if (c->pids)
		co_buf_format(b, "\"pids\":{\"limit\":%llu},",
			      (unsigned long long) c->pids + 1 /* its init */);
	no_comma(b);
	co_buf_text(b, "},");
}

static void put_linux(struct co_buf *b, const struct confine *c)
{
	co_buf_text(b, "\"linux\":{");
	put_user(b);
	put_resources(b, c);
	co_buf_text(b, "\"namespaces\":[{\"type\":\"user\"},{\"type\":\"mount\"},"
		       "{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
		       "{\"type\":\"cgroup\"}");
	if (!c->net_host)
		co_buf_text(b, ",{\"type\":\"network\"}");
	co_buf_text(b, "],\"maskedPaths\":[\"/proc/kcore\",\"/proc/keys\","
		       "\"/proc/timer_list\",\"/proc/sched_debug\",\"/proc/scsi\","
		       "\"/proc/acpi\",\"/proc/asound\",\"/proc/kallsyms\","
		       "\"/proc/latency_stats\",\"/proc/timer_stats\"],"
		       "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\","
		       "\"/proc/sys\",\"/proc/sysrq-trigger\"]},");
}

/* Is something granted in there?  Then the folder is there, with nothing else in it. */
static bool leads_to_grant(const struct confine *c, const char *path)
{
	for (size_t i = 0; i < c->ngrants; i++)
		if (is_below(c->grants[i].path, path))
			return true;
	return false;
}

/* Where it runs: here, if it can see that, so that ./data is ./data there as well. */
static void put_folder(struct co_buf *b, const struct confine *c)
{
	autofree char *here = getcwd(NULL, 0);
	bool seen = here && here[0] == '/' &&
		    (is_system(here) || granted(c, here) || leads_to_grant(c, here));

	co_buf_text(b, "\"cwd\":");
	text(b, seen ? here : "/");
}

static void put_process(struct co_buf *b, const struct confine *c,
			const struct confine_program *p)
{
	uid_t uid = geteuid();
	unsigned long long processes = c->pids ? c->pids + 1 : CO_LIMIT_CTR_PROCESSES;

	co_buf_text(b, "\"process\":{\"args\":[");
	for (char **a = p->argv; *a; a++) {
		text(b, *a);
		co_buf_text(b, ",");
	}
	no_comma(b);
	co_buf_format(b, "],\"user\":{\"uid\":%u,\"gid\":%u},", uid,
		      uid ? getegid() : 0);
	put_folder(b, c);
	co_buf_text(b, ",\"noNewPrivileges\":true,\"capabilities\":{\"bounding\":[],"
		       "\"effective\":[],\"permitted\":[],\"inheritable\":[],"
		       "\"ambient\":[]},\"rlimits\":[{\"type\":\"RLIMIT_CORE\","
		       "\"soft\":0,\"hard\":0}");
	/* it cannot become another user, so this is a bound of all it has */
	co_buf_format(b, ",{\"type\":\"RLIMIT_NPROC\",\"soft\":%llu,\"hard\":%llu}",
		      processes, processes);
	co_buf_text(b, "]},");
}

static int put_mounts(struct co_buf *b, const struct confine *c,
		      const struct confine_program *p, struct co_err *err)
{
	int r;

	co_buf_text(b, "\"mounts\":[");
	mount_own(b);
	mount_system(b);
	mount_grants(b, c);
	r = mount_hidden(b, c, p->paths, err);
	if (c->net_host)
		mount_resolver(b);
	if (p->path[0] == '/')
		mount_file(b, c, p->path);
	if (!r && c->trap)
		r = mount_launcher(b, p->paths, err);
	no_comma(b);
	co_buf_text(b, "],");
	return r;
}

/* ---- all of it ---- */

int confine_describe(struct confine *c, const struct confine_program *p,
		     struct co_err *err)
{
	autobuf struct co_buf b = { 0 };
	int r;

	co_buf_text(&b, "{\"ociVersion\":\"1.0.2\",\"hostname\":\"confined\",");
	r = put_mounts(&b, c, p, err);
	put_process(&b, c, p);
	put_linux(&b, c);
	co_buf_text(&b, "\"cloudos\":{\"init\":true,\"confined\":true}}");
	if (r)
		return r;
	if (b.failed)
		return co_fail(err, CO_NO_MEMORY, "out of memory");
	if (ctr_config_parse((struct co_span){ b.data, b.size }, "/", &c->config, err))
		return co_context(err, "the program cannot be confined");
	c->config->root_readonly = true; /* of what is in the file there is no root */
	for (size_t i = 0; i < co_countof(own); i++)
		c->writable[c->nwritable++] = own[i];
	for (size_t i = 0; i < c->ngrants; i++)
		if (!c->grants[i].read_only)
			c->writable[c->nwritable++] = c->grants[i].path;
	return 0;
}
