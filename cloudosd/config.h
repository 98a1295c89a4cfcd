/* SPDX-License-Identifier: MIT */
/*
 * The daemon's configuration: cloudosd.yaml against config.def.  HOST; cloudosd calls it.
 *
 * The file is untrusted input: bounded in size and nesting, without anchors, aliases, tags,
 * directives and further documents.  Every complaint names the file, the line and what
 * would be right.
 */
#ifndef CO_CONFIG_H
#define CO_CONFIG_H

#include <co/limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/err.h"

/* The words of keys of type WORD: CONFIG_guest_memory_auto and so on. */
enum config_word {
#define WORD(member, path, word) CONFIG_##member##_##word,
#include "cloudosd/config.def"
#undef WORD
	CONFIG_WORDS
};

enum config_type { CONFIG_LEVELS, CONFIG_NUMBER, CONFIG_TEXT, CONFIG_WORD };

#define CONFIG_TEXT_MAX 256

/* clang-format off */
#define CONFIG_MEMBER_LEVELS(member) char member[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_TEXT(member)   char member[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_NUMBER(member) uint32_t member;
#define CONFIG_MEMBER_WORD(member)   enum config_word member;
struct config {
#define KEY(member, path, type, default_, min, max, unit, what) CONFIG_MEMBER_##type(member)
#include "cloudosd/config.def"
#undef KEY
};
/* clang-format on */

/* Every key at its default. */
void config_default(struct config *out);

/*
 * Reads n bytes of YAML; keys that are not there have their defaults.  `name` is how
 * sentences call the text.  0; CO_INVALID, CO_TOO_BIG or CO_NO_MEMORY with a sentence, and
 * out is as it was.  Pure: the fuzz target calls it.
 */
int config_parse(struct config *out, const char *name, const char *text, size_t n,
		 struct co_err *err);

/* The same with the file at path; one that does not exist gives the defaults. */
int config_load(struct config *out, const char *path, struct co_err *err);

/* Writes the sample file: every key as a comment with its default. */
void config_sample(FILE *to);

#endif
