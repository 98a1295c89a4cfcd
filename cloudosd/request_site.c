/* SPDX-License-Identifier: MIT */
/*
 * The statistics of the trap engine, read out of a guest: cloudosctl trace --sites.  HOST.
 *
 * On a thread of its own: a guest can hold up whoever reads its memory.  What is there is
 * the guest's word: it is bounded, and used for nothing but this listing.
 */
#include <co/trap.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cloudosd/core.h"
#include "cloudosd/memory.h"
#include "cloudosd/request.h"
#include "lib/cleanup.h"
#include "lib/linux_calls.h"
#include "lib/log.h"

enum { LISTINGS_MAX = 4, ANCESTORS = 64, STACK = 256 * 1024 };

static unsigned listings; /* at a time; core lock */

struct mapping {
	uint64_t start, end, offset;
	const char *path;
};

struct listing {
	struct later *later;
	struct session *session;
	int32_t pid;

	struct co_trap_stats stats;
	struct co_trap_site *sites;
	uint32_t count;
	char *maps;
	struct mapping *mappings;
	size_t nmappings;
	struct co_err err;
};

/* ---- which process ---- */

/* The parent of a process, 0 if that cannot be told. */
static int32_t parent_of(int32_t pid)
{
	char path[64], text[512];
	autoclose int fd = -1;
	const char *end;
	ssize_t n;
	int parent;

	(void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (n <= 0)
		return 0;
	text[n] = 0;
	end = strrchr(text, ')'); /* the name may hold anything */
	return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static struct session *session_of(struct daemon *d, int32_t pid)
{
	struct session *s, *next;

	for (int i = 0; i < ANCESTORS && pid > 1; i++) {
		HASH_ITER (hh, d->sessions, s, next)
			if (session_row(s)->pid == pid ||
			    session_row(s)->launcher_pid == pid)
				return s;
		pid = parent_of(pid);
	}
	return NULL;
}

/* The only program under the engine; NULL if there are none or several. */
static struct session *only_trapped(struct daemon *d)
{
	struct session *s, *next, *found = NULL;

	HASH_ITER (hh, d->sessions, s, next) {
		if (s->engine != CO_ENGINE_TRAP)
			continue;
		if (found)
			return NULL;
		found = s;
	}
	return found;
}

static struct session *wanted_session(struct client *client, int32_t *out_pid)
{
	const struct wire_site_list_req *req =
		(const void *) control_in(client->control)->bytes;
	const char *name = request_text(client, req->name);
	struct daemon *d = client->daemon;
	struct session *s;

	s = session_find(d, req->session, *name ? name : NULL);
	if (s) {
		*out_pid = session_row(s)->pid;
		return s;
	}
	if (!req->session && !req->pid && !*name) {
		s = only_trapped(d);
		if (!s)
			client_reply(client, WIRE_site_list_rep, req->h.tag,
				     CO_NOT_FOUND,
				     "which program? there is not exactly one under "
				     "engine trap (cloudosctl ps lists them)");
	} else if (req->pid) {
		s = session_of(d, req->pid);
		if (!s)
			client_reply(client, WIRE_site_list_rep, req->h.tag,
				     CO_NOT_FOUND,
				     "no program under this daemon has that process");
	} else {
		s = request_session(client, WIRE_site_list_rep, req->session, name);
	}
	if (s)
		*out_pid = req->pid ? req->pid : session_row(s)->pid;
	return s;
}

/* ---- on its thread ---- */

static int read_stats(struct listing *l)
{
	struct co_trap_stats *t = &l->stats;
	uint32_t count;
	int rc = memory_read_process(l->pid, (struct co_guest_ptr){ CO_TRAP_STATS }, t,
				     sizeof(*t));

	if (rc == CO_FAULT || (!rc && t->mark != CO_TRAP_STATS_MARK))
		return co_fail(&l->err, CO_NOT_FOUND,
			       "process %d does not run under engine trap", l->pid);
	if (rc == CO_ACCESS)
		return co_fail(&l->err, rc,
			       "nobody here may read the memory of process %d", l->pid);
	if (rc)
		return co_fail(&l->err, rc, "process %d has ended", l->pid);
	count = t->sites_used < t->sites_max ? t->sites_used : t->sites_max;
	if (count > CO_LIMIT_SITES_LISTED)
		count = CO_LIMIT_SITES_LISTED;
	l->sites = calloc(count ? count : 1, sizeof(*l->sites));
	if (!l->sites)
		return co_fail(&l->err, CO_NO_MEMORY, "out of memory");
	rc = count ? memory_read_process(l->pid, (struct co_guest_ptr){ t->sites },
					 l->sites, count * sizeof(*l->sites))
		   : 0;
	if (rc)
		return co_fail(&l->err, rc,
			       "the statistics of process %d cannot be read", l->pid);
	l->count = count;
	return 0;
}

static void read_maps(struct listing *l)
{
	char path[64];
	autoclose int fd = -1;
	size_t used = 0;
	ssize_t n = 1;

	(void) snprintf(path, sizeof(path), "/proc/%d/maps", l->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	l->maps = fd >= 0 ? malloc(CO_LIMIT_SITES_MAPS + 1) : NULL;
	while (l->maps && n > 0 && used < CO_LIMIT_SITES_MAPS) {
		n = read(fd, l->maps + used, CO_LIMIT_SITES_MAPS - used);
		used += n > 0 ? (size_t) n : 0;
	}
	if (l->maps)
		l->maps[used] = 0;
}

/* Sorted by address, as the kernel writes them; names without a file are left out. */
static void parse_maps(struct listing *l)
{
	size_t lines = 0;

	for (const char *p = l->maps; p && (p = strchr(p, '\n')); p++)
		lines++;
	l->mappings = lines ? calloc(lines, sizeof(*l->mappings)) : NULL;
	if (!l->mappings)
		return;
	for (char *line = l->maps, *end; (end = strchr(line, '\n')); line = end + 1) {
		struct mapping m = { 0 };
		int path = 0;

		*end = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %n",
			   &m.start, &m.end, &m.offset, &path) < 3 ||
		    !path || line[path] != '/')
			continue;
		m.path = line + path;
		l->mappings[l->nmappings++] = m;
	}
}

/* ---- rows ---- */

static const struct mapping *mapping_of(const struct listing *l, uint64_t address)
{
	size_t low = 0, high = l->nmappings;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->nmappings && l->mappings[low].start <= address
		       ? &l->mappings[low]
		       : NULL;
}

/* "libc.so.6+0x10e1c0": behind where the file's first page would be. */
static void put_place(struct listing *l, const struct co_trap_site *site, char *out,
		      size_t n)
{
	const struct mapping *m = mapping_of(l, site->address), *first = m;
	const char *name;

	if (!m) {
		(void) snprintf(out, n, "0x%" PRIx64, site->address);
		return;
	}
	while (first > l->mappings && first->offset &&
	       strcmp(first[-1].path, m->path) == 0)
		first--;
	name = strrchr(m->path, '/') + 1;
	(void) snprintf(out, n, "%.200s+0x%" PRIx64, name,
			first->offset ? site->address - m->start + m->offset
				      : site->address - first->start);
}

static const char *call_name(const struct listing *l, const struct co_trap_site *site)
{
	size_t count;
	const struct co_personality *all = co_personalities(&count), *p;
	const struct co_op *op;

	if (l->stats.personality >= count)
		return "";
	p = &all[l->stats.personality];
	op = co_op_by_number(p, site->number);
	if (op)
		return op->name;
	/* others have meanings of their own for Linux's numbers */
	return strcmp(p->name, "linux") == 0 || strcmp(p->name, "cloudos") == 0
		       ? co_linux_call(site->number, site->kind != 0)
		       : "";
}

static const char *why_words(uint8_t why)
{
	static const char *const words[] = {
#define WHY(name, text) text,
		CO_TRAP_WHY(WHY)
#undef WHY
	};

	return why < co_countof(words) ? words[why] : "for a reason unknown here";
}

static const char *state_words(uint8_t state)
{
	static const char *const words[] = { [CO_SITE_TRAPPING] = "trapping",
					     [CO_SITE_PATCHED] = "patched",
					     [CO_SITE_NEVER] = "never" };

	return state < co_countof(words) ? words[state] : "unknown";
}

static void send_row(struct listing *l, struct client *client,
		     const struct co_trap_site *site)
{
	struct co_msg *out = control_out(l->later->control);
	struct wire_site_row *row = co_msg_start(out, WIRE_site_row, l->later->tag);
	char place[256];

	put_place(l, site, place, sizeof(place));
	row->address = site->address;
	co_msg_text(out, &row->site, place);
	co_msg_text(out, &row->call, call_name(l, site));
	row->number = site->traps ? (int64_t) site->number : -1;
	row->traps = site->traps;
	co_msg_text(out, &row->state, state_words(site->state));
	co_msg_text(out, &row->why, why_words(site->why));
	row->length = site->length;
	client_send(client);
}

static void answer(struct listing *l, struct client *client)
{
	struct co_msg *out = control_out(l->later->control);
	struct wire_site_list_rep *rep;

	for (uint32_t i = 0; i < l->count && !client->dead; i++)
		send_row(l, client, &l->sites[i]);
	rep = co_msg_reply(out, WIRE_site_list_rep, l->later->tag, 0, NULL);
	rep->pid = l->pid;
	rep->sites = l->stats.sites_used;
	rep->traps = l->stats.traps;
	rep->patched = l->stats.patched;
	rep->patch_failed = l->stats.patch_failed;
	rep->deferred = l->stats.deferred;
	rep->sent = l->stats.sent;
	client_send(client);
}

static void listing_free(struct listing *l)
{
	listings--;
	(void) session_unref(l->session);
	later_free(l->later);
	free(l->sites);
	free(l->mappings);
	free(l->maps);
	free(l);
}

static void finished(void *arg)
{
	struct listing *l = arg;
	struct client *client = control_client(l->later->control, l->later->client);

	core_assert_locked();
	if (client && l->err.code)
		client_reply(client, l->later->type, l->later->tag, l->err.code,
			     l->err.message);
	else if (client)
		answer(l, client);
	listing_free(l);
}

static void *thread_main(void *arg)
{
	struct listing *l = arg;
	const struct co_host *host = l->session->daemon->host;

	if (read_stats(l) == 0) {
		read_maps(l);
		parse_maps(l);
	}
	host->post(host->ctx, finished, l);
	return NULL;
}

static int start_thread(struct listing *l)
{
	pthread_attr_t attr;
	pthread_t thread;
	int failed;

	(void) pthread_attr_init(&attr); /* cannot fail, nor can these */
	(void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void) pthread_attr_setstacksize(&attr, STACK);
	failed = pthread_create(&thread, &attr, thread_main, l);
	(void) pthread_attr_destroy(&attr); /* cannot fail */
	return failed;
}

void request_site_list(struct client *client)
{
	int32_t pid = 0;
	struct session *s = wanted_session(client, &pid);
	struct listing *l;

	if (!s)
		return;
	if (listings >= LISTINGS_MAX) {
		client_reply(client, WIRE_site_list_rep, request_tag(client), CO_BUSY,
			     "other listings wait for their programs; try again");
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		client_reply(client, WIRE_site_list_rep, request_tag(client),
			     CO_NO_MEMORY, "out of memory");
		return;
	}
	l->later = later_new(client, WIRE_site_list_rep);
	if (!l->later) {
		free(l);
		return;
	}
	l->session = session_ref(s);
	l->pid = pid;
	listings++;
	if (start_thread(l)) {
		(void) co_fail(&l->err, CO_BUSY,
			       "no thread for the listing; try again");
		finished(l);
	}
}
