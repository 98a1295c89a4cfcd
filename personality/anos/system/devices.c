/* SPDX-License-Identifier: MIT */
/* DEVMAN.  HOST. */
#include "personality/anos/system/devices.h"

#include <stdbool.h>
#include <stddef.h>

_Static_assert(sizeof(struct anos_device) == ANOS_DEVICE_BYTES,
	       "the registry's layout");
_Static_assert(offsetof(struct anos_device, channel) == 128, "the registry's layout");

enum {
	DEVICE_REGISTER = 1,
	DEVICE_UNREGISTER = 2,
	DEVICE_QUERY = 3,

	REGISTER_COUNT = 8,
	REGISTER_DEVICE = 12,
	UNREGISTER_ID = 8,
	UNREGISTER_SIZE = 16,
	QUERY_BY = 4,
	QUERY_TYPE = 8,
	QUERY_ID = 16,
	QUERY_SIZE = 24,

	BY_TYPE = 1,
	BY_ID = 2,
	BY_ALL = 3,
	BY_PARENT = 4,

	ANSWER_ERROR = 4,
	ANSWER_DEVICES = 8,
	ANSWER_MAX = (ANOS_PAGE - ANSWER_DEVICES) / ANOS_DEVICE_BYTES
};

uint64_t anos_devices_add(struct anos_devices *all, const struct anos_device *device,
			  int32_t owner)
{
	struct anos_device *added = &all->devices[all->count];

	if (all->count == CO_LIMIT_ANOS_DEVICES)
		return 0;
	*added = *device;
	added->name[sizeof(added->name) - 1] = 0;
	added->driver[sizeof(added->driver) - 1] = 0;
	added->id = ++all->next_id;
	all->owners[all->count++] = owner;
	return added->id;
}

static void drop(struct anos_devices *all, uint32_t i)
{
	all->count--;
	all->devices[i] = all->devices[all->count];
	all->owners[i] = all->owners[all->count];
}

uint32_t anos_devices_forget(struct anos_devices *all, int32_t owner)
{
	uint32_t before = all->count;

	for (uint32_t i = all->count; i-- > 0;)
		if (all->owners[i] == owner)
			drop(all, i);
	return before - all->count;
}

static uint64_t add(struct anos_devices *all, const struct anos_message *m)
{
	struct anos_device device;

	if (anos_message_size(m) < REGISTER_DEVICE + ANOS_DEVICE_BYTES ||
	    !anos_get32(m->page, REGISTER_COUNT))
		return 0;
	memcpy(&device, m->page + REGISTER_DEVICE, sizeof(device));
	return anos_devices_add(all, &device, m->sender);
}

static uint64_t take_away(struct anos_devices *all, const struct anos_message *m)
{
	uint64_t id;

	if (anos_message_size(m) < UNREGISTER_SIZE)
		return 0;
	id = anos_get64(m->page, UNREGISTER_ID);
	for (uint32_t i = 0; i < all->count; i++)
		if (all->devices[i].id == id && all->owners[i] == m->sender) {
			drop(all, i);
			return 1;
		}
	return 0;
}

static bool matches(const struct anos_device *device, const uint8_t *query)
{
	switch (anos_get32(query, QUERY_BY)) {
	case BY_TYPE:
		return device->type == anos_get32(query, QUERY_TYPE);
	case BY_ID:
		return device->id == anos_get64(query, QUERY_ID);
	case BY_ALL:
		return true;
	case BY_PARENT:
		return device->parent == anos_get64(query, QUERY_ID);
	default:
		return false;
	}
}

static uint64_t query(const struct anos_devices *all, struct anos_message *m)
{
	uint8_t what[QUERY_SIZE]; /* the answer is written over it */
	uint32_t found = 0;
	uint64_t bytes;

	if (anos_message_size(m) < QUERY_SIZE)
		return 0;
	memcpy(what, m->page, sizeof(what));
	for (uint32_t i = 0; i < all->count; i++) {
		if (!matches(&all->devices[i], what))
			continue;
		if (found < ANSWER_MAX)
			memcpy(m->page + ANSWER_DEVICES + found * ANOS_DEVICE_BYTES,
			       &all->devices[i], ANOS_DEVICE_BYTES);
		found++;
	}
	if (!found)
		return 0;
	bytes = ANSWER_DEVICES + (uint64_t) found * ANOS_DEVICE_BYTES;
	anos_put32(m->page, 0, found);
	anos_put32(m->page, ANSWER_ERROR, found > ANSWER_MAX);
	if (found <= ANSWER_MAX)
		return bytes;
	memset(m->page + ANSWER_DEVICES, 0, ANOS_PAGE - ANSWER_DEVICES);
	return found;
}

uint64_t anos_devices_answer(struct anos_devices *all, struct anos_message *m)
{
	if (anos_message_size(m) < 4)
		return 0;
	switch (anos_get32(m->page, 0)) {
	case DEVICE_REGISTER:
		return add(all, m);
	case DEVICE_UNREGISTER:
		return take_away(all, m);
	case DEVICE_QUERY:
		return query(all, m);
	default:
		return 0;
	}
}
