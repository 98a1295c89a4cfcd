/* SPDX-License-Identifier: MIT */
/* The driver of "boot:".  HOST. */
#include "personality/anos/system/boot.h"

enum {
	BOOT_SIZE = 1,
	BOOT_LOAD = 2,

	LOAD_PATH = 8,
	/* Anos takes 4 instead of 8 off the size of a request to load, and its loader
	 * counts on it: it sends 26 bytes and a path of up to 21. */
	LOAD_SLACK = 4
};

const char *anos_boot_name(const char *path)
{
	const char *colon = strchr(path, ':');

	if (colon == path)
		return NULL; /* Anos refuses a prefix without a name */
	if (colon)
		path = colon + 1;
	while (*path == '/')
		path++;
	return *path ? path : NULL;
}

/* The name that stands at an offset of the page and ends before another. */
static const char *name_at(const uint8_t *page, uint32_t begin, uint32_t end)
{
	if (end > ANOS_PAGE)
		end = ANOS_PAGE;
	if (begin >= end || !memchr(page + begin, 0, end - begin))
		return NULL;
	return anos_boot_name((const char *) page + begin);
}

static uint64_t load(const struct anos_root *root, const struct anos_message *m)
{
	const char *name =
		name_at(m->page, LOAD_PATH, anos_message_size(m) + LOAD_SLACK);
	uint8_t data[ANOS_PAGE]; /* the name stands where the data goes */
	ssize_t n;

	if (!name)
		return 0;
	n = anos_root_read(root, name, anos_get64(m->page, 0), data, sizeof(data));
	if (n <= 0)
		return 0;
	memcpy(m->page, data, (size_t) n);
	return (uint64_t) n;
}

uint64_t anos_boot_answer(const struct anos_root *root, struct anos_message *m)
{
	const char *name;
	int64_t size;

	if (!m->page)
		return 0;
	switch (m->tag) {
	case BOOT_SIZE:
		name = name_at(m->page, 0, anos_message_size(m));
		size = name ? anos_root_size(root, name) : 0;
		return size > 0 ? (uint64_t) size : 0;
	case BOOT_LOAD:
		return load(root, m);
	default:
		return 0;
	}
}
