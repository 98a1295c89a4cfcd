/* SPDX-License-Identifier: MIT */
/* cloudosctl ps, kill, logs, trace, errors.  HOST. */
#include <ctype.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "cli/ctl.h"

int cmd_ps(struct ctl *ctl)
{
	if (!ctl_request(ctl, WIRE_session_list_req))
		return ctl->err.code;
	return ctl_list(ctl, WIRE_session_row,
			"id name container pid personality engine calls failed age_ms command",
			NULL);
}

/* TERM, SIGTERM, term or 15. */
int ctl_signal(struct ctl *ctl, const char *text, int *out)
{
	uint64_t number;
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	int rc;

	if (isdigit((unsigned char) text[0])) {
		rc = ctl_number(ctl, "a signal", text, 1, (uint64_t) SIGRTMAX, &number);
		if (rc == 0)
			*out = (int) number;
		return rc;
	}
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);

		if (known && strcasecmp(known, name) == 0) {
			*out = i;
			return 0;
		}
	}
	return ctl_usage(ctl, "there is no signal \"%.60s\"; `kill -l` lists them",
			 text);
}

int cmd_kill(struct ctl *ctl)
{
	const char *text = ctl_option(ctl, "signal");
	struct wire_session_kill_req *req;
	int number = SIGTERM;
	int rc = text ? ctl_signal(ctl, text, &number) : 0;

	if (rc < 0)
		return rc;
	req = ctl_request(ctl, WIRE_session_kill_req);
	if (!req)
		return ctl->err.code;
	req->signal = number;
	ctl_session(ctl, &req->session, &req->name);
	rc = ctl_call(ctl, NULL, 0);
	return rc < 0 ? rc
		      : ctl_say(ctl, "sent SIG%s to %s",
				sigabbrev_np(number) ? sigabbrev_np(number) : "RT",
				ctl->operands[0]);
}

int cmd_logs(struct ctl *ctl)
{
	struct wire_log_list_req *req;
	uint64_t lines = 200;
	int rc = ctl_option_number(ctl, "lines", 1, UINT32_MAX, &lines);

	if (rc < 0)
		return rc;
	req = ctl_request(ctl, WIRE_log_list_req);
	if (!req)
		return ctl->err.code;
	req->limit = (uint32_t) lines;
	ctl_session(ctl, &req->session, &req->name);
	return ctl_list(ctl, WIRE_log_row, "at_us level subsystem message", NULL);
}

/* The daemon has put the whole line together; only the thread is missing in it. */
static int put_call(struct ctl *ctl, void *data)
{
	const struct wire_trace_call_row *row = (const void *) ctl->client->in->bytes;
	FILE *out = ctl->style.out;

	(void) data;
	if (row->h.type != WIRE_trace_call_row)
		return co_fail(&ctl->err, CO_PROTOCOL,
			       "the daemon sent a row of type %#x in a trace",
			       (unsigned) row->h.type);
	(void) fprintf(out, "[%d] ", row->tid); /* failures are asked of the flush */
	(void) co_print_escaped(out, co_msg_get(ctl->client->in, row->line),
				row->line.length);
	(void) fputc('\n', out);
	return ctl_printed(ctl, co_print_flush(out));
}

static int list_sites(struct ctl *ctl)
{
	struct wire_site_list_req *req = ctl_request(ctl, WIRE_site_list_req);
	const struct wire_site_list_rep *rep;
	int rc;

	if (!req)
		return ctl->err.code;
	if (ctl->noperands) {
		ctl_session(ctl, &req->session, &req->name);
		/* a number that is no session's may be a process's */
		if (req->session <= INT32_MAX)
			req->pid = (int32_t) req->session;
	}
	rc = ctl_list(ctl, WIRE_site_row, "site call traps state why", NULL);
	if (rc < 0 || ctl->style.format == CO_FORMAT_JSON)
		return rc;
	rep = (const void *) ctl->client->in->bytes;
	return ctl_say(
		ctl,
		"process %d: %u sites, %llu traps; %llu sites patched, %llu not; "
		"%llu signals held back, %llu SIGSYS of others",
		rep->pid, rep->sites, (unsigned long long) rep->traps,
		(unsigned long long) rep->patched,
		(unsigned long long) rep->patch_failed,
		(unsigned long long) rep->deferred, (unsigned long long) rep->sent);
}

int cmd_trace(struct ctl *ctl)
{
	struct wire_trace_req *req;

	if (ctl_option(ctl, "sites"))
		return list_sites(ctl);
	if (!ctl->noperands)
		return ctl_usage(ctl, "`" CTL_PROGRAM " trace` needs SESSION|NAME");
	req = ctl_request(ctl, WIRE_trace_req);
	if (!req)
		return ctl->err.code;
	ctl->style.stream = true;
	ctl_session(ctl, &req->session, &req->name);
	if (ctl->style.format == CO_FORMAT_JSON)
		return ctl_list(ctl, WIRE_trace_call_row, NULL, NULL);
	return ctl_stream(ctl, put_call, NULL);
}

int cmd_errors(struct ctl *ctl)
{
	struct wire_error_list_req *req;
	uint64_t lines = 50;
	int rc = ctl_option_number(ctl, "lines", 1, UINT32_MAX, &lines);

	if (rc < 0)
		return rc;
	req = ctl_request(ctl, WIRE_error_list_req);
	if (!req)
		return ctl->err.code;
	req->limit = (uint32_t) lines;
	return ctl_list(ctl, WIRE_error_row,
			"at_ns session pid tid code component message", NULL);
}
