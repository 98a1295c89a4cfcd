/* SPDX-License-Identifier: MIT */
/* Adding rows, the part that logs, metrics and events share.  HOST; theirs alone. */
#ifndef CO_SERVICE_FEED_ADD_H
#define CO_SERVICE_FEED_ADD_H

#include "cloudosd/service/feed.h"

struct feed_adder {
	const struct co_host *host;
	struct store *store;
	enum store_table table;
	uint64_t lost; /* rows that nobody waited for and that could not be kept */
	char reason[256];
};

/* What logs_done, metrics_done and events_done are. */
typedef void feed_added(void *arg, int status, const char *reason, const char *id,
			uint64_t at_ms);

/* Gives the row its time and adds it.  Failures leave a sentence in `reason`. */
int feed_add(struct feed_adder *adder, struct store_row *row, feed_added *done,
	     void *arg);

/* CO_INVALID or CO_TOO_BIG with a sentence unless it is a name: 1 to
 * CO_LIMIT_TELEMETRY_NAME bytes of UTF-8 without control characters. */
int feed_check_name(struct feed_adder *adder, const char *what, struct co_span name);
/* The same, and it may be absent. */
int feed_check_label(struct feed_adder *adder, const char *what, struct co_span name);

int feed_refuse(struct feed_adder *adder, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
