/* SPDX-License-Identifier: MIT */
/* What the endpoints of logs, metrics and events share.  HOST. */
#ifndef CO_BLACKROAD_ROWS_H
#define CO_BLACKROAD_ROWS_H

#include "personality/http.h"

/* A call that waits for a row to be kept. */
struct row_call;

/* NULL: it has been answered. */
struct row_call *row_call_new(struct http_call *call);

/* For logs_add, metrics_add, events_emit: answers 201 {"id","timestamp"}, or the failure. */
void row_call_done(void *arg, int status, const char *reason, const char *id,
		   uint64_t at_ms);

/* What those returned: waits, or answers why not. */
void row_call_wait(struct row_call *rc, int status, const char *reason);

/* {NULL, 0} unless X-Service-Name says who calls. */
struct co_span row_source(const struct http_call *call);

/* A listing: how many, from where, in which order; false: it has been answered. */
struct row_paging {
	struct co_span limit, offset, order, after, before;
};

struct store_rows_query;
bool row_paging(struct http_call *call, const struct row_paging *paging,
		struct store_rows_query *out);

/* Answers {"NAME":[...],"total":N,"limit":N} with "offset" where `offset` is set. */
struct row_listing {
	const char *name;
	void (*json)(struct co_buf *out, const struct store_row *row);
	bool offset;
};

void row_list(struct http_call *call, const struct store_rows_query *query,
	      const struct row_listing *listing);

/* A moment out of a query; `absent` if there is none; false: it has been answered. */
bool row_time(struct http_call *call, const char *name, struct co_span text,
	      uint64_t absent, uint64_t *out);

/* The addressed service; {NULL, 0} for "*", all of them. */
struct co_span row_service(const struct http_call *call);

#endif
