/* SPDX-License-Identifier: MIT */
/* The last error of a thread.  HOST.  Specification: "Error Reporting Interface". */
#include <string.h>

#include "personality/cloudos/cloudos.h"

/* The reporter's own pid or tid, or 0 for it; anything else is somebody else's. */
static bool mine(struct co_call *call, uint32_t claimed, int32_t real)
{
	uint32_t seen;

	return !claimed || (process_pid_seen_by(real, call_tid(call), &seen) == 0 &&
			    seen == claimed);
}

/* Whoever can read the report can do so after a crash too: now the reporter goes on. */
static void report_kept(void *arg, const struct store_error *error)
{
	struct co_call *call = arg;

	if (error)
		return; /* of the rows that were asked for, only the end counts */
	call_reply(call, 0);
	(void) call_release(call);
}

/* A signal: the report stands. */
static void report_forget(struct co_call *call, void *arg)
{
	(void) call;
	(void) arg;
}

int64_t cloudos_on_report_error(struct co_call *call,
				const struct cloudos_report_error_args *a)
{
	const struct co_services *services = call_services(call);
	const error_info_t *e = a->error;
	struct error_record record = { .code = e->error_code,
				       .pid = call_process(call)->pid,
				       .tid = call_tid(call),
				       .at_ns = e->timestamp };
	int r;

	if (e->error_code > 0 || e->error_code < CLOUDOS_ENAMETOOLONG)
		return call_fail(
			call, CO_INVALID,
			"report_error: %d is no error code of CloudOS (0 to %d)",
			e->error_code, CLOUDOS_ENAMETOOLONG);
	if (!memchr(e->message, 0, sizeof(e->message)) ||
	    !memchr(e->component, 0, sizeof(e->component)))
		return call_fail(
			call, CO_INVALID,
			"report_error: message or component has no NUL inside its "
			"array");
	if (!mine(call, e->pid, record.pid))
		return call_fail(
			call, CO_ACCESS,
			"report_error: pid %u is another process; report your own "
			"errors (0 means the caller)",
			e->pid);
	if (!record.at_ns)
		record.at_ns = services->host->wall_ns(services->host->ctx);
	errors_text(record.message, sizeof(record.message), e->message);
	errors_text(record.component, sizeof(record.component), e->component);
	r = errors_set(services->errors, call_session(call), call_thread_start(call),
		       &record);
	if (r)
		return call_fail(call, r, "report_error: out of memory");
	services->record_error(services->ctx, &record, call_session(call),
			       call_journal(call, 0).call, true);
	if (store_errors(services->store, 1, report_kept, call_retain(call))) {
		(void) call_release(call);
		return 0; /* reports come faster than they can be kept */
	}
	return call_pend(call, report_forget, NULL);
}

int64_t cloudos_on_get_last_error(struct co_call *call,
				  const struct cloudos_get_last_error_args *a)
{
	struct error_record record;
	uint32_t pid, tid;

	if (errors_get(call_services(call)->errors, call_session(call), call_tid(call),
		       call_thread_start(call), &record))
		return 0; /* nothing failed: CLOUDOS_SUCCESS and empty texts */
	a->error->error_code = record.code;
	memcpy(a->error->message, record.message, sizeof(a->error->message));
	memcpy(a->error->component, record.component, sizeof(a->error->component));
	a->error->timestamp = record.at_ns;
	if (process_pid_seen_by(record.pid, call_tid(call), &pid) == 0)
		a->error->pid = pid;
	if (process_pid_seen_by(record.tid, call_tid(call), &tid) == 0)
		a->error->tid = tid;
	return 0;
}

int64_t cloudos_on_clear_error(struct co_call *call,
			       const struct cloudos_clear_error_args *a)
{
	(void) a;
	errors_clear(call_services(call)->errors, call_session(call), call_tid(call),
		     call_thread_start(call));
	return 0;
}
