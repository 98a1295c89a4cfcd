/* SPDX-License-Identifier: MIT */
/*
 * One HTTP request to anybody, and its answer.  HOST.  Who calls it: cloudosctl service
 * check.  The daemon's own gateway is asked with gateway.h.
 */
#ifndef CO_CLI_HTTP_ASK_H
#define CO_CLI_HTTP_ASK_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json_scan.h"

struct http_place {
	char host[256]; /* whom to connect to */
	char port[8];
	char header[300];  /* the Host field */
	char prefix[1024]; /* in front of every path; "" */
};

/* "http://HOST[:PORT][/PREFIX]".  CO_INVALID, CO_UNSUPPORTED (https) with a sentence. */
int http_place_of(struct http_place *out, const char *url, struct co_err *err);

struct http_reply {
	int status;
	double ms;
	bool is_json; /* application/json, and one JSON value */
	struct co_span value;
	struct co_buf body;
	char fault[200]; /* what is wrong with it as JSON; "" */
};

/*
 * body NULL: none.  0 with the answer (freed with co_buf_done(&reply->body)); otherwise
 * nobody answered, and err says so.  Also refuses what is not proper HTTP.
 */
int http_ask(const struct http_place *place, const char *method, const char *path,
	     const char *body, int timeout_ms, struct http_reply *reply,
	     struct co_err *err);

#endif
