/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: messages of HTTP, however their bytes are cut, and as others read them.
 * HOST.  Input: a byte (bit 0: answers instead of requests, bit 1: answers to HEAD), then
 * the bytes of a connection.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "tests/fuzz/http_reference.h"
#include "tests/fuzz/target.h"

static const struct co_http_limits limits = { .head = 16384,
					      .target = 2048,
					      .body = 65536 };

struct reading {
	struct co_buf text; /* the messages, one after the other */
	struct co_buf ends; /* size_t: where each ended in the bytes and in `text` */
	int status;         /* of a refusal */
	bool broken;        /* bytes came where none could */
};

static void on_body(void *arg, const char *data, size_t n)
{
	struct reading *r = arg;

	if (!n)
		abort();
	co_buf_add(&r->text, data, n);
}

static void add_head(struct reading *r, const struct co_http_head *h, bool answers)
{
	if (answers)
		co_buf_format(&r->text, "%d", h->status);
	else
		co_buf_span(&r->text, h->method);
	co_buf_char(&r->text, ' ');
	co_buf_span(&r->text, answers ? h->reason : h->target);
	co_buf_char(&r->text, '\n');
	for (uint32_t i = 0; i < h->nfields; i++) {
		if (!h->fields[i].name.size)
			abort();
		co_buf_span(&r->text, h->fields[i].name);
		co_buf_char(&r->text, ':');
		co_buf_span(&r->text, h->fields[i].value);
		co_buf_char(&r->text, '\n');
	}
	co_buf_char(&r->text, '\n');
	if (h->chunked && h->has_length)
		abort();
}

static void end_of(struct reading *r, size_t at)
{
	size_t pair[2] = { at, r->text.size };

	co_buf_add(&r->ends, pair, sizeof(pair));
}

/* Reads all of it in pieces of at most `piece` bytes; each is memory of its own, so that a
 * look behind its end is seen. */
static void read_all(struct reading *r, const char *data, size_t n, size_t piece,
		     int mode)
{
	bool answers = mode & 1;
	struct co_http_message *m = co_http_new(
		answers ? CO_HTTP_RESPONSE : CO_HTTP_REQUEST, &limits, on_body, r);
	size_t at = 0, used;

	if (!m)
		return;
	while (at < n) {
		size_t take_ = n - at < piece ? n - at : piece;
		autofree char *copy = malloc(take_);
		enum co_http_progress progress;

		if (!copy)
			break;
		memcpy(copy, data + at, take_);
		progress = co_http_feed(m, copy, take_, &used);
		if (used > take_)
			abort();
		at += used;
		if (progress == CO_HTTP_BAD) {
			r->status = co_http_fault(m).status;
			if (r->status < 400 || !co_http_fault(m).what ||
			    !co_http_fault(m).code)
				abort();
			break;
		}
		if (progress == CO_HTTP_HEAD) {
			add_head(r, co_http_head(m), answers);
			if (mode & 2)
				co_http_no_body(m);
			if (!co_http_head(m)->has_body ||
			    (co_http_head(m)->has_length && !co_http_head(m)->length))
				progress = CO_HTTP_DONE;
		} else if (progress == CO_HTTP_MORE && used != take_) {
			abort();
		}
		if (progress == CO_HTTP_DONE) {
			end_of(r, at);
			co_http_reset(m, NULL);
		}
		piece = piece * 5 / 3 % 23 + 1;
	}
	(void) co_http_free(m);
}

static void done(struct reading *r)
{
	co_buf_done(&r->text);
	co_buf_done(&r->ends);
}

static void demand_same(const struct reading *a, const struct reading *b)
{
	if (a->status != b->status || a->ends.size != b->ends.size ||
	    (a->ends.size && memcmp(a->ends.data, b->ends.data, a->ends.size) != 0))
		abort();
	/* what has come of a message that is refused depends on the pieces */
	if (!a->status &&
	    (a->text.size != b->text.size ||
	     (a->text.size && memcmp(a->text.data, b->text.data, a->text.size) != 0)))
		abort();
}

static void complain(const char *who, const char *text, size_t n,
		     const struct co_buf *theirs, const char *ours, size_t size)
{
	(void) fprintf(stderr, "%s reads %.*s\nas\n%.*s\nand we as\n%.*s\n", who,
		       (int) n, text, (int) theirs->size,
		       theirs->data ? theirs->data : "", (int) size,
		       ours ? ours : ""); /* on the way out */
	abort();
}

/* Each request of ours is one of the others', and theirs are ours. */
static void compare(const struct reading *r, const char *data, size_t n)
{
	size_t at = 0, text_at = 0, count = r->ends.size / sizeof(size_t[2]);

	for (size_t i = 0; i <= count && at < n; i++) {
		autobuf struct co_buf theirs = { 0 }, peers = { 0 };
		struct reference_result ref =
			reference_request(data + at, n - at, &limits, &theirs);
		size_t pair[2];
		bool there;

		if (i == count) {
			if (ref.is == REFERENCE_WHOLE && !ref.extensions)
				complain("the reference", data + at, n - at, &theirs,
					 NULL, 0);
			return;
		}
		memcpy(pair, r->ends.data + i * sizeof(pair), sizeof(pair));
		if (ref.is != REFERENCE_WHOLE || ref.used != pair[0] - at ||
		    theirs.size != pair[1] - text_at ||
		    memcmp(theirs.data, r->text.data + text_at, theirs.size) != 0)
			complain("the reference", data + at, pair[0] - at, &theirs,
				 r->text.data + text_at, pair[1] - text_at);
		if (!peer_request(data + at, pair[0] - at, &peers, &there) ||
		    (there && (peers.size != theirs.size ||
			       memcmp(peers.data, theirs.data, peers.size) != 0)))
			complain("http-parser", data + at, pair[0] - at, &peers,
				 r->text.data + text_at, pair[1] - text_at);
		at = pair[0];
		text_at = pair[1];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading whole = { 0 }, cut = { 0 }, bytes = { 0 };
	const char *text = (const char *) data + 1;

	if (size < 2)
		return 0;
	read_all(&whole, text, size - 1, size, data[0]);
	read_all(&cut, text, size - 1, data[0] / 4U % 61 + 1, data[0]);
	read_all(&bytes, text, size - 1, 1, data[0]);
	demand_same(&whole, &cut);
	demand_same(&whole, &bytes);
	if (!(data[0] & 3))
		compare(&whole, text, size - 1);
	done(&whole);
	done(&cut);
	done(&bytes);
	return 0;
}
