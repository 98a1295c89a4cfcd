/* SPDX-License-Identifier: MIT */
/* Metrics: samples, and the text of GET /metrics.  HOST. */
#include "cloudosd/service/metrics.h"

#include <co/limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/service/feed_add.h"
#include "cloudosd/service/series.h"
#include "lib/err.h"
#include "lib/json_scan.h"
#include "store/store.h"

enum { SOURCES_MAX = 32, LAG_MS = 500, LAG_WINDOW_MS = 30000, TAGS = 64 };

struct source {
	metrics_write *write;
	void *arg;
};

struct metrics {
	struct feed_adder adder;
	struct feed *feed;
	struct series_all *series;
	struct source sources[SOURCES_MAX];
	size_t nsources;

	struct co_timer *lag_timer;
	uint64_t lag_due, lag_window;
	struct metrics_lag lag;
	uint64_t worst_before; /* of the window before this one */
};

/* ---- samples ---- */

void metrics_json(struct co_buf *out, const struct store_row *row)
{
	char id[FEED_ID_MAX];

	feed_id(id, row->at_ms, row->number);
	co_buf_text(out, "{\"id\":\"");
	co_buf_text(out, id);
	co_buf_text(out, "\",\"timestamp\":");
	co_buf_json_time(out, row->at_ms);
	co_buf_text(out, ",\"name\":");
	co_buf_json_text(out, row->name);
	co_buf_text(out, ",\"value\":");
	co_buf_span(out, row->value);
	if (row->text.data) {
		co_buf_text(out, ",\"unit\":");
		co_buf_json_text(out, row->text);
	}
	if (row->json.data) {
		co_buf_text(out, ",\"tags\":");
		co_buf_span(out, row->json);
	}
	co_buf_char(out, '}');
}

static int check_tags(struct metrics *m, struct co_span tags)
{
	struct co_json_walk walk;
	struct co_span name, value;
	size_t n = 0;

	if (!tags.data)
		return 0;
	if (co_json_kind(tags) != CO_JSON_OBJECT)
		return feed_refuse(&m->adder, CO_INVALID,
				   "tags must be an object whose values are strings");
	walk = co_json_walk(tags);
	while (co_json_next(&walk, &name, &value))
		if (co_json_kind(value) != CO_JSON_STRING)
			return feed_refuse(&m->adder, CO_INVALID,
					   "the tag %.*s is not a string; tags are an "
					   "object whose values are strings",
					   (int) (name.size < 80 ? name.size : 80),
					   name.data);
		else if (++n > TAGS)
			return feed_refuse(&m->adder, CO_TOO_BIG,
					   "there are more than %d tags", TAGS);
	return 0;
}

int metrics_add(struct metrics *m, const struct metric_sample *sample,
		metrics_done *done, void *arg)
{
	struct store_row row = { .service = co_span(sample->service),
				 .name = sample->name,
				 .text = sample->unit,
				 .value = sample->value,
				 .json = sample->tags };
	double value;
	int status = feed_check_name(&m->adder, "name", sample->name);

	if (status == 0)
		status = feed_check_label(&m->adder, "unit", sample->unit);
	if (status == 0 && !co_json_real(sample->value, &value))
		status = feed_refuse(&m->adder, CO_INVALID,
				     "value must be a number between -1.8e308 and "
				     "1.8e308");
	if (status == 0)
		status = check_tags(m, sample->tags);
	if (status == 0)
		status = feed_add(&m->adder, &row, done, arg);
	return status;
}

static void sample_added(void *arg, const struct store_row *row)
{
	struct metrics *m = arg;
	double value;

	if (co_json_real(row->value, &value)) /* it was one when it was added */
		series_note(m->series, row->service, row->name, row->json, value);
}

const char *metrics_reason(const struct metrics *metrics)
{
	return metrics->adder.reason;
}

struct feed *metrics_feed(struct metrics *metrics)
{
	return metrics->feed;
}

/* ---- the exposition ---- */

int metrics_source(struct metrics *metrics, metrics_write *write, void *arg)
{
	if (metrics->nsources == SOURCES_MAX)
		return CO_TABLE_FULL;
	metrics->sources[metrics->nsources++] = (struct source){ write, arg };
	return 0;
}

void metrics_family(struct co_buf *out, const char *name, const char *type,
		    const char *help)
{
	co_buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_number(struct co_buf *out, double value)
{
	char text[40];

	(void) snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		(void) snprintf(text, sizeof(text), "%.17g", value);
	if (isinf(value))
		co_buf_text(out, value > 0 ? "+Inf" : "-Inf");
	else
		co_buf_text(out, text);
}

void metrics_sample(struct co_buf *out, const char *name, const char *labels,
		    double value)
{
	co_buf_text(out, name);
	if (*labels) {
		co_buf_char(out, '{');
		co_buf_text(out, labels);
		co_buf_char(out, '}');
	}
	co_buf_char(out, ' ');
	add_number(out, value);
	co_buf_char(out, '\n');
}

void metrics_label(struct co_buf *out, const char *name, struct co_span value)
{
	if (out->size && out->data[out->size - 1])
		co_buf_char(out, ',');
	co_buf_text(out, name);
	co_buf_text(out, "=\"");
	for (size_t i = 0; i < value.size; i++) {
		char c = value.data[i];

		if (c == '\\' || c == '"')
			co_buf_char(out, '\\');
		if (c == '\n')
			co_buf_text(out, "\\n");
		else if (c)
			co_buf_char(out, c);
	}
	co_buf_char(out, '"');
}

static void write_own(struct metrics *m, struct co_buf *out)
{
	metrics_family(out, "cloudos_loop_lag_seconds", "gauge",
		       "How late the daemon's loop was when last looked at.");
	metrics_sample(out, "cloudos_loop_lag_seconds", "",
		       (double) m->lag.last_ms / 1000);
	metrics_family(out, "cloudos_loop_lag_worst_seconds", "gauge",
		       "How late it was at the worst of the last minute.");
	metrics_sample(out, "cloudos_loop_lag_worst_seconds", "",
		       (double) metrics_loop_lag(m).worst_ms / 1000);
	metrics_family(out, "cloudos_metric_series", "gauge",
		       "Series that programs have recorded.");
	metrics_sample(out, "cloudos_metric_series", "",
		       (double) series_count(m->series));
	metrics_family(out, "cloudos_metric_samples_dropped_total", "counter",
		       "Samples of series beyond the limit, which are not added up.");
	metrics_sample(out, "cloudos_metric_samples_dropped_total", "",
		       (double) series_dropped(m->series));
}

bool metrics_exposition(struct metrics *m, uint64_t *at, struct co_buf *out)
{
	uint64_t rest;
	bool more;

	if (*at == 0)
		write_own(m, out);
	if (*at < m->nsources) {
		m->sources[*at].write(m->sources[*at].arg, out);
		++*at;
		return *at < m->nsources || series_count(m->series);
	}
	rest = *at - m->nsources;
	more = series_write(m->series, &rest, out);
	*at = rest + m->nsources;
	return more;
}

/* ---- the loop's lag ---- */

static void look_at_lag(void *arg)
{
	struct metrics *m = arg;
	const struct co_host *host = m->adder.host;
	uint64_t now = host->now_ms(host->ctx);

	m->lag.last_ms = now > m->lag_due ? now - m->lag_due : 0;
	if (now - m->lag_window >= LAG_WINDOW_MS) {
		m->worst_before = m->lag.worst_ms;
		m->lag.worst_ms = 0;
		m->lag_window = now;
	}
	if (m->lag.last_ms > m->lag.worst_ms)
		m->lag.worst_ms = m->lag.last_ms;
	m->lag_due = now + LAG_MS;
	host->timer_start(m->lag_timer, LAG_MS);
}

struct metrics_lag metrics_loop_lag(const struct metrics *metrics)
{
	struct metrics_lag lag = metrics->lag;

	if (metrics->worst_before > lag.worst_ms)
		lag.worst_ms = metrics->worst_before;
	return lag;
}

/* ---- the life of it ---- */

struct metrics *metrics_new(const struct co_host *host, struct store *store)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->adder = (struct feed_adder){ .host = host,
					.store = store,
					.table = STORE_METRICS };
	m->series = series_new();
	m->lag_timer = host->timer_new(host->ctx, look_at_lag, m);
	if (m->series && m->lag_timer)
		m->feed = feed_new(host, store,
				   &(struct feed_options){ .table = STORE_METRICS,
							   .json = metrics_json,
							   .added = sample_added,
							   .arg = m });
	if (!m->feed)
		return metrics_free(m);
	m->lag_window = host->now_ms(host->ctx);
	m->lag_due = m->lag_window + LAG_MS;
	host->timer_start(m->lag_timer, LAG_MS);
	return m;
}

struct metrics *metrics_free(struct metrics *m)
{
	if (!m)
		return NULL;
	(void) feed_free(m->feed); /* NULL */
	m->adder.host->timer_free(m->lag_timer);
	(void) series_free(m->series); /* NULL */
	free(m);
	return NULL;
}
