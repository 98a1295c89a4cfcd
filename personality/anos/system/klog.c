/* SPDX-License-Identifier: MIT */
/* The kernel log.  HOST. */
#include "personality/anos/system/klog.h"

#include <string.h>

#define RING ((size_t) CO_LIMIT_ANOS_LOG)

void anos_klog_append(struct anos_klog *log, const void *bytes, size_t n)
{
	const char *from = bytes;
	size_t at, first;

	if (n > RING) {
		log->written += n - RING;
		from += n - RING;
		n = RING;
	}
	at = (size_t) (log->written % RING);
	first = n < RING - at ? n : RING - at;
	memcpy(log->bytes + at, from, first);
	memcpy(log->bytes, from + first, n - first);
	log->written += n;
	if (log->written - log->read > RING)
		log->read = log->written - RING;
}

size_t anos_klog_take(struct anos_klog *log, void *to, size_t n)
{
	size_t at = (size_t) (log->read % RING);
	size_t first;

	if (n > log->written - log->read)
		n = (size_t) (log->written - log->read);
	first = n < RING - at ? n : RING - at;
	memcpy(to, log->bytes + at, first);
	memcpy((char *) to + first, log->bytes, n - first);
	log->read += n;
	return n;
}

void anos_klog_put_back(struct anos_klog *log, size_t n)
{
	log->read -= n;
}
