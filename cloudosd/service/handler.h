/* SPDX-License-Identifier: MIT */
/*
 * Who answers calls by name: methods of RPC and handlers of jobs.  HOST.
 *
 * Owns the names, who offers them, the calls that are in flight or queued, their deadlines
 * and ends.  Knows no wire: a provider (an attached process, an HTTP backend, a command, the
 * ports of the IPC engine) is a table of functions.  Runs under the core lock.  Who calls it:
 * the RPC endpoint, the jobs, the providers.
 *
 * A call is given to one provider, once: whatever happens then, it is never given to another.
 * It ends once, with what the provider says, or at its deadline, or when the provider is gone,
 * or by handlers_cancel.  What comes later is dropped.
 */
#ifndef CO_SERVICE_HANDLER_H
#define CO_SERVICE_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudosd/service/host.h"
#include "lib/err.h"
#include "lib/span.h"

struct handlers;
struct handler_call;
struct handler_provider;

enum handler_subject { HANDLER_METHOD, HANDLER_JOB };

enum handler_kind {
	HANDLER_ATTACHED,
	HANDLER_HTTP,
	HANDLER_COMMAND,
	HANDLER_PORT,
	HANDLER_BUILTIN
};

/* NULL: no memory. */
struct handlers *handlers_new(const struct co_host *host);

/*
 * The daemon ends: calls of methods end with 500 SHUTDOWN, new ones are refused with 503.
 * Runs of jobs are the next daemon's: nothing more is said of them.
 */
void handlers_close(struct handlers *h);

/* Every call ends with 500 SHUTDOWN; providers are removed.  Returns NULL. */
struct handlers *handlers_free(struct handlers *h);

/* ---- calling ---- */

/* Who calls.  service and role are what it says of itself and prove nothing; pid and uid
 * are what the kernel says, pid 0: over TCP. */
struct handler_caller {
	struct co_span service, role;
	int32_t pid;
	uint32_t uid;
};

/* All of it is copied. */
struct handler_request {
	const char *service; /* whose method or job it is, in full */
	enum handler_subject subject;
	struct co_span name;
	struct co_span params; /* a JSON value that was checked; {NULL, 0}: null */
	uint64_t timeout_ms;   /* 0: as long as it takes */
	struct handler_caller caller;
	struct co_span request_id; /* of the HTTP request; may be empty */
	/* jobs: which run it is, and the token that its results have to carry */
	struct co_span run, token;
	uint32_t attempt;
};

/* How a call has ended.  Valid during `done`. */
struct handler_result {
	int status;            /* as HTTP has it; 200: it worked */
	struct co_span result; /* 200: a JSON value */
	/* anything else */
	const char *code; /* METHOD_NOT_FOUND, TIMEOUT ..., or the handler's own */
	struct co_span message; /* a sentence, not JSON */
	struct co_span details; /* a JSON value; {NULL, 0}: none */
	struct co_span stack;   /* text, of handlers that tell it */
	struct co_span body; /* a backend's answer, to be passed on as it is; or none */
	uint32_t retry_after; /* seconds; 0: nothing to say */
	uint64_t elapsed_ms;
};

/*
 * What becomes of a call.  `begun` (may be NULL) when it is given to a provider, `by` says
 * which ("process 123"); `progress` (may be NULL) with a JSON value; `done` once, last.
 */
struct handler_listener {
	void (*begun)(void *arg, const char *by);
	void (*progress)(void *arg, struct co_span value);
	void (*done)(void *arg, const struct handler_result *result);
	void *arg;
};

/* Calls.  NULL: `done` has run already. */
struct handler_call *handlers_call(struct handlers *h,
				   const struct handler_request *request,
				   const struct handler_listener *listener);

/* Nobody wants to know any more: `done` does not run, the handler is told to stop. */
void handlers_cancel(struct handler_call *call);

/* Is there anybody who answers to that name? */
bool handlers_exists(const struct handlers *h, const char *service,
		     enum handler_subject subject, struct co_span name);

/* One row of a listing. */
struct handler_name {
	const char *service;
	const char *name;
	enum handler_subject subject;
	enum handler_kind kind; /* of the first provider */
	uint32_t providers, in_flight, queued;
	uint64_t calls, failed;
};

/* The names of a service, sorted, and behind them what providers know besides; NULL: of all
 * services. */
void handlers_list(const struct handlers *h, const char *service,
		   void (*visit)(void *arg, const struct handler_name *name),
		   void *arg);

const char *handler_kind_name(enum handler_kind kind); /* "attached" ... */

/* Tells whenever the first provider offers a name or the last has gone.  The caller's memory,
 * zeros at first; changed must not call back. */
struct handlers_watch {
	void (*changed)(void *arg, const char *service, enum handler_subject subject,
			const char *name, bool offered);
	void *arg;
	struct handlers_watch *prev, *next;
};
void handlers_watch(struct handlers *h, struct handlers_watch *watch);
void handlers_unwatch(struct handlers *h, struct handlers_watch *watch);

struct handlers_numbers {
	uint32_t providers, names, in_flight, queued;
	uint64_t calls, failed, timed_out, crashed, refused, late;
};
struct handlers_numbers handlers_numbers(const struct handlers *h);

/* ---- runs of jobs that a process has gone on with while there was no daemon ---- */

/*
 * A process has attached and says that it still works on a run.  resume(arg, ...) looks
 * whether that is so and calls handlers_adopt if it is; what that returned is returned, NULL
 * otherwise.  One for the daemon: the jobs.
 */
typedef struct handler_call *handlers_resume_fn(void *arg,
						struct handler_provider *provider,
						struct co_span run,
						struct co_span token);
void handlers_on_resume(struct handlers *h, handlers_resume_fn *resume, void *arg);

/* A provider asks; the id of handler_answer for that run, 0: it is not its run any more. */
uint64_t handlers_resume(struct handler_provider *provider, struct co_span run,
			 struct co_span token);

/* As handlers_call to that very provider, who has the call already.  NULL: no memory, and
 * nothing was said. */
struct handler_call *handlers_adopt(struct handler_provider *provider,
				    const struct handler_request *request,
				    const struct handler_listener *listener);

/* ---- providing ---- */

/* What a provider gets of a call; valid until it has answered. */
struct handler_task {
	uint64_t id; /* of the registry, never used twice */
	const struct handler_request *request;
	uint64_t deadline_ms; /* of the host's clock; 0: none */
};

struct handler_provider_ops {
	enum handler_kind kind;
	/* Takes a call.  It may answer at once.  CO_BUSY: not now; the call waits until
	 * handler_ready.  Another status: it cannot, and has not begun: 503 UNAVAILABLE. */
	int (*begin)(void *ctx, const struct handler_task *task);
	/* Nobody wants the answer any more, but it is to answer all the same, soon. */
	void (*cancel)(void *ctx, uint64_t id);
	/* NULL: only what it offers.  Otherwise for names that nobody has offered. */
	bool (*knows)(void *ctx, const char *service, enum handler_subject subject,
		      struct co_span name);
	/* The names that it knows, as far as it can tell; may be NULL. */
	void (*list)(void *ctx, void (*visit)(void *arg, const char *name), void *arg);
};

struct handler_provider_spec {
	const char *service; /* NULL: all of them */
	const char *label;   /* "process 123": for people */
	uint32_t max_calls;  /* at a time; 0: as many as CO_LIMIT_RPC_PROVIDER_CALLS */
	const struct handler_provider_ops *ops;
	void *ctx;
};

/* 0; CO_TABLE_FULL, CO_INVALID, CO_NO_MEMORY with a sentence. */
int handlers_provide(struct handlers *h, const struct handler_provider_spec *spec,
		     struct handler_provider **out, struct co_err *err);

/* Offers a name; again is no mistake.  CO_INVALID (a name of 1 to 255 bytes without control
 * characters that does not begin with "sys."), CO_TABLE_FULL, CO_NO_MEMORY. */
int handler_offer(struct handler_provider *p, enum handler_subject subject,
		  struct co_span name, struct co_err *err);
void handler_withdraw(struct handler_provider *p, enum handler_subject subject,
		      struct co_span name);

void handler_set_max_calls(struct handler_provider *p, uint32_t max_calls);

/* It has room again after CO_BUSY. */
void handler_ready(struct handler_provider *p);

/*
 * Ends a call.  result->result is checked: a handler that answers what is not JSON has failed
 * with INVALID_RESULT, one that answers too much with RESULT_TOO_LARGE, and {NULL, 0} is null.
 * False: there is no such call any more (it was answered, or has been given up).
 */
bool handler_answer(struct handler_provider *p, uint64_t id,
		    const struct handler_result *result);

/* Short for an error. */
bool handler_fail(struct handler_provider *p, uint64_t id, int status, const char *code,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* False: there is no such call any more, or the value is not JSON. */
bool handler_progress(struct handler_provider *p, uint64_t id, struct co_span value);

uint32_t handler_in_flight(const struct handler_provider *p);

/* It is gone: its calls end with that status, code and sentence, all of them now; those that
 * wait for somebody and have nobody left, with 503 UNAVAILABLE.  Frees it. */
void handlers_remove(struct handler_provider *p, int status, const char *code,
		     const char *reason);

#endif
