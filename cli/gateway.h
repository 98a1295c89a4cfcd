/* SPDX-License-Identifier: MIT */
/*
 * A request to the HTTP gateway of the daemon, over its socket, and what to print of the
 * reply.  HOST.  Who calls it: the handlers of cloudosctl whose commands are endpoints.
 *
 *	autogateway struct gateway g;
 *
 *	gateway_init(&g, ctl, "PUT", "/v1/sys/state");
 *	gateway_query(&g, "key", key);                   percent-encoded here
 *	co_buf_text(&g.body, "{...}");                   JSON; empty: no body
 *	rc = gateway_call(&g);
 *	return rc < 0 ? rc : gateway_record(&g, g.value, "key value version");
 *
 * --service NAME of the command, if it has the option and it was given, is added to the
 * query.  A status of 400 and more becomes the sentence of its error and a status code
 * from which the exit status follows.
 *
 * Columns and members are words separated by blanks: "version" is the member of that
 * name, "updated=updatedAt" one under another heading, "dns.internal" a member's member.
 */
#ifndef CO_CLI_GATEWAY_H
#define CO_CLI_GATEWAY_H

#include "cli/ctl.h"
#include "lib/buf.h"
#include "lib/http_message.h"
#include "lib/json_scan.h"

struct gateway {
	struct ctl *ctl;
	const char *method;
	struct co_buf target, headers;
	struct co_buf body; /* filled by the caller */
	bool has_query;
	int timeout_ms; /* until something comes; -1: as long as it takes */

	/* the reply */
	int status;
	struct co_span value; /* its JSON, checked; valid until gateway_done */

	/* the connection */
	int fd, until_fd;
	struct co_http_message *message;
	struct co_buf reply; /* what has come of the body */
	bool ended;
};

void gateway_init(struct gateway *g, struct ctl *ctl, const char *method,
		  const char *path);
void gateway_done(struct gateway *g);
#define autogateway __attribute__((cleanup(gateway_done)))

/* One more piece of the path, percent-encoded ("/" too). */
void gateway_path(struct gateway *g, const char *piece);

/* One more parameter of the query; nothing if value is NULL. */
void gateway_query(struct gateway *g, const char *name, const char *value);

/* The option of the command of that name as a parameter, if it was given. */
void gateway_query_option(struct gateway *g, const char *option, const char *name);

void gateway_header(struct gateway *g, const char *name, const char *value);

/*
 * Adds a JSON value that somebody typed, checked; "-" reads it from standard input.
 * as_text: it is no JSON but a text, which becomes a string.  CO_INVALID with a sentence
 * in which `what` names it.
 */
int gateway_typed(struct gateway *g, const char *what, const char *typed, bool as_text,
		  struct co_buf *out);

/* Asks and waits: 0 with g->status and g->value, or negative and the sentence. */
int gateway_call(struct gateway *g);

/*
 * Asks for a stream of events and calls event() with the JSON of each until it returns
 * negative, nobody reads standard output any more, or the stream ends: CO_GONE, with a
 * sentence.
 */
int gateway_stream(struct gateway *g,
		   int (*event)(struct gateway *g, struct co_span json, void *arg),
		   void *arg);

/*
 * Is what a stream ended with the end of its daemon, so that the next one may go on with
 * it?  Waits a moment; *tries counts how often that was for nothing, to be set to 0 when
 * something has come.  False: that was for too long, or nobody reads the output.
 */
bool gateway_again(struct ctl *ctl, int rc, unsigned *tries);

/* ---- gateway_show.c ---- */

/* The reply as it is, with -o json; otherwise the elements of `list` (a member of value;
 * NULL: value is the list) as a table. */
int gateway_table(struct gateway *g, const char *list, const char *columns);

/* value as "name: value" lines, or as JSON. */
int gateway_record(struct gateway *g, struct co_span value, const char *members);

/* The JSON as it is, on a line of its own. */
int gateway_json(struct gateway *g, struct co_span value);
/* The same, indented for people unless -o json was asked for. */
int gateway_tree(struct gateway *g, struct co_span value);

/* A value for people: a string without quotes, everything else as JSON; escaped. */
int gateway_text(struct gateway *g, struct co_span value);

/* Rows that come one by one, for gateway_stream: JSON lines, or a table that grows. */
struct co_print *gateway_rows(struct gateway *g, const char *columns);
int gateway_row(struct gateway *g, struct co_print *rows, struct co_span value,
		const char *columns);

#endif
