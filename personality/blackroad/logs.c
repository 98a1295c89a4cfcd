/* SPDX-License-Identifier: MIT */
/* POST /v1/sys/log and GET /v1/sys/logs.  HOST. */
#include "personality/blackroad/blackroad.h"
#include "personality/blackroad/rows.h"

void blackroad_on_log(struct http_call *call, const struct blackroad_log_args *args)
{
	struct logs *logs = http_services(call)->logs;
	struct log_entry entry = { .service = http_service(call),
				   .source = row_source(call),
				   .level = args->level,
				   .message = args->message,
				   .meta = args->meta };
	struct row_call *rc = row_call_new(call);
	int status;

	if (!rc)
		return;
	status = logs_add(logs, &entry, row_call_done, rc);
	row_call_wait(rc, status, logs_reason(logs));
}

void blackroad_on_logs(struct http_call *call, const struct blackroad_logs_args *args)
{
	struct store_rows_query query = { .table = STORE_LOGS,
					  .service = row_service(call),
					  .name = args->level,
					  .exact = true,
					  .contains = args->contains,
					  .count = true };
	struct row_paging paging = { args->limit, args->offset, args->order,
				     args->after, args->before };

	if (args->level.data && !log_level_known(args->level)) {
		blackroad_invalid(call,
				  "there is no such level; levels are debug, info, "
				  "warn, error and fatal");
		return;
	}
	if (row_paging(call, &paging, &query))
		row_list(call, &query,
			 &(struct row_listing){ "logs", logs_json, true });
}
