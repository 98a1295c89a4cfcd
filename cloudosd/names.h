/* SPDX-License-Identifier: MIT */
/*
 * services.yaml: the files behind the registry of names (service/names.h).  HOST; cloudosd
 * calls it.
 */
#ifndef CO_NAMES_FILE_H
#define CO_NAMES_FILE_H

#include <stddef.h>

#include "cloudosd/service/names.h"

struct names_list {
	struct name list[CO_LIMIT_NAMES];
	size_t count;
};

/*
 * Reads n bytes of YAML on top of what the list has: members replace those of the same
 * key, a new key is one more.  `file` is how sentences call the text.  0; CO_INVALID,
 * CO_TOO_BIG, CO_TABLE_FULL, CO_NO_MEMORY with file, line and key, and the list may have
 * changed.  Pure: the fuzz target calls it.
 */
int names_parse(struct names_list *list, const char *file, const char *text, size_t n,
		struct co_err *err);

/*
 * The installed file (the one that was there at build time if none is), then the user's at
 * path, which need not exist.
 */
int names_load(struct names_list *out, const char *path, struct co_err *err);

#endif
