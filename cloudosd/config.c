/* SPDX-License-Identifier: MIT */
/*
 * The daemon's configuration: cloudosd.yaml against config.def.  HOST.  Beside names.c the
 * only file that knows libyaml.
 *
 * The text is read twice.  The first reading is the guard: it looks at nesting, anchors,
 * tags and directives wherever they stand and stops at the first event that is not allowed,
 * so that a bomb costs no more than the parser's look-ahead.  The second one compares with
 * the table; it knows that what it reads is plain.
 */
#include "cloudosd/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "lib/cleanup.h"
#include "lib/escape.h"
#include "lib/log.h"

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

/* ---- events ---- */

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	bool has_event;
	unsigned depth;
	const char *name;
	struct co_err *err;
};

static void reader_done(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
}

static int reader_init(struct reader *r, const char *name, const char *text, size_t n,
		       struct co_err *err)
{
	*r = (struct reader){ .name = name, .err = err };
	if (!yaml_parser_initialize(&r->parser))
		return co_fail(err, CO_NO_MEMORY, "%s: out of memory", name);
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *) text, n);
	return 0;
}

static unsigned line_of(const struct reader *r)
{
	return (unsigned) r->event.start_mark.line + 1;
}

/* Says what is wrong at the current event. */
static int complain(struct reader *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int complain(struct reader *r, const char *format, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, format);
	(void) vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	return co_fail(r->err, CO_INVALID, "%s:%u: %s", r->name, line_of(r), what);
}

/* Moves to the next event. */
static int next(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	unsigned line;

	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = yaml_parser_parse(&r->parser, &r->event) == 1;
	if (r->has_event)
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return co_fail(r->err, CO_NO_MEMORY, "%s: out of memory", r->name);
	/* a reader error (bytes that are not UTF-8) has an offset instead of a mark */
	line = (unsigned) (p->error == YAML_READER_ERROR ? p->mark.line
							 : p->problem_mark.line);
	return co_fail(r->err, CO_INVALID, "%s:%u: not proper YAML: %s%s%s", r->name,
		       line + 1, p->problem ? p->problem : "unreadable",
		       p->context ? ", " : "", p->context ? p->context : "");
}

/* Quotes the scalar of the current event for a sentence. */
static const char *quote(const struct reader *r, char *to, size_t size)
{
	(void) co_escape(to, size, (const char *) r->event.data.scalar.value,
			 r->event.data.scalar.length);
	return to;
}

/* ---- the guard ---- */

static int guard_collection(struct reader *r, const yaml_char_t *anchor,
			    const yaml_char_t *tag)
{
	if (anchor)
		return complain(r, "anchors and aliases are not allowed; write it out");
	if (tag)
		return complain(
			r, "tags are not allowed; leave out \"!\" and what follows "
			   "it");
	return 0;
}

static int guard_event(struct reader *r, unsigned *documents)
{
	const yaml_event_t *e = &r->event;

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++*documents > 1)
			return complain(r,
					"only one document is allowed; remove \"---\"");
		if (e->data.document_start.version_directive ||
		    e->data.document_start.tag_directives.start !=
			    e->data.document_start.tag_directives.end)
			return complain(r,
					"directives are not allowed; remove the line "
					"that begins with \"%%\"");
		return 0;
	case YAML_ALIAS_EVENT:
		return guard_collection(r, e->data.alias.anchor, NULL);
	case YAML_SCALAR_EVENT:
		return guard_collection(r, e->data.scalar.anchor, e->data.scalar.tag);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		if (++r->depth > CO_LIMIT_CONFIG_DEPTH)
			return complain(r, "nested deeper than %d levels",
					CO_LIMIT_CONFIG_DEPTH);
		return e->type == YAML_MAPPING_START_EVENT
			       ? guard_collection(r, e->data.mapping_start.anchor,
						  e->data.mapping_start.tag)
			       : guard_collection(r, e->data.sequence_start.anchor,
						  e->data.sequence_start.tag);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		return 0;
	default:
		return 0;
	}
}

int config_guard(const char *name, const char *text, size_t n, struct co_err *err)
{
	struct reader r;
	unsigned documents = 0;
	int rc = reader_init(&r, name, text, n, err);

	if (rc < 0)
		return rc;
	do {
		rc = next(&r);
		if (rc == 0)
			rc = guard_event(&r, &documents);
	} while (rc == 0 && r.event.type != YAML_STREAM_END_EVENT);
	reader_done(&r);
	return rc;
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

/* How many letters must change to make one out of the other; long ones do not matter. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t row[40];

	if (na >= co_countof(row) || nb >= co_countof(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

/* The current scalar is no key of this level: says so, with the nearest one if any. */
static int unknown_key(struct reader *r, const char *group)
{
	const char *word = (const char *) r->event.data.scalar.value;
	size_t length = r->event.data.scalar.length, best = SIZE_MAX, near_length = 0;
	const char *near = "";
	char quoted[64];

	for (size_t i = 0; i < co_countof(keys); i++) {
		const char *name;
		size_t n, d;

		if (!name_at(&keys[i], group, &name, &n))
			continue;
		d = distance(word, length, name, n);
		if (d < best && d <= 1 + n / 3) {
			best = d;
			near = name;
			near_length = n;
		}
	}
	return complain(r, "there is no key \"%s\"%s%s%s%.*s%s",
			quote(r, quoted, sizeof(quoted)), *group ? " in " : "", group,
			near_length ? "; did you mean \"" : "", (int) near_length, near,
			near_length ? "\"?" : "");
}

static bool scalar_is(const struct reader *r, const char *text, size_t n)
{
	return r->event.data.scalar.length == n &&
	       memcmp(r->event.data.scalar.value, text, n) == 0;
}

/* Is the current event what YAML takes for "nothing"? */
static bool is_null(const struct reader *r)
{
	return r->event.type == YAML_SCALAR_EVENT &&
	       r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (scalar_is(r, "", 0) || scalar_is(r, "~", 1) || scalar_is(r, "null", 4));
}

/* ---- values ---- */

static int set_number(struct reader *r, struct config *out, const struct key *key)
{
	const unsigned char *p = r->event.data.scalar.value;
	size_t n = r->event.data.scalar.length;
	bool good = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && n > 0 &&
		    n < 10;
	uint32_t number = 0;
	char quoted[64];

	for (size_t i = 0; good && i < n; i++) {
		good = p[i] >= '0' && p[i] <= '9';
		number = number * 10 + (uint32_t) (p[i] - '0');
	}
	if (!good || number < key->min || number > key->max)
		return complain(
			r,
			"%s is \"%s\"; it must be a whole number of %s from %u to %u",
			key->path, quote(r, quoted, sizeof(quoted)), key->unit,
			key->min, key->max);
	memcpy((char *) out + key->offset, &number, sizeof(number));
	return 0;
}

static int set_word(struct reader *r, struct config *out, const struct key *key)
{
	char quoted[64], known[128] = "";
	size_t at = 0;

	for (size_t i = 0; i < co_countof(words); i++) {
		enum config_word word = (enum config_word) i;
		int n;

		if (strcmp(words[i].path, key->path) != 0)
			continue;
		if (scalar_is(r, words[i].word, strlen(words[i].word))) {
			memcpy((char *) out + key->offset, &word, sizeof(word));
			return 0;
		}
		n = snprintf(known + at, sizeof(known) - at, "%s%s", at ? ", " : "",
			     words[i].word);
		if (n > 0 && (size_t) n < sizeof(known) - at)
			at += (size_t) n;
	}
	return complain(r, "%s is \"%s\"; it must be one of %s", key->path,
			quote(r, quoted, sizeof(quoted)), known);
}

static int set_levels(struct reader *r, struct config *out, const struct key *key)
{
	const char *text = (const char *) r->event.data.scalar.value;
	size_t n = r->event.data.scalar.length;
	struct co_log_levels levels;
	struct co_err inner = { 0 };

	if (n >= CONFIG_TEXT_MAX || strlen(text) != n)
		return complain(r, "%s must be a text of less than %d bytes", key->path,
				CONFIG_TEXT_MAX);
	if (co_log_parse(&levels, text, &inner) < 0)
		return complain(r, "%s: %s", key->path, inner.message);
	memcpy((char *) out + key->offset, text, n + 1);
	return 0;
}

static int set_text(struct reader *r, struct config *out, const struct key *key)
{
	const char *text = (const char *) r->event.data.scalar.value;
	size_t n = r->event.data.scalar.length;

	if (n >= CONFIG_TEXT_MAX || strlen(text) != n)
		return complain(r, "%s must be a text of less than %d bytes", key->path,
				CONFIG_TEXT_MAX);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f)
			return complain(r, "%s has a control character", key->path);
	memcpy((char *) out + key->offset, text, n + 1);
	return 0;
}

static int set_value(struct reader *r, struct config *out, const struct key *key)
{
	if (r->event.type != YAML_SCALAR_EVENT)
		return complain(r, "%s must be a single value, not a list or a group",
				key->path);
	switch (key->type) {
	case CONFIG_NUMBER:
		return set_number(r, out, key);
	case CONFIG_WORD:
		return set_word(r, out, key);
	case CONFIG_LEVELS:
		return set_levels(r, out, key);
	case CONFIG_TEXT:
		return set_text(r, out, key);
	}
	return 0;
}

/* ---- the file ---- */

_Static_assert(co_countof(keys) <= 64, "the keys seen do not fit into 64 bits");

/* What the current scalar names at this level. */
static const struct key *find_key(const struct reader *r, const char *group,
				  bool *out_is_group)
{
	for (size_t i = 0; i < co_countof(keys); i++) {
		const char *name;
		size_t n;

		if (name_at(&keys[i], group, &name, &n) && scalar_is(r, name, n)) {
			*out_is_group = name[n] == '.';
			return &keys[i];
		}
	}
	return NULL;
}

/* Reads the mapping that has just begun.  Groups are one level deep, as in the table. */
static int read_mapping(struct reader *r, struct config *out, const char *group)
{
	uint64_t seen = 0;

	for (;;) {
		const struct key *key;
		uint64_t bit;
		bool is_group;
		char name[32];
		int rc = next(r);

		if (rc < 0 || r->event.type == YAML_MAPPING_END_EVENT)
			return rc;
		if (r->event.type != YAML_SCALAR_EVENT)
			return complain(r, "a key must be a word");
		key = find_key(r, group, &is_group);
		if (!key)
			return unknown_key(r, group);
		bit = (uint64_t) 1 << (key - keys);
		(void) snprintf(name, sizeof(name), "%s", r->event.data.scalar.value);
		if (seen & bit)
			return complain(r, "%s is there twice",
					is_group ? name : key->path);
		seen |= bit;
		rc = next(r);
		if (rc < 0)
			return rc;
		if (!is_group)
			rc = set_value(r, out, key);
		else if (r->event.type == YAML_MAPPING_START_EVENT)
			rc = read_mapping(r, out, name);
		else if (!is_null(r))
			rc = complain(r,
				      "%s must be a group of keys, indented below it",
				      name);
		if (rc < 0)
			return rc;
	}
}

static int read_file(struct reader *r, struct config *out)
{
	int rc = next(r); /* the stream begins */

	if (rc == 0)
		rc = next(r);
	if (rc < 0 || r->event.type == YAML_STREAM_END_EVENT)
		return rc; /* nothing but comments */
	rc = next(r);      /* past the beginning of the document */
	if (rc < 0 || is_null(r))
		return rc;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return complain(r, "this must be keys and values, as in \"%s: %s\"",
				keys[0].path, keys[0].text);
	return read_mapping(r, out, "");
}

int config_parse(struct config *out, const char *name, const char *text, size_t n,
		 struct co_err *err)
{
	struct config config;
	struct reader r;
	int rc;

	if (n > CO_LIMIT_CONFIG_BYTES)
		return co_fail(err, CO_TOO_BIG, "%s has more than %d bytes", name,
			       CO_LIMIT_CONFIG_BYTES);
	config_default(&config);
	rc = config_guard(name, text, n, err);
	if (rc == 0)
		rc = reader_init(&r, name, text, n, err);
	if (rc < 0)
		return rc;
	rc = read_file(&r, &config);
	reader_done(&r);
	if (rc == 0)
		*out = config;
	return rc;
}

int config_read_text(const char *path, char **out_text, size_t *out_n,
		     struct co_err *err)
{
	/* not blocking: somebody may have put a FIFO there */
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	autofree char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0 && errno == ENOENT)
		return CONFIG_NO_FILE;
	if (fd < 0 || fstat(fd, &st) < 0)
		return co_fail_errno(err, errno,
				     "cannot read the configuration file %s", path);
	if (!S_ISREG(st.st_mode))
		return co_fail(err, CO_INVALID,
			       "the configuration file %s is not a regular file", path);
	text = malloc(CO_LIMIT_CONFIG_BYTES + 1);
	if (!text)
		return co_fail(err, CO_NO_MEMORY, "%s: out of memory", path);
	while (n <= CO_LIMIT_CONFIG_BYTES) {
		ssize_t got = read(fd, text + n, CO_LIMIT_CONFIG_BYTES + 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return co_fail_errno(err, errno,
					     "cannot read the configuration file %s",
					     path);
		if (got == 0)
			break;
		n += (size_t) got;
	}
	*out_text = take(text);
	*out_n = n;
	return 0;
}

int config_load(struct config *out, const char *path, struct co_err *err)
{
	autofree char *text = NULL;
	size_t n;
	int r = config_read_text(path, &text, &n, err);

	if (r == CONFIG_NO_FILE) {
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
