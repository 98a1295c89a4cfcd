/* SPDX-License-Identifier: MIT */
/* Requests about errors, logs and the store.  HOST. */
#include <fcntl.h>
#include <sys/stat.h>

#include "cloudosd/request.h"
#include "lib/cleanup.h"

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
		struct session *s = request_session(client, WIRE_log_list_rep, 0,
						    request_text(client, req->name));

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
		co_msg_reply(out, WIRE_store_status_rep, request_tag(client), 0, NULL);
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
			client, WIRE_store_backup_rep, request_tag(client), CO_INVALID,
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
