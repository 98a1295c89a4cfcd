/* SPDX-License-Identifier: MIT */
/*
 * A request over the HTTP socket of the daemon, blocking.  HOST.
 * What is printed of the reply is gateway_show.c's.
 */
#include "cli/gateway.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "cli/container.h"
#include "lib/cleanup.h"

enum { TIMEOUT_MS = 60000, PIECE = 65536, HEAD_MAX = 65536, EVENT_MAX = 4 << 20 };

/* ---- the question ---- */

void gateway_init(struct gateway *g, struct ctl *ctl, const char *method,
		  const char *path)
{
	*g = (struct gateway){ .ctl = ctl,
			       .method = method,
			       .fd = -1,
			       .until_fd = -1,
			       .timeout_ms = TIMEOUT_MS,
			       .value = co_span("null") };
	co_buf_text(&g->target, path);
}

void gateway_done(struct gateway *g)
{
	co_buf_done(&g->target);
	co_buf_done(&g->headers);
	co_buf_done(&g->body);
	co_buf_done(&g->reply);
	g->message = co_http_free(g->message);
	if (g->fd >= 0)
		(void) close(g->fd); /* nothing is written behind it */
	g->fd = -1;
}

static void add_encoded(struct co_buf *b, const char *text)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-._~";

	for (; *text; text++)
		if (strchr(plain, *text))
			co_buf_char(b, *text);
		else
			co_buf_format(b, "%%%02X", (unsigned) (unsigned char) *text);
}

void gateway_path(struct gateway *g, const char *piece)
{
	add_encoded(&g->target, piece);
}

void gateway_query(struct gateway *g, const char *name, const char *value)
{
	if (!value)
		return;
	co_buf_char(&g->target, g->has_query ? '&' : '?');
	g->has_query = true;
	co_buf_text(&g->target, name);
	co_buf_char(&g->target, '=');
	add_encoded(&g->target, value);
}

void gateway_query_option(struct gateway *g, const char *option, const char *name)
{
	gateway_query(g, name, ctl_option(g->ctl, option));
}

void gateway_header(struct gateway *g, const char *name, const char *value)
{
	co_buf_format(&g->headers, "%s: %s\r\n", name, value);
}

static int no_memory(struct gateway *g)
{
	return co_fail(&g->ctl->err, CO_NO_MEMORY, "out of memory");
}

static int read_input(struct gateway *g, struct co_buf *out)
{
	ssize_t n;

	do {
		char *to = co_buf_room(out, PIECE);

		if (!to)
			return no_memory(g);
		n = read(STDIN_FILENO, to, PIECE);
		if (n > 0)
			co_buf_wrote(out, (size_t) n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? co_fail_errno(&g->ctl->err, errno, "cannot read standard input")
		     : 0;
}

int gateway_typed(struct gateway *g, const char *what, const char *typed, bool as_text,
		  struct co_buf *out)
{
	autobuf struct co_buf read = { 0 };
	struct co_span text = co_span(typed), value;
	struct co_json_fault fault;
	int rc = 0;

	if (strcmp(typed, "-") == 0) {
		rc = read_input(g, &read);
		text = (struct co_span){ read.data ? read.data : "", read.size };
	}
	if (rc < 0)
		return rc;
	if (as_text) {
		co_buf_json_text(out, text);
		return out->failed ? no_memory(g) : 0;
	}
	if (co_json_check(text, &value, &fault) < 0)
		return ctl_usage(g->ctl, "%s is JSON, but at byte %zu of \"%.60s\" %s",
				 what, fault.at + 1, text.data, fault.what);
	co_buf_span(out, value);
	return out->failed ? no_memory(g) : 0;
}

static int send_all(struct gateway *g, const struct co_buf *b)
{
	for (size_t at = 0; at < b->size;) {
		ssize_t n = send(g->fd, b->data + at, b->size - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t) n;
		else if (errno == EPIPE || errno == ECONNRESET)
			return 0; /* it may have answered all the same: 413 */
		else if (errno != EINTR)
			return co_fail_errno(&g->ctl->err, errno,
					     "cannot write to the daemon");
	}
	return 0;
}

static int send_request(struct gateway *g)
{
	autobuf struct co_buf b = { 0 };
	int rc;

	gateway_query_option(g, "service", "service");
	co_buf_format(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", g->method,
		      g->target.data);
	co_buf_text(&b, "User-Agent: " CTL_PROGRAM "\r\nConnection: close\r\n");
	co_buf_span(&b, (struct co_span){ g->headers.data, g->headers.size });
	if (g->body.size)
		co_buf_format(&b,
			      "Content-Type: application/json\r\n"
			      "Content-Length: %zu\r\n",
			      g->body.size);
	co_buf_text(&b, "\r\n");
	co_buf_span(&b, (struct co_span){ g->body.data, g->body.size });
	if (b.failed || g->target.failed || g->headers.failed || g->body.failed)
		return no_memory(g);
	rc = co_paths_connect_http(&g->ctl->paths, &g->fd, &g->ctl->err);
	if (rc == CO_GONE && container_wants_daemon(g->ctl) &&
	    container_daemon(g->ctl) == 0)
		rc = co_paths_connect_http(&g->ctl->paths, &g->fd, &g->ctl->err);
	g->ctl->no_daemon = rc == CO_GONE;
	return rc < 0 ? rc : send_all(g, &b);
}

/* ---- what comes back ---- */

static int broken(struct gateway *g, const char *what)
{
	return co_fail(&g->ctl->err, CO_PROTOCOL, "the daemon's answer is no HTTP: %s",
		       what);
}

static int cut_short(struct gateway *g)
{
	return co_fail(&g->ctl->err, CO_GONE,
		       "the daemon closed the connection before it had answered; "
		       "`cloudosctl daemon logs` may tell why");
}

/* Until there is something to read; CO_GONE and quiet when nobody reads our output. */
static int await(struct gateway *g)
{
	struct pollfd p[2] = { { .fd = g->fd, .events = POLLIN },
			       { .fd = g->until_fd } };
	int n;

	do
		n = poll(p, 2, g->timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return co_fail(&g->ctl->err, CO_TIMED_OUT,
			       "the daemon has not answered within %d seconds",
			       g->timeout_ms / 1000);
	if (n > 0 && p[1].revents & (POLLERR | POLLHUP) && !p[0].revents) {
		g->ctl->quiet = true;
		return co_fail(&g->ctl->err, CO_GONE, "nobody reads the output");
	}
	return 0;
}

static void on_body(void *arg, const char *data, size_t n)
{
	struct gateway *g = arg;

	co_buf_add(&g->reply, data, n);
}

static int feed(struct gateway *g, const char *data, size_t n)
{
	while (n && !g->ended) {
		size_t used;

		switch (co_http_feed(g->message, data, n, &used)) {
		case CO_HTTP_MORE:
			break;
		case CO_HTTP_HEAD:
			g->status = co_http_head(g->message)->status;
			break;
		case CO_HTTP_DONE:
			g->ended = true;
			break;
		case CO_HTTP_BAD:
			return broken(g, co_http_fault(g->message).what);
		}
		data += used;
		n -= used;
	}
	return g->reply.failed ? no_memory(g) : 0;
}

/* Takes what comes next: 1; 0: the answer is complete. */
static int advance(struct gateway *g)
{
	char piece[PIECE];
	ssize_t n;
	int rc;

	if (g->ended)
		return 0;
	do {
		rc = await(g);
		if (rc < 0)
			return rc;
		n = recv(g->fd, piece, sizeof(piece), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return co_fail_errno(&g->ctl->err, errno,
				     "cannot read what the daemon answers");
	if (n <= 0) {
		g->ended = co_http_finish(g->message);
		return g->ended ? 0 : cut_short(g);
	}
	rc = feed(g, piece, (size_t) n);
	return rc < 0 ? rc : 1;
}

static int begin(struct gateway *g)
{
	static const struct co_http_limits limits = { .head = HEAD_MAX,
						      .body = UINT64_MAX };

	g->message = co_http_new(CO_HTTP_RESPONSE, &limits, on_body, g);
	return g->message ? send_request(g) : no_memory(g);
}

/* ---- what it means ---- */

static const struct {
	int http, code;
} codes[] = {
	{ 400, CO_INVALID },     { 401, CO_ACCESS },      { 403, CO_ACCESS },
	{ 404, CO_NOT_FOUND },   { 405, CO_UNSUPPORTED }, { 409, CO_CONFLICT },
	{ 412, CO_CONFLICT },    { 413, CO_TOO_BIG },     { 414, CO_TOO_BIG },
	{ 422, CO_INVALID },     { 429, CO_BUSY },        { 431, CO_TOO_BIG },
	{ 501, CO_UNSUPPORTED }, { 503, CO_BUSY },        { 504, CO_TIMED_OUT },
	{ 507, CO_NO_SPACE },
};

/* A refusal's own sentence. */
static int refused(struct gateway *g)
{
	autobuf struct co_buf text = { 0 };
	struct co_span error, message;
	int code = CO_IO;

	for (size_t i = 0; i < co_countof(codes); i++)
		if (codes[i].http == g->status)
			code = codes[i].code;
	if (co_json_member(g->value, "error", &error) &&
	    co_json_member(error, "message", &message) &&
	    co_json_unescape(message, &text) == 0 && text.size)
		return co_fail(&g->ctl->err, code, "%s", text.data);
	return co_fail(&g->ctl->err, code, "the daemon answered with HTTP status %d",
		       g->status);
}

static int read_reply(struct gateway *g)
{
	struct co_json_fault fault;
	int rc;

	do
		rc = advance(g);
	while (rc > 0);
	if (rc < 0 || !g->reply.size)
		return rc;
	rc = co_json_check((struct co_span){ g->reply.data, g->reply.size }, &g->value,
			   &fault);
	return rc < 0 ? co_fail(&g->ctl->err, CO_PROTOCOL,
				"the daemon's answer is no JSON: at byte %zu %s",
				fault.at + 1, fault.what)
		      : 0;
}

int gateway_call(struct gateway *g)
{
	int rc = begin(g);

	if (rc == 0)
		rc = read_reply(g);
	return rc == 0 && g->status >= 400 ? refused(g) : rc;
}

/* ---- server-sent events ---- */

struct events {
	struct co_buf line, data;
	int (*event)(struct gateway *g, struct co_span json, void *arg);
	void *arg;
};

static int end_event(struct gateway *g, struct events *e)
{
	struct co_json_fault fault;
	struct co_span json;
	int rc = 0;

	if (e->data.size) {
		if (co_json_check((struct co_span){ e->data.data, e->data.size }, &json,
				  &fault) < 0)
			return broken(g, "an event is no JSON");
		rc = e->event(g, json, e->arg);
	}
	e->data.size = 0;
	return rc;
}

static bool begins(struct co_span line, const char *what, struct co_span *out_rest)
{
	size_t n = strlen(what);

	if (line.size < n || memcmp(line.data, what, n) != 0)
		return false;
	n += line.size > n && line.data[n] == ' ';
	*out_rest = (struct co_span){ line.data + n, line.size - n };
	return true;
}

/* HTML Standard, "Interpreting an event stream"; ids are of no use here. */
static int end_line(struct gateway *g, struct events *e)
{
	struct co_span line = { e->line.data, e->line.size }, rest;
	int rc = 0;

	if (line.size && line.data[line.size - 1] == '\r')
		line.size--;
	if (!line.size) {
		rc = end_event(g, e);
	} else if (begins(line, "data:", &rest)) {
		if (e->data.size)
			co_buf_char(&e->data, '\n');
		co_buf_span(&e->data, rest);
	}
	e->line.size = 0;
	return rc;
}

static int add_bytes(struct gateway *g, struct events *e, struct co_span piece)
{
	int rc = 0;

	while (rc == 0 && piece.size) {
		const char *end = memchr(piece.data, '\n', piece.size);
		size_t n = end ? (size_t) (end - piece.data) : piece.size;

		co_buf_add(&e->line, piece.data, n);
		if (e->line.failed || e->data.failed)
			return no_memory(g);
		if (e->line.size + e->data.size > EVENT_MAX)
			return broken(g, "an event is too long");
		if (end)
			rc = end_line(g, e);
		n += end ? 1 : 0;
		piece.data += n;
		piece.size -= n;
	}
	return rc;
}

static int pump(struct gateway *g, struct events *e)
{
	int rc = advance(g);

	if (rc <= 0)
		return rc < 0 ? rc : cut_short(g);
	if (!g->status)
		return 0;
	if (g->status >= 400) {
		rc = read_reply(g);
		return rc < 0 ? rc : refused(g);
	}
	g->timeout_ms = -1;
	g->until_fd = fileno(g->ctl->style.out);
	rc = add_bytes(g, e, (struct co_span){ g->reply.data, g->reply.size });
	g->reply.size = 0;
	return rc;
}

int gateway_stream(struct gateway *g,
		   int (*event)(struct gateway *g, struct co_span json, void *arg),
		   void *arg)
{
	struct events e = { .event = event, .arg = arg };
	int rc = begin(g);

	while (rc == 0)
		rc = pump(g, &e);
	co_buf_done(&e.line);
	co_buf_done(&e.data);
	return rc;
}

bool gateway_again(struct ctl *ctl, int rc, unsigned *tries)
{
	enum { TRIES = 50, PAUSE_NS = 100000000 };
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	if ((rc != CO_GONE && rc != co_status_from_errno(ECONNRESET)) || ctl->quiet ||
	    ++*tries > TRIES)
		return false;
	ctl->err = (struct co_err){ 0 };
	ctl->no_daemon = false;
	(void) nanosleep(&pause, NULL); /* a signal ends it early */
	return true;
}
