/* SPDX-License-Identifier: MIT */
/*
 * The core endpoints: who answers, in which version, with which configuration.  HOST.
 * How it is, is in checkup.c.
 */
#include <stdio.h>
#include <unistd.h>

#include "cloudosd/service/names.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/core.h"

/* ---- who ---- */

struct core_service core_service(const struct http_call *call)
{
	const struct co_services *services = http_services(call);
	struct http_vitals vitals = http_vitals(call);
	const char *service = http_service(call);
	const struct service_instance *instance = NULL;
	struct core_service who = { .name = service,
				    .role = "service",
				    .version = PACKAGE_VERSION,
				    .environment = vitals.environment,
				    .internal = vitals.url,
				    .railway = "",
				    .cloudflare = "",
				    .port = vitals.port,
				    .pid = getpid(),
				    .up_ms = vitals.up_ms };

	if (strcmp(service, "cloudosd") == 0)
		who.role = "gateway";
	who.known =
		services->names ? names_find(services->names, co_span(service)) : NULL;
	if (who.known) {
		bool production = strcmp(vitals.environment, "production") == 0;

		who.role = who.known->role;
		who.port = who.known->port;
		who.internal = who.known->internal;
		who.cloudflare = production ? who.known->cloudflare : "";
		who.railway = production ? who.known->railway
					 : who.known->railway_development;
	}
	if (registry_discover(services->registry, service, &instance, 1)) {
		uint64_t now = services->host->wall_ns(services->host->ctx);

		if (*instance->spec.version)
			who.version = instance->spec.version;
		if (instance->owner.pid)
			who.pid = instance->owner.pid;
		who.up_ms = now > instance->registered_ns
				    ? (now - instance->registered_ns) / 1000000
				    : 0;
	}
	return who;
}

void core_seconds(struct co_buf *b, uint64_t ms)
{
	co_buf_format(b, "%llu.%03u", (unsigned long long) ms / 1000,
		      (unsigned) (ms % 1000));
}

static void member(struct co_buf *b, const char *name, const char *value)
{
	if (b->size && b->data[b->size - 1] != '{')
		co_buf_char(b, ',');
	co_buf_format(b, "\"%s\":", name);
	co_buf_json_text(b, co_span(value));
}

/* "9gw4d0h2.up.railway.app" of its URL. */
static const char *without_scheme(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? host + 3 : url;
}

void blackroad_on_version(struct http_call *call,
			  const struct blackroad_version_args *args)
{
	struct core_service who = core_service(call);
	struct co_buf b = { 0 };

	(void) args;
	co_buf_char(&b, '{');
	member(&b, "version", who.version);
	member(&b, "service", who.name);
	co_buf_char(&b, '}');
	http_answer(call, 200, &b);
}

void blackroad_on_sys_version(struct http_call *call,
			      const struct blackroad_sys_version_args *args)
{
	struct core_service who = core_service(call);
	struct co_buf b = { 0 };

	(void) args;
	co_buf_char(&b, '{');
	member(&b, "version", who.version);
	member(&b, "service", who.name);
	member(&b, "nodeVersion", http_vitals(call).node_version);
	member(&b, "environment", who.environment);
	member(&b, "runtime", "cloudosd " PACKAGE_VERSION);
	co_buf_char(&b, '}');
	http_answer(call, 200, &b);
}

void blackroad_on_sys_identity(struct http_call *call,
			       const struct blackroad_sys_identity_args *args)
{
	const struct co_host *host = http_services(call)->host;
	struct core_service who = core_service(call);
	struct co_buf b = { 0 };

	(void) args;
	co_buf_char(&b, '{');
	member(&b, "service", who.name);
	member(&b, "role", who.role);
	member(&b, "version", who.version);
	member(&b, "environment", who.environment);
	co_buf_text(&b, ",\"dns\":{");
	member(&b, "cloudflare", who.cloudflare);
	member(&b, "railway", who.railway);
	member(&b, "internal", who.internal);
	co_buf_text(&b, "},\"runtime\":{");
	member(&b, "railwayHost", without_scheme(who.railway));
	member(&b, "internalHost", who.internal);
	co_buf_format(&b, ",\"port\":%u,\"pid\":%d,\"uptime\":", who.port,
		      (int) who.pid);
	core_seconds(&b, who.up_ms);
	co_buf_text(&b, "},\"health\":{");
	member(&b, "status", checkup_status(call));
	co_buf_text(&b, ",\"uptime\":");
	core_seconds(&b, who.up_ms);
	co_buf_text(&b, ",\"lastCheck\":");
	co_buf_json_time(&b, checkup_at_ms() ? checkup_at_ms()
					     : host->wall_ns(host->ctx) / 1000000);
	co_buf_text(&b, "},\"capabilities\":[\"rpc\",\"events\",\"jobs\",\"state\"]}");
	http_answer(call, 200, &b);
}

void blackroad_on_sys_config(struct http_call *call,
			     const struct blackroad_sys_config_args *args)
{
	struct core_service who = core_service(call);
	struct co_buf b = { 0 };

	(void) args;
	co_buf_text(&b, "{\"service\":{");
	member(&b, "name", who.name);
	member(&b, "role", who.role);
	member(&b, "version", who.version);
	member(&b, "environment", who.environment);
	co_buf_format(&b,
		      ",\"port\":%u},\"features\":{\"rpc\":true,\"events\":true,"
		      "\"jobs\":true,\"state\":true},\"readOnly\":%s}",
		      who.port, http_may_write(call) ? "false" : "true");
	http_answer(call, 200, &b);
}
