/* SPDX-License-Identifier: MIT */
/* Fuzz target: handlers.yaml.  HOST.  Input: the file. */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/handlers_file.h"
#include "lib/cleanup.h"
#include "tests/fuzz/target.h"

/* What the daemon relies on after a good answer. */
static void demand(const struct configured_spec *s)
{
	bool command = s->argv && s->argv[0];

	if (!s->label || !s->service || command == (s->backend != NULL) ||
	    (command && s->argv[0][0] != '/') ||
	    (s->directory && s->directory[0] != '/'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = malloc(size ? size : 1); /* ends where the input ends */
	autofree struct handlers_file *file = calloc(1, sizeof(*file));
	struct co_err err = { 0 };
	int rc;

	if (!text || !file)
		return 0;
	memcpy(text, data, size);
	rc = handlers_parse(file, "fuzz.yaml", text, size, &err);
	if (rc && (err.code != rc || strncmp(err.message, "fuzz.yaml", 9) != 0))
		abort();
	for (size_t i = 0; i < file->count && !rc; i++)
		demand(&file->specs[i]);
	handlers_file_done(file);
	return 0;
}
