/* SPDX-License-Identifier: MIT */
/* The methods that every service has: sys.methods, sys.ping, sys.echo.  HOST. */
#include <stdlib.h>

#include "cloudosd/service/handler_inside.h"
#include "lib/buf.h"
#include "lib/cleanup.h"

struct listing {
	struct co_buf *buf;
	bool more;
};

static void list_one(void *arg, const struct handler_name *name)
{
	struct listing *l = arg;

	if (name->subject != HANDLER_METHOD)
		return;
	if (l->more)
		co_buf_char(l->buf, ',');
	l->more = true;
	co_buf_json_text(l->buf, co_span(name->name));
}

static void methods(struct handlers *h, const struct handler_request *r,
		    struct co_buf *out)
{
	struct listing l = { .buf = out };

	co_buf_char(out, '[');
	handlers_list(h, r->service, list_one, &l);
	co_buf_char(out, ']');
}

static void ping(struct handlers *h, const struct handler_request *r,
		 struct co_buf *out)
{
	(void) r;
	co_buf_text(out, "{\"pong\":true,\"timestamp\":");
	co_buf_json_time(out, h->host->wall_ns(h->host->ctx) / 1000000);
	co_buf_char(out, '}');
}

static void echo(struct handlers *h, const struct handler_request *r,
		 struct co_buf *out)
{
	(void) h;
	co_buf_span(out, r->params);
}

static const struct {
	const char *name;
	void (*run)(struct handlers *h, const struct handler_request *r,
		    struct co_buf *out);
} builtins[] = { { "sys.methods", methods },
		 { "sys.ping", ping },
		 { "sys.echo", echo } };

static int begin(void *ctx, const struct handler_task *task)
{
	struct handlers *h = ctx;
	struct handler_result result = { .status = 200 };
	autobuf struct co_buf out = { 0 };

	for (size_t i = 0; i < co_countof(builtins); i++)
		if (co_span_is(task->request->name, builtins[i].name))
			builtins[i].run(h, task->request, &out);
	if (out.failed)
		return CO_NO_MEMORY;
	result.result = (struct co_span){ .data = out.data, .size = out.size };
	(void) handler_answer(h->builtin, task->id, &result); /* it is there */
	return 0;
}

static void cancel(void *ctx, uint64_t id)
{
	(void) ctx;
	(void) id; /* they have all been answered in begin */
}

int handler_builtin(struct handlers *h, struct co_err *err)
{
	static const struct handler_provider_ops ops = { .kind = HANDLER_BUILTIN,
							 .begin = begin,
							 .cancel = cancel };
	struct handler_provider_spec spec = { .label = "cloudosd",
					      .ops = &ops,
					      .ctx = h };
	int r = handlers_provide(h, &spec, &h->builtin, err);

	for (size_t i = 0; i < co_countof(builtins) && !r; i++)
		r = handler_offer(h->builtin, HANDLER_METHOD, co_span(builtins[i].name),
				  err);
	return r;
}
