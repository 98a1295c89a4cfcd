/* SPDX-License-Identifier: MIT */
/*
 * The last error of every guest thread.  HOST.
 *
 * Owns the records, bounded per session (CO_LIMIT_SESSION_ERRORS; the thread that was
 * longest without set or get is forgotten first).  A thread is its tid and its start time,
 * so that a reused tid never sees an old error.  Runs under the core lock.  Who calls it:
 * the personalities and the daemon's dispatch.
 */
#ifndef CO_SERVICE_ERRORS_H
#define CO_SERVICE_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#define ERRORS_MESSAGE_SIZE   256
#define ERRORS_COMPONENT_SIZE 64

struct error_record {
	int32_t code; /* as the guest sees it */
	int32_t pid;  /* of this program's name space */
	int32_t tid;
	uint64_t at_ns; /* CLOCK_REALTIME */
	char message[ERRORS_MESSAGE_SIZE];
	char component[ERRORS_COMPONENT_SIZE];
};

/* A record as it outlives the daemon, in memory that the caller keeps. */
struct errors_saved {
	uint64_t session; /* 0: empty */
	uint64_t start_time;
	struct error_record record;
};

struct errors;

/*
 * Begins with what is saved there and keeps it up to date, n (may be 0) bounding how much;
 * a record that another one displaced there is lost with the daemon.  NULL: no memory.
 */
struct errors *errors_new(struct errors_saved *saved, size_t n);

/* What is saved stays. */
struct errors *errors_free(struct errors *errors);

/* Copies a string into one of the arrays above; what is too long is cut between two
 * UTF-8 characters. */
void errors_text(char *out, size_t size, const char *text);

/* Replaces the thread's last error.  CO_NO_MEMORY: it is kept as it was. */
int errors_set(struct errors *errors, uint64_t session, uint64_t start_time,
	       const struct error_record *record);

/* CO_NOT_FOUND when that thread has none. */
int errors_get(struct errors *errors, uint64_t session, int32_t tid,
	       uint64_t start_time, struct error_record *out);

void errors_clear(struct errors *errors, uint64_t session, int32_t tid,
		  uint64_t start_time);

/* Forgets all of a session. */
void errors_session_end(struct errors *errors, uint64_t session);

/* How many threads of a session have one. */
size_t errors_count(struct errors *errors, uint64_t session);

#endif
