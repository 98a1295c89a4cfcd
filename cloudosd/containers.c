/* SPDX-License-Identifier: MIT */
/* Starts containers of the daemon; their events, their log, the daemon they keep alive.
 * HOST. */
#include "cloudosd/containers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/containers_inside.h"
#include "cloudosd/service/events.h"
#include "cloudosd/service/image.h"
#include "cloudosd/service/names.h"
#include "cloudosd/service/volume.h"
#include "lib/cleanup.h"
#include "lib/log.h"

static void emit(void *arg, const char *name, struct co_span data)
{
	const struct daemon *d = arg;

	/* what cannot be kept is counted by the bus */
	(void) events_emit(d->services.events,
			   &(struct event){ .service = "cloudosd",
					    .name = co_span(name),
					    .data = data },
			   NULL, NULL);
}

static void note(void *arg, const char *sentence)
{
	(void) arg;
	co_log(service, WARN, "%s", sentence);
}

static void changed(void *arg)
{
	daemon_idle_check(arg);
}

/* ---- images ---- */

static int find_image(void *arg, const char *name, struct container_image *out,
		      struct co_err *err)
{
	const struct daemon *d = arg;
	const struct image *image;
	int r = images_find(d->services.images, co_span(name), &image, err);

	if (r)
		return r;
	*out = (struct container_image){ .id = image->id,
					 .layers = image->layers,
					 .config = image->raw_config };
	return 0;
}

static void use_image(void *arg, const char *id, bool used)
{
	const struct daemon *d = arg;

	if (!used)
		images_unuse(d->services.images, id);
	else if (images_use(d->services.images, id))
		co_log(service, WARN, "no memory to count who uses the image %s", id);
}

/* ---- services ---- */

static void add_host(struct co_buf *out, const char *front, const char *url)
{
	struct co_span host = names_host(url);

	if (host.size)
		co_buf_format(out, "%s\t%.*s\n", front, (int) host.size, host.data);
}

/* Every service by the names that it has in production. */
static char *host_lines(const struct names *names)
{
	autobuf struct co_buf out = { 0 };
	char front[INET_ADDRSTRLEN];

	co_buf_text(&out, "");
	for (size_t i = 0; i < names_count(names); i++) {
		const struct name *name = names_at(names, i);
		struct in_addr address = names_front(names, name);

		if (!address.s_addr)
			continue;
		(void) inet_ntop(AF_INET, &address, front, sizeof(front));
		add_host(&out, front, name->internal);
		add_host(&out, front, name->cloudflare);
		add_host(&out, front, name->railway);
		add_host(&out, front, name->railway_development);
	}
	return out.size ? co_buf_take(&out, &(size_t){ 0 }) : strdup("");
}

static int find_service(void *arg, const char *text, struct container_service *out,
			struct co_err *err)
{
	const struct daemon *d = arg;
	const struct name *name = names_find(d->names, co_span(text));

	if (!name)
		return co_fail(err, CO_NOT_FOUND,
			       "there is no service %.64s; cloudosctl service names "
			       "lists them",
			       text);
	(void) snprintf(out->name, sizeof(out->name), "%s", name->name);
	(void) snprintf(out->role, sizeof(out->role), "%s", name->role);
	out->port = name->port;
	out->hosts = host_lines(d->names);
	return out->hosts ? 0 : co_fail(err, CO_NO_MEMORY, "no memory for a service");
}

/* ---- volumes ---- */

static void volume_users(void *arg, const char *name, uint32_t owner,
			 struct co_buf *out)
{
	const struct daemon *d = arg;

	containers_volume_users(d->services.containers, name, owner, out);
}

/* Containers come after their volumes. */
struct loading {
	struct daemon *daemon;
	void (*loaded)(void *arg, int status, const char *reason);
};

static void volumes_loaded(void *arg, int status, const char *reason)
{
	struct loading *l = arg;
	struct daemon *d = l->daemon;
	void (*done)(void *arg, int status, const char *reason) = l->loaded;

	free(l);
	if (status)
		done(d, status, reason);
	else if (containers_load(d->services.containers, done, d) < 0)
		done(d, CO_IO, "the store takes no requests");
}

static int load(struct daemon *d,
		void (*loaded)(void *arg, int status, const char *reason),
		struct co_err *err)
{
	struct loading *l = calloc(1, sizeof(*l));

	if (!l)
		return co_fail(err, CO_NO_MEMORY, "no memory for containers");
	l->daemon = d;
	l->loaded = loaded;
	if (volumes_load(d->services.volumes, volumes_loaded, l) == 0)
		return 0;
	free(l);
	return co_fail(err, CO_IO, "cannot load the volumes");
}

/* ---- where they are ---- */

static int make_folders(const struct runner_place *place, const struct daemon *d,
			struct co_err *err)
{
	const char *const paths[] = { d->paths.state, place->state, place->gone,
				      d->paths.run, place->run };

	for (size_t i = 0; i < co_countof(paths); i++)
		if (mkdir(paths[i], 0700) < 0 && errno != EEXIST)
			return co_fail_errno(err, errno, "cannot make the folder %s",
					     paths[i]);
	return 0;
}

static void read_line(const char *path, const char *begin, char *out, size_t size)
{
	autofclose FILE *f = fopen(path, "re");
	char line[256];
	size_t n = strlen(begin);

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, begin, n) == 0) {
			line[strcspn(line, "\n")] = '\0';
			(void) snprintf(out, size, "%s",
					line + n + strspn(line + n, " \t"));
			return;
		}
}

/* "10.201.0.0/16" in host order; false: it is not one. */
static bool read_subnet(const char *text, struct runner_place *place)
{
	char address[INET_ADDRSTRLEN] = "", *end;
	const char *slash = strchr(text, '/');
	struct in_addr in;
	unsigned long prefix;

	if (!slash || (size_t) (slash - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t) (slash - text));
	prefix = strtoul(slash + 1, &end, 10);
	if (inet_pton(AF_INET, address, &in) != 1 || *end || prefix < 8 || prefix > 20)
		return false;
	place->prefix = (uint32_t) prefix;
	place->subnet = ntohl(in.s_addr) & ~(UINT32_MAX >> prefix);
	return true;
}

/* One bridge for each domain: the system's has the name and the addresses that people know,
 * the others' follow from their number. */
static void choose_network(struct runner_place *place, const struct daemon *d)
{
	uint32_t number = (uint32_t) d->services.domain;

	(void) snprintf(place->network, sizeof(place->network), "%s",
			*d->config.containers_network ? d->config.containers_network
						      : "");
	if (d->paths.system_)
		(void) snprintf(place->bridge, sizeof(place->bridge), "cloudos0");
	else
		(void) snprintf(place->bridge, sizeof(place->bridge), "cos%08x",
				number);
	if (*d->config.containers_subnet &&
	    !read_subnet(d->config.containers_subnet, place))
		co_log(config, WARN,
		       "containers.subnet is %s, not an IPv4 network such as 10.201.0.0/16 "
		       "with at least 4096 addresses; it is chosen",
		       d->config.containers_subnet);
	if (place->prefix)
		return;
	if (!d->paths.system_) {
		subnet_choose(place, number);
		return;
	}
	place->prefix = 20;
	place->subnet = (10U << 24) | (201U << 16);
}

static void read_place(struct runner_place *place, const struct daemon *d)
{
	const struct config *c = &d->config;
	char bits[32] = "0";

	(void) snprintf(place->state, sizeof(place->state), "%s/containers",
			d->paths.state);
	(void) snprintf(place->run, sizeof(place->run), "%s/containers", d->paths.run);
	(void) snprintf(place->gone, sizeof(place->gone), "%s/removed", d->paths.state);
	(void) snprintf(place->base, sizeof(place->base), "%s/base", d->paths.state);
	(void) snprintf(place->volumes, sizeof(place->volumes), "%s/volumes",
			d->paths.state);
	(void) snprintf(place->socket, sizeof(place->socket), "%s", d->paths.socket);
	(void) snprintf(place->runtime, sizeof(place->runtime), "%s",
			strcmp(c->containers_runtime, "builtin") == 0
				? ""
				: c->containers_runtime);
	place->domain = d->services.domain;
	place->root = geteuid() == 0;
	place->users = c->containers_users;
	place->log_bytes = (uint64_t) c->containers_log_size << 20;
	place->log_files = c->containers_log_files;
	choose_network(place, d);
	read_line("/proc/self/status", "CapPrm:", bits, sizeof(bits));
	place->capabilities = strtoull(bits, NULL, 16);
}

/* ---- starting ---- */

int containers_start(struct daemon *d,
		     void (*loaded)(void *arg, int status, const char *reason),
		     struct co_err *err)
{
	struct containers_options options = { .image = find_image,
					      .service = find_service,
					      .use = use_image,
					      .emit = emit,
					      .log = note,
					      .changed = changed,
					      .arg = d };
	struct volumes_options volumes = {
		.users = volume_users, .emit = emit, .log = note, .arg = d
	};
	autofree struct runner_place *place = calloc(1, sizeof(*place));
	struct co_err why = { 0 };
	struct runner *runner;
	int r;

	if (!place)
		return co_fail(err, CO_NO_MEMORY, "no memory for containers");
	if (co_program_path("cloudos-ctr", place->program, sizeof(place->program),
			    &why)) {
		co_log(daemon, INFO, "there are no containers here: %s", why.message);
		return CONTAINERS_ABSENT;
	}
	read_place(place, d);
	read_line("/proc/sys/kernel/random/boot_id", "", options.boot,
		  sizeof(options.boot));
	r = make_folders(place, d, err);
	if (!r)
		r = runner_new(&runner, d, place, err);
	if (r)
		return r;
	options.runtime = volumes.runtime = &runner->table;
	volumes.folder = runner->place.volumes;
	d->services.volumes = options.volumes =
		volumes_new(d->host, d->store, &volumes);
	d->services.containers = containers_new(d->host, d->store, &options);
	if (!d->services.containers || !d->services.volumes)
		return co_fail(err, CO_NO_MEMORY, "no memory for containers");
	return load(d, loaded, err);
}
