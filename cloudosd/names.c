/* SPDX-License-Identifier: MIT */
/*
 * services.yaml.  HOST.  config_guard has looked at the text before it is loaded as a tree,
 * so the tree is small, plain and without aliases.
 */
#include "cloudosd/names.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "cloudosd/config.h"
#include "lib/cleanup.h"
#include "lib/escape.h"

static const char builtin[] =
#include "services-yaml.h"
	;

struct reader {
	yaml_document_t document;
	const char *file;
	struct co_err *err;
};

static int complain(const struct reader *r, const yaml_node_t *at, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));

static int complain(const struct reader *r, const yaml_node_t *at, const char *format,
		    ...)
{
	char what[400];
	va_list ap;

	va_start(ap, format);
	(void) vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	return co_fail(r->err, CO_INVALID, "%s:%u: %s", r->file,
		       (unsigned) at->start_mark.line + 1, what);
}

static yaml_node_t *node(struct reader *r, int index)
{
	return yaml_document_get_node(&r->document, index);
}

static bool is_null(const yaml_node_t *n)
{
	const char *text = (const char *) n->data.scalar.value;

	return n->type == YAML_SCALAR_NODE &&
	       n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!text[0] || !strcmp(text, "~") || !strcmp(text, "null"));
}

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

static int set_member(struct reader *r, struct name *name, const struct member *m,
		      const yaml_node_t *value)
{
	const char *text = (const char *) value->data.scalar.value;
	char quoted[80];
	uint32_t port;
	bool good;

	if (value->type != YAML_SCALAR_NODE)
		return complain(r, value, "%s.%s must be a single value, %s",
				name->word, m->key, m->rule);
	if (is_null(value))
		text = "";
	good = text[0] ? strlen(text) == value->data.scalar.length : true;
	good = good && (m->good ? m->good(text) : good_port(text, &port));
	if (!good) {
		(void) co_escape(quoted, sizeof(quoted), text, strlen(text));
		return complain(r, value, "%s.%s is \"%s\"; it must be %s", name->word,
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

static int unknown_member(const struct reader *r, const yaml_node_t *key,
			  const char *word)
{
	char quoted[64], all[160] = "";
	size_t at = 0;

	for (size_t i = 0; i < co_countof(members); i++)
		at += (size_t) snprintf(all + at, sizeof(all) - at, "%s%s",
					i ? ", " : "", members[i].key);
	(void) co_escape(quoted, sizeof(quoted), (const char *) key->data.scalar.value,
			 key->data.scalar.length);
	return complain(r, key, "%s has no key \"%s\"; there are %s", word, quoted,
			all);
}

static int read_members(struct reader *r, struct name *name, const yaml_node_t *map)
{
	uint32_t seen = 0;

	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start;
	     p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = node(r, p->key);
		const struct member *m =
			key->type == YAML_SCALAR_NODE
				? find_member((const char *) key->data.scalar.value)
				: NULL;
		int rc;

		if (key->type != YAML_SCALAR_NODE)
			return complain(r, key, "a key of %s must be a word",
					name->word);
		if (!m)
			return unknown_member(r, key, name->word);
		if (seen & 1U << (m - members))
			return complain(r, key, "%s.%s is there twice", name->word,
					m->key);
		seen |= 1U << (m - members);
		rc = set_member(r, name, m, node(r, p->value));
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

static int read_service(struct reader *r, struct names_list *list,
			const yaml_node_t *key, const yaml_node_t *value)
{
	const char *word = (const char *) key->data.scalar.value;
	struct name *name;
	char quoted[80];
	int rc = 0;

	if (key->type != YAML_SCALAR_NODE || !good_word(word) || strlen(word) > 48 ||
	    strlen(word) != key->data.scalar.length) {
		(void) co_escape(quoted, sizeof(quoted),
				 key->type == YAML_SCALAR_NODE ? word : "?",
				 key->type == YAML_SCALAR_NODE ? key->data.scalar.length
							       : 1);
		return complain(r, key,
				"a service cannot be called \"%s\"; its key is of "
				"letters, digits, \"-\" and \"_\", at most 48 of them",
				quoted);
	}
	name = find(list, word);
	if (!name && list->count == CO_LIMIT_NAMES)
		return complain(r, key, "%s is one service too many; %d can be named",
				word, CO_LIMIT_NAMES);
	if (!name) {
		name = &list->list[list->count++];
		set_defaults(name, word);
	}
	if (value->type == YAML_MAPPING_NODE)
		rc = read_members(r, name, value);
	else if (!is_null(value))
		rc = complain(r, value, "%s must be a group of keys, indented below it",
			      word);
	if (rc == 0)
		fill(name);
	return rc;
}

static int read_services(struct reader *r, struct names_list *list,
			 const yaml_node_t *map)
{
	const yaml_node_pair_t *start = map->data.mapping.pairs.start;

	for (const yaml_node_pair_t *p = start; p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = node(r, p->key);
		int rc;

		for (const yaml_node_pair_t *q = start; q < p; q++) {
			const yaml_node_t *other = node(r, q->key);

			if (key->type == YAML_SCALAR_NODE &&
			    other->type == YAML_SCALAR_NODE &&
			    !strcmp((const char *) key->data.scalar.value,
				    (const char *) other->data.scalar.value))
				return complain(r, key, "%s is there twice",
						(const char *) key->data.scalar.value);
		}
		rc = read_service(r, list, key, node(r, p->value));
		if (rc)
			return rc;
	}
	return 0;
}

static int read_file(struct reader *r, struct names_list *list)
{
	const yaml_node_t *root = yaml_document_get_root_node(&r->document);
	const yaml_node_pair_t *p;

	if (!root || is_null(root))
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return complain(r, root, "this must begin with \"services:\"");
	for (p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *key = node(r, p->key), *value = node(r, p->value);
		char quoted[64];
		int rc = 0;

		if (key->type != YAML_SCALAR_NODE)
			return complain(r, key, "a key must be a word");
		(void) co_escape(quoted, sizeof(quoted),
				 (const char *) key->data.scalar.value,
				 key->data.scalar.length);
		if (strcmp(quoted, "services") != 0)
			return complain(r, key,
					"there is no key \"%s\"; services are listed "
					"below \"services:\"",
					quoted);
		if (p != root->data.mapping.pairs.start)
			return complain(r, key, "services is there twice");
		if (value->type == YAML_MAPPING_NODE)
			rc = read_services(r, list, value);
		else if (!is_null(value))
			rc = complain(r, value,
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
	struct reader r = { .file = file, .err = err };
	yaml_parser_t parser;
	int rc;

	if (n > CO_LIMIT_CONFIG_BYTES)
		return co_fail(err, CO_TOO_BIG, "%s has more than %d bytes", file,
			       CO_LIMIT_CONFIG_BYTES);
	rc = config_guard(file, text, n, err);
	if (rc)
		return rc;
	if (!yaml_parser_initialize(&parser))
		return co_fail(err, CO_NO_MEMORY, "%s: out of memory", file);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *) text, n);
	/* it is proper YAML: the guard has seen all of it */
	if (!yaml_parser_load(&parser, &r.document)) {
		yaml_parser_delete(&parser);
		return co_fail(err, CO_NO_MEMORY, "%s: out of memory", file);
	}
	rc = read_file(&r, list);
	yaml_document_delete(&r.document);
	yaml_parser_delete(&parser);
	return rc;
}

/* path need not exist; NULL is none. */
static int parse_file(struct names_list *list, const char *path, bool *out_there,
		      struct co_err *err)
{
	autofree char *text = NULL;
	size_t n;
	int r = config_read_text(path, &text, &n, err);

	*out_there = r != CONFIG_NO_FILE;
	if (r == CONFIG_NO_FILE)
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
