/* SPDX-License-Identifier: MIT */
/*
 * The state of services, over the store.  HOST.
 *
 * A key is /state/<service>/<key>; service names have no '/'.  A value is one byte of
 * layout, eight of the time of the last change (little-endian), and the JSON text.
 */
#include "cloudosd/service/state.h"

#include <co/limits.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cloudosd/service/expiry.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json_scan.h"
#include "lib/utf8.h"
#include "store/store.h"

#define PREFIX "/state/"

enum { LAYOUT = 1, HEADER = 9, REASON = 768 };

/* How many keys a service has: counted once by the store, then kept up with results. */
struct owner {
	char *service;
	struct states *state;
	uint64_t keys;
	uint64_t coming; /* puts under way, each perhaps a new key */
	size_t changes;  /* under way */
	bool counting, counted;
	UT_hash_handle hh;
};

struct states {
	const struct co_host *host;
	struct store *store;
	struct expiry *expiry;
	struct state_options options;
	struct owner *owners;
	char reason[REASON];
};

static int refuse(struct states *s, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct states *s, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vsnprintf(s->reason, sizeof(s->reason), format, args); /* cut is fine */
	va_end(args);
	return status;
}

const char *state_reason(const struct states *s)
{
	return s->reason;
}

static int refused_by_store(struct states *s, int status)
{
	return refuse(s, status, "%s",
		      status == CO_BUSY
			      ? "too many requests wait for the disk; try again"
			      : co_status_text(status));
}

/* ---- keys and values ---- */

static int check_text(struct states *s, struct co_span text, const char *what)
{
	const char *at = text.data, *end = at + text.size;

	if (text.size > CO_LIMIT_STATE_KEY)
		return refuse(s, CO_INVALID, "%s is longer than %d bytes", what,
			      CO_LIMIT_STATE_KEY);
	while (at < end) {
		size_t n;
		uint32_t c = co_utf8_next(at, (size_t) (end - at), &n);

		if (!c || c == CO_UTF8_INVALID)
			return refuse(s, CO_INVALID, "%s %s", what,
				      c ? "is not UTF-8" : "has a NUL in it");
		at += n;
	}
	return 0;
}

static int check_key(struct states *s, struct co_span key)
{
	return key.size ? check_text(s, key, "the key")
			: refuse(s, CO_INVALID, "the key is empty");
}

/* Where the key of the service begins in a key of the store. */
static size_t prefix_size(const char *service)
{
	return strlen(PREFIX) + strlen(service) + 1;
}

static void put_key(struct co_buf *out, const char *service, struct co_span key)
{
	co_buf_text(out, PREFIX);
	co_buf_text(out, service);
	co_buf_char(out, '/');
	co_buf_span(out, key);
	co_buf_char(out, '\0');
}

static uint64_t wall_ms(const struct states *s)
{
	return s->host->wall_ns(s->host->ctx) / 1000000;
}

static void put_value(struct co_buf *out, uint64_t now_ms, struct co_span json)
{
	char header[HEADER] = { LAYOUT };

	for (int i = 0; i < 8; i++)
		header[1 + i] = (char) (now_ms >> 8 * i);
	co_buf_add(out, header, sizeof(header));
	co_buf_span(out, json);
}

/* CO_CORRUPT: that is none of ours. */
static int decode(const struct store_item *item, size_t prefix, struct state_entry *out)
{
	const unsigned char *bytes = item->value;
	struct co_json_fault fault;
	struct co_span json;

	*out = (struct state_entry){ .key = co_span(item->key + prefix),
				     .version = item->version,
				     .expires_ms = item->expires_ms };
	if (item->size <= HEADER || bytes[0] != LAYOUT)
		return CO_CORRUPT;
	for (int i = 0; i < 8; i++)
		out->updated_ms |= (uint64_t) bytes[1 + i] << 8 * i;
	json = (struct co_span){ (const char *) bytes + HEADER, item->size - HEADER };
	return co_json_check(json, &out->value, &fault);
}

/* ---- quotas ---- */

static void owner_drop(struct owner *o)
{
	HASH_DEL(o->state->owners, o);
	free(o->service);
	free(o);
}

/* One change less is under way; who has nothing is not remembered. */
static void owner_release(struct owner *o)
{
	o->changes--;
	if (!o->changes && o->counted && !o->keys)
		owner_drop(o);
}

static void counted(void *arg, const struct store_result *result)
{
	struct owner *o = arg;

	o->counting = false;
	if (result->status == 0) {
		o->counted = true;
		o->keys = result->rev;
	}
}

static struct owner *owner_new(struct states *s, const char *service)
{
	struct owner *o = calloc(1, sizeof(*o));

	if (o)
		o->service = strdup(service);
	if (!o || !o->service) {
		free(o);
		return NULL;
	}
	o->state = s;
	HASH_ADD_KEYPTR(hh, s->owners, o->service, strlen(o->service), o);
	return o;
}

/* Before the first change of a service is queued: its answer comes before that one's. */
static struct owner *owner_of(struct states *s, const char *service)
{
	autobuf struct co_buf prefix = { 0 };
	struct owner *o;

	HASH_FIND_STR(s->owners, service, o);
	if (!o && HASH_COUNT(s->owners) >= CO_LIMIT_STATE_SERVICES) {
		(void) refuse(s, CO_TABLE_FULL,
			      "%d services have state already, as many as can",
			      CO_LIMIT_STATE_SERVICES);
		return NULL;
	}
	if (!o)
		o = owner_new(s, service);
	if (!o) {
		(void) refuse(s, CO_NO_MEMORY, "out of memory");
		return NULL;
	}
	if (o->counted || o->counting)
		return o;
	put_key(&prefix, service, (struct co_span){ "", 0 });
	if (!prefix.failed)
		o->counting = store_count(s->store, prefix.data, counted, o) == 0;
	return o; /* uncounted, the next change tries again */
}

static size_t keys_max(const struct states *s)
{
	return s->options.keys_max ? s->options.keys_max : CO_LIMIT_STATE_KEYS;
}

/* ---- changes ---- */

struct pending {
	struct states *state;
	struct owner *owner;
	state_done *done;
	void *arg;
	bool full; /* only keys that exist may be put */
	size_t nops, puts;
	struct co_buf texts; /* the store's keys */
	struct kept {
		enum state_kind kind;
		enum state_if condition;
		uint64_t version;
		size_t key; /* in texts */
	} ops[];
};

static void pending_free(struct pending *p)
{
	if (!p)
		return;
	co_buf_done(&p->texts);
	free(p);
}

static const char *key_of(const struct pending *p, size_t i)
{
	return p->texts.data + p->ops[i].key;
}

static const char *own_key(const struct pending *p, size_t i)
{
	return key_of(p, i) + prefix_size(p->owner->service);
}

static bool holds(const struct kept *op, uint64_t version)
{
	switch (op->condition) {
	case STATE_IF_ANY:
		return true;
	case STATE_IF_VERSION:
		return version == op->version || !version;
	case STATE_IF_EXACTLY:
		return version == op->version;
	case STATE_IF_EXISTS:
		return version > 0;
	case STATE_IF_ABSENT:
		return version == 0;
	}
	return false;
}

static struct store_cmp condition_of(const struct pending *p, size_t i)
{
	const struct kept *op = &p->ops[i];
	struct store_cmp cmp = { .key = key_of(p, i),
				 .target = STORE_CMP_VERSION,
				 .relation = STORE_EQUAL };

	if (op->condition == STATE_IF_VERSION && op->version)
		cmp.relation = STORE_EQUAL_OR_ABSENT;
	if (op->condition == STATE_IF_EXISTS)
		cmp.relation = STORE_NOT_EQUAL;
	if (op->condition == STATE_IF_VERSION || op->condition == STATE_IF_EXACTLY)
		cmp.number = op->version;
	return cmp;
}

/* What did not hold, of what the store found instead. */
static void say_conflict(const struct pending *p, const struct store_result *from,
			 char reason[REASON], struct state_result *to)
{
	for (size_t i = 0; i < p->nops && i < from->nresults; i++) {
		uint64_t version = from->results[i].item.version;

		if (holds(&p->ops[i], version))
			continue;
		to->status = CO_CONFLICT;
		to->failed = i;
		to->version = version;
		if (p->ops[i].condition == STATE_IF_EXISTS)
			(void) snprintf(reason, REASON, "Key '%s' does not exist",
					own_key(p, i));
		else if (p->ops[i].condition == STATE_IF_ABSENT)
			(void) snprintf(reason, REASON,
					"Key '%s' exists, with version %" PRIu64,
					own_key(p, i), version);
		else
			(void) snprintf(reason, REASON,
					"Version conflict for key '%s': expected "
					"%" PRIu64 ", got %" PRIu64,
					own_key(p, i), p->ops[i].version, version);
		return;
	}
	to->status = CO_TABLE_FULL;
	(void) snprintf(reason, REASON,
			"service %s has %zu keys, as many as it may; delete some",
			p->owner->service, keys_max(p->state));
}

static void note_change(struct pending *p, size_t i, uint64_t version,
			enum state_what what)
{
	struct states *s = p->state;

	if (s->options.changed)
		s->options.changed(
			s->options.arg,
			&(struct state_change){ .service = p->owner->service,
						.key = co_span(own_key(p, i)),
						.version = version,
						.what = what });
}

static void one_result(struct pending *p, size_t i, const struct store_op_result *from,
		       struct state_entry *out)
{
	size_t prefix = prefix_size(p->owner->service);

	*out = (struct state_entry){ .key = co_span(own_key(p, i)),
				     .version = from->item.version };
	switch (p->ops[i].kind) {
	case STATE_PUT:
		(void) decode(&from->item, prefix, out); /* we have just encoded it */
		p->owner->keys += from->found || from->expired ? 0 : 1;
		if (from->expired)
			note_change(p, i, from->expired, STATE_HAS_EXPIRED);
		note_change(p, i, out->version, STATE_WAS_PUT);
		if (out->expires_ms)
			expiry_note(p->state->expiry, out->expires_ms);
		break;
	case STATE_DELETE:
		if (!from->deleted)
			break;
		p->owner->keys -= p->owner->keys ? 1 : 0;
		note_change(p, i, out->version, STATE_WAS_DELETED);
		break;
	case STATE_CHECK:
		break;
	}
}

static void changed(void *arg, const struct store_result *from)
{
	struct pending *p = arg;
	struct state_entry few[4], *entries = few;
	struct state_result result = { .status = from->status, .reason = from->reason };
	char reason[REASON];

	p->owner->coming -= p->puts;
	if (p->nops > sizeof(few) / sizeof(few[0]))
		entries = calloc(p->nops, sizeof(*entries));
	if (from->status == 0 && from->succeeded && !entries) {
		result.status = CO_NO_MEMORY;
		result.reason = "out of memory; the change is done all the same";
	} else if (from->status == 0 && from->succeeded) {
		for (size_t i = 0; i < p->nops; i++)
			one_result(p, i, &from->results[i], &entries[i]);
		result.entries = entries;
		result.nentries = p->nops;
	} else if (from->status == 0) {
		say_conflict(p, from, reason, &result);
		result.reason = reason;
	}
	p->done(p->arg, &result);
	if (entries != few)
		free(entries);
	owner_release(p->owner);
	pending_free(p);
}

static int keep_ops(struct states *s, struct pending *p, const struct state_op *ops)
{
	for (size_t i = 0; i < p->nops; i++) {
		int status = check_key(s, ops[i].key);

		if (status < 0)
			return status;
		p->ops[i] = (struct kept){ .kind = ops[i].kind,
					   .condition = ops[i].condition,
					   .version = ops[i].version,
					   .key = p->texts.size };
		p->puts += ops[i].kind == STATE_PUT;
		put_key(&p->texts, p->owner->service, ops[i].key);
	}
	return p->texts.failed ? refuse(s, CO_NO_MEMORY, "out of memory") : 0;
}

struct plan {
	struct store_cmp *cmps;
	struct store_op *then, *otherwise;
	size_t ncmps;
};

static void plan_op(struct pending *p, size_t i, const struct state_op *op,
		    struct plan *plan)
{
	static const enum store_op_kind kinds[] = { [STATE_PUT] = STORE_PUT,
						    [STATE_DELETE] = STORE_DELETE,
						    [STATE_CHECK] = STORE_GET };
	uint64_t now = wall_ms(p->state);

	if (op->condition != STATE_IF_ANY)
		plan->cmps[plan->ncmps++] = condition_of(p, i);
	if (p->full && op->kind == STATE_PUT)
		plan->cmps[plan->ncmps++] =
			(struct store_cmp){ .key = key_of(p, i),
					    .target = STORE_CMP_VERSION,
					    .relation = STORE_NOT_EQUAL };
	plan->then[i] = (struct store_op){ .kind = kinds[op->kind],
					   .key = key_of(p, i),
					   .brief = true };
	plan->otherwise[i] =
		(struct store_op){ .kind = STORE_GET, .key = key_of(p, i) };
	if (op->kind == STATE_PUT)
		plan->then[i].expires_ms = !op->has_ttl ? STORE_KEEP_EXPIRY
					   : op->ttl_ms ? now + op->ttl_ms
							: 0;
}

static int ask(struct pending *p, const struct state_op *ops, struct plan *plan)
{
	autobuf struct co_buf values = { 0 };
	struct store_txn txn = { .then = plan->then,
				 .nthen = p->nops,
				 .otherwise = plan->otherwise };
	uint64_t now = wall_ms(p->state);
	size_t at = 0;

	for (size_t i = 0; i < p->nops; i++) {
		plan_op(p, i, &ops[i], plan);
		if (ops[i].kind == STATE_PUT)
			put_value(&values, now, ops[i].value);
	}
	if (values.failed)
		return CO_NO_MEMORY;
	for (size_t i = 0; i < p->nops; i++) {
		if (ops[i].kind != STATE_PUT)
			continue;
		plan->then[i].value = values.data + at;
		plan->then[i].size = HEADER + ops[i].value.size;
		at += plan->then[i].size;
	}
	txn.cmps = plan->cmps;
	txn.ncmps = plan->ncmps;
	txn.notherwise = plan->ncmps ? p->nops : 0;
	return store_txn(p->state->store, &txn, changed, p);
}

/* One operation needs no memory of its own for its plan. */
static int plan_and_ask(struct pending *p, const struct state_op *ops)
{
	struct store_cmp cmps[2];
	struct store_op then[1], otherwise[1];
	struct plan plan = { cmps, then, otherwise, 0 };
	size_t n = p->nops; /* p may be gone when it is asked */
	int status;

	if (n > 1) {
		plan.cmps = calloc(2 * n, sizeof(*plan.cmps));
		plan.then = calloc(2 * n, sizeof(*plan.then));
		plan.otherwise = plan.then ? plan.then + n : NULL;
	}
	status = plan.cmps && plan.then ? ask(p, ops, &plan) : CO_NO_MEMORY;
	if (n > 1) {
		free(plan.cmps);
		free(plan.then);
	}
	return status;
}

static int check_change(struct states *s, const struct state_op *ops, size_t nops)
{
	for (size_t i = 0; i < nops; i++)
		for (size_t k = 0; ops[i].kind == STATE_PUT && k < i; k++)
			if (ops[k].kind == STATE_PUT &&
			    ops[k].key.size == ops[i].key.size &&
			    memcmp(ops[k].key.data, ops[i].key.data, ops[i].key.size) ==
				    0)
				return refuse(s, CO_INVALID,
					      "the key '%.*s' is put twice",
					      (int) ops[i].key.size, ops[i].key.data);
	if (!nops || nops > CO_LIMIT_STATE_OPS)
		return refuse(s, nops ? CO_TOO_BIG : CO_INVALID,
			      "a transaction has 1 to %d operations, not %zu",
			      CO_LIMIT_STATE_OPS, nops);
	return 0;
}

int state_change(struct states *s, const char *service, const struct state_op *ops,
		 size_t nops, state_done *done, void *arg)
{
	int status = check_change(s, ops, nops);
	struct owner *o = status < 0 ? NULL : owner_of(s, service);
	struct pending *p;

	if (status < 0)
		return status;
	if (!o)
		return HASH_COUNT(s->owners) >= CO_LIMIT_STATE_SERVICES ? CO_TABLE_FULL
									: CO_NO_MEMORY;
	p = calloc(1, sizeof(*p) + nops * sizeof(p->ops[0]));
	if (!p)
		return refuse(s, CO_NO_MEMORY, "out of memory");
	p->state = s;
	p->owner = o;
	p->done = done;
	p->arg = arg;
	p->nops = nops;
	status = keep_ops(s, p, ops);
	if (status < 0) {
		pending_free(p);
		return status;
	}
	p->full = o->keys + o->coming + p->puts > keys_max(s);
	o->coming += p->puts; /* the answer may come before store_txn returns */
	o->changes++;
	status = plan_and_ask(p, ops);
	if (status < 0) {
		o->coming -= p->puts;
		owner_release(o);
		pending_free(p);
		return refused_by_store(s, status);
	}
	return 0;
}

/* ---- reading ---- */

struct reading {
	struct states *state;
	size_t prefix;
	state_listed *done;
	void *arg;
};

static void read_done(void *arg, const struct store_list *from)
{
	struct reading *r = arg;
	struct state_list list = { .status = from->status, .reason = from->reason };
	struct state_entry one, *entries = &one;
	char reason[REASON];

	if (from->status == 0 && from->nitems > 1)
		entries = calloc(from->nitems, sizeof(*entries));
	if (!entries) {
		list.status = CO_NO_MEMORY;
		list.reason = "out of memory";
	}
	for (size_t i = 0; list.status == 0 && i < from->nitems; i++) {
		if (decode(&from->items[i], r->prefix, &entries[i]) == 0)
			continue;
		list.status = CO_CORRUPT;
		(void) snprintf(reason, sizeof(reason),
				"the value of key '%s' is damaged; put or delete it",
				from->items[i].key + r->prefix);
		list.reason = reason;
	}
	if (list.status == 0) {
		list.entries = entries;
		list.nentries = from->nitems;
		list.more = from->more;
	}
	r->done(r->arg, &list);
	if (entries != &one)
		free(entries);
	free(r);
}

static struct reading *reading_new(struct states *s, const char *service,
				   state_listed *done, void *arg)
{
	struct reading *r = malloc(sizeof(*r));

	if (r)
		*r = (struct reading){ s, prefix_size(service), done, arg };
	else
		(void) refuse(s, CO_NO_MEMORY, "out of memory");
	return r;
}

int state_get(struct states *s, const char *service, struct co_span key,
	      state_listed *done, void *arg)
{
	autobuf struct co_buf text = { 0 };
	int status = check_key(s, key);
	struct reading *r;

	if (status < 0)
		return status;
	put_key(&text, service, key);
	r = reading_new(s, service, done, arg);
	if (!r)
		return CO_NO_MEMORY;
	status = text.failed ? CO_NO_MEMORY
			     : store_read(s->store, text.data, read_done, r);
	if (status < 0) {
		free(r);
		return refused_by_store(s, status);
	}
	return 0;
}

static int scan(struct states *s, const struct state_query *q, struct reading *r)
{
	autobuf struct co_buf prefix = { 0 }, after = { 0 };

	put_key(&prefix, q->service, q->prefix);
	put_key(&after, q->service, q->after);
	if (prefix.failed || after.failed)
		return CO_NO_MEMORY;
	return store_scan(s->store, prefix.data, q->after.size ? after.data : NULL,
			  q->limit && q->limit < CO_LIMIT_STATE_PAGE
				  ? q->limit
				  : CO_LIMIT_STATE_PAGE,
			  read_done, r);
}

int state_list(struct states *s, const struct state_query *q, state_listed *done,
	       void *arg)
{
	int status = check_text(s, q->prefix, "the prefix");
	struct reading *r;

	if (status == 0)
		status = check_text(s, q->after, "the key behind `after`");
	if (status < 0)
		return status;
	r = reading_new(s, q->service, done, arg);
	if (!r)
		return CO_NO_MEMORY;
	status = scan(s, q, r);
	if (status < 0) {
		free(r);
		return refused_by_store(s, status);
	}
	return 0;
}

/* ---- expiry, life ---- */

/* `key` is <service>/<key>. */
static void expired(void *arg, const char *key, uint64_t version)
{
	struct states *s = arg;
	const char *slash = strchr(key, '/');
	char service[CO_LIMIT_STORE_KEY];
	struct owner *o;

	if (!slash)
		return;
	(void) snprintf(service, sizeof(service), "%.*s", (int) (slash - key), key);
	HASH_FIND_STR(s->owners, service, o);
	if (o && o->keys)
		o->keys--;
	if (s->options.changed)
		s->options.changed(s->options.arg,
				   &(struct state_change){ .service = service,
							   .key = co_span(slash + 1),
							   .version = version,
							   .what = STATE_HAS_EXPIRED });
}

struct states *state_new(const struct co_host *host, struct store *store,
			 struct expiry *expiry, const struct state_options *options)
{
	struct states *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->host = host;
	s->store = store;
	s->expiry = expiry;
	s->options = *options;
	expiry_watch(expiry, PREFIX, expired, s);
	return s;
}

struct states *state_free(struct states *s)
{
	struct owner *o, *next;

	if (!s)
		return NULL;
	HASH_ITER (hh, s->owners, o, next)
		owner_drop(o);
	free(s);
	return NULL;
}
