/* SPDX-License-Identifier: MIT */
/*
 * handlers.yaml: the commands and backends that answer calls (service/configured.h).  HOST;
 * cloudosd calls it.  docs/handlers.md describes the file.
 */
#ifndef CO_HANDLERS_FILE_H
#define CO_HANDLERS_FILE_H

#include <co/limits.h>
#include <stddef.h>

#include "cloudosd/service/configured.h"

struct handlers_file {
	struct configured_spec specs[CO_LIMIT_RPC_CONFIGURED];
	size_t count;
	void *memory; /* of their texts */
};

/*
 * Reads n bytes of YAML.  0; CO_INVALID, CO_TOO_BIG, CO_TABLE_FULL, CO_NO_MEMORY with file,
 * line and key.  Pure: the fuzz target calls it.
 */
int handlers_parse(struct handlers_file *out, const char *file, const char *text,
		   size_t n, struct co_err *err);

/*
 * The same with the file at path, which need not exist.  CO_ACCESS if it is another user's
 * than root's or the daemon's, or others may write it.
 */
int handlers_load(struct handlers_file *out, const char *path, struct co_err *err);

void handlers_file_done(struct handlers_file *f);

#endif
