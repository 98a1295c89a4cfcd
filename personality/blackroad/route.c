/* SPDX-License-Identifier: MIT */
/*
 * From a request to its handler: paths, methods and arguments, out of ops.def.  HOST.
 *
 * Paths are compared without regard to case and to a slash at their end, as the reference
 * does.  Arguments come from the path (":id"), else from the query for GET and DELETE and
 * from the JSON body otherwise.
 */
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/uri.h"
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/once.h"

/* clang-format off */
#define RUN_FULL(name)    (blackroad_handler *) (void (*)(void)) blackroad_on_##name
#define RUN_PARTIAL(name) (blackroad_handler *) (void (*)(void)) blackroad_on_##name
#define RUN_ABSENT(name)  NULL

#define CO_OP_SIZEOF(type) 0
#define CO_OP_OFFSETOF(type, member) 0
#include <co/op-begin.h>
#include <co/op-rows.h>
#undef OP
#undef HTTP
#define HTTP(method_, path_) .method = #method_, .path = path_,
#define OP(key_, name_, plane_, support_, args_, heading_, note_) { \
	key_ .run = RUN_##support_(name_), \
	.args = { CO_OP_UNWRAP args_ { .kind = CO_ARG_NONE } }, \
	.nargs = (uint32_t) (sizeof(struct blackroad_##name_##_args) / sizeof(struct co_span)), \
	.name = #name_, .note = note_ },
static const struct blackroad_row routes[] = {
#include "personality/blackroad/ops.def"
};
#include <co/op-end.h>
/* clang-format on */

const struct blackroad_row *blackroad_rows(size_t *out_count)
{
	*out_count = co_countof(routes);
	return routes;
}

/* ---- sentences ---- */

void blackroad_invalid(struct http_call *call, const char *format, ...)
{
	char what[512];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	http_fail(call, 400, "INVALID_REQUEST", "%s", what);
}

bool blackroad_json_number(struct http_call *call, const char *name,
			   struct co_span value, int64_t absent, int64_t min,
			   int64_t max, int64_t *out)
{
	if (!value.data || co_json_kind(value) == CO_JSON_NULL) {
		*out = absent;
		return true;
	}
	if (co_json_whole(value, out) && *out >= min && *out <= max)
		return true;
	blackroad_invalid(call, "%s must be a whole number from %lld to %lld", name,
			  (long long) min, (long long) max);
	return false;
}

bool blackroad_number(struct http_call *call, const char *name, struct co_span text,
		      int64_t absent, int64_t min, int64_t max, int64_t *out)
{
	struct co_json_fault fault;
	struct co_span value = { 0 };

	if (text.size && (co_json_check(text, &value, &fault) < 0 ||
			  co_json_kind(value) != CO_JSON_NUMBER))
		value = co_span("\"\"");
	return blackroad_json_number(call, name, value, absent, min, max, out);
}

/* ---- paths ---- */

/* Without slashes at its end; "/" is "". */
static struct co_span shorten(struct co_span path)
{
	while (path.size && path.data[path.size - 1] == '/')
		path.size--;
	return path;
}

/*
 * Is the path that pattern?  What stands for ":id" goes to *out_part, still encoded, and
 * the name to *out_name.
 */
static bool is_path(struct co_span path, const char *pattern, struct co_span *out_part,
		    struct co_span *out_name)
{
	const char *colon = strchr(pattern, ':');
	size_t before = colon ? (size_t) (colon - pattern) : strlen(pattern), after;
	const char *rest;

	if (pattern[1] == '\0')
		return path.size == 0;
	if (!colon)
		return path.size == before &&
		       strncasecmp(path.data, pattern, before) == 0;
	if (path.size <= before || strncasecmp(path.data, pattern, before) != 0)
		return false;
	rest = strchrnul(colon, '/');
	after = strlen(rest);
	*out_name = (struct co_span){ colon + 1, (size_t) (rest - colon - 1) };
	if (path.size - before <= after ||
	    strncasecmp(path.data + path.size - after, rest, after) != 0)
		return false;
	*out_part = (struct co_span){ path.data + before, path.size - before - after };
	return !memchr(out_part->data, '/', out_part->size);
}

/* No row has that path with that method. */
static void no_route(struct http_call *call, struct co_span path)
{
	struct co_span part, name;
	char allow[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < co_countof(routes); i++) {
		if (!is_path(path, routes[i].path, &part, &name))
			continue;
		n += (size_t) snprintf(allow + n, sizeof(allow) - n, "%s%s%s",
				       n ? ", " : "", routes[i].method,
				       strcmp(routes[i].method, "GET") == 0 ? ", HEAD"
									    : "");
	}
	if (!n) {
		http_fail(call, 404, "NOT_FOUND", "there is no endpoint %.*s",
			  (int) (path.size ? path.size : 1),
			  path.size ? path.data : "/");
		return;
	}
	http_set_header(call, "Allow", "%s", allow);
	http_fail(call, 405, "METHOD_NOT_ALLOWED", "%.*s can be asked with %s only",
		  (int) (path.size ? path.size : 1), path.size ? path.data : "/",
		  allow);
}

/* ---- arguments ---- */

static bool missing(struct http_call *call, const char *name, const char *what)
{
	blackroad_invalid(call, "%s %s", name, what);
	return false;
}

static bool optional(const struct co_arg *arg)
{
	return arg->kind == CO_ARG_OPT_TEXT || arg->kind == CO_ARG_OPT_JSON;
}

static bool text_of(struct http_call *call, const struct co_arg *arg,
		    struct co_span value, struct co_span *out)
{
	struct co_span plain = { value.data + 1, value.size - 2 };
	autobuf struct co_buf b = { 0 };
	char *room;
	int r;

	if (co_json_kind(value) != CO_JSON_STRING)
		return missing(call, arg->name, "must be a string");
	if (!plain.size || !memchr(plain.data, '\\', plain.size)) {
		*out = plain;
		return true;
	}
	r = co_json_unescape(value, &b);
	room = r ? NULL : http_scratch(call, b.size + 1);
	if (r == CO_INVALID)
		return missing(call, arg->name, "has a character that is none");
	if (!room) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return false;
	}
	memcpy(room, b.data, b.size);
	*out = (struct co_span){ room, b.size };
	return true;
}

static bool from_body(struct http_call *call, const struct co_arg *arg,
		      struct co_span body, struct co_span *out)
{
	struct co_span value;
	bool text = arg->kind == CO_ARG_TEXT || arg->kind == CO_ARG_OPT_TEXT;

	if (!body.data || !co_json_member(body, arg->name, &value)) {
		if (optional(arg))
			return true;
		return missing(call, arg->name, "is missing");
	}
	if (!text) {
		*out = value;
		return true;
	}
	if (arg->kind == CO_ARG_OPT_TEXT && co_json_kind(value) == CO_JSON_NULL)
		return true;
	return text_of(call, arg, value, out);
}

static bool from_query(struct http_call *call, const struct co_arg *arg,
		       struct co_span *out)
{
	if (http_query(call, arg->name, out) || optional(arg))
		return true;
	return missing(call, arg->name, "is missing");
}

static bool from_path(struct http_call *call, const struct co_arg *arg,
		      struct co_span part, struct co_span *out)
{
	char *room = http_scratch(call, part.size);
	long n = room ? co_uri_decode(part, false, room) : -1;

	if (n < 0)
		return missing(call, arg->name, "is not percent-encoded UTF-8");
	*out = (struct co_span){ room, (size_t) n };
	return true;
}

static bool check_body(struct http_call *call, struct co_span *out)
{
	struct co_span body = http_body(call);
	struct co_json_fault fault;

	*out = (struct co_span){ 0 };
	if (!body.data)
		return true;
	if (co_json_check(body, out, &fault) < 0) {
		blackroad_invalid(call, "the body is not JSON: %s (at byte %zu)",
				  fault.what, fault.at);
		return false;
	}
	if (co_json_kind(*out) != CO_JSON_OBJECT) {
		blackroad_invalid(call, "the body must be a JSON object");
		return false;
	}
	return true;
}

static void run(struct http_call *call, const struct blackroad_row *route,
		struct co_span part, struct co_span name)
{
	struct co_span args[CO_ARGS_MAX] = { 0 }, body = { 0 };
	bool query = strcmp(route->method, "GET") == 0 ||
		     strcmp(route->method, "DELETE") == 0;

	if (!query && !check_body(call, &body))
		return;
	for (uint32_t i = 0; i < route->nargs; i++) {
		const struct co_arg *arg = &route->args[i];
		bool good;

		if (part.data && co_span_is(name, arg->name))
			good = from_path(call, arg, part, &args[i]);
		else if (query)
			good = from_query(call, arg, &args[i]);
		else
			good = from_body(call, arg, body, &args[i]);
		if (!good)
			return;
	}
	route->run(call, args);
}

/* What is needed to run a row later; lives as long as the call. */
struct later {
	const struct blackroad_row *route;
	struct co_span part, name;
};

static void run_later(struct http_call *call, void *arg)
{
	const struct later *l = arg;

	run(call, l->route, l->part, l->name);
}

static void run_or_repeat(struct http_call *call, const struct blackroad_row *route,
			  struct co_span part, struct co_span name)
{
	struct co_span key;
	struct later *l;

	if (route->method[0] != 'P' || !http_header(call, "idempotency-key", &key) ||
	    !blackroad_is_repeatable(route->name)) {
		run(call, route, part, name);
		return;
	}
	l = (struct later *) (void *) http_scratch(call, sizeof(*l));
	if (!l) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	*l = (struct later){ route, part, name };
	blackroad_once(call, route->name, run_later, l);
}

/* Who is in a container does not get out by another one, and is no service but its own. */
static bool is_for_containers(const struct http_call *call, const char *path)
{
	static const char *const others[] = { "/v1/sys/container", "/v1/sys/image",
					      "/v1/sys/volume", "/v1/sys/trace" };
	const char *own = http_container(call);

	if (!*own)
		return true;
	for (size_t i = 0; i < co_countof(others); i++)
		if (!strncmp(path, others[i], strlen(others[i])))
			return false;
	return strcmp(path, "/v1/sys/handlers") != 0 ||
	       !strcmp(http_service(call), own);
}

void blackroad_route(struct http_call *call)
{
	struct co_span path = shorten(http_path_encoded(call)), part, name;
	struct co_span method = http_method(call);

	for (size_t i = 0; i < co_countof(routes); i++) {
		const struct blackroad_row *route = &routes[i];

		part = (struct co_span){ 0 };
		if (!co_span_is(method, route->method) ||
		    !is_path(path, route->path, &part, &name))
			continue;
		if (!is_for_containers(call, route->path))
			http_fail(call, 403, "FORBIDDEN",
				  "programs in containers have no part in that; run "
				  "it outside");
		else if (!route->run)
			http_fail(call, 501, "NOT_IMPLEMENTED", "%s %s: %s",
				  route->method, route->path, route->note);
		else if (!http_may_write(call) && strcmp(route->method, "GET") != 0)
			http_fail(call, 403, "READ_ONLY",
				  "this daemon refuses changes (http.read_only in "
				  "cloudosd.yaml)");
		else
			run_or_repeat(call, route, part, name);
		return;
	}
	no_route(call, path);
}
