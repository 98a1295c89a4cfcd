/* SPDX-License-Identifier: MIT */
/* Adding rows to feeds.  HOST. */
#include "cloudosd/service/feed_add.h"

#include <co/limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/err.h"
#include "lib/utf8.h"
#include "store/store.h"

struct adding {
	struct feed_adder *adder;
	feed_added *done;
	void *arg;
	uint64_t at_ms;
};

int feed_refuse(struct feed_adder *adder, int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void) vsnprintf(adder->reason, sizeof(adder->reason), format, ap);
	va_end(ap);
	return status;
}

int feed_check_label(struct feed_adder *adder, const char *what, struct co_span name)
{
	size_t length;

	if (name.size > CO_LIMIT_TELEMETRY_NAME)
		return feed_refuse(adder, CO_TOO_BIG,
				   "the %s has %zu bytes; %d are allowed", what,
				   name.size, CO_LIMIT_TELEMETRY_NAME);
	for (size_t i = 0; i < name.size; i += length) {
		uint32_t c = co_utf8_next(name.data + i, name.size - i, &length);

		if (c == CO_UTF8_INVALID || c < 0x20 || (c >= 0x7f && c < 0xa0))
			return feed_refuse(adder, CO_INVALID,
					   "the %s has a control character or is not "
					   "UTF-8 at byte %zu",
					   what, i);
	}
	return 0;
}

int feed_check_name(struct feed_adder *adder, const char *what, struct co_span name)
{
	if (!name.size)
		return feed_refuse(adder, CO_INVALID,
				   "the %s is empty; it needs a name", what);
	return feed_check_label(adder, what, name);
}

static void added(void *arg, int status, const char *reason, uint64_t number)
{
	struct adding *a = arg;
	char id[FEED_ID_MAX] = "";

	if (status == 0)
		feed_id(id, a->at_ms, number);
	else if (!a->done)
		a->adder->lost++;
	if (a->done)
		a->done(a->arg, status, reason, id, a->at_ms);
	free(a);
}

static const char *why(int status)
{
	switch (status) {
	case CO_TOO_BIG:
		return "text and JSON are too long together; cloudosctl limits says how "
		       "long they may be (TELEMETRY_ROW)";
	case CO_BUSY:
		return "too many entries wait to be written; try again in a moment";
	default:
		return co_status_text(status);
	}
}

int feed_add(struct feed_adder *adder, struct store_row *row, feed_added *done,
	     void *arg)
{
	struct adding *a = malloc(sizeof(*a));
	int status;

	if (!a)
		return feed_refuse(adder, CO_NO_MEMORY, "out of memory");
	row->at_ms = adder->host->wall_ns(adder->host->ctx) / 1000000;
	*a = (struct adding){ adder, done, arg, row->at_ms };
	status = store_row_add(adder->store, adder->table, row, added, a);
	if (status == 0)
		return 0;
	free(a);
	if (!done)
		adder->lost++;
	return feed_refuse(adder, status, "%s", why(status));
}
