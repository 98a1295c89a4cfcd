/* SPDX-License-Identifier: MIT */
/* Messages to SYSTEM's services, for their tests.  HOST. */
#ifndef CO_TESTS_UNIT_ANOS_PAGE_H
#define CO_TESTS_UNIT_ANOS_PAGE_H

#include <string.h>

#include "personality/anos/system/message.h"

struct page {
	/* a service that leaves the page is seen by address sanitizer: this is its end */
	_Alignas(ANOS_PAGE) uint8_t bytes[ANOS_PAGE];
};

static inline struct anos_message message(struct page *page, uint64_t tag,
					  uint64_t size)
{
	return (struct anos_message){
		.tag = tag, .size = size, .page = page->bytes, .sender = 100
	};
}

static inline void put_text(struct page *page, uint32_t at, const char *text)
{
	memcpy(page->bytes + at, text, strlen(text) + 1);
}

#endif
