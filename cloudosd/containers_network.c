/* SPDX-License-Identifier: MIT */
/*
 * What the daemon does for the network of containers: the default mode, ports on the
 * loopback, ports of those that have nothing but a loopback, and names.  HOST.
 *
 * Containers on the bridge find each other by name in /etc/hosts, which is a file of their
 * bundle.  When one comes or goes, the lines behind a mark are rewritten in place (the file
 * is mounted: a new one would not be seen); what stands before the mark is theirs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>

#include "cloudosd/containers_inside.h"
#include "cloudosd/ctr/network.h"
#include "cloudosd/ctr/network_inside.h"
#include "cloudosd/ctr/state.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/log.h"

enum { HOSTS_MAX = 262144 };

static const char mark[] = "# other containers of this domain\n";

/* ---- the mode of who does not ask for one ---- */

static char chosen[16];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void choose(void)
{
	struct ctr_network_probe n;
	bool root = geteuid() == 0;

	ctr_network_look(&n);
	(void) snprintf(chosen, sizeof(chosen), "%s",
			root && n.bridge      ? "bridge"
			: !root && n.private_ ? "private"
					      : "none");
	if (strcmp(chosen, "none") == 0)
		co_log(daemon, INFO,
		       "containers have no network by default but their published "
		       "ports: %s",
		       root ? n.bridge_why : n.private_why);
}

const char *network_default(void)
{
	(void) pthread_once(&once, choose); /* cannot fail */
	return chosen;
}

/* ---- one container's ---- */

void network_done(struct relays *all, struct runner_network *n)
{
	for (size_t i = 0; i < n->count; i++)
		relay_close(all, n->relays[i]);
	if (n->inside)
		netns_close(&n->netns);
	free(n->relays);
	free(n->specs);
	free(n->json);
	*n = (struct runner_network){ 0 };
}

static bool same_address(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static struct relay *find_relay(const struct runner_network *n,
				const struct relay_spec *spec)
{
	for (size_t i = 0; n && i < n->count; i++)
		if (n->specs[i].udp == spec->udp &&
		    n->specs[i].inside == spec->inside &&
		    same_address(&n->specs[i].from, &spec->from) &&
		    same_address(&n->specs[i].to, &spec->to))
			return n->relays[i];
	return NULL;
}

/* Closes those of n that `kept` does not have. */
static void close_relays(struct relays *all, struct runner_network *n,
			 const struct runner_network *kept)
{
	for (size_t i = 0; i < n->count; i++)
		if (!find_relay(kept, &n->specs[i]))
			relay_close(all, n->relays[i]);
	n->count = 0;
}

/* All its ports are relayed, to where network_runs says. */
static void go_inside(struct runner_network *n, bool inside)
{
	n->inside = inside;
	n->netns = (struct netns) NETNS_NONE;
}

/* Those that `old` has are taken from it. */
static int open_relays(struct relays *all, const struct network_plan *p,
		       const struct runner_network *old, struct runner_network *out,
		       struct co_err *err)
{
	const struct in_addr loopback = { htonl(INADDR_LOOPBACK) };
	const bool inside = old ? old->inside : out->inside;

	out->relays = calloc(p->port_count + 1, sizeof(*out->relays));
	out->specs = calloc(p->port_count + 1, sizeof(*out->specs));
	if (!out->relays || !out->specs)
		return co_fail(err, CO_NO_MEMORY, "no memory for published ports");
	for (size_t i = 0; i < p->port_count; i++) {
		const struct network_port *port = &p->ports[i];
		struct relay_spec *spec = &out->specs[out->count];
		int rc = 0;

		if (!inside && !network_is_loopback(port->address))
			continue; /* an element of nf_tables */
		*spec = (struct relay_spec){
			.inside = inside,
			.udp = port->protocol == IPPROTO_UDP,
			.from = { .sin_family = AF_INET,
				  .sin_port = htons(port->host),
				  .sin_addr = port->address },
			.to = { .sin_family = AF_INET,
				.sin_port = htons(port->inside),
				.sin_addr = inside ? loopback : p->address },
		};
		out->relays[out->count] = find_relay(old, spec);
		if (!out->relays[out->count])
			rc = relay_open(all, spec, &out->relays[out->count], err);
		if (rc < 0)
			return rc;
		out->count++;
	}
	return 0;
}

static void read_text(struct co_span object, const char *name, char *out, size_t n)
{
	autobuf struct co_buf b = { 0 };
	struct co_span value;

	out[0] = 0;
	if (co_json_member(object, name, &value) && co_json_unescape(value, &b) == 0 &&
	    b.size < n && b.size)
		memcpy(out, b.data, b.size + 1);
}

static int read_file(const char *path, size_t max, struct co_buf *out,
		     struct co_err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t) max)
		return co_fail(err, CO_TOO_BIG, "%s is not a file of at most %zu bytes",
			       path, max);
	while (out->size <= max) {
		char *at = co_buf_room(out, 16384);
		ssize_t n = at ? read(fd, at, 16384) : -1;

		if (n < 0)
			return co_fail_errno(err, at ? errno : ENOMEM, "cannot read %s",
					     path);
		if (n == 0)
			return 0;
		co_buf_wrote(out, (size_t) n);
	}
	return co_fail(err, CO_TOO_BIG, "%s grows while it is read", path);
}

/* Only what can be a name in a file of lines. */
static void keep_name(char *name)
{
	size_t n = strlen(name);

	if (strspn(name,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
	    n)
		name[0] = 0;
}

int network_open(struct runner *r, uint32_t id, struct runner_network *out,
		 struct co_err *err)
{
	char path[RUNNER_PATH];
	autobuf struct co_buf text = { 0 };
	struct co_span json, ours, value;
	struct network_plan plan;
	int rc;

	*out = (struct runner_network){ 0 };
	(void) snprintf(path, sizeof(path), "%s/%" PRIu32 "/config.json",
			r->place.state, id);
	rc = read_file(path, CO_LIMIT_CTR_CONFIG, &text, err);
	if (rc < 0)
		return rc;
	if (co_json_check((struct co_span){ text.data, text.size }, &json,
			  &(struct co_json_fault){ 0 }) < 0 ||
	    !co_json_member(json, "cloudos", &ours) ||
	    !co_json_member(ours, "network", &value))
		return 0; /* none, or another runtime's */
	(void) snprintf(path, sizeof(path), "%" PRIu32, id);
	rc = network_plan_read(path, value, &plan, err);
	if (rc < 0)
		return rc;
	out->json = strndup(value.data, value.size);
	out->bridge = plan.mode == NETWORK_BRIDGE;
	if (out->bridge) {
		(void) inet_ntop(AF_INET, &plan.address, out->address,
				 sizeof(out->address));
		read_text(json, "hostname", out->hostname, sizeof(out->hostname));
		read_text(ours, "name", out->name, sizeof(out->name));
		keep_name(out->hostname);
		keep_name(out->name);
	}
	go_inside(out, plan.mode == NETWORK_NONE);
	if (rc == 0 && (out->bridge || out->inside))
		rc = open_relays(r->relays, &plan, NULL, out, err);
	network_plan_done(&plan);
	if (rc < 0)
		network_done(r->relays, out);
	return rc;
}

/* ---- changed while it runs ---- */

struct network_change {
	struct runner_network next;
	char *facts;
};

static const char *mode_of(const char *json, char out[16])
{
	read_text(co_span(json), "mode", out, 16);
	return out;
}

int network_change(struct monitor *m, const struct container_settings *config,
		   struct co_buf *members, struct co_err *err)
{
	struct runner *r = m->runner;
	struct runner_network *now = &m->network;
	struct bundle_network wanted = { 0 };
	struct in_addr address = { 0 };
	struct network_plan plan = { 0 };
	struct network_change *change;
	char mode[16], id[16];
	int rc;

	if (!now->json && !config->nports)
		return 0;
	if (!now->json) /* without a network, and until now without ports */
		go_inside(now, true);
	(void) inet_pton(AF_INET, now->address, &address);
	bundle_network(&r->place, ntohl(address.s_addr) - r->place.subnet - 2, config,
		       now->json ? mode_of(now->json, mode) : "none", &wanted);
	if (wanted.json.failed || wanted.facts.failed || m->change ||
	    (now->json && strcmp(now->json, wanted.json.data) == 0)) {
		bundle_network_done(&wanted);
		return 0;
	}
	(void) snprintf(id, sizeof(id), "%" PRIu32, m->id); /* fits */
	rc = now->bridge || now->inside
		     ? network_plan_read(id, co_span(wanted.json.data), &plan, err)
		     : co_fail(err, CO_BUSY,
			       "ports can be changed while it runs only on a bridge, or "
			       "without a network; this network is %s: stop it first",
			       mode);
	change = rc == 0 ? calloc(1, sizeof(*change)) : NULL;
	if (rc == 0 && !change)
		rc = co_fail(err, CO_NO_MEMORY, "no memory for published ports");
	if (rc == 0)
		rc = open_relays(r->relays, &plan, now, &change->next, err);
	if (rc == 0) {
		if (now->bridge) {
			co_buf_text(members, ",\"network\":");
			co_buf_text(members, wanted.json.data);
		}
		change->next.json = co_buf_take(&wanted.json, &(size_t){ 0 });
		change->facts = co_buf_take(&wanted.facts, &(size_t){ 0 });
		m->change = change;
	} else if (change) {
		close_relays(r->relays, &change->next, now);
		network_done(r->relays, &change->next);
		free(change);
	}
	network_plan_done(&plan);
	bundle_network_done(&wanted);
	return rc;
}

/* ---- ports that lead inside ---- */

struct entering {
	struct runner *runner;
	uint32_t id;
	struct netns netns;
	struct co_err err;
};

/* Of the process that the container began with: whichever has its number must have begun
 * when that one did, after its name spaces were opened. */
static void run_entering(void *arg)
{
	struct entering *e = arg;
	struct ctr_state state;
	char id[16];
	int rc;

	(void) snprintf(id, sizeof(id), "%" PRIu32, e->id); /* fits */
	rc = ctr_state_read(e->runner->place.run, id, &state, &e->err);
	if (rc < 0)
		return;
	rc = netns_of((pid_t) state.pid, &e->netns, &e->err);
	if (rc == 0 &&
	    (e->netns.net < 0 || ctr_pid_start((pid_t) state.pid) != state.pid_start)) {
		netns_close(&e->netns);
		(void) co_fail(&e->err, CO_GONE, "it has no network of its own");
	}
	ctr_state_done(&state);
}

static void enter_all(struct monitor *m)
{
	struct runner_network *n = &m->network;

	for (size_t i = 0; n->inside && i < n->count; i++)
		relay_enter(m->runner->relays, n->relays[i],
			    n->netns.net >= 0 ? &n->netns : NULL);
}

static void end_entering(void *arg)
{
	struct entering *e = arg;
	struct monitor *m = NULL;

	HASH_FIND(hh, e->runner->monitors, &e->id, sizeof(e->id), m);
	if (e->err.code)
		co_log(daemon, WARN,
		       "the published ports of container %" PRIu32 " lead nowhere: %s",
		       e->id, e->err.message);
	if (m && m->network.inside && m->network.netns.net < 0)
		m->network.netns = e->netns;
	else
		netns_close(&e->netns); /* it has ended meanwhile */
	if (m)
		enter_all(m);
	free(e);
}

void network_runs(struct monitor *m)
{
	struct runner *r = m->runner;
	struct entering *e;

	if (!m->network.inside || !m->network.count)
		return;
	if (m->network.netns.net >= 0) {
		enter_all(m);
		return;
	}
	e = m->entering ? NULL : calloc(1, sizeof(*e));
	if (!e)
		return; /* end_entering has all of them */
	*e = (struct entering){ .runner = r, .id = m->id, .netns = NETNS_NONE };
	m->entering =
		r->host->offload(r->host->ctx, run_entering, end_entering, e) == 0;
	if (!m->entering)
		free(e); /* who comes waits; the next change tries again */
}

/* So that the next daemon, and who cleans up after a killed monitor, know the new ports. */
struct rewrite {
	char path[RUNNER_PATH];
	char *json;
};

static void run_rewrite(void *arg)
{
	struct rewrite *w = arg;
	char fresh[RUNNER_PATH + 8];
	autobuf struct co_buf text = { 0 }, changed = { 0 };
	struct co_span json, ours, value;
	struct co_err err = { 0 };
	autoclose int fd = -1;

	if (read_file(w->path, CO_LIMIT_CTR_CONFIG, &text, &err) < 0 ||
	    co_json_check((struct co_span){ text.data, text.size }, &json,
			  &(struct co_json_fault){ 0 }) < 0 ||
	    !co_json_member(json, "cloudos", &ours) || ours.size < 3)
		return; /* it is being removed */
	if (!co_json_member(ours, "network", &value))
		value = (struct co_span){ ours.data + 1, 0 };
	co_buf_add(&changed, text.data, (size_t) (value.data - text.data));
	if (!value.size)
		co_buf_text(&changed, "\"network\":");
	co_buf_text(&changed, w->json);
	if (!value.size)
		co_buf_char(&changed, ',');
	co_buf_text(&changed, value.data + value.size);
	(void) snprintf(fresh, sizeof(fresh), "%s.ports", w->path); /* fits */
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || changed.failed ||
	    write(fd, changed.data, changed.size) != (ssize_t) changed.size ||
	    rename(fresh, w->path) < 0)
		co_log(daemon, WARN,
		       "%s could not be written: its new ports are lost when "
		       "the daemon restarts",
		       w->path);
}

static void end_rewrite(void *arg)
{
	struct rewrite *w = arg;

	free(w->json);
	free(w);
}

static void rewrite(const struct runner *r, uint32_t id, const char *json)
{
	struct rewrite *w = calloc(1, sizeof(*w));

	if (w)
		w->json = strdup(json);
	if (!w || !w->json) {
		free(w);
		return;
	}
	(void) snprintf(w->path, sizeof(w->path), "%s/%" PRIu32 "/config.json",
			r->place.state, id);
	if (r->host->offload(r->host->ctx, run_rewrite, end_rewrite, w) != 0)
		end_rewrite(w);
}

void network_changed_to(struct monitor *m, bool good)
{
	struct network_change *change = m->change;
	struct relays *all = m->runner->relays;
	struct runner_network *now = &m->network, old;

	if (!change)
		return;
	m->change = NULL;
	if (!good) {
		close_relays(all, &change->next, now);
	} else {
		old = *now;
		now->relays = change->next.relays;
		now->specs = change->next.specs;
		now->count = change->next.count;
		now->json = change->next.json;
		network_runs(m);
		change->next = (struct runner_network){ .relays = old.relays,
							.specs = old.specs,
							.count = old.count,
							.json = old.json };
		close_relays(all, &change->next, now);
		free(m->facts);
		m->facts = change->facts;
		change->facts = NULL;
		rewrite(m->runner, m->id, now->json);
	}
	network_done(all, &change->next);
	free(change->facts);
	free(change);
}

/* ---- names ---- */

/* A line for each container on the bridge; the core lock is held. */
static void write_lines(const struct runner *r, struct co_buf *out)
{
	const struct monitor *m;

	for (m = r->monitors; m; m = m->hh.next) {
		const struct runner_network *n = &m->network;

		if (!n->address[0] || m->ended || (!n->name[0] && !n->hostname[0]))
			continue;
		co_buf_format(out, "%s\t%s", n->address, n->name);
		if (strcmp(n->name, n->hostname) != 0)
			co_buf_format(out, "%s%s", n->name[0] ? " " : "", n->hostname);
		co_buf_char(out, '\n');
	}
}

char *network_names(const struct runner *r)
{
	autobuf struct co_buf lines = { 0 };

	write_lines(r, &lines);
	return co_buf_take(&lines, &(size_t){ 0 });
}

/* In place: who has it open sees a whole file but for a moment between two writes. */
static int replace(const char *path, const char *data, size_t size)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return pwrite(fd, data, size, 0) == (ssize_t) size &&
			       ftruncate(fd, (off_t) size) == 0
		       ? 0
		       : -1;
}

void network_write_hosts(const struct runner_place *p, uint32_t id, const char *lines)
{
	char path[RUNNER_PATH], *at;
	autobuf struct co_buf text = { 0 };
	struct co_err err;

	(void) snprintf(path, sizeof(path), "%s/%" PRIu32 "/hosts", p->state, id);
	if (read_file(path, HOSTS_MAX, &text, &err) < 0 || !text.data)
		return; /* the container has made something else of it */
	at = strstr(text.data, mark);
	if (at)
		text.size = (size_t) (at - text.data);
	co_buf_text(&text, mark);
	co_buf_text(&text, lines);
	if (!text.failed && replace(path, text.data, text.size) < 0)
		co_log(daemon, DEBUG, "%s could not be written", path);
}

struct naming {
	struct runner *runner;
	char *lines;
	uint32_t *ids;
	size_t count;
};

static void run_naming(void *arg)
{
	struct naming *n = arg;

	for (size_t i = 0; i < n->count; i++)
		network_write_hosts(&n->runner->place, n->ids[i], n->lines);
}

static void end_naming(void *arg)
{
	struct naming *n = arg;
	struct runner *r = n->runner;
	bool again = r->naming == NAMING_AGAIN;

	free(n->lines);
	free(n->ids);
	free(n);
	r->naming = NAMING_IDLE;
	if (again)
		network_changed(r);
}

/* One at a time, so that an older list never overwrites a newer one. */
void network_changed(struct runner *r)
{
	struct naming *n;
	struct monitor *m;

	if (r->naming != NAMING_IDLE) {
		r->naming = NAMING_AGAIN;
		return;
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return; /* the next change writes it */
	n->runner = r;
	n->lines = network_names(r);
	n->ids = calloc(HASH_COUNT(r->monitors) + 1, sizeof(*n->ids));
	for (m = r->monitors; n->ids && m; m = m->hh.next)
		if (m->network.address[0] && !m->ended)
			n->ids[n->count++] = m->id;
	r->naming = NAMING_BUSY;
	if (n->lines && n->ids &&
	    r->host->offload(r->host->ctx, run_naming, end_naming, n) == 0)
		return;
	r->naming = NAMING_IDLE;
	free(n->lines);
	free(n->ids);
	free(n);
}
