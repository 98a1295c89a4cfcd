/* SPDX-License-Identifier: MIT */
/*
 * The insides of the handler registry.  HOST.  Private to cloudosd/service/handler*.c.
 *
 * handler.c          names, providers, who is chosen
 * handler_call.c     calls: their beginning, deadline and end
 * handler_builtin.c  sys.methods, sys.ping, sys.echo
 */
#ifndef CO_SERVICE_HANDLER_INSIDE_H
#define CO_SERVICE_HANDLER_INSIDE_H

#include <co/limits.h>
#include <uthash.h>

#include "cloudosd/service/handler.h"

/* Calls that wait until somebody has room, oldest first. */
struct handler_queue {
	struct handler_call *calls;
	uint32_t count;
};

struct handler_offer {
	struct handler_name_entry *name;
	struct handler_provider *provider;
	struct handler_offer *prev,
		*next; /* of the name: least recently chosen first */
	struct handler_offer *p_prev, *p_next; /* of the provider */
};

struct handler_name_entry {
	UT_hash_handle hh;
	struct handler_offer *offers;
	struct handler_queue queue;
	uint32_t in_flight;
	uint64_t calls, failed;
	size_t key_size;
	const char *service, *text; /* in key */
	enum handler_subject subject;
	char key[]; /* subject, service, NUL, name, NUL */
};

struct handler_provider {
	struct handlers *h;
	struct handler_provider *prev, *next;
	const struct handler_provider_ops *ops;
	void *ctx;
	char *service, *label;
	uint32_t max_calls, in_flight, noffers;
	struct handler_offer *offers;
	struct handler_queue queue; /* of calls by names that it only knows */
	struct handler_call *calls; /* it has been given, late ones too */
	uint32_t held;              /* so often that it must not be freed yet */
	bool busy, pumping, gone;
};

enum handler_state { HANDLER_QUEUED, HANDLER_RUNNING, HANDLER_LATE };

struct handler_call {
	struct handlers *h;
	UT_hash_handle hh; /* by task.id */
	struct handler_task task;
	struct handler_request request;
	struct handler_listener listener;
	enum handler_state state;
	uint64_t began_ms;  /* when it was called */
	uint64_t forget_ms; /* LATE: until when it keeps its place */
	struct handler_name_entry
		*name; /* NULL: somebody knows it, or the name is gone */
	struct handler_provider *provider; /* NULL while it waits for any */
	struct handler_queue *queue;
	struct handler_call *q_prev, *q_next; /* of the queue */
	struct handler_call *p_prev, *p_next; /* of the provider */
	struct handler_call *due_prev,
		*due_next; /* of all with a deadline, or of the late */
	bool is_due;
	size_t bytes;
	char text[]; /* what the request's spans point to */
};

struct handlers {
	const struct co_host *host;
	struct handler_name_entry *names;
	struct handler_provider *providers;
	struct handler_call *calls; /* by id */
	struct handler_call *due;   /* earliest deadline first */
	struct handler_call *late;  /* as they became late */
	struct handler_provider *builtin;
	struct co_timer *timer;
	uint64_t armed_ms; /* 0: the timer does not run */
	uint64_t next_id, bytes;
	struct handlers_watch *watches;
	handlers_resume_fn *resume;
	void *resume_arg;
	struct handlers_numbers numbers;
	bool closing;
};

/* ---- handler.c ---- */

/* The name as that service has it; NULL: nobody offers it. */
struct handler_name_entry *handler_name_find(const struct handlers *h,
					     const char *service,
					     enum handler_subject subject,
					     struct co_span name);

/* Who knows a name that nobody offers; NULL: nobody. */
struct handler_provider *handler_knower(const struct handlers *h, const char *service,
					enum handler_subject subject,
					struct co_span name);

bool handler_has_room(const struct handler_provider *p);

/* After held++: it may be freed by this. */
void handler_release(struct handler_provider *p);

/* ---- handler_call.c ---- */

/* Gives waiting calls to a provider that has room. */
void handler_pump(struct handler_provider *p);

/* Ends every call of a list of that kind. */
void handler_queue_fail(struct handler_queue *queue, int status, const char *code,
			const char *reason);
void handler_calls_fail(struct handler_provider *p, int status, const char *code,
			const char *reason);

/* ---- handler_builtin.c ---- */

int handler_builtin(struct handlers *h, struct co_err *err);

#endif
