/* SPDX-License-Identifier: MIT */
/*
 * services.yaml.  HOST.  The tree that lib/yaml_read.h makes of it, compared with a table.
 */
#include "cloudosd/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/escape.h"
#include "lib/yaml_read.h"

static const char builtin[] =
#include "services-yaml.h"
	;

/* The place is (y, at), as elsewhere. */
#define complain co_yaml_complain

/* ---- values ---- */

/* What is all right as a part of a host name, and of a name of registry.h. */
static bool good_word(const char *text)
{
	if (!isalnum((unsigned char) text[0]))
		return false;
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char) *p) && *p != '-' && *p != '_')
			return false;
	return strlen(text) < NAME_WORD;
}

/* "http://HOST[:PORT][/...]" of printable characters; the host is one of DNS. */
static bool good_url(const char *text)
{
	struct co_span host = names_host(text);

	if ((strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) ||
	    !host.size || strlen(text) >= NAME_URL || strchr(text, '@'))
		return false;
	for (size_t i = 0; i < host.size; i++)
		if (!isalnum((unsigned char) host.data[i]) && host.data[i] != '-' &&
		    host.data[i] != '.' && host.data[i] != '_')
			return false;
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
			return false;
	return true;
}

static bool good_path(const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\' || *p == '#')
			return false;
	return text[0] == '/' && strlen(text) < NAME_URL;
}

static bool good_level(const char *text)
{
	static const char *const levels[] = { "debug", "info", "warn", "error",
					      "fatal" };

	for (size_t i = 0; i < co_countof(levels); i++)
		if (!strcmp(text, levels[i]))
			return true;
	return false;
}

static bool good_optional_url(const char *text)
{
	return !text[0] || good_url(text);
}

static const struct member {
	const char *key;
	bool (*good)(const char *text); /* NULL: the port */
	size_t offset, size;
	const char *rule;
} members[] = {
#define MEMBER(key, member, good, rule)                                                \
	{                                                                              \
		key, good, offsetof(struct name, member),                              \
			sizeof(((struct name *) NULL)->member), rule                   \
	}
	MEMBER("name", name, good_word,
	       "letters, digits, \"-\" and \"_\", at most 63 of them"),
	MEMBER("role", role, good_word,
	       "letters, digits, \"-\" and \"_\", at most 63 of them"),
	MEMBER("port", port, NULL, "a whole number from 1 to 65535"),
	MEMBER("cloudflare", cloudflare, good_optional_url,
	       "an http:// or https:// URL of at most 255 bytes, or nothing"),
	MEMBER("railway", railway, good_optional_url,
	       "an http:// or https:// URL of at most 255 bytes, or nothing"),
	MEMBER("railway_development", railway_development, good_optional_url,
	       "an http:// or https:// URL of at most 255 bytes, or nothing"),
	MEMBER("internal", internal, good_url,
	       "an http:// or https:// URL of at most 255 bytes"),
	MEMBER("health", health, good_path, "a path that begins with \"/\""),
	MEMBER("stderr", stderr_level, good_level,
	       "one of debug, info, warn, error, fatal"),
#undef MEMBER
};

static bool good_port(const char *text, uint32_t *out)
{
	uint32_t port = 0;

	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || p - text > 4)
			return false;
		port = port * 10 + (uint32_t) (*p - '0');
	}
	*out = port;
	return port >= 1 && port <= 65535;
}

static int set_member(const struct co_yaml *y, struct name *name,
		      const struct member *m, const struct co_yaml_node *value)
{
	const char *text = value->text;
	char quoted[80];
	uint32_t port = 0;
	bool good;

	if (value->kind != CO_YAML_SCALAR)
		return complain(y, value, "%s.%s must be a single value, %s",
				name->word, m->key, m->rule);
	if (co_yaml_is_null(value))
		text = "";
	good = m->good ? m->good(text) : good_port(text, &port);
	if (!good) {
		(void) co_escape(quoted, sizeof(quoted), text, strlen(text));
		return complain(y, value, "%s.%s is \"%s\"; it must be %s", name->word,
				m->key, quoted, m->rule);
	}
	if (m->good)
		memcpy((char *) name + m->offset, text, strlen(text) + 1);
	else
		name->port = port;
	return 0;
}

/* ---- the file ---- */

static struct name *find(struct names_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->list[i].word, word))
			return &list->list[i];
	return NULL;
}

static const struct member *find_member(const char *key)
{
	for (size_t i = 0; i < co_countof(members); i++)
		if (!strcmp(members[i].key, key))
			return &members[i];
	return NULL;
}

static int unknown_member(const struct co_yaml *y, const struct co_yaml_node *key,
			  const char *word)
{
	char quoted[64], all[160] = "";
	size_t at = 0;

	for (size_t i = 0; i < co_countof(members); i++)
		at += (size_t) snprintf(all + at, sizeof(all) - at, "%s%s",
					i ? ", " : "", members[i].key);
	return complain(y, key, "%s has no key \"%s\"; there are %s", word,
			co_yaml_quote(key, quoted, sizeof(quoted)), all);
}

static int read_members(const struct co_yaml *y, struct name *name,
			const struct co_yaml_node *map)
{
	uint32_t seen = 0;

	for (const struct co_yaml_node *n = map->first; n; n = n->next) {
		const struct member *m = find_member(n->key->text);
		int rc;

		if (!m)
			return unknown_member(y, n->key, name->word);
		if (seen & 1U << (m - members))
			return complain(y, n->key, "%s.%s is there twice", name->word,
					m->key);
		seen |= 1U << (m - members);
		rc = set_member(y, name, m, n);
		if (rc)
			return rc;
	}
	return 0;
}

/* What a new service has before its members are read; names and URLs follow the key. */
static void set_defaults(struct name *name, const char *word)
{
	memset(name, 0, sizeof(*name));
	(void) snprintf(name->word, sizeof(name->word), "%s", word);
	(void) snprintf(name->role, sizeof(name->role), "%s", word);
	(void) snprintf(name->health, sizeof(name->health), "/health");
	(void) snprintf(name->stderr_level, sizeof(name->stderr_level),
			NAME_STDERR_DEFAULT);
	name->port = 8000;
}

static void fill(struct name *name)
{
	if (!name->name[0])
		(void) snprintf(name->name, sizeof(name->name), "blackroad-os-%.48s",
				name->word);
	if (!name->internal[0])
		(void) snprintf(name->internal, sizeof(name->internal),
				"http://%s.railway.internal:%u", name->name,
				name->port);
}

static int read_service(const struct co_yaml *y, struct names_list *list,
			const struct co_yaml_node *key,
			const struct co_yaml_node *value)
{
	const char *word = key->text;
	struct name *name;
	char quoted[80];
	int rc = 0;

	if (!good_word(word) || strlen(word) > 48)
		return complain(y, key,
				"a service cannot be called \"%s\"; its key is of "
				"letters, digits, \"-\" and \"_\", at most 48 of them",
				co_yaml_quote(key, quoted, sizeof(quoted)));
	name = find(list, word);
	if (!name && list->count == CO_LIMIT_NAMES)
		return complain(y, key, "%s is one service too many; %d can be named",
				word, CO_LIMIT_NAMES);
	if (!name) {
		name = &list->list[list->count++];
		set_defaults(name, word);
	}
	if (value->kind == CO_YAML_MAP)
		rc = read_members(y, name, value);
	else if (!co_yaml_is_null(value))
		rc = complain(y, value, "%s must be a group of keys, indented below it",
			      word);
	if (rc == 0)
		fill(name);
	return rc;
}

static int read_services(const struct co_yaml *y, struct names_list *list,
			 const struct co_yaml_node *map)
{
	for (const struct co_yaml_node *n = map->first; n; n = n->next) {
		int rc;

		for (const struct co_yaml_node *o = map->first; o != n; o = o->next)
			if (!strcmp(n->key->text, o->key->text))
				return complain(y, n->key, "%s is there twice",
						n->key->text);
		rc = read_service(y, list, n->key, n);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_file(const struct co_yaml *y, struct names_list *list)
{
	char quoted[64];

	if (y->root && y->root->kind != CO_YAML_MAP)
		return complain(y, y->root, "this must begin with \"services:\"");
	for (const struct co_yaml_node *n = y->root ? y->root->first : NULL; n;
	     n = n->next) {
		int rc = 0;

		if (!co_yaml_is(n->key, "services"))
			return complain(y, n->key,
					"there is no key \"%s\"; services are listed "
					"below \"services:\"",
					co_yaml_quote(n->key, quoted, sizeof(quoted)));
		if (n != y->root->first)
			return complain(y, n->key, "services is there twice");
		if (n->kind == CO_YAML_MAP)
			rc = read_services(y, list, n);
		else if (!co_yaml_is_null(n))
			rc = complain(y, n,
				      "services must be a group of keys, indented "
				      "below it");
		if (rc)
			return rc;
	}
	return 0;
}

int names_parse(struct names_list *list, const char *file, const char *text, size_t n,
		struct co_err *err)
{
	autoyaml struct co_yaml y = { 0 };
	int rc = co_yaml_parse(&y, file, text, n, err);

	return rc ? rc : read_file(&y, list);
}

/* path need not exist; NULL is none. */
static int parse_file(struct names_list *list, const char *path, bool *out_there,
		      struct co_err *err)
{
	autofree char *text = NULL;
	size_t n;
	int r = co_yaml_read_text(path, &text, &n, err);

	*out_there = r != CO_YAML_NO_FILE;
	if (r == CO_YAML_NO_FILE)
		return 0;
	return r ? r : names_parse(list, path, text, n, err);
}

int names_load(struct names_list *out, const char *path, struct co_err *err)
{
	const char *folder = getenv("CLOUDOS_DATADIR");
	char installed[512];
	bool there;
	int r;

	out->count = 0;
	(void) snprintf(installed, sizeof(installed), "%s/services.yaml",
			folder && folder[0] ? folder : CO_DATADIR);
	r = parse_file(out, installed, &there, err);
	if (!r && !there)
		r = names_parse(out, "services.yaml", builtin, sizeof(builtin) - 1,
				err);
	if (!r)
		r = parse_file(out, path, &there, err);
	return r;
}
