/* SPDX-License-Identifier: MIT */
/* Fuzz target: services.yaml.  HOST.  Input: the file. */
#include <stdlib.h>
#include <string.h>

#include "cloudosd/names.h"
#include "lib/cleanup.h"
#include "tests/fuzz/target.h"

static void demand(bool good)
{
	if (!good)
		abort();
}

/* A URL becomes a line of /etc/hosts: nothing that is no host may stand there. */
static void demand_url(const char *url)
{
	struct co_span host = names_host(url);

	demand(strlen(url) < NAME_URL);
	demand(!url[0] || host.size > 0);
	for (size_t i = 0; i < host.size; i++)
		demand(host.data[i] > ' ' && host.data[i] < 127 && host.data[i] != '#' &&
		       host.data[i] != '/');
	for (const char *p = url; *p; p++)
		demand(*p > ' ' && *p < 127);
}

static void demand_name(const struct name *name)
{
	demand(name->word[0] && strlen(name->word) < NAME_WORD);
	demand(name->name[0] && strlen(name->name) < NAME_WORD);
	demand(name->role[0] == 0 || strlen(name->role) < NAME_WORD);
	demand(name->port >= 1 && name->port <= 65535);
	demand(name->health[0] == '/' && name->stderr_level[0]);
	demand(name->internal[0]);
	demand_url(name->internal);
	demand_url(name->cloudflare);
	demand_url(name->railway);
	demand_url(name->railway_development);
}

/* The table takes the list or refuses it; each has an address of its own then. */
static void demand_table(const struct names_list *list)
{
	struct names *names = names_new();
	bool seen[CO_LIMIT_NAMES + 1] = { 0 };

	if (!names)
		return;
	names_set_block(names, 7);
	if (names_set(names, list->list, list->count, NULL) == 0)
		for (size_t i = 0; i < names_count(names); i++) {
			const struct name *name = names_at(names, i);

			demand(name->place >= 1 && name->place <= CO_LIMIT_NAMES &&
			       !seen[name->place]);
			seen[name->place] = true;
			demand(names_find(names, co_span(name->name)) == name);
			demand(names_by_address(names, names_back(names, name), NULL) ==
			       name);
		}
	(void) names_free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct names_list list;
	autofree char *text = malloc(size ? size : 1); /* ends where the input ends */
	struct co_err err = { 0 };
	int rc;

	if (!text)
		return 0;
	memcpy(text, data, size);
	list.count = 0;
	rc = names_parse(&list, "fuzz.yaml", text, size, &err);
	if (rc) {
		demand(err.code == rc && !strncmp(err.message, "fuzz.yaml", 9));
		return 0;
	}
	for (size_t i = 0; i < list.count; i++)
		demand_name(&list.list[i]);
	demand_table(&list);
	return 0;
}
