/* SPDX-License-Identifier: MIT */
/*
 * State endpoints: one key, and several at once.  HOST.  Lists are state_list.c's.
 *
 * A condition in the body (expectedVersion) answers 409, one in a header (If-Match,
 * If-None-Match) 412.  A header is a check of its own, in front of the change.
 */
#include "personality/blackroad/state.h"

#include <co/limits.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"

enum { MS = 1000, CHANGES = CO_LIMIT_STATE_OPS };

void blackroad_state_entry(struct co_buf *out, const struct state_entry *e)
{
	co_buf_text(out, "\"key\":");
	co_buf_json_text(out, e->key);
	co_buf_text(out, ",\"value\":");
	co_buf_span(out, e->value);
	co_buf_text(out, ",\"version\":");
	co_buf_u64(out, e->version);
	co_buf_text(out, ",\"updatedAt\":");
	co_buf_json_time(out, e->updated_ms);
	if (e->expires_ms) {
		co_buf_text(out, ",\"expiresAt\":");
		co_buf_json_time(out, e->expires_ms);
	}
	co_buf_char(out, '}');
}

static void answer_entry(struct http_call *call, const struct state_entry *e)
{
	struct co_buf body = { 0 };

	http_set_header(call, "ETag", "\"%" PRIu64 "\"", e->version);
	co_buf_char(&body, '{');
	blackroad_state_entry(&body, e);
	http_answer(call, 200, &body);
}

static void not_found(struct http_call *call)
{
	http_fail(call, 404, "NOT_FOUND", "Key not found");
}

/* ---- a request that waits for the store ---- */

struct waiting {
	struct http_call *call; /* NULL: the client has gone */
	bool checked;           /* the first operation is a header's check */
	size_t nkinds;
	char text[64];           /* GET: If-None-Match */
	enum state_kind kinds[]; /* transactions */
};

static void gone(struct http_call *call, void *arg)
{
	struct waiting *w = arg;

	(void) call;
	w->call = NULL;
}

static struct waiting *waiting_new(struct http_call *call, size_t kinds)
{
	struct waiting *w = calloc(1, sizeof(*w) + kinds * sizeof(w->kinds[0]));

	if (!w) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return NULL;
	}
	w->call = call;
	http_pend(call, gone, w);
	return w;
}

/* The service did not take it. */
static void refused(struct waiting *w, int status, const char *reason)
{
	struct http_call *call = w->call;

	free(w);
	http_fail_status(call, status, reason);
}

static void conflict(struct http_call *call, const struct waiting *w,
		     const struct state_result *r)
{
	char details[96];
	int n;

	if (w->checked && r->failed == 0) {
		http_fail(call, 412, "PRECONDITION_FAILED", "%s", r->reason);
		return;
	}
	n = w->nkinds ? snprintf(details, sizeof(details),
				 "{\"index\":%zu,\"version\":%" PRIu64 "}", r->failed,
				 r->version)
		      : snprintf(details, sizeof(details), "{\"version\":%" PRIu64 "}",
				 r->version);
	http_fail_with(call, 409, "VERSION_CONFLICT",
		       (struct co_span){ details, (size_t) n }, "%s", r->reason);
}

/* What became of a change, if it failed or nobody waits; false: it is to be answered. */
static bool over(struct waiting *w, const struct state_result *r)
{
	if (!w->call)
		return true;
	if (r->status == 0)
		return false;
	if (r->status == CO_CONFLICT)
		conflict(w->call, w, r);
	else if (r->status == CO_TABLE_FULL)
		http_fail(w->call, 507, "QUOTA_EXCEEDED", "%s", r->reason);
	else
		http_fail_status(w->call, r->status, r->reason);
	return true;
}

/* ---- conditions ---- */

/* "5" of an entity tag; false: it is none of ours, and so that of no version. */
static bool version_of_tag(struct co_span tag, uint64_t *out)
{
	*out = 0;
	if (tag.size < 3 || tag.size > 20 || tag.data[0] != '"' ||
	    tag.data[tag.size - 1] != '"' || tag.data[1] == '0')
		return false;
	for (size_t i = 1; i < tag.size - 1; i++) {
		if (tag.data[i] < '0' || tag.data[i] > '9')
			return false;
		*out = *out * 10 + (uint64_t) (tag.data[i] - '0');
	}
	return true;
}

/*
 * The conditions of a request's headers as a check.  1: there is one in *out; 0: there is
 * none; negative: it has been answered.
 */
static int header_check(struct http_call *call, struct co_span key,
			struct state_op *out)
{
	struct co_span match = { 0 }, unless = { 0 };
	bool has_match = http_header(call, "if-match", &match);
	bool has_unless = http_header(call, "if-none-match", &unless);

	*out = (struct state_op){ .kind = STATE_CHECK, .key = key };
	if (!has_match && !has_unless)
		return 0;
	if (has_match && has_unless) {
		blackroad_invalid(call,
				  "If-Match and If-None-Match exclude each other");
		return CO_INVALID;
	}
	if (has_unless && !co_span_is(unless, "*")) {
		blackroad_invalid(call, "If-None-Match of a change is * or absent");
		return CO_INVALID;
	}
	if (has_match && memchr(match.data, ',', match.size)) {
		blackroad_invalid(call, "If-Match has one entity tag, or is *");
		return CO_INVALID;
	}
	out->condition = has_unless               ? STATE_IF_ABSENT
			 : co_span_is(match, "*") ? STATE_IF_EXISTS
						  : STATE_IF_EXACTLY;
	if (out->condition == STATE_IF_EXACTLY && !version_of_tag(match, &out->version))
		out->version = UINT64_MAX >> 1; /* no key ever has it */
	return 1;
}

/* expectedVersion, as a number of the body or the query. */
static void expect(struct state_op *op, int64_t version)
{
	if (version < 0)
		return;
	op->condition = STATE_IF_VERSION;
	op->version = (uint64_t) version;
}

static bool take_ttl(struct http_call *call, struct co_span ttl, struct state_op *op)
{
	int64_t seconds;

	if (!blackroad_json_number(call, "ttl", ttl, -1, 0, CO_LIMIT_STATE_TTL,
				   &seconds))
		return false;
	op->has_ttl = seconds >= 0;
	op->ttl_ms = seconds > 0 ? (uint64_t) seconds * MS : 0;
	return true;
}

/* ---- GET ---- */

static void got(void *arg, const struct state_list *list)
{
	struct waiting *w = arg;
	char tag[32];

	if (w->call && list->status < 0) {
		http_fail_status(w->call, list->status, list->reason);
	} else if (w->call && !list->nentries) {
		not_found(w->call);
	} else if (w->call) {
		struct co_buf nothing = { 0 };

		(void) snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"",
				list->entries[0].version); /* fits */
		if (strcmp(tag, w->text) != 0) {
			answer_entry(w->call, &list->entries[0]);
		} else {
			http_set_header(w->call, "ETag", "%s", tag);
			http_answer(w->call, 304, &nothing);
		}
	}
	free(w);
}

void blackroad_on_state_get(struct http_call *call,
			    const struct blackroad_state_get_args *with)
{
	struct states *state = http_services(call)->state;
	struct co_span tag;
	struct waiting *w;
	int status;

	if (!with->key.size) {
		blackroad_state_list(call, with);
		return;
	}
	w = waiting_new(call, 0);
	if (!w)
		return;
	if (http_header(call, "if-none-match", &tag) && tag.size < sizeof(w->text))
		memcpy(w->text, tag.data, tag.size);
	status = state_get(state, http_service(call), with->key, got, w);
	if (status < 0)
		refused(w, status, state_reason(state));
}

/* ---- PUT and DELETE ---- */

static void set(void *arg, const struct state_result *r)
{
	struct waiting *w = arg;

	if (!over(w, r))
		answer_entry(w->call, &r->entries[w->checked]);
	free(w);
}

static void deleted(void *arg, const struct state_result *r)
{
	struct waiting *w = arg;
	struct co_buf body = { 0 };

	if (!over(w, r) && !r->entries[w->checked].version) {
		not_found(w->call);
	} else if (w->call && r->status == 0) {
		co_buf_text(&body, "{\"key\":");
		co_buf_json_text(&body, r->entries[w->checked].key);
		co_buf_text(&body, ",\"deleted\":true,\"version\":");
		co_buf_u64(&body, r->entries[w->checked].version);
		co_buf_char(&body, '}');
		http_answer(w->call, 200, &body);
	}
	free(w);
}

/* Asks for ops[1], with a check of the headers before it. */
static void change_one(struct http_call *call, struct state_op ops[2], state_done *done)
{
	struct states *state = http_services(call)->state;
	int checked = header_check(call, ops[1].key, &ops[0]);
	struct waiting *w = checked < 0 ? NULL : waiting_new(call, 0);
	int status;

	if (!w)
		return;
	w->checked = checked == 1;
	status = state_change(state, http_service(call), checked ? ops : ops + 1,
			      checked ? 2 : 1, done, w);
	if (status < 0)
		refused(w, status, state_reason(state));
}

void blackroad_on_state_set(struct http_call *call,
			    const struct blackroad_state_set_args *with)
{
	struct state_op ops[2] = {
		{ 0 }, { .kind = STATE_PUT, .key = with->key, .value = with->value }
	};
	int64_t version;

	if (!blackroad_json_number(call, "expectedVersion", with->expectedVersion, -1,
				   0, INT64_MAX, &version) ||
	    !take_ttl(call, with->ttl, &ops[1]))
		return;
	expect(&ops[1], version);
	change_one(call, ops, set);
}

void blackroad_on_state_delete(struct http_call *call,
			       const struct blackroad_state_delete_args *with)
{
	struct state_op ops[2] = { { 0 }, { .kind = STATE_DELETE, .key = with->key } };
	int64_t version;

	if (!blackroad_number(call, "expectedVersion", with->expectedVersion, -1, 0,
			      INT64_MAX, &version))
		return;
	expect(&ops[1], version);
	change_one(call, ops, deleted);
}

/* ---- transactions ---- */

static const char *const words[] = {
	[STATE_PUT] = "put", [STATE_DELETE] = "delete", [STATE_CHECK] = "check"
};

static void done_result(struct co_buf *out, enum state_kind kind,
			const struct state_entry *e)
{
	co_buf_text(out, "{\"op\":\"");
	co_buf_text(out, words[kind]);
	co_buf_text(out, "\",");
	if (kind == STATE_PUT) {
		blackroad_state_entry(out, e);
		return;
	}
	co_buf_text(out, "\"key\":");
	co_buf_json_text(out, e->key);
	if (kind == STATE_DELETE)
		co_buf_text(out,
			    e->version ? ",\"deleted\":true" : ",\"deleted\":false");
	co_buf_text(out, ",\"version\":");
	co_buf_u64(out, e->version);
	co_buf_char(out, '}');
}

static void transacted(void *arg, const struct state_result *r)
{
	struct waiting *w = arg;
	struct co_buf body = { 0 };

	if (!over(w, r)) {
		co_buf_text(&body, "{\"results\":[");
		for (size_t i = 0; i < r->nentries; i++) {
			if (i)
				co_buf_char(&body, ',');
			done_result(&body, w->kinds[i], &r->entries[i]);
		}
		co_buf_text(&body, "]}");
		http_answer(w->call, 200, &body);
	}
	free(w);
}

/* A string member, unescaped into memory of the call. */
static bool take_key(struct http_call *call, struct co_span op, size_t index,
		     struct co_span *out)
{
	autobuf struct co_buf text = { 0 };
	struct co_span key;
	char *room;

	if (!co_json_member(op, "key", &key) || co_json_kind(key) != CO_JSON_STRING ||
	    co_json_unescape(key, &text) < 0) {
		blackroad_invalid(call, "operation %zu has no key", index);
		return false;
	}
	room = http_scratch(call, text.size + 1);
	if (!room) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return false;
	}
	if (text.size)
		memcpy(room, text.data, text.size);
	*out = (struct co_span){ room, text.size };
	return true;
}

static bool take_kind(struct http_call *call, struct co_span op, size_t index,
		      enum state_kind *out)
{
	struct co_span word;

	if (co_json_member(op, "op", &word) && co_json_kind(word) == CO_JSON_STRING)
		for (size_t i = 0; i < co_countof(words); i++)
			if (co_json_string_is(word, words[i])) {
				*out = (enum state_kind) i;
				return true;
			}
	blackroad_invalid(call, "operation %zu is neither put, delete nor check",
			  index);
	return false;
}

static bool take_op(struct http_call *call, struct co_span op, size_t index,
		    struct state_op *out)
{
	struct co_span expected = { 0 }, ttl = { 0 };
	bool check;
	int64_t version;

	*out = (struct state_op){ 0 };
	if (!take_kind(call, op, index, &out->kind) ||
	    !take_key(call, op, index, &out->key))
		return false;
	check = out->kind == STATE_CHECK;
	if (out->kind == STATE_PUT && !co_json_member(op, "value", &out->value)) {
		blackroad_invalid(call, "operation %zu has no value", index);
		return false;
	}
	(void) co_json_member(op, check ? "version" : "expectedVersion", &expected);
	if (!blackroad_json_number(call, check ? "version" : "expectedVersion",
				   expected, -1, 0, INT64_MAX, &version))
		return false;
	if (check && version < 0) {
		blackroad_invalid(call, "operation %zu has no version", index);
		return false;
	}
	expect(out, version);
	if (check)
		out->condition = STATE_IF_EXACTLY;
	(void) co_json_member(op, "ttl", &ttl);
	return out->kind != STATE_PUT || take_ttl(call, ttl, out);
}

void blackroad_on_state_tx(struct http_call *call,
			   const struct blackroad_state_tx_args *with)
{
	struct states *state = http_services(call)->state;
	struct co_json_walk walk = co_json_walk(with->ops);
	struct state_op ops[CHANGES];
	struct co_span name, op;
	struct waiting *w;
	size_t n = 0;
	int status;

	if (co_json_kind(with->ops) != CO_JSON_ARRAY) {
		blackroad_invalid(call, "ops must be a list");
		return;
	}
	for (; co_json_next(&walk, &name, &op); n++) {
		if (n == CHANGES) {
			http_fail(call, 413, "TOO_LARGE",
				  "a transaction has at most %d operations", CHANGES);
			return;
		}
		if (!take_op(call, op, n, &ops[n]))
			return;
	}
	w = waiting_new(call, n);
	if (!w)
		return;
	w->nkinds = n;
	for (size_t i = 0; i < n; i++)
		w->kinds[i] = ops[i].kind;
	status = state_change(state, http_service(call), ops, n, transacted, w);
	if (status < 0)
		refused(w, status, state_reason(state));
}
