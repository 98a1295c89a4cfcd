/* SPDX-License-Identifier: MIT */
/* The programs of the domain, for endpoints; and those of cloudos.yaml, started again.  HOST. */
#include "cloudosd/guests.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "cloudosd/daemon.h"
#include "cloudosd/peer.h"
#include "cloudosd/service/guests.h"
#include "cloudosd/spawn.h"
#include "lib/cleanup.h"
#include "lib/log.h"

enum { USAGES = 256 }; /* processes that one listing looks at: a few ms */

/* ---- sessions ---- */

static const struct session *session_of(struct daemon *d, uint64_t id)
{
	return id ? session_find(d, id, NULL) : NULL;
}

static void each(void *ctx, void (*visit)(void *arg, const struct guest_row *row),
		 void *arg)
{
	struct daemon *d = ctx;
	struct session *s, *next;
	unsigned looked = 0;

	HASH_ITER (hh, d->sessions, s, next) {
		const struct table_session *t = session_row(s);
		struct guest_row row = { .session = s->id,
					 .name = t->name,
					 .command = t->command,
					 .personality = s->personality->name,
					 .engine = co_engine_name(s->engine),
					 .container = session_container(s),
					 .pid = t->pid,
					 .calls = atomic_load(&s->calls),
					 .failed = atomic_load(&s->failed),
					 .started_ms = t->started_ns / 1000000 };

		row.has_usage =
			looked++ < USAGES && process_usage(t->pid, &row.usage) == 0;
		visit(arg, &row);
	}
}

static const char *personality(void *ctx, uint64_t session)
{
	const struct session *s = session_of(ctx, session);

	return s ? s->personality->name : "";
}

/* ---- ports ---- */

void guests_port_names(const struct ipc_port *port, char *out, size_t size)
{
	uint64_t session;
	const char *name;
	size_t n = 0;

	out[0] = 0;
	for (unsigned i = 0; n < size && (name = ipc_name_of(port, i, &session)); i++) {
		n += (size_t) snprintf(out + n, size - n, "%s%s", i ? ", " : "", name);
		if (session && n < size)
			n += (size_t) snprintf(out + n, size - n, " (session %llu)",
					       (unsigned long long) session);
	}
}

struct ports {
	struct daemon *daemon;
	void (*visit)(void *arg, const struct guest_port *port);
	void *arg;
};

static void one_port(void *arg, struct ipc_port *port)
{
	const struct ports *all = arg;
	struct daemon *d = all->daemon;
	const struct session *s = session_of(d, port->owner->session);
	const struct ipc_receiver *r;
	struct ipc_stats stats = { 0 };
	char names[1024];
	struct guest_port row = {
		.id = port->id,
		.name = names,
		.personality = s ? s->personality->name : "",
		.owner = s ? session_row(s)->name : "",
		.pid = port->owner->pid,
		.session = port->owner->session,
		.connections = port->connections,
		.age_ms = d->host->now_ms(d->host->ctx) - port->created_ms,
		.opens = port->opens,
	};

	ipc_port_stats(port, &stats);
	DL_FOREACH (port->receivers, r)
		row.receivers++;
	guests_port_names(port, names, sizeof(names));
	row.queued = port->waiting_count + (uint32_t) stats.pending;
	row.peak = (uint32_t) stats.depth_max;
	row.messages = stats.messages;
	row.answers = stats.answers;
	row.bytes = stats.bytes + stats.bytes_back;
	row.errors = stats.errors;
	row.took_p50_ns = peers_ns(d->peers, ipc_stats_ticks(&stats, 500));
	row.took_p99_ns = peers_ns(d->peers, ipc_stats_ticks(&stats, 990));
	all->visit(all->arg, &row);
}

static void
each_port(void *ctx, void (*visit)(void *arg, const struct guest_port *port), void *arg)
{
	struct daemon *d = ctx;
	struct ports all = { d, visit, arg };

	ipc_each_port(peers_ipc(d->peers), one_port, &all);
}

void guests_start(struct daemon *d)
{
	d->guests = (struct co_guests){ .ctx = d,
					.each = each,
					.personality = personality,
					.each_port = each_port };
	d->services.guests = &d->guests;
}

/* ---- started again ---- */

static void again_complains(void *arg, int32_t pid, struct co_span text)
{
	(void) arg;
	(void) pid;
	while (text.size && text.data[text.size - 1] == '\n')
		text.size--;
	co_log(daemon, WARN, "%.*s", (int) text.size, text.data);
}

static void again_done(void *arg, const struct spawn_end *end)
{
	(void) arg;
	if (end->error)
		co_log(daemon, WARN, "guests are not started again: %s", end->reason);
	else if (end->output.size)
		co_log(daemon, INFO, "%.*s", (int) end->output.size, end->output.data);
}

/* What tells where this domain is. */
static void find_domain(const char **out, size_t n)
{
	size_t used = 0;

	for (char **v = environ; *v && used + 1 < n; v++)
		if (strncmp(*v, "CLOUDOS_", 8) == 0 || strncmp(*v, "XDG_", 4) == 0)
			out[used++] = *v;
	out[used] = NULL;
}

/* The keepers lock what they keep, so that those of an earlier daemon go on alone. */
void guests_again(struct daemon *d)
{
	static const struct spawn_listener listener = { .complaint = again_complains,
							.done = again_done };
	char program[CO_PATH_SIZE], folder[CO_PATH_SIZE + 16];
	const char *argv[] = { program, "guest", "again",
			       d->paths.system_ ? "--system" : NULL, NULL };
	const char *environment[32];
	struct spawn_spec spec = { .argv = argv,
				   .environment = environment,
				   .max_output = 65536 };
	struct spawner *spawner;
	struct spawned *spawned;
	struct co_err err = { 0 };

	(void) snprintf(folder, sizeof(folder), "%s/guests", d->paths.state);
	if (d->ephemeral || access(folder, F_OK) < 0)
		return;
	if (co_program_path("cloudosctl", program, sizeof(program), &err)) {
		co_log(daemon, WARN, "guests are not started again: %s", err.message);
		return;
	}
	find_domain(environment, co_countof(environment));
	spawner = spawner_new(d->host); /* as long as the daemon */
	if (!spawner ||
	    spawner_table(spawner)->begin(spawner, &spec, &listener, &spawned))
		co_log(daemon, WARN, "guests are not started again: no memory");
}
