/* SPDX-License-Identifier: MIT */
/* What a health check string means.  HOST. */
#include "cloudosd/service/target.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

static const struct {
	const char *prefix;
	enum target_kind kind;
	uint16_t port; /* 0: must be given */
} schemes[] = {
	{ "tcp://", TARGET_TCP, 0 },
	{ "http://", TARGET_HTTP, 80 },
	{ "https://", TARGET_HTTPS, 443 },
};

static int bad(const char *check, const char *why, struct co_err *err)
{
	return co_fail(err, CO_INVALID, "the health check \"%s\" %s", check, why);
}

/* Takes the host from *p on and moves *p behind it. */
static bool take_host(const char **p, char *out, size_t size)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789.-_";
	bool bracket = **p == '[';
	const char *start = *p + (bracket ? 1 : 0);
	size_t n = bracket ? strcspn(start, "]") : strspn(start, name);
	struct in6_addr address;

	if (n == 0 || n >= size || (bracket && start[n] != ']'))
		return false;
	memcpy(out, start, n);
	out[n] = 0;
	*p = start + n + (bracket ? 1 : 0);
	return !bracket || inet_pton(AF_INET6, out, &address) == 1;
}

/* Takes ":<1 to 65535>"; *out keeps its value where there is none. */
static bool take_port(const char **p, uint16_t *out)
{
	uint32_t port = 0;
	size_t digits;

	if (**p != ':')
		return *out != 0;
	digits = strspn(++*p, "0123456789");
	if (digits == 0 || digits > 5)
		return false;
	while (digits--)
		port = port * 10 + (uint32_t) (*(*p)++ - '0');
	*out = (uint16_t) port;
	return port >= 1 && port <= 65535;
}

int target_parse(const char *check, struct target *out, struct co_err *err)
{
	struct target target = { .kind = TARGET_NONE };
	const char *p = check;

	if (strlen(check) >= sizeof(target.url))
		return co_fail(err, CO_INVALID, "a health check has at most %zu bytes",
			       sizeof(target.url) - 1);
	for (const char *c = check; *c; c++)
		if (*c <= 0x20 || *c == 0x7f) /* also all that is not ASCII */
			return co_fail(err, CO_INVALID,
				       "a health check may only have printable ASCII "
				       "characters, without spaces");
	for (size_t i = 0; i < co_countof(schemes); i++) {
		size_t n = strlen(schemes[i].prefix);

		if (strncmp(check, schemes[i].prefix, n) == 0) {
			target.kind = schemes[i].kind;
			target.port = schemes[i].port;
			p = check + n;
		}
	}
	if (target.kind == TARGET_NONE && *check)
		return bad(check,
			   "is none of tcp://HOST:PORT, http://HOST[:PORT][/PATH] and "
			   "https://HOST[:PORT][/PATH]; commands are not run",
			   err);
	if (target.kind != TARGET_NONE &&
	    !take_host(&p, target.host, sizeof(target.host)))
		return bad(check, "has no valid host name or address", err);
	if (target.kind != TARGET_NONE && !take_port(&p, &target.port))
		return bad(check, "needs a port between 1 and 65535", err);
	if (*p && (target.kind == TARGET_TCP || !strchr("/?#", *p)))
		return bad(
			check,
			"has something behind its address that does not belong there",
			err);

	target.optional = strcmp(p + strcspn(p, "#"), "#optional") == 0;
	(void) snprintf(target.path, sizeof(target.path), "%s%.*s",
			*p == '/' ? "" : "/", (int) strcspn(p, "#"),
			p); /* fits: it is a part of url */
	(void) snprintf(target.url, sizeof(target.url), "%.*s",
			(int) strcspn(check, "#"), check);
	*out = target;
	return 0;
}
