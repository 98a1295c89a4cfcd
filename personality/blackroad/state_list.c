/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/sys/state without a key: all of the state, or what has a prefix, in order.  HOST.
 *
 * What fits into one page is answered at once.  More is streamed, page by page as the
 * client reads: neither the loop nor memory ever has all of it.  Each page is of one
 * moment, the whole is not.
 */
#include <co/limits.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "personality/blackroad/state.h"

enum { PIECE = 65536 };

struct listing {
	struct http_call *call;     /* until it is answered or streamed */
	struct http_stream *stream; /* then */
	struct states *state;
	char *service;
	struct co_buf prefix, after; /* after: the last key that has been read */
	size_t left;                 /* how many more there may be */
	struct co_buf out;           /* what is to be written, from `at` on */
	size_t at;
	bool any, reading, last, dead;
};

static void read_page(struct listing *l);

static void listing_free(struct listing *l)
{
	if (!l)
		return;
	free(l->service);
	co_buf_done(&l->prefix);
	co_buf_done(&l->after);
	co_buf_done(&l->out);
	free(l);
}

/* ---- writing ---- */

static void finish(struct listing *l)
{
	struct http_stream *stream = l->stream;

	listing_free(l);
	http_stream_end(stream);
}

/* A piece at a time, so that a queue is never longer than one. */
static void pump(struct listing *l)
{
	while (l->at < l->out.size && http_stream_queued(l->stream) < PIECE) {
		size_t n = l->out.size - l->at;

		n = n < PIECE ? n : PIECE;
		l->at += n;
		http_stream_write(l->stream, l->out.data + l->at - n, n);
		if (l->dead)
			return;
	}
	if (l->at < l->out.size || l->reading)
		return;
	l->at = l->out.size = 0;
	if (l->last)
		finish(l);
	else
		read_page(l);
}

static void room(void *arg)
{
	struct listing *l = arg;

	if (!l->reading)
		pump(l);
}

static void closed(void *arg)
{
	struct listing *l = arg;

	l->stream = NULL;
	l->dead = true;
	if (!l->reading)
		listing_free(l);
}

static void gone(struct http_call *call, void *arg)
{
	struct listing *l = arg;

	(void) call;
	l->call = NULL;
	l->dead = true; /* it is being read; the answer frees it */
}

/* ---- pages ---- */

static void add_page(struct listing *l, const struct state_list *page)
{
	for (size_t i = 0; i < page->nentries; i++) {
		co_buf_text(&l->out, l->any ? ",{" : "{\"state\":[{");
		blackroad_state_entry(&l->out, &page->entries[i]);
		l->any = true;
	}
	l->left -= page->nentries;
	l->last = !page->more || !l->left;
	if (page->nentries) {
		l->after.size = 0;
		co_buf_span(&l->after, page->entries[page->nentries - 1].key);
	}
}

static void add_end(struct listing *l, bool more)
{
	co_buf_text(&l->out, l->any ? "]" : "{\"state\":[]");
	if (more) {
		co_buf_text(&l->out, ",\"next\":");
		co_buf_json_text(&l->out,
				 (struct co_span){ l->after.data, l->after.size });
	}
	co_buf_char(&l->out, '}');
}

/* The list has begun: what went wrong is said at its end. */
static void add_fault(struct listing *l, const char *reason)
{
	co_buf_text(&l->out, "],\"error\":{\"code\":\"INTERNAL_ERROR\",\"message\":");
	co_buf_json_text(&l->out, co_span(reason));
	co_buf_text(&l->out, "}}");
	l->last = true;
}

static void answer(struct listing *l)
{
	struct http_call *call = l->call;
	struct co_buf body = l->out;

	l->out = (struct co_buf){ 0 };
	listing_free(l);
	http_answer(call, 200, &body);
}

static void begin_stream(struct listing *l)
{
	struct http_call *call = l->call;

	l->call = NULL;
	l->stream = http_stream_begin(call, 200, "application/json", closed, l);
	if (!l->stream) {
		listing_free(l); /* answered: a HEAD, or too many streams */
		return;
	}
	http_stream_on_room(l->stream, room);
	pump(l);
}

static void got_page(void *arg, const struct state_list *page)
{
	struct listing *l = arg;

	l->reading = false;
	if (l->dead) {
		listing_free(l);
		return;
	}
	if (page->status < 0 && !l->stream) {
		struct http_call *call = l->call;

		listing_free(l);
		http_fail_status(call, page->status, page->reason);
		return;
	}
	if (page->status < 0)
		add_fault(l, page->reason);
	else
		add_page(l, page);
	if (l->last && page->status == 0)
		add_end(l, page->more);
	if (l->stream)
		pump(l);
	else if (l->last)
		answer(l);
	else
		begin_stream(l);
}

static void read_page(struct listing *l)
{
	struct state_query q = { .service = l->service,
				 .prefix = { l->prefix.data, l->prefix.size },
				 .after = { l->after.data, l->after.size },
				 .limit = l->left };
	int status;

	l->reading = true;
	status = state_list(l->state, &q, got_page, l);
	if (status < 0)
		got_page(l, &(struct state_list){ .status = status,
						  .reason = state_reason(l->state) });
}

static struct listing *listing_new(struct http_call *call,
				   const struct blackroad_state_get_args *with,
				   size_t limit)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->call = call;
	l->state = http_services(call)->state;
	l->left = limit;
	l->service = strdup(http_service(call));
	co_buf_span(&l->prefix, with->prefix);
	co_buf_span(&l->after, with->after);
	if (l->service && !l->prefix.failed && !l->after.failed)
		return l;
	listing_free(l);
	return NULL;
}

void blackroad_state_list(struct http_call *call,
			  const struct blackroad_state_get_args *with)
{
	struct listing *l;
	int64_t limit;

	if (!blackroad_number(call, "limit", with->limit, INT64_MAX, 1, INT64_MAX,
			      &limit))
		return;
	l = listing_new(call, with, (size_t) limit);
	if (!l) {
		http_fail_status(call, CO_NO_MEMORY, NULL);
		return;
	}
	http_pend(call, gone, l);
	read_page(l);
}
