/* SPDX-License-Identifier: MIT */
/*
 * Requests over HTTP that a service makes.  HOST.  Implemented by cloudosd/http/outgoing.c;
 * beside struct co_host, as co_services.outgoing.
 *
 * Everything is called under the core lock, `done` too, from the loop and never inside of
 * `begin`.  Nothing is asked twice: a connection that was kept from an earlier request and
 * turns out to be dead before any byte of an answer came is replaced by a new one only for
 * GET, HEAD and OPTIONS without a body; everything else fails with outgoing_reply.maybe.
 */
#ifndef CO_SERVICE_OUTGOING_H
#define CO_SERVICE_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/span.h"

struct outgoing; /* one request */

struct outgoing_field {
	struct co_span name, value;
};

struct outgoing_request {
	/* "http://HOST[:PORT][/BASE]" with an address for HOST, or "unix:/PATH" */
	const char *backend;
	const char *method;                  /* in capitals */
	const char *target;                  /* "/v1/sys/rpc?x=y", behind BASE */
	const struct outgoing_field *fields; /* besides Host and Content-Length */
	size_t nfields;
	struct co_span body; /* copied; {NULL, 0}: none */
	uint32_t connect_ms; /* 0: CO_LIMIT_HTTP_CONNECT_MS */
	uint32_t
		answer_ms; /* until the whole answer is there; 0: as long as it takes */
	size_t max_body;   /* of the answer; 0: CO_LIMIT_HTTP_ANSWER_BODY */
};

/* Valid during `done`. */
struct outgoing_reply {
	int status; /* of HTTP; 0: there is no answer, error says why */
	const struct outgoing_field *fields; /* names in lower case */
	size_t nfields;
	struct co_span body;

	/* CO_GONE: nobody listens, or the connection broke; CO_TIMED_OUT; CO_PROTOCOL: that
	 * is no HTTP; CO_TOO_BIG; CO_NO_MEMORY */
	int error;
	const char *reason; /* a sentence; "" if there is an answer */
	bool maybe;         /* error: the request may have been carried out */
	uint32_t elapsed_ms;
};

struct co_outgoing {
	void *ctx;

	/* 0; CO_INVALID (the backend's address, a character in a field), CO_BUSY (too many
	 * at a time), CO_NO_MEMORY, with a sentence, and `done` does not run. */
	int (*begin)(void *ctx, const struct outgoing_request *request,
		     void (*done)(void *arg, const struct outgoing_reply *reply),
		     void *arg, struct outgoing **out, struct co_err *err);

	/* `done` does not run any more; the connection is closed, so that the other side
	 * sees it.  NULL is allowed; returns NULL. */
	struct outgoing *(*cancel)(struct outgoing *o);
};

/* May that be a backend?  CO_INVALID with a sentence. */
int outgoing_backend_check(const char *backend, struct co_err *err);

#endif
