/* SPDX-License-Identifier: MIT */
/*
 * Requests that are carried out once.  HOST.
 *
 * A record is /idem/<scope>/<key>, brief and expiring: a byte of layout, sixteen of a digest
 * of the request, two of the answer's status, its body.
 */
#include "cloudosd/service/idempotency.h"

#include <co/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "cloudosd/service/expiry.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "store/store.h"

#define PREFIX  "/idem/"
#define KEEP_MS ((uint64_t) IDEMPOTENCY_HOURS * 3600 * 1000)

enum { LAYOUT = 1, DIGEST = 16, HEADER = 1 + DIGEST + 2 };

struct waiter {
	unsigned char digest[DIGEST];
	idempotency_done *done;
	void *arg;
	struct waiter *prev, *next;
};

/* A key whose first request is being looked up, carried out or recorded. */
struct idempotency_run {
	struct idempotency *all;
	char *key; /* the store's */
	unsigned char digest[DIGEST];
	struct waiter *waiters; /* the first one is who runs, until it is told so */
	int answer;             /* once there is one */
	struct co_buf record;
	UT_hash_handle hh;
};

struct idempotency {
	const struct co_host *host;
	struct store *store;
	struct expiry *expiry;
	struct idempotency_run *runs;
	uint64_t kept;
	bool counted, counting;
};

/* FNV-1a from two starts, and the length: clients only ever fool themselves with it. */
static void digest_of(struct co_span text, unsigned char out[DIGEST])
{
	uint64_t a = 0xcbf29ce484222325, b = 0x9ae16a3b2f90404f ^ text.size;

	for (size_t i = 0; i < text.size; i++) {
		a = (a ^ (unsigned char) text.data[i]) * 0x100000001b3;
		b = (b ^ (unsigned char) text.data[i]) * 0x100000001b3;
		b ^= b >> 29;
	}
	memcpy(out, &a, sizeof(a));
	memcpy(out + sizeof(a), &b, sizeof(b));
}

/* ---- the end of a run ---- */

static void tell(struct waiter *w, const struct idempotency_result *result)
{
	w->done(w->arg, result);
	free(w);
}

static void run_free(struct idempotency_run *run)
{
	HASH_DEL(run->all->runs, run);
	co_buf_done(&run->record);
	free(run->key);
	free(run);
}

static struct waiter *take_waiter(struct idempotency_run *run)
{
	struct waiter *w = run->waiters;

	if (w)
		DL_DELETE(run->waiters, w);
	return w;
}

/* All that wait get the answer that a record has. */
static void tell_known(struct idempotency_run *run, int answer, struct co_span body)
{
	struct waiter *w;

	while ((w = take_waiter(run))) {
		struct idempotency_result result = { .kind = IDEMPOTENCY_KNOWN,
						     .answer = answer,
						     .body = body };

		if (memcmp(w->digest, run->digest, DIGEST) != 0)
			result.kind = IDEMPOTENCY_OTHER;
		tell(w, &result);
	}
}

static void fail_all(struct idempotency_run *run, int status, const char *reason)
{
	struct idempotency_result result = { .kind = IDEMPOTENCY_FAILED,
					     .status = status,
					     .reason = reason };
	struct waiter *w;

	while ((w = take_waiter(run)))
		tell(w, &result);
	run_free(run);
}

/* The next in line carries it out. */
static void go(struct idempotency_run *run)
{
	struct idempotency_result result = { .kind = IDEMPOTENCY_FIRST, .run = run };
	struct waiter *w = take_waiter(run);

	if (!w) {
		run_free(run);
		return;
	}
	memcpy(run->digest, w->digest, DIGEST);
	tell(w, &result);
}

static void recorded(void *arg, const struct store_result *result)
{
	struct idempotency_run *run = arg;
	struct co_span body = { run->record.data + HEADER, run->record.size - HEADER };

	if (result->status == 0 && result->nresults && !result->results[0].found)
		run->all->kept++;
	tell_known(run, run->answer, body); /* who came meanwhile */
	run_free(run);
}

static bool record(struct idempotency_run *run, int answer, struct co_span body)
{
	struct idempotency *i = run->all;
	unsigned char header[HEADER] = { LAYOUT };
	struct store_op op = { .kind = STORE_PUT, .key = run->key, .brief = true };
	struct store_txn txn = { .then = &op, .nthen = 1 };

	memcpy(header + 1, run->digest, DIGEST);
	header[HEADER - 2] = (unsigned char) (answer & 0xff);
	header[HEADER - 1] = (unsigned char) (answer >> 8);
	co_buf_add(&run->record, header, sizeof(header));
	co_buf_span(&run->record, body);
	if (run->record.failed)
		return false;
	op.value = run->record.data;
	op.size = run->record.size;
	op.expires_ms = i->host->wall_ns(i->host->ctx) / 1000000 + KEEP_MS;
	if (store_txn(i->store, &txn, recorded, run) < 0)
		return false;
	expiry_note(i->expiry, op.expires_ms);
	return true;
}

void idempotency_end(struct idempotency_run *run, int answer, struct co_span body)
{
	run->answer = answer;
	if (!answer || body.size > CO_LIMIT_IDEMPOTENCY_BODY) {
		go(run);
		return;
	}
	if (record(run, answer, body))
		return;
	tell_known(run, answer, body); /* who came later will have it done again */
	run_free(run);
}

/* ---- the beginning ---- */

static void counted(void *arg, const struct store_result *result)
{
	struct idempotency *i = arg;

	i->counting = false;
	i->counted = result->status == 0;
	i->kept = i->counted ? result->rev : 0;
}

static void gone(void *arg, const char *key, uint64_t version)
{
	struct idempotency *i = arg;

	(void) key;
	(void) version;
	i->kept -= i->kept ? 1 : 0;
}

static void looked_up(void *arg, const struct store_list *list)
{
	struct idempotency_run *run = arg;
	const unsigned char *bytes;
	struct co_span body;
	size_t size;

	if (list->status < 0) {
		fail_all(run, list->status, list->reason);
		return;
	}
	size = list->nitems ? list->items[0].size : 0;
	if (size < HEADER) {
		if (run->all->kept >= CO_LIMIT_IDEMPOTENCY_KEYS)
			fail_all(run, CO_TABLE_FULL,
				 "too many Idempotency-Keys were used within a day");
		else
			go(run);
		return;
	}
	bytes = list->items[0].value;
	memcpy(run->digest, bytes + 1, DIGEST);
	body = (struct co_span){ (const char *) bytes + HEADER, size - HEADER };
	tell_known(run, bytes[HEADER - 2] | bytes[HEADER - 1] << 8, body);
	run_free(run);
}

static bool is_key(struct co_span key)
{
	for (size_t i = 0; i < key.size; i++)
		if (key.data[i] < 0x21 || key.data[i] > 0x7e)
			return false;
	return key.size && key.size <= CO_LIMIT_IDEMPOTENCY_KEY;
}

static struct idempotency_run *run_new(struct idempotency *i, char *key)
{
	struct idempotency_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->all = i;
	run->key = key;
	HASH_ADD_KEYPTR(hh, i->runs, run->key, strlen(run->key), run);
	if (!i->counted && !i->counting)
		i->counting = store_count(i->store, PREFIX, counted, i) == 0;
	return run;
}

static char *key_of(const char *scope, struct co_span key)
{
	char *text;

	if (asprintf(&text, PREFIX "%s/%.*s", scope, (int) key.size, key.data) < 0)
		return NULL;
	return text;
}

int idempotency_begin(struct idempotency *i, const char *scope, struct co_span key,
		      struct co_span request, idempotency_done *done, void *arg)
{
	struct idempotency_run *run = NULL;
	struct idempotency_result failed = { .kind = IDEMPOTENCY_FAILED,
					     .status = CO_NO_MEMORY,
					     .reason = "out of memory" };
	struct waiter *w;
	char *text;
	int status;

	if (!is_key(key))
		return CO_INVALID;
	w = calloc(1, sizeof(*w));
	text = key_of(scope, key);
	if (w && text)
		HASH_FIND_STR(i->runs, text, run);
	if (!w || !text || (!run && !(run = run_new(i, text)))) {
		free(w);
		free(text);
		done(arg, &failed);
		return 0;
	}
	digest_of(request, w->digest);
	w->done = done;
	w->arg = arg;
	DL_APPEND(run->waiters, w);
	if (run->key != text) { /* under way: wait for its answer */
		free(text);
		return 0;
	}
	status = store_read(i->store, text, looked_up, run);
	if (status < 0)
		fail_all(run, status, "too many requests wait for the disk; try again");
	return 0;
}

/* ---- life ---- */

struct idempotency *idempotency_new(const struct co_host *host, struct store *store,
				    struct expiry *expiry)
{
	struct idempotency *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->host = host;
	i->store = store;
	i->expiry = expiry;
	expiry_watch(expiry, PREFIX, gone, i);
	return i;
}

struct idempotency *idempotency_free(struct idempotency *i)
{
	free(i);
	return NULL;
}
