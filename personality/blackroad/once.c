/* SPDX-License-Identifier: MIT */
/*
 * Idempotency-Key: a POST that is repeated with the same key gets the first answer again.
 * HOST.  Called by the router.
 *
 * Such a request goes on when its client goes away: it is just then that it is repeated.
 * What was refused is not kept, so that it can be put right under the same key.
 */
#include "personality/blackroad/once.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cloudosd/service/idempotency.h"
#include "personality/blackroad/blackroad.h"

static const char *const repeatable[] = { "log", "metric", "event", "job_create",
					  "state_tx" };

bool blackroad_is_repeatable(const char *name)
{
	for (size_t i = 0; i < sizeof(repeatable) / sizeof(repeatable[0]); i++)
		if (strcmp(name, repeatable[i]) == 0)
			return true;
	return false;
}

struct once {
	struct http_call *call;
	struct idempotency_run *run;
	void (*go)(struct http_call *call, void *arg);
	void *arg;
	bool over; /* the call is answered or lost */
};

static void answered(void *arg, int status, struct co_span body)
{
	struct once *o = arg;
	struct idempotency_run *run = o->run;

	o->over = true;
	if (!run)
		return; /* not asked yet: told() frees it */
	free(o);
	idempotency_end(run, status >= 200 && status < 300 ? status : 0, body);
}

static void replay(struct http_call *call, const struct idempotency_result *result)
{
	struct co_buf body = { 0 };

	co_buf_span(&body, result->body);
	http_set_header(call, "Idempotent-Replayed", "true");
	http_answer(call, result->answer, &body);
}

static void told(void *arg, const struct idempotency_result *result)
{
	struct once *o = arg;

	if (o->over) { /* the daemon stops, or its memory is full */
		free(o);
		if (result->kind == IDEMPOTENCY_FIRST)
			idempotency_end(result->run, 0, (struct co_span){ NULL, 0 });
		return;
	}
	if (result->kind == IDEMPOTENCY_FIRST) {
		o->run = result->run;
		o->go(o->call, o->arg);
		return;
	}
	if (result->kind == IDEMPOTENCY_KNOWN)
		replay(o->call, result);
	else if (result->kind == IDEMPOTENCY_OTHER)
		http_fail(o->call, 422, "IDEMPOTENCY_KEY_REUSED",
			  "that Idempotency-Key was used for another request");
	else
		http_fail_status(o->call, result->status, result->reason);
	free(o);
}

void blackroad_once(struct http_call *call, const char *name,
		    void (*go)(struct http_call *call, void *arg), void *arg)
{
	struct idempotency *all = http_services(call)->idempotency;
	struct once *o = calloc(1, sizeof(*o));
	struct co_span key = { NULL, 0 };
	char scope[160];

	if (!o) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	*o = (struct once){ .call = call, .go = go, .arg = arg };
	(void) http_header(call, "idempotency-key", &key); /* that is why we are here */
	(void) snprintf(scope, sizeof(scope), "%s:%s", http_service(call), name);
	http_pend(call, NULL, NULL);
	http_on_answer(call, answered, o);
	if (idempotency_begin(all, scope, key, http_body(call), told, o) == 0)
		return;
	http_on_answer(call, NULL, NULL);
	free(o);
	http_fail(call, 400, "INVALID_REQUEST",
		  "Idempotency-Key has 1 to %d visible ASCII characters",
		  CO_LIMIT_IDEMPOTENCY_KEY);
}
