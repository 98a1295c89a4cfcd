/* SPDX-License-Identifier: MIT */
/*
 * The functions of store.h that ask for something: check, copy, queue.  HOST.
 * Called from any thread; nothing here touches the database.
 */
#include "store/internal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request *request_new(enum request_kind kind, store_done *done, void *arg)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	atomic_init(&r->refs, 1);
	r->kind = kind;
	r->fd = -1;
	r->done = done;
	r->arg = arg;
	request_reset(r);
	return r;
}

void request_unref(struct request *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	arena_done(&r->in);
	arena_done(&r->out);
	free(r);
}

void request_reset(struct request *r)
{
	arena_done(&r->out);
	memset(&r->result, 0, sizeof(r->result));
	memset(&r->list, 0, sizeof(r->list));
	r->result.reason = r->list.reason = "";
	r->events = NULL;
	r->nevents = r->events_room = 0;
}

void request_fail(struct request *r, int status, const char *format, ...)
{
	char sentence[512];
	const char *kept;
	va_list ap;

	va_start(ap, format);
	(void) vsnprintf(sentence, sizeof(sentence), format, ap); /* cut is fine */
	va_end(ap);
	request_reset(r);
	kept = arena_string(&r->out, sentence);
	if (!kept)
		kept = co_status_text(status);
	r->result.status = r->list.status = status;
	r->result.reason = r->list.reason = kept;
}

/* ---- checks ---- */

static int check_key(const char *key)
{
	size_t size = key ? strnlen(key, CO_LIMIT_STORE_KEY + 1) : 0;

	return size == 0 || size > CO_LIMIT_STORE_KEY ? CO_INVALID : 0;
}

static int check_prefix(const char *prefix)
{
	if (!prefix || strnlen(prefix, CO_LIMIT_STORE_KEY + 1) > CO_LIMIT_STORE_KEY)
		return CO_INVALID;
	return 0;
}

static int check_value(const void *value, size_t size)
{
	if (size > CO_LIMIT_STORE_VALUE)
		return CO_TOO_BIG;
	return size && !value ? CO_INVALID : 0;
}

static int check_op(const struct store_op *op)
{
	int status;

	switch (op->kind) {
	case STORE_PUT:
		status = check_key(op->key);
		if (!op->brief && op->expires_ms)
			status = CO_INVALID;
		return status ? status : check_value(op->value, op->size);
	case STORE_DELETE:
	case STORE_GET:
		return check_key(op->key);
	case STORE_DELETE_PREFIX:
		return check_prefix(op->key);
	}
	return CO_INVALID;
}

static int check_ops(const struct store_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int status = check_op(&ops[i]);

		if (status)
			return status;
		for (size_t k = 0; ops[i].kind == STORE_PUT && k < i; k++)
			if (ops[k].kind == STORE_PUT &&
			    strcmp(ops[k].key, ops[i].key) == 0)
				return CO_INVALID;
	}
	return 0;
}

static int check_cmp(const struct store_cmp *c)
{
	int status = check_key(c->key);

	if (status)
		return status;
	switch (c->relation) {
	case STORE_EQUAL:
	case STORE_NOT_EQUAL:
	case STORE_LESS:
	case STORE_GREATER:
	case STORE_EQUAL_OR_ABSENT:
		break;
	default:
		return CO_INVALID;
	}
	switch (c->target) {
	case STORE_CMP_VERSION:
	case STORE_CMP_CREATE:
	case STORE_CMP_MOD:
	case STORE_CMP_LEASE:
		return 0;
	case STORE_CMP_VALUE:
		return check_value(c->value, c->size);
	}
	return CO_INVALID;
}

static int check_txn(const struct store_txn *t)
{
	int status = 0;

	if (t->ncmps > CO_LIMIT_STORE_TXN_OPS || t->nthen > CO_LIMIT_STORE_TXN_OPS ||
	    t->notherwise > CO_LIMIT_STORE_TXN_OPS ||
	    t->ncmps + t->nthen + t->notherwise > CO_LIMIT_STORE_TXN_OPS)
		return CO_TOO_BIG;
	for (size_t i = 0; i < t->ncmps && !status; i++)
		status = check_cmp(&t->cmps[i]);
	if (!status)
		status = check_ops(t->then, t->nthen);
	return status ? status : check_ops(t->otherwise, t->notherwise);
}

/* ---- copies ---- */

static const struct store_op *copy_ops(struct arena *a, const struct store_op *ops,
				       size_t n, bool *grows)
{
	struct store_op *copy = arena_copy(a, ops, n * sizeof(*ops));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i].key = arena_string(a, ops[i].key);
		copy[i].value = NULL;
		if (ops[i].kind == STORE_PUT) {
			copy[i].value = arena_copy(a, ops[i].value, ops[i].size);
			*grows = true;
			if (!copy[i].value)
				return NULL;
		}
		if (!copy[i].key)
			return NULL;
	}
	return copy;
}

static const struct store_cmp *copy_cmps(struct arena *a, const struct store_cmp *cmps,
					 size_t n)
{
	struct store_cmp *copy = arena_copy(a, cmps, n * sizeof(*cmps));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i].key = arena_string(a, cmps[i].key);
		if (!copy[i].key)
			return NULL;
		if (cmps[i].target != STORE_CMP_VALUE)
			continue;
		copy[i].value = arena_copy(a, cmps[i].value, cmps[i].size);
		if (!copy[i].value)
			return NULL;
	}
	return copy;
}

static bool copy_txn(struct request *r, const struct store_txn *t)
{
	r->txn = *t;
	r->txn.cmps = copy_cmps(&r->in, t->cmps, t->ncmps);
	r->txn.then = copy_ops(&r->in, t->then, t->nthen, &r->grows);
	r->txn.otherwise = copy_ops(&r->in, t->otherwise, t->notherwise, &r->grows);
	if (t->journal)
		r->txn.journal = arena_copy(&r->in, t->journal, sizeof(*t->journal));
	return r->txn.cmps && r->txn.then && r->txn.otherwise &&
	       (!t->journal || r->txn.journal);
}

/* ---- what store.h promises ---- */

int store_txn(struct store *s, const struct store_txn *txn, store_done *done, void *arg)
{
	int status = check_txn(txn);
	struct request *r;

	if (status)
		return status;
	r = request_new(REQUEST_TXN, done, arg);
	if (!r)
		return CO_NO_MEMORY;
	if (!copy_txn(r, txn)) {
		request_unref(r);
		return CO_NO_MEMORY;
	}
	return writer_queue(s, r);
}

static int one_op(struct store *s, struct store_op op, store_done *done, void *arg)
{
	struct store_txn txn = { .then = &op, .nthen = 1 };

	return store_txn(s, &txn, done, arg);
}

int store_put(struct store *s, const char *key, const void *value, size_t size,
	      uint64_t lease, store_done *done, void *arg)
{
	return one_op(s,
		      (struct store_op){ .kind = STORE_PUT,
					 .key = key,
					 .value = value,
					 .size = size,
					 .lease = lease },
		      done, arg);
}

int store_delete(struct store *s, const char *key, store_done *done, void *arg)
{
	return one_op(s, (struct store_op){ .kind = STORE_DELETE, .key = key }, done,
		      arg);
}

int store_get(struct store *s, const char *key, store_done *done, void *arg)
{
	return one_op(s, (struct store_op){ .kind = STORE_GET, .key = key }, done, arg);
}

/* A request about keys that begin with prefix, behind `after` unless NULL. */
static int listing(struct request **out, enum request_kind kind, const char *prefix,
		   const char *after, size_t limit)
{
	struct request *r;

	if (check_prefix(prefix) || (after && check_prefix(after)))
		return CO_INVALID;
	r = request_new(kind, NULL, NULL);
	if (!r)
		return CO_NO_MEMORY;
	r->limit = limit ? limit : 1000;
	if (r->limit > CO_LIMIT_STORE_LIST)
		r->limit = CO_LIMIT_STORE_LIST;
	r->prefix = arena_string(&r->in, prefix);
	r->after = arena_string(&r->in, after);
	if (!r->prefix || !r->after) {
		request_unref(r);
		return CO_NO_MEMORY;
	}
	*out = r;
	return 0;
}

int store_list(struct store *s, const char *prefix, const char *after, size_t limit,
	       uint64_t rev, store_list_done *done, void *arg)
{
	struct request *r;
	int status = rev > INT64_MAX ? CO_INVALID
				     : listing(&r, REQUEST_LIST, prefix, after, limit);

	if (status < 0)
		return status;
	r->list_done = done;
	r->arg = arg;
	r->number = rev;
	return writer_queue(s, r);
}

int store_scan(struct store *s, const char *prefix, const char *after, size_t limit,
	       store_list_done *done, void *arg)
{
	struct request *r;
	int status = listing(&r, REQUEST_SCAN, prefix, after, limit);

	if (status < 0)
		return status;
	r->list_done = done;
	r->arg = arg;
	return reader_queue(s, r);
}

int store_read(struct store *s, const char *key, store_list_done *done, void *arg)
{
	struct request *r;
	int status =
		check_key(key) ? CO_INVALID : listing(&r, REQUEST_READ, key, NULL, 1);

	if (status < 0)
		return status;
	r->list_done = done;
	r->arg = arg;
	return reader_queue(s, r);
}

int store_expire(struct store *s, size_t limit, store_list_done *done, void *arg)
{
	struct request *r;
	int status = listing(&r, REQUEST_EXPIRE, "", NULL, limit);

	if (status < 0)
		return status;
	r->list_done = done;
	r->arg = arg;
	return writer_queue(s, r);
}

int store_count(struct store *s, const char *prefix, store_done *done, void *arg)
{
	struct request *r;
	int status = listing(&r, REQUEST_COUNT, prefix, NULL, 0);

	if (status < 0)
		return status;
	r->done = done;
	r->arg = arg;
	return writer_queue(s, r);
}

static int numbered(struct store *s, enum request_kind kind, uint64_t number,
		    store_done *done, void *arg)
{
	struct request *r = request_new(kind, done, arg);

	if (!r)
		return CO_NO_MEMORY;
	r->number = number;
	r->grows = kind == REQUEST_GRANT;
	return writer_queue(s, r);
}

int store_lease_grant(struct store *s, uint64_t ttl_ms, store_done *done, void *arg)
{
	if (!ttl_ms || ttl_ms > INT64_MAX)
		return CO_INVALID;
	return numbered(s, REQUEST_GRANT, ttl_ms, done, arg);
}

int store_lease_keepalive(struct store *s, uint64_t lease, store_done *done, void *arg)
{
	return numbered(s, REQUEST_KEEPALIVE, lease, done, arg);
}

int store_lease_revoke(struct store *s, uint64_t lease, store_done *done, void *arg)
{
	return numbered(s, REQUEST_REVOKE, lease, done, arg);
}

int store_compact(struct store *s, uint64_t rev, store_done *done, void *arg)
{
	return numbered(s, REQUEST_COMPACT, rev, done, arg);
}

int store_backup(struct store *s, int fd, store_done *done, void *arg)
{
	struct request *r;

	if (fd < 0)
		return CO_INVALID;
	r = request_new(REQUEST_BACKUP, done, arg);
	if (!r)
		return CO_NO_MEMORY;
	r->fd = fd;
	return writer_queue(s, r);
}
