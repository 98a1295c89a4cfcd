/* SPDX-License-Identifier: MIT */
/*
 * The insides of configured handlers.  HOST.  Private to cloudosd/service/configured*.c.
 *
 * configured.c          what is configured
 * configured_command.c  commands
 * configured_http.c     HTTP backends
 */
#ifndef CO_SERVICE_CONFIGURED_INSIDE_H
#define CO_SERVICE_CONFIGURED_INSIDE_H

#include "cloudosd/service/configured.h"
#include "lib/buf.h"

/* One handler of the configuration; it lives until its last call is over. */
struct configured_one {
	struct configured *all;
	struct configured_one *prev, *next;
	struct configured_spec spec;       /* its texts are in words */
	struct co_buf words;               /* all of the spec, comparable */
	struct handler_provider *provider; /* NULL: it is configured no more */
	struct configured_call *calls;
	bool wanted;
};

struct configured {
	struct configured_means means;
	struct configured_one *list;
};

/* A call that a process or a backend works on. */
struct configured_call {
	struct configured_one *one;
	struct configured_call *prev, *next;
	uint64_t id;
	struct spawned *process;
	struct outgoing *request;
};

struct configured_call *configured_call_new(struct configured_one *one, uint64_t id);

/* Frees it, and the handler if that was its last and it is not configured any more. */
void configured_call_end(struct configured_call *call);

extern const struct handler_provider_ops configured_command_ops, configured_http_ops;

/* Nobody wants the answer of that call any more. */
void configured_command_stop(struct configured_call *call);
void configured_http_stop(struct configured_call *call);

#endif
