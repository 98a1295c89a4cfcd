/* SPDX-License-Identifier: MIT */
/*
 * Reading a YAML file of ours as a tree.  HOST.  The only user of libyaml; what the keys
 * mean is for those who call it.
 *
 * Files are untrusted: at most CO_LIMIT_CONFIG_BYTES, nested no deeper than
 * CO_LIMIT_CONFIG_DEPTH, one document, no anchors, aliases, tags or directives; keys are
 * words.  Reading stops at the first thing that is not allowed, so a bomb costs nothing.
 */
#ifndef CO_YAML_READ_H
#define CO_YAML_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/span.h"

enum co_yaml_kind { CO_YAML_SCALAR, CO_YAML_LIST, CO_YAML_MAP };

struct co_yaml_node {
	enum co_yaml_kind kind;
	unsigned line;
	bool plain;       /* a scalar without quotes */
	const char *text; /* of a scalar: terminated, without a NUL inside */
	size_t size;      /* of text */
	const struct co_yaml_node *key;  /* of a member of a map, a scalar */
	const struct co_yaml_node *next; /* the next member or element */
	const struct co_yaml_node *first;
	size_t count; /* of members or elements */
};

/*	for (const struct co_yaml_node *n = map->first; n; n = n->next)
 *		... n->key->text, n                                       */

struct co_yaml {
	const char *name;                /* how sentences call the file; borrowed */
	const struct co_yaml_node *root; /* NULL: there is nothing in it */
	struct co_err *err;
	struct co_yaml_block *memory;
};

/*
 * Reads n bytes.  0, or CO_INVALID, CO_TOO_BIG, CO_NO_MEMORY with a sentence that begins
 * "NAME:LINE: ".  co_yaml_done in either case.
 */
int co_yaml_parse(struct co_yaml *out, const char *name, const char *text, size_t n,
		  struct co_err *err);
void co_yaml_done(struct co_yaml *y);
#define autoyaml __attribute__((cleanup(co_yaml_done)))

/* Says what is wrong at that place, as "NAME:LINE: ..."; returns CO_INVALID. */
int co_yaml_complain(const struct co_yaml *y, const struct co_yaml_node *at,
		     const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A scalar with exactly that text? */
bool co_yaml_is(const struct co_yaml_node *n, const char *text);

/* What YAML takes for "nothing": empty, ~ or null, without quotes. */
bool co_yaml_is_null(const struct co_yaml_node *n);

/* Decimal digits without sign and quotes, from least to most. */
bool co_yaml_number(const struct co_yaml_node *n, uint64_t least, uint64_t most,
		    uint64_t *out);

/* The start of a scalar, escaped for a sentence; "?" of what is none. */
const char *co_yaml_quote(const struct co_yaml_node *n, char *to, size_t size);

/* A regular file of at most CO_LIMIT_CONFIG_BYTES + 1 bytes (malloc, terminated). */
enum { CO_YAML_NO_FILE = 1 };
int co_yaml_read_text(const char *path, char **out_text, size_t *out_n,
		      struct co_err *err);

#endif
