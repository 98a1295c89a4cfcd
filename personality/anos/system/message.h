/* SPDX-License-Identifier: MIT */
/*
 * One message to a service of SYSTEM, and reading and writing its page.  HOST.
 *
 * A service is a function of a message: it looks at tag, size and page, may write into
 * the page, which goes back to the sender whole, and returns the value of the reply.
 * The sender of a reply of 0 sees FAILURE; that is how Anos services say no.
 *
 * The page is a private copy: nobody changes it while the service reads.  `size` is what
 * the sender says and no more than that; the page has all its bytes whatever it says.
 */
#ifndef ANOS_SYSTEM_MESSAGE_H
#define ANOS_SYSTEM_MESSAGE_H

#include <stdint.h>
#include <string.h>

enum { ANOS_PAGE = 4096 };

struct anos_message {
	uint64_t tag;
	uint64_t size;
	uint8_t *page;  /* ANOS_PAGE bytes; NULL: the message was only a tag */
	int32_t sender; /* its process, stamped by the engine; 0: SYSTEM itself */
};

/* What a service may believe of `size`. */
static inline uint32_t anos_message_size(const struct anos_message *m)
{
	if (!m->page)
		return 0;
	return m->size > ANOS_PAGE ? ANOS_PAGE : (uint32_t) m->size;
}

static inline uint16_t anos_get16(const uint8_t *page, uint32_t offset)
{
	uint16_t value;

	memcpy(&value, page + offset, sizeof(value));
	return value;
}

static inline uint32_t anos_get32(const uint8_t *page, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, page + offset, sizeof(value));
	return value;
}

static inline uint64_t anos_get64(const uint8_t *page, uint32_t offset)
{
	uint64_t value;

	memcpy(&value, page + offset, sizeof(value));
	return value;
}

static inline void anos_put32(uint8_t *page, uint32_t offset, uint32_t value)
{
	memcpy(page + offset, &value, sizeof(value));
}

static inline void anos_put64(uint8_t *page, uint32_t offset, uint64_t value)
{
	memcpy(page + offset, &value, sizeof(value));
}

#endif
