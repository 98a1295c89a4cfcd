/* SPDX-License-Identifier: MIT */
/*
 * What one request does to the database, inside the transaction of its group.  HOST.
 * Called by the writer thread only.  A negative result means that SQLite failed and the
 * group must be rolled back; a request that is refused for its own reasons answers so
 * and returns 0, before it has written anything.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

bool txn_matches(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

int txn_item(sqlite3_stmt *stmt, struct arena *a, struct store_item *out)
{
	int key_size = sqlite3_column_bytes(stmt, 0);
	const void *key = sqlite3_column_blob(stmt, 0);
	const void *value = sqlite3_column_blob(stmt, 1);

	out->size = (size_t) sqlite3_column_bytes(stmt, 1);
	out->key = arena_copy(a, key, (size_t) key_size);
	out->value = arena_copy(a, value, out->size);
	out->create_rev = (uint64_t) sqlite3_column_int64(stmt, 2);
	out->mod_rev = (uint64_t) sqlite3_column_int64(stmt, 3);
	out->version = (uint64_t) sqlite3_column_int64(stmt, 4);
	out->lease = (uint64_t) sqlite3_column_int64(stmt, 5);
	out->expires_ms = (uint64_t) sqlite3_column_int64(stmt, 6);
	return out->key && out->value ? 0 : CO_NO_MEMORY;
}

static int no_memory(struct store *s)
{
	return co_fail(&s->failure, CO_NO_MEMORY, "out of memory");
}

/* 1 and the item, also an expired one, or 0 with an item of version 0. */
static int get_row(struct store *s, struct arena *a, const char *key,
		   struct store_item *out)
{
	int got;

	memset(out, 0, sizeof(*out));
	sql_bind_key(s->sql[SQL_GET], 1, key);
	got = sql_step(s, SQL_GET);
	if (got == 1 && txn_item(s->sql[SQL_GET], a, out) < 0)
		got = no_memory(s);
	sql_reset(s, SQL_GET);
	return got;
}

static bool has_expired(const struct store *s, const struct store_item *item)
{
	return item->expires_ms && item->expires_ms <= s->wall_ms;
}

/* The same for what is there. */
static int get(struct store *s, struct arena *a, const char *key,
	       struct store_item *out)
{
	int got = get_row(s, a, key, out);

	if (got != 1 || !has_expired(s, out))
		return got;
	memset(out, 0, sizeof(*out));
	return 0;
}

/* ---- changes ---- */

int txn_note(struct store *s, struct request *r, const struct store_event *event)
{
	if (r->nevents == r->events_room) {
		size_t room = r->events_room ? 2 * r->events_room : 4;
		struct store_event *grown = arena_alloc(&r->out, room * sizeof(*grown));

		if (!grown)
			return no_memory(s);
		if (r->nevents)
			memcpy(grown, r->events, r->nevents * sizeof(*grown));
		r->events = grown;
		r->events_room = room;
	}
	r->events[r->nevents++] = *event;
	return 0;
}

/* One row of history: `was` became `is`; either may have version 0. */
static int write_event(struct store *s, struct request *r, uint64_t rev,
		       const struct store_item *was, const struct store_item *is)
{
	sqlite3_stmt *q = s->sql[SQL_EVENT];
	size_t bytes = strlen(is->key) + is->size + was->size;
	int status;

	sql_bind(q, 1, rev);
	sql_bind(q, 2, r->nevents);
	sql_bind_key(q, 3, is->key);
	if (is->version)
		sql_bind_blob(q, 4, is->value, is->size);
	sql_bind(q, 5, is->create_rev);
	sql_bind(q, 6, is->version);
	sql_bind(q, 7, is->lease);
	if (was->version)
		sql_bind_blob(q, 8, was->value, was->size);
	sql_bind(q, 9, was->create_rev);
	sql_bind(q, 10, was->mod_rev);
	sql_bind(q, 11, was->version);
	sql_bind(q, 12, was->lease);
	status = sql_run(s, SQL_EVENT);
	if (status < 0)
		return status;
	s->draft.history++;
	s->draft.history_bytes += (int64_t) bytes;
	s->wrote = true;
	return txn_note(s, r,
			&(struct store_event){ .kind = is->version ? STORE_EVENT_PUT
								   : STORE_EVENT_DELETE,
					       .rev = rev,
					       .item = *is });
}

static int write_item(struct store *s, const struct store_item *is)
{
	sqlite3_stmt *q = s->sql[SQL_PUT];

	sql_bind_key(q, 1, is->key);
	sql_bind_blob(q, 2, is->value, is->size);
	sql_bind(q, 3, is->create_rev);
	sql_bind(q, 4, is->mod_rev);
	sql_bind(q, 5, is->version);
	sql_bind(q, 6, is->lease);
	sql_bind(q, 7, is->expires_ms);
	s->wrote = true;
	return sql_run(s, SQL_PUT);
}

static int put(struct store *s, struct request *r, const struct store_op *op,
	       uint64_t rev, struct store_op_result *out)
{
	struct store_item was, is;
	int got = get_row(s, &r->out, op->key, &was);
	int status;

	if (got < 0)
		return got;
	s->draft.keys +=
		got == 1 ? 0 : 1; /* rows, that is: an expired one is replaced */
	if (got == 1 && has_expired(s, &was)) {
		out->expired = was.version;
		memset(&was, 0, sizeof(was));
		got = 0;
	}
	rev -= op->brief ? 1 : 0;
	is = (struct store_item){ .key = op->key,
				  .value = op->value,
				  .size = op->size,
				  .create_rev = was.version ? was.create_rev : rev,
				  .mod_rev = rev,
				  .version = was.version + 1,
				  .lease = op->lease,
				  .expires_ms = op->expires_ms == STORE_KEEP_EXPIRY
							? was.expires_ms
							: op->expires_ms };
	status = write_item(s, &is);
	if (status < 0)
		return status;
	out->found = got == 1;
	out->item = is;
	return op->brief ? 0 : write_event(s, r, rev, &was, &is);
}

static int erase_row(struct store *s, const char *key)
{
	int status;

	sql_bind_key(s->sql[SQL_DELETE], 1, key);
	status = sql_run(s, SQL_DELETE);
	if (status < 0)
		return status;
	s->draft.keys--;
	s->wrote = true;
	return 0;
}

static int erase(struct store *s, struct request *r, const struct store_item *was,
		 uint64_t rev)
{
	struct store_item is = { .key = was->key, .mod_rev = rev };
	int status = erase_row(s, was->key);

	return status < 0 ? status : write_event(s, r, rev, was, &is);
}

static int erase_one(struct store *s, struct request *r, const struct store_op *op,
		     uint64_t rev, struct store_op_result *out)
{
	int got = get(s, &r->out, op->key, &out->item);

	out->deleted = got == 1;
	if (got != 1)
		return got;
	return op->brief ? erase_row(s, op->key) : erase(s, r, &out->item, rev);
}

/* ---- ranges ---- */

struct rows {
	struct store_item *items;
	size_t count, room;
};

/* All rows of a bound statement; resets it. */
static int collect(struct store *s, enum statement which, struct arena *a,
		   struct rows *out)
{
	int got = 0;

	while ((got = sql_step(s, which)) == 1) {
		if (out->count == out->room) {
			size_t room = out->room ? 2 * out->room : 8;
			struct store_item *grown =
				arena_alloc(a, room * sizeof(*grown));

			if (grown && out->count)
				memcpy(grown, out->items, out->count * sizeof(*grown));
			if (!grown) {
				got = no_memory(s);
				break;
			}
			out->items = grown;
			out->room = room;
		}
		if (txn_item(s->sql[which], a, &out->items[out->count]) < 0) {
			got = no_memory(s);
			break;
		}
		out->count++;
	}
	sql_reset(s, which);
	return got;
}

int txn_prefix_end(struct arena *a, const char *prefix, char **out)
{
	size_t size = strlen(prefix);
	char *end;

	*out = NULL;
	while (size && (unsigned char) prefix[size - 1] == 0xff)
		size--;
	if (!size)
		return 0;
	end = arena_copy(a, prefix, size);
	if (!end)
		return CO_NO_MEMORY;
	end[size - 1] = (char) ((unsigned char) end[size - 1] + 1);
	*out = end;
	return 0;
}

/* Keys with prefix, behind `after` unless NULL; rev 0 is now; limit < 0 is all. */
static int range(struct store *s, struct arena *a, const char *prefix,
		 const char *after, uint64_t rev, int64_t limit, struct rows *out)
{
	bool behind = after && strcmp(after, prefix) >= 0;
	enum statement which;
	char *end;
	int status = txn_prefix_end(a, prefix, &end);

	if (status < 0)
		return no_memory(s);
	which = rev ? SQL_LIST_AT : end ? SQL_LIST_TO : SQL_LIST;
	sql_bind_key(s->sql[which], 1, behind ? after : prefix);
	sql_bind(s->sql[which], 2, behind ? 1 : 0);
	if (end)
		sql_bind_key(s->sql[which], 3, end);
	sql_bind(s->sql[which], 4, (uint64_t) limit);
	sql_bind(s->sql[which], 6, s->wall_ms);
	if (rev)
		sql_bind(s->sql[which], 5, rev);
	return collect(s, which, a, out);
}

static int erase_rows(struct store *s, struct request *r, const struct rows *rows,
		      uint64_t rev)
{
	for (size_t i = 0; i < rows->count; i++) {
		int status = erase(s, r, &rows->items[i], rev);

		if (status < 0)
			return status;
	}
	return 0;
}

static int erase_prefix(struct store *s, struct request *r, const char *prefix,
			uint64_t rev, struct store_op_result *out)
{
	struct rows rows = { 0 };
	int status = range(s, &r->out, prefix, NULL, 0, -1, &rows);

	if (status < 0)
		return status;
	out->deleted = rows.count;
	return erase_rows(s, r, &rows, rev);
}

int txn_list(struct store *s, struct request *r)
{
	uint64_t now = s->draft.revision;
	bool past = r->number && r->number < now;
	struct rows rows = { 0 };
	int status;

	if (r->number > now) {
		request_fail(r, CO_INVALID,
			     "revision %llu is in the future: the store is at %llu",
			     (unsigned long long) r->number, (unsigned long long) now);
		return 0;
	}
	if (r->number && r->number < s->compacted) {
		request_fail(r, CO_GONE,
			     "revision %llu is compacted: history begins at %llu, list "
			     "again from the start",
			     (unsigned long long) r->number,
			     (unsigned long long) s->compacted);
		return 0;
	}
	status = range(s, &r->out, r->prefix, r->after[0] ? r->after : NULL,
		       past ? r->number : 0, (int64_t) r->limit + 1, &rows);
	if (status < 0)
		return status;
	r->list.rev = past ? r->number : now;
	r->list.more = rows.count > r->limit;
	r->list.nitems = r->list.more ? r->limit : rows.count;
	r->list.items = rows.items;
	return 0;
}

/* ---- expiry, counting ---- */

static int next_expiry(struct store *s, uint64_t *out)
{
	int got = sql_step(s, SQL_NEXT_EXPIRY);

	*out = got == 1 ? (uint64_t) sqlite3_column_int64(s->sql[SQL_NEXT_EXPIRY], 0)
			: 0;
	sql_reset(s, SQL_NEXT_EXPIRY);
	return got < 0 ? got : 0;
}

int txn_expire(struct store *s, struct request *r)
{
	struct rows rows = { 0 };
	int status;

	sql_bind(s->sql[SQL_EXPIRED], 1, s->wall_ms);
	sql_bind(s->sql[SQL_EXPIRED], 2, r->limit);
	status = collect(s, SQL_EXPIRED, &r->out, &rows);
	for (size_t i = 0; i < rows.count && status == 0; i++)
		status = erase_row(s, rows.items[i].key);
	if (status == 0)
		status = next_expiry(s, &r->list.next_ms);
	r->list.items = rows.items;
	r->list.nitems = rows.count;
	r->list.more = r->list.next_ms && r->list.next_ms <= s->wall_ms;
	r->list.rev = s->draft.revision;
	return status;
}

int txn_count(struct store *s, struct request *r)
{
	char *end;
	int got = txn_prefix_end(&r->out, r->prefix, &end);

	if (got < 0)
		return no_memory(s);
	sql_bind_key(s->sql[SQL_COUNT_KEYS], 1, r->prefix);
	if (end)
		sql_bind_key(s->sql[SQL_COUNT_KEYS], 2, end);
	else
		(void) sqlite3_bind_null(s->sql[SQL_COUNT_KEYS],
					 2); /* index is right */
	got = sql_step(s, SQL_COUNT_KEYS);
	if (got == 1)
		r->result.rev =
			(uint64_t) sqlite3_column_int64(s->sql[SQL_COUNT_KEYS], 0);
	sql_reset(s, SQL_COUNT_KEYS);
	r->result.succeeded = true;
	return got < 0 ? got : 0;
}

/* ---- comparisons ---- */

static int ordered_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int ordered_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
	size_t both = a_size < b_size ? a_size : b_size;
	int order = both ? memcmp(a, b, both) : 0;

	return order ? order : ordered_numbers(a_size, b_size);
}

static int order_of(const struct store_cmp *c, const struct store_item *item)
{
	switch (c->target) {
	case STORE_CMP_VERSION:
		return ordered_numbers(item->version, c->number);
	case STORE_CMP_CREATE:
		return ordered_numbers(item->create_rev, c->number);
	case STORE_CMP_MOD:
		return ordered_numbers(item->mod_rev, c->number);
	case STORE_CMP_LEASE:
		return ordered_numbers(item->lease, c->number);
	case STORE_CMP_VALUE:
		return ordered_bytes(item->value, item->size, c->value, c->size);
	}
	return 0;
}

static bool holds(const struct store_cmp *c, const struct store_item *item)
{
	int order = order_of(c, item);

	/* What does not exist has no value: no comparison with one holds but "differs". */
	if (c->target == STORE_CMP_VALUE && !item->version)
		return c->relation == STORE_NOT_EQUAL;
	switch (c->relation) {
	case STORE_EQUAL:
		return order == 0;
	case STORE_NOT_EQUAL:
		return order != 0;
	case STORE_LESS:
		return order < 0;
	case STORE_GREATER:
		return order > 0;
	case STORE_EQUAL_OR_ABSENT:
		return order == 0 || !item->version;
	}
	return false;
}

static int compare(struct store *s, struct request *r, bool *out_all)
{
	for (size_t i = 0; i < r->txn.ncmps; i++) {
		struct store_item item;
		int got = get(s, &r->out, r->txn.cmps[i].key, &item);

		if (got < 0)
			return got;
		if (!holds(&r->txn.cmps[i], &item)) {
			*out_all = false;
			return 0;
		}
	}
	*out_all = true;
	return 0;
}

/* ---- transactions ---- */

/* 1: it lives, 0: it does not. */
static int lease_lives(struct store *s, uint64_t id)
{
	int got;

	sql_bind(s->sql[SQL_LEASE_FIND], 1, id);
	got = sql_step(s, SQL_LEASE_FIND);
	sql_reset(s, SQL_LEASE_FIND);
	return got;
}

static int check_leases(struct store *s, struct request *r, const struct store_op *ops,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int lives = 1;

		if (ops[i].kind == STORE_PUT && ops[i].lease)
			lives = lease_lives(s, ops[i].lease);
		if (lives < 0)
			return lives;
		if (!lives) {
			request_fail(
				r, CO_NOT_FOUND,
				"cannot put %s: lease %llu has lapsed or never was",
				ops[i].key, (unsigned long long) ops[i].lease);
			return 0;
		}
	}
	return 0;
}

static int run_op(struct store *s, struct request *r, const struct store_op *op,
		  uint64_t rev, struct store_op_result *out)
{
	int got;

	switch (op->kind) {
	case STORE_PUT:
		return put(s, r, op, rev, out);
	case STORE_DELETE:
		return erase_one(s, r, op, rev, out);
	case STORE_DELETE_PREFIX:
		return erase_prefix(s, r, op->key, rev, out);
	case STORE_GET:
		got = get(s, &r->out, op->key, &out->item);
		out->found = got == 1;
		return got < 0 ? got : 0;
	}
	return 0;
}

static int write_journal(struct store *s, const struct store_journal *j)
{
	sqlite3_stmt *q = s->sql[SQL_JOURNAL];

	sql_bind(q, 1, j->slot);
	sql_bind(q, 2, j->session);
	sql_bind(q, 3, j->call);
	sql_bind(q, 4, (uint64_t) j->result);
	s->wrote = true;
	return sql_run(s, SQL_JOURNAL);
}

int txn_run(struct store *s, struct request *r)
{
	uint64_t rev = s->draft.revision + 1;
	struct store_op_result *results;
	const struct store_op *ops;
	size_t n;
	int status = compare(s, r, &r->result.succeeded);

	if (status < 0)
		return status;
	ops = r->result.succeeded ? r->txn.then : r->txn.otherwise;
	n = r->result.succeeded ? r->txn.nthen : r->txn.notherwise;
	status = check_leases(s, r, ops, n);
	if (status < 0 || r->result.status < 0)
		return status;
	results = arena_alloc(&r->out, (n + 1) * sizeof(*results));
	if (!results)
		return no_memory(s);
	for (size_t i = 0; i < n && status == 0; i++)
		status = run_op(s, r, &ops[i], rev, &results[i]);
	if (status == 0 && r->result.succeeded && r->txn.journal)
		status = write_journal(s, r->txn.journal);
	if (status < 0)
		return status;
	if (r->nevents)
		s->draft.revision = rev;
	r->result.rev = s->draft.revision;
	r->result.results = results;
	r->result.nresults = n;
	return 0;
}

/* ---- leases ---- */

int txn_grant(struct store *s, struct request *r)
{
	int status;

	if (s->draft.leases >= CO_LIMIT_STORE_LEASES) {
		request_fail(r, CO_TABLE_FULL, "no more than %d leases can be granted",
			     CO_LIMIT_STORE_LEASES);
		return 0;
	}
	sql_bind(s->sql[SQL_LEASE_ADD], 1, r->number);
	status = sql_run(s, SQL_LEASE_ADD);
	if (status < 0)
		return status;
	s->wrote = true;
	s->draft.leases++;
	r->result.rev = (uint64_t) sqlite3_last_insert_rowid(s->db);
	r->result.succeeded = true;
	return 0;
}

static int refuse_unknown_lease(struct request *r)
{
	if (r->kind == REQUEST_LAPSE)
		r->result.succeeded = true; /* then it need not lapse */
	else
		request_fail(r, CO_NOT_FOUND, "lease %llu has lapsed or never was",
			     (unsigned long long) r->number);
	return 0;
}

int txn_keepalive(struct store *s, struct request *r)
{
	int lives = lease_lives(s, r->number);

	if (lives < 0)
		return lives;
	if (!lives)
		return refuse_unknown_lease(r);
	r->result.rev = s->draft.revision;
	r->result.succeeded = true;
	return 0;
}

int txn_revoke(struct store *s, struct request *r)
{
	uint64_t rev = s->draft.revision + 1;
	struct rows rows = { 0 };
	int status = lease_lives(s, r->number);

	if (status < 0)
		return status;
	if (!status)
		return refuse_unknown_lease(r);
	if (r->kind == REQUEST_LAPSE &&
	    leases_deadline(&s->leases, r->number) != r->deadline)
		return 0; /* kept alive meanwhile */
	sql_bind(s->sql[SQL_LEASE_KEYS], 1, r->number);
	status = collect(s, SQL_LEASE_KEYS, &r->out, &rows);
	if (status == 0)
		status = erase_rows(s, r, &rows, rev);
	if (status < 0)
		return status;
	sql_bind(s->sql[SQL_LEASE_DROP], 1, r->number);
	status = sql_run(s, SQL_LEASE_DROP);
	if (status < 0)
		return status;
	s->wrote = true;
	s->draft.leases--;
	if (r->nevents)
		s->draft.revision = rev;
	r->result.rev = s->draft.revision;
	r->result.succeeded = true;
	return 0;
}
