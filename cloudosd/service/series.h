/* SPDX-License-Identifier: MIT */
/*
 * What metrics come to: one series for each name and set of labels, with its last value,
 * sum, count and histogram; and the text that Prometheus reads (0.0.4).  HOST; metrics.c's.
 */
#ifndef CO_SERVICE_SERIES_H
#define CO_SERVICE_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/span.h"

struct series_all;

struct series_all *series_new(void);
struct series_all *series_free(struct series_all *all); /* returns NULL */

/* tags: a checked JSON object of strings, or {NULL, 0}.  A series beyond
 * CO_LIMIT_TELEMETRY_SERIES is counted and otherwise ignored, as without memory. */
void series_note(struct series_all *all, struct co_span service, struct co_span name,
		 struct co_span tags, double value);

uint64_t series_count(const struct series_all *all);
uint64_t series_dropped(const struct series_all *all); /* samples */

/* As metrics_exposition, for the series alone. */
bool series_write(const struct series_all *all, uint64_t *at, struct co_buf *out);

/* A name as Prometheus takes it: other characters become _. */
void series_metric_name(struct co_buf *out, struct co_span name);

#endif
