/* SPDX-License-Identifier: MIT */
/* The files of a container's bundle, written and removed on a worker thread.  HOST. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cloudosd/containers_inside.h"
#include "cloudosd/ctr/remove.h"
#include "cloudosd/ctr/state.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { FILE_BYTES = 1 << 20, USERS_EACH = 65536, DEVICES = 256 };

/* ---- files ---- */

static int make_folder(const char *parent, const char *name, mode_t mode,
		       struct co_err *err)
{
	char path[RUNNER_PATH];

	(void) snprintf(path, sizeof(path), "%s%s%s", parent, *name ? "/" : "", name);
	if (mkdir(path, mode) == 0 && chmod(path, mode) == 0)
		return 0; /* whatever our umask is */
	if (errno == EEXIST)
		return 0;
	return co_fail_errno(err, errno, "cannot make the folder %s", path);
}

static int write_file(const char *folder, const char *name, const struct co_buf *text,
		      mode_t mode, struct co_err *err)
{
	char path[RUNNER_PATH], fresh[RUNNER_PATH + 8];
	autoclose int fd = -1;

	(void) snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void) snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (text->failed)
		return co_fail(err, CO_NO_MEMORY, "no memory for %s", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0 || fchmod(fd, mode) < 0 ||
	    write(fd, text->data ? text->data : "", text->size) !=
		    (ssize_t) text->size ||
	    rename(fresh, path) < 0)
		return co_fail_errno(err, errno, "cannot write %s", path);
	return 0;
}

static char *read_file(const char *path, struct co_err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = calloc(1, FILE_BYTES + 1);
	size_t size = 0;
	ssize_t n = 0;

	while (fd >= 0 && text && size < FILE_BYTES &&
	       (n = read(fd, text + size, FILE_BYTES - size)) > 0)
		size += (size_t) n;
	if (fd >= 0 && text && n == 0)
		return text;
	(void) co_fail_errno(err, errno ? errno : EFBIG, "cannot read %s", path);
	free(text);
	return NULL;
}

/* What is made into one. */
struct bundle {
	const struct runner_place *place;
	const struct container_make *make;
	struct container_settings *config;
	struct container_defaults defaults;
	char path[RUNNER_PATH], upper[RUNNER_PATH + 8], hostname[65], cgroup[64];
	const char *mode;
	char *profile;
	struct container_device devices[DEVICES];
	struct co_buf network;
	char net_path[48], user_path[48]; /* of the one whose network it is in */
};

/* ---- hosts, resolv.conf, hostname ---- */

static bool is_mode(const char *mode, const char *name)
{
	return strcmp(mode, name) == 0;
}

static int write_hosts(const struct bundle *b, const char *address, struct co_err *err)
{
	const struct container_service *service = b->make->service;
	const char *hostname = b->hostname;
	autobuf struct co_buf text = { 0 };

	co_buf_text(&text, "127.0.0.1\tlocalhost\n"
			   "::1\tlocalhost ip6-localhost ip6-loopback\n");
	co_buf_format(&text, "%s\t%s\n", *address ? address : "127.0.1.1", hostname);
	co_buf_text(&text, service ? service->hosts : "");
	return write_file(b->path, "hosts", &text, 0644, err);
}

/* A nameserver that only this machine itself can ask. */
static bool is_own_server(const char *line)
{
	static const char word[] = "nameserver";

	if (strncmp(line, word, strlen(word)) != 0)
		return false;
	line += strlen(word);
	line += strspn(line, " \t");
	return strncmp(line, "127.", 4) == 0 || strncmp(line, "::1", 3) == 0;
}

/* The lines of a file that a container can use; false: no nameserver is among them. */
static bool add_resolv(const char *path, const char *mode, struct co_buf *out)
{
	autofree char *host = read_file(path, NULL);
	char *rest = host, *line;
	bool server = false;

	while ((line = strsep(&rest, "\n"))) {
		const char *at = line + strspn(line, " \t");

		if (!*at || (!is_mode(mode, "host") && is_own_server(at)))
			continue;
		server |= strncmp(at, "nameserver", 10) == 0;
		co_buf_format(out, "%s\n", line);
	}
	return server;
}

/* Behind a resolver on the host's own loopback are those that it asks. */
static int write_resolv(const char *bundle, const char *mode, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };

	if (!is_mode(mode, "none") && !add_resolv("/etc/resolv.conf", mode, &text))
		(void) add_resolv("/run/systemd/resolve/resolv.conf", mode, &text);
	return write_file(bundle, "resolv.conf", &text, 0644, err);
}

static int write_hostname(const char *bundle, const char *hostname, struct co_err *err)
{
	autobuf struct co_buf text = { 0 };

	co_buf_format(&text, "%s\n", hostname);
	return write_file(bundle, "hostname", &text, 0644, err);
}

/* ---- ids ---- */

/* The block of /etc/subuid or /etc/subgid that is this user's; false: there is none. */
static bool sub_ids(const char *path, uint32_t *out_first, uint32_t *out_count)
{
	autofree char *text = read_file(path, NULL);
	char *rest = text, *line, number[16], names[1024];
	struct passwd entry, *me = NULL;

	(void) snprintf(number, sizeof(number), "%u", geteuid());
	(void) getpwuid_r(geteuid(), &entry, names, sizeof(names), &me);
	while ((line = strsep(&rest, "\n"))) {
		const char *who = strsep(&line, ":");
		const char *first = line ? strsep(&line, ":") : NULL;

		if (!line || !first ||
		    (strcmp(who, number) != 0 &&
		     (!me || strcmp(who, me->pw_name) != 0)))
			continue;
		*out_first = (uint32_t) strtoul(first, NULL, 10);
		*out_count = (uint32_t) strtoul(line, NULL, 10);
		return *out_first && *out_count;
	}
	return false;
}

static void map_rootless(struct container_id_map map[2], const char *path,
			 const char *helper, uint32_t own)
{
	uint32_t first, count;

	map[0] = (struct container_id_map){ 0, own, 1 };
	if (access(helper, X_OK) == 0 && sub_ids(path, &first, &count))
		map[1] = (struct container_id_map){
			1, first, count < USERS_EACH ? count : USERS_EACH - 1
		};
}

static void map_users(const struct runner_place *place, uint32_t block,
		      const struct container_settings *config,
		      struct container_place *out)
{
	if (place->root && (config->host_users || config->privileged))
		return;
	if (place->root) {
		out->uids[0] = out->gids[0] =
			(struct container_id_map){ 0, place->users + block * USERS_EACH,
						   USERS_EACH };
		return;
	}
	map_rootless(out->uids, "/etc/subuid", "/usr/bin/newuidmap", geteuid());
	map_rootless(out->gids, "/etc/subgid", "/usr/bin/newgidmap", getegid());
	if (!out->uids[1].count || !out->gids[1].count)
		out->uids[1].count = out->gids[1].count = 0;
}

/* ---- removing ---- */

static void write_map(struct co_buf *out, const struct container_id_map map[2])
{
	for (int i = 0; i < 2; i++)
		co_buf_format(out, "%s%" PRIu32 ":%" PRIu32 ":%" PRIu32, i ? "," : "",
			      map[i].inside, map[i].outside, map[i].count);
}

/* What belongs to further users of containers only they can remove, and their root. */
static int remove_as_root(const struct runner_place *place, const char *path)
{
	struct container_place users = { .root = false };
	autobuf struct co_buf uids = { 0 }, gids = { 0 };

	map_rootless(users.uids, "/etc/subuid", "/usr/bin/newuidmap", geteuid());
	map_rootless(users.gids, "/etc/subgid", "/usr/bin/newgidmap", getegid());
	if (!users.uids[1].count || !users.gids[1].count)
		return -1;
	write_map(&uids, users.uids);
	write_map(&gids, users.gids);
	if (uids.failed || gids.failed)
		return -1;
	return work_run((const char *const[]){ place->program, "clear", "--uid-map",
					       uids.data, "--gid-map", gids.data, path,
					       NULL },
			-1, "/dev/null");
}

int bundle_remove(const struct runner_place *place, const char *path,
		  struct co_err *err)
{
	int r = ctr_remove_tree(path, err);

	if (r != CO_ACCESS || place->root || remove_as_root(place, path) != 0)
		return r;
	*err = (struct co_err){ 0 };
	return 0;
}

/* ---- what the configuration names on the host ---- */

int bundle_volume(const struct runner_place *place, const char *name,
		  struct co_err *err)
{
	int r = make_folder(place->volumes, "", 0711, err);

	return r ? r : make_folder(place->volumes, name, 0755, err);
}

static int look_at_volumes(const struct bundle *b, struct co_err *err)
{
	const struct runner_place *place = b->place;
	const struct container_settings *config = b->config;
	char name[CONTAINER_NAME];
	struct stat st;

	for (size_t i = 0; i < b->defaults.volumes.count; i++) {
		container_image_volume_name(name, b->make->id, i);
		if (container_image_volume(&b->defaults, config, i) &&
		    bundle_volume(place, name, err))
			return err->code;
	}

	for (size_t i = 0; i < config->nvolumes; i++) {
		const struct container_volume *v = &config->volumes[i];

		if (v->named && bundle_volume(place, v->source, err))
			return err->code;
		if (!v->named && stat(v->source, &st) < 0)
			return co_fail_errno(err, errno, "cannot use the volume %s",
					     v->source);
	}
	return 0;
}

static int read_profile(const struct container_settings *config, char **out_text,
			struct co_span *out, struct co_err *err)
{
	struct co_json_fault fault;

	if (!config->seccomp || *config->seccomp != '/')
		return 0;
	*out_text = read_file(config->seccomp, err);
	if (!*out_text)
		return err->code;
	if (co_json_check(co_span(*out_text), out, &fault) < 0 ||
	    co_json_kind(*out) != CO_JSON_OBJECT)
		return co_fail(err, CO_INVALID,
			       "%s is no seccomp profile: it is not JSON",
			       config->seccomp);
	return 0;
}

/* The devices of the host, for a privileged one.  Not those of folders. */
static size_t read_devices(struct container_device *out)
{
	DIR *dir = opendir("/dev");
	struct dirent *entry;
	struct stat st;
	size_t n = 0;

	while (dir && n < DEVICES && (entry = readdir(dir))) {
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) ||
		    strlen(entry->d_name) > 50 || !strcmp(entry->d_name, "console") ||
		    !strcmp(entry->d_name, "ptmx"))
			continue;
		(void) snprintf(out[n].path, sizeof(out[n].path), "/dev/%s",
				entry->d_name); /* fits */
		out[n].type = S_ISCHR(st.st_mode) ? 'c' : 'b';
		out[n].major = major(st.st_rdev);
		out[n].minor = minor(st.st_rdev);
		out[n].mode = st.st_mode & 0777;
		out[n].uid = st.st_uid;
		out[n++].gid = st.st_gid;
	}
	if (dir)
		(void) closedir(dir); /* read only */
	return n;
}

/* ---- network ---- */

void bundle_network(const struct runner_place *place, uint32_t users,
		    const struct container_settings *config, const char *mode,
		    struct bundle_network *out)
{
	struct co_buf *json = &out->json, *facts = &out->facts;
	char *address = out->address;
	struct in_addr own = { htonl(place->subnet + 2 + users) },
		       gateway = { htonl(place->subnet + 1) };
	char door[16] = "";

	*address = '\0';
	if (is_mode(mode, "bridge")) {
		(void) inet_ntop(AF_INET, &own, address, 16);
		(void) inet_ntop(AF_INET, &gateway, door, 16);
	}
	co_buf_format(json, "{\"mode\":\"%s\"", mode);
	if (*address)
		co_buf_format(
			json,
			",\"bridge\":\"%s\",\"gateway\":\"%s\",\"prefix\":%" PRIu32
			",\"address\":\"%s\"",
			place->bridge, door, place->prefix, address);
	co_buf_text(json, ",\"ports\":[");
	for (size_t i = 0; i < config->nports; i++) {
		const struct container_port *p = &config->ports[i];

		co_buf_format(json,
			      "%s{\"protocol\":\"%s\",\"address\":\"%s\",\"host\":%u,"
			      "\"inside\":%u}",
			      i ? "," : "", p->udp ? "udp" : "tcp", p->ip, p->host,
			      p->inside);
	}
	co_buf_text(json, "]}");
	co_buf_format(facts,
		      "\"network\":{\"mode\":\"%s\",\"ip\":\"%s\",\"gateway\":\"%s\","
		      "\"ports\":[",
		      mode, address, door);
	for (size_t i = 0; i < config->nports; i++) {
		const struct container_port *p = &config->ports[i];

		co_buf_format(facts, "%s\"%s:%u:%u%s\"", i ? "," : "", p->ip, p->host,
			      p->inside, p->udp ? "/udp" : "");
	}
	co_buf_text(facts, "]}");
}

void bundle_network_done(struct bundle_network *n)
{
	co_buf_done(&n->json);
	co_buf_done(&n->facts);
}

/* ---- all of it ---- */

static int write_files(struct bundle *b, const char *address, struct co_err *err)
{
	int r = make_folder(b->path, "", 0700, err);

	if (!r)
		r = make_folder(b->path, "upper", 0755, err);
	if (!r)
		r = make_folder(b->path, "work", 0700, err);
	if (!r)
		r = make_folder(b->path, "rootfs", 0755, err);
	if (!r)
		r = write_hosts(b, address, err);
	if (!r)
		r = write_resolv(b->path, b->mode, err);
	if (!r)
		r = write_hostname(b->path, b->hostname, err);
	return r;
}

static bool is_builtin(const struct bundle *b)
{
	const char *runtime =
		b->config->runtime ? b->config->runtime : b->place->runtime;

	return !*runtime || strcmp(runtime, "builtin") == 0;
}

/* The network name space of another container's first process: whichever has its number, when
 * the monitor opens it, must have begun when that one did. */
static int join(struct bundle *b, struct container_place *where, struct co_err *err)
{
	struct ctr_state other;
	char id[16];
	int r;

	(void) snprintf(id, sizeof(id), "%" PRIu32, b->make->network_of);
	r = ctr_state_read(b->place->run, id, &other, err);
	if (r)
		return r;
	where->joined = other.pid;
	where->joined_start = other.pid_start;
	ctr_state_done(&other);
	(void) snprintf(b->net_path, sizeof(b->net_path), "/proc/%" PRId64 "/ns/net",
			where->joined);
	where->network_path = b->net_path;
	if (b->place->root)
		return 0;
	/* it belongs to that one's user name space */
	(void) snprintf(b->user_path, sizeof(b->user_path), "/proc/%" PRId64 "/ns/user",
			where->joined);
	where->user_path = b->user_path;
	where->uids[0].count = where->gids[0].count = 0;
	return 0;
}

static int write_spec(struct bundle *b, const char *const *layers, struct co_err *err)
{
	struct container_place where = { .bundle = b->path,
					 .layers = layers,
					 .volumes = b->place->volumes,
					 .id = b->make->id,
					 .fills = is_builtin(b),
					 .hostname = b->hostname,
					 .name = b->make->name,
					 .service = b->make->service,
					 .socket = b->place->socket,
					 .cgroup = b->cgroup,
					 .network_mode = b->mode,
					 .devices = b->devices,
					 .capabilities = b->place->capabilities,
					 .root = b->place->root };
	const char *user = b->config->user ? b->config->user : b->defaults.user;
	autobuf struct co_buf text = { 0 };
	int r = bundle_user(user, b->upper, layers, &where.user, err);

	if (!r)
		r = read_profile(b->config, &b->profile, &where.seccomp, err);
	if (r)
		return r;
	map_users(b->place, b->make->users, b->config, &where);
	if (!is_mode(b->mode, "none") || b->config->nports)
		where.network = (struct co_span){ b->network.data, b->network.size };
	if (b->make->network_of) {
		r = join(b, &where, err);
		if (r)
			return r;
	}
	if (b->config->privileged)
		where.ndevices = read_devices(b->devices);
	r = container_spec(b->config, &b->defaults, &where, &text, err);
	return r ? r : write_file(b->path, "config.json", &text, 0600, err);
}

/* The image's layers, or the folder that is one, and below them the base.  Freed by the
 * caller, not what is in it. */
static const char **list_layers(const struct bundle *b)
{
	const char *rootfs[] = { b->config->rootfs, NULL };
	const char *const *from = b->config->rootfs ? rootfs : b->make->image.layers;
	const char **all;
	size_t n = 0;

	while (from && from[n])
		n++;
	all = calloc(n + 2, sizeof(*all));
	for (size_t i = 0; all && i < n; i++)
		all[i] = from[i];
	if (all)
		all[n] = b->place->base;
	return all;
}

static int write_all(struct bundle *b, struct co_buf *facts, struct co_err *err)
{
	autofree const char **layers = NULL;
	struct bundle_network network = { 0 };
	int r;

	if (b->config->privileged && !b->place->root)
		return co_fail(err, CO_ACCESS,
			       "only a daemon of root can make privileged containers");
	if (b->config->host_users && !b->place->root)
		return co_fail(err, CO_ACCESS,
			       "only a daemon of root can make containers without a "
			       "user name space of their own");
	if (b->mode && is_mode(b->mode, "bridge") && !b->place->root)
		return co_fail(err, CO_ACCESS,
			       "only a daemon of root can put containers on a bridge; "
			       "networks of users are private ones");
	bundle_network(b->place, b->make->users, b->config, b->mode, &network);
	co_buf_span(&b->network,
		    (struct co_span){ network.json.data, network.json.size });
	co_buf_span(facts, (struct co_span){ network.facts.data, network.facts.size });
	bundle_network_done(&network);
	r = look_at_volumes(b, err);
	if (!r)
		r = write_files(b, network.address, err);
	if (!r)
		r = bundle_base(b->place, err);
	if (r)
		return r;
	layers = list_layers(b);
	return layers ? write_spec(b, layers, err)
		      : co_fail(err, CO_NO_MEMORY, "no memory for a container");
}

int bundle_write(const struct runner_place *place, const struct container_make *make,
		 struct container_settings **out_config, struct co_buf *facts,
		 struct co_err *err)
{
	struct bundle *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return co_fail(err, CO_NO_MEMORY, "no memory for a container");
	b->place = place;
	b->make = make;
	(void) snprintf(b->path, sizeof(b->path), "%s/%" PRIu32, place->state,
			make->id);
	(void) snprintf(b->upper, sizeof(b->upper), "%s/upper", b->path);
	(void) snprintf(b->hostname, sizeof(b->hostname), "%s", make->name); /* cut */
	(void) snprintf(b->cgroup, sizeof(b->cgroup), "cloudos-%08" PRIx32 "/%" PRIu32,
			(uint32_t) place->domain, make->id); /* fits */
	r = container_config_parse(make->config, &b->config, err);
	if (!r && container_defaults_read(make->image.config, &b->defaults))
		r = co_fail(err, CO_NO_MEMORY, "no memory for a container");
	if (!r) {
		b->mode = b->config->network ? b->config->network
			  : *place->network  ? place->network
					     : network_default();
		if (strncmp(b->mode, "container:", 10) == 0)
			b->mode = "container";
		if (b->config->hostname)
			(void) snprintf(b->hostname, sizeof(b->hostname), "%s",
					b->config->hostname); /* fits */
		r = write_all(b, facts, err);
	}
	*out_config = b->config;
	container_defaults_done(&b->defaults);
	co_buf_done(&b->network);
	free(b->profile);
	free(b);
	return r;
}
