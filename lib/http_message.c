/* SPDX-License-Identifier: MIT */
/* Messages of HTTP/1.1, read strictly.  HOST. */
#include "lib/http_message.h"

#include <co/limits.h>
#include <llhttp.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/buf.h"

/* Around llhttp's words; what chunks may cost besides their content. */
enum { REQUEST_LINE = 48, FRAMING = 16384, FRAMING_PER_BYTE = 8, LENGTH_DIGITS = 18 };

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_OVER };

struct place { /* of a field, in the head */
	uint32_t name, name_size, value, value_size;
};

struct co_http_message {
	llhttp_t parser;
	enum co_http_kind kind;
	enum phase phase;
	struct co_http_limits limits;
	void (*body)(void *arg, const char *data, size_t n);
	void *arg;

	/* the head */
	struct co_buf text;
	struct co_buf names;         /* as they were written */
	bool cr;                     /* the byte before was one */
	bool fresh;                  /* around chunks: a line begins */
	bool space;                  /* the byte before was one, in a request line */
	bool led;                    /* a line end has been let pass in front */
	bool complete;               /* llhttp has seen the end of it */
	bool overflow;               /* there is no place for the current field */
	bool in_value;               /* the last place is at its value */
	uint32_t line, lines;        /* bytes of this one, ended ones */
	struct place target, reason; /* the value is it */
	struct place places[CO_LIMIT_HTTP_FIELDS];
	struct co_http_field fields[CO_LIMIT_HTTP_FIELDS];
	uint32_t nplaces;
	struct co_http_head head;

	/* the body */
	uint64_t left;            /* of a body with a length */
	uint64_t received;        /* of one in chunks */
	uint64_t framing;         /* bytes around its chunks */
	const char *framing_from; /* where those of this feeding begin */
	bool done;

	struct co_http_fault fault;
};

static int fault(struct co_http_message *m, int status, const char *code,
		 const char *what)
{
	if (!m->fault.status)
		m->fault = (struct co_http_fault){ status, code, what };
	return -1;
}

static int bad(struct co_http_message *m, const char *what)
{
	return fault(m, 400, "BAD_REQUEST", what);
}

/* ---- what llhttp finds ---- */

static uint32_t offset(const struct co_http_message *m, const char *at)
{
	return (uint32_t) (at - m->text.data);
}

static void extend(const struct co_http_message *m, struct place *p, const char *at,
		   size_t n)
{
	if (!p->value_size)
		p->value = offset(m, at);
	p->value_size += (uint32_t) n;
}

static int on_target(llhttp_t *parser, const char *at, size_t n)
{
	struct co_http_message *m = parser->data;

	extend(m, &m->target, at, n);
	return 0;
}

static int on_reason(llhttp_t *parser, const char *at, size_t n)
{
	struct co_http_message *m = parser->data;

	extend(m, &m->reason, at, n);
	return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t n)
{
	struct co_http_message *m = parser->data;
	struct place *p;

	if (m->phase != PHASE_HEAD)
		return 0; /* behind the last chunk, where nobody looks */
	if (m->in_value || !m->nplaces) {
		if (m->nplaces == CO_LIMIT_HTTP_FIELDS) {
			m->overflow = true; /* refused where its line ends */
			return 0;
		}
		m->places[m->nplaces++] = (struct place){ .name = offset(m, at) };
		m->in_value = false;
	}
	p = &m->places[m->nplaces - 1];
	p->name_size += (uint32_t) n;
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n)
{
	struct co_http_message *m = parser->data;

	if (m->phase != PHASE_HEAD || m->overflow)
		return 0;
	if (!m->nplaces)
		return bad(m, "a header field has no name");
	m->in_value = true;
	extend(m, &m->places[m->nplaces - 1], at, n);
	return 0;
}

static int on_value_complete(llhttp_t *parser)
{
	struct co_http_message *m = parser->data;

	m->in_value = true; /* also where the value is empty */
	return 0;
}

static int on_head_complete(llhttp_t *parser)
{
	struct co_http_message *m = parser->data;

	m->complete = true;
	return 0;
}

/* ---- chunks: what is around them ---- */

static int check_framing(struct co_http_message *m, const char *end)
{
	for (const char *p = m->framing_from; p < end; p++) {
		unsigned char c = (unsigned char) *p;

		if (m->cr != (c == '\n'))
			return bad(m, "a line end of a chunk is not CR LF");
		if (m->fresh && (c == ' ' || c == '\t' || c == ':'))
			return bad(m, "a line around the chunks begins wrongly");
		m->cr = c == '\r';
		m->fresh = c == '\n';
		if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c >= 0x7f)
			return bad(m,
				   "a character beside a chunk is not allowed there");
	}
	m->framing += (uint64_t) (end - m->framing_from);
	m->framing_from = end;
	if (m->framing > FRAMING + FRAMING_PER_BYTE * m->received)
		return bad(m, "there is too much around the chunks of the body");
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
	struct co_http_message *m = parser->data;

	if (check_framing(m, at) < 0)
		return -1;
	m->framing_from = at + n;
	if (n > m->limits.body - m->received)
		return fault(m, 413, "BODY_TOO_LARGE",
			     "the body is larger than this server accepts");
	m->received += n;
	m->body(m->arg, at, n);
	return 0;
}

static int on_complete(llhttp_t *parser)
{
	struct co_http_message *m = parser->data;

	m->done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_target,
	.on_status = on_reason,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_complete,
	.on_headers_complete = on_head_complete,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

/* ---- the head, as bytes ---- */

static int too_long(struct co_http_message *m)
{
	if (!m->lines)
		return fault(m, 414, "TARGET_TOO_LONG",
			     "the request's target is too long");
	return fault(m, 431, "HEAD_TOO_LARGE", "the header fields are too large");
}

/* The line that has just ended was an empty one. */
static int empty_line(struct co_http_message *m)
{
	if (m->lines)
		return 1;
	/* some clients send a line end behind a body */
	if (m->led)
		return bad(m, "empty lines stand in front of a request");
	m->led = true;
	return 0;
}

/* 1: the head ends with this byte. */
static int scan_byte(struct co_http_message *m, unsigned char c)
{
	if (m->cr) {
		m->cr = false;
		if (c != '\n')
			return bad(m, "a carriage return stands without a line feed");
		if (!m->line)
			return empty_line(m);
		m->line = 0;
		if (++m->lines > CO_LIMIT_HTTP_FIELDS + 1)
			return fault(m, 431, "HEAD_TOO_LARGE",
				     "there are too many header fields");
		return 0;
	}
	if (c == '\n')
		return bad(m, "a line feed stands without a carriage return");
	if (c == '\r') {
		m->cr = true;
		return 0;
	}
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return bad(m, "a control character stands in the head");
	if (!m->line && (c == ' ' || c == '\t'))
		return bad(m, m->lines ? "a header line begins with white space"
				       : "a request begins with white space");
	if (m->kind == CO_HTTP_REQUEST && !m->lines && (c == ' ' || c == '\t')) {
		if (m->space || c == '\t')
			return bad(
				m,
				"a request line has single spaces between its parts");
		m->space = true;
	} else {
		m->space = false;
	}
	if (!m->line && m->lines && c == ':')
		return bad(m, "a header field has no name");
	m->line++;
	if (!m->lines && m->line > m->limits.target + REQUEST_LINE)
		return too_long(m);
	return 0;
}

/* Bytes inside a line that mean nothing to scan_byte: it need not see each. */
static size_t plain_run(struct co_http_message *m, const char *data, size_t n)
{
	size_t i = 0;

	if (!m->lines || !m->line || m->cr)
		return 0;
	while (i < n && (unsigned char) data[i] >= 0x20 && data[i] != 0x7f)
		i++;
	m->line += (uint32_t) i;
	return i;
}

/* How many of the bytes belong to the head and are good, and *out_end: all of it is there.
 * -1: the one behind them is refused. */
static int scan(struct co_http_message *m, const char *data, size_t n, size_t *out_used,
		bool *out_end)
{
	*out_end = false;
	for (size_t i = 0; i < n; i++) {
		int r;

		i += plain_run(m, data + i, n - i);
		*out_used = i;
		if (m->text.size + i >= m->limits.head) {
			*out_used = m->limits.head - m->text.size;
			return too_long(m);
		}
		if (i == n)
			return 0;
		r = scan_byte(m, (unsigned char) data[i]);
		if (r < 0)
			return -1;
		if (r) {
			*out_used = i + 1;
			*out_end = true;
			return 0;
		}
	}
	*out_used = n;
	return 0;
}

/* ---- the head, as fields ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct co_span trim(struct co_span s)
{
	while (s.size && is_space(s.data[0]))
		s.data++, s.size--;
	while (s.size && is_space(s.data[s.size - 1]))
		s.size--;
	return s;
}

static bool same_word(struct co_span s, const char *word)
{
	return s.size == strlen(word) && strncasecmp(s.data, word, s.size) == 0;
}

bool co_http_list_has(struct co_span list, const char *word)
{
	while (list.size) {
		const char *comma = memchr(list.data, ',', list.size);
		size_t n = comma ? (size_t) (comma - list.data) : list.size;
		const char *semicolon = memchr(list.data, ';', n);
		struct co_span item = { list.data,
					semicolon ? (size_t) (semicolon - list.data)
						  : n };

		if (same_word(trim(item), word))
			return true;
		n += comma ? 1 : 0;
		list.data += n;
		list.size -= n;
	}
	return false;
}

bool co_http_field(const struct co_http_head *head, const char *name,
		   struct co_span *out)
{
	for (uint32_t i = 0; i < head->nfields; i++)
		if (co_span_is(head->fields[i].name, name)) {
			*out = head->fields[i].value;
			return true;
		}
	return false;
}

static struct co_span at(const struct co_http_message *m, uint32_t from, uint32_t size)
{
	return (struct co_span){ m->text.data + from, size };
}

/* The names are one behind the other. */
static void keep_names(struct co_http_message *m)
{
	size_t from = 0;

	m->names.size = 0;
	for (uint32_t i = 0; i < m->nplaces; i++)
		co_buf_span(&m->names,
			    at(m, m->places[i].name, m->places[i].name_size));
	for (uint32_t i = 0; i < m->nplaces && !m->names.failed; i++) {
		m->fields[i].written = (struct co_span){ m->names.data + from,
							 m->places[i].name_size };
		from += m->places[i].name_size;
	}
	if (m->names.failed)
		(void) fault(m, 500, "NO_MEMORY", "there is no memory for the message");
}

static void make_fields(struct co_http_message *m)
{
	if (m->limits.written)
		keep_names(m);
	for (uint32_t i = 0; i < m->nplaces; i++) {
		const struct place *p = &m->places[i];
		char *name = m->text.data + p->name;

		for (uint32_t k = 0; k < p->name_size; k++)
			if (name[k] >= 'A' && name[k] <= 'Z')
				name[k] = (char) (name[k] | 32);
		m->fields[i].name = at(m, p->name, p->name_size);
		m->fields[i].value = trim(at(m, p->value, p->value_size));
	}
	m->head.fields = m->fields;
	m->head.nfields = m->nplaces;
}

static int read_length(struct co_http_message *m, struct co_span value)
{
	uint64_t length = 0;

	if (m->head.has_length)
		return bad(m, "there are two lengths of the body");
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return bad(m, "the length of the body is not a number");
		if (i < LENGTH_DIGITS)
			length = length * 10 + (uint64_t) (value.data[i] - '0');
	}
	if (!value.size)
		return bad(m, "the length of the body is not a number");
	if (value.size > LENGTH_DIGITS)
		return bad(m, "the length of the body has too many digits");
	m->head.has_length = true;
	m->head.length = length;
	return 0;
}

static int read_coding(struct co_http_message *m, struct co_span value)
{
	if (m->head.chunked)
		return bad(m, "there are two transfer codings");
	if (!same_word(value, "chunked"))
		return fault(m, 501, "NOT_IMPLEMENTED",
			     "chunked is the only transfer coding here");
	m->head.chunked = true;
	return 0;
}

static bool is_host(struct co_span value)
{
	static const char others[] = "-._~:[]%!$&'()*+,;=";

	for (size_t i = 0; i < value.size; i++) {
		char c = value.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		      (c >= 'a' && c <= 'z') || (c && strchr(others, c))))
			return false;
	}
	return true;
}

static int read_host(struct co_http_message *m, struct co_span value)
{
	if (m->kind == CO_HTTP_RESPONSE)
		return 0;
	if (m->head.host.data)
		return bad(m, "there are two Host fields");
	if (!is_host(value))
		return bad(m, "the Host field is not the name of a host");
	m->head.host = value;
	return 0;
}

static int read_expect(struct co_http_message *m, struct co_span value)
{
	if (m->kind == CO_HTTP_RESPONSE)
		return 0;
	if (!same_word(value, "100-continue"))
		return fault(m, 417, "EXPECTATION_FAILED",
			     "100-continue is the only expectation here");
	m->head.expects_continue = m->head.minor > 0;
	return 0;
}

static int read_fields(struct co_http_message *m)
{
	bool close = false, keep = false, upgrade = false, to = false;
	int r = 0;

	for (uint32_t i = 0; i < m->nplaces && !r; i++) {
		struct co_span name = m->fields[i].name, value = m->fields[i].value;

		if (co_span_is(name, "content-length"))
			r = read_length(m, value);
		else if (co_span_is(name, "transfer-encoding"))
			r = read_coding(m, value);
		else if (co_span_is(name, "host"))
			r = read_host(m, value);
		else if (co_span_is(name, "expect"))
			r = read_expect(m, value);
		else if (co_span_is(name, "upgrade"))
			to = true;
		else if (co_span_is(name, "connection")) {
			close = close || co_http_list_has(value, "close");
			keep = keep || co_http_list_has(value, "keep-alive");
			upgrade = upgrade || co_http_list_has(value, "upgrade");
		}
	}
	m->head.keep_alive = !close && (m->head.minor > 0 || keep);
	m->head.upgrade = upgrade && to && m->head.minor > 0;
	return r;
}

static int check_body(struct co_http_message *m)
{
	struct co_http_head *h = &m->head;

	if (h->chunked && h->has_length)
		return bad(m, "there is a length of the body beside a transfer coding");
	if (h->chunked && !h->minor)
		return bad(m, "HTTP/1.0 has no transfer codings");
	if (h->chunked && (m->done || !(m->parser.flags & F_CHUNKED)))
		return bad(m, "something stands behind the transfer coding");
	if (h->length > m->limits.body)
		return fault(m, 413, "BODY_TOO_LARGE",
			     "the body is larger than this server accepts");
	if (m->kind == CO_HTTP_RESPONSE &&
	    (h->status / 100 == 1 || h->status == 204 || h->status == 304)) {
		h->chunked = false;
		h->length = 0;
		return 0;
	}
	h->until_close = m->kind == CO_HTTP_RESPONSE && !h->chunked && !h->has_length;
	h->has_body = h->chunked || h->has_length || h->until_close;
	if (h->until_close)
		h->keep_alive = false;
	m->left = h->length;
	return 0;
}

/* "/path?query", "*", or "http://host/path"; a fragment is nobody's business but the
 * client's. */
static bool is_target(struct co_span target)
{
	static const char scheme[] = "http://";
	size_t n = strlen(scheme), end = n;

	if (!target.size || memchr(target.data, '#', target.size))
		return false;
	if (target.data[0] == '/')
		return true;
	if (target.data[0] == '*')
		return target.size == 1;
	if (target.size <= n || strncasecmp(target.data, scheme, n) != 0)
		return false;
	while (end < target.size && target.data[end] != '/' && target.data[end] != '?')
		end++;
	return end > n && is_host((struct co_span){ target.data + n, end - n });
}

static int check_request(struct co_http_message *m)
{
	struct co_http_head *h = &m->head;

	h->method = co_span(llhttp_method_name((llhttp_method_t) m->parser.method));
	h->target = at(m, m->target.value, m->target.value_size);
	if (h->target.size > m->limits.target)
		return fault(m, 414, "TARGET_TOO_LONG",
			     "the request's target is too long");
	if (m->parser.method == HTTP_CONNECT || m->parser.method == HTTP_PRI ||
	    m->parser.method == HTTP_SOURCE)
		return fault(m, 501, "NOT_IMPLEMENTED",
			     "this method is not known here");
	if (!is_target(h->target))
		return bad(m, "the target of the request is not a path");
	if (read_fields(m) < 0)
		return -1;
	if (h->minor && !h->host.data)
		return bad(m, "there is no Host field");
	return 0;
}

static int head_complete(struct co_http_message *m)
{
	const llhttp_t *p = &m->parser;
	int r;

	m->head = (struct co_http_head){ .minor = p->http_minor };
	if (p->http_major != 1 || p->http_minor > 1)
		return fault(m, 505, "VERSION_NOT_SUPPORTED",
			     "HTTP/1.0 and HTTP/1.1 are spoken here");
	make_fields(m);
	if (m->fault.status)
		return -1;
	if (m->kind == CO_HTTP_REQUEST) {
		r = check_request(m);
	} else {
		m->head.status = p->status_code;
		m->head.reason = at(m, m->reason.value, m->reason.value_size);
		r = read_fields(m);
	}
	return r < 0 ? r : check_body(m);
}

/* llhttp's own words for what it does not like. */
static int refused(struct co_http_message *m)
{
	const char *reason = llhttp_get_error_reason(&m->parser);

	if (llhttp_get_errno(&m->parser) == HPE_INVALID_VERSION)
		return fault(m, 505, "VERSION_NOT_SUPPORTED",
			     "HTTP/1.0 and HTTP/1.1 are spoken here");
	return bad(m, reason && *reason ? reason : "this is not HTTP");
}

/* Gives llhttp what has been looked at; false: it does not like it. */
static bool parse(struct co_http_message *m, const char *data, size_t n, bool end)
{
	size_t before = m->text.size;
	llhttp_errno_t r;

	co_buf_add(&m->text, data, n);
	if (m->text.failed) {
		(void) fault(m, 500, "NO_MEMORY", "there is no memory for the request");
		return false;
	}
	r = llhttp_execute(&m->parser, m->text.data + before, n);
	if (m->fault.status)
		return false;
	/* at the end it may have paused: there is no body, or the connection changes */
	if (end ? m->complete : r == HPE_OK && !m->complete)
		return true;
	(void) refused(m);
	return false;
}

static enum co_http_progress feed_head(struct co_http_message *m, const char *data,
				       size_t n, size_t *out_used)
{
	struct co_http_fault found;
	size_t skip = 0;
	bool end, good = scan(m, data, n, out_used, &end) == 0;

	/* what llhttp says of bytes before goes first, however they are cut */
	found = m->fault;
	m->fault = (struct co_http_fault){ 0 };
	while (!m->text.size && skip < *out_used &&
	       (data[skip] == '\r' || data[skip] == '\n'))
		skip++; /* line ends in front */
	if (*out_used > skip && !parse(m, data + skip, *out_used - skip, end))
		return CO_HTTP_BAD;
	if (!good) {
		m->fault = found;
		return CO_HTTP_BAD;
	}
	if (!end)
		return CO_HTTP_MORE;
	if (head_complete(m) < 0)
		return CO_HTTP_BAD;
	m->phase = PHASE_BODY;
	m->cr = false;
	return CO_HTTP_HEAD;
}

/* ---- the body ---- */

static enum co_http_progress feed_chunks(struct co_http_message *m, const char *data,
					 size_t n, size_t *out_used)
{
	llhttp_errno_t r;

	m->framing_from = data;
	r = llhttp_execute(&m->parser, data, n);
	*out_used = n;
	if (m->done)
		*out_used = (size_t) (llhttp_get_error_pos(&m->parser) - data);
	if (m->fault.status || (r != HPE_OK && !m->done)) {
		(void) refused(m);
		return CO_HTTP_BAD;
	}
	if (m->framing_from < data + *out_used &&
	    check_framing(m, data + *out_used) < 0)
		return CO_HTTP_BAD;
	return m->done ? CO_HTTP_DONE : CO_HTTP_MORE;
}

static enum co_http_progress feed_body(struct co_http_message *m, const char *data,
				       size_t n, size_t *out_used)
{
	if (m->head.chunked)
		return feed_chunks(m, data, n, out_used);
	if (!m->head.until_close && n > m->left)
		n = (size_t) m->left;
	if (n)
		m->body(m->arg, data, n);
	*out_used = n;
	if (m->head.until_close)
		return CO_HTTP_MORE;
	m->left -= n;
	return m->left ? CO_HTTP_MORE : CO_HTTP_DONE;
}

enum co_http_progress co_http_feed(struct co_http_message *m, const char *data,
				   size_t n, size_t *out_used)
{
	enum co_http_progress progress = CO_HTTP_BAD;

	*out_used = 0;
	if (m->fault.status || m->phase == PHASE_OVER)
		return m->fault.status ? CO_HTTP_BAD : CO_HTTP_DONE;
	if (m->phase == PHASE_HEAD)
		progress = feed_head(m, data, n, out_used);
	else
		progress = feed_body(m, data, n, out_used);
	if (progress == CO_HTTP_DONE)
		m->phase = PHASE_OVER;
	return progress;
}

bool co_http_finish(struct co_http_message *m)
{
	if (m->phase != PHASE_BODY || !m->head.until_close)
		return false;
	m->phase = PHASE_OVER;
	return true;
}

void co_http_no_body(struct co_http_message *m)
{
	m->head.has_body = m->head.chunked = m->head.until_close = false;
	m->left = 0;
}

/* ---- life ---- */

static void restart(struct co_http_message *m)
{
	llhttp_init(&m->parser,
		    m->kind == CO_HTTP_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
		    &settings);
	m->parser.data = m;
}

struct co_http_message *co_http_new(enum co_http_kind kind,
				    const struct co_http_limits *limits,
				    void (*body)(void *arg, const char *data, size_t n),
				    void *arg)
{
	struct co_http_message *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	m->text = m->names = (struct co_buf){ 0 };
	m->kind = kind;
	m->limits = *limits;
	m->body = body;
	m->arg = arg;
	co_http_reset(m, NULL);
	return m;
}

void co_http_reset(struct co_http_message *m, const struct co_http_limits *limits)
{
	if (limits)
		m->limits = *limits;
	m->phase = PHASE_HEAD;
	m->text.size = 0;
	m->text.failed = m->names.failed = false;
	m->cr = m->fresh = m->space = m->led = m->complete = m->in_value = m->overflow =
		m->done = false;
	m->line = m->lines = m->nplaces = 0;
	m->target = m->reason = (struct place){ 0 };
	m->head = (struct co_http_head){ 0 };
	m->left = m->received = m->framing = 0;
	m->fault = (struct co_http_fault){ 0 };
	restart(m);
}

struct co_http_message *co_http_free(struct co_http_message *m)
{
	if (!m)
		return NULL;
	co_buf_done(&m->text);
	co_buf_done(&m->names);
	free(m);
	return NULL;
}

bool co_http_begun(const struct co_http_message *m)
{
	return m->phase != PHASE_HEAD || m->line || m->lines || m->cr;
}

const struct co_http_head *co_http_head(const struct co_http_message *m)
{
	return &m->head;
}

struct co_http_fault co_http_fault(const struct co_http_message *m)
{
	return m->fault;
}

const char *co_http_reason(int status)
{
	switch (status) {
#define REASON(number, name, text)                                                     \
	case number:                                                                   \
		return text;
#include "lib/http_status.def"
#undef REASON
	default:
		return "Unknown";
	}
}
