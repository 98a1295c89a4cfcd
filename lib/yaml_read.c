/* SPDX-License-Identifier: MIT */
/* A YAML file as a tree, from the events of libyaml.  HOST. */
#include "lib/yaml_read.h"

#include <co/limits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "lib/cleanup.h"
#include "lib/escape.h"

struct co_yaml_block { /* of memory */
	struct co_yaml_block *next;
	max_align_t bytes[];
};

/* A list or map that is not closed yet. */
struct open_node {
	struct co_yaml_node *node;
	const struct co_yaml_node **tail; /* where the next one goes */
	struct co_yaml_node *key;         /* of a map: read, and its value is not */
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	bool has_event;
	unsigned documents;
	struct co_yaml *out;
	size_t depth;
	struct open_node open[CO_LIMIT_CONFIG_DEPTH];
};

static void *memory(struct co_yaml *y, size_t n)
{
	struct co_yaml_block *block = calloc(1, sizeof(*block) + n);

	if (!block) {
		(void) co_fail(y->err, CO_NO_MEMORY, "%s: out of memory", y->name);
		return NULL;
	}
	block->next = y->memory;
	y->memory = block;
	return block->bytes;
}

void co_yaml_done(struct co_yaml *y)
{
	while (y->memory) {
		struct co_yaml_block *block = y->memory;

		y->memory = block->next;
		free(block);
	}
	y->root = NULL;
}

/* ---- sentences ---- */

static int complain_at(const struct co_yaml *y, unsigned line, const char *format,
		       va_list ap)
{
	char what[400];

	(void) vsnprintf(what, sizeof(what), format, ap); /* a shortened one will do */
	return co_fail(y->err, CO_INVALID, "%s:%u: %s", y->name, line, what);
}

int co_yaml_complain(const struct co_yaml *y, const struct co_yaml_node *at,
		     const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = complain_at(y, at->line, format, ap);
	va_end(ap);
	return rc;
}

/* At the current event. */
static int complain(const struct reader *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int complain(const struct reader *r, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = complain_at(r->out, (unsigned) r->event.start_mark.line + 1, format, ap);
	va_end(ap);
	return rc;
}

const char *co_yaml_quote(const struct co_yaml_node *n, char *to, size_t size)
{
	if (n->kind == CO_YAML_SCALAR)
		(void) co_escape(to, size, n->text, n->size);
	else
		(void) snprintf(to, size, "?");
	return to;
}

/* ---- values ---- */

bool co_yaml_is(const struct co_yaml_node *n, const char *text)
{
	return n->kind == CO_YAML_SCALAR && strcmp(n->text, text) == 0;
}

bool co_yaml_is_null(const struct co_yaml_node *n)
{
	return n->kind == CO_YAML_SCALAR && n->plain &&
	       (!n->size || !strcmp(n->text, "~") || !strcmp(n->text, "null"));
}

bool co_yaml_number(const struct co_yaml_node *n, uint64_t least, uint64_t most,
		    uint64_t *out)
{
	uint64_t number = 0;

	if (n->kind != CO_YAML_SCALAR || !n->plain || !n->size || n->size > 18)
		return false;
	for (const char *p = n->text; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		number = number * 10 + (uint64_t) (*p - '0');
	}
	if (number < least || number > most)
		return false;
	*out = number;
	return true;
}

/* ---- events ---- */

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
		return co_fail(r->out->err, CO_NO_MEMORY, "%s: out of memory",
			       r->out->name);
	/* a reader error (bytes that are not UTF-8) has an offset instead of a mark */
	line = (unsigned) (p->error == YAML_READER_ERROR ? p->mark.line
							 : p->problem_mark.line);
	return co_fail(r->out->err, CO_INVALID, "%s:%u: not proper YAML: %s%s%s",
		       r->out->name, line + 1, p->problem ? p->problem : "unreadable",
		       p->context ? ", " : "", p->context ? p->context : "");
}

static int guard(const struct reader *r, const yaml_char_t *anchor,
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

static int begin_document(struct reader *r)
{
	const yaml_event_t *e = &r->event;

	if (++r->documents > 1)
		return complain(r, "only one document is allowed; remove \"---\"");
	if (e->data.document_start.version_directive ||
	    e->data.document_start.tag_directives.start !=
		    e->data.document_start.tag_directives.end)
		return complain(r, "directives are not allowed; remove the line "
				   "that begins with \"%%\"");
	return 0;
}

/* Puts the node where it belongs: the root, an element, a key, a key's value. */
static int place(struct reader *r, struct co_yaml_node *node)
{
	struct open_node *in = r->depth ? &r->open[r->depth - 1] : NULL;

	if (!in) {
		r->out->root = node;
		return 0;
	}
	if (in->node->kind == CO_YAML_MAP && !in->key) {
		if (node->kind != CO_YAML_SCALAR)
			return complain(r, "a key must be a word");
		in->key = node;
		return 0;
	}
	node->key = in->key;
	in->key = NULL;
	*in->tail = node;
	in->tail = &node->next;
	in->node->count++;
	return 0;
}

/* NULL: no memory. */
static struct co_yaml_node *add(struct reader *r, enum co_yaml_kind kind)
{
	struct co_yaml_node *node = memory(r->out, sizeof(*node));

	if (node) {
		node->kind = kind;
		node->line = (unsigned) r->event.start_mark.line + 1;
	}
	return node;
}

static int add_scalar(struct reader *r)
{
	size_t n = r->event.data.scalar.length;
	struct co_yaml_node *node;
	char *text;
	int rc = guard(r, r->event.data.scalar.anchor, r->event.data.scalar.tag);

	if (rc == 0 && memchr(r->event.data.scalar.value, '\0', n))
		rc = complain(r, "a NUL is not allowed in a text");
	if (rc < 0)
		return rc;
	node = add(r, CO_YAML_SCALAR);
	text = node ? memory(r->out, n + 1) : NULL;
	if (!text)
		return CO_NO_MEMORY;
	memcpy(text, r->event.data.scalar.value, n);
	node->text = text;
	node->size = n;
	node->plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return place(r, node);
}

static int open_collection(struct reader *r, enum co_yaml_kind kind,
			   const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct co_yaml_node *node;
	int rc;

	if (r->depth == CO_LIMIT_CONFIG_DEPTH)
		return complain(r, "nested deeper than %d levels",
				CO_LIMIT_CONFIG_DEPTH);
	rc = guard(r, anchor, tag);
	if (rc < 0)
		return rc;
	node = add(r, kind);
	if (!node)
		return CO_NO_MEMORY;
	rc = place(r, node);
	if (rc == 0)
		r->open[r->depth++] =
			(struct open_node){ .node = node, .tail = &node->first };
	return rc;
}

static int take_event(struct reader *r)
{
	const yaml_event_t *e = &r->event;

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return begin_document(r);
	case YAML_ALIAS_EVENT:
		return guard(r, e->data.alias.anchor, NULL);
	case YAML_SCALAR_EVENT:
		return add_scalar(r);
	case YAML_MAPPING_START_EVENT:
		return open_collection(r, CO_YAML_MAP, e->data.mapping_start.anchor,
				       e->data.mapping_start.tag);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(r, CO_YAML_LIST, e->data.sequence_start.anchor,
				       e->data.sequence_start.tag);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		return 0;
	default:
		return 0;
	}
}

int co_yaml_parse(struct co_yaml *out, const char *name, const char *text, size_t n,
		  struct co_err *err)
{
	struct reader r = { .out = out };
	int rc;

	*out = (struct co_yaml){ .name = name, .err = err };
	if (n > CO_LIMIT_CONFIG_BYTES)
		return co_fail(err, CO_TOO_BIG, "%s has more than %d bytes", name,
			       CO_LIMIT_CONFIG_BYTES);
	if (!yaml_parser_initialize(&r.parser))
		return co_fail(err, CO_NO_MEMORY, "%s: out of memory", name);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *) text, n);
	do {
		rc = next(&r);
		if (rc == 0)
			rc = take_event(&r);
	} while (rc == 0 && r.event.type != YAML_STREAM_END_EVENT);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	if (rc == 0 && out->root && co_yaml_is_null(out->root))
		out->root = NULL;
	return rc;
}

/* ---- files ---- */

int co_yaml_read_text(const char *path, char **out_text, size_t *out_n,
		      struct co_err *err)
{
	/* not blocking: somebody may have put a FIFO there */
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	autofree char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0 && errno == ENOENT)
		return CO_YAML_NO_FILE;
	if (fd < 0 || fstat(fd, &st) < 0)
		return co_fail_errno(err, errno,
				     "cannot read the configuration file %s", path);
	if (!S_ISREG(st.st_mode))
		return co_fail(err, CO_INVALID,
			       "the configuration file %s is not a regular file", path);
	text = malloc(CO_LIMIT_CONFIG_BYTES + 2);
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
	text[n] = 0;
	*out_text = take(text);
	*out_n = n;
	return 0;
}
