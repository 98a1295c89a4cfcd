/* SPDX-License-Identifier: MIT */
/*
 * GET /openapi.json: the endpoints described by the rows that dispatch them.  HOST.
 * What the rows cannot say is in schemas.def.
 */
#include <stdio.h>

#include "lib/cleanup.h"
#include "personality/blackroad/blackroad.h"

struct schema {
	const char *name, *text;
};

struct argument {
	const char *operation, *name, *text;
};

struct reply {
	const char *operation;
	int status;
	const char *type, *schema;
};

/* clang-format off */
static const struct schema schemas[] = {
#define SCHEMA(name, text) { name, text },
#include "personality/blackroad/schemas.def"
#undef SCHEMA
};

static const struct argument arguments[] = {
#define ARGUMENT(operation, name, text) { #operation, #name, text },
#include "personality/blackroad/schemas.def"
#undef ARGUMENT
};

static const struct reply replies[] = {
#define REPLY(operation, status, type, schema) { #operation, status, type, schema },
#include "personality/blackroad/schemas.def"
#undef REPLY
};
/* clang-format on */

/* With the quotes that JSON has. */
static void add(struct co_buf *b, const char *text)
{
	for (; *text; text++)
		co_buf_char(b, *text == '\'' ? '"' : *text);
}

static void comma(struct co_buf *b)
{
	if (b->data && !strchr("[{", b->data[b->size - 1]))
		co_buf_char(b, ',');
}

static void named(struct co_buf *b, const char *name)
{
	comma(b);
	co_buf_json_text(b, co_span(name));
	co_buf_char(b, ':');
}

static bool is_text(const struct co_arg *arg)
{
	return arg->kind == CO_ARG_TEXT || arg->kind == CO_ARG_OPT_TEXT;
}

static bool is_required(const struct co_arg *arg)
{
	return arg->kind == CO_ARG_TEXT || arg->kind == CO_ARG_JSON;
}

static void add_schema(struct co_buf *b, const struct blackroad_row *row,
		       const struct co_arg *arg)
{
	for (size_t i = 0; i < co_countof(arguments); i++)
		if (strcmp(arguments[i].operation, row->name) == 0 &&
		    strcmp(arguments[i].name, arg->name) == 0) {
			add(b, arguments[i].text);
			return;
		}
	add(b, is_text(arg) ? "{'type':'string'}" : "{}");
}

static bool in_path(const struct blackroad_row *row, const struct co_arg *arg)
{
	const char *colon = strchr(row->path, ':');

	return colon && strncmp(colon + 1, arg->name, strlen(arg->name)) == 0;
}

static bool in_query(const struct blackroad_row *row)
{
	return strcmp(row->method, "GET") == 0 || strcmp(row->method, "DELETE") == 0;
}

static void add_parameters(struct co_buf *b, const struct blackroad_row *row)
{
	named(b, "parameters");
	co_buf_char(b, '[');
	for (uint32_t i = 0; i < row->nargs; i++) {
		const struct co_arg *arg = &row->args[i];
		bool path = in_path(row, arg);

		if (!path && !in_query(row))
			continue;
		comma(b);
		add(b, "{'name':");
		co_buf_json_text(b, co_span(arg->name));
		add(b, path ? ",'in':'path'" : ",'in':'query'");
		add(b, is_required(arg) ? ",'required':true" : ",'required':false");
		add(b, ",'schema':");
		add_schema(b, row, arg);
		co_buf_char(b, '}');
	}
	co_buf_char(b, ']');
}

static void add_body(struct co_buf *b, const struct blackroad_row *row)
{
	bool any = false;

	if (in_query(row))
		return;
	for (uint32_t i = 0; i < row->nargs; i++)
		any = any || !in_path(row, &row->args[i]);
	if (!any)
		return;
	named(b, "requestBody");
	add(b,
	    "{'content':{'application/json':{'schema':{'type':'object','properties':{");
	for (uint32_t i = 0; i < row->nargs; i++) {
		if (in_path(row, &row->args[i]))
			continue;
		named(b, row->args[i].name);
		add_schema(b, row, &row->args[i]);
	}
	co_buf_char(b, '}');
	any = false;
	for (uint32_t i = 0; i < row->nargs; i++) {
		if (in_path(row, &row->args[i]) || !is_required(&row->args[i]))
			continue;
		add(b, any ? "," : ",'required':[");
		co_buf_json_text(b, co_span(row->args[i].name));
		any = true;
	}
	add(b, any ? "]}}}}" : "}}}}");
}

static void add_reply(struct co_buf *b, int status, const char *type,
		      const char *schema)
{
	char number[16];

	(void) snprintf(number, sizeof(number), "%d", status);
	named(b, number);
	add(b, "{'description':");
	co_buf_json_text(b, co_span(co_http_reason(status)));
	if (*type) {
		add(b, ",'content':{");
		co_buf_json_text(b, co_span(type));
		add(b, ":{'schema':");
		if (*schema)
			co_buf_format(b, "{\"$ref\":\"#/components/schemas/%s\"}",
				      schema);
		else
			add(b, "{'type':'string'}");
		add(b, "}}");
	}
	co_buf_char(b, '}');
}

static void add_replies(struct co_buf *b, const struct blackroad_row *row)
{
	bool any = false;

	named(b, "responses");
	co_buf_char(b, '{');
	for (size_t i = 0; i < co_countof(replies); i++)
		if (strcmp(replies[i].operation, row->name) == 0) {
			add_reply(b, replies[i].status, replies[i].type,
				  replies[i].schema);
			any = true;
		}
	if (!any)
		add_reply(b, 200, "application/json", "Object");
	add(b, ",'default':{'description':'Error','content':{'application/json':"
	       "{'schema':{'$ref':'#/components/schemas/Error'}}}}}");
}

static void add_operation(struct co_buf *b, const struct blackroad_row *row)
{
	char method[16];
	size_t n = 0;

	for (; row->method[n]; n++)
		method[n] = (char) (row->method[n] | 32);
	method[n] = '\0';
	named(b, method);
	co_buf_char(b, '{');
	named(b, "operationId");
	co_buf_json_text(b, co_span(row->name));
	if (*row->note) {
		named(b, "description");
		co_buf_json_text(b, co_span(row->note));
	}
	add_parameters(b, row);
	add_body(b, row);
	add_replies(b, row);
	co_buf_char(b, '}');
}

/* "/v1/sys/job/{id}" */
static void add_path(struct co_buf *b, const char *path)
{
	const char *colon = strchr(path, ':'),
		   *rest = colon ? strchrnul(colon, '/') : "";

	comma(b);
	co_buf_char(b, '"');
	co_buf_add(b, path, colon ? (size_t) (colon - path) : strlen(path));
	if (colon)
		co_buf_format(b, "{%.*s}%s", (int) (rest - colon - 1), colon + 1, rest);
	co_buf_text(b, "\":{");
}

static void add_paths(struct co_buf *b)
{
	size_t count;
	const struct blackroad_row *rows = blackroad_rows(&count);

	for (size_t i = 0; i < count; i++) {
		bool before = false, any = false;

		for (size_t k = 0; k < i; k++)
			before = before || (rows[k].run &&
					    strcmp(rows[k].path, rows[i].path) == 0);
		for (size_t k = i; k < count && !before; k++) {
			if (!rows[k].run || strcmp(rows[k].path, rows[i].path) != 0)
				continue;
			if (!any)
				add_path(b, rows[k].path);
			any = true;
			add_operation(b, &rows[k]);
		}
		if (any)
			co_buf_char(b, '}');
	}
}

void blackroad_on_openapi(struct http_call *call,
			  const struct blackroad_openapi_args *args)
{
	struct co_buf b = { 0 };

	(void) args;
	add(&b, "{'openapi':'3.0.3','info':{'title':'BlackRoad OS system calls',"
		"'version':");
	co_buf_json_text(&b, co_span(PACKAGE_VERSION));
	add(&b, "},'paths':{");
	add_paths(&b);
	add(&b, "},'components':{'schemas':{");
	for (size_t i = 0; i < co_countof(schemas); i++) {
		named(&b, schemas[i].name);
		add(&b, schemas[i].text);
	}
	add(&b, "},'securitySchemes':{'bearer':{'type':'http','scheme':'bearer'},"
		"'key':{'type':'apiKey','in':'header','name':'X-API-Key'}}}}");
	http_answer(call, 200, &b);
}
