/* SPDX-License-Identifier: MIT */
/*
 * The journalled answers, kept in memory as well, so that looking one up never waits for
 * the writer.  HOST.
 */
#include "store/internal.h"

#include <stdlib.h>
#include <uthash.h>

struct journalled {
	struct store_journal entry;
	UT_hash_handle hh;
};

/* With s->lock, or before the writer runs. */
static int keep(struct store *s, const struct store_journal *j)
{
	struct journalled *found;

	HASH_FIND(hh, s->journal, &j->slot, sizeof(j->slot), found);
	if (!found) {
		found = calloc(1, sizeof(*found));
		if (!found)
			return CO_NO_MEMORY;
		found->entry.slot = j->slot;
		HASH_ADD(hh, s->journal, entry.slot, sizeof(j->slot), found);
	}
	found->entry = *j;
	return 0;
}

int journal_load(struct store *s, struct co_err *err)
{
	sqlite3_stmt *q = NULL;
	int got = SQLITE_DONE, status = 0;

	if (sqlite3_prepare_v2(s->db,
			       "SELECT slot, session, call, result FROM call_journal",
			       -1, &q, NULL) != SQLITE_OK)
		return sql_failed(s->db, s->path, err);
	while (status == 0 && (got = sqlite3_step(q)) == SQLITE_ROW) {
		struct store_journal j = {
			.slot = (uint32_t) sqlite3_column_int64(q, 0),
			.session = (uint64_t) sqlite3_column_int64(q, 1),
			.call = (uint64_t) sqlite3_column_int64(q, 2),
			.result = sqlite3_column_int64(q, 3),
		};

		if (keep(s, &j) < 0)
			status = co_fail(err, CO_NO_MEMORY, "out of memory");
	}
	if (status == 0 && got != SQLITE_DONE)
		status = sql_failed(s->db, s->path, err);
	(void) sqlite3_finalize(q); /* repeats the failure of the step */
	return status;
}

void journal_note(struct store *s, const struct store_journal *j)
{
	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	(void) keep(s, j); /* without memory it is found after the next start */
	(void) pthread_mutex_unlock(&s->lock); /* held */
}

void journal_done(struct store *s)
{
	struct journalled *j, *next;

	HASH_ITER (hh, s->journal, j, next) {
		HASH_DELETE(hh, s->journal, j);
		free(j);
	}
}

int store_journal_find(struct store *s, uint32_t slot, uint64_t session, uint64_t call,
		       int64_t *out_result)
{
	struct journalled *j;
	int found;

	(void) pthread_mutex_lock(&s->lock); /* ours, never locked twice */
	HASH_FIND(hh, s->journal, &slot, sizeof(slot), j);
	found = j && j->entry.session == session && j->entry.call == call;
	if (found)
		*out_result = j->entry.result;
	(void) pthread_mutex_unlock(&s->lock); /* held */
	return found;
}
