/* SPDX-License-Identifier: MIT */
/* Holds the SQLite engine to the conformance suite.  HOST.  `make check` runs it. */
#include "tests/conformance/client.h"
#include "tests/conformance/engine.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[256];

static struct store *open_in(const struct store_options *options)
{
	struct store_options with = *options;
	struct store *s = NULL;
	struct co_err err = { 0 };

	with.folder = folder;
	if (store_open(&s, &with, &err) < 0) {
		fprintf(stderr, "cannot open: %s\n", err.message);
		exit(99);
	}
	return s;
}

static struct store *open_fresh(const struct store_options *options)
{
	folder_make(folder, sizeof(folder));
	return open_in(options);
}

static struct store *reopen(struct store *s, const struct store_options *options)
{
	(void) store_close(s); /* NULL */
	return open_in(options);
}

static void destroy(struct store *s)
{
	(void) store_close(s); /* NULL */
	folder_remove(folder);
}

int main(void)
{
	static const struct store_engine sqlite = { .name = "sqlite",
						    .open = open_fresh,
						    .reopen = reopen,
						    .destroy = destroy };

	return store_conformance(&sqlite) ? EXIT_FAILURE : EXIT_SUCCESS;
}
