/* SPDX-License-Identifier: MIT */
/*
 * One HTTP/1.1 message after the other, out of bytes that come in pieces.  HOST.  Who calls
 * it: the gateway (requests), its client and cloudosctl (answers), the fuzz target.
 *
 *	m = co_http_new(CO_HTTP_REQUEST, &limits, on_body, arg);
 *	while (n) {
 *		switch (co_http_feed(m, data, n, &used)) {
 *		case CO_HTTP_MORE: all is used, read on
 *		case CO_HTTP_HEAD: co_http_head(m) is there; feed the rest
 *		case CO_HTTP_DONE: the message is complete; co_http_reset(m) for the next
 *		case CO_HTTP_BAD:  co_http_fault(m); the connection is of no use any more
 *		}
 *		data += used, n -= used;
 *	}
 *
 * llhttp reads the messages; here is what it lets pass and we do not: folded lines, line
 * feeds without carriage returns and the other way round, control characters, more than one
 * length, a length beside chunks, a missing or second Host, codings but `chunked`, chunk
 * extensions without end.  A byte that cannot stand where it stands is refused when it
 * comes, not when the line is complete.
 */
#ifndef CO_HTTP_MESSAGE_H
#define CO_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

enum co_http_kind { CO_HTTP_REQUEST, CO_HTTP_RESPONSE };

struct co_http_limits {
	uint32_t head;   /* bytes of request or status line and fields */
	uint32_t target; /* bytes of a request's target */
	uint64_t body;
	bool written; /* keep the names of fields as they were written, too */
};

struct co_http_field {
	struct co_span name; /* in lower case */
	struct co_span value;
	struct co_span written; /* the name, if that is kept */
};

struct co_http_head {
	int minor;                     /* HTTP/1.minor */
	struct co_span method, target; /* of a request; case as it came */
	int status;                    /* of an answer */
	struct co_span reason;         /* of an answer; may be empty */
	struct co_span host;           /* of a request; NULL only with HTTP/1.0 */
	const struct co_http_field *fields;
	uint32_t nfields;
	bool keep_alive;       /* the sender means to go on with this connection */
	bool upgrade;          /* Connection: upgrade and an Upgrade field */
	bool expects_continue; /* waits for 100 before it sends the body */
	bool has_body;         /* one follows, though perhaps an empty one */
	bool chunked;
	bool until_close; /* an answer's body, as long as the connection */
	bool has_length;
	uint64_t length;
};

struct co_http_fault {
	int status;       /* what a server answers: 400, 413, 414, 417, 431, 501, 505 */
	const char *code; /* "BAD_REQUEST" ... */
	const char *what; /* a sentence */
};

enum co_http_progress { CO_HTTP_MORE, CO_HTTP_HEAD, CO_HTTP_DONE, CO_HTTP_BAD };

struct co_http_message;

/* body(arg, ...) gets the body in pieces, out of the bytes that are fed.  NULL: no memory. */
struct co_http_message *co_http_new(enum co_http_kind kind,
				    const struct co_http_limits *limits,
				    void (*body)(void *arg, const char *data, size_t n),
				    void *arg);

/* Takes NULL; returns NULL. */
struct co_http_message *co_http_free(struct co_http_message *m);

/* For the next message of the connection; keeps its memory.  The limits may be others now,
 * NULL: the same. */
void co_http_reset(struct co_http_message *m, const struct co_http_limits *limits);

/* n > 0.  What *out_used leaves is for the next call. */
enum co_http_progress co_http_feed(struct co_http_message *m, const char *data,
				   size_t n, size_t *out_used);

/* Has any byte of the message come?  (A line end that stands before it is none.) */
bool co_http_begun(const struct co_http_message *m);

/* Valid from CO_HTTP_HEAD until reset or free. */
const struct co_http_head *co_http_head(const struct co_http_message *m);

/* A field by its lower-case name, the first one; false: there is none. */
bool co_http_field(const struct co_http_head *head, const char *name,
		   struct co_span *out);

/* Is that word in a comma-separated list ("gzip, deflate;q=0.5")?  Without regard to case. */
bool co_http_list_has(struct co_span list, const char *word);

/* After the head of an answer: it is one to HEAD and has no body. */
void co_http_no_body(struct co_http_message *m);

/* The connection has ended.  true: that completed the message, CO_HTTP_DONE. */
bool co_http_finish(struct co_http_message *m);

/* After CO_HTTP_BAD. */
struct co_http_fault co_http_fault(const struct co_http_message *m);

/* "Not Found"; "Unknown" for what has no name. */
const char *co_http_reason(int status);

#endif
