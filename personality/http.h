/* SPDX-License-Identifier: MIT */
/*
 * A request over HTTP, as a personality's handler sees it.  HOST.  Implemented by
 * cloudosd/http; the handlers in personality/blackroad use it.
 *
 * A handler runs on the loop under the core lock.  It answers exactly once, with one of
 * http_answer, http_fail, http_stream_begin or http_upgrade: at once, or, after http_pend,
 * later from anywhere under the core lock.  Answers of one connection go out in the order
 * of its requests, whatever the order in which they are given.
 */
#ifndef CO_HTTP_H
#define CO_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/http_message.h"
#include "lib/span.h"
#include "personality/call.h"

struct http_call;

/* ---- the request; spans stay valid until it is answered ---- */

struct co_span http_method(const struct http_call *c); /* "GET", also for HEAD */
struct co_span http_path(const struct http_call *c);   /* decoded, without the query */

/* A parameter of the query, percent-decoded; false: it is absent or empty. */
bool http_query(const struct http_call *c, const char *name, struct co_span *out);

/* A header by its lower-case name; false: it is absent. */
bool http_header(const struct http_call *c, const char *name, struct co_span *out);

/* The body as it came: {NULL, 0} if there was none. */
struct co_span http_body(const struct http_call *c);

/* Whose service is addressed, by local address, Host or ?service=: "cloudosd" unless said. */
const char *http_service(const struct http_call *c);

/* Who has connected, as the kernel says; false, and 0: over TCP it does not. */
bool http_peer(const struct http_call *c, int32_t *out_pid, uint32_t *out_uid);

/* The service in whose container the caller runs; "": in none. */
const char *http_container(const struct http_call *c);

/* X-Service-Name, a label that proves nothing; "" if there is none. */
const char *http_caller(const struct http_call *c);

/* May this connection change anything?  false: the page's read-only mode. */
bool http_may_write(const struct http_call *c);

const struct co_services *http_services(const struct http_call *c);

/* Path and query as they came; the path as it came. */
struct co_span http_target(const struct http_call *c);
struct co_span http_path_encoded(const struct http_call *c);

/* All of the head: for who passes the request on. */
const struct co_http_head *http_head(const struct http_call *c);

/* Memory that lives until the call is answered; NULL: there is none. */
char *http_scratch(struct http_call *c, size_t n);

/* How the gateway itself is. */
struct http_vitals {
	uint64_t up_ms;
	unsigned port; /* 0: no TCP */
	unsigned connections, streams;
	uint64_t requests;
	const char *url; /* "" without TCP */
	const char *state_folder;
	const char *environment, *node_version; /* as configured */
};

struct http_vitals http_vitals(const struct http_call *c);

/* ---- the answer ---- */

/* One more header of the answer to come; both texts are copied. */
void http_set_header(struct http_call *c, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Answers with that status and body.  The buffer's bytes are taken, it is empty afterwards;
 * a buffer that failed becomes 500 NO_MEMORY.  http_answer is application/json.  The call is
 * gone when this returns.
 */
void http_answer(struct http_call *c, int status, struct co_buf *body);
void http_answer_as(struct http_call *c, int status, const char *type,
		    struct co_buf *body);

/* {"error":{"code":code,"message":the sentence}} */
void http_fail(struct http_call *c, int status, const char *code, const char *format,
	       ...) __attribute__((format(printf, 4, 5)));

/* The same with "details", a JSON value. */
void http_fail_with(struct http_call *c, int status, const char *code,
		    struct co_span details, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* A status of the store or a service as HTTP has it: CO_NO_SPACE is 507, CO_NOT_FOUND 404,
 * CO_CONFLICT 409, CO_INVALID 400, CO_TOO_BIG 413, CO_BUSY and CO_TABLE_FULL 503 with
 * Retry-After, CO_TIMED_OUT 504 ... */
void http_fail_status(struct http_call *c, int status, const char *reason);

/*
 * The answer comes later.  cancel(call, arg), once, if the client goes away before it:
 * forget the call, do not answer.
 */
void http_pend(struct http_call *c, void (*cancel)(struct http_call *c, void *arg),
	       void *arg);

/*
 * answered(arg, status, body), once, with what the call is answered, before it goes out;
 * status 0: it was a stream, or there is no answer.  From here on the call is not cancelled
 * when its client goes away: its answer is wanted all the same.  NULL: not any more.
 */
void http_on_answer(struct http_call *c,
		    void (*answered)(void *arg, int status, struct co_span body),
		    void *arg);

/* ---- an answer without an end: server-sent events, chunked bodies ---- */

struct http_stream;

/*
 * Begins an answer whose body is written in pieces.  closed(arg), once, when the client has
 * gone or did not read for so long that CO_LIMIT_HTTP_STREAM_QUEUE was reached; never after
 * http_stream_end.  The call is gone; NULL: no memory, and answered as such, or a HEAD.
 */
struct http_stream *http_stream_begin(struct http_call *c, int status, const char *type,
				      void (*closed)(void *arg), void *arg);

/* Copies.  Data may go out after it returned.  After `closed` it must not be called; if
 * the queue is full the stream is closed from the loop, soon. */
void http_stream_write(struct http_stream *s, const void *data, size_t n);

/* How much waits for a slow client. */
size_t http_stream_queued(const struct http_stream *s);

/* room(arg) runs each time the queue has become empty; NULL: not any more. */
void http_stream_on_room(struct http_stream *s, void (*room)(void *arg));

/* Ends the body; the connection goes on with its next request. */
void http_stream_end(struct http_stream *s);

/*
 * 101: the connection belongs to another protocol from here.  data(arg, ...) for what
 * comes in; the rest as above, http_stream_end closes the connection when all is written.
 */
struct http_stream *http_upgrade(struct http_call *c, const char *protocol,
				 void (*data)(void *arg, const char *bytes, size_t n),
				 void (*closed)(void *arg), void *arg);

/* Whoever may connect with that stream's descriptor, for processes on this machine: pid 0
 * over TCP. */
int32_t http_stream_peer_pid(const struct http_stream *s);

#endif
