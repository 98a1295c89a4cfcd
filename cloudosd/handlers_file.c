/* SPDX-License-Identifier: MIT */
/*
 * handlers.yaml.  HOST.  config_guard has looked at the text before it is loaded as a tree,
 * so the tree is small, plain and without aliases.
 */
#include "cloudosd/handlers_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "cloudosd/config.h"
#include "lib/cleanup.h"
#include "lib/escape.h"

struct block { /* of memory */
	struct block *next;
	max_align_t bytes[];
};

struct reader {
	yaml_document_t document;
	const char *file;
	struct handlers_file *out;
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

static void *memory(struct reader *r, size_t n)
{
	struct block *block = calloc(1, sizeof(*block) + n);

	if (!block) {
		(void) co_fail(r->err, CO_NO_MEMORY, "%s: out of memory", r->file);
		return NULL;
	}
	block->next = r->out->memory;
	r->out->memory = block;
	return block->bytes;
}

/* ---- values ---- */

/* A text without a NUL; NULL: complained, or no memory. */
static const char *text_of(struct reader *r, const yaml_node_t *value, const char *key)
{
	size_t n = value->data.scalar.length;
	char *text;

	if (value->type != YAML_SCALAR_NODE ||
	    memchr(value->data.scalar.value, '\0', n) || !n) {
		(void) complain(r, value, "%s must be a text", key);
		return NULL;
	}
	text = memory(r, n + 1);
	if (text)
		memcpy(text, value->data.scalar.value, n);
	return text;
}

static int set_text(struct reader *r, const yaml_node_t *value, const char *key,
		    void *member)
{
	const char **to = member;

	*to = text_of(r, value, key);
	return *to ? 0 : r->err->code;
}

static int set_list(struct reader *r, const yaml_node_t *value, const char *key,
		    void *member)
{
	const char *const **to = member;
	const char **list;
	size_t n, i = 0;

	if (value->type != YAML_SEQUENCE_NODE)
		return complain(r, value, "%s must be a list: [one, two]", key);
	n = (size_t) (value->data.sequence.items.top -
		      value->data.sequence.items.start);
	list = memory(r, (n + 1) * sizeof(const char *));
	if (!list)
		return CO_NO_MEMORY;
	for (; i < n; i++) {
		list[i] = text_of(r, node(r, value->data.sequence.items.start[i]), key);
		if (!list[i])
			return r->err->code;
	}
	*to = list;
	return 0;
}

static int set_number(struct reader *r, const yaml_node_t *value, const char *key,
		      void *member)
{
	uint32_t *to = member, number = 0;
	const char *text = value->type == YAML_SCALAR_NODE
				   ? (const char *) value->data.scalar.value
				   : "";

	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9' || p - text > 6)
			text = "";
		else
			number = number * 10 + (uint32_t) (*p - '0');
		if (!*text)
			break;
	}
	if (!*text || !number)
		return complain(r, value, "%s must be a whole number from 1 to 9999999",
				key);
	*to = number;
	return 0;
}

static const struct member {
	const char *key;
	int (*set)(struct reader *r, const yaml_node_t *value, const char *key,
		   void *member);
	size_t offset;
} members[] = {
#define MEMBER(key, how, member)                                                       \
	{                                                                              \
		key, how, offsetof(struct configured_spec, member)                     \
	}
	MEMBER("service", set_text, service),
	MEMBER("methods", set_list, methods),
	MEMBER("jobs", set_list, jobs),
	MEMBER("command", set_list, argv),
	MEMBER("backend", set_text, backend),
	MEMBER("directory", set_text, directory),
	MEMBER("environment", set_list, environment),
	MEMBER("concurrency", set_number, concurrency),
	MEMBER("cpu", set_number, cpu_s),
	MEMBER("memory", set_number, memory_mib),
	MEMBER("files", set_number, files),
#undef MEMBER
};

/* ---- one handler ---- */

static int unknown(const struct reader *r, const yaml_node_t *key)
{
	char quoted[64] = "?", all[200] = "";
	size_t at = 0;

	for (size_t i = 0; i < co_countof(members); i++)
		at += (size_t) snprintf(all + at, sizeof(all) - at, "%s%s",
					i ? ", " : "", members[i].key);
	if (key->type == YAML_SCALAR_NODE)
		(void) co_escape(quoted, sizeof(quoted),
				 (const char *) key->data.scalar.value,
				 key->data.scalar.length);
	return complain(r, key, "a handler has no key \"%s\"; there are %s", quoted,
			all);
}

static const struct member *find_member(const yaml_node_t *key)
{
	for (size_t i = 0; i < co_countof(members); i++)
		if (key->type == YAML_SCALAR_NODE &&
		    strcmp((const char *) key->data.scalar.value, members[i].key) == 0)
			return &members[i];
	return NULL;
}

static int read_members(struct reader *r, struct configured_spec *spec,
			const yaml_node_t *map)
{
	uint32_t seen = 0;
	int rc = 0;

	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start;
	     p < map->data.mapping.pairs.top && !rc; p++) {
		const yaml_node_t *key = node(r, p->key);
		const struct member *m = find_member(key);

		if (!m)
			return unknown(r, key);
		if (seen & 1U << (m - members))
			return complain(r, key, "%s.%s is there twice", spec->label,
					m->key);
		seen |= 1U << (m - members);
		rc = m->set(r, node(r, p->value), m->key, (char *) spec + m->offset);
	}
	return rc;
}

static int check_environment(const struct reader *r, const yaml_node_t *at,
			     const struct configured_spec *spec)
{
	for (const char *const *p = spec->environment; p && *p; p++)
		if (!strchr(*p, '=') || **p == '=')
			return complain(r, at,
					"%s.environment has \"%.40s\", which is "
					"not NAME=value",
					spec->label, *p);
	return 0;
}

static int check(const struct reader *r, const yaml_node_t *at,
		 const struct configured_spec *spec)
{
	bool command = spec->argv && spec->argv[0];

	if (command == (spec->backend != NULL))
		return complain(r, at, "%s must have either a command or a backend",
				spec->label);
	if (command && spec->argv[0][0] != '/')
		return complain(r, at,
				"%s.command begins with \"%.60s\"; it must be the path "
				"of a program from the root",
				spec->label, spec->argv[0]);
	if (command && !(spec->methods && spec->methods[0]) &&
	    !(spec->jobs && spec->jobs[0]))
		return complain(r, at, "%s has neither methods nor jobs", spec->label);
	if (spec->directory && spec->directory[0] != '/')
		return complain(r, at, "%s.directory must be a path from the root",
				spec->label);
	if (spec->backend && strncmp(spec->backend, "http://", 7) != 0 &&
	    strncmp(spec->backend, "unix:/", 6) != 0)
		return complain(r, at,
				"%s.backend must be http://HOST:PORT or unix:/PATH",
				spec->label);
	return check_environment(r, at, spec);
}

static int read_handler(struct reader *r, const yaml_node_t *key,
			const yaml_node_t *value)
{
	struct configured_spec *spec = &r->out->specs[r->out->count];
	int rc;

	if (r->out->count == CO_LIMIT_RPC_CONFIGURED)
		return complain(r, key, "there are more than %d handlers",
				CO_LIMIT_RPC_CONFIGURED);
	*spec = (struct configured_spec){ .service = "cloudosd" };
	spec->label = text_of(r, key, "the name of a handler");
	if (!spec->label)
		return r->err->code;
	if (value->type != YAML_MAPPING_NODE)
		return complain(r, value,
				"%s must be a group of keys, indented below it",
				spec->label);
	rc = read_members(r, spec, value);
	if (!rc)
		rc = check(r, key, spec);
	if (!rc)
		r->out->count++;
	return rc;
}

/* ---- the file ---- */

static bool is_empty(const yaml_node_t *n)
{
	return n->type == YAML_SCALAR_NODE && !n->data.scalar.length;
}

static int read_file(struct reader *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(&r->document), *key, *map;
	const yaml_node_pair_t *p;
	int rc = 0;

	if (!root || is_empty(root))
		return 0;
	p = root->type == YAML_MAPPING_NODE ? root->data.mapping.pairs.start : NULL;
	key = p && p + 1 == root->data.mapping.pairs.top ? node(r, p->key) : NULL;
	if (!key || key->type != YAML_SCALAR_NODE ||
	    strcmp((const char *) key->data.scalar.value, "handlers") != 0)
		return complain(r, root,
				"there is one key in this file: handlers are listed "
				"below \"handlers:\"");
	map = node(r, p->value);
	if (is_empty(map))
		return 0;
	if (map->type != YAML_MAPPING_NODE)
		return complain(r, map,
				"handlers must be a group of keys, indented below it");
	for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top && !rc;
	     p++)
		rc = read_handler(r, node(r, p->key), node(r, p->value));
	return rc;
}

void handlers_file_done(struct handlers_file *f)
{
	while (f->memory) {
		struct block *block = f->memory;

		f->memory = block->next;
		free(block);
	}
	f->count = 0;
}

int handlers_parse(struct handlers_file *out, const char *file, const char *text,
		   size_t n, struct co_err *err)
{
	struct co_err own = { 0 };
	struct reader r = { .file = file, .out = out, .err = err ? err : &own };
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
	rc = read_file(&r);
	yaml_document_delete(&r.document);
	yaml_parser_delete(&parser);
	return rc;
}

int handlers_load(struct handlers_file *out, const char *path, struct co_err *err)
{
	autofree char *text = NULL;
	struct stat st;
	size_t n;
	int r;

	if (stat(path, &st) < 0)
		return errno == ENOENT
			       ? 0
			       : co_fail_errno(err, errno, "cannot read %s", path);
	if ((st.st_uid && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return co_fail(
			err, CO_ACCESS,
			"%s names programs to run, so it has to belong to you or "
			"root, and nobody else may write it; see ls -l, chown and "
			"chmod 644",
			path);
	r = config_read_text(path, &text, &n, err);
	if (r == CONFIG_NO_FILE)
		return 0;
	return r ? r : handlers_parse(out, path, text, n, err);
}
