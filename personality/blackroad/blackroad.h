/* SPDX-License-Identifier: MIT */
/*
 * BlackRoad's endpoints: what the router and the handlers share.  HOST.
 *
 * For each row of ops.def that is not ABSENT there is
 *
 *	void blackroad_on_NAME(struct http_call *call,
 *			       const struct blackroad_NAME_args *args);
 *
 * which answers the call (personality/http.h).  The members of its arguments are spans that
 * live until then: TEXT decoded or unescaped, JSON as it came and checked.  What is not
 * OPT_ is there; an absent one has data NULL.  An empty string or parameter is there with
 * size 0 in a body, and absent in a query.
 */
#ifndef CO_BLACKROAD_H
#define CO_BLACKROAD_H

#include <co/op.h>

#include "personality/http.h"

/* Answers a request by its row. */
void blackroad_route(struct http_call *call);

/* clang-format off */
#define BLACKROAD_UNWRAP(...) __VA_ARGS__
#include <co/op-begin.h>
#undef TEXT
#undef JSON
#undef OPT_TEXT
#undef OPT_JSON
#undef OP
#define TEXT(name)     struct co_span name;
#define JSON(name)     struct co_span name;
#define OPT_TEXT(name) struct co_span name;
#define OPT_JSON(name) struct co_span name;
#define OP(key, name, plane, support, args, heading, note) \
	struct blackroad_##name##_args { BLACKROAD_UNWRAP args }; \
	void blackroad_on_##name(struct http_call *call, \
				 const struct blackroad_##name##_args *with);
#include "personality/blackroad/ops.def"
#include <co/op-end.h>
/* clang-format on */

typedef void blackroad_handler(struct http_call *call, const void *args);

/* A row of ops.def, for the router and for who describes it. */
struct blackroad_row {
	const char *method, *path, *name, *note;
	blackroad_handler *run; /* NULL: ABSENT */
	uint32_t nargs;
	struct co_arg args[CO_ARGS_MAX + 1];
};

const struct blackroad_row *blackroad_rows(size_t *out_count);

/*
 * A whole number from min to max out of a query; `absent` if text is absent.  false: it has
 * been answered 400.
 */
bool blackroad_number(struct http_call *call, const char *name, struct co_span text,
		      int64_t absent, int64_t min, int64_t max, int64_t *out);

/* The same out of a body: a JSON number, or absent, or null, which is absent. */
bool blackroad_json_number(struct http_call *call, const char *name,
			   struct co_span value, int64_t absent, int64_t min,
			   int64_t max, int64_t *out);

/* 400 INVALID_REQUEST. */
void blackroad_invalid(struct http_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
