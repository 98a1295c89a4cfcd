/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 as a client, in the daemon's loop.  HOST.  Who calls it: the front of services
 * (front.c) and what services ask themselves (outgoing.c).
 *
 * Keeps connections of each backend for the next request; sends heads as they are given;
 * streams bodies both ways and says when to wait; reads answers strictly.  Under the core
 * lock, on the loop thread.
 */
#ifndef CO_HTTP_CLIENT_H
#define CO_HTTP_CLIENT_H

#include <uv.h>

#include "lib/err.h"
#include "lib/http_message.h"

struct http_client;
struct http_exchange; /* one request and its answer */

/* NULL: no memory. */
struct http_client *http_client_new(uv_loop_t *loop);

/* Closes the connections that are kept; from then on none is.  Exchanges go on.  After the
 * loop has run until nothing is left of it, http_client_free. */
void http_client_stop(struct http_client *k);
struct http_client *http_client_free(struct http_client *k);

/*
 * Backends "inside:NAME" are this process itself: connect(arg, NAME) makes a stream and
 * returns our end of it, or a negative status.
 */
void http_client_inside(struct http_client *k,
			int (*connect)(void *arg, const char *name), void *arg);

/* Where a request goes: "127.0.0.1:80", "[::1]:80", "unix:/path".  CO_INVALID. */
int http_client_address(const char *backend, struct co_err *err);

/* Why there is no answer, or no complete one. */
struct http_failure {
	int error; /* CO_GONE, CO_TIMED_OUT, CO_PROTOCOL, CO_TOO_BIG, CO_NO_MEMORY */
	const char *reason; /* a sentence about the backend */
	bool connected;     /* false: nobody has seen the request */
	bool maybe;         /* it may have been carried out */
};

/*
 * What comes.  head: also for each 1xx; after 101 the connection is a tunnel.  body: until
 * done.  room: what was written is on its way, more may be.  done and failed: once, last, and
 * the exchange is gone afterwards.  http_exchange_cancel is allowed in each of them.
 */
struct http_exchange_events {
	void (*head)(void *arg, const struct co_http_head *head);
	void (*body)(void *arg, const char *data, size_t n);
	void (*told)(void *arg); /* may be NULL: all that has come for now was told */
	void (*room)(void *arg);
	void (*done)(void *arg);
	void (*failed)(void *arg, const struct http_failure *failure);
};

struct http_exchange_spec {
	const char *backend;
	struct co_span head; /* request line and fields with the empty line; copied */
	bool is_head;        /* HEAD: the answer has no body */
	bool again;          /* without a body, and it does no harm to say it twice */
	bool peek; /* look whether a kept connection is alive, as it must not be said twice */
	bool chunked;        /* the body is written in chunks */
	uint32_t connect_ms; /* each: 0: none */
	uint32_t
		begin_ms; /* from the end of the request to the first byte of an answer */
	uint32_t total_ms; /* until done */
	uint64_t max_body; /* of the answer */
	const struct http_exchange_events *events;
	void *arg;
};

/* Nothing is sent before http_exchange_flush.  CO_INVALID, CO_BUSY, CO_NO_MEMORY. */
int http_exchange_begin(struct http_client *k, const struct http_exchange_spec *spec,
			struct http_exchange **out, struct co_err *err);

/* A piece of the body, copied; in a tunnel, of whatever it is.  Sent with the next flush. */
void http_exchange_write(struct http_exchange *x, const void *data, size_t n);

/* The body is complete; in a tunnel: nothing more will be written. */
void http_exchange_end(struct http_exchange *x);

/* Sends.  No event runs inside. */
void http_exchange_flush(struct http_exchange *x);

/* Bytes that are not sent yet.  Above CO_LIMIT_HTTP_UNSENT wait for room. */
size_t http_exchange_queued(const struct http_exchange *x);

/* Whoever gets the answer is slow: no more of it is read until it is false again. */
void http_exchange_pause(struct http_exchange *x, bool paused);

/* No event runs any more; the connection is closed.  NULL is allowed; returns NULL. */
struct http_exchange *http_exchange_cancel(struct http_exchange *x);

/* Milliseconds, of the loop. */
uint64_t http_client_now(const struct http_client *k);

struct http_client_numbers {
	uint32_t connections, kept, exchanges;
	uint64_t requests, connects, retries;
};
struct http_client_numbers http_client_numbers(const struct http_client *k);

#endif
