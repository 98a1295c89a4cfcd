/* SPDX-License-Identifier: MIT */
/* The registry of names.  HOST. */
#include "cloudosd/service/names.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"

enum { WATCHES = 8, BACK = 128 };
_Static_assert(CO_LIMIT_NAMES < BACK - 1,
	       "the back of one must not be the front of another");

struct had {
	char name[NAME_WORD];
	uint32_t place;
};

struct names {
	struct name *list;
	bool *serving; /* as list */
	size_t count;
	struct had had[CO_LIMIT_NAMES];
	size_t nhad;
	bool has_block;
	uint32_t block;
	struct {
		void (*changed)(void *arg);
		void *arg;
	} watches[WATCHES];
	size_t nwatches;
};

struct names *names_new(void)
{
	return calloc(1, sizeof(struct names));
}

struct names *names_free(struct names *n)
{
	if (n) {
		free(n->list);
		free(n->serving);
		free(n);
	}
	return NULL;
}

int names_watch(struct names *n, void (*changed)(void *arg), void *arg)
{
	if (n->nwatches == WATCHES)
		return CO_TABLE_FULL;
	n->watches[n->nwatches].changed = changed;
	n->watches[n->nwatches++].arg = arg;
	return 0;
}

static void tell(const struct names *n)
{
	for (size_t i = 0; i < n->nwatches; i++)
		n->watches[i].changed(n->watches[i].arg);
}

/* ---- words ---- */

struct co_span names_host(const char *url)
{
	const char *from = strstr(url, "://");
	size_t n;

	if (!from)
		return (struct co_span){ NULL, 0 };
	from += 3;
	n = strcspn(from, "/?#");
	for (size_t i = n; i > 0; i--)
		if (from[i - 1] == '@') {
			from += i;
			n -= i;
			break;
		}
	return (struct co_span){ from,
				 strcspn(from, ":") < n ? strcspn(from, ":") : n };
}

static bool same(struct co_span a, struct co_span b)
{
	return a.size && a.size == b.size && !strncasecmp(a.data, b.data, a.size);
}

/* "core.blackroad.systems.:8000" is the host without what follows its name. */
static struct co_span bare(struct co_span text)
{
	const char *colon = text.size ? memchr(text.data, ':', text.size) : NULL;

	if (colon)
		text.size = (size_t) (colon - text.data);
	if (text.size && text.data[text.size - 1] == '.')
		text.size--;
	return text;
}

/* Could the host of that URL begin with the letter that text does? */
static bool first_fits(const char *url, struct co_span text)
{
	const char *from = strchr(url, '/');

	return from && text.size &&
	       (strchr(from, '@') ||
		((from[1] ? from[2] : 0) | 32) == (text.data[0] | 32));
}

/* For each request with a Host: what cannot be it is put aside before it is taken apart. */
static bool has_host(const char *url, struct co_span text)
{
	return first_fits(url, text) && same(names_host(url), text);
}

static bool goes_by(const struct name *name, struct co_span text)
{
	return same(co_span(name->name), text) || same(co_span(name->word), text) ||
	       has_host(name->internal, text) || has_host(name->cloudflare, text) ||
	       has_host(name->railway, text) ||
	       has_host(name->railway_development, text);
}

static const struct name *find_in(const struct name *list, size_t count,
				  struct co_span text)
{
	for (size_t i = 0; text.size && i < count; i++)
		if (goes_by(&list[i], text))
			return &list[i];
	return NULL;
}

const struct name *names_find(const struct names *n, struct co_span text)
{
	struct in_addr address;
	char dotted[INET_ADDRSTRLEN];

	text = bare(text);
	if (text.size && text.size < sizeof(dotted) && text.data[0] == '1') {
		memcpy(dotted, text.data, text.size);
		dotted[text.size] = 0;
		if (inet_pton(AF_INET, dotted, &address) == 1)
			return names_by_address(n, address, NULL);
	}
	return find_in(n->list, n->count, text);
}

/* ---- the list ---- */

static int check_unique(const struct name *list, size_t count, struct co_err *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct name *a = &list[i];
		struct co_span all[] = {
			co_span(a->name),        co_span(a->word),
			names_host(a->internal), names_host(a->cloudflare),
			names_host(a->railway),  names_host(a->railway_development)
		};

		for (size_t k = 0; k < co_countof(all); k++) {
			const struct name *other = find_in(list, i, all[k]);

			if (other)
				return co_fail(err, CO_INVALID,
					       "services %s and %s are both called "
					       "\"%.*s\"; change one of them",
					       other->word, a->word, (int) all[k].size,
					       all[k].data);
		}
	}
	return 0;
}

void names_had_place(struct names *n, const char *name, uint32_t place)
{
	if (place < 1 || place > CO_LIMIT_NAMES || n->nhad == CO_LIMIT_NAMES ||
	    strlen(name) >= NAME_WORD)
		return;
	for (size_t i = 0; i < n->nhad; i++)
		if (n->had[i].place == place || !strcmp(n->had[i].name, name))
			return;
	memcpy(n->had[n->nhad].name, name, strlen(name) + 1);
	n->had[n->nhad++].place = place;
}

static uint32_t place_of(const struct names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->list[i].name, name))
			return n->list[i].place;
	for (size_t i = 0; i < n->nhad; i++)
		if (!strcmp(n->had[i].name, name))
			return n->had[i].place;
	return 0;
}

static void give_places(const struct names *n, struct name *list, size_t count)
{
	bool taken[CO_LIMIT_NAMES + 1] = { 0 };
	uint32_t next = 1;

	for (size_t i = 0; i < count; i++) {
		list[i].place = place_of(n, list[i].name);
		if (taken[list[i].place])
			list[i].place = 0;
		taken[list[i].place] = list[i].place != 0;
	}
	/* a place that a name had is free for others only when nothing else is */
	for (size_t k = 0; count < CO_LIMIT_NAMES && k < n->nhad; k++)
		if (count + k < CO_LIMIT_NAMES)
			taken[n->had[k].place] = true;
	for (size_t i = 0; i < count; i++) {
		while (!list[i].place && next <= CO_LIMIT_NAMES) {
			if (!taken[next]) {
				list[i].place = next;
				taken[next] = true;
			}
			next++;
		}
		/* all of the rest were had by names that are gone */
		for (uint32_t p = 1; !list[i].place; p++) {
			bool used = false;

			for (size_t k = 0; k < count; k++)
				used |= list[k].place == p;
			if (!used)
				list[i].place = p;
		}
	}
}

int names_set(struct names *n, const struct name *list, size_t count,
	      struct co_err *err)
{
	struct name *copy;
	bool *serving;
	int r;

	if (count > CO_LIMIT_NAMES)
		return co_fail(err, CO_TABLE_FULL,
			       "there are %zu services in the registry of names; at "
			       "most %d have an address",
			       count, CO_LIMIT_NAMES);
	r = check_unique(list, count, err);
	if (r)
		return r;
	copy = calloc(count + 1, sizeof(*copy));
	serving = calloc(count + 1, sizeof(*serving));
	if (!copy || !serving) {
		free(copy);
		free(serving);
		return co_fail(err, CO_NO_MEMORY,
			       "no memory for the registry of names");
	}
	memcpy(copy, list, count * sizeof(*copy));
	give_places(n, copy, count);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < n->count; k++)
			if (!strcmp(copy[i].name, n->list[k].name))
				serving[i] = n->serving[k];
	free(n->list);
	free(n->serving);
	n->list = copy;
	n->serving = serving;
	n->count = count;
	tell(n);
	return 0;
}

size_t names_count(const struct names *n)
{
	return n->count;
}

const struct name *names_at(const struct names *n, size_t i)
{
	return &n->list[i];
}

void names_set_serving(struct names *n, const char *name, bool serving)
{
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->list[i].name, name) && n->serving[i] != serving) {
			n->serving[i] = serving;
			tell(n);
			return;
		}
}

bool names_serving(const struct names *n, const struct name *name)
{
	return n->serving[name - n->list];
}

/* ---- addresses ---- */

void names_set_block(struct names *n, uint32_t block)
{
	n->has_block = true;
	n->block = block & 255;
	tell(n);
}

bool names_block(const struct names *n, uint32_t *out)
{
	if (n->has_block)
		*out = n->block;
	return n->has_block;
}

static struct in_addr address_of(const struct names *n, uint32_t last)
{
	uint32_t address = 127U << 24 | 77U << 16 | n->block << 8 | last;

	return (struct in_addr){ n->has_block ? htonl(address) : 0 };
}

struct in_addr names_front(const struct names *n, const struct name *name)
{
	return address_of(n, name->place);
}

struct in_addr names_back(const struct names *n, const struct name *name)
{
	return address_of(n, name->place + BACK);
}

const struct name *names_by_address(const struct names *n, struct in_addr address,
				    bool *out_back)
{
	uint32_t host = ntohl(address.s_addr), last = host & 255;

	if (!n->has_block || host >> 8 != (127U << 16 | 77U << 8 | n->block))
		return NULL;
	for (size_t i = 0; i < n->count; i++)
		if (n->list[i].place == (last & (BACK - 1))) {
			if (out_back)
				*out_back = last >= BACK;
			return &n->list[i];
		}
	return NULL;
}
