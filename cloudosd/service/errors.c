/* SPDX-License-Identifier: MIT */
/* The last error of every guest thread.  HOST. */
#include "cloudosd/service/errors.h"

#include <co/limits.h>
#include <co/status.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct entry {
	struct error_record record;
	int32_t tid; /* key */
	uint64_t start_time;
	UT_hash_handle hh;
	struct entry *prev, *next; /* least recently used first */
};

struct session {
	uint64_t id; /* key */
	struct entry *by_tid, *by_use;
	UT_hash_handle hh;
};

struct errors {
	struct session *sessions;
	struct errors_saved *saved;
	size_t nsaved;
};

/* ---- what outlives the daemon ---- */

static struct errors_saved *saved_place(struct errors *errors, uint64_t session,
					int32_t tid)
{
	if (!errors->nsaved)
		return NULL;
	return &errors->saved[(session * 61 + (uint32_t) tid) % errors->nsaved];
}

static void saved_drop(struct errors *errors, uint64_t session, int32_t tid)
{
	struct errors_saved *s = saved_place(errors, session, tid);

	if (s && s->session == session && s->record.tid == tid)
		s->session = 0;
}

/* Whole or not at all, should this process be killed in the middle. */
static void saved_set(struct errors *errors, uint64_t session, uint64_t start_time,
		      const struct error_record *record)
{
	struct errors_saved *s = saved_place(errors, session, record->tid);

	if (!s)
		return;
	__atomic_store_n(&s->session, 0, __ATOMIC_SEQ_CST);
	s->start_time = start_time;
	s->record = *record;
	__atomic_store_n(&s->session, session, __ATOMIC_SEQ_CST);
}

static void saved_load(struct errors *errors)
{
	for (size_t i = 0; i < errors->nsaved; i++) {
		struct errors_saved s = errors->saved[i];

		if (!s.session)
			continue;
		s.record.message[sizeof(s.record.message) - 1] = 0;
		s.record.component[sizeof(s.record.component) - 1] = 0;
		(void) errors_set(errors, s.session, s.start_time,
				  &s.record); /* without memory it is forgotten */
	}
}

struct errors *errors_new(struct errors_saved *saved, size_t n)
{
	struct errors *errors = calloc(1, sizeof(struct errors));

	if (errors) {
		errors->saved = saved;
		errors->nsaved = n;
		saved_load(errors);
	}
	return errors;
}

/* ---- records ---- */

static void entry_drop(struct errors *errors, struct session *session,
		       struct entry *entry)
{
	saved_drop(errors, session->id, entry->tid);
	HASH_DEL(session->by_tid, entry);
	DL_DELETE(session->by_use, entry);
	free(entry);
}

static void session_drop(struct errors *errors, struct session *session)
{
	while (session->by_use)
		entry_drop(errors, session, session->by_use);
	HASH_DEL(errors->sessions, session);
	free(session);
}

struct errors *errors_free(struct errors *errors)
{
	if (errors)
		errors->nsaved = 0;
	while (errors && errors->sessions)
		session_drop(errors, errors->sessions);
	free(errors);
	return NULL;
}

void errors_text(char *out, size_t size, const char *text)
{
	size_t n = strnlen(text, size);

	if (n == size) { /* cut in front of the first byte of a character */
		n--;
		while (n > 0 && ((unsigned char) text[n] & 0xc0) == 0x80)
			n--;
	}
	memcpy(out, text, n);
	memset(out + n, 0, size - n);
}

static struct session *session_find(struct errors *errors, uint64_t id)
{
	struct session *session;

	HASH_FIND(hh, errors->sessions, &id, sizeof(id), session);
	return session;
}

static struct session *session_get(struct errors *errors, uint64_t id)
{
	struct session *session = session_find(errors, id);

	if (session)
		return session;
	session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->id = id;
	HASH_ADD(hh, errors->sessions, id, sizeof(session->id), session);
	if (!session->hh.tbl) {
		free(session);
		return NULL;
	}
	return session;
}

/* An entry of a thread that had the tid before is dropped on the way. */
static struct entry *entry_find(struct errors *errors, struct session *session,
				int32_t tid, uint64_t start_time)
{
	struct entry *entry;

	if (!session)
		return NULL;
	HASH_FIND(hh, session->by_tid, &tid, sizeof(tid), entry);
	if (entry && entry->start_time != start_time) {
		entry_drop(errors, session, entry);
		entry = NULL;
	}
	return entry;
}

static void entry_use(struct session *session, struct entry *entry)
{
	DL_DELETE(session->by_use, entry);
	DL_APPEND(session->by_use, entry);
}

int errors_set(struct errors *errors, uint64_t session_id, uint64_t start_time,
	       const struct error_record *record)
{
	struct session *session = session_get(errors, session_id);
	struct entry *entry;

	if (!session)
		return CO_NO_MEMORY;
	entry = entry_find(errors, session, record->tid, start_time);
	if (entry) {
		entry->record = *record;
		entry_use(session, entry);
		saved_set(errors, session_id, start_time, record);
		return 0;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return CO_NO_MEMORY;
	entry->record = *record;
	entry->tid = record->tid;
	entry->start_time = start_time;
	HASH_ADD(hh, session->by_tid, tid, sizeof(entry->tid), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return CO_NO_MEMORY;
	}
	DL_APPEND(session->by_use, entry);
	if (HASH_COUNT(session->by_tid) > CO_LIMIT_SESSION_ERRORS)
		entry_drop(errors, session, session->by_use);
	saved_set(errors, session_id, start_time, record);
	return 0;
}

int errors_get(struct errors *errors, uint64_t session_id, int32_t tid,
	       uint64_t start_time, struct error_record *out)
{
	struct session *session = session_find(errors, session_id);
	struct entry *entry = entry_find(errors, session, tid, start_time);

	if (!entry)
		return CO_NOT_FOUND;
	entry_use(session, entry);
	*out = entry->record;
	return 0;
}

void errors_clear(struct errors *errors, uint64_t session_id, int32_t tid,
		  uint64_t start_time)
{
	struct session *session = session_find(errors, session_id);
	struct entry *entry = entry_find(errors, session, tid, start_time);

	if (entry)
		entry_drop(errors, session, entry);
}

void errors_session_end(struct errors *errors, uint64_t session_id)
{
	struct session *session = session_find(errors, session_id);

	if (session)
		session_drop(errors, session);
}

size_t errors_count(struct errors *errors, uint64_t session_id)
{
	struct session *session = session_find(errors, session_id);

	return session ? HASH_COUNT(session->by_tid) : 0;
}
