/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/sys/services: what is registered by programs of all systems, with the reason of
 * its health, and the names of which nothing runs.  HOST.
 */
#include "cloudosd/service/guests.h"
#include "cloudosd/service/names.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/core.h"

enum { USAGES = 256 }; /* processes that one listing looks at: a few ms */

struct listing {
	const struct co_services *services;
	struct co_buf *b;
	uint64_t now_ns;
	unsigned looked;
};

static void text(struct co_buf *b, const char *name, const char *value)
{
	co_buf_format(b, ",\"%s\":", name);
	co_buf_json_text(b, co_span(value));
}

static void begin(struct co_buf *b, const char *name)
{
	if (b->size && b->data[b->size - 1] == '}')
		co_buf_char(b, ',');
	co_buf_text(b, "{\"name\":");
	co_buf_json_text(b, co_span(name));
}

static const char *status_of(enum health_state state)
{
	return state == HEALTH_HEALTHY    ? "healthy"
	       : state == HEALTH_CRITICAL ? "unhealthy"
					  : "checking";
}

/* What its process is, and uses. */
static void process(struct listing *l, const struct service_instance *i)
{
	struct process_usage usage;

	co_buf_format(l->b, ",\"pid\":%d,\"uptime\":", i->owner.pid);
	core_seconds(l->b, l->now_ns > i->registered_ns
				   ? (l->now_ns - i->registered_ns) / 1000000
				   : 0);
	if (i->owner.pid && l->looked++ < USAGES &&
	    process_usage(i->owner.pid, &usage) == 0) {
		co_buf_text(l->b, ",\"rss\":");
		co_buf_u64(l->b, usage.rss);
		co_buf_text(l->b, ",\"cpuSeconds\":");
		core_seconds(l->b, usage.cpu_ms);
	}
}

static void known(struct co_buf *b, const struct name *name)
{
	text(b, "role", name->role);
	text(b, "internal", name->internal);
}

static void instance(void *arg, const struct service_instance *i)
{
	struct listing *l = arg;
	const struct co_guests *guests = l->services->guests;
	const struct name *name = names_find(l->services->names, co_span(i->spec.name));

	begin(l->b, i->spec.name);
	text(l->b, "personality", guests->personality(guests->ctx, i->session));
	text(l->b, "version", i->spec.version);
	text(l->b, "status", status_of(i->health));
	text(l->b, "reason", i->reason);
	text(l->b, "endpoint", i->spec.endpoint);
	text(l->b, "healthCheck", i->spec.health_check);
	co_buf_format(l->b, ",\"port\":%u", i->spec.port);
	if (name)
		known(l->b, name);
	process(l, i);
	co_buf_char(l->b, '}');
}

/* A name of the registry of names that nothing runs under. */
static void idle(struct listing *l, const struct name *name)
{
	begin(l->b, name->name);
	text(l->b, "personality", "blackroad");
	text(l->b, "status", "stopped");
	text(l->b, "reason", "no program runs under that name");
	co_buf_format(l->b, ",\"port\":%u", name->port);
	known(l->b, name);
	co_buf_char(l->b, '}');
}

void blackroad_on_services(struct http_call *call,
			   const struct blackroad_services_args *with)
{
	const struct co_services *services = http_services(call);
	struct co_buf body = { 0 };
	struct listing l = { .services = services,
			     .b = &body,
			     .now_ns = services->host->wall_ns(services->host->ctx) };

	(void) with; /* has no members */
	co_buf_text(&body, "{\"services\":[");
	registry_each(services->registry, NULL, instance, &l);
	for (size_t i = 0; i < names_count(services->names); i++) {
		const struct name *name = names_at(services->names, i);

		if (!registry_count(services->registry, name->name))
			idle(&l, name);
	}
	co_buf_text(&body, "]}");
	http_answer(call, 200, &body);
}
