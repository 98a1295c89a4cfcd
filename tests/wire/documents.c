/* SPDX-License-Identifier: MIT */
/*
 * Prints what is committed and derived: `make update-documents`.  HOST.
 *
 *	co-documents wire.md | layout.txt | cloudosd.yaml
 *	co-documents corpus FOLDER      one message per layout, as seeds of the fuzz target
 */
#include <stdio.h>
#include <string.h>

#include "cloudosd/config.h"
#include "tests/wire/describe.h"

/* A seed is a byte that says how many descriptors came beside, and a message. */
static int write_seed(const char *folder, struct co_msg *m, const struct co_layout *l)
{
	static const char *const forms[] = { "request", "reply", "row", "note" };
	char path[4096];
	FILE *f;

	describe_fill(m, l, l->form == WIRE_NOTE ? 0 : 7, 1);
	(void) snprintf(path, sizeof(path), "%s/%02u-%s-%s", folder, l->type & 0xffffff,
			l->name, forms[l->form]);
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		return 1;
	}
	(void) fputc((int) l->fds, f); /* fclose tells */
	(void) fwrite(m->bytes, 1, m->header->size, f);
	if (fclose(f) != 0) {
		perror(path);
		return 1;
	}
	return 0;
}

static int write_corpus(const char *folder)
{
	size_t n;
	const struct co_layout *layouts = co_wire_layouts(&n);
	struct co_msg *m = co_msg_new();
	int failed = m ? 0 : 1;

	for (size_t i = 0; i < n && !failed; i++)
		failed = write_seed(folder, m, &layouts[i]);
	co_msg_free(m);
	return failed;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "corpus") == 0 && argc == 3)
		return write_corpus(argv[2]);
	if (strcmp(what, "wire.md") == 0)
		describe_markdown(stdout);
	else if (strcmp(what, "layout.txt") == 0)
		describe_layout(stdout);
	else if (strcmp(what, "cloudosd.yaml") == 0)
		config_sample(stdout);
	else {
		(void) fputs("usage: co-documents wire.md|layout.txt|cloudosd.yaml\n"
			     "       co-documents corpus FOLDER\n",
			     stderr); /* the exit status tells as much */
		return 2;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
