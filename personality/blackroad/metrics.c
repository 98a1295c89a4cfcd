/* SPDX-License-Identifier: MIT */
/* POST /v1/sys/metric, GET /v1/sys/metrics, and GET /metrics for Prometheus.  HOST. */
#include <stdlib.h>

#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/rows.h"

enum { AT_ONCE = 262144 };

void blackroad_on_metric(struct http_call *call,
			 const struct blackroad_metric_args *args)
{
	struct metrics *metrics = http_services(call)->metrics;
	struct metric_sample sample = { .service = http_service(call),
					.name = args->name,
					.value = args->value,
					.unit = args->unit,
					.tags = args->tags };
	struct row_call *rc = row_call_new(call);
	int status;

	if (!rc)
		return;
	status = metrics_add(metrics, &sample, row_call_done, rc);
	row_call_wait(rc, status, metrics_reason(metrics));
}

void blackroad_on_metrics(struct http_call *call,
			  const struct blackroad_metrics_args *args)
{
	struct store_rows_query query = { .table = STORE_METRICS,
					  .service = row_service(call),
					  .name = args->name,
					  .exact = true,
					  .count = true };
	struct row_paging paging = { args->limit, args->offset, args->order,
				     args->after, args->before };

	if (row_time(call, "from", args->from, 0, &query.from_ms) &&
	    row_time(call, "to", args->to, 0, &query.to_ms) &&
	    row_paging(call, &paging, &query))
		row_list(call, &query,
			 &(struct row_listing){ "metrics", metrics_json, false });
}

/* ---- GET /metrics ---- */

struct scrape {
	struct metrics *metrics;
	struct http_stream *stream;
	uint64_t at;
};

static void scrape_closed(void *arg)
{
	free(arg);
}

/* One piece each time that the last one has gone out. */
static void scrape_on(void *arg)
{
	struct scrape *s = arg;
	autobuf struct co_buf piece = { 0 };
	bool more = metrics_exposition(s->metrics, &s->at, &piece);

	http_stream_write(s->stream, piece.data, piece.size);
	if (more)
		return;
	http_stream_end(s->stream);
	free(s);
}

void blackroad_on_prometheus(struct http_call *call,
			     const struct blackroad_prometheus_args *args)
{
	static const char type[] = "text/plain; version=0.0.4; charset=utf-8";
	struct metrics *metrics = http_services(call)->metrics;
	struct co_buf body = { 0 };
	uint64_t at = 0;
	bool more = true;
	struct scrape *s;

	(void) args;
	while (more && body.size < AT_ONCE)
		more = metrics_exposition(metrics, &at, &body);
	if (!more) {
		http_answer_as(call, 200, type, &body);
		return;
	}
	s = malloc(sizeof(*s));
	if (!s) {
		co_buf_done(&body);
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	*s = (struct scrape){ .metrics = metrics, .at = at };
	s->stream = http_stream_begin(call, 200, type, scrape_closed, s);
	if (s->stream) {
		http_stream_on_room(s->stream, scrape_on);
		http_stream_write(s->stream, body.data, body.size);
	} else {
		free(s);
	}
	co_buf_done(&body);
}
