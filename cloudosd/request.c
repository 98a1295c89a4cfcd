/* SPDX-License-Identifier: MIT */
/*
 * The requests of clients about sessions, services, errors, logs and the store.  HOST.
 * Each answers rows and then its reply; control.c has checked the message.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cloudosd/client.h"
#include "cloudosd/core.h"
#include "lib/cleanup.h"
#include "lib/log.h"

static uint64_t tag_of(struct client *client)
{
	return control_in(client->control)->header->tag;
}

static const char *text(struct client *client, struct wire_span span)
{
	return co_msg_get(control_in(client->control), span);
}

/* What the answer of the store or the registry belongs to. */
struct later {
	struct control *control;
	uint64_t client, tag;
	uint32_t type;
	int fd;
};

static struct later *later_new(struct client *client, uint32_t type)
{
	struct later *l = malloc(sizeof(*l));

	if (l)
		*l = (struct later){ client->control, client->id, tag_of(client), type,
				     -1 };
	else
		client_reply(client, type, tag_of(client), CO_NO_MEMORY,
			     "out of memory");
	return l;
}

static void later_free(struct later *l)
{
	if (l->fd >= 0)
		(void) close(l->fd);
	free(l);
}

/* ---- sessions ---- */

void request_attach(struct client *client)
{
	struct co_msg *in = control_in(client->control);
	const struct wire_attach_req *req = (const void *) in->bytes;
	uint64_t tag = req->h.tag;
	struct session_spec spec = { .engine = (enum co_engine) req->engine,
				     .personality = req->personality,
				     .trace = req->trace,
				     .pid = req->pid,
				     .launcher_pid = client->pid,
				     .name = text(client, req->name),
				     .command = text(client, req->command) };
	struct wire_attach_rep *rep;
	struct session *s;
	struct co_err err = { 0 };
	bool notify = spec.engine == CO_ENGINE_NOTIFY;

	if (client->daemon->stopping) {
		client_reply(client, WIRE_attach_rep, tag, CO_GONE,
			     "the daemon is stopping; try again");
		return;
	}
	if ((!notify && spec.engine != CO_ENGINE_PTRACE) ||
	    in->nfds != (notify ? 2U : 1U)) {
		client_reply(client, WIRE_attach_rep, tag, CO_INVALID,
			     "attach needs an engine and its descriptors");
		return;
	}
	spec.link_fd = co_msg_take_fd(in, 0);
	spec.listener = co_msg_take_fd(in, 1);
	if (session_attach(client->daemon, &spec, &s, &err)) {
		client_reply(client, WIRE_attach_rep, tag, err.code, err.message);
		return;
	}
	rep = co_msg_reply(control_out(client->control), WIRE_attach_rep, tag, 0, NULL);
	rep->session = s->id;
	rep->launcher_copies = atomic_load(&s->launcher_copies);
	client_send(client);
}

static void session_row_send(struct client *client, uint64_t tag,
			     const struct session *s)
{
	struct daemon *d = client->daemon;
	struct co_msg *out = control_out(client->control);
	struct wire_session_row *row = co_msg_start(out, WIRE_session_row, tag);
	const struct table_session *t = session_row(s);

	row->id = s->id;
	co_msg_text(out, &row->name, t->name);
	row->pid = t->pid;
	row->launcher_pid = t->launcher_pid;
	co_msg_text(out, &row->personality, s->personality->name);
	co_msg_text(out, &row->engine, co_engine_name(s->engine));
	row->calls = atomic_load(&s->calls);
	row->failed = atomic_load(&s->failed);
	row->age_ms = (d->host->wall_ns(d->host->ctx) - t->started_ns) / 1000000;
	co_msg_text(out, &row->command, t->command);
	client_send(client);
}

void request_session_list(struct client *client)
{
	uint64_t tag = tag_of(client);
	struct session *s, *next;

	HASH_ITER (hh, client->daemon->sessions, s, next)
		session_row_send(client, tag, s);
	client_reply(client, WIRE_session_list_rep, tag, 0, NULL);
}

/* The session a request names; answers the client if there is none. */
static struct session *session_named(struct client *client, uint32_t type, uint64_t id,
				     const char *name)
{
	struct session *s = session_find(client->daemon, id, name);
	char reason[160];

	if (s)
		return s;
	if (id)
		(void) snprintf(reason, sizeof(reason),
				"no session %llu is running (cloudosctl ps lists them)",
				(unsigned long long) id);
	else
		(void) snprintf(
			reason, sizeof(reason),
			"no program named \"%.64s\" is running (cloudosctl ps lists "
			"them)",
			name);
	client_reply(client, type, tag_of(client), CO_NOT_FOUND, reason);
	return NULL;
}

void request_session_kill(struct client *client)
{
	const struct wire_session_kill_req *req =
		(const void *) control_in(client->control)->bytes;
	uint64_t tag = req->h.tag;
	int signal = req->signal;
	struct session *s = session_named(client, WIRE_session_kill_rep, req->session,
					  text(client, req->name));

	if (!s)
		return;
	if (signal <= 0 || signal > SIGRTMAX) {
		client_reply(client, WIRE_session_kill_rep, tag, CO_INVALID,
			     "there is no such signal");
		return;
	}
	if (s->pidfd < 0 ||
	    syscall(SYS_pidfd_send_signal, s->pidfd, signal, NULL, 0) < 0) {
		client_reply(
			client, WIRE_session_kill_rep, tag, CO_GONE,
			"its first process has ended; only its children still run");
		return;
	}
	client_reply(client, WIRE_session_kill_rep, tag, 0, NULL);
}

static bool streaming(struct client *client, uint32_t type)
{
	if (!client->stream_tag)
		return false;
	client_reply(client, type, tag_of(client), CO_BUSY,
		     "this connection has a stream already; open another");
	return true;
}

void request_trace(struct client *client)
{
	const struct wire_trace_req *req =
		(const void *) control_in(client->control)->bytes;
	struct session *s;

	if (streaming(client, WIRE_trace_rep))
		return;
	s = session_named(client, WIRE_trace_rep, req->session,
			  text(client, req->name));
	if (!s)
		return;
	client->stream_tag = req->h.tag;
	client->traced = s->id;
	atomic_fetch_add(&s->tracers, 1);
}

/* ---- services ---- */

static void service_row_send(struct client *client, uint64_t tag,
			     const struct service_instance *i)
{
	struct daemon *d = client->daemon;
	struct co_msg *out = control_out(client->control);
	struct wire_service_row *row = co_msg_start(out, WIRE_service_row, tag);

	co_msg_text(out, &row->name, i->spec.name);
	co_msg_text(out, &row->version, i->spec.version);
	row->pid = i->owner.pid;
	row->port = i->spec.port;
	co_msg_text(out, &row->health, health_state_name(i->health));
	co_msg_text(out, &row->endpoint, i->spec.endpoint);
	co_msg_text(out, &row->health_check, i->spec.health_check);
	row->ttl = i->spec.ttl;
	row->instances = i->spec.instances;
	row->age_ms = (d->host->wall_ns(d->host->ctx) - i->registered_ns) / 1000000;
	co_msg_text(out, &row->metadata, i->spec.metadata);
	co_msg_text(out, &row->reason, i->reason);
	client_send(client);
}

struct visit {
	struct client *client;
	uint64_t tag;
	size_t count;
};

static void service_visit(void *arg, const struct service_instance *instance)
{
	struct visit *v = arg;

	v->count++;
	service_row_send(v->client, v->tag, instance);
}

void request_service_list(struct client *client)
{
	const struct wire_service_list_req *req =
		(const void *) control_in(client->control)->bytes;
	const char *name = text(client, req->name);
	struct visit v = { client, req->h.tag, 0 };
	char reason[128];

	registry_each(client->daemon->services.registry, *name ? name : NULL,
		      service_visit, &v);
	if (*name && !v.count) {
		(void) snprintf(reason, sizeof(reason),
				"no service named \"%.64s\" is registered", name);
		client_reply(client, WIRE_service_list_rep, v.tag, CO_NOT_FOUND,
			     reason);
		return;
	}
	client_reply(client, WIRE_service_list_rep, v.tag, 0, NULL);
}

static void registry_answered(void *arg, int status, const char *reason)
{
	struct later *l = arg;
	struct client *client = control_client(l->control, l->client);

	if (client && l->type == WIRE_service_deregister_rep && !status) {
		struct wire_service_deregister_rep *rep =
			co_msg_reply(control_out(l->control), l->type, l->tag, 0, NULL);

		rep->removed = 1;
		client_send(client);
	} else if (client) {
		client_reply(client, l->type, l->tag, status, reason);
	}
	later_free(l);
}

static bool copy_text(struct client *client, char *out, size_t size,
		      struct wire_span span)
{
	const char *from = text(client, span);

	if (strlen(from) >= size)
		return false;
	memcpy(out, from, strlen(from) + 1);
	return true;
}

void request_service_register(struct client *client)
{
	const struct wire_service_register_req *req =
		(const void *) control_in(client->control)->bytes;
	struct service_spec spec = { .port = req->port,
				     .ttl = req->ttl,
				     .instances = 1 };
	struct process_id owner = { 0 };
	struct co_err err = { 0 };
	struct later *l;
	int r = 0;

	if (!copy_text(client, spec.name, sizeof(spec.name), req->name) ||
	    !copy_text(client, spec.version, sizeof(spec.version), req->version) ||
	    !copy_text(client, spec.endpoint, sizeof(spec.endpoint), req->endpoint) ||
	    !copy_text(client, spec.health_check, sizeof(spec.health_check),
		       req->health_check) ||
	    !copy_text(client, spec.metadata, sizeof(spec.metadata), req->metadata))
		r = co_fail(
			&err, CO_NAME_TOO_LONG,
			"name, version, endpoint, health check and metadata take at most "
			"63, 15, 255, 255 and 1023 bytes");
	if (!r && req->pid)
		r = process_read(req->pid, &owner, &err);
	if (r) {
		client_reply(client, WIRE_service_register_rep, req->h.tag, r,
			     err.message);
		return;
	}
	l = later_new(client, WIRE_service_register_rep);
	if (!l)
		return;
	r = registry_register(client->daemon->services.registry, &spec,
			      owner.pid ? &owner : NULL, 0, NULL, registry_answered, l,
			      &err);
	if (r) {
		client_reply(client, l->type, l->tag, r, err.message);
		later_free(l);
	}
}

/* The one instance of that name and pid, or of that name alone if it is the only one. */
static int instance_named(struct client *client, const char *name, int32_t pid,
			  struct process_id *out, struct co_err *err)
{
	const struct service_instance *all[CO_LIMIT_DISCOVER];
	struct registry *registry = client->daemon->services.registry;
	size_t n = registry_discover(registry, name, all, co_countof(all));

	for (size_t i = 0; i < n; i++) {
		if (pid ? all[i]->owner.pid == pid : n == 1) {
			*out = all[i]->owner;
			return 0;
		}
	}
	if (n && !pid)
		return co_fail(err, CO_BUSY,
			       "service \"%s\" has %zu instances; say which with --pid",
			       name, n);
	return co_fail(err, CO_NOT_FOUND,
		       "no such instance of service \"%s\" is registered", name);
}

void request_service_deregister(struct client *client)
{
	const struct wire_service_deregister_req *req =
		(const void *) control_in(client->control)->bytes;
	const char *name = text(client, req->name);
	struct process_id owner;
	struct co_err err = { 0 };
	struct later *l;
	int r = instance_named(client, name, req->pid, &owner, &err);

	if (r) {
		client_reply(client, WIRE_service_deregister_rep, req->h.tag, r,
			     err.message);
		return;
	}
	l = later_new(client, WIRE_service_deregister_rep);
	if (!l)
		return;
	r = registry_deregister(client->daemon->services.registry, name,
				owner.pid ? &owner : NULL, NULL, registry_answered, l,
				&err);
	if (r) {
		client_reply(client, l->type, l->tag, r, err.message);
		later_free(l);
	}
}

static void service_event(void *arg, const struct registry_event *event)
{
	struct client *client = arg;
	struct co_msg *out = control_out(client->control);
	const struct service_instance *i = event->instance;
	struct wire_service_event_row *row;

	if (!i || client->dead ||
	    (client->watched[0] && strcmp(client->watched, i->spec.name)))
		return;
	row = co_msg_start(out, WIRE_service_event_row, client->stream_tag);
	row->at_us = event->at_ns / 1000;
	co_msg_text(out, &row->event, registry_event_name(event->kind));
	co_msg_text(out, &row->name, i->spec.name);
	row->pid = i->owner.pid;
	row->port = i->spec.port;
	co_msg_text(out, &row->reason, event->reason);
	client_stream(client);
}

void request_service_watch(struct client *client)
{
	const struct wire_service_watch_req *req =
		(const void *) control_in(client->control)->bytes;

	if (streaming(client, WIRE_service_watch_rep))
		return;
	if (!copy_text(client, client->watched, sizeof(client->watched), req->name)) {
		client_reply(client, WIRE_service_watch_rep, req->h.tag,
			     CO_NAME_TOO_LONG, "a service name has at most 63 bytes");
		return;
	}
	client->watch = registry_watch(client->daemon->services.registry, service_event,
				       client);
	if (!client->watch) {
		client_reply(client, WIRE_service_watch_rep, req->h.tag, CO_NO_MEMORY,
			     "no memory for one more watch");
		return;
	}
	client->stream_tag = req->h.tag;
}

/* ---- errors and logs ---- */

static void error_entry(void *arg, const struct store_error *e)
{
	struct later *l = arg;
	struct client *client = control_client(l->control, l->client);
	struct co_msg *out = control_out(l->control);
	struct wire_error_row *row;

	if (!e) {
		if (client)
			client_reply(client, l->type, l->tag, 0, NULL);
		later_free(l);
		return;
	}
	if (!client)
		return;
	row = co_msg_start(out, WIRE_error_row, l->tag);
	row->at_ns = e->at_ns;
	row->session = e->session;
	row->pid = e->pid;
	row->tid = e->tid;
	row->code = e->code;
	row->reported = e->reported;
	co_msg_text(out, &row->component, e->component);
	co_msg_text(out, &row->message, e->message);
	client_send(client);
}

static uint32_t bounded(uint32_t limit, uint32_t max)
{
	return limit == 0 || limit > max ? max : limit;
}

void request_error_list(struct client *client)
{
	const struct wire_error_list_req *req =
		(const void *) control_in(client->control)->bytes;
	uint32_t limit = bounded(req->limit, CO_LIMIT_TELEMETRY_ERRORS);
	struct later *l = later_new(client, WIRE_error_list_rep);
	int r;

	if (!l)
		return;
	r = store_errors(client->daemon->store, limit, error_entry, l);
	if (r) {
		client_reply(client, l->type, l->tag, r,
			     "the store is busy; try again");
		later_free(l);
	}
}

static void log_entry(void *arg, const struct store_log *e)
{
	struct later *l = arg;
	struct client *client = control_client(l->control, l->client);
	struct co_msg *out = control_out(l->control);
	struct wire_log_row *row;

	if (!e) {
		if (client)
			client_reply(client, l->type, l->tag, 0, NULL);
		later_free(l);
		return;
	}
	if (!client)
		return;
	row = co_msg_start(out, WIRE_log_row, l->tag);
	row->at_us = e->at_us;
	row->session = e->session;
	co_msg_text(out, &row->level, e->level);
	co_msg_text(out, &row->subsystem, e->subsystem);
	co_msg_text(out, &row->message, e->message);
	client_send(client);
}

void request_log_list(struct client *client)
{
	const struct wire_log_list_req *req =
		(const void *) control_in(client->control)->bytes;
	uint32_t limit = bounded(req->limit, CO_LIMIT_TELEMETRY_LOGS);
	uint64_t id = req->session;
	struct later *l;
	int r;

	if (!id && req->name.length) {
		/* sessions that have ended are known by their number only */
		struct session *s = session_named(client, WIRE_log_list_rep, 0,
						  text(client, req->name));

		if (!s)
			return;
		id = s->id;
	}
	l = later_new(client, WIRE_log_list_rep);
	if (!l)
		return;
	r = store_logs(client->daemon->store, id, limit, log_entry, l);
	if (r) {
		client_reply(client, l->type, l->tag, r,
			     "the store is busy; try again");
		later_free(l);
	}
}

/* ---- the store ---- */

void request_store_status(struct client *client)
{
	struct co_msg *out = control_out(client->control);
	struct wire_store_status_rep *rep =
		co_msg_reply(out, WIRE_store_status_rep, tag_of(client), 0, NULL);
	struct store_status s;

	store_status(client->daemon->store, &s);
	co_msg_text(out, &rep->engine, s.engine);
	co_msg_text(out, &rep->path, s.path);
	rep->schema = s.schema;
	rep->telemetry_schema = s.telemetry_schema;
	rep->revision = s.revision;
	rep->compacted = s.compacted;
	rep->keys = s.keys;
	rep->leases = s.leases;
	rep->bytes = s.bytes;
	rep->telemetry_bytes = s.telemetry_bytes;
	rep->commits = s.commits;
	rep->requests = s.requests;
	client_send(client);
}

static void store_answered(void *arg, const struct store_result *result)
{
	struct later *l = arg;
	struct client *client = control_client(l->control, l->client);

	if (client && result->status) {
		client_reply(client, l->type, l->tag, result->status, result->reason);
	} else if (client) {
		/* both replies have one number, in the same place */
		struct wire_store_compact_rep *rep =
			co_msg_reply(control_out(l->control), l->type, l->tag, 0, NULL);

		_Static_assert(offsetof(struct wire_store_compact_rep, revision) ==
				       offsetof(struct wire_store_backup_rep, bytes),
			       "the reply is built as one of them");
		rep->revision = result->rev;
		client_send(client);
	}
	later_free(l);
}

void request_store_backup(struct client *client)
{
	struct co_msg *in = control_in(client->control);
	autoclose int fd = co_msg_take_fd(in, 0);
	struct later *l;
	struct stat st;
	int flags = fd >= 0 ? fcntl(fd, F_GETFL) : 0;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (flags & O_PATH) ||
	    (flags & O_ACCMODE) == O_RDONLY) {
		client_reply(
			client, WIRE_store_backup_rep, tag_of(client), CO_INVALID,
			"a backup goes to a regular file that is open for writing");
		return;
	}
	l = later_new(client, WIRE_store_backup_rep);
	if (!l)
		return;
	l->fd = take_fd(fd);
	r = store_backup(client->daemon->store, l->fd, store_answered, l);
	if (r) {
		client_reply(client, l->type, l->tag, r,
			     "the store is busy; try again");
		later_free(l);
	}
}

void request_store_compact(struct client *client)
{
	const struct wire_store_compact_req *req =
		(const void *) control_in(client->control)->bytes;
	uint64_t rev = req->revision;
	struct later *l = later_new(client, WIRE_store_compact_rep);
	int r;

	if (!l)
		return;
	r = store_compact(client->daemon->store, rev, store_answered, l);
	if (r) {
		client_reply(client, l->type, l->tag, r,
			     "the store is busy; try again");
		later_free(l);
	}
}
