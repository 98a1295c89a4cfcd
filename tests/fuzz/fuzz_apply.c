/* SPDX-License-Identifier: MIT */
/* Fuzz target: cloudos.yaml.  HOST.  Input: the file. */
#include <stdlib.h>
#include <string.h>

#include "cli/apply.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "tests/fuzz/target.h"

static void demand(bool good)
{
	if (!good)
		abort();
}

/* What is sent to the daemon, or written down for a keeper. */
static void demand_unit(const struct apply_file *f, const struct apply_unit *u)
{
	struct co_json_fault fault;
	struct co_span value, name, label;

	demand(u->name[0] && !strchr(u->name, '/') && u->name[0] != '.');
	demand(co_json_check((struct co_span){ u->config.data, u->config.size }, &value,
			     &fault) == 0);
	demand(co_json_member(value, "name", &name));
	if (u->kind != APPLY_CONTAINER)
		return;
	/* no label of the file can make it another project's */
	demand(co_json_member(value, "labels", &label) &&
	       co_json_member(label, APPLY_LABEL, &label) &&
	       co_json_string_is(label, f->project));
}

/* Each behind what it needs. */
static void demand_order(const struct apply_file *f)
{
	size_t n = 0;

	for (const struct apply_unit *u = f->units; u; u = u->next) {
		n++;
		for (size_t i = 0; i < u->nneeds; i++) {
			const struct apply_unit *before = f->units;

			while (before != u && before != u->needs[i].unit)
				before = before->next;
			demand(before != u);
		}
	}
	demand(n == f->nunits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = malloc(size ? size : 1); /* ends where the input ends */
	struct co_err err = { 0 };
	struct apply_file f;
	int rc;

	if (!text)
		return 0;
	memcpy(text, data, size);
	rc = apply_parse(&f, "fuzz.yaml", "/srv/fuzz", text, size, &err);
	if (rc == 0)
		rc = apply_order(&f);
	if (rc < 0)
		demand(err.code == rc && !strncmp(err.message, "fuzz.yaml", 9));
	else
		demand_order(&f);
	for (const struct apply_unit *u = f.units; rc == 0 && u; u = u->next)
		demand_unit(&f, u);
	apply_done(&f);
	return 0;
}
