/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: bodies of PUT /v1/sys/state and of transactions, through the JSON reader,
 * the endpoint and the service, down to a store that does as it is told.  HOST.
 * Input: 'p' or 't', then the body.
 *
 * Each request is answered once, with JSON.  What was accepted has in the answer and in the
 * store the bytes that stood in the body, and reading the answer again gives the same key.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudosd/service/expiry.h"
#include "cloudosd/service/state.h"
#include "lib/json_scan.h"
#include "personality/blackroad/state.h"
#include "store/store.h"
#include "tests/fuzz/target.h"

static void demand(bool good)
{
	if (!good)
		abort();
}

/* ---- a call ---- */

struct http_call {
	struct co_services services;
	int answers, status;
	struct co_buf body;
	struct co_buf *scratch[4096];
	size_t nscratch;
};

const struct co_services *http_services(const struct http_call *c)
{
	return &c->services;
}

const char *http_service(const struct http_call *c)
{
	(void) c; /* one service */
	return "fuzz";
}

bool http_header(const struct http_call *c, const char *name, struct co_span *out)
{
	(void) c, (void) name, (void) out; /* no headers */
	return false;
}

void http_set_header(struct http_call *c, const char *name, const char *format, ...)
{
	(void) c, (void) name, (void) format; /* nobody looks */
}

void http_pend(struct http_call *c, void (*cancel)(struct http_call *c, void *arg),
	       void *arg)
{
	(void) c, (void) cancel, (void) arg; /* this client stays */
}

char *http_scratch(struct http_call *c, size_t n)
{
	struct co_buf *b = calloc(1, sizeof(*b));

	demand(c->nscratch < 4096 && b);
	c->scratch[c->nscratch++] = b;
	return co_buf_room(b, n);
}

void http_answer(struct http_call *c, int status, struct co_buf *body)
{
	c->answers++;
	c->status = status;
	co_buf_done(&c->body);
	c->body = *body;
	*body = (struct co_buf){ 0 };
}

static void fail(struct http_call *c, int status, const char *format, va_list args)
{
	struct co_buf body = { 0 };
	char text[1024];

	(void) vsnprintf(text, sizeof(text), format, args); /* cut is fine */
	co_buf_json_text(&body, co_span(text));
	http_answer(c, status, &body);
}

void http_fail(struct http_call *c, int status, const char *code, const char *format,
	       ...)
{
	va_list args;

	(void) code; /* for clients */
	va_start(args, format);
	fail(c, status, format, args);
	va_end(args);
}

void http_fail_with(struct http_call *c, int status, const char *code,
		    struct co_span details, const char *format, ...)
{
	va_list args;

	(void) code, (void) details; /* for clients */
	va_start(args, format);
	fail(c, status, format, args);
	va_end(args);
}

void http_fail_status(struct http_call *c, int status, const char *reason)
{
	(void) status; /* all the same here */
	http_fail(c, 500, "", "%s", reason ? reason : "");
}

void blackroad_invalid(struct http_call *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail(c, 400, format, args);
	va_end(args);
}

bool blackroad_json_number(struct http_call *c, const char *name, struct co_span value,
			   int64_t absent, int64_t min, int64_t max, int64_t *out)
{
	*out = absent;
	if (!value.data || co_json_kind(value) == CO_JSON_NULL ||
	    (co_json_whole(value, out) && *out >= min && *out <= max))
		return true;
	blackroad_invalid(c, "%s", name);
	return false;
}

bool blackroad_number(struct http_call *c, const char *name, struct co_span text,
		      int64_t absent, int64_t min, int64_t max, int64_t *out)
{
	(void) text; /* no query */
	return blackroad_json_number(c, name, (struct co_span){ 0 }, absent, min, max,
				     out);
}

void blackroad_state_list(struct http_call *c,
			  const struct blackroad_state_get_args *with)
{
	(void) c, (void) with;
	abort(); /* nothing here lists */
}

/* ---- a store that does as it is told ---- */

int store_txn(struct store *s, const struct store_txn *txn, store_done *done, void *arg)
{
	struct store_op_result *results = calloc(txn->nthen + 1, sizeof(*results));
	struct store_result result = { .reason = "",
				       .succeeded = true,
				       .results = results,
				       .nresults = txn->nthen };

	(void) s; /* it keeps nothing */
	demand(results != NULL);
	for (size_t i = 0; i < txn->nthen; i++) {
		const struct store_op *op = &txn->then[i];

		demand(strncmp(op->key, "/state/fuzz/", 12) == 0 && op->key[12]);
		demand(op->kind != STORE_PUT || op->size > 9);
		results[i].deleted = op->kind == STORE_DELETE;
		results[i].item = (struct store_item){ .key = op->key,
						       .value = op->value,
						       .size = op->size,
						       .version = 1 };
	}
	done(arg, &result);
	free(results);
	return 0;
}

int store_count(struct store *s, const char *prefix, store_done *done, void *arg)
{
	(void) s, (void) prefix; /* it is empty */
	done(arg, &(struct store_result){ .reason = "", .succeeded = true });
	return 0;
}

int store_read(struct store *s, const char *key, store_list_done *done, void *arg)
{
	(void) s, (void) key, (void) done, (void) arg;
	return CO_GONE;
}

int store_scan(struct store *s, const char *prefix, const char *after, size_t limit,
	       store_list_done *done, void *arg)
{
	(void) s, (void) prefix, (void) after, (void) limit, (void) done, (void) arg;
	return CO_GONE;
}

void expiry_watch(struct expiry *e, const char *prefix,
		  void (*gone)(void *arg, const char *key, uint64_t version), void *arg)
{
	(void) e, (void) prefix, (void) gone, (void) arg; /* nothing expires */
}

void expiry_note(struct expiry *e, uint64_t at_ms)
{
	(void) e, (void) at_ms; /* the same */
}

static uint64_t wall_ns(void *ctx)
{
	(void) ctx; /* one clock */
	return 1700000000000000000;
}

/* ---- the target ---- */

static bool same(struct co_span a, struct co_span b)
{
	return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

/* The entry of an answer has that key and those bytes. */
static void demand_entry(struct co_span entry, struct co_span key, struct co_span value)
{
	autobuf struct co_buf text = { 0 };
	struct co_span again, bytes;

	demand(co_json_member(entry, "key", &again) &&
	       co_json_unescape(again, &text) == 0 &&
	       same((struct co_span){ text.data, text.size }, key));
	demand(co_json_member(entry, "value", &bytes) && same(bytes, value));
}

static void put(struct http_call *c, struct co_span body)
{
	autobuf struct co_buf text = { 0 };
	struct blackroad_state_set_args args = { 0 };
	struct co_span key;

	if (!co_json_member(body, "key", &key) ||
	    !co_json_member(body, "value", &args.value) ||
	    co_json_unescape(key, &text) < 0)
		return;
	args.key = (struct co_span){ text.data ? text.data : "", text.size };
	(void) co_json_member(body, "expectedVersion", &args.expectedVersion);
	(void) co_json_member(body, "ttl", &args.ttl); /* absent or not */
	blackroad_on_state_set(c, &args);
	demand(c->answers == 1);
	if (c->status == 200)
		demand_entry((struct co_span){ c->body.data, c->body.size }, args.key,
			     args.value);
}

static void transact(struct http_call *c, struct co_span body)
{
	struct blackroad_state_tx_args args = { 0 };
	struct co_span name, op, result, value, key, results;
	struct co_json_walk ops, done;

	if (!co_json_member(body, "ops", &args.ops))
		return;
	blackroad_on_state_tx(c, &args);
	demand(c->answers == 1);
	if (c->status != 200)
		return;
	demand(co_json_member((struct co_span){ c->body.data, c->body.size }, "results",
			      &results));
	ops = co_json_walk(args.ops);
	done = co_json_walk(results);
	while (co_json_next(&ops, &name, &op)) {
		autobuf struct co_buf text = { 0 };

		demand(co_json_next(&done, &name, &result));
		if (!co_json_member(result, "value", &value))
			continue;
		demand(co_json_member(op, "value", &value) &&
		       co_json_member(op, "key", &key) &&
		       co_json_unescape(key, &text) == 0);
		demand_entry(result, (struct co_span){ text.data, text.size }, value);
	}
	demand(!co_json_next(&done, &name, &result));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct co_host host = { .wall_ns = wall_ns };
	static struct states *states;
	char *text = malloc(size ? size : 1); /* ends where the input ends */
	struct http_call c = { 0 };
	struct co_json_fault fault;
	struct co_span body, again;

	if (!states)
		states = state_new(&host, NULL, NULL, &(struct state_options){ 0 });
	demand(text && states);
	c.services.state = states;
	if (size)
		memcpy(text, data + 1, size - 1);
	if (size &&
	    co_json_check((struct co_span){ text, size - 1 }, &body, &fault) == 0) {
		if (data[0] == 't')
			transact(&c, body);
		else
			put(&c, body);
		if (c.answers)
			demand(co_json_check(
				       (struct co_span){ c.body.data, c.body.size },
				       &again, &fault) == 0);
	}
	for (size_t i = 0; i < c.nscratch; i++) {
		co_buf_done(c.scratch[i]);
		free(c.scratch[i]);
	}
	co_buf_done(&c.body);
	free(text);
	return 0;
}
