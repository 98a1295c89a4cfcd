/* SPDX-License-Identifier: MIT */
/*
 * Who may make a request, and which service it is for.  HOST.
 *
 * A client is the daemon's own user, whom the kernel names (SO_PEERCRED, or the owner of the
 * socket at the other end, if no container has it), or it shows the token.  What a browser sends for a page of
 * somebody else is refused: by Host, which such a page cannot choose, and by Origin, which it
 * cannot leave out of a write.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloudosd/daemon.h"
#include "cloudosd/http/inside.h"
#include "cloudosd/service/names.h"
#include "lib/cleanup.h"

static int refused(struct co_http_fault *fault, int status, const char *code,
		   const char *what)
{
	*fault = (struct co_http_fault){ status, code, what };
	return -1;
}

/* ---- the token ---- */

static int token_make(struct http_server *s, int fd, const char *path,
		      struct co_err *err)
{
	const struct co_host *host = s->services->host;

	for (int i = 0; i < 4; i++)
		(void) snprintf(s->token + i * 16, sizeof(s->token) - (size_t) i * 16,
				"%016llx",
				(unsigned long long) host->random(host->ctx));
	if (ftruncate(fd, 0) < 0 ||
	    pwrite(fd, s->token, HTTP_TOKEN - 1, 0) != HTTP_TOKEN - 1)
		return co_fail_errno(err, errno, "cannot write %s", path);
	return 0;
}

int access_new(struct http_server *s, struct co_err *err)
{
	char path[CO_PATH_SIZE + 16];
	autoclose int fd = -1;
	struct stat st;
	ssize_t n;

	(void) snprintf(path, sizeof(path), "%s/http.token", s->daemon->paths.state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return co_fail_errno(err, errno, "cannot open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 0077)
		return co_fail(err, CO_ACCESS,
			       "others can read or change the token in %s; remove it, "
			       "and a new one is made",
			       path);
	n = read(fd, s->token, HTTP_TOKEN - 1);
	if (n < 0)
		return co_fail_errno(err, errno, "cannot read %s", path);
	while (n > 0 && isspace((unsigned char) s->token[n - 1]))
		n--;
	s->token[n] = '\0';
	return n >= 16 ? 0 : token_make(s, fd, path, err);
}

/* Takes as long for a wrong token as for the right one. */
static bool same_token(const struct http_server *s, struct co_span shown)
{
	size_t n = strlen(s->token);
	unsigned char different = shown.size != n;

	for (size_t i = 0; i < n; i++)
		different |=
			(unsigned char) (s->token[i] ^
					 (shown.size ? shown.data[i % shown.size] : 0));
	return !different;
}

/* What the request shows; false: nothing. */
static bool token_shown(const struct co_http_head *head, struct co_span *out)
{
	static const char bearer[] = "bearer ";
	size_t n = strlen(bearer);

	if (co_http_field(head, "x-api-key", out))
		return true;
	if (!co_http_field(head, "authorization", out) || out->size < n ||
	    strncasecmp(out->data, bearer, n) != 0)
		return false;
	out->data += n;
	out->size -= n;
	return true;
}

bool http_server_token_shown(const struct http_server *s,
			     const struct co_http_head *head)
{
	struct co_span shown;

	return token_shown(head, &shown) && same_token(s, shown);
}

/* ---- the user ---- */

static int check_client(struct connection *c, const struct co_http_head *head,
			struct co_http_fault *fault)
{
	const struct http_server *s = c->server;
	bool always = s->daemon->config.http_token == CONFIG_http_token_always;
	struct co_span shown;

	if (c->passed)
		return 0;
	if (token_shown(head, &shown)) {
		if (!same_token(s, shown))
			return refused(fault, 401, "UNAUTHORIZED",
				       "this is not the token of this daemon");
		c->token = true;
		return 0;
	}
	c->token = false;
	if (!c->local || (always && !c->unix_))
		return refused(
			fault, 401, "UNAUTHORIZED",
			"the token is missing: show what http.token in the state "
			"folder has, as Authorization: Bearer or X-API-Key");
	if (!c->trusted)
		return refused(
			fault, 403, "FORBIDDEN",
			"this daemon answers its own user; others, and programs in "
			"containers, show the token as Authorization: Bearer or "
			"X-API-Key");
	return 0;
}

/* The files of the page hold no secret, and ask for the token themselves. */
static bool is_page(const struct http_call *call)
{
	static const char files[] = "/page/";

	return (call->head || co_span_is(co_http_head(call->message)->method, "GET")) &&
	       (co_span_is(call->path, "/") ||
		(call->path.size > strlen(files) &&
		 memcmp(call->path.data, files, strlen(files)) == 0));
}

/* ---- Host ---- */

/* Without the port, brackets and a final dot; in lower case. */
static bool host_name(struct co_span host, char out[256])
{
	size_t n = host.size;

	if (n && host.data[0] == '[') {
		const char *close = memchr(host.data, ']', n);

		if (!close)
			return false;
		host.data++;
		n = (size_t) (close - host.data);
	} else {
		const char *colon = memchr(host.data, ':', n);

		if (colon)
			n = (size_t) (colon - host.data);
	}
	if (n && host.data[n - 1] == '.')
		n--;
	if (n > 255)
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = (char) tolower((unsigned char) host.data[i]);
	out[n] = '\0';
	return true;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

/* An address cannot be made to mean another machine, as a name can. */
static bool is_address(const char *name)
{
	struct in6_addr any;

	if (!isdigit((unsigned char) *name) && !strchr(name, ':'))
		return false;
	return inet_pton(AF_INET, name, &any) == 1 ||
	       inet_pton(AF_INET6, name, &any) == 1;
}

static bool is_listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (*list) {
		size_t k = strcspn(list, ", ");

		if (k == n && strncasecmp(list, name, n) == 0)
			return true;
		list += k;
		list += strspn(list, ", ");
	}
	return false;
}

static const struct name *known(const struct http_server *s, struct co_span text)
{
	return s->services->names ? names_find(s->services->names, text) : NULL;
}

static bool host_allowed(const struct http_server *s, const char *name)
{
	return strcmp(name, "localhost") == 0 || ends_with(name, ".localhost") ||
	       ends_with(name, ".railway.internal") || is_address(name) ||
	       is_listed(s->daemon->config.http_hosts, name) || known(s, co_span(name));
}

bool http_server_host_allowed(const struct http_server *s, struct co_span host)
{
	char name[256];

	return !host.data ||
	       (host_name(host, name) && (!*name || host_allowed(s, name)));
}

static int check_host(const struct http_call *call, const char *name,
		      struct co_http_fault *fault)
{
	const struct connection *c = call->connection;

	if (c->unix_ || c->token || !*name || host_allowed(c->server, name))
		return 0;
	return refused(fault, 403, "FORBIDDEN",
		       "this host name is not one of this daemon (http.hosts in "
		       "cloudosd.yaml lists more of them)");
}

/* ---- Origin ---- */

static int check_origin(const struct http_call *call, struct co_http_fault *fault)
{
	static const char scheme[] = "http://", secure[] = "https://";
	const struct co_http_head *head = co_http_head(call->message);
	struct co_span origin, type;
	size_t n = strlen(scheme);

	if (!co_http_field(head, "origin", &origin))
		return 0;
	if (origin.size > strlen(secure) &&
	    strncasecmp(origin.data, secure, strlen(secure)) == 0)
		n = strlen(secure);
	else if (origin.size <= n || strncasecmp(origin.data, scheme, n) != 0)
		n = 0;
	if (!n || !head->host.data || origin.size - n != head->host.size ||
	    strncasecmp(origin.data + n, head->host.data, head->host.size) != 0)
		return refused(fault, 403, "FORBIDDEN",
			       "pages of other origins may not use this daemon");
	if (call->head || co_span_is(head->method, "GET"))
		return 0;
	if (!co_http_field(head, "content-type", &type) ||
	    !co_http_list_has(type, "application/json"))
		return refused(fault, 415, "UNSUPPORTED_MEDIA_TYPE",
			       "a page has to send application/json");
	return 0;
}

/* ---- which service ---- */

static bool service_name(struct co_span name, char out[HTTP_SERVICE])
{
	if (!name.size || name.size >= HTTP_SERVICE)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		char c = (char) tolower((unsigned char) name.data[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      (i && (c == '-' || c == '_' || c == '.'))))
			return false;
		out[i] = c;
	}
	out[name.size] = '\0';
	return true;
}

static int find_service(struct http_call *call, const char *host,
			struct co_http_fault *fault)
{
	static const char internal[] = ".railway.internal";
	const struct http_server *s = call->connection->server;
	const char *service = call->connection->service;
	struct co_span named = { 0 };
	const struct name *name = NULL;

	if (!service &&
	    (http_query(call, "service", &named) ||
	     co_http_field(co_http_head(call->message), "x-service", &named))) {
		if (co_span_is(named, "*") && co_span_is(http_method(call), "GET")) {
			(void) snprintf(call->service, sizeof(call->service), "*");
			return 0; /* of all, to look at */
		}
		name = known(s, named);
		if (!name && !service_name(named, call->service))
			return refused(fault, 400, "INVALID_REQUEST",
				       "this cannot be the name of a service");
		if (!name)
			return 0;
	}
	if (!service && !name && *host && !isdigit((unsigned char) *host) &&
	    strcmp(host, "localhost") != 0)
		name = known(s, co_span(host));
	if (name)
		service = name->name;
	else if (!service && ends_with(host, internal) &&
		 service_name((struct co_span){ host, strlen(host) - strlen(internal) },
			      call->service))
		return 0;
	if (!service)
		service = "cloudosd";
	memcpy(call->service, service, strnlen(service, HTTP_SERVICE - 1) + 1);
	return 0;
}

static void find_caller(struct http_call *call)
{
	struct co_span named;

	if (!co_http_field(co_http_head(call->message), "x-service-name", &named) ||
	    !service_name(named, call->caller))
		call->caller[0] = '\0';
}

/* ---- the target ---- */

/* Every part of it can be decoded, so that handlers need not ask. */
static int read_target(struct http_call *call, struct co_http_fault *fault)
{
	struct co_span query, name, value;
	char *room;
	long n;

	call->uri = co_uri_split(co_http_head(call->message)->target);
	if (!call->uri.path.data)
		return refused(fault, 400, "BAD_REQUEST",
			       "the target of the request is not a path");
	call->path = call->uri.path;
	if (!co_uri_is_encoded(call->path) && !call->uri.query.size)
		return 0;
	room = call_scratch(call, call->path.size + call->uri.query.size);
	if (!room)
		return refused(fault, 503, "NO_MEMORY", "there is no memory");
	query = call->uri.query;
	while (co_uri_query_next(&query, &name, &value))
		if (co_uri_decode(name, true, room) < 0 ||
		    co_uri_decode(value, true, room) < 0)
			return refused(fault, 400, "INVALID_REQUEST",
				       "the query is not percent-encoded UTF-8");
	n = co_uri_decode(call->path, false, room);
	if (n < 0)
		return refused(fault, 400, "INVALID_REQUEST",
			       "the path is not percent-encoded UTF-8");
	call->path = (struct co_span){ room, (size_t) n };
	return 0;
}

int access_check(struct http_call *call, struct co_http_fault *fault)
{
	const struct co_http_head *head = co_http_head(call->message);
	char name[256] = "";

	if (read_target(call, fault) < 0)
		return -1;
	if (is_page(call))
		call->connection->token = false;
	else if (check_client(call->connection, head, fault) < 0)
		return -1;
	if (call->uri.authority.data &&
	    (!head->host.data || call->uri.authority.size != head->host.size ||
	     strncasecmp(call->uri.authority.data, head->host.data, head->host.size)))
		return refused(fault, 400, "BAD_REQUEST",
			       "target and Host name different hosts");
	if (head->host.data && !host_name(head->host, name))
		return refused(fault, 400, "BAD_REQUEST",
			       "the Host field is not the name of a host");
	if (check_host(call, name, fault) < 0 || check_origin(call, fault) < 0)
		return -1;
	find_caller(call);
	return find_service(call, name, fault);
}
