/* SPDX-License-Identifier: MIT */
/* store/rows.h in memory.  HOST. */
#include "tests/unit/fake_rows.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/pattern.h"

struct fake_row {
	struct store *store;
	struct store_row row;
	store_row_done *done;
	void *arg;
	char bytes[];
};

struct fake_read {
	struct fake_read *next;
	struct store *store;
	struct store_rows_query query;
	char service[256], pattern[256];
	store_rows_done *done;
	void *arg;
};

void fake_rows_init(struct store *store, struct fake_host *fake)
{
	*store = (struct store){ .fake = fake };
}

void fake_rows_done(struct store *store)
{
	for (size_t i = 0; i < store->n; i++)
		free(store->rows[i]);
}

static struct co_span keep(char **at, struct co_span from)
{
	struct co_span to = { from.data ? *at : NULL, from.size };

	if (from.size)
		memcpy(*at, from.data, from.size);
	*at += from.size;
	return to;
}

static struct fake_row *row_new(const struct store_row *row)
{
	struct fake_row *r = calloc(
		1, sizeof(*r) + row->service.size + row->source.size + row->name.size +
			   row->text.size + row->value.size + row->json.size);
	char *at = r->bytes;

	r->row = *row;
	r->row.service = keep(&at, row->service);
	r->row.source = keep(&at, row->source);
	r->row.name = keep(&at, row->name);
	r->row.text = keep(&at, row->text);
	r->row.value = keep(&at, row->value);
	r->row.json = keep(&at, row->json);
	return r;
}

static void append(struct store *store, struct fake_row *r)
{
	ck_assert_uint_lt(store->n, sizeof(store->rows) / sizeof(store->rows[0]));
	r->row.number = store->forgotten + store->n + 1;
	store->rows[store->n++] = r;
}

void fake_rows_put(struct store *store, const struct store_row *row)
{
	append(store, row_new(row));
}

void fake_rows_forget(struct store *store, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(store->rows[i]);
	store->n -= n;
	store->forgotten += n;
	memmove(store->rows, store->rows + n, store->n * sizeof(store->rows[0]));
}

static void commit(void *arg)
{
	struct fake_row *r = arg;
	struct store *store = r->store;
	store_row_done *done = r->done;

	if (store->fail) {
		if (done)
			done(r->arg, store->fail, "it failed", 0);
		free(r);
		return;
	}
	append(store, r);
	if (store->added)
		store->added(store->arg, &r->row);
	if (done)
		done(r->arg, 0, "", r->row.number);
}

int store_row_add(struct store *s, enum store_table table, const struct store_row *row,
		  store_row_done *done, void *arg)
{
	struct fake_row *r;

	(void) table; /* one test, one table */
	if (s->refuse)
		return s->refuse;
	r = row_new(row);
	r->store = s;
	r->done = done;
	r->arg = arg;
	s->fake->host.post(s->fake->host.ctx, commit, r);
	return 0;
}

void store_rows_watch(struct store *s, enum store_table table,
		      void (*added)(void *arg, const struct store_row *row), void *arg)
{
	(void) table;
	s->added = added;
	s->arg = arg;
}

uint64_t store_rows_newest(struct store *s, enum store_table table)
{
	(void) table;
	return s->forgotten + s->n;
}

static bool matches(const struct fake_read *read, const struct store_row *row)
{
	const struct store_rows_query *q = &read->query;

	return row->number > q->after && (!q->upto || row->number <= q->upto) &&
	       row->at_ms >= q->from_ms &&
	       (!q->service.data || co_span_is(row->service, read->service)) &&
	       co_pattern_match(q->name, row->name);
}

static void answer(void *arg)
{
	struct fake_read *read = arg;
	struct store *store = read->store;
	struct store_rows page = { .reason = "" };
	struct store_row rows[256];
	size_t limit = read->query.limit;

	if (store->page && limit > store->page)
		limit = store->page;
	ck_assert_uint_le(limit, 256);
	for (size_t i = 0; i < store->n; i++) {
		const struct store_row *row = &store->rows[i]->row;

		if (!matches(read, row))
			continue;
		if (page.nrows == limit) {
			page.more = true;
			break;
		}
		rows[page.nrows++] = *row;
	}
	page.rows = rows;
	page.oldest = store->n ? store->forgotten + 1 : 0;
	page.oldest_ms = store->n ? store->rows[0]->row.at_ms : 0;
	page.newest = store->forgotten + store->n;
	read->done(read->arg, &page);
	free(read);
}

int store_rows_read(struct store *s, const struct store_rows_query *query,
		    store_rows_done *done, void *arg)
{
	struct fake_read *read;

	if (s->refuse_reads)
		return s->refuse_reads;
	read = calloc(1, sizeof(*read));
	read->store = s;
	read->query = *query;
	read->done = done;
	read->arg = arg;
	if (query->service.data)
		memcpy(read->service, query->service.data, query->service.size);
	if (query->name.data) {
		memcpy(read->pattern, query->name.data, query->name.size);
		read->query.name.data = read->pattern;
	}
	s->reads++;
	if (s->hold_reads) {
		read->next = s->held;
		s->held = read;
	} else {
		s->fake->host.post(s->fake->host.ctx, answer, read);
	}
	return 0;
}

void fake_rows_release(struct store *store)
{
	store->hold_reads = false;
	while (store->held) {
		struct fake_read *read = store->held;

		store->held = read->next;
		answer(read);
	}
}
