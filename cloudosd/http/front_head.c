/* SPDX-License-Identifier: MIT */
/* Heads of messages that are passed on.  HOST. */
#include "cloudosd/http/front_head.h"

#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "lib/uri.h"

/* Of one connection (RFC 9110, 7.6.1), or written anew. */
static const char *const own[] = {
	"connection",        "keep-alive", "proxy-connection", "te",
	"transfer-encoding", "trailer",    "upgrade"
};

static bool is_own(const struct co_http_head *head, struct co_span name)
{
	char word[64];

	for (size_t i = 0; i < co_countof(own); i++)
		if (co_span_is(name, own[i]))
			return true;
	if (name.size >= sizeof(word))
		return false;
	memcpy(word, name.data, name.size);
	word[name.size] = '\0';
	for (uint32_t i = 0; i < head->nfields; i++)
		if (co_span_is(head->fields[i].name, "connection") &&
		    co_http_list_has(head->fields[i].value, word))
			return true;
	return false;
}

static void add(struct co_buf *out, const char *name, struct co_span value)
{
	co_buf_text(out, name);
	co_buf_text(out, ": ");
	co_buf_span(out, value);
	co_buf_text(out, "\r\n");
}

static void add_field(struct co_buf *out, const struct co_http_field *f)
{
	co_buf_span(out, f->written.data ? f->written : f->name);
	co_buf_text(out, ": ");
	co_buf_span(out, f->value);
	co_buf_text(out, "\r\n");
}

/* ---- requests ---- */

/* Is that field of a request passed on as it is? */
static bool passes(const struct front_request *q, struct co_span name)
{
	static const char *const anew[] = { "host", "content-length",
					    "x-forwarded-for" };

	for (size_t i = 0; i < co_countof(anew); i++)
		if (co_span_is(name, anew[i]))
			return false;
	if (co_span_is(name, "expect"))
		return !q->no_expect;
	return !is_own(q->head, name);
}

static void add_forwarded(struct co_buf *out, const struct front_request *q,
			  struct co_span host)
{
	struct co_span before;

	co_buf_text(out, "X-Forwarded-For: ");
	for (uint32_t i = 0; i < q->head->nfields; i++)
		if (co_span_is(q->head->fields[i].name, "x-forwarded-for") &&
		    q->head->fields[i].value.size) {
			co_buf_span(out, q->head->fields[i].value);
			co_buf_text(out, ", ");
		}
	co_buf_text(out, q->client);
	co_buf_text(out, "\r\n");
	if (!co_http_field(q->head, "x-forwarded-proto", &before))
		add(out, "X-Forwarded-Proto", co_span("http"));
	if (!co_http_field(q->head, "x-forwarded-host", &before))
		add(out, "X-Forwarded-Host", host);
}

static void add_upgrade(struct co_buf *out, const struct co_http_head *head)
{
	co_buf_text(out, "Connection: Upgrade\r\n");
	for (uint32_t i = 0; i < head->nfields; i++)
		if (co_span_is(head->fields[i].name, "upgrade"))
			add_field(out, &head->fields[i]);
}

void front_request_head(struct co_buf *out, const struct front_request *q)
{
	const struct co_http_head *head = q->head;
	struct co_uri uri = co_uri_split(head->target);
	struct co_span host = head->host;

	if (uri.authority.data)
		host = uri.authority; /* RFC 9112, 3.2.2: it outranks the field */
	if (!host.data)
		host = co_span(q->host);
	co_buf_span(out, head->method);
	co_buf_char(out, ' ');
	co_buf_span(out, uri.path);
	if (uri.query.data) {
		co_buf_char(out, '?');
		co_buf_span(out, uri.query);
	}
	co_buf_text(out, " HTTP/1.1\r\n");
	add(out, "Host", host);
	for (uint32_t i = 0; i < head->nfields; i++)
		if (passes(q, head->fields[i].name))
			add_field(out, &head->fields[i]);
	add_forwarded(out, q, host);
	if (head->chunked)
		co_buf_text(out, "Transfer-Encoding: chunked\r\n");
	else if (head->has_length)
		co_buf_format(out, "Content-Length: %llu\r\n",
			      (unsigned long long) head->length);
	if (head->upgrade)
		add_upgrade(out, head);
	co_buf_text(out, "\r\n");
}

int front_check(const struct co_http_head *head, const char **out_what)
{
	struct co_uri uri = co_uri_split(head->target);

	if (co_span_is(head->method, "CONNECT")) {
		*out_what = "this is no proxy for connections";
		return 405;
	}
	if (!uri.path.data) {
		*out_what = "the target of the request is not a path";
		return 400;
	}
	return 0;
}

bool front_is_endpoint(struct co_span target)
{
	static const char *const whole[] = { "/health", "/version" };
	static const char folder[] = "/v1/sys/";
	struct co_span path = co_uri_split(target).path;

	while (path.size > 1 && path.data[path.size - 1] == '/')
		path.size--;
	for (size_t i = 0; i < co_countof(whole); i++)
		if (path.size == strlen(whole[i]) &&
		    strncasecmp(path.data, whole[i], path.size) == 0)
			return true;
	return path.size > strlen(folder) &&
	       strncasecmp(path.data, folder, strlen(folder)) == 0;
}

/* ---- answers ---- */

bool front_is_lacking(int status)
{
	return status == 404 || status == 405 || status == 501;
}

void front_answer_head(struct co_buf *out, const struct front_answer *a)
{
	const struct co_http_head *head = a->head;

	co_buf_format(out, "HTTP/1.1 %d ", head->status);
	co_buf_span(out, head->reason);
	co_buf_text(out, "\r\n");
	for (uint32_t i = 0; i < head->nfields; i++)
		if (!is_own(head, head->fields[i].name))
			add_field(out, &head->fields[i]);
	if (a->chunked)
		co_buf_text(out, "Transfer-Encoding: chunked\r\n");
	if (head->status == 101)
		add_upgrade(out, head);
	else if (head->status >= 200 && !a->keep)
		co_buf_text(out, "Connection: close\r\n");
	else if (head->status >= 200 && a->old)
		co_buf_text(out, "Connection: keep-alive\r\n");
	co_buf_text(out, "\r\n");
}
