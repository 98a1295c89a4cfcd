/* SPDX-License-Identifier: MIT */
/*
 * Service discovery: service_*, sys_cloud_*_service and ipc_*_service, all on the one
 * registry.  HOST.  Specification: "Service Discovery Protocol", "CloudOS-Specific
 * Extensions", "Message Passing API".
 */
#include <string.h>

#include "cloudosd/service/bridge.h"
#include "cloudosd/service/names.h"
#include "lib/cleanup.h"
#include <co/limits.h>

#include "personality/cloudos/cloudos.h"

/* ---- names and pids ---- */

static int64_t name_bad(struct co_call *call, const char *name)
{
	struct co_err err = { 0 };

	if (service_name_check(name, &err) == 0)
		return 0;
	return call_fail(call, err.code, "%s", err.message);
}

/* What the caller's pid name space calls the process of an instance. */
static uint32_t pid_for(struct co_call *call, const struct service_instance *instance)
{
	uint32_t pid;

	if (instance->owner.pid &&
	    process_pid_seen_by(instance->owner.pid, call_tid(call), &pid) == 0)
		return pid;
	return SERVICE_OPAQUE_PID | instance->id;
}

/* An array of the guest's as a string: terminated inside, or the call is refused. */
static int64_t copy_in(struct co_call *call, char *out, const char *from, size_t size,
		       const char *member)
{
	if (!memchr(from, 0, size))
		return call_fail(call, CO_INVALID,
				 "%s: %s has no NUL inside its %zu bytes",
				 call_op(call)->name, member, size);
	memcpy(out, from, size);
	return 0;
}

/* ---- registering ---- */

/* The effect is committed, or it is not: either way the guest hears of it once. */
static void registered(void *arg, int status, const char *reason)
{
	struct co_call *call = arg;

	if (status)
		(void) call_fail(call, status, "%s: %s", call_op(call)->name, reason);
	call_reply(call, status);
	(void) call_release(call);
}

/* The effect goes on without the caller; nobody is told. */
static void forget(struct co_call *call, void *arg)
{
	(void) call;
	(void) arg;
}

/* A program in a container is what it was made for: those who made it say which service. */
static int64_t name_granted(struct co_call *call, const char *text)
{
	const struct names *names = call_services(call)->names;
	const struct name *name = names ? names_find(names, co_span(text)) : NULL;
	bool contained;

	if (!name || strcmp(name->name, text) != 0)
		return 0;
	call_blocking_begin(call);
	contained = process_is_contained(call_tid(call));
	call_blocking_end(call);
	return contained ? call_fail(call, CO_ACCESS,
				     "%s: a program in a container cannot become the "
				     "service %s; make the container with --service",
				     call_op(call)->name, text)
			 : 0;
}

static int64_t register_spec(struct co_call *call, const struct service_spec *spec)
{
	struct store_journal journal = call_journal(call, 0);
	struct co_err err = { 0 };
	int64_t refused = name_granted(call, spec->name);
	int r;

	if (refused)
		return refused;

	if (spec->health_check[0]) {
		call_blocking_begin(call);
		health_check_prepare(spec->health_check);
		call_blocking_end(call);
	}
	r = registry_register(call_services(call)->registry, spec, call_process(call),
			      call_session(call), &journal, registered,
			      call_retain(call), &err);

	if (r) {
		(void) call_release(call);
		return call_fail(call, r, "%s: %s", call_op(call)->name, err.message);
	}
	return call_pend(call, forget, NULL);
}

int64_t cloudos_on_service_register(struct co_call *call,
				    const struct cloudos_service_register_args *a)
{
	const service_registration_t *r = a->registration;
	struct service_spec spec = { .port = r->port, .ttl = r->ttl, .instances = 1 };
	int32_t pid;

	if (copy_in(call, spec.name, r->name, sizeof(spec.name), "name") ||
	    copy_in(call, spec.version, r->version, sizeof(spec.version), "version") ||
	    copy_in(call, spec.endpoint, r->endpoint, sizeof(spec.endpoint),
		    "endpoint") ||
	    copy_in(call, spec.health_check, r->health_check, sizeof(spec.health_check),
		    "health_check") ||
	    copy_in(call, spec.metadata, r->metadata, sizeof(spec.metadata),
		    "metadata"))
		return CO_INVALID;
	if (r->pid && (process_pid_from(call_tid(call), (int32_t) r->pid, &pid) ||
		       pid != call_process(call)->pid))
		return call_fail(
			call, CO_ACCESS,
			"service_register: pid %u is another process; a process can "
			"register only itself (0 means the caller)",
			r->pid);
	return register_spec(call, &spec);
}

int64_t cloudos_on_sys_cloud_register_service(
	struct co_call *call, const struct cloudos_sys_cloud_register_service_args *a)
{
	const service_config_t *c = a->config;
	struct service_spec spec = { .port = c->port,
				     .ttl = c->ttl,
				     .instances = c->instances ? c->instances : 1 };

	if (copy_in(call, spec.name, c->name, sizeof(spec.name), "name") ||
	    copy_in(call, spec.version, c->version, sizeof(spec.version), "version") ||
	    copy_in(call, spec.endpoint, c->endpoint, sizeof(spec.endpoint),
		    "endpoint") ||
	    copy_in(call, spec.health_check, c->health_check, sizeof(spec.health_check),
		    "health_check") ||
	    copy_in(call, spec.metadata, c->metadata, sizeof(spec.metadata),
		    "metadata"))
		return CO_INVALID;
	if (spec.name[0] && strcmp(spec.name, a->service_name))
		return call_fail(
			call, CO_INVALID,
			"sys_cloud_register_service: config names \"%s\", the call "
			"names \"%s\"",
			spec.name, a->service_name);
	(void) snprintf(spec.name, sizeof(spec.name), "%s",
			a->service_name); /* bounded */
	return register_spec(call, &spec);
}

int64_t
cloudos_on_ipc_register_service(struct co_call *call,
				const struct cloudos_ipc_register_service_args *a)
{
	struct service_spec spec = { .instances = 1 };

	(void) snprintf(spec.name, sizeof(spec.name), "%s",
			a->service_name); /* bounded */
	return register_spec(call, &spec);
}

int64_t cloudos_on_service_deregister(struct co_call *call,
				      const struct cloudos_service_deregister_args *a)
{
	struct store_journal journal = call_journal(call, 0);
	struct co_err err = { 0 };
	int64_t bad = name_bad(call, a->name);
	int r;

	if (bad)
		return bad;
	r = registry_deregister(call_services(call)->registry, a->name,
				call_process(call), &journal, registered,
				call_retain(call), &err);
	if (r) {
		(void) call_release(call);
		return call_fail(call, r, "%s", err.message);
	}
	return call_pend(call, forget, NULL);
}

/* ---- discovering ---- */

static void fill(struct co_call *call, service_registration_t *out,
		 const struct service_instance *i)
{
	memcpy(out->name, i->spec.name, sizeof(out->name));
	memcpy(out->version, i->spec.version, sizeof(out->version));
	memcpy(out->endpoint, i->spec.endpoint, sizeof(out->endpoint));
	memcpy(out->health_check, i->spec.health_check, sizeof(out->health_check));
	memcpy(out->metadata, i->spec.metadata, sizeof(out->metadata));
	out->pid = pid_for(call, i);
	out->port = i->spec.port;
	out->ttl = i->spec.ttl;
}

int64_t cloudos_on_service_discover(struct co_call *call,
				    const struct cloudos_service_discover_args *a)
{
	const struct service_instance *found[CO_LIMIT_DISCOVER];
	struct registry *registry = call_services(call)->registry;
	size_t room = *a->count < co_countof(found) ? *a->count : co_countof(found);
	int64_t bad = name_bad(call, a->name);
	size_t n;

	if (bad)
		return bad;
	n = registry_discover(registry, a->name, found, room);
	for (size_t i = 0; i < n; i++)
		fill(call, &a->services[i], found[i]);
	*a->count = registry_count(registry, a->name);
	return 0;
}

static int64_t nobody(struct co_call *call, const char *name)
{
	return call_fail(call, CO_NOT_FOUND, "no service named \"%s\" is registered",
			 name);
}

int64_t cloudos_on_sys_cloud_discover_service(
	struct co_call *call, const struct cloudos_sys_cloud_discover_service_args *a)
{
	const struct service_instance *found[CO_LIMIT_DISCOVER];
	service_info_t *info = a->info;
	int64_t bad = name_bad(call, a->service_name);
	size_t n;

	if (bad)
		return bad;
	n = registry_discover(call_services(call)->registry, a->service_name, found,
			      co_countof(found));
	if (!n)
		return nobody(call, a->service_name);
	info->port = found[0]->spec.port;
	info->ttl = found[0]->spec.ttl;
	info->instances = (uint32_t) registry_count(call_services(call)->registry,
						    a->service_name);
	memcpy(info->name, found[0]->spec.name, sizeof(info->name));
	memcpy(info->version, found[0]->spec.version, sizeof(info->version));
	memcpy(info->endpoint, found[0]->spec.endpoint, sizeof(info->endpoint));
	memcpy(info->health_check, found[0]->spec.health_check,
	       sizeof(info->health_check));
	memcpy(info->metadata, found[0]->spec.metadata, sizeof(info->metadata));
	for (size_t i = 0; i < n; i++) {
		service_info_instance_t *item = &info->list[info->listed];

		if (found[i]->health == HEALTH_HEALTHY)
			info->healthy++;
		if (info->listed == co_countof(info->list))
			continue;
		info->listed++;
		item->pid = pid_for(call, found[i]);
		item->port = found[i]->spec.port;
		item->ttl = found[i]->spec.ttl;
		item->health =
			found[i]->health == HEALTH_HEALTHY    ? SERVICE_HEALTH_HEALTHY
			: found[i]->health == HEALTH_CHECKING ? SERVICE_HEALTH_CHECKING
							      : SERVICE_HEALTH_CRITICAL;
		memcpy(item->version, found[i]->spec.version, sizeof(item->version));
		memcpy(item->endpoint, found[i]->spec.endpoint, sizeof(item->endpoint));
	}
	return 0;
}

/* No service, but perhaps the name of a port: a program of another system serves it. */
static int64_t discover_port(struct co_call *call,
			     const struct cloudos_ipc_discover_service_args *a)
{
	uint32_t uid, pid;
	int gone;

	call_blocking_begin(call);
	gone = process_user(call_tid(call), &uid);
	call_blocking_end(call);
	if (gone)
		return call_fail(call, CO_GONE, "the calling process is gone");
	pid = bridge_find_port(call_services(call)->bridge, call_session(call), uid,
			       a->service_name);
	if (!pid)
		pid = bridge_find_own(call_services(call)->bridge, a->service_name);
	if (!pid)
		return nobody(call, a->service_name);
	*a->service_pid = pid;
	return 0;
}

int64_t
cloudos_on_ipc_discover_service(struct co_call *call,
				const struct cloudos_ipc_discover_service_args *a)
{
	const struct service_instance *found;
	int64_t bad = name_bad(call, a->service_name);

	if (bad)
		return bad;
	if (!registry_discover(call_services(call)->registry, a->service_name, &found,
			       1))
		return discover_port(call, a);
	if (found->health != HEALTH_HEALTHY)
		return call_fail(call, CO_NOT_FOUND,
				 "service \"%s\" has no healthy instance: %s",
				 a->service_name, found->reason);
	*a->service_pid = pid_for(call, found);
	return 0;
}

/* ---- health ---- */

static void health_known(void *arg, int status, bool healthy, const char *reason)
{
	struct co_call *call = arg;
	const struct cloudos_service_health_check_args *a = call_arguments(call);

	if (status)
		(void) call_fail(call, status, "%s", reason);
	else
		*a->healthy = healthy;
	call_reply(call, status);
	(void) call_release(call);
}

static void health_forget(struct co_call *call, void *arg)
{
	(void) registry_health_cancel(arg);
	(void) call_release(call);
}

int64_t
cloudos_on_service_health_check(struct co_call *call,
				const struct cloudos_service_health_check_args *a)
{
	struct registry_wait *wait = NULL;
	struct co_err err = { 0 };
	bool healthy = false;
	int64_t bad = name_bad(call, a->name);
	int r;

	if (bad)
		return bad;
	r = registry_health(call_services(call)->registry, a->name, &healthy, &wait,
			    health_known, call, &err);
	if (r == REGISTRY_WAITING) {
		(void) call_retain(call);
		return call_pend(call, health_forget, wait);
	}
	if (r)
		return call_fail(call, r, "%s", err.message);
	*a->healthy = healthy;
	return 0;
}
