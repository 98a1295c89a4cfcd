/* SPDX-License-Identifier: MIT */
/* Fuzz target: config.json of a container.  HOST.  Input: the file. */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/ctr/config.h"
#include "lib/cleanup.h"
#include "tests/fuzz/target.h"

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void demand_list(const struct ctr_texts *texts)
{
	demand(texts->at && !texts->at[texts->count]);
	for (size_t i = 0; i < texts->count; i++)
		demand(texts->at[i] != NULL);
}

/* What the engine relies on after a good answer. */
static void demand_promises(const struct ctr_config *c)
{
	demand(c->version && strncmp(c->version, "1.", 2) == 0);
	demand(!c->root || c->root[0] == '/');
	demand(!c->process.cwd || c->process.cwd[0] == '/');
	demand_list(&c->process.args);
	demand_list(&c->process.env);
	demand_list(&c->masked_paths);
	demand_list(&c->readonly_paths);
	demand_list(&c->cloudos.layers);
	for (size_t i = 0; i < c->mount_count; i++) {
		demand(c->mounts[i].destination && c->mounts[i].destination[0] == '/');
		demand_list(&c->mounts[i].options);
	}
	for (size_t i = 0; i < c->namespace_count; i++)
		demand(c->namespaces[i].kind != 0);
	for (size_t i = 0; i < c->device_count; i++)
		demand(c->devices[i].path && c->devices[i].type);
	for (size_t i = 0; i < c->process.rlimit_count; i++)
		demand(c->process.rlimits[i].soft <= c->process.rlimits[i].hard);
	for (size_t i = 0; i < c->uids.count; i++)
		demand(c->uids.at[i].count > 0);
	for (size_t i = 0; i < c->prestart.count; i++)
		demand(c->prestart.at[i].path && c->prestart.at[i].path[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = malloc(size ? size : 1); /* ends where the input ends */
	struct ctr_config *config = NULL;
	struct ctr_process_spec process;
	struct ctr_resources resources;
	struct co_err err = { 0 };
	struct co_span span = { text, size };
	int rc;

	if (!text)
		return 0;
	memcpy(text, data, size);
	rc = ctr_config_parse(span, "/bundle", &config, &err);
	if (rc == 0)
		demand_promises(config);
	else
		demand(!config && err.code == rc && err.message[0]);
	ctr_config_free(config);
	if (ctr_process_parse(span, &process, &err) == 0)
		ctr_process_done(&process);
	if (ctr_resources_parse(span, &resources, &err) == 0)
		ctr_resources_done(&resources);
	return 0;
}
