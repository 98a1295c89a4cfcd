/* SPDX-License-Identifier: MIT */
/* config.json of a container.  HOST. */
#include "cloudosd/service/container_spec.h"

#include <co/limits.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/capability.h"
#include "lib/cleanup.h"

struct writing {
	const struct container_settings *config;
	const struct container_defaults *defaults;
	const struct container_place *place;
	struct co_buf *out;
	struct co_err *err;
};

static void text(struct writing *w, const char *value)
{
	co_buf_json_text(w->out, co_span(value));
}

static void comma(struct writing *w)
{
	char last = w->out->size ? w->out->data[w->out->size - 1] : '[';

	if (last != '[' && last != '{')
		co_buf_char(w->out, ',');
}

static void element(struct writing *w, const char *value)
{
	comma(w);
	text(w, value);
}

static void member(struct writing *w, const char *name)
{
	comma(w);
	co_buf_format(w->out, "\"%s\":", name);
}

static void text_member(struct writing *w, const char *name, const char *value)
{
	member(w, name);
	text(w, value);
}

static void list(struct writing *w, const char *name, const char *const *values)
{
	member(w, name);
	co_buf_char(w->out, '[');
	for (; *values; values++)
		element(w, *values);
	co_buf_char(w->out, ']');
}

static bool has_users(const struct writing *w)
{
	return w->place->uids[0].count > 0;
}

/* ---- capabilities ---- */

#define BIT(name)        (UINT64_C(1) << CAP_##name)
#define ALL_CAPABILITIES ((UINT64_C(2) << CAP_LAST_CAP) - 1)

/* What Docker gives. */
static const uint64_t usual =
	BIT(AUDIT_WRITE) | BIT(CHOWN) | BIT(DAC_OVERRIDE) | BIT(FOWNER) | BIT(FSETID) |
	BIT(KILL) | BIT(MKNOD) | BIT(NET_BIND_SERVICE) | BIT(NET_RAW) | BIT(SETFCAP) |
	BIT(SETGID) | BIT(SETPCAP) | BIT(SETUID) | BIT(SYS_CHROOT);

static int capability_bits(const char *name, uint64_t *out, struct co_err *err)
{
	const char *bare = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;
	int number = co_capability_number(bare);

	if (strcasecmp(bare, "ALL") == 0)
		*out = ALL_CAPABILITIES;
	else if (number >= 0)
		*out = UINT64_C(1) << number;
	else
		return co_fail(err, CO_INVALID,
			       "%.64s is no capability; capabilities(7) lists them",
			       name);
	return 0;
}

static int capabilities_of(struct writing *w, uint64_t *out)
{
	const struct container_settings *c = w->config;
	uint64_t bits;

	*out = c->privileged ? ALL_CAPABILITIES : usual;
	for (size_t i = 0; i < c->cap_add.count; i++) {
		if (capability_bits(c->cap_add.at[i], &bits, w->err))
			return CO_INVALID;
		*out |= bits;
	}
	for (size_t i = 0; i < c->cap_drop.count; i++) {
		if (capability_bits(c->cap_drop.at[i], &bits, w->err))
			return CO_INVALID;
		*out &= ~bits;
	}
	/* --cap-drop ALL --cap-add X is X, as everywhere */
	for (size_t i = 0; i < c->cap_add.count; i++) {
		(void) capability_bits(c->cap_add.at[i], &bits, NULL); /* it is one */
		if (bits != ALL_CAPABILITIES)
			*out |= bits;
	}
	if (!w->place->uids[0].count)
		*out &= w->place->capabilities;
	return 0;
}

static void capability_set(struct writing *w, const char *name, uint64_t bits)
{
	member(w, name);
	co_buf_char(w->out, '[');
	for (int i = 0; co_capability_name(i); i++) {
		if (!(bits & UINT64_C(1) << i))
			continue;
		comma(w);
		co_buf_format(w->out, "\"CAP_%s\"", co_capability_name(i));
	}
	co_buf_char(w->out, ']');
}

static int write_capabilities(struct writing *w)
{
	uint64_t bits;
	int r = capabilities_of(w, &bits);

	if (r)
		return r;
	member(w, "capabilities");
	co_buf_char(w->out, '{');
	capability_set(w, "bounding", bits);
	capability_set(w, "effective", bits);
	capability_set(w, "permitted", bits);
	co_buf_char(w->out, '}');
	return 0;
}

/* ---- process ---- */

static void elements(struct writing *w, const struct container_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		element(w, texts->at[i]);
}

static int write_args(struct writing *w)
{
	const struct container_settings *c = w->config;
	const struct container_defaults *d = w->defaults;
	size_t before;

	member(w, "args");
	co_buf_char(w->out, '[');
	before = w->out->size;
	elements(w, c->entrypoint.given ? &c->entrypoint : &d->entrypoint);
	if (c->command.given)
		elements(w, &c->command);
	else if (!c->entrypoint.given)
		elements(w, &d->command);
	if (w->out->size == before && !w->out->failed)
		return co_fail(
			w->err, CO_INVALID,
			"neither the configuration nor the image names a program; "
			"set command");
	co_buf_char(w->out, ']');
	return 0;
}

static bool has_name(const struct container_texts *env, size_t from, const char *entry,
		     size_t n)
{
	for (size_t i = from; i < env->count; i++)
		if (strncmp(env->at[i], entry, n) == 0 && env->at[i][n] == '=')
			return true;
	return false;
}

static bool is_set(const struct writing *w, const char *name)
{
	size_t n = strlen(name);

	return has_name(&w->config->env, 0, name, n) ||
	       has_name(&w->defaults->env, 0, name, n);
}

static void env_default(struct writing *w, const char *name, const char *value)
{
	autobuf struct co_buf entry = { 0 };

	if (is_set(w, name))
		return;
	co_buf_format(&entry, "%s=%s", name, value);
	comma(w);
	co_buf_json_text(w->out, (struct co_span){ entry.data, entry.size });
}

/* What cloudos-exec gives a service, and where its gateway is. */
static void service_env(struct writing *w)
{
	const struct container_service *s = w->place->service;
	char port[16];

	if (!s)
		return;
	(void) snprintf(port, sizeof(port), "%" PRIu32, s->port); /* fits */
	env_default(w, "SERVICE_NAME", s->name);
	env_default(w, "SERVICE_ROLE", s->role);
	env_default(w, "ENVIRONMENT", "development");
	env_default(w, "PORT", port);
	env_default(w, "VERSION", "1.0.0");
	if (strcmp(w->place->network_mode, "host") != 0)
		env_default(w, "CLOUDOS_GATEWAY", "http://127.0.0.1:8787");
}

/* The last one of a name counts, and the configuration's before the image's. */
static void write_env(struct writing *w)
{
	const struct container_texts *own = &w->config->env, *image = &w->defaults->env;

	member(w, "env");
	co_buf_char(w->out, '[');
	env_default(w, "PATH",
		    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	env_default(w, "HOSTNAME",
		    w->config->hostname ? w->config->hostname : w->place->hostname);
	env_default(w, "HOME", *w->place->user.home ? w->place->user.home : "/");
	if (w->config->tty)
		env_default(w, "TERM", "xterm");
	service_env(w);
	for (size_t i = 0; i < image->count; i++) {
		size_t n = strcspn(image->at[i], "=");

		if (image->at[i][n] && !has_name(own, 0, image->at[i], n) &&
		    !has_name(image, i + 1, image->at[i], n))
			element(w, image->at[i]);
	}
	for (size_t i = 0; i < own->count; i++)
		if (!has_name(own, i + 1, own->at[i], strcspn(own->at[i], "=")))
			element(w, own->at[i]);
	co_buf_char(w->out, ']');
}

/* So that a fork bomb ends in itself also where nobody thought of a limit.  The kernel counts
 * this for each user of a user name space: it costs nothing, as a control group would. */
static void write_bound(struct writing *w)
{
	const struct container_settings *c = w->config;

	if (c->privileged || (!has_users(w) && !w->place->user_path) ||
	    (c->pids && !c->allow_unenforced))
		return;
	member(w, "rlimits");
	co_buf_format(w->out,
		      "[{\"type\":\"RLIMIT_NPROC\",\"soft\":%" PRIu64
		      ",\"hard\":%" PRIu64 "}]",
		      c->pids ? c->pids : CO_LIMIT_CTR_PROCESSES,
		      c->pids ? c->pids : CO_LIMIT_CTR_PROCESSES);
}

static int write_process(struct writing *w)
{
	const struct container_user *u = &w->place->user;
	const char *cwd = w->config->working_dir ? w->config->working_dir
						 : w->defaults->working_dir;
	int r;

	member(w, "process");
	co_buf_format(w->out,
		      "{\"terminal\":%s,\"user\":{\"uid\":%" PRIu32 ",\"gid\":%" PRIu32
		      ",\"additionalGids\":[",
		      w->config->tty ? "true" : "false", u->uid, u->gid);
	for (size_t i = 0; i < u->ngroups; i++) {
		comma(w);
		co_buf_u64(w->out, u->groups[i]);
	}
	co_buf_text(w->out, "]}");
	r = write_args(w);
	if (r)
		return r;
	write_env(w);
	text_member(w, "cwd", cwd && *cwd == '/' ? cwd : "/");
	r = write_capabilities(w);
	member(w, "noNewPrivileges");
	co_buf_text(w->out, w->config->privileged ? "false" : "true");
	write_bound(w);
	co_buf_char(w->out, '}');
	return r;
}

/* ---- mounts ---- */

static void mount(struct writing *w, const char *destination, const char *type,
		  const char *source, const char *options)
{
	comma(w);
	co_buf_char(w->out, '{');
	text_member(w, "destination", destination);
	text_member(w, "type", type);
	text_member(w, "source", source);
	member(w, "options");
	co_buf_char(w->out, '[');
	while (*options) {
		size_t n = strcspn(options, ",");

		comma(w);
		co_buf_json_text(w->out, (struct co_span){ options, n });
		options += n + (options[n] == ',');
	}
	co_buf_text(w->out, "]}");
}

static void write_system_mounts(struct writing *w)
{
	const struct container_settings *c = w->config;
	bool many = (!has_users(w) && !w->place->user_path) ||
		    w->place->gids[0].count > 5 || w->place->gids[1].count > 5;
	char shm[96];

	(void) snprintf(shm, sizeof(shm),
			"nosuid,noexec,nodev,mode=1777,size=%" PRIu64 "m",
			c->shm_mib ? c->shm_mib : 64);
	mount(w, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	mount(w, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
	mount(w, "/dev/pts", "devpts", "devpts",
	      many ? "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"
		   : "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620");
	mount(w, "/dev/shm", "tmpfs", "shm", shm);
	mount(w, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
	if (strcmp(w->place->network_mode, "host") == 0 && has_users(w))
		mount(w, "/sys", "bind", "/sys", "rbind,nosuid,noexec,nodev,ro,rro");
	else
		mount(w, "/sys", "sysfs", "sysfs",
		      c->privileged ? "nosuid,noexec,nodev,rw"
				    : "nosuid,noexec,nodev,ro");
}

static void write_file_mount(struct writing *w, const char *destination,
			     const char *name)
{
	autobuf struct co_buf source = { 0 };

	co_buf_format(&source, "%s/%s", w->place->bundle, name);
	if (!source.failed)
		mount(w, destination, "bind", source.data,
		      has_users(w) && w->place->root ? "bind,rw,nosuid,nodev,idmap"
						     : "bind,rw,nosuid,nodev");
}

static void write_volume(struct writing *w, const struct container_volume *v)
{
	autobuf struct co_buf source = { 0 }, options = { 0 };

	if (v->named)
		co_buf_format(&source, "%s/", w->place->volumes);
	co_buf_text(&source, v->source);
	co_buf_text(&options, v->named ? "bind," : "rbind,");
	co_buf_text(&options, v->read_only ? "ro,rprivate" : "rw,rprivate");
	if (v->named)
		co_buf_text(&options, ",nosuid,nodev");
	if (v->named && !v->read_only && w->place->fills)
		co_buf_text(&options, ",copyup");
	if (v->idmap && has_users(w) && w->place->root)
		co_buf_text(&options, ",idmap");
	if (!source.failed && !options.failed)
		mount(w, v->inside, "bind", source.data, options.data);
}

static void write_image_volume(struct writing *w, size_t i)
{
	char name[CONTAINER_NAME];
	struct container_volume v = { .source = name,
				      .inside = w->defaults->volumes.at[i],
				      .named = true,
				      .idmap = true };

	container_image_volume_name(name, w->place->id, i);
	write_volume(w, &v);
}

static unsigned depth_of(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += *path == '/' && path[1] && path[1] != '/';
	return n;
}

/* What people and images ask for: folders before what is in them, otherwise an image's
 * first, then in the order given. */
static void write_tmpfs(struct writing *w, size_t i)
{
	const struct container_settings *c = w->config;
	char options[64] = "nosuid,nodev,mode=1777";

	if (c->tmpfs_bytes[i])
		(void) snprintf(options, sizeof(options),
				"nosuid,nodev,mode=1777,size=%" PRIu64,
				c->tmpfs_bytes[i]);
	mount(w, c->tmpfs.at[i], "tmpfs", "tmpfs", options);
}

static size_t write_depth(struct writing *w, unsigned depth)
{
	const struct container_settings *c = w->config;
	const struct container_texts *image = &w->defaults->volumes;
	size_t n = 0;

	for (size_t i = 0; i < image->count; i++)
		if (container_image_volume(w->defaults, c, i) &&
		    depth_of(image->at[i]) == depth && ++n)
			write_image_volume(w, i);
	for (size_t i = 0; i < c->tmpfs.count; i++)
		if (depth_of(c->tmpfs.at[i]) == depth && ++n)
			write_tmpfs(w, i);
	for (size_t i = 0; i < c->nvolumes; i++)
		if (depth_of(c->volumes[i].inside) == depth && ++n)
			write_volume(w, &c->volumes[i]);
	return n;
}

static void write_mounts(struct writing *w)
{
	const struct container_settings *c = w->config;
	size_t left = c->tmpfs.count + c->nvolumes;

	for (size_t i = 0; i < w->defaults->volumes.count; i++)
		left += container_image_volume(w->defaults, c, i);
	member(w, "mounts");
	co_buf_char(w->out, '[');
	write_system_mounts(w);
	write_file_mount(w, "/etc/hosts", "hosts");
	write_file_mount(w, "/etc/hostname", "hostname");
	write_file_mount(w, "/etc/resolv.conf", "resolv.conf");
	for (unsigned depth = 0; left && !w->out->failed; depth++)
		left -= write_depth(w, depth);
	co_buf_char(w->out, ']');
}

/* ---- linux ---- */

static void namespace_of(struct writing *w, const char *type, const char *path)
{
	comma(w);
	co_buf_char(w->out, '{');
	text_member(w, "type", type);
	if (path)
		text_member(w, "path", path);
	co_buf_char(w->out, '}');
}

static void write_namespaces(struct writing *w)
{
	const struct container_place *p = w->place;

	member(w, "namespaces");
	co_buf_char(w->out, '[');
	namespace_of(w, "pid", NULL);
	namespace_of(w, "ipc", NULL);
	namespace_of(w, "uts", NULL);
	namespace_of(w, "mount", NULL);
	namespace_of(w, "cgroup", NULL);
	if (strcmp(p->network_mode, "host") != 0)
		namespace_of(w, "network", p->network_path);
	if (has_users(w) || p->user_path)
		namespace_of(w, "user", p->user_path);
	co_buf_char(w->out, ']');
}

static void write_map(struct writing *w, const char *name,
		      const struct container_id_map map[2])
{
	member(w, name);
	co_buf_char(w->out, '[');
	for (int i = 0; i < 2 && map[i].count; i++) {
		comma(w);
		co_buf_format(w->out,
			      "{\"containerID\":%" PRIu32 ",\"hostID\":%" PRIu32
			      ",\"size\":%" PRIu32 "}",
			      map[i].inside, map[i].outside, map[i].count);
	}
	co_buf_char(w->out, ']');
}

void container_resources(const struct container_settings *c, struct co_buf *out)
{
	struct writing writing = { .out = out }, *w = &writing;

	co_buf_char(out, '{');
	if (c->memory_mib) {
		member(w, "memory");
		co_buf_format(out, "{\"limit\":%" PRIu64 ",\"swap\":%" PRIu64 "}",
			      c->memory_mib << 20, c->memory_mib << 20);
	}
	if (c->cpu_percent) {
		member(w, "cpu");
		co_buf_format(out, "{\"quota\":%" PRIu64 ",\"period\":100000}",
			      c->cpu_percent * 1000);
	}
	if (c->pids) {
		member(w, "pids");
		co_buf_format(out, "{\"limit\":%" PRIu64 "}", c->pids);
	}
	if (c->privileged) {
		member(w, "devices");
		co_buf_text(out, "[{\"allow\":true,\"access\":\"rwm\"}]");
	}
	co_buf_char(out, '}');
}

static void write_devices(struct writing *w)
{
	const struct container_device *d = w->place->devices;

	member(w, "devices");
	co_buf_char(w->out, '[');
	for (size_t i = 0; i < w->place->ndevices; i++) {
		comma(w);
		co_buf_char(w->out, '{');
		text_member(w, "path", d[i].path);
		co_buf_format(w->out,
			      ",\"type\":\"%c\",\"major\":%" PRIu32
			      ",\"minor\":%" PRIu32 ",\"fileMode\":%" PRIu32
			      ",\"uid\":%" PRIu32 ",\"gid\":%" PRIu32 "}",
			      d[i].type, d[i].major, d[i].minor, d[i].mode, d[i].uid,
			      d[i].gid);
	}
	co_buf_char(w->out, ']');
}

static void write_linux(struct writing *w)
{
	static const char *const masked[] = {
		"/proc/acpi",          "/proc/asound",
		"/proc/kcore",         "/proc/keys",
		"/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi",          "/proc/timer_list",
		"/proc/timer_stats",   "/sys/devices/virtual/powercap",
		"/sys/firmware",       NULL
	};
	static const char *const readonly[] = { "/proc/bus",           "/proc/fs",
						"/proc/irq",           "/proc/sys",
						"/proc/sysrq-trigger", NULL };
	static const char *const none[] = { NULL };
	const struct container_settings *c = w->config;

	member(w, "linux");
	co_buf_char(w->out, '{');
	write_namespaces(w);
	if (has_users(w)) {
		write_map(w, "uidMappings", w->place->uids);
		write_map(w, "gidMappings", w->place->gids);
	}
	text_member(w, "cgroupsPath", w->place->cgroup);
	member(w, "resources");
	container_resources(c, w->out);
	if (c->privileged)
		write_devices(w);
	list(w, "maskedPaths", c->privileged ? none : masked);
	list(w, "readonlyPaths", c->privileged ? none : readonly);
	if (w->place->seccomp.data) {
		member(w, "seccomp");
		co_buf_span(w->out, w->place->seccomp);
	} else if (c->privileged ||
		   (c->seccomp && strcmp(c->seccomp, "unconfined") == 0)) {
		member(w, "seccomp");
		co_buf_text(w->out, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
	}
	co_buf_char(w->out, '}');
}

/* ---- ours ---- */

static void flag(struct writing *w, const char *name, bool value)
{
	member(w, name);
	co_buf_text(w->out, value ? "true" : "false");
}

static void write_extension(struct writing *w)
{
	const struct container_place *p = w->place;
	autobuf struct co_buf path = { 0 };

	member(w, "cloudos");
	co_buf_char(w->out, '{');
	list(w, "layers", p->layers);
	co_buf_format(&path, "%s/upper", p->bundle);
	text_member(w, "upper", path.failed ? "" : path.data);
	co_buf_done(&path);
	co_buf_format(&path, "%s/work", p->bundle);
	text_member(w, "work", path.failed ? "" : path.data);
	flag(w, "scratch", w->config->rm);
	flag(w, "idmap", has_users(w) && p->root);
	flag(w, "init", w->config->init);
	flag(w, "calls", w->config->calls);
	text_member(w, "socket", p->socket);
	text_member(w, "name", p->name);
	member(w, "container");
	co_buf_format(w->out, "%" PRIu32, p->id);
	if (p->service) {
		text_member(w, "service", p->service->name);
		flag(w, "serviceLogs", !w->config->service_unlogged);
	}
	if (p->network.data) {
		member(w, "network");
		co_buf_span(w->out, p->network);
	}
	if (p->network_path) {
		member(w, "joined");
		co_buf_format(w->out, "{\"pid\":%" PRId64 ",\"start\":%" PRIu64 "}",
			      p->joined, p->joined_start);
	}
	flag(w, "allowUnenforcedLimits", w->config->allow_unenforced);
	co_buf_char(w->out, '}');
}

int container_spec(const struct container_settings *config,
		   const struct container_defaults *defaults,
		   const struct container_place *place, struct co_buf *out,
		   struct co_err *err)
{
	struct writing w = { config, defaults, place, out, err };
	int r;

	co_buf_char(out, '{');
	text_member(&w, "ociVersion", "1.0.2");
	r = write_process(&w);
	if (r)
		return r;
	member(&w, "root");
	co_buf_format(out, "{\"path\":\"rootfs\",\"readonly\":%s}",
		      config->read_only ? "true" : "false");
	text_member(&w, "hostname",
		    config->hostname ? config->hostname : place->hostname);
	write_mounts(&w);
	write_linux(&w);
	write_extension(&w);
	co_buf_char(out, '}');
	return out->failed ? co_fail(err, CO_NO_MEMORY, "no memory for a container")
			   : 0;
}
