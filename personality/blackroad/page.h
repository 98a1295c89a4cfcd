/* SPDX-License-Identifier: MIT */
/* The files of the page, as page/embed.sh makes them.  HOST. */
#ifndef CO_BLACKROAD_PAGE_H
#define CO_BLACKROAD_PAGE_H

#include <stddef.h>

struct page_file {
	const char *name; /* NULL ends the table; the first is what / shows */
	const char *type;
	const char *etag;          /* of the text, with its quotes */
	const unsigned char *gzip; /* the text, compressed */
	size_t gzip_size, size;
};

extern const struct page_file page_files[];

#endif
