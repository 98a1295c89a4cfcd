/* SPDX-License-Identifier: MIT */
/* SYSTEM::VFS.  HOST. */
#include "personality/anos/system/vfs.h"

#include <stdio.h>

enum {
	VFS_FIND = 1,
	VFS_REGISTER = 2,
	VFS_UNREGISTER = 3,

	REGISTER_CHANNEL = ANOS_PREFIX,
	REGISTER_SIZE = REGISTER_CHANNEL + 8
};

/* The prefix in a page, cut to its array and always terminated. */
static void prefix_get(char out[ANOS_PREFIX], const uint8_t *page)
{
	memcpy(out, page, ANOS_PREFIX);
	out[ANOS_PREFIX - 1] = 0;
}

static struct anos_mount *find(struct anos_vfs *vfs, const char *prefix)
{
	for (uint32_t i = 0; i < vfs->count; i++)
		if (!strcmp(vfs->mounts[i].prefix, prefix))
			return &vfs->mounts[i];
	return NULL;
}

static uint64_t find_by_path(struct anos_vfs *vfs, const uint8_t *page)
{
	size_t length = strnlen((const char *) page, ANOS_PAGE);
	const uint8_t *colon = memchr(page, ':', length);
	char prefix[ANOS_PREFIX];
	const struct anos_mount *mount;

	if (!colon || (size_t) (colon - page) + 1 >= ANOS_PREFIX)
		return 0;
	length = (size_t) (colon - page) + 1;
	memcpy(prefix, page, length);
	prefix[length] = 0;
	mount = find(vfs, prefix);
	return mount ? mount->channel : 0;
}

uint64_t anos_vfs_register(struct anos_vfs *vfs, const char *prefix, uint64_t channel,
			   int32_t owner)
{
	struct anos_mount mount = { .channel = channel, .owner = owner };

	(void) snprintf(mount.prefix, sizeof(mount.prefix), "%s", prefix);
	if (vfs->count == CO_LIMIT_ANOS_MOUNTS || find(vfs, mount.prefix))
		return 0;
	vfs->mounts[vfs->count++] = mount;
	return 1;
}

static void drop(struct anos_vfs *vfs, struct anos_mount *mount)
{
	*mount = vfs->mounts[--vfs->count];
}

uint32_t anos_vfs_forget(struct anos_vfs *vfs, int32_t owner)
{
	uint32_t before = vfs->count;

	for (uint32_t i = vfs->count; i-- > 0;)
		if (vfs->mounts[i].owner == owner)
			drop(vfs, &vfs->mounts[i]);
	return before - vfs->count;
}

static uint64_t unregister(struct anos_vfs *vfs, const struct anos_message *m)
{
	char prefix[ANOS_PREFIX];
	struct anos_mount *mount;

	prefix_get(prefix, m->page);
	mount = find(vfs, prefix);
	if (!mount || mount->owner != m->sender)
		return 0;
	drop(vfs, mount);
	return 1;
}

uint64_t anos_vfs_answer(struct anos_vfs *vfs, struct anos_message *m)
{
	char prefix[ANOS_PREFIX];

	if (!m->page)
		return 0;
	switch (m->tag) {
	case VFS_FIND:
		return find_by_path(vfs, m->page);
	case VFS_REGISTER:
		if (anos_message_size(m) < REGISTER_SIZE)
			return 0;
		prefix_get(prefix, m->page);
		return anos_vfs_register(
			vfs, prefix, anos_get64(m->page, REGISTER_CHANNEL), m->sender);
	case VFS_UNREGISTER:
		return unregister(vfs, m);
	default:
		return 0;
	}
}
