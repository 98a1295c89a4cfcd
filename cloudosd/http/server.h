/* SPDX-License-Identifier: MIT */
/*
 * The gateway's HTTP server: addresses, connections, limits.  HOST.
 *
 * Everything here is called on the loop thread under the core lock.  Requests are given to
 * the handler as struct http_call (personality/http.h); how they come and who may make them
 * is decided here, what they mean is not.
 */
#ifndef CO_HTTP_SERVER_H
#define CO_HTTP_SERVER_H

#include "lib/err.h"
#include "personality/http.h"

struct daemon;
struct co_http_head;
struct http_server;

/* Listens on $run/http.sock and on the configured address, and publishes both in
 * $run/http.json.  A taken port is a message in the log and another port. */
int http_server_new(struct http_server **out, struct daemon *d,
		    void (*handler)(struct http_call *call), struct co_err *err);

/* The configuration has been read again: limits and deadlines take effect, addresses not. */
void http_server_configure(struct http_server *s);

/*
 * A connection from this process itself, on which every request is for that service: fd is
 * a connected stream socket, taken.  Who may make these requests, the front has asked.
 * owner: the service in whose container they are made; NULL: in none.
 */
int http_server_adopt(struct http_server *s, int fd, const char *service,
		      const char *owner, struct co_err *err);

/* Does that request show the daemon's token?  May that be a Host? */
bool http_server_token_shown(const struct http_server *s,
			     const struct co_http_head *head);
bool http_server_host_allowed(const struct http_server *s, struct co_span host);

/*
 * No more connections; requests that come are answered 503; streams end.  done(arg) when
 * everything is answered and sent, ten seconds later at the latest.
 */
void http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg);

/* Is anybody waiting for an answer or reading a stream?  When was the last request? */
bool http_server_busy(const struct http_server *s);
uint64_t http_server_used_ms(const struct http_server *s);

struct http_numbers {
	uint64_t accepted;          /* connections */
	uint64_t requests, refused; /* the latter: not given to a handler */
	unsigned connections, streams;
	unsigned port; /* 0: no TCP */
};

struct http_numbers http_server_numbers(const struct http_server *s);

#endif
