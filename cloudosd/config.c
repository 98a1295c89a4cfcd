/* SPDX-License-Identifier: MIT */
/*
 * The daemon's configuration: cloudosd.yaml against config.def.  HOST.  What is
 * proper YAML is lib/yaml_read.h's; here the tree is compared with the table.
 */
#include "cloudosd/config.h"

#include <stdbool.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/nearest.h"
#include "lib/yaml_read.h"

/* ---- the table ---- */

struct key {
	const char *path;
	enum config_type type;
	size_t offset; /* in struct config */
	const char *text;
	uint32_t number, min, max;
	const char *unit, *what;
};

/* clang-format off */
#define DEFAULT_LEVELS(value) .text = (value)
#define DEFAULT_TEXT(value)   .text = (value)
#define DEFAULT_NUMBER(value) .number = (value)
#define DEFAULT_WORD(value)   .number = (value)
static const struct key keys[] = {
#define KEY(member, path_, type_, default_, min_, max_, unit_, what_) { \
	.path = #path_, .type = CONFIG_##type_, .offset = offsetof(struct config, member), \
	DEFAULT_##type_(default_), .min = (min_), .max = (max_), .unit = (unit_), .what = (what_) },
#include "cloudosd/config.def"
#undef KEY
};

static const struct { const char *path, *word; } words[] = {
#define WORD(member, path, word) { #path, #word },
#include "cloudosd/config.def"
#undef WORD
};
/* clang-format on */

static void set_default(struct config *out, const struct key *key)
{
	char *member = (char *) out + key->offset;

	switch (key->type) {
	case CONFIG_LEVELS:
	case CONFIG_TEXT:
		(void) snprintf(member, CONFIG_TEXT_MAX, "%s", key->text);
		break;
	case CONFIG_NUMBER:
		memcpy(member, &key->number, sizeof(key->number));
		break;
	case CONFIG_WORD: {
		enum config_word word = (enum config_word) key->number;

		memcpy(member, &word, sizeof(word));
		break;
	}
	}
}

void config_default(struct config *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < co_countof(keys); i++)
		set_default(out, &keys[i]);
}

/* ---- keys ---- */

/*
 * Names at one level: of the whole file (group "") or of a group.  A path is a key of its
 * level if it begins with the group; its name ends at the next dot.
 */
static bool name_at(const struct key *key, const char *group, const char **out_name,
		    size_t *out_length)
{
	size_t n = strlen(group);

	if (n && (strncmp(key->path, group, n) != 0 || key->path[n] != '.'))
		return false;
	*out_name = key->path + (n ? n + 1 : 0);
	*out_length = strcspn(*out_name, ".");
	return true;
}

/* No key of this level: says so, with the nearest one if any. */
static int unknown_key(const struct co_yaml *y, const struct co_yaml_node *word,
		       const char *group)
{
	struct co_nearest near = co_nearest(word->text, word->size);
	char quoted[64];

	for (size_t i = 0; i < co_countof(keys); i++) {
		const char *name;
		size_t n;

		if (name_at(&keys[i], group, &name, &n))
			co_nearest_try(&near, name, n);
	}
	return co_yaml_complain(y, word, "there is no key \"%s\"%s%s%s%.*s%s",
				co_yaml_quote(word, quoted, sizeof(quoted)),
				*group ? " in " : "", group,
				near.word ? "; did you mean \"" : "", (int) near.size,
				near.word ? near.word : "", near.word ? "\"?" : "");
}

/* ---- values ---- */

struct place { /* of a value */
	const struct co_yaml *yaml;
	const struct co_yaml_node *value;
	const struct key *key;
};

static int set_number(const struct place *p, struct config *out)
{
	char quoted[64];
	uint32_t number;
	uint64_t read;

	if (!co_yaml_number(p->value, p->key->min, p->key->max, &read))
		return co_yaml_complain(
			p->yaml, p->value,
			"%s is \"%s\"; it must be a whole number of %s from %u to %u",
			p->key->path, co_yaml_quote(p->value, quoted, sizeof(quoted)),
			p->key->unit, p->key->min, p->key->max);
	number = (uint32_t) read;
	memcpy((char *) out + p->key->offset, &number, sizeof(number));
	return 0;
}

static int set_word(const struct place *p, struct config *out)
{
	char quoted[64], known[128] = "";
	size_t at = 0;

	for (size_t i = 0; i < co_countof(words); i++) {
		enum config_word word = (enum config_word) i;
		int n;

		if (strcmp(words[i].path, p->key->path) != 0)
			continue;
		if (co_yaml_is(p->value, words[i].word)) {
			memcpy((char *) out + p->key->offset, &word, sizeof(word));
			return 0;
		}
		n = snprintf(known + at, sizeof(known) - at, "%s%s", at ? ", " : "",
			     words[i].word);
		if (n > 0 && (size_t) n < sizeof(known) - at)
			at += (size_t) n;
	}
	return co_yaml_complain(p->yaml, p->value, "%s is \"%s\"; it must be one of %s",
				p->key->path,
				co_yaml_quote(p->value, quoted, sizeof(quoted)), known);
}

static int too_long(const struct place *p)
{
	return co_yaml_complain(p->yaml, p->value,
				"%s must be a text of less than %d bytes", p->key->path,
				CONFIG_TEXT_MAX);
}

static int set_levels(const struct place *p, struct config *out)
{
	struct co_log_levels levels;
	struct co_err inner = { 0 };

	if (p->value->size >= CONFIG_TEXT_MAX)
		return too_long(p);
	if (co_log_parse(&levels, p->value->text, &inner) < 0)
		return co_yaml_complain(p->yaml, p->value, "%s: %s", p->key->path,
					inner.message);
	memcpy((char *) out + p->key->offset, p->value->text, p->value->size + 1);
	return 0;
}

static int set_text(const struct place *p, struct config *out)
{
	if (p->value->size >= CONFIG_TEXT_MAX)
		return too_long(p);
	for (size_t i = 0; i < p->value->size; i++)
		if ((unsigned char) p->value->text[i] < 0x20 ||
		    p->value->text[i] == 0x7f)
			return co_yaml_complain(p->yaml, p->value,
						"%s has a control character",
						p->key->path);
	memcpy((char *) out + p->key->offset, p->value->text, p->value->size + 1);
	return 0;
}

static int set_value(const struct place *p, struct config *out)
{
	if (p->value->kind != CO_YAML_SCALAR)
		return co_yaml_complain(
			p->yaml, p->value,
			"%s must be a single value, not a list or a group",
			p->key->path);
	switch (p->key->type) {
	case CONFIG_NUMBER:
		return set_number(p, out);
	case CONFIG_WORD:
		return set_word(p, out);
	case CONFIG_LEVELS:
		return set_levels(p, out);
	case CONFIG_TEXT:
		return set_text(p, out);
	}
	return 0;
}

/* ---- the file ---- */

_Static_assert(co_countof(keys) <= 64, "the keys seen do not fit into 64 bits");

/* What the word names at this level. */
static const struct key *find_key(const struct co_yaml_node *word, const char *group,
				  bool *out_is_group)
{
	for (size_t i = 0; i < co_countof(keys); i++) {
		const char *name;
		size_t n;

		if (name_at(&keys[i], group, &name, &n) && word->size == n &&
		    memcmp(word->text, name, n) == 0) {
			*out_is_group = name[n] == '.';
			return &keys[i];
		}
	}
	return NULL;
}

/* Groups are one level deep, as in the table. */
static int read_mapping(const struct co_yaml *y, const struct co_yaml_node *map,
			struct config *out, const char *group)
{
	uint64_t seen = 0;
	int rc = 0;

	for (const struct co_yaml_node *n = map->first; n && !rc; n = n->next) {
		struct place p = { .yaml = y, .value = n };
		bool is_group;
		uint64_t bit;

		p.key = find_key(n->key, group, &is_group);
		if (!p.key)
			return unknown_key(y, n->key, group);
		bit = (uint64_t) 1 << (p.key - keys);
		if (seen & bit)
			return co_yaml_complain(y, n->key, "%s is there twice",
						is_group ? n->key->text : p.key->path);
		seen |= bit;
		if (!is_group)
			rc = set_value(&p, out);
		else if (n->kind == CO_YAML_MAP)
			rc = read_mapping(y, n, out, n->key->text);
		else if (!co_yaml_is_null(n))
			rc = co_yaml_complain(
				y, n, "%s must be a group of keys, indented below it",
				n->key->text);
	}
	return rc;
}

int config_parse(struct config *out, const char *name, const char *text, size_t n,
		 struct co_err *err)
{
	autoyaml struct co_yaml y = { 0 };
	struct config config;
	int rc = co_yaml_parse(&y, name, text, n, err);

	config_default(&config);
	if (rc == 0 && y.root && y.root->kind != CO_YAML_MAP)
		return co_yaml_complain(
			&y, y.root, "this must be keys and values, as in \"%s: %s\"",
			keys[0].path, keys[0].text);
	if (rc == 0 && y.root)
		rc = read_mapping(&y, y.root, &config, "");
	if (rc == 0)
		*out = config;
	return rc;
}

int config_load(struct config *out, const char *path, struct co_err *err)
{
	autofree char *text = NULL;
	size_t n;
	int r = co_yaml_read_text(path, &text, &n, err);

	if (r == CO_YAML_NO_FILE) {
		config_default(out);
		return 0;
	}
	return r ? r : config_parse(out, path, text, n, err);
}

/* ---- the sample ---- */

static void sample_what(FILE *to, const char *indent, const char *what)
{
	for (const char *line = what; line;) {
		size_t n = strcspn(line, "\n");

		(void) fprintf(to, "%s# %.*s\n", indent, (int) n, line);
		line = line[n] ? line + n + 1 : NULL;
	}
}

static void sample_key(FILE *to, const struct key *key, const char *indent)
{
	const char *dot = strchr(key->path, '.');
	const char *name = dot ? dot + 1 : key->path;

	sample_what(to, indent, key->what);
	switch (key->type) {
	case CONFIG_LEVELS:
		(void) fprintf(to, "%s#%s: %s\n", indent, name, key->text);
		break;
	case CONFIG_TEXT:
		(void) fprintf(to, "%s#%s: \"%s\"\n", indent, name, key->text);
		break;
	case CONFIG_NUMBER:
		(void) fprintf(to, "%s# From %u to %u %s.\n%s#%s: %u\n", indent,
			       key->min, key->max, key->unit, indent, name,
			       key->number);
		break;
	case CONFIG_WORD:
		(void) fprintf(to, "%s#%s: %s\n", indent, name,
			       words[key->number].word);
		break;
	}
}

void config_sample(FILE *to)
{
	char group[32] = "";

	(void) fputs(
		"# cloudosd.yaml: the configuration of cloudosd. Every key with its "
		"default; remove\n# the \"#\" in front of a key to change it, then: "
		"cloudosctl daemon reload\n",
		to); /* the caller looks at ferror */
	for (size_t i = 0; i < co_countof(keys); i++) {
		const char *dot = strchr(keys[i].path, '.');
		int n = dot ? (int) (dot - keys[i].path) : 0;

		if ((size_t) n != strlen(group) ||
		    strncmp(group, keys[i].path, (size_t) n)) {
			(void) snprintf(group, sizeof(group), "%.*s", n, keys[i].path);
			(void) fprintf(to, "\n%s:\n", group);
		} else {
			(void) fputc('\n', to);
		}
		sample_key(to, &keys[i], n ? "  " : "");
	}
}
