/* SPDX-License-Identifier: MIT */
/* Requests as http-parser 2.9 reads them.  HOST, tests only. */
#include <ctype.h>
#include <http_parser.h>
#include <strings.h>

#include "tests/fuzz/http_reference.h"

struct seen {
	struct co_buf target, name, value, fields, body;
	bool in_value, complete;
	/* it counts the letters of a name with seven bits, and takes a name that begins as
	 * one of its own for that one */
	bool odd_name;
};

static bool is_odd(struct co_span name)
{
	static const char *const own[] = { "content-length", "transfer-encoding",
					   "connection", "proxy-connection",
					   "upgrade" };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (name.size > strlen(own[i]) &&
		    strncasecmp(name.data, own[i], strlen(own[i])) == 0)
			return true;
	return name.size >= 128;
}

static void field_over(struct seen *s)
{
	const char *value = s->value.data ? s->value.data : "";
	size_t n = s->value.size;

	s->odd_name =
		s->odd_name || is_odd((struct co_span){ s->name.data, s->name.size });
	if (s->name.size) {
		for (size_t i = 0; i < s->name.size; i++)
			co_buf_char(&s->fields,
				    (char) tolower((unsigned char) s->name.data[i]));
		while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
			n--;
		co_buf_char(&s->fields, ':');
		co_buf_add(&s->fields, value, n);
		co_buf_char(&s->fields, '\n');
	}
	s->name.size = s->value.size = 0;
	s->in_value = false;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
	co_buf_add(&((struct seen *) p->data)->target, at, n);
	return 0;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
	struct seen *s = p->data;

	if (s->in_value)
		field_over(s);
	co_buf_add(&s->name, at, n);
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
	struct seen *s = p->data;

	s->in_value = true;
	co_buf_add(&s->value, at, n);
	return 0;
}

static int on_head(http_parser *p)
{
	struct seen *s = p->data;

	field_over(s);
	co_buf_char(&s->fields, '\n'); /* what comes behind it are trailers */
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
	co_buf_add(&((struct seen *) p->data)->body, at, n);
	return 0;
}

static int on_complete(http_parser *p)
{
	((struct seen *) p->data)->complete = true;
	return 0;
}

bool peer_request(const char *text, size_t n, struct co_buf *out, bool *out_there)
{
	static const http_parser_settings settings = { .on_url = on_url,
						       .on_header_field = on_name,
						       .on_header_value = on_value,
						       .on_headers_complete = on_head,
						       .on_body = on_body,
						       .on_message_complete =
							       on_complete };
	struct seen s = { 0 };
	http_parser parser;
	const char *end;

	*out_there = true;
	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = &s;
	(void) http_parser_execute(&parser, &settings, text, n); /* errors: below */
	if (is_odd((struct co_span){ s.name.data, s.name.size }))
		s.odd_name = true;
	co_buf_text(out, http_method_str((enum http_method) parser.method));
	co_buf_char(out, ' ');
	co_buf_add(out, s.target.data, s.target.size);
	co_buf_char(out, '\n');
	end = s.fields.size ? memmem(s.fields.data, s.fields.size, "\n\n", 2) : NULL;
	if (s.fields.size && s.fields.data[0] == '\n')
		co_buf_char(out, '\n');
	else if (end)
		co_buf_add(out, s.fields.data, (size_t) (end + 2 - s.fields.data));
	co_buf_add(out, s.body.data, s.body.size);
	co_buf_done(&s.target);
	co_buf_done(&s.name);
	co_buf_done(&s.value);
	co_buf_done(&s.fields);
	co_buf_done(&s.body);
	if (s.odd_name)
		*out_there = false;
	return s.odd_name || (s.complete && parser.http_errno == HPE_OK);
}
