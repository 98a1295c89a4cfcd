/* SPDX-License-Identifier: MIT */
/* What the endpoints of logs, metrics and events share.  HOST. */
#include "personality/blackroad/rows.h"

#include <co/limits.h>
#include <stdlib.h>

#include "cloudosd/service/feed.h"
#include "lib/time.h"
#include "personality/blackroad/blackroad.h"

enum { LIMIT = 100, LIMIT_MAX = 1000 };

/* ---- adding ---- */

struct row_call {
	struct http_call *call; /* NULL: the client has gone */
};

static void cancelled(struct http_call *call, void *arg)
{
	struct row_call *rc = arg;

	(void) call;
	rc->call = NULL;
}

struct row_call *row_call_new(struct http_call *call)
{
	struct row_call *rc = malloc(sizeof(*rc));

	if (!rc) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return NULL;
	}
	rc->call = call;
	return rc;
}

void row_call_done(void *arg, int status, const char *reason, const char *id,
		   uint64_t at_ms)
{
	struct row_call *rc = arg;
	struct co_buf body = { 0 };

	if (rc->call && status < 0) {
		http_fail_status(rc->call, status, reason);
	} else if (rc->call) {
		co_buf_format(&body, "{\"id\":\"%s\",\"timestamp\":", id);
		co_buf_json_time(&body, at_ms);
		co_buf_char(&body, '}');
		http_answer(rc->call, 201, &body);
	}
	free(rc);
}

void row_call_wait(struct row_call *rc, int status, const char *reason)
{
	if (status == 0) {
		http_pend(rc->call, cancelled, rc);
		return;
	}
	http_fail_status(rc->call, status, reason);
	free(rc);
}

struct co_span row_source(const struct http_call *call)
{
	const char *caller = http_caller(call);

	return *caller ? co_span(caller) : (struct co_span){ 0 };
}

struct co_span row_service(const struct http_call *call)
{
	struct co_span service = co_span(http_service(call));

	return co_span_is(service, "*") ? (struct co_span){ 0 } : service;
}

/* ---- listing ---- */

static bool row_id(struct http_call *call, const char *name, struct co_span text,
		   uint64_t *out)
{
	uint64_t at_ms;

	if (!text.data || feed_id_parse(text, &at_ms, out))
		return true;
	blackroad_invalid(call, "%s must be an id as replies have it", name);
	return false;
}

bool row_paging(struct http_call *call, const struct row_paging *paging,
		struct store_rows_query *out)
{
	int64_t limit, offset;
	uint64_t before = 0;

	if (!blackroad_number(call, "limit", paging->limit, LIMIT, 0, INT32_MAX,
			      &limit) ||
	    !blackroad_number(call, "offset", paging->offset, 0, 0, INT32_MAX,
			      &offset) ||
	    !row_id(call, "after", paging->after, &out->after) ||
	    !row_id(call, "before", paging->before, &before))
		return false;
	if (paging->order.data && !co_span_is(paging->order, "asc") &&
	    !co_span_is(paging->order, "desc")) {
		blackroad_invalid(call, "order must be asc or desc");
		return false;
	}
	out->limit = (uint32_t) (limit < LIMIT_MAX ? limit : LIMIT_MAX);
	out->offset = (uint32_t) offset;
	out->newest_first = co_span_is(paging->order, "desc");
	out->upto = before ? before - 1 : 0;
	if (before == 1)
		out->after = INT64_MAX; /* nothing is before the first */
	return true;
}

struct listing {
	struct http_call *call; /* NULL: the client has gone */
	struct row_listing how;
	uint32_t limit, offset;
};

static void listing_cancelled(struct http_call *call, void *arg)
{
	struct listing *l = arg;

	(void) call;
	l->call = NULL;
}

static void listed(void *arg, const struct store_rows *rows)
{
	struct listing *l = arg;
	struct co_buf body = { 0 };

	if (l->call && rows->status < 0) {
		http_fail_status(l->call, rows->status, rows->reason);
	} else if (l->call) {
		co_buf_format(&body, "{\"%s\":[", l->how.name);
		for (size_t i = 0; i < rows->nrows; i++) {
			if (i)
				co_buf_char(&body, ',');
			l->how.json(&body, &rows->rows[i]);
		}
		co_buf_format(&body, "],\"total\":%llu,\"limit\":%u",
			      (unsigned long long) rows->total, l->limit);
		if (l->how.offset)
			co_buf_format(&body, ",\"offset\":%u", l->offset);
		co_buf_char(&body, '}');
		http_answer(l->call, 200, &body);
	}
	free(l);
}

void row_list(struct http_call *call, const struct store_rows_query *query,
	      const struct row_listing *how)
{
	struct listing *l = malloc(sizeof(*l));
	int status = CO_NO_MEMORY;

	if (l) {
		*l = (struct listing){ call, *how, query->limit, query->offset };
		status = store_rows_read(http_services(call)->store, query, listed, l);
	}
	if (status == 0) {
		http_pend(call, listing_cancelled, l);
		return;
	}
	free(l);
	http_fail_status(call, status,
			 status == CO_BUSY ? "too many listings are under way; try "
					     "again in a moment"
					   : NULL);
}

bool row_time(struct http_call *call, const char *name, struct co_span text,
	      uint64_t absent, uint64_t *out)
{
	*out = absent;
	if (!text.data || co_time_parse(text, out))
		return true;
	blackroad_invalid(call,
			  "%s must be a time like 2026-11-20T12:00:00Z or "
			  "2026-11-20T12:00:00.123Z",
			  name);
	return false;
}
