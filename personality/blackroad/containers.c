/* SPDX-License-Identifier: MIT */
/* The container endpoints: what cloudosctl container is made of.  HOST. */
#include <co/limits.h>
#include <stdlib.h>

#include "cloudosd/service/container.h"
#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "personality/blackroad/blackroad.h"

/* A request that waits for the service. */
struct waiting {
	struct http_call *call; /* NULL: the client has gone */
	struct containers *containers;
	int status; /* what success is */
	bool is_wait;
};

static void gone(struct http_call *call, void *arg)
{
	struct waiting *w = arg;

	(void) call;
	w->call = NULL;
	if (!w->is_wait)
		return;
	containers_forget(w->containers, w);
	free(w);
}

static struct waiting *waiting_new(struct http_call *call, int status, bool is_wait)
{
	struct waiting *w;

	if (!http_services(call)->containers) {
		http_fail_status(
			call, CO_UNSUPPORTED,
			"this daemon has no containers: cloudos-ctr was not found "
			"when it started");
		return NULL;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return NULL;
	}
	w->call = call;
	w->containers = http_services(call)->containers;
	w->status = status;
	w->is_wait = is_wait;
	http_pend(call, gone, w);
	return w;
}

static void fail(struct http_call *call, const struct container_answer *a)
{
	if (a->program)
		http_fail(call, a->status == CO_NOT_FOUND ? 404 : 403,
			  a->status == CO_NOT_FOUND ? "PROGRAM_NOT_FOUND"
						    : "PROGRAM_REFUSED",
			  "%s", a->reason);
	else if (a->status == CO_NOT_DIR || a->status == CO_IS_DIR ||
		 a->status == CO_LOOP || a->status == CO_UNSUPPORTED)
		http_fail(call, 400, "INVALID_REQUEST", "%s", a->reason);
	else if (a->status == CO_BUSY)
		http_fail(call, 409, "BUSY", "%s", a->reason);
	else if (a->status == CO_EXISTS)
		http_fail(call, 409, "EXISTS", "%s", a->reason);
	else if (a->status == CO_GONE)
		http_fail(call, 409, "ENDED", "%s", a->reason);
	else
		http_fail_status(call, a->status, a->reason);
}

static void answer(void *arg, const struct container_answer *a)
{
	struct waiting *w = arg;
	struct co_buf body = { 0 };

	if (w->call && a->status == 0) {
		co_buf_span(&body, a->json);
		http_answer(w->call, w->status, &body);
	} else if (w->call) {
		fail(w->call, a);
	}
	free(w);
}

/* ---- listing, creating ---- */

static bool is_true(struct co_span text)
{
	return co_span_is(text, "true") || co_span_is(text, "1");
}

void blackroad_on_containers(struct http_call *call,
			     const struct blackroad_containers_args *with)
{
	struct containers *containers = http_services(call)->containers;
	struct co_buf body = { 0 };

	if (containers)
		containers_list(containers, is_true(with->all), &body);
	else
		co_buf_text(&body, "{\"containers\":[]}");
	http_answer(call, 200, &body);
}

void blackroad_on_container_create(struct http_call *call,
				   const struct blackroad_container_create_args *with)
{
	struct waiting *w = waiting_new(call, 201, false);
	struct co_span body = http_body(call);

	(void) with; /* the body is CONFIG, which the service reads */
	if (!body.data)
		body = co_span("{}");
	if (w)
		containers_create(
			w->containers, body, (struct co_span){ 0 },
			&(struct container_asker){ .done = answer, .arg = w });
}

void blackroad_on_containers_prune(struct http_call *call,
				   const struct blackroad_containers_prune_args *with)
{
	struct waiting *w = waiting_new(call, 200, false);

	(void) with; /* has no members */
	if (w)
		containers_prune(w->containers,
				 &(struct container_asker){ .done = answer, .arg = w });
}

/* ---- one ---- */

static void ask(struct http_call *call, const struct container_request *request)
{
	struct waiting *w = waiting_new(call, 200, request->verb == CONTAINER_WAIT);

	if (w)
		containers_ask(w->containers, request,
			       &(struct container_asker){ .done = answer, .arg = w });
}

static void ask_simply(struct http_call *call, struct co_span id,
		       enum container_verb verb)
{
	ask(call, &(struct container_request){ .verb = verb, .which = id });
}

void blackroad_on_container(struct http_call *call,
			    const struct blackroad_container_args *with)
{
	ask_simply(call, with->id, CONTAINER_INSPECT);
}

void blackroad_on_container_start(struct http_call *call,
				  const struct blackroad_container_start_args *with)
{
	ask_simply(call, with->id, CONTAINER_START);
}

/* stop and restart: {"timeout": seconds} */
static void ask_to_stop(struct http_call *call, struct co_span id,
			enum container_verb verb, struct co_span timeout)
{
	struct container_request request = { .verb = verb, .which = id };
	int64_t s;

	if (!blackroad_json_number(call, "timeout", timeout, -1, 0, 86400, &s))
		return;
	request.has_timeout = s >= 0;
	request.timeout_s = s >= 0 ? (uint32_t) s : 0;
	ask(call, &request);
}

void blackroad_on_container_stop(struct http_call *call,
				 const struct blackroad_container_stop_args *with)
{
	ask_to_stop(call, with->id, CONTAINER_STOP, with->timeout);
}

void blackroad_on_container_restart(struct http_call *call,
				    const struct blackroad_container_restart_args *with)
{
	ask_to_stop(call, with->id, CONTAINER_RESTART, with->timeout);
}

void blackroad_on_container_pause(struct http_call *call,
				  const struct blackroad_container_pause_args *with)
{
	ask_simply(call, with->id, CONTAINER_PAUSE);
}

void blackroad_on_container_unpause(struct http_call *call,
				    const struct blackroad_container_unpause_args *with)
{
	ask_simply(call, with->id, CONTAINER_UNPAUSE);
}

void blackroad_on_container_kill(struct http_call *call,
				 const struct blackroad_container_kill_args *with)
{
	struct container_request request = { .verb = CONTAINER_KILL,
					     .which = with->id };
	autobuf struct co_buf text = { 0 };
	int64_t number;

	if (with->signal.data && co_json_whole(with->signal, &number))
		request.signal = number > 0 && number <= 64 ? (int) number : -1;
	else if (with->signal.data && co_json_unescape(with->signal, &text) == 0)
		request.signal = container_signal(
			(struct co_span){ text.data ? text.data : "", text.size });
	if (with->signal.data && request.signal <= 0) {
		blackroad_invalid(call,
				  "signal is the name or number of a signal, such "
				  "as SIGTERM");
		return;
	}
	ask(call, &request);
}

void blackroad_on_container_update(struct http_call *call,
				   const struct blackroad_container_update_args *with)
{
	struct co_span body = http_body(call);

	ask(call,
	    &(struct container_request){ .verb = CONTAINER_UPDATE,
					 .which = with->id,
					 .config = body.data ? body : co_span("{}") });
}

void blackroad_on_container_wait(struct http_call *call,
				 const struct blackroad_container_wait_args *with)
{
	ask_simply(call, with->id, CONTAINER_WAIT);
}

void blackroad_on_container_stats(struct http_call *call,
				  const struct blackroad_container_stats_args *with)
{
	ask_simply(call, with->id, CONTAINER_STATS);
}

void blackroad_on_container_logs(struct http_call *call,
				 const struct blackroad_container_logs_args *with)
{
	int64_t lines;

	if (blackroad_number(call, "tail", with->tail, 100, 1,
			     CO_LIMIT_CONTAINER_LOG_LINES, &lines))
		ask(call, &(struct container_request){ .verb = CONTAINER_LOGS,
						       .which = with->id,
						       .lines = (uint32_t) lines });
}

void blackroad_on_container_remove(struct http_call *call,
				   const struct blackroad_container_remove_args *with)
{
	ask(call, &(struct container_request){ .verb = CONTAINER_REMOVE,
					       .which = with->id,
					       .force = is_true(with->force),
					       .volumes = is_true(with->volumes) });
}
