/* SPDX-License-Identifier: MIT */
/*
 * Heads of messages that are passed on.  HOST.  Pure.  Who calls it: front_connection.c.
 *
 * A field that says something about one connection (Connection and what it names, TE,
 * Transfer-Encoding, Upgrade ...) is not passed on; what frames the body is written anew, so
 * that both sides of the front can only mean the same.
 */
#ifndef CO_HTTP_FRONT_HEAD_H
#define CO_HTTP_FRONT_HEAD_H

#include "lib/buf.h"
#include "lib/http_message.h"

struct front_request {
	const struct co_http_head *head;
	const char *client; /* its address, for X-Forwarded-For */
	const char *host;   /* of the front, for a request of HTTP/1.0 without one */
	bool no_expect;     /* the client need not wait any more */
};

/* Request line, fields and the empty line.  A body with chunks is to be sent in chunks. */
void front_request_head(struct co_buf *out, const struct front_request *request);

struct front_answer {
	const struct co_http_head *head;
	bool old;     /* the client speaks HTTP/1.0 */
	bool keep;    /* its connection goes on */
	bool chunked; /* the body goes out in chunks */
};

void front_answer_head(struct co_buf *out, const struct front_answer *answer);

/* What may go wrong with a target, or with the method: a status and a sentence; 0: nothing. */
int front_check(const struct co_http_head *head, const char **out_what);

/* Is that an endpoint that the gateway answers for a program that has none? */
bool front_is_endpoint(struct co_span target);

/* 404, 405, 501: it has no such endpoint. */
bool front_is_lacking(int status);

#endif
