/* SPDX-License-Identifier: MIT */
/*
 * The addresses of a domain's bridge.  HOST.
 *
 * They follow from the domain's number, so that they are the same from day to day; what this
 * host has a route to already is passed over, but not what leads to our own bridge.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "cloudosd/containers_inside.h"
#include "lib/cleanup.h"

enum { FIRST = 64 /* 10.64.0.0 */, BLOCKS = (256 - FIRST) * 16, PREFIX = 20 };

static uint32_t block(uint32_t i)
{
	return (10U << 24) | ((FIRST + i / 16) << 16) | ((i % 16) << 12);
}

static uint32_t mask_of(unsigned prefix)
{
	return prefix ? UINT32_MAX << (32 - prefix) : 0;
}

/* Routes as /proc/net/route has them; what it cannot say is looked at again when the bridge
 * is made.  0: that subnet is free; 1: it is not; 2: the bridge is there, *out is its own. */
static int look(FILE *routes, const char *bridge, uint32_t subnet, uint32_t *out)
{
	char line[256], name[IFNAMSIZ];
	unsigned to, mask;
	int found = 0;

	rewind(routes);
	while (fgets(line, sizeof(line), routes)) {
		uint32_t both;

		if (sscanf(line, "%15s %x %*s %*s %*s %*s %*s %x", name, &to, &mask) !=
			    3 ||
		    !mask)
			continue; /* the head line; the way out of here */
		to = ntohl(to);
		mask = ntohl(mask);
		if (strcmp(name, bridge) == 0 && mask == mask_of(PREFIX)) {
			*out = to;
			return 2;
		}
		both = mask & mask_of(PREFIX);
		if ((to & both) == (subnet & both))
			found = 1;
	}
	return found;
}

void subnet_choose(struct runner_place *place, uint32_t number)
{
	autofclose FILE *routes = fopen("/proc/net/route", "re");
	uint32_t own;
	int r = 1;

	place->prefix = PREFIX;
	for (uint32_t i = 0; i < BLOCKS && r == 1; i++) {
		place->subnet = block((number + i) % BLOCKS);
		r = routes ? look(routes, place->bridge, place->subnet, &own) : 0;
	}
	if (r == 2)
		place->subnet = own;
	else if (r == 1) /* all are taken: making the bridge will say by whom */
		place->subnet = block(number % BLOCKS);
}
