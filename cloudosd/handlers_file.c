/* SPDX-License-Identifier: MIT */
/*
 * handlers.yaml.  HOST.  The tree that lib/yaml_read.h makes of it, compared with a table.
 */
#include "cloudosd/handlers_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/yaml_read.h"

struct block { /* of memory */
	struct block *next;
	max_align_t bytes[];
};

struct reader {
	struct co_yaml yaml;
	const char *file;
	struct handlers_file *out;
	struct co_err *err;
};

/* The place is (r, at), as elsewhere. */
#define complain(r, at, ...) co_yaml_complain(&(r)->yaml, at, __VA_ARGS__)

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
static const char *text_of(struct reader *r, const struct co_yaml_node *value,
			   const char *key)
{
	char *text;

	if (value->kind != CO_YAML_SCALAR || !value->size) {
		(void) complain(r, value, "%s must be a text", key);
		return NULL;
	}
	text = memory(r, value->size + 1);
	if (text)
		memcpy(text, value->text, value->size);
	return text;
}

static int set_text(struct reader *r, const struct co_yaml_node *value, const char *key,
		    void *member)
{
	const char **to = member;

	*to = text_of(r, value, key);
	return *to ? 0 : r->err->code;
}

static int set_list(struct reader *r, const struct co_yaml_node *value, const char *key,
		    void *member)
{
	const char *const **to = member;
	const char **list;
	size_t i = 0;

	if (value->kind != CO_YAML_LIST)
		return complain(r, value, "%s must be a list: [one, two]", key);
	list = memory(r, (value->count + 1) * sizeof(const char *));
	if (!list)
		return CO_NO_MEMORY;
	for (value = value->first; value; value = value->next) {
		list[i] = text_of(r, value, key);
		if (!list[i++])
			return r->err->code;
	}
	*to = list;
	return 0;
}

static int set_number(struct reader *r, const struct co_yaml_node *value,
		      const char *key, void *member)
{
	uint32_t *to = member;
	uint64_t number;

	if (!co_yaml_number(value, 1, 9999999, &number))
		return complain(r, value, "%s must be a whole number from 1 to 9999999",
				key);
	*to = (uint32_t) number;
	return 0;
}

static const struct member {
	const char *key;
	int (*set)(struct reader *r, const struct co_yaml_node *value, const char *key,
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

static int unknown(const struct reader *r, const struct co_yaml_node *key)
{
	char quoted[64], all[200] = "";
	size_t at = 0;

	for (size_t i = 0; i < co_countof(members); i++)
		at += (size_t) snprintf(all + at, sizeof(all) - at, "%s%s",
					i ? ", " : "", members[i].key);
	return complain(r, key, "a handler has no key \"%s\"; there are %s",
			co_yaml_quote(key, quoted, sizeof(quoted)), all);
}

static const struct member *find_member(const struct co_yaml_node *key)
{
	for (size_t i = 0; i < co_countof(members); i++)
		if (co_yaml_is(key, members[i].key))
			return &members[i];
	return NULL;
}

static int read_members(struct reader *r, struct configured_spec *spec,
			const struct co_yaml_node *map)
{
	uint32_t seen = 0;
	int rc = 0;

	for (const struct co_yaml_node *n = map->first; n && !rc; n = n->next) {
		const struct member *m = find_member(n->key);

		if (!m)
			return unknown(r, n->key);
		if (seen & 1U << (m - members))
			return complain(r, n->key, "%s.%s is there twice", spec->label,
					m->key);
		seen |= 1U << (m - members);
		rc = m->set(r, n, m->key, (char *) spec + m->offset);
	}
	return rc;
}

static int check_environment(const struct reader *r, const struct co_yaml_node *at,
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

static int check(const struct reader *r, const struct co_yaml_node *at,
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

static int read_handler(struct reader *r, const struct co_yaml_node *key,
			const struct co_yaml_node *value)
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
	if (value->kind != CO_YAML_MAP)
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

static int read_file(struct reader *r)
{
	const struct co_yaml_node *root = r->yaml.root, *map;
	int rc = 0;

	if (!root)
		return 0;
	map = root->kind == CO_YAML_MAP && root->count == 1 ? root->first : NULL;
	if (!map || !co_yaml_is(map->key, "handlers"))
		return complain(r, root,
				"there is one key in this file: handlers are listed "
				"below \"handlers:\"");
	if (co_yaml_is_null(map))
		return 0;
	if (map->kind != CO_YAML_MAP)
		return complain(r, map,
				"handlers must be a group of keys, indented below it");
	for (const struct co_yaml_node *n = map->first; n && !rc; n = n->next)
		rc = read_handler(r, n->key, n);
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
	int rc = co_yaml_parse(&r.yaml, file, text, n, r.err);

	if (!rc)
		rc = read_file(&r);
	co_yaml_done(&r.yaml);
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
	r = co_yaml_read_text(path, &text, &n, err);
	if (r == CO_YAML_NO_FILE)
		return 0;
	return r ? r : handlers_parse(out, path, text, n, err);
}
