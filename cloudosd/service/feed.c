/* SPDX-License-Identifier: MIT */
/*
 * Feeds.  HOST.
 *
 * A reader is a number: the last row that it has dealt with.  Rows behind it come from the
 * ring if it is in there, otherwise from the store; nobody has a queue.  The ring fills
 * only while there are readers.  Rows are told from the loop, a bounded number in a turn.
 */
#include "cloudosd/service/feed.h"

#include <co/limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/pattern.h"
#include "lib/sse.h"
#include "store/store.h"

enum {
	TURN = 1024,    /* rows told in one turn of the loop */
	LOOKS = 32,     /* readers looked at for the price of one row */
	READS = 4,      /* of the store at a time */
	PAGE = 128,     /* rows of one of them */
	AGAIN_MS = 100, /* until the store is asked again */
	ID_TIME = 13    /* digits */
};

struct entry {
	struct store_row row;
	struct co_buf frame; /* empty until somebody wants it */
	struct co_span json; /* inside */
	char text[];
};

struct feed_reader {
	struct feed_reader *prev, *next;
	struct feed *feed;
	char *text; /* of the next two */
	const char *service;
	struct co_span pattern;
	feed_told *told;
	void *arg;
	uint64_t at, upto; /* upto: of the read that is under way */
	uint64_t since;    /* only later rows, if timed */
	bool timed, begun; /* begun: a page has been read */
	bool past;         /* has something to get from the store whatever `at` is */
	bool paused, waiting, reading, ended;
	unsigned busy; /* on the stack */
};

struct feed {
	const struct co_host *host;
	struct store *store;
	struct feed_options options;
	struct entry *ring[CO_LIMIT_FEED_RING]; /* by number; first to last */
	uint64_t first, last;                   /* first > last: empty */
	size_t bytes;
	uint64_t newest;
	struct feed_reader *readers;
	size_t nreaders, to_visit;
	unsigned reads;
	struct co_timer *again;
	bool posted, more;
	struct feed_numbers numbers;
};

/* ---- ids ---- */

void feed_id(char out[FEED_ID_MAX], uint64_t at_ms, uint64_t number)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char *p = out + FEED_ID_MAX - 1;

	*p = '\0';
	do
		*--p = digits[number % 36];
	while (number /= 36);
	*--p = '-';
	for (int i = 0; i < ID_TIME; i++, at_ms /= 10)
		*--p = digits[at_ms % 10];
	memmove(out, p, (size_t) (out + FEED_ID_MAX - p));
}

bool feed_id_parse(struct co_span text, uint64_t *out_at_ms, uint64_t *out_number)
{
	uint64_t at_ms = 0, number = 0;

	if (text.size < ID_TIME + 2 || text.size > FEED_ID_MAX - 1 ||
	    text.data[ID_TIME] != '-')
		return false;
	for (size_t i = 0; i < ID_TIME; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		at_ms = at_ms * 10 + (uint64_t) (text.data[i] - '0');
	}
	for (size_t i = ID_TIME + 1; i < text.size; i++) {
		char c = text.data[i];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned) (c - '0')
				 : c >= 'a' && c <= 'z' ? (unsigned) (c - 'a') + 10
							: 36;

		if (digit == 36 || number > ((uint64_t) INT64_MAX - digit) / 36)
			return false;
		number = number * 36 + digit;
	}
	*out_at_ms = at_ms;
	*out_number = number;
	return true;
}

/* ---- frames ---- */

/* False: no memory. */
static bool frame_make(struct feed *f, const struct store_row *row, struct co_buf *out,
		       struct co_span *out_json)
{
	static const char data[] = "data: ";
	autobuf struct co_buf json = { 0 };
	char id[FEED_ID_MAX];

	f->options.json(&json, row);
	/* line ends can only be white space between tokens: one line it is */
	for (size_t i = 0; i < json.size; i++)
		if (json.data[i] == '\n' || json.data[i] == '\r')
			json.data[i] = ' ';
	feed_id(id, row->at_ms, row->number);
	co_sse_frame(out, co_span(id), (struct co_span){ json.data, json.size });
	if (out->failed || json.failed)
		return false;
	*out_json =
		(struct co_span){ strstr(out->data, data) + strlen(data), json.size };
	return true;
}

/* ---- the ring ---- */

static struct entry **slot(struct feed *f, uint64_t number)
{
	return &f->ring[number % CO_LIMIT_FEED_RING];
}

static size_t weight(const struct entry *e)
{
	return sizeof(*e) + e->row.service.size + e->row.source.size +
	       e->row.name.size + e->row.text.size + e->row.value.size +
	       e->row.json.size;
}

static void drop_first(struct feed *f)
{
	struct entry **e = slot(f, f->first);

	f->bytes -= weight(*e);
	co_buf_done(&(*e)->frame);
	free(*e);
	*e = NULL;
	f->first++;
}

static void ring_empty(struct feed *f)
{
	while (f->first <= f->last)
		drop_first(f);
}

static struct co_span put(char **at, struct co_span from)
{
	struct co_span to = { from.data ? *at : NULL, from.size };

	if (from.size)
		memcpy(*at, from.data, from.size);
	*at += from.size;
	return to;
}

static struct entry *entry_new(const struct store_row *row)
{
	struct entry like = { .row = *row };
	struct entry *e = malloc(weight(&like) + 1);
	char *at;

	if (!e)
		return NULL;
	*e = like;
	at = e->text;
	e->row.service = put(&at, row->service);
	e->row.source = put(&at, row->source);
	e->row.name = put(&at, row->name);
	e->row.text = put(&at, row->text);
	e->row.value = put(&at, row->value);
	e->row.json = put(&at, row->json);
	return e;
}

static void ring_add(struct feed *f, const struct store_row *row)
{
	struct entry *e = entry_new(row);

	if (f->first > f->last || row->number != f->last + 1) {
		ring_empty(f);
		f->first = row->number;
	}
	f->last = row->number;
	if (!e) { /* readers get it from the store */
		f->last--;
		ring_empty(f);
		return;
	}
	while (f->first < row->number &&
	       (row->number - f->first >= CO_LIMIT_FEED_RING ||
		f->bytes + weight(e) > CO_LIMIT_FEED_RING_BYTES))
		drop_first(f);
	*slot(f, row->number) = e;
	f->bytes += weight(e);
}

/* ---- readers ---- */

static void turn(void *arg);

static void wake(struct feed *f)
{
	if (f->posted)
		return;
	f->posted = true;
	f->host->post(f->host->ctx, turn, f);
}

static void reader_free(struct feed_reader *r)
{
	free(r->text);
	free(r);
}

static bool wants(const struct feed_reader *r, const struct store_row *row)
{
	if (r->service && !co_span_is(row->service, r->service))
		return false;
	if (r->timed && row->at_ms <= r->since)
		return false;
	return co_pattern_match(r->pattern, row->name);
}

/* False: the reader is paused or has ended (and is gone when `busy` was 0). */
static bool tell(struct feed_reader *r, const struct feed_item *item)
{
	r->feed->numbers.told++;
	r->busy++;
	if (!r->told(r->arg, item))
		r->paused = true;
	r->busy--;
	return !r->paused && !r->ended;
}

static bool tell_entry(struct feed_reader *r, struct entry *e)
{
	struct feed_item item = { .row = &e->row };

	if (!e->frame.size && !frame_make(r->feed, &e->row, &e->frame, &e->json)) {
		co_buf_done(&e->frame);
		r->past = true; /* once more, from the store, where it may wait */
		return false;
	}
	item.json = e->json;
	item.frame = (struct co_span){ e->frame.data, e->frame.size };
	return tell(r, &item);
}

static size_t tell_ring(struct feed_reader *r)
{
	struct feed *f = r->feed;
	size_t told = 0;

	r->busy++;
	while (r->at < f->last && !r->ended && !r->paused && !r->past) {
		struct entry *e = *slot(f, r->at + 1);
		bool wanted = wants(r, &e->row);

		if (wanted) {
			told++;
			(void) tell_entry(r, e); /* looked at above */
			if (r->past)
				break;
		}
		r->at++;
	}
	r->busy--;
	if (r->ended)
		reader_free(r);
	return told;
}

/* ---- from the store ---- */

static bool tell_gap(struct feed_reader *r, const struct store_rows *page)
{
	struct store_row row = { .number = page->oldest - 1, .at_ms = page->oldest_ms };
	uint64_t lost = page->oldest - 1 - r->at;
	bool gap = page->oldest > r->at + 1;

	/* who asked for a time has missed what was forgotten after it; who asked for
	 * all there is gets just that */
	if (!r->begun && r->at == 0)
		gap = gap && r->timed && page->oldest_ms > r->since;
	r->begun = true;
	if (!gap)
		return true;
	r->at = row.number;
	r->feed->numbers.gaps++;
	return tell(r, &(struct feed_item){ .row = &row, .lost = lost });
}

static bool tell_stored(struct feed_reader *r, const struct store_row *row)
{
	autobuf struct co_buf frame = { 0 };
	struct feed_item item = { .row = row };

	if (!frame_make(r->feed, row, &frame, &item.json))
		return false;
	item.frame = (struct co_span){ frame.data, frame.size };
	r->at = row->number;
	return tell(r, &item);
}

static void page_read(void *arg, const struct store_rows *page)
{
	struct feed_reader *r = arg;
	struct feed *f = r->feed;
	bool on = !r->ended && page->status == 0;

	f->reads--;
	r->reading = false;
	r->busy++;
	if (on && page->oldest)
		on = tell_gap(r, page);
	for (size_t i = 0; on && i < page->nrows; i++)
		on = tell_stored(r, &page->rows[i]);
	if (on && !page->more) {
		r->past = false;
		r->at = r->upto;
	}
	r->busy--;
	if (page->status < 0 && !r->ended)
		f->host->timer_start(f->again, AGAIN_MS);
	else
		wake(f);
	if (r->ended)
		reader_free(r);
}

static void read_on(struct feed_reader *r)
{
	struct feed *f = r->feed;
	struct store_rows_query query = { .table = f->options.table,
					  .service = co_span(r->service),
					  .name = r->pattern,
					  .after = r->at,
					  .upto = f->newest,
					  .limit = PAGE };

	if (r->timed)
		query.from_ms = r->since + 1;
	if (f->reads == READS)
		return; /* when one is over there is another turn */
	if (store_rows_read(f->store, &query, page_read, r) < 0) {
		f->host->timer_start(f->again, AGAIN_MS);
		return;
	}
	f->reads++;
	r->upto = query.upto;
	r->reading = true;
}

/* ---- the loop ---- */

/* How much work that was. */
static size_t visit(struct feed_reader *r)
{
	struct feed *f = r->feed;

	if (r->paused || r->reading || (r->at >= f->newest && !r->past))
		return 0;
	if (!r->past && f->first <= f->last && r->at + 1 >= f->first)
		return tell_ring(r);
	r->past = true;
	read_on(r);
	return 1;
}

static void turn(void *arg)
{
	struct feed *f = arg;
	size_t work = 0, looks = 0;

	f->posted = false;
	if (!f->to_visit || f->more)
		f->to_visit = f->nreaders;
	f->more = false;
	while (f->to_visit && f->readers && work + looks / LOOKS < TURN) {
		struct feed_reader *r = f->readers;

		f->to_visit--;
		looks++;
		DL_DELETE(f->readers, r);
		DL_APPEND(f->readers, r);
		work += visit(r);
	}
	if (f->to_visit && f->readers)
		wake(f);
}

static void try_again(void *arg)
{
	wake(arg);
}

static void row_added(void *arg, const struct store_row *row)
{
	struct feed *f = arg;

	f->newest = row->number;
	if (f->options.added)
		f->options.added(f->options.arg, row);
	if (!f->readers) {
		ring_empty(f);
		return;
	}
	ring_add(f, row);
	f->more = true;
	wake(f);
}

/* ---- feed.h ---- */

static int copy_want(struct feed_reader *r, const struct feed_want *want)
{
	size_t service = want->service ? strlen(want->service) + 1 : 0;

	r->text = malloc(service + want->pattern.size + 1);
	if (!r->text)
		return CO_NO_MEMORY;
	if (service) {
		memcpy(r->text, want->service, service);
		r->service = r->text;
	}
	if (want->pattern.size) {
		memcpy(r->text + service, want->pattern.data, want->pattern.size);
		r->pattern = (struct co_span){ r->text + service, want->pattern.size };
	}
	return 0;
}

int feed_begin(struct feed_reader **out, struct feed *feed,
	       const struct feed_want *want, feed_told *told, void *arg)
{
	struct feed_reader *r;

	if (feed->nreaders >= CO_LIMIT_FEED_READERS)
		return CO_TABLE_FULL;
	r = calloc(1, sizeof(*r));
	if (!r || copy_want(r, want) < 0) {
		free(r);
		return CO_NO_MEMORY;
	}
	r->feed = feed;
	r->told = told;
	r->arg = arg;
	r->at = feed->newest;
	if (want->from == FEED_AFTER && want->value < feed->newest)
		r->at = want->value;
	if (want->from == FEED_SINCE) {
		r->at = 0;
		r->since = want->value;
		r->timed = true;
		r->past = feed->newest > 0;
	}
	DL_APPEND(feed->readers, r);
	feed->nreaders++;
	if (r->at < feed->newest || r->past) {
		feed->more = true;
		wake(feed);
	}
	*out = r;
	return 0;
}

void feed_resume(struct feed_reader *reader)
{
	if (!reader->paused)
		return;
	reader->paused = false;
	reader->feed->more = true;
	wake(reader->feed);
}

struct feed_reader *feed_end(struct feed_reader *reader)
{
	if (!reader)
		return NULL;
	DL_DELETE(reader->feed->readers, reader);
	reader->feed->nreaders--;
	reader->ended = true;
	if (!reader->busy && !reader->reading)
		reader_free(reader);
	return NULL;
}

uint64_t feed_newest(const struct feed *feed)
{
	return feed->newest;
}

struct feed *feed_new(const struct co_host *host, struct store *store,
		      const struct feed_options *options)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->host = host;
	f->store = store;
	f->options = *options;
	f->first = 1;
	f->newest = store_rows_newest(store, options->table);
	f->again = host->timer_new(host->ctx, try_again, f);
	if (!f->again) {
		free(f);
		return NULL;
	}
	store_rows_watch(store, options->table, row_added, f);
	return f;
}

struct feed *feed_free(struct feed *feed)
{
	if (!feed)
		return NULL;
	store_rows_watch(feed->store, feed->options.table, NULL, NULL);
	ring_empty(feed);
	feed->host->timer_free(feed->again);
	free(feed);
	return NULL;
}

void feed_numbers(const struct feed *feed, struct feed_numbers *out)
{
	const struct feed_reader *r;

	*out = feed->numbers;
	out->readers = feed->nreaders;
	DL_FOREACH (feed->readers, r)
		if (r->past)
			out->behind++;
}
