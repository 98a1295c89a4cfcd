/* SPDX-License-Identifier: MIT */
/* The daemon's sides of the personalities, by their place in personalities.def.  HOST. */
#include <string.h>

#include "personality/blackroad/caught.h"
#include "personality/cloudos/cloudos.h"
#include "personality/host.h"

static const struct co_personality_host *const hosts[] = { &cloudos_host,
							   &blackroad_host };

const struct co_personality_host *co_personality_host(uint32_t index)
{
	size_t count;
	const struct co_personality *all = co_personalities(&count);

	if (index >= count)
		return NULL;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (!strcmp(hosts[i]->name, all[index].name))
			return hosts[i];
	return NULL;
}
