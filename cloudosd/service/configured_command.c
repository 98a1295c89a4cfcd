/* SPDX-License-Identifier: MIT */
/* Commands that answer calls: params in, result out, no shell between.  HOST. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include <co/limits.h>

#include "cloudosd/service/configured_inside.h"
#include "cloudosd/service/logs.h"
#include "lib/cleanup.h"

enum { VARIABLES = 8 };

/* Others may wait for the place of one that has ended. */
static void places_free(struct configured *c)
{
	struct configured_one *one, *next;

	DL_FOREACH_SAFE (c->list, one, next)
		if (!one->spec.backend && one->provider)
			handler_ready(one->provider);
}

/* ---- the end ---- */

static void failed(struct configured_call *call, const struct spawn_end *end)
{
	struct handler_result result = { .status = 500, .code = "COMMAND_FAILED" };
	autobuf struct co_buf details = { 0 };
	char message[256];

	if (end->signal)
		(void) snprintf(message, sizeof(message),
				"the command \"%.64s\" was ended by signal %d",
				call->one->spec.label, end->signal);
	else
		(void) snprintf(message, sizeof(message),
				"the command \"%.64s\" has failed with exit code %d",
				call->one->spec.label, end->exit);
	result.message = co_span(message);
	if (end->signal)
		co_buf_format(&details, "{\"exit\":null,\"signal\":%d", end->signal);
	else
		co_buf_format(&details, "{\"exit\":%d,\"signal\":null", end->exit);
	co_buf_text(&details, ",\"stderrTail\":");
	co_buf_json_text(&details, end->last_words);
	co_buf_char(&details, '}');
	if (!details.failed)
		result.details = (struct co_span){ details.data, details.size };
	(void) handler_answer(call->one->provider, call->id, &result); /* or too late */
}

static void answer(struct configured_call *call, const struct spawn_end *end)
{
	struct handler_provider *p = call->one->provider;
	struct handler_result result = { .status = 200, .result = end->output };

	if (end->error)
		(void) handler_fail(p, call->id, 503, "UNAVAILABLE", "%s", end->reason);
	else if (end->too_much)
		(void) handler_fail(
			p, call->id, 500, "RESULT_TOO_LARGE",
			"the command's output is larger than the limit of %d "
			"bytes; it was killed",
			CO_LIMIT_RPC_RESULT);
	else if (end->signal || end->exit)
		failed(call, end);
	else {
		if (!end->output.size)
			result.result = (struct co_span){ 0 };
		(void) handler_answer(p, call->id, &result); /* or too late */
	}
}

static void done(void *arg, const struct spawn_end *end)
{
	struct configured_call *call = arg;
	struct configured *all = call->one->all;
	bool last = call->one->provider == NULL;

	call->process = NULL;
	if (!last)
		answer(call, end);
	configured_call_end(call);
	if (!last)
		places_free(all);
}

static void complaint(void *arg, int32_t pid, struct co_span text)
{
	const struct configured_call *call = arg;
	struct log_output output = { .service = call->one->spec.service,
				     .pid = pid,
				     .standard_error = true,
				     .text = text };

	if (call->one->all->means.logs)
		(void) logs_add_output(
			call->one->all->means.logs, &output, NULL,
			NULL); /* under load they are lost, and counted */
}

/* ---- the beginning ---- */

struct variables {
	char *list[VARIABLES];
	size_t n;
	bool failed;
};

static void variable(struct variables *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void variable(struct variables *v, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (v->n + 1 < VARIABLES && vasprintf(&v->list[v->n], format, args) >= 0)
		v->n++;
	else
		v->failed = true;
	va_end(args);
}

/* No value comes from a caller that could not be a name. */
static void tell(struct variables *v, const struct handler_task *task,
		 const struct configured_one *one)
{
	const struct handler_request *r = task->request;
	const struct co_host *host = one->all->means.host;
	uint64_t now = host->now_ms(host->ctx);

	variable(v, "%s=%.*s",
		 r->subject == HANDLER_METHOD ? "CLOUDOS_METHOD" : "CLOUDOS_JOB",
		 (int) r->name.size, r->name.data);
	variable(v, "CLOUDOS_SERVICE=%s", r->service);
	variable(v, "CLOUDOS_CALLER=%.*s", (int) r->caller.service.size,
		 r->caller.service.data ? r->caller.service.data : "");
	if (task->deadline_ms)
		variable(v, "CLOUDOS_TIMEOUT_MS=%" PRIu64,
			 task->deadline_ms > now ? task->deadline_ms - now : 0);
	if (r->run.size)
		variable(v, "CLOUDOS_RUN=%.*s", (int) r->run.size, r->run.data);
	if (r->attempt)
		variable(v, "CLOUDOS_ATTEMPT=%" PRIu32, r->attempt);
}

/* The configured ones first, ours last; "" is none. */
static const char **environment(const struct configured_one *one,
				const struct variables *v)
{
	const char *const *from = one->spec.environment;
	const char **all;
	size_t n = 0;

	while (from[n])
		n++;
	all = calloc(n + v->n + 1, sizeof(const char *));
	if (!all)
		return NULL;
	memcpy(all, from, n * sizeof(const char *));
	memcpy(all + n, v->list, v->n * sizeof(const char *));
	return all;
}

static int start(struct configured_call *call, const struct handler_task *task,
		 const char *const *variables)
{
	const struct configured_one *one = call->one;
	const struct co_spawner *spawner = one->all->means.spawner;
	struct spawn_spec spec = { .argv = one->spec.argv,
				   .environment = variables,
				   .directory = one->spec.directory,
				   .input = task->request->params,
				   .max_output = CO_LIMIT_RPC_RESULT,
				   .cpu_s = one->spec.cpu_s,
				   .memory_mib = one->spec.memory_mib,
				   .files = one->spec.files };
	struct spawn_listener listener = { .complaint = complaint,
					   .done = done,
					   .arg = call };

	return spawner->begin(spawner->ctx, &spec, &listener, &call->process);
}

static int begin(void *ctx, const struct handler_task *task)
{
	struct configured_one *one = ctx;
	struct configured_call *call;
	struct variables v = { 0 };
	const char **all = NULL;
	int r = CO_NO_MEMORY;

	call = configured_call_new(one, task->id);
	if (call) {
		tell(&v, task, one);
		all = v.failed ? NULL : environment(one, &v);
	}
	if (all)
		r = start(call, task, all);
	if (r && call)
		configured_call_end(call);
	free(all);
	while (v.n)
		free(v.list[--v.n]);
	return r;
}

void configured_command_stop(struct configured_call *call)
{
	if (call->process)
		call->one->all->means.spawner->stop(call->process);
}

static void cancel(void *ctx, uint64_t id)
{
	const struct configured_one *one = ctx;
	struct configured_call *call;

	DL_FOREACH (one->calls, call)
		if (call->id == id)
			break;
	if (call)
		configured_command_stop(call);
}

const struct handler_provider_ops configured_command_ops = { .kind = HANDLER_COMMAND,
							     .begin = begin,
							     .cancel = cancel };
