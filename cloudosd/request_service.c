/* SPDX-License-Identifier: MIT */
/* Requests about services.  HOST. */
#include <string.h>

#include "cloudosd/request.h"
#include "lib/cleanup.h"

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
	const char *name = request_text(client, req->name);
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
	const char *from = request_text(client, span);

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
	const char *name = request_text(client, req->name);
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

	if (request_streaming(client, WIRE_service_watch_rep))
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
