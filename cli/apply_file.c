/* SPDX-License-Identifier: MIT */
/* cloudos.yaml, read and checked.  HOST.  No files, no daemon: the fuzz target calls it. */
#include <co/limits.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/apply.h"
#include "cloudosd/service/container_config.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "lib/nearest.h"

const char *apply_kind_name(enum apply_kind kind)
{
	static const char *const names[] = { "container", "guest", "service" };

	return names[kind];
}

/* What a guest is to be: keys, and members of what its keeper reads (guest.h). */
/* clang-format off */
static const struct config_member guest_members[] = {
	{ NULL, NULL, "command",     "command",     CONFIG_WORDS,   0, 0, false },
	{ NULL, NULL, "working_dir", "directory",   CONFIG_PATH,    0, 0, false },
	{ NULL, NULL, "environment", "env",         CONFIG_ENV,     0, 0, false },
	{ NULL, NULL, "personality", "personality", CONFIG_TEXT,    0, 0, false },
	{ NULL, NULL, "engine",      "engine",      CONFIG_TEXT,    0, 0, false },
	{ NULL, NULL, "options",     "options",     CONFIG_TEXTS,   0, 0, false },
	{ NULL, NULL, "provides",    "provides",    CONFIG_TEXTS,   0, 0, false },
	{ NULL, NULL, "restart",     "restart",     CONFIG_TEXT,    0, 0, false },
	{ NULL, NULL, "stop_signal", "stopSignal",  CONFIG_TEXT,    0, 0, false },
	{ NULL, NULL, "stop_timeout", "stopTimeout", CONFIG_SECONDS, 0, 86400, false },
	{ NULL, NULL, "log_size",    "logMaxSize",  CONFIG_MIB,     1, 1 << 20, false },
	{ NULL, NULL, "log_files",   "logMaxFiles", CONFIG_NUMBER,  1, 100, false },
};
/* clang-format on */

struct table {
	const struct config_member *rows;
	size_t count;
};

/* One unit that is being read. */
struct reader {
	struct apply_file *file;
	struct apply_unit *unit;
	struct table table;
};

#define complain(r, at, ...) co_yaml_complain(&(r)->file->yaml, at, __VA_ARGS__)

static int no_memory(const struct apply_file *f)
{
	return co_fail(f->yaml.err, CO_NO_MEMORY, "%s: out of memory", f->yaml.name);
}

static const struct co_yaml_node *member(const struct co_yaml_node *map,
					 const char *key)
{
	if (map->kind != CO_YAML_MAP)
		return NULL;
	for (const struct co_yaml_node *n = map->first; n; n = n->next)
		if (co_yaml_is(n->key, key) && !co_yaml_is_null(n))
			return n;
	return NULL;
}

static int twice(const struct apply_file *f, const struct co_yaml_node *map)
{
	char quoted[64];

	for (const struct co_yaml_node *n = map->first; n; n = n->next)
		for (const struct co_yaml_node *o = map->first; o != n; o = o->next)
			if (strcmp(n->key->text, o->key->text) == 0)
				return co_yaml_complain(
					&f->yaml, n->key, "%s is there twice",
					co_yaml_quote(n->key, quoted, sizeof(quoted)));
	return 0;
}

/* ---- values ---- */

static int wrong(const struct reader *r, const struct config_member *m,
		 const struct co_yaml_node *value)
{
	char quoted[64], rule[120];

	config_rule(m, rule, sizeof(rule));
	if (value->kind != CO_YAML_SCALAR)
		return complain(r, value, "%s.%s must be %s", r->unit->name, m->key,
				rule);
	return complain(r, value, "%s.%s is \"%s\"; it must be %s", r->unit->name,
			m->key, co_yaml_quote(value, quoted, sizeof(quoted)), rule);
}

static int scalar(const struct reader *r, const struct config_member *m,
		  const struct co_yaml_node *value, struct co_buf *out)
{
	if (value->kind != CO_YAML_SCALAR ||
	    (m->kind == CONFIG_SWITCH && !value->plain) ||
	    !config_scalar(m, value->text, r->file->folder, out))
		return wrong(r, m, value);
	return 0;
}

/* "data:/inside" of a volume that the file has: its folder, or its name in the domain. */
static int volume(const struct reader *r, const struct config_member *m,
		  const struct co_yaml_node *value, struct co_buf *out)
{
	autobuf struct co_buf whole = { 0 };
	const struct co_yaml_node *known = NULL, *path;
	size_t n;

	if (value->kind != CO_YAML_SCALAR)
		return wrong(r, m, value);
	n = strcspn(value->text, ":");
	if (!n || memchr(value->text, '/', n) || value->text[0] == '.')
		return scalar(r, m, value, out);
	for (const struct co_yaml_node *v = r->file->volumes ? r->file->volumes->first
							     : NULL;
	     v && !known; v = v->next)
		if (v->key->size == n && memcmp(v->key->text, value->text, n) == 0)
			known = v;
	if (!known)
		return complain(r, value,
				"there is no volume \"%.*s\"; list it below "
				"\"volumes:\", or write ./%.*s for a folder",
				(int) (n > 60 ? 60 : n), value->text,
				(int) (n > 60 ? 60 : n), value->text);
	path = member(known, "path");
	if (path)
		co_buf_text(&whole, path->text);
	else
		co_buf_format(&whole, "%s_%s", r->file->project, known->key->text);
	co_buf_text(&whole, value->text + n);
	if (whole.failed)
		return no_memory(r->file);
	if (path && path->text[0] != '/' && path->text[0] != '.')
		return complain(r, path, "the path of a volume begins with / or ./");
	return config_scalar(m, whole.data, r->file->folder, out) ? 0
								  : wrong(r, m, value);
}

/* A member of a map as NAME=value; without a value: as it is here. */
static int pair(const struct reader *r, const struct config_member *m,
		const struct co_yaml_node *value, struct co_buf *out)
{
	autobuf struct co_buf whole = { 0 };

	if (!value->key)
		return scalar(r, m, value, out);
	if (value->kind != CO_YAML_SCALAR || strchr(value->key->text, '='))
		return wrong(r, m, value);
	co_buf_text(&whole, value->key->text);
	if (m->kind == CONFIG_PAIRS || !co_yaml_is_null(value)) {
		co_buf_char(&whole, '=');
		co_buf_text(&whole, value->text);
	}
	if (whole.failed)
		return no_memory(r->file);
	return config_scalar(m, whole.data, r->file->folder, out) ? 0
								  : wrong(r, m, value);
}

static int list(const struct reader *r, const struct config_member *m,
		const struct co_yaml_node *value, struct co_buf *out)
{
	bool pairs = m->kind == CONFIG_PAIRS || m->kind == CONFIG_ENV;
	char opening = m->kind == CONFIG_PAIRS ? '{' : '[';
	int rc = 0;

	if (value->kind == CO_YAML_SCALAR || (value->kind == CO_YAML_MAP && !pairs))
		return complain(r, value, "%s.%s must be a list: [one, two]",
				r->unit->name, m->key);
	co_buf_char(out, opening);
	for (value = value->first; value && rc == 0 && !out->failed;
	     value = value->next) {
		size_t before;

		if (out->data[out->size - 1] != opening)
			co_buf_char(out, ',');
		before = out->size;
		if (pairs)
			rc = pair(r, m, value, out);
		else if (m->kind == CONFIG_VOLUMES)
			rc = volume(r, m, value, out);
		else
			rc = scalar(r, m, value, out);
		if (out->size == before && out->data && out->data[before - 1] == ',')
			out->size--; /* a variable that is not set here */
	}
	co_buf_char(out, m->kind == CONFIG_PAIRS ? '}' : ']');
	return rc;
}

static int value_of(const struct reader *r, const struct config_member *m,
		    const struct co_yaml_node *value, struct co_buf *out)
{
	switch (m->kind) {
	case CONFIG_TEXTS:
	case CONFIG_PAIRS:
	case CONFIG_ENV:
	case CONFIG_VOLUMES:
		return list(r, m, value, out);
	case CONFIG_WORDS:
		if (value->kind == CO_YAML_LIST)
			return list(r, m, value, out);
		return scalar(r, m, value, out);
	case CONFIG_TEXT:
		if (value->kind == CO_YAML_SCALAR && value->size)
			return scalar(r, m, value, out);
		return wrong(r, m, value);
	default:
		return scalar(r, m, value, out);
	}
}

/* ---- keys ---- */

/* The row of a key, in a group ("health") or not (""). */
static const struct config_member *row_of(const struct table *t, const char *group,
					  const char *key)
{
	size_t n = strlen(group);

	for (size_t i = 0; i < t->count; i++) {
		const char *path = t->rows[i].key;

		if (!path || (n && (strncmp(path, group, n) || path[n] != '.')))
			continue;
		if (strcmp(path + n + (n > 0), key) == 0)
			return &t->rows[i];
	}
	return NULL;
}

static bool is_group(const struct table *t, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].key && !strncmp(t->rows[i].key, key, n) &&
		    t->rows[i].key[n] == '.')
			return true;
	return false;
}

static int unknown(const struct apply_file *f, const struct co_yaml_node *key,
		   const char *where, const struct co_nearest *near)
{
	char quoted[64];

	return co_yaml_complain(&f->yaml, key, "%s has no key \"%s\"%s%.*s%s", where,
				co_yaml_quote(key, quoted, sizeof(quoted)),
				near->word ? "; did you mean \"" : "", (int) near->size,
				near->word ? near->word : "", near->word ? "\"?" : "");
}

static int unknown_key(const struct reader *r, const char *group,
		       const struct co_yaml_node *key)
{
	struct co_nearest near = co_nearest(key->text, key->size);
	size_t n = strlen(group);

	for (size_t i = 0; i < r->table.count; i++) {
		const char *path = r->table.rows[i].key;

		if (!path || (n && (strncmp(path, group, n) || path[n] != '.')))
			continue;
		path += n + (n > 0);
		co_nearest_try(&near, path, strcspn(path, "."));
	}
	if (!n)
		co_nearest_try(&near, "depends_on", 10);
	return unknown(r->file, key, n ? group : r->unit->name, &near);
}

static int check_keys(const struct reader *r, const struct co_yaml_node *map,
		      const char *group)
{
	int rc = twice(r->file, map);

	for (const struct co_yaml_node *n = map->first; n && rc == 0; n = n->next) {
		const char *key = n->key->text;

		if (row_of(&r->table, group, key) ||
		    (!*group && !strcmp(key, "depends_on")))
			continue;
		if (*group || !is_group(&r->table, key))
			return unknown_key(r, group, n->key);
		if (n->kind == CO_YAML_MAP)
			rc = check_keys(r, n, key);
		else if (!co_yaml_is_null(n))
			rc = complain(
				r, n,
				"%s.%s must be a group of keys, indented below it",
				r->unit->name, key);
	}
	return rc;
}

/* The value of a row's key, which may be in a group; NULL: nothing is said. */
static const struct co_yaml_node *find(const struct co_yaml_node *map, const char *path)
{
	const char *dot = strchr(path, '.');
	char group[32];

	if (!dot)
		return member(map, path);
	(void) snprintf(group, sizeof(group), "%.*s", (int) (dot - path),
			path); /* ours */
	map = member(map, group);
	return map ? member(map, dot + 1) : NULL;
}

/* Members in the order of the table, so that the same file always gives the same text. */
static int read_members(const struct reader *r, const struct co_yaml_node *map,
			struct co_buf *out)
{
	const char *open = NULL;
	int rc = 0;

	for (size_t i = 0; i < r->table.count && rc == 0; i++) {
		const struct config_member *m = &r->table.rows[i];
		const struct co_yaml_node *value = m->key ? find(map, m->key) : NULL;

		if (!value)
			continue;
		config_nest(out, &open, m);
		rc = value_of(r, m, value, out);
	}
	if (open)
		co_buf_char(out, '}');
	return rc;
}

/* ---- dependencies ---- */

static int read_condition(const struct reader *r, const struct co_yaml_node *value,
			  enum apply_condition *out)
{
	static const char *const words[] = { "started", "healthy", "completed" };
	char quoted[64];

	for (size_t i = 0; i < co_countof(words); i++)
		if (co_yaml_is(value, words[i])) {
			*out = (enum apply_condition) i;
			return 0;
		}
	return complain(r, value,
			"%s.depends_on has \"%s\"; it must be started, healthy or "
			"completed",
			r->unit->name, co_yaml_quote(value, quoted, sizeof(quoted)));
}

static int read_needs(const struct reader *r, const struct co_yaml_node *value)
{
	struct apply_unit *u = r->unit;
	int rc = 0;

	if (!value)
		return 0;
	if (value->kind == CO_YAML_SCALAR)
		return complain(r, value,
				"%s.depends_on must be a list, or a group of "
				"NAME: started, healthy or completed",
				u->name);
	u->needs = calloc(value->count + 1, sizeof(*u->needs));
	if (!u->needs)
		return no_memory(r->file);
	for (const struct co_yaml_node *n = value->first; n && rc == 0; n = n->next) {
		struct apply_need *need = &u->needs[u->nneeds++];

		need->at = n->key ? n->key : n;
		if (need->at->kind != CO_YAML_SCALAR)
			return complain(r, n, "%s.depends_on lists names", u->name);
		need->name = need->at->text;
		if (n->key)
			rc = read_condition(r, n, &need->condition);
	}
	return rc;
}

/* ---- units ---- */

static bool good_name(const char *text)
{
	bool digits = true;

	for (const char *p = text; *p; p++) {
		digits = digits && isdigit((unsigned char) *p);
		if (!isalnum((unsigned char) *p) && (p == text || !strchr("_.-", *p)))
			return false;
	}
	return *text && !digits && strlen(text) < APPLY_NAME;
}

static int wrong_name(const struct apply_file *f, const struct co_yaml_node *key,
		      const char *what)
{
	char quoted[80];

	return co_yaml_complain(&f->yaml, key,
				"%s cannot be called \"%s\": letters, digits, \"_\", "
				"\".\" and \"-\", at most %d, not only digits",
				what, co_yaml_quote(key, quoted, sizeof(quoted)),
				APPLY_NAME - 1);
}

struct apply_unit *apply_add(struct apply_file *f, enum apply_kind kind,
			     const char *name)
{
	struct apply_unit *u = calloc(1, sizeof(*u));

	if (!u) {
		(void) no_memory(f);
		return NULL;
	}
	(void) snprintf(u->name, sizeof(u->name), "%s", name);
	u->kind = kind;
	u->next = f->units;
	f->units = u;
	f->nunits++;
	return u;
}

/* Whether it has a check, and whether it comes again when it has ended. */
static void look(struct apply_unit *u, const struct co_yaml_node *map)
{
	const struct co_yaml_node *restart = member(map, "restart");

	u->restarts = restart && (co_yaml_is(restart, "always") ||
				  co_yaml_is(restart, "unless-stopped"));
	u->has_health = u->kind == APPLY_SERVICE || find(map, "health.command") ||
			member(map, "provides");
}

/* The rest of what the daemon would say, before anything is changed. */
static int check_container(const struct reader *r, const struct co_yaml_node *map)
{
	const struct co_buf *config = &r->unit->config;
	struct container_settings *parsed = NULL;
	struct co_err why = { 0 };
	int rc;

	if (!member(map, "image") == !member(map, "rootfs"))
		return complain(r, r->unit->at, "%s must have either image or rootfs",
				r->unit->name);
	rc = container_config_parse((struct co_span){ config->data, config->size },
				    &parsed, &why);
	(void) container_config_free(parsed);
	if (rc < 0)
		return complain(r, r->unit->at, "%s: %.300s", r->unit->name,
				why.message);
	return 0;
}

static bool good_restart(const char *text)
{
	static const char often[] = "on-failure:";
	size_t n = strlen(often);

	if (strncmp(text, often, n) == 0 && text[n])
		return strspn(text + n, "0123456789") == strlen(text + n) &&
		       strlen(text + n) < 10;
	return !strcmp(text, "no") || !strcmp(text, "always") ||
	       !strcmp(text, "unless-stopped") || !strcmp(text, "on-failure");
}

static int check_guest(const struct reader *r, const struct co_yaml_node *map)
{
	const struct co_yaml_node *command = member(map, "command");
	const struct co_yaml_node *restart = member(map, "restart");

	if (!command ||
	    !(command->kind == CO_YAML_LIST ? command->count : command->size))
		return complain(r, r->unit->at, "%s must have a command",
				r->unit->name);
	if (restart && !good_restart(restart->text))
		return complain(r, restart,
				"%s.restart must be no, always, on-failure[:N] or "
				"unless-stopped",
				r->unit->name);
	return 0;
}

static int read_config(struct reader *r, const struct co_yaml_node *map)
{
	struct co_buf *out = &r->unit->config;
	bool container = r->unit->kind == APPLY_CONTAINER;
	autobuf struct co_buf members = { 0 };
	int rc = read_members(r, map, &members);

	co_buf_text(out, "{\"name\":");
	co_buf_json_text(out, co_span(r->unit->name));
	if (r->unit->kind == APPLY_SERVICE) {
		co_buf_text(out, ",\"service\":");
		co_buf_json_text(out, co_span(r->unit->name));
	}
	co_buf_add(out, members.data ? members.data : "", members.size);
	if (container && r->file->network && !member(map, "network")) {
		co_buf_text(out, ",\"networkMode\":");
		co_buf_json_text(out, co_span(r->file->network));
	}
	if (!container && !member(map, "working_dir")) {
		co_buf_text(out, ",\"directory\":");
		co_buf_json_text(out, co_span(r->file->folder));
	}
	co_buf_char(out, '}');
	return rc == 0 && out->failed ? no_memory(r->file) : rc;
}

/* The label that says whose it is stands among those of the file. */
static int add_label(const struct apply_file *f, struct apply_unit *u)
{
	autobuf struct co_buf with = { 0 };
	struct co_span all = { u->config.data, u->config.size }, labels;
	size_t head;

	if (co_json_member(all, "labels", &labels)) {
		if (co_json_member(labels, APPLY_LABEL, &(struct co_span){ 0 }))
			return co_yaml_complain(&f->yaml, u->at,
						"%s has a label " APPLY_LABEL
						"; that one is set by the project",
						u->name);
		head = (size_t) (labels.data - all.data) + 1;
		co_buf_add(&with, all.data, head);
		co_buf_format(&with, "\"" APPLY_LABEL "\":\"%s\"%s", f->project,
			      labels.size > 2 ? "," : "");
		co_buf_add(&with, all.data + head, all.size - head);
	} else {
		co_buf_add(&with, all.data, all.size - 1);
		co_buf_format(&with, ",\"labels\":{\"" APPLY_LABEL "\":\"%s\"}}",
			      f->project);
	}
	if (with.failed)
		return no_memory(f);
	co_buf_done(&u->config);
	u->config = with;
	with = (struct co_buf){ 0 };
	return 0;
}

static int read_unit(struct apply_file *f, enum apply_kind kind,
		     const struct co_yaml_node *n)
{
	struct reader r = { .file = f };
	int rc;

	if (!good_name(n->key->text))
		return wrong_name(f, n->key, "a unit");
	for (struct apply_unit *u = f->units; u; u = u->next)
		if (strcmp(u->name, n->key->text) == 0)
			return co_yaml_complain(
				&f->yaml, n->key,
				"there is a %s called %s already; names are of all "
				"containers, guests and services together",
				apply_kind_name(u->kind), u->name);
	if (n->kind != CO_YAML_MAP)
		return co_yaml_complain(&f->yaml, n,
					"%s must be a group of keys, indented below it",
					n->key->text);
	if (f->nunits == CO_LIMIT_APPLY_UNITS)
		return co_yaml_complain(&f->yaml, n->key,
					"%s is one too many; a file can have %d",
					n->key->text, CO_LIMIT_APPLY_UNITS);
	r.unit = apply_add(f, kind, n->key->text);
	if (!r.unit)
		return CO_NO_MEMORY;
	r.unit->at = n->key;
	r.table = kind == APPLY_CONTAINER
			  ? (struct table){ config_members, config_nmembers }
			  : (struct table){ guest_members, co_countof(guest_members) };
	look(r.unit, n);
	rc = check_keys(&r, n, "");
	if (rc == 0)
		rc = read_config(&r, n);
	if (rc == 0)
		rc = read_needs(&r, member(n, "depends_on"));
	if (rc == 0)
		rc = kind == APPLY_CONTAINER ? check_container(&r, n)
					     : check_guest(&r, n);
	return rc == 0 && kind == APPLY_CONTAINER ? add_label(f, r.unit) : rc;
}

/* ---- the other keys ---- */

static int read_units(struct apply_file *f, const struct co_yaml_node *root,
		      const char *key, enum apply_kind kind)
{
	const struct co_yaml_node *map = member(root, key);
	int rc;

	if (!map)
		return 0;
	if (map->kind != CO_YAML_MAP)
		return co_yaml_complain(&f->yaml, map,
					"%s must be a group of keys, indented below it",
					key);
	rc = twice(f, map);
	for (const struct co_yaml_node *n = map->first; n && rc == 0; n = n->next)
		rc = read_unit(f, kind, n);
	return rc;
}

/* One with a key: NAME: {key: value} or nothing. */
static int only_key(const struct apply_file *f, const struct co_yaml_node *n,
		    const char *key, const char *other)
{
	for (const struct co_yaml_node *m = n->first; m; m = m->next) {
		struct co_nearest near = co_nearest(m->key->text, m->key->size);

		co_nearest_try(&near, key, strlen(key));
		if (other)
			co_nearest_try(&near, other, strlen(other));
		if (!co_yaml_is(m->key, key) && !(other && co_yaml_is(m->key, other)))
			return unknown(f, m->key, n->key->text, &near);
		if (m->kind != CO_YAML_SCALAR)
			return co_yaml_complain(&f->yaml, m, "%s.%s must be a text",
						n->key->text, m->key->text);
	}
	return 0;
}

static int add_volume(struct apply_file *f, const struct co_yaml_node *n)
{
	struct apply_volume *v = calloc(1, sizeof(*v));

	if (!v)
		return no_memory(f);
	v->at = n->key;
	(void) snprintf(v->name, sizeof(v->name), "%s_%s", f->project,
			n->key->text); /* fits: both are good names */
	v->next = f->named;
	f->named = v;
	return 0;
}

static int read_volumes(struct apply_file *f, const struct co_yaml_node *root)
{
	const struct co_yaml_node *map = member(root, "volumes");
	int rc = 0;

	if (!map)
		return 0;
	if (map->kind != CO_YAML_MAP)
		return co_yaml_complain(&f->yaml, map,
					"volumes must be a group of names, each with "
					"nothing or a path behind it");
	f->volumes = map;
	rc = twice(f, map);
	for (const struct co_yaml_node *n = map->first; n && rc == 0; n = n->next) {
		if (!good_name(n->key->text))
			rc = wrong_name(f, n->key, "a volume");
		else if (n->kind == CO_YAML_MAP)
			rc = only_key(f, n, "path", NULL);
		else if (!co_yaml_is_null(n))
			rc = co_yaml_complain(&f->yaml, n,
					      "%s must be nothing, or {path: ./folder}",
					      n->key->text);
		if (rc == 0 && !member(n, "path"))
			rc = add_volume(f, n);
	}
	return rc;
}

static int read_image(struct apply_file *f, const struct co_yaml_node *n)
{
	const struct co_yaml_node *import, *busybox;
	struct apply_image *image;
	int rc;

	rc = n->kind == CO_YAML_MAP ? only_key(f, n, "import", "busybox") : 0;
	if (rc < 0)
		return rc;
	import = member(n, "import");
	busybox = member(n, "busybox");
	if ((import != NULL) == (busybox && co_yaml_is(busybox, "true")))
		return co_yaml_complain(&f->yaml, n->key,
					"%s must have either {import: FILE} or "
					"{busybox: true}",
					n->key->text);
	image = calloc(1, sizeof(*image));
	if (!image)
		return no_memory(f);
	*image = (struct apply_image){ .next = f->images,
				       .at = n->key,
				       .name = n->key->text,
				       .path = import ? import->text : NULL };
	f->images = image;
	return 0;
}

static int read_images(struct apply_file *f, const struct co_yaml_node *root)
{
	const struct co_yaml_node *map = member(root, "images");
	int rc;

	if (!map)
		return 0;
	if (map->kind != CO_YAML_MAP)
		return co_yaml_complain(
			&f->yaml, map,
			"images must be a group of names, indented below "
			"it");
	rc = twice(f, map);
	for (const struct co_yaml_node *n = map->first; n && rc == 0; n = n->next)
		rc = read_image(f, n);
	return rc;
}

/* Its key, or the name of the folder as far as that is a name. */
static int read_project(struct apply_file *f, const struct co_yaml_node *root)
{
	const struct co_yaml_node *key = member(root, "project");
	const char *name = strrchr(f->folder, '/');
	size_t n = 0;

	if (key && (key->kind != CO_YAML_SCALAR || !good_name(key->text)))
		return wrong_name(f, key, "a project");
	if (key) {
		(void) snprintf(f->project, sizeof(f->project), "%s", key->text);
		return 0;
	}
	for (name = name ? name + 1 : ""; *name && n + 1 < sizeof(f->project); name++)
		if (isalnum((unsigned char) *name) || (n && strchr("_.-", *name)))
			f->project[n++] = *name;
	f->project[n] = 0;
	if (!good_name(f->project))
		(void) snprintf(f->project, sizeof(f->project), "project");
	return 0;
}

static int check_root(const struct apply_file *f, const struct co_yaml_node *root)
{
	static const char *const keys[] = { "project", "network",    "images",
					    "volumes", "containers", "guests",
					    "services" };

	if (root->kind != CO_YAML_MAP)
		return co_yaml_complain(&f->yaml, root,
					"this must be keys and values; it may begin "
					"with \"containers:\"");
	for (const struct co_yaml_node *n = root->first; n; n = n->next) {
		struct co_nearest near = co_nearest(n->key->text, n->key->size);
		bool known = false;

		for (size_t i = 0; i < co_countof(keys); i++) {
			known = known || co_yaml_is(n->key, keys[i]);
			co_nearest_try(&near, keys[i], strlen(keys[i]));
		}
		if (!known)
			return unknown(f, n->key, "the file", &near);
	}
	return twice(f, root);
}

int apply_parse(struct apply_file *out, const char *name, const char *folder,
		const char *text, size_t n, struct co_err *err)
{
	static const struct co_yaml_node empty = { .kind = CO_YAML_MAP };
	const struct co_yaml_node *root, *network;
	int rc;

	*out = (struct apply_file){ .folder = folder };
	rc = co_yaml_parse(&out->yaml, name, text, n, err);
	if (rc < 0)
		return rc;
	root = out->yaml.root;
	if (!root)
		root = &empty;
	rc = check_root(out, root);
	network = member(root, "network");
	if (rc == 0 && network && network->kind != CO_YAML_SCALAR)
		rc = co_yaml_complain(&out->yaml, network,
				      "network must be none, host, bridge or private");
	out->network = rc == 0 && network ? network->text : NULL;
	if (rc == 0)
		rc = read_project(out, root);
	if (rc == 0)
		rc = read_volumes(out, root);
	if (rc == 0)
		rc = read_images(out, root);
	if (rc == 0)
		rc = read_units(out, root, "containers", APPLY_CONTAINER);
	if (rc == 0)
		rc = read_units(out, root, "guests", APPLY_GUEST);
	if (rc == 0)
		rc = read_units(out, root, "services", APPLY_SERVICE);
	return rc;
}

void apply_done(struct apply_file *f)
{
	while (f->units) {
		struct apply_unit *u = f->units;

		f->units = u->next;
		co_buf_done(&u->config);
		co_buf_done(&u->changed);
		co_buf_done(&u->members);
		free(u->needs);
		free(u);
	}
	while (f->named) {
		struct apply_volume *v = f->named;

		f->named = v->next;
		free(v);
	}
	while (f->images) {
		struct apply_image *image = f->images;

		f->images = image->next;
		free(image);
	}
	co_yaml_done(&f->yaml);
}
