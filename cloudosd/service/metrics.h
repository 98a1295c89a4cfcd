/* SPDX-License-Identifier: MIT */
/*
 * Metrics: samples as programs record them, kept and read again; and what they come to,
 * one series for each service, name and set of tags, in memory for GET /metrics.  HOST.
 */
#ifndef CO_SERVICE_METRICS_H
#define CO_SERVICE_METRICS_H

#include "cloudosd/service/feed.h"

struct metrics;

struct metric_sample {
	const char *service;
	struct co_span name;  /* 1 to CO_LIMIT_TELEMETRY_NAME bytes */
	struct co_span value; /* a JSON number, kept as it is written */
	struct co_span unit;  /* {NULL, 0}: none */
	struct co_span tags;  /* a JSON object of strings; {NULL, 0}: none */
};

typedef void metrics_done(void *arg, int status, const char *reason, const char *id,
			  uint64_t at_ms);

/* Copies the sample.  As events_emit. */
int metrics_add(struct metrics *metrics, const struct metric_sample *sample,
		metrics_done *done, void *arg);
const char *metrics_reason(const struct metrics *metrics);

struct feed *metrics_feed(struct metrics *metrics);
/* {"id","timestamp","name","value","unit","tags"} */
void metrics_json(struct co_buf *out, const struct store_row *row);

/* ---- GET /metrics: text/plain; version=0.0.4 ---- */

/*
 * Numbers of other parts of the daemon: write(arg, out) at each scrape, with the functions
 * below.  Names begin with cloudos_.  Registered for good.
 */
typedef void metrics_write(void *arg, struct co_buf *out);
int metrics_source(struct metrics *metrics, metrics_write *write, void *arg);

/* # HELP and # TYPE of a family ("counter", "gauge"), then its samples. */
void metrics_family(struct co_buf *out, const char *name, const char *type,
		    const char *help);
/* labels: what stands between the braces, made with metrics_label; "" for none. */
void metrics_sample(struct co_buf *out, const char *name, const char *labels,
		    double value);
/* name="value", escaped, with a comma before it if there is something in out already. */
void metrics_label(struct co_buf *out, const char *name, struct co_span value);

/*
 * The exposition in pieces, as it is too long for one turn of the loop: begins at *at = 0,
 * adds some lines, moves *at on; false when that was the last piece.
 */
bool metrics_exposition(struct metrics *metrics, uint64_t *at, struct co_buf *out);

/* How late the loop's timers are: the last measurement, and the worst of a minute. */
struct metrics_lag {
	uint64_t last_ms, worst_ms;
};

struct metrics_lag metrics_loop_lag(const struct metrics *metrics);

struct metrics *metrics_new(const struct co_host *host, struct store *store);
struct metrics *metrics_free(struct metrics *metrics); /* returns NULL */

#endif
