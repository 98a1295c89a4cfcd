/* SPDX-License-Identifier: MIT */
/* Whom the client asks: addresses, and what is known of each.  HOST. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/http/client_inside.h"

/* "127.0.0.1:80" or "[::1]:80" */
static bool parse_tcp(const char *name, struct backend *b)
{
	const char *colon = strrchr(name, ':');
	bool bracket = name[0] == '[';
	char host[64], *end;
	unsigned long port;
	size_t n;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	n = (size_t) (colon - name);
	if (*end || port < 1 || port > 65535 || n >= sizeof(host) ||
	    (bracket && (n < 2 || name[n - 1] != ']')))
		return false;
	(void) snprintf(host, sizeof(host), "%.*s", (int) (n - (bracket ? 2 : 0)),
			name + (bracket ? 1 : 0));
	if (bracket) {
		b->address.in6.sin6_family = AF_INET6;
		b->address.in6.sin6_port = htons((uint16_t) port);
		return inet_pton(AF_INET6, host, &b->address.in6.sin6_addr) == 1;
	}
	b->address.in4.sin_family = AF_INET;
	b->address.in4.sin_port = htons((uint16_t) port);
	return inet_pton(AF_INET, host, &b->address.in4.sin_addr) == 1;
}

static bool parse_unix(const char *name, struct backend *b)
{
	const char *path = name + strlen("unix:");

	if (path[0] != '/' || strlen(path) >= sizeof(b->address.un.sun_path))
		return false;
	b->address.un.sun_family = AF_UNIX;
	(void) snprintf(b->address.un.sun_path, sizeof(b->address.un.sun_path), "%s",
			path);
	return true;
}

static const char inside[] = "inside:";

static bool is_inside(const char *name)
{
	return strncmp(name, inside, strlen(inside)) == 0;
}

static int parse_backend(const char *name, struct backend *out, struct co_err *err)
{
	struct backend b = { 0 };
	bool is_unix = strncmp(name, "unix:", 5) == 0;

	if (is_inside(name))
		b.address.any.sa_family = AF_UNIX;
	else if (strlen(name) >= sizeof(b.name) ||
		 !(is_unix ? parse_unix(name, &b) : parse_tcp(name, &b)))
		return co_fail(err, CO_INVALID,
			       "\"%.100s\" is no backend; ADDRESS:PORT, [ADDRESS]:PORT "
			       "and unix:/PATH of at most 107 bytes are",
			       name);
	(void) snprintf(b.name, sizeof(b.name), "%s", name);
	*out = b;
	return 0;
}

int http_client_address(const char *backend, struct co_err *err)
{
	struct backend b;

	return is_inside(backend)
		       ? co_fail(err, CO_INVALID, "%s is no address", backend)
		       : parse_backend(backend, &b, err);
}

int client_backend_get(struct http_client *k, const char *name, struct backend **out,
		       struct co_err *err)
{
	struct backend *b;

	HASH_FIND_STR(k->backends, name, b);
	if (!b) {
		int r;

		b = calloc(1, sizeof(*b));
		if (!b)
			return co_fail(err, CO_NO_MEMORY, "no memory for a backend");
		r = parse_backend(name, b, err);
		if (r) {
			free(b);
			return r;
		}
		HASH_ADD_STR(k->backends, name, b);
	}
	*out = b;
	return 0;
}

void client_backend_drop(struct http_client *k, struct backend *b)
{
	if (b->links)
		return;
	HASH_DEL(k->backends, b);
	free(b);
}

const char *client_backend_inside(const struct backend *b)
{
	return is_inside(b->name) ? b->name + strlen(inside) : NULL;
}
